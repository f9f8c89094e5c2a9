//! The splits of nodes, edges or graphs.

use connectome_components::Split;

use super::archive::Archive;
use super::check::{indices, list, wrong_shape};
use crate::data::Problem;

/// What the arrays about each split are called.
pub const SPLITS: [(&str, Split); 3] = [("train", Split::Train), ("val", Split::Validation), ("test", Split::Test)];

/// What stands before the names of these arrays where they are about edges.
pub const OF_EDGES: &str = "edge_";

/// What the array of those without a label is called; the second in earlier files.
const UNLABELED: [&str; 2] = ["unlabeled", "unlabelled"];

/// How arrays tell which nodes, edges or graphs are in a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// They list them, or are masks.
    Members,
    /// Masks `[rows]`, or `[rows, splits]` as PyTorch Geometric has them.
    Columns,
    /// Masks `[splits, rows]`.
    Rows,
}

impl Form {
    const ALL: [Self; 3] = [Self::Members, Self::Columns, Self::Rows];

    /// What the names of the arrays end with.
    fn ending(self) -> &'static str {
        match self {
            Self::Members => "",
            Self::Columns => "_mask",
            Self::Rows => "_masks",
        }
    }

    fn names(self, prefix: &str) -> [String; 3] {
        SPLITS.map(|(name, _)| format!("{prefix}{name}{}", self.ending()))
    }
}

/// The splits that a file has.
#[derive(Clone, Debug, Default)]
pub struct Splits {
    /// The one that counts.
    pub first: Vec<Split>,
    /// All of them, if there are several.
    pub all: Vec<Vec<Split>>,
}

/// Reads the split of each of `count` nodes, edges or graphs from arrays whose names begin with `prefix`; none is in a split
/// if the file has no such arrays.
pub fn read_splits(archive: &mut Archive, prefix: &str, count: usize, what: &str) -> Result<Splits, Problem> {
    let has = |form: &Form| form.names(prefix).iter().any(|name| archive.has(name));
    let forms: Vec<Form> = Form::ALL.into_iter().filter(has).collect();
    let mut splits = Splits { first: vec![Split::Unused; count], all: Vec::new() };
    for (place, form) in forms.into_iter().enumerate() {
        let mut read = match form {
            Form::Members => vec![read_lists(archive, prefix, count, what)?],
            Form::Columns | Form::Rows => read_masks(archive, form, prefix, count, what)?,
        };
        if let Some(first) = read.first().filter(|_| place == 0) {
            splits.first.clone_from(first);
        }
        if read.len() > 1 && splits.all.is_empty() {
            splits.all = std::mem::take(&mut read);
        }
    }
    let unlabeled = archive.first_of(&UNLABELED);
    if prefix.is_empty() && archive.has(unlabeled) {
        let members = read_members(archive, unlabeled, count, what)?;
        std::iter::once(&splits.first)
            .chain(&splits.all)
            .try_for_each(|of| check_unlabeled(unlabeled, &members, of, what))?;
    }
    Ok(splits)
}

/// Each array lists the members of a split, or is a mask: truth values for all. Zeros and ones for all in all three are masks,
/// too, for as lists they would overlap.
fn read_lists(archive: &mut Archive, prefix: &str, count: usize, what: &str) -> Result<Vec<Split>, Problem> {
    let names = Form::Members.names(prefix);
    let members = names.iter().map(|array| read_members(archive, array, count, what));
    let mut members = members.collect::<Result<Vec<_>, Problem>>()?;
    if count > 1 && members.iter().all(|members| members.len() == count && members.iter().all(|&member| member < 2)) {
        members.iter_mut().for_each(|members| *members = selected(members.iter().map(|&member| member == 1)));
    }
    let mut splits = vec![Split::Unused; count];
    for ((array, (_, split)), members) in names.iter().zip(SPLITS).zip(members) {
        assign(&mut splits, array, split, members, what)?;
    }
    Ok(splits)
}

