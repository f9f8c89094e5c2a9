//! What arrays must be like.

use super::archive::{Archive, Array};
use crate::data::DenseRows;
use crate::data::Problem;

/// Nodes, columns and the like are numbered with 32 bits.
pub const END_OF_NUMBERS: u64 = 1 << 32;

/// The values of an array that must have one axis, of `length` if that is known.
pub fn list<T>(array: Array<T>, name: &str, length: Option<usize>) -> Result<Vec<T>, Problem> {
    match array.shape[..] {
        [given] if length.is_none_or(|length| length == given) => Ok(array.values),
        _ => {
            let expected = length.map_or_else(|| "[any]".to_owned(), |length| format!("[{length}]"));
            Err(wrong_shape(name, &array.shape, &expected))
        }
    }
}

/// A matrix of finite numbers with so many rows, if there is such an array; one with a single axis has one in each row.
pub fn optional_rows(archive: &mut Archive, name: &str, count: usize) -> Result<Option<DenseRows>, Problem> {
    if !archive.has(name) {
        return Ok(None);
    }
    let array = archive.read::<f32>(name)?;
    let width = match array.shape[..] {
        [rows, width] if rows == count => width,
        [rows] if rows == count => 1,
        _ => return Err(wrong_shape(name, &array.shape, &format!("[{count}, any]"))),
    };
    Ok(Some(DenseRows { width, values: finite(name, array.values)? }))
}

/// An array has another shape than it must have.
pub fn wrong_shape(array: &str, shape: &[usize], expected: &str) -> Problem {
    Problem::of(array, format!("has the shape {shape:?}"), format!("it must have the shape {expected}"))
}

/// Values that must lie from 0 to below `end`, which is at most [`END_OF_NUMBERS`].
pub fn indices(array: &str, values: &[i64], end: u64, help: &str) -> Result<Vec<u32>, Problem> {
    let check = |(position, &value): (usize, &i64)| {
        u32::try_from(value).ok().filter(|&index| u64::from(index) < end).ok_or_else(|| {
            let message = format!("holds {value} at position {position}, outside 0..{end}");
            Problem::of(array, message, help)
        })
    };
    values.iter().enumerate().map(check).collect()
}

/// Values none of which may be infinite or NaN.
pub fn finite(array: &str, values: Vec<f32>) -> Result<Vec<f32>, Problem> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(position) => {
            let message = format!("holds {} at position {position}", values[position]);
            Err(Problem::of(array, message, "every number must be finite, as an f32"))
        }
    }
}

/// Places that must rise from 0 to `end`, which is the number of `what`.
pub fn offsets(array: &str, offsets: &[i64], end: usize, what: &str, help: &str) -> Result<Vec<usize>, Problem> {
    let fault = |message: String| Problem::of(array, message, help);
    if let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(fault(format!("falls from {} to {} at row {row}", offsets[row], offsets[row + 1])));
    }
    let (first, last) = (offsets.first().copied(), offsets.last().copied());
    if first != Some(0) || last.map(usize::try_from) != Some(Ok(end)) {
        let endpoints = format!("{} to {}", first.unwrap_or(0), last.unwrap_or(0));
        return Err(fault(format!("goes from {endpoints}, but there are {end} {what}")));
    }
    // They rise from 0 to a `usize`.
    Ok(offsets.iter().map(|&offset| offset as usize).collect())
}
