//! Splits in files of their own.

use std::path::{Path, PathBuf};

use connectome_components::Split;

use super::error::ImportError;
use super::kinds::Kinds;
use super::{Imported, labeled::SourceLabels};
use crate::data::{GraphSet, npz};

/// Puts the splits in some files in the place of those that the data have; the first one counts.
pub(super) fn replace(imported: &mut Imported, files: &[PathBuf]) -> Result<(), ImportError> {
    let Imported { data, labels, .. } = imported;
    let (count, what) = match &data.graphs {
        Some(graphs) => (GraphSet::len(graphs), "graph"),
        None => (data.nodes, "node"),
    };
    let classes = labels.as_ref().filter(|_| data.graphs.is_none() && data.targets.is_none());
    let mut all = Vec::new();
    for file in files {
        let read = npz::read_splits(file, count, what).map_err(|problem| problem.of_file(file.display()))?;
        for splits in &read {
            check(file, splits, classes)?;
        }
        all.extend(read);
    }
    if let Some(first) = all.first() {
        data.graphs.as_mut().map_or(&mut data.splits, |graphs| &mut graphs.splits).clone_from(first);
    }
    data.alternative_splits = if all.len() > 1 { all } else { Vec::new() };
    Ok(())
}

/// Checks that a node without a class is in no split.
fn check(file: &Path, splits: &[Split], classes: Option<&SourceLabels>) -> Result<(), ImportError> {
    let kinds = classes.map_or(&[][..], |labels| &labels.nodes.indices);
    let unlabeled = |(class, split): (&u32, &Split)| *class == Kinds::NONE && *split != Split::Unused;
    match kinds.iter().zip(splits).position(unlabeled) {
        None => Ok(()),
        Some(node) => {
            let message = format!("node {node} is in a split, but has no label");
            Err(ImportError::new(file, message, "take it out of the split, or give it a label"))
        }
    }
}