/// One or several splits. An array with a single one belongs to all splits of the others.
fn read_masks(
    archive: &mut Archive,
    form: Form,
    prefix: &str,
    count: usize,
    what: &str,
) -> Result<Vec<Vec<Split>>, Problem> {
    let mut splits = vec![vec![Split::Unused; count]];
    for (array, (_, split)) in form.names(prefix).iter().zip(SPLITS) {
        let masks = read_mask(archive, array, form, count)?;
        if masks.len() != splits.len() && masks.len() > 1 {
            if splits.len() > 1 {
                let message = format!("holds {} splits, but the arrays before it {}", masks.len(), splits.len());
                return Err(Problem::of(array, message, "write as many masks for each of train, val and test"));
            }
            splits.resize(masks.len(), splits[0].clone());
        }
        for (number, splits) in splits.iter_mut().enumerate() {
            let mask = masks.get(number).or(masks.first()).map_or(&[][..], Vec::as_slice);
            assign(splits, array, split, selected(mask.iter().copied()), what)?;
        }
    }
    Ok(splits)
}

/// The masks in an array: one, or one for each split.
fn read_mask(archive: &mut Archive, array: &str, form: Form, count: usize) -> Result<Vec<Vec<bool>>, Problem> {
    let (shape, values) = if archive.is_bool(array)? {
        let read = archive.read::<bool>(array)?;
        (read.shape, read.values)
    } else {
        let read = archive.read::<i64>(array)?;
        let values = indices(array, &read.values, 2, "a mask holds 1 for what it selects, and 0 for all else")?;
        (read.shape, values.into_iter().map(|value| value == 1).collect())
    };
    let row = |start: usize, step: usize| values.iter().skip(start).step_by(step).take(count).copied().collect();
    match (form, &shape[..]) {
        (_, &[rows]) if rows == count => Ok(vec![values]),
        (Form::Columns, &[rows, splits]) if rows == count => Ok((0..splits).map(|split| row(split, splits)).collect()),
        (Form::Rows, &[splits, rows]) if rows == count => Ok((0..splits).map(|split| row(split * rows, 1)).collect()),
        (Form::Rows, _) => Err(wrong_shape(array, &shape, &format!("[splits, {count}]"))),
        _ => Err(wrong_shape(array, &shape, &format!("[{count}] or [{count}, splits]"))),
    }
}

/// Puts members into a split; each is in one at most.
fn assign(
    splits: &mut [Split],
    array: &str,
    split: Split,
    members: impl IntoIterator<Item = u32>,
    what: &str,
) -> Result<(), Problem> {
    for member in members {
        let place = &mut splits[member as usize];
        if *place != Split::Unused {
            let message = format!("lists {what} {member}, which is in the split {place:?} already");
            return Err(Problem::of(array, message, format!("a {what} is in one split at most, and once")));
        }
        *place = split;
    }
    Ok(())
}

/// The indices of the nodes, edges or graphs that an array lists, or selects as a mask.
fn read_members(archive: &mut Archive, array: &str, count: usize, what: &str) -> Result<Vec<u32>, Problem> {
    if archive.is_bool(array)? {
        return Ok(selected(list(archive.read::<bool>(array)?, array, Some(count))?));
    }
    let members = list(archive.read(array)?, array, None)?;
    indices(array, &members, count as u64, &format!("each must be the number of a {what}"))
}

/// Where a mask is true.
fn selected(mask: impl IntoIterator<Item = bool>) -> Vec<u32> {
    (0..).zip(mask).filter_map(|(member, selects)| selects.then_some(member)).collect()
}

fn check_unlabeled(array: &str, members: &[u32], splits: &[Split], what: &str) -> Result<(), Problem> {
    match members.iter().find(|&&member| splits[member as usize] != Split::Unused) {
        None => Ok(()),
        Some(&member) => {
            let message = format!("lists {what} {member}, which is in the split {:?}", splits[member as usize]);
            let help = format!("take {what}s without a label out of the splits");
            Err(Problem::of(array, message, help))
        }
    }
}
