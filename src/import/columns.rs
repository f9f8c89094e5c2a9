//! Columns whose values may be numbers or words.

use std::collections::HashMap;

use super::kinds::{Kinds, MAX_KINDS, sort_by_value};
use super::text::{fits, parse_number};
use crate::data::DenseRows;
use crate::suggest::quote;

/// The most columns of a table, keys of a document and entries of a dictionary that are read.
///
/// Each column takes some hundred bytes and may have one byte in a file, so they are counted before they are collected.
pub(super) const MAX_COLUMNS: usize = 1 << 16;

/// The most words of a column that become a one-hot code.
const MAX_WORDS: usize = 256;

/// Columns of so few values may have another word in each row and still say of what kind things are.
const FEW_VALUES: usize = 8;

/// What other programs write where they have no value.
const MISSING: [&str; 10] = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"];

/// What a text stands for.
pub(super) enum Value<'a> {
    Missing,
    Number(f32),
    Word(&'a str),
}

impl<'a> Value<'a> {
    /// The value that is written so, or what is wrong with it. True is 1, and false is 0.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let text = text.trim();
        if MISSING.contains(&text) {
            return Ok(Self::Missing);
        }
        if let Some(value) = parse_bool(text) {
            return Ok(Self::Number(f32::from(u8::from(value))));
        }
        match parse_number(text) {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.parse::<f32>().is_err() => Ok(Self::Word(text)),
            Err(message) => Err(message),
        }
    }
}

/// A truth value as XML and other programs write it: true or false in capitals or not, 1 or 0.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing so far.
    Nothing,
    Numbers,
    Words,
    /// More different words than are encoded.
    TooManyWords,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    content: Content,
    /// Row, and value or index of the word; rows without a value are left out.
    values: Vec<(usize, f32)>,
    words: Vec<String>,
    indices: HashMap<String, usize>,
}

