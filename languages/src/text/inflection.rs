//! Words with their inflected forms.

use crate::{Record, SourceError};

use super::{TextGraph, TextOptions};

/// The longest lemma or form: what is longer is no word.
pub const MAX_CHARACTERS: usize = 256;

/// The most tags of a form.
pub const MAX_TAGS: usize = 64;

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
        Self::new(lemma, form, tags)
    }
}

impl Inflection {
    fn new(lemma: &str, form: &str, tags: &str) -> Result<Self, String> {
        for (name, word) in [("lemma", lemma), ("form", form)] {
            let count = word.chars().count();
            if count > MAX_CHARACTERS {
                return Err(format!(
                    "the {name} has {count} characters, but words have at most {MAX_CHARACTERS}; shorten it"
                ));
            }
        }
        let count = tags.split(';').count();
        if count > MAX_TAGS {
            return Err(format!("there are {count} tags, but a form has at most {MAX_TAGS}; leave some out"));
        }
        if tags.split(';').any(str::is_empty) {
            return Err(format!("a tag in {tags:?} is empty; write tags parted by single semicolons"));
        }
        let tags = tags.split(';').map(str::to_owned).collect();
        Ok(Self { lemma: lemma.to_owned(), form: form.to_owned(), tags })
    }

    /// Reads a lemma and the tags of a form that is not known, which is empty: `Haus N;DAT;PL`.
    ///
    /// The tags stand after the last white space, so that a lemma may be of several words.
    ///
    /// ```
    /// use connectome_languages::text::Inflection;
    ///
    /// let word = Inflection::without_form("auf Wiedersehen N;DAT;PL")?;
    /// assert_eq!((word.lemma.as_str(), word.tags.len()), ("auf Wiedersehen", 3));
    /// assert!(Inflection::without_form("Haus").is_err());
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the text, and what to do about it.
    pub fn without_form(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((lemma, tags)) = text.rsplit_once(char::is_whitespace) else {
            return Err(
                "there are no tags; write the lemma and the tags of the form, such as \"Haus N;DAT;PL\"".to_owned()
            );
        };
        Self::new(lemma.trim_end(), "", tags)
    }

    /// The graph of the lemma, with a node for each tag of the form.
    ///
    /// # Errors
    /// As [`TextGraph::new`].
    pub fn graph(&self, options: &TextOptions) -> Result<TextGraph, SourceError> {
        TextGraph::new(&self.lemma, &TextOptions { tags: self.tags.clone(), ..options.clone() })
    }
}
