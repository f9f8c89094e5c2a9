//! Words with their inflected forms.

use crate::{Record, SourceError};

use super::{TextGraph, TextOptions};

/// A lemma, one of its forms, and the tags of the form, as in the data of the CoNLL-SIGMORPHON shared tasks (Cotterell et al.,
/// "CoNLL-SIGMORPHON 2017 shared task: universal morphological reinflection in 52 languages", 2017).
///
/// In a file they are `lemma`, `form` and `tags`, parted by tabs, the tags by semicolons.
///
/// ```
/// use connectome_languages::{Records, text::Inflection};
///
/// let file = "gehen\tging\tV;IND;PST;3;SG\nHaus\tHäuser\n";
/// let read: Vec<_> = Records::new("german", file.as_bytes()).of::<Inflection>().collect();
/// assert_eq!(read[0].as_ref().map(|word| (word.form.as_str(), word.tags.len())), Ok(("ging", 5)));
/// assert!(read[1].as_ref().is_err_and(|error| error.line == 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflection {
    /// The word as in a dictionary.
    pub lemma: String,
    /// The inflected form.
    pub form: String,
    /// What the form is.
    pub tags: Vec<String>,
}

impl Record for Inflection {
    fn parse(line: &str) -> Result<Self, String> {
        const FIX: &str = "write lemma, form and tags, parted by tabs";
        let fields: Vec<&str> = line.split('\t').collect();
        let [lemma, form, tags] = fields[..] else {
            return Err(format!("the line has {} fields, not 3; {FIX}", fields.len()));
        };
        for (name, field) in [("lemma", lemma), ("form", form), ("tags", tags)] {
            if field.is_empty() {
                return Err(format!("the {name} is empty; {FIX}"));
            }
        }
        if tags.split(';').any(str::is_empty) {
            return Err(format!("a tag in {tags:?} is empty; write tags parted by single semicolons"));
        }
        let tags = tags.split(';').map(str::to_owned).collect();
        Ok(Self { lemma: lemma.to_owned(), form: form.to_owned(), tags })
    }
}

impl Inflection {
    /// The graph of the lemma, with a node for each tag of the form.
    ///
    /// # Errors
    /// As [`TextGraph::new`].
    pub fn graph(&self, options: &TextOptions) -> Result<TextGraph, SourceError> {
        TextGraph::new(&self.lemma, &TextOptions { tags: self.tags.clone(), ..options.clone() })
    }
}