/// Columns that are read row by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let column = |name| Column {
            name,
            content: Content::Nothing,
            values: Vec::new(),
            words: Vec::new(),
            indices: HashMap::new(),
        };
        Self(names.into_iter().map(column).collect())
    }

    /// Adds a column and returns its index; none if there are as many as are read.
    pub fn add(&mut self, name: &str) -> Option<usize> {
        let index = Some(self.0.len()).filter(|index| *index < MAX_COLUMNS)?;
        self.0.extend(Self::new([name.to_owned()]).0);
        Some(index)
    }

    /// Adds the value of a row, which comes after those before; the error is what is wrong with it.
    pub fn push(&mut self, column: usize, row: usize, text: &str) -> Result<(), String> {
        self.push_value(column, row, Value::parse(text)?)
    }

    /// The same for a text that is a word even if it looks like a number.
    pub fn push_word(&mut self, column: usize, row: usize, text: &str) -> Result<(), String> {
        let text = text.trim();
        self.push_value(column, row, if text.is_empty() { Value::Missing } else { Value::Word(text) })
    }

    fn push_value(&mut self, column: usize, row: usize, value: Value) -> Result<(), String> {
        let column = &mut self.0[column];
        let value = match (value, column.content) {
            (Value::Missing, _) | (Value::Word(_), Content::TooManyWords) => return Ok(()),
            (Value::Number(number), Content::Nothing | Content::Numbers) => {
                column.content = Content::Numbers;
                number
            }
            (Value::Word(word), Content::Nothing | Content::Words) => {
                column.content = Content::Words;
                match column.indices.get(word) {
                    Some(&index) => index as f32,
                    None if column.words.len() == MAX_WORDS => {
                        column.content = Content::TooManyWords;
                        (column.values, column.words, column.indices) = Default::default();
                        return Ok(());
                    }
                    None => {
                        column.indices.insert(word.to_owned(), column.words.len());
                        column.words.push(word.to_owned());
                        (column.words.len() - 1) as f32
                    }
                }
            }
            (Value::Number(number), _) => return Err(format!("{number} is a number among words")),
            (Value::Word(word), _) => return Err(format!("{} is no number", quote(word))),
        };
        column.values.push((row, value));
        Ok(())
    }

    /// The features: numbers as they are, words as a one-hot code of those that occur. What is made up or left out is
    /// added to the notes; `things` have the values.
    pub fn features(&mut self, rows: usize, things: &str, notes: &mut Vec<String>) -> Result<DenseRows, String> {
        self.leave_out(rows, things, notes);
        let width = self.0.iter().map(Column::width).sum();
        fits(rows, width)?;
        let mut features = DenseRows { width, values: vec![0.0; rows * width] };
        let mut first = 0;
        for column in &mut self.0 {
            column.sort_words();
            for &(row, value) in &column.values {
                let start = row * width + first;
                match column.content {
                    Content::Words => features.values[start + value as usize] = 1.0,
                    _ => features.values[start] = value,
                }
            }
            first += column.width();
            column.note(rows, things, notes);
        }
        Ok(features)
    }

    /// The values if all are numbers, 0 where they are missing.
    pub fn numbers(&self, rows: usize) -> Result<Option<DenseRows>, String> {
        let width = self.0.len();
        if self.0.iter().any(|column| matches!(column.content, Content::Words | Content::TooManyWords)) {
            return Ok(None);
        }
        fits(rows, width)?;
        let mut numbers = DenseRows { width, values: vec![0.0; rows * width] };
        for (place, column) in self.0.iter().enumerate() {
            column.values.iter().for_each(|&(row, value)| numbers.values[row * width + place] = value);
        }
        Ok(Some(numbers))
    }

    /// Takes the columns out whose names are wanted.
    pub fn take(&mut self, wants: impl Fn(&str) -> bool) -> Self {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(|column| wants(&column.name));
        self.0 = left;
        Self(taken)
    }

    /// Takes columns out that hold no values.
    pub fn leave_empty_out(&mut self) {
        self.0.retain(|column| column.content != Content::Nothing);
    }

    /// Puts columns behind these.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which rows have a value in each column.
    pub fn are_known(&self, rows: usize) -> Vec<bool> {
        let mut counts = vec![0; rows];
        self.0.iter().flat_map(|column| &column.values).for_each(|&(row, _)| counts[row] += 1);
        counts.into_iter().map(|count| count == self.0.len()).collect()
    }

    /// The words of the only column; none if there are others, or too many words.
    pub fn words(&self, rows: usize) -> Option<Vec<Option<String>>> {
        let [Column { content: Content::Words, values, words, .. }] = &self.0[..] else { return None };
        let mut found = vec![None; rows];
        values.iter().for_each(|&(row, word)| found[row] = Some(words[word as usize].clone()));
        Some(found)
    }

    /// The kinds that the values tell apart; a thing without values is of no kind.
    ///
    /// The names of the columns are part of the label, so their order does not matter.
    pub fn kinds(&self, rows: usize) -> Option<Kinds> {
        let mut columns: Vec<&Column> = self.0.iter().filter(|column| !column.values.is_empty()).collect();
        columns.sort_by_key(|column| &column.name);
        let mut next = vec![0; columns.len()];
        let label = |row: usize| {
            let mut texts = Vec::new();
            for (column, next) in columns.iter().zip(&mut next) {
                let Some(&(_, value)) = column.values.get(*next).filter(|(other, _)| *other == row) else { continue };
                *next += 1;
                let text = match column.content {
                    Content::Words => column.words[value as usize].clone(),
                    _ => value.to_string(),
                };
                texts.push(if columns.len() == 1 { text } else { format!("{:?}={text:?}", column.name) });
            }
            (!texts.is_empty()).then(|| texts.join(", "))
        };
        Kinds::of((0..rows).map(label), MAX_KINDS)
    }

    /// The names of the columns that have values.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().filter(|column| !column.values.is_empty()).map(|column| column.name.as_str()).collect()
    }

    /// Empties the columns whose words are names of things rather than kinds of them.
    fn leave_out(&mut self, rows: usize, things: &str, notes: &mut Vec<String>) {
        for column in &mut self.0 {
            let count = column.values.len();
            let are_names = column.content == Content::Words && count > FEW_VALUES && column.words.len() == count;
            if are_names || column.content == Content::TooManyWords {
                let name = quote(&column.name);
                notes.push(format!(
                    "{name} of {things} is left out: it holds other words in almost each of {rows} rows"
                ));
                column.content = Content::TooManyWords;
                column.values.clear();
            }
        }
    }
}

