//! Tables of nodes.

use std::collections::HashMap;
use std::path::Path;

use connectome_components::Split;

use super::draft::{Draft, split_named};
use super::error::ImportError;
use super::table::{Row, Table, find_column};
use crate::scene::suggest::{nearest, quote};

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
    pub fn into_names(self) -> Vec<String> {
        self.names
    }
}

/// What each column of the table holds.
struct Columns {
    name: usize,
    label: Option<usize>,
    split: Option<usize>,
    /// All others, with their names.
    features: Vec<(usize, String)>,
    count: usize,
}

impl Columns {
    fn of(table: &Table, header: &[String]) -> Result<Self, ImportError> {
        let Some(name) = find_column(header, &["name", "id", "node"]) else {
            let help = "the first line must name the columns, and one of them must be \"name\"";
            return Err(table.error("no column holds the names of the nodes", help));
        };
        let (label, split) = (find_column(header, &["label", "class", "y"]), find_column(header, &["split"]));
        let is_feature = |column: &usize| *column != name && Some(*column) != label && Some(*column) != split;
        let features = (0..header.len()).filter(is_feature).map(|column| (column, header[column].clone())).collect();
        Ok(Self { name, label, split, features, count: header.len() })
    }
}

/// Reads the nodes with their classes, splits and features.
pub(super) fn read(path: &Path) -> Result<(Draft, Numbers), ImportError> {
    let table = Table::read(path)?;
    let header = table.first_rows(1)?.swap_remove(0);
    let columns = Columns::of(&table, &header)?;
    let (mut draft, mut numbers) = (Draft::default(), Numbers::default());
    draft.features.width = columns.features.len();
    table.each(true, |row| {
        row.check_width(columns.count)?;
        read_name(&row, &columns, &mut numbers)?;
        read_label_and_split(&row, &columns, &mut draft)?;
        for (column, name) in &columns.features {
            draft.features.values.push(row.number(*column, &format!("the feature {}", quote(name)))?);
        }
        Ok(())
    })?;
    Ok((draft, numbers))
}

fn read_name(row: &Row, columns: &Columns, numbers: &mut Numbers) -> Result<(), ImportError> {
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

fn read_label_and_split(row: &Row, columns: &Columns, draft: &mut Draft) -> Result<(), ImportError> {
    if let Some(column) = columns.label {
        draft.labels.push(Some(row.get(column).to_owned()).filter(|label| !label.is_empty()));
    }
    let Some(column) = columns.split else { return Ok(()) };
    let split = split_named(row.get(column)).ok_or_else(|| {
        let message = format!("{} is no split", quote(row.get(column)));
        row.error(column, message, "write train, validation, test, or nothing")
    })?;
    if split != Split::Unused && draft.labels.last().is_some_and(Option::is_none) {
        let help = "write its label, or leave its split empty";
        return Err(row.error(column, "the node is in a split, but has no label", help));
    }
    draft.splits.get_or_insert_default().push(split);
    Ok(())
}
