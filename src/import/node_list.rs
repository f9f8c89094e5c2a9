//! Tables of nodes.

use std::collections::HashMap;
use std::path::Path;

use super::columns;
use super::draft::{Draft, split_named};
use super::error::ImportError;
use super::table::{Row, Table, find_column};
use super::targets::{Targets, is_target};
use crate::suggest::{nearest, quote};

/// Nodes by what a file calls them.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    places: HashMap<String, u32>,
    names: Vec<String>,
}

impl Numbers {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a node that may be new; none if there are more than can be numbered.
    pub fn insert(&mut self, name: &str) -> Option<u32> {
        if let Some(&number) = self.places.get(name) {
            return Some(number);
        }
        let number = u32::try_from(self.names.len()).ok()?;
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), number);
        Some(number)
    }

    /// The number of a node, or help for who has named one that is not there.
    pub fn find(&self, name: &str) -> Result<u32, String> {
        self.places.get(name).copied().ok_or_else(|| match nearest(name, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => "add a node with this name, or name another".to_owned(),
        })
    }

    /// The names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names, in the order of their numbers.
    pub fn into_names(self) -> Vec<String> {
        self.names
    }
}

/// What each column of the table holds.
pub(super) struct Columns {
    pub name: usize,
    pub label: Option<usize>,
    pub split: Option<usize>,
    /// Values to predict, with their names.
    pub targets: Vec<(usize, String)>,
    /// All others, with their names.
    pub features: Vec<(usize, String)>,
    pub count: usize,
}

impl Columns {
    /// Those of a table with this first line.
    pub fn of(table: &Table, header: &[String]) -> Result<Self, ImportError> {
        let Some(name) = find_column(header, &["name", "id", "node", "node_id"]) else {
            let help = "the first line must name the columns, and one of them must be \"name\"";
            return Err(table.error("no column holds the names of the nodes", help));
        };
        let (label, split) = (find_column(header, &["label", "class", "y"]), find_column(header, &["split"]));
        let is_other = |column: &usize| *column != name && Some(*column) != label && Some(*column) != split;
        let others = (0..header.len()).filter(is_other).map(|column| (column, header[column].clone()));
        let (targets, features) = others.partition(|(_, name)| is_target(name));
        Ok(Self { name, label, split, targets, features, count: header.len() })
    }
}

/// Reads the nodes with their classes, targets, splits and features.
pub(super) fn read(path: &Path) -> Result<(Draft, Numbers), ImportError> {
    let table = Table::read(path)?;
    let header = table.first_row()?;
    let columns = Columns::of(&table, &header)?;
    let (mut draft, mut numbers) = (Draft::default(), Numbers::default());
    let names = |columns: &[(usize, String)]| columns.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
    let mut features = columns::Columns::new(names(&columns.features));
    let mut targets = Targets::new(names(&columns.targets));
    table.each(true, |row| {
        row.check_width(columns.count)?;
        let node = numbers.len();
        read_name(&row, &columns, &mut numbers)?;
        if let Some(column) = columns.label {
            draft.labels.push(Some(row.get(column).to_owned()).filter(|label| !label.is_empty()));
        }
        for (target, (column, name)) in columns.targets.iter().enumerate() {
            let value = row.get(*column);
            targets.push(target, node, value).map_err(|message| row.value_error(*column, name, message))?;
        }
        read_split(&row, &columns, &targets, &mut draft)?;
        for (feature, (column, name)) in columns.features.iter().enumerate() {
            let value = row.get(*column);
            features.push(feature, node, value).map_err(|message| row.value_error(*column, name, message))?;
        }
        Ok(())
    })?;
    let nodes = numbers.len();
    let read = draft.take_node_columns(features, targets, nodes);
    read.map_err(|message| table.error(message, "take columns out"))?;
    Ok((draft, numbers))
}

/// Reads the name of a node, which is new.
pub(super) fn read_name(row: &Row, columns: &Columns, numbers: &mut Numbers) -> Result<(), ImportError> {
    let name = row.get(columns.name);
    if name.is_empty() {
        return Err(row.error(columns.name, "the node has no name", "give it a name that edges can use"));
    }
    let known = numbers.len();
    match numbers.insert(name) {
        Some(number) if number as usize == known => Ok(()),
        Some(number) => {
            let message = format!("the node is named {} like node {number}", quote(name));
            Err(row.error(columns.name, message, "give each node a name of its own"))
        }
        None => Err(row.error(columns.name, "there are more nodes than can be numbered", "import a part of the graph")),
    }
}

/// Reads the split of a node, if there is a column of them.
pub(super) fn read_split(
    row: &Row,
    columns: &Columns,
    targets: &Targets,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let Some(column) = columns.split else { return Ok(()) };
    let split = split_named(row.get(column)).ok_or_else(|| {
        let message = format!("{} is no split", quote(row.get(column)));
        row.error(column, message, "write train, validation, test, or nothing")
    })?;
    draft.check_split(split, targets).map_err(|message| {
        let help = "write it, or leave the split of the node empty";
        row.error(column, message, help)
    })?;
    draft.splits.get_or_insert_default().push(split);
    Ok(())
}