impl Column {
    /// How many features it becomes.
    fn width(&self) -> usize {
        match self.content {
            Content::Nothing | Content::TooManyWords => 0,
            Content::Numbers => 1,
            Content::Words => self.words.len(),
        }
    }

    fn sort_words(&mut self) {
        if self.content != Content::Words {
            return;
        }
        let order = sort_by_value(&mut self.words);
        self.values.iter_mut().for_each(|(_, word)| *word = order[*word as usize] as f32);
    }

    fn note(&self, rows: usize, things: &str, notes: &mut Vec<String>) {
        let name = quote(&self.name);
        let missing = rows - self.values.len();
        match self.content {
            Content::Nothing if rows > 0 => notes.push(format!("{name} of {things} is left out: it holds no values")),
            Content::Numbers if missing > 0 => {
                notes.push(format!("{name} is missing for {missing} of {rows} {things}, and read as 0"));
            }
            Content::Words => {
                let words: Vec<String> = self.words.iter().take(MAX_SHOWN).map(|word| quote(word)).collect();
                let more = if self.words.len() > MAX_SHOWN { ", …" } else { "" };
                let missing =
                    if missing > 0 { format!("; it is missing for {missing} of {rows}") } else { String::new() };
                notes.push(format!(
                    "{name} of {things} is one-hot encoded, with a feature for each of {}{more}{missing}",
                    words.join(", ")
                ));
            }
            _ => {}
        }
    }
}

/// The most words that a note lists.
const MAX_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str], rows: &[&[&str]]) -> Result<Columns, String> {
        let mut columns = Columns::new(names.iter().map(|&name| name.to_owned()));
        for (row, values) in rows.iter().enumerate() {
            values.iter().enumerate().try_for_each(|(column, value)| columns.push(column, row, value))?;
        }
        Ok(columns)
    }

    #[test]
    fn numbers_stay_and_words_become_a_code() {
        let rows: [&[&str]; 3] = [&["red", "1", "True"], &["", " 2.5 ", "FALSE"], &["blue", "NA", "1"]];
        let mut columns = columns(&["color", "size", "on"], &rows).unwrap();
        let mut notes = Vec::new();
        let features = columns.features(3, "nodes", &mut notes).unwrap();
        let expected = [[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 2.5, 0.0], [1.0, 0.0, 0.0, 1.0]];
        assert_eq!((features.width, features.values), (4, expected.concat()));
        assert_eq!(
            notes,
            [
                "\"color\" of nodes is one-hot encoded, with a feature for each of \"blue\", \"red\"; it is missing for 1 of 3",
                "\"size\" is missing for 1 of 3 nodes, and read as 0"
            ]
        );
    }

    #[test]
    fn kinds_are_values_by_name_of_column() {
        let one = columns(&["order", "ring"], &[&["1", "no"], &["", "no"], &["", ""]]).unwrap().kinds(3).unwrap();
        let other = columns(&["ring", "order"], &[&["no", "1.0"], &["no", ""], &["", ""]]).unwrap().kinds(3).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.names, ["\"order\"=\"1\", \"ring\"=\"no\"", "\"ring\"=\"no\""]);
        assert_eq!(one.indices, [0, 1, Kinds::NONE]);
        assert_eq!(columns(&["order"], &[&["-1"], &["2"]]).unwrap().kinds(2).unwrap().names, ["-1", "2"]);
    }

    #[test]
    fn what_is_neither_is_an_error_or_left_out() {
        let error = |values: &[&[&str]]| columns(&["age"], values).unwrap_err();
        assert_eq!(error(&[&["1"], &["old"]]), "\"old\" is no number");
        assert_eq!(error(&[&["old"], &["1"]]), "1 is a number among words");
        assert!(error(&[&["1e99"]]).contains("not finite"));
        let mut notes = Vec::new();
        for count in [9, 1000] {
            let words: Vec<String> = (0..count).map(|word| format!("w{word}")).collect();
            let mut columns = Columns::new(["url".to_owned(), "none".to_owned()]);
            words.iter().enumerate().try_for_each(|(row, word)| columns.push(0, row, word)).unwrap();
            assert_eq!(columns.features(count, "nodes", &mut notes).unwrap().width, 0);
        }
        assert_eq!(notes.len(), 4, "{notes:?}");
    }
}
