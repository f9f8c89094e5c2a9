//! XML, event by event.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::import::columns::MAX_COLUMNS;
use crate::import::error::ImportError;
use crate::import::text::TextFile;
use crate::suggest::quote;

/// A piece of a document.
pub(super) enum Markup {
    /// An element begins; names are without prefix.
    Start { name: String, attributes: Vec<(String, String)> },
    /// It ends.
    End,
    /// A part of a text.
    Text(String),
}

/// Reads a document piece by piece.
pub(super) struct Reader<'a> {
    file: &'a TextFile,
    xml: quick_xml::Reader<&'a [u8]>,
    depth: usize,
    /// Whether the element that has just begun is empty, so that it ends next.
    ends: bool,
}

impl<'a> Reader<'a> {
    pub fn new(file: &'a TextFile) -> Self {
        Self { file, xml: quick_xml::Reader::from_str(&file.text), depth: 0, ends: false }
    }

    /// The next piece and where it begins; none at the end of the document.
    pub fn next(&mut self) -> Result<Option<(usize, Markup)>, ImportError> {
        loop {
            let offset = self.xml.buffer_position() as usize;
            if std::mem::take(&mut self.ends) {
                return Ok(Some((offset, Markup::End)));
            }
            let event = self.xml.read_event().map_err(|error| {
                let offset = self.xml.error_position() as usize;
                self.broken(offset, error.to_string())
            })?;
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    return self.start(offset, &start).map(Some);
                }
                Event::Empty(start) => {
                    self.ends = true;
                    return self.start(offset, &start).map(Some);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Some((offset, Markup::End)));
                }
                Event::Text(text) => return Ok(Some((offset, Markup::Text(text.into_inner().into_owned())))),
                Event::CData(text) => return Ok(Some((offset, Markup::Text(text.into_inner().into_owned())))),
                Event::GeneralRef(reference) => return self.reference(offset, &reference).map(Some),
                Event::Eof if self.depth > 0 => {
                    return Err(self.broken(offset, "the file ends before its elements do".to_owned()));
                }
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn start(&self, offset: usize, start: &BytesStart) -> Result<(usize, Markup), ImportError> {
        let mut attributes = Vec::new();
        // Whether names are unique is not checked: for an element with many that takes the square of the time.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.broken(offset, error.to_string()))?;
            if attributes.len() == MAX_COLUMNS {
                let message = format!("the element has more than {MAX_COLUMNS} attributes, the most that are read");
                return Err(self.file.error(offset, message, "write them as values of keys"));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| self.broken(offset, error.to_string()))?;
            attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
        }
        Ok((offset, Markup::Start { name: start.local_name().as_ref().to_owned(), attributes }))
    }

    fn reference(&self, offset: usize, reference: &BytesRef) -> Result<(usize, Markup), ImportError> {
        let character = reference.resolve_char_ref().map_err(|error| self.broken(offset, error.to_string()))?;
        let text = match character {
            Some(character) => character.to_string(),
            None => resolve_predefined_entity(reference)
                .map(str::to_owned)
                .ok_or_else(|| self.broken(offset, format!("the entity {} is not known", quote(reference))))?,
        };
        Ok((offset, Markup::Text(text)))
    }

    fn broken(&self, offset: usize, message: String) -> ImportError {
        self.file.error(offset, format!("the XML is malformed: {message}"), "write the file again, or mend it here")
    }
}
