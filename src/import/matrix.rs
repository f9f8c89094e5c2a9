//! Text files with a row of numbers in each line, parted by commas.

use std::path::Path;

use super::error::ImportError;
use super::text::{TextFile, parse_number};
use crate::data::{DenseRows, Features};
use crate::suggest::quote;

/// What a matrix holds.
pub(super) trait Entry: Copy {
    /// The number that is written so, or what is wrong.
    fn parse(text: &str) -> Result<Self, String>;
}

impl Entry for i64 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{} is no whole number", quote(text)))
    }
}

impl Entry for f32 {
    fn parse(text: &str) -> Result<Self, String> {
        parse_number(text)
    }
}

/// The numbers of a file, row after row; there is one column at least.
#[derive(Clone, Debug)]
pub(super) struct Matrix<T> {
    file: TextFile,
    pub width: usize,
    pub values: Vec<T>,
}

impl<T: Entry> Matrix<T> {
    /// Reads a file. Blank lines at its end do not count.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let file = TextFile::read(path)?;
        let (mut width, mut values) = (None, Vec::new());
        for line in file.text.trim_end().split_inclusive('\n') {
            let before = values.len();
            for field in line.split(',') {
                let field = field.trim();
                let offset = field.as_ptr() as usize - file.text.as_ptr() as usize;
                let help = "write numbers, parted by commas";
                values.push(T::parse(field).map_err(|message| file.error(offset, message, help))?);
            }
            let given = values.len() - before;
            let expected = *width.get_or_insert(given);
            if given != expected {
                let offset = line.as_ptr() as usize - file.text.as_ptr() as usize;
                let message = format!("the line has {given} numbers, but the first line has {expected}");
                return Err(file.error(offset, message, "write as many numbers into each line"));
            }
        }
        Ok(Self { width: width.unwrap_or(1), file, values })
    }

    /// How many lines there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// The line with this index as text, its numbers as they are.
    pub fn label(&self, row: usize) -> String
    where
        T: ToString,
    {
        let values = &self.values[row * self.width..(row + 1) * self.width];
        values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Checks how many numbers are in a line.
    pub fn check_width(&self, width: usize) -> Result<(), ImportError> {
        if self.width == width {
            return Ok(());
        }
        let message = format!("a line has {} numbers, not {width}", self.width);
        Err(self.error(0, message, format!("write {width} into each line")))
    }

    /// Checks that there is a line for each of so many `things`.
    pub fn check_rows(&self, count: usize, things: &str) -> Result<(), ImportError> {
        if self.rows() == count {
            return Ok(());
        }
        let message = format!("the file has {} lines, but there are {count} {things}", self.rows());
        Err(self.file.error_of_file(message, format!("write one line for each of the {things}")))
    }

    /// An error about a line, counted from 0.
    pub fn error(&self, row: usize, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        let offset = self.file.text.split_inclusive('\n').take(row).map(str::len).sum();
        self.file.error(offset, message, help)
    }
}

/// Labels as columns of a code that has one column for each value of each label.
#[derive(Clone, Debug)]
pub(super) struct OneHot {
    /// Labels in a row.
    labels: usize,
    /// Columns of the code.
    pub width: usize,
    /// The column that is 1, for each label of each row.
    columns: Vec<u32>,
}

impl OneHot {
    /// Numbers the values that occur of each label, smallest first.
    pub fn of(matrix: &Matrix<i64>) -> Self {
        let labels = matrix.width;
        let mut columns = vec![0; matrix.values.len()];
        let mut width = 0;
        for label in 0..labels {
            let mut values: Vec<i64> = matrix.values.iter().skip(label).step_by(labels).copied().collect();
            values.sort_unstable();
            values.dedup();
            let given = matrix.values.iter().skip(label).step_by(labels);
            for (column, value) in columns.iter_mut().skip(label).step_by(labels).zip(given) {
                *column = (width + values.partition_point(|other| other < value)) as u32;
            }
            width += values.len();
        }
        Self { labels, width, columns }
    }

    /// Whether rows have different labels.
    fn differ(&self) -> bool {
        self.width > self.labels
    }

    fn row(&self, row: usize) -> &[u32] {
        &self.columns[row * self.labels..(row + 1) * self.labels]
    }
}

/// Features of nodes: their numbers, then the code of their labels. Labels make them sparse, as there may be many.
pub(super) fn features(numbers: Option<Matrix<f32>>, code: Option<&OneHot>, rows: usize) -> Features {
    let code = code.filter(|code| code.differ());
    let given = numbers.as_ref().map_or(0, |numbers| numbers.width);
    let Some(code) = code else {
        return numbers
            .map_or_else(Features::default, |numbers| Features::Dense { width: given, values: numbers.values });
    };
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for row in 0..rows {
        if let Some(numbers) = &numbers {
            indices.extend(0..given as u32);
            values.extend(&numbers.values[row * given..(row + 1) * given]);
        }
        indices.extend(code.row(row).iter().map(|column| given as u32 + column));
        values.extend(code.row(row).iter().map(|_| 1.0));
        offsets.push(values.len());
    }
    Features::Sparse { width: given + code.width, offsets, indices, values }
}

/// The same for edges in another order, dense; the caller has checked that it fits into memory.
pub(super) fn dense_features(numbers: Option<&Matrix<f32>>, code: Option<&OneHot>, order: &[usize]) -> DenseRows {
    let given = numbers.map_or(0, |numbers| numbers.width);
    let width = given + code.map_or(0, |code| code.width);
    let mut values = vec![0.0; order.len() * width];
    for (place, &row) in order.iter().enumerate() {
        let target = &mut values[place * width..(place + 1) * width];
        if let Some(numbers) = numbers {
            target[..given].copy_from_slice(&numbers.values[row * given..(row + 1) * given]);
        }
        code.into_iter().flat_map(|code| code.row(row)).for_each(|column| target[given + *column as usize] = 1.0);
    }
    DenseRows { width, values }
}
