//! Tables of edges.

use std::path::Path;

use super::Imported;
use super::draft::Draft;
use super::error::ImportError;
use super::node_list::{self, Numbers};
use super::table::{Row, Table, find_column};
use crate::data::DenseRows;
use crate::scene::suggest::quote;

/// What the first line may call the columns.
const SOURCES: [&str; 7] = ["source", "src", "from", "sender", "u", "source_id", "node1"];
const TARGETS: [&str; 8] = ["target", "dst", "to", "receiver", "v", "target_id", "node2", "dest"];

/// What each column of the table holds.
struct Columns {
    source: usize,
    target: usize,
    weight: Option<usize>,
    /// All others, with their names.
    features: Vec<(usize, String)>,
    count: usize,
    /// Whether the first line names them.
    has_header: bool,
}

impl Columns {
    fn of(table: &Table) -> Result<Self, ImportError> {
        let rows = table.first_rows(2)?;
        let first = &rows[0];
        if first.len() < 2 {
            let help = "write source and target of each edge, parted by commas, semicolons, tabs or blanks";
            return Err(table.error("the table has one column", help));
        }
        let named = find_column(first, &SOURCES).zip(find_column(first, &TARGETS));
        // A line of words above lines of numbers names the columns, whatever the words are.
        let is_number = |text: &String| text.parse::<i64>().is_ok();
        let above = |second: &Vec<String>| {
            second.len() >= 2 && second[..2].iter().all(is_number) && !first[..2].iter().any(is_number)
        };
        if let Some((source, target)) = named.or(rows.get(1).is_some_and(above).then_some((0, 1))) {
            let weight = find_column(first, &["weight"]);
            let is_feature = |column: &usize| ![Some(source), Some(target), weight].contains(&Some(*column));
            let features = (0..first.len()).filter(is_feature).map(|column| (column, first[column].clone())).collect();
            return Ok(Self { source, target, weight, features, count: first.len(), has_header: true });
        }
        if first.len() > 3 {
            let message = format!("the table has {} columns, but its first line does not name them", first.len());
            return Err(table.error(message, "write a first line such as source,target,weight"));
        }
        let weight = (first.len() == 3).then_some(2);
        Ok(Self { source: 0, target: 1, weight, features: Vec::new(), count: first.len(), has_header: false })
    }
}

/// Reads the edges in the table, and their nodes from a table of their own if there is one.
pub(super) fn read(path: &Path, nodes: Option<&Path>, undirected: bool) -> Result<Imported, ImportError> {
    let table = Table::read(path)?;
    let columns = Columns::of(&table)?;
    let known = nodes.map(node_list::read).transpose()?;
    let has_nodes = known.is_some();
    let (mut draft, mut numbers) = known.unwrap_or_default();
    draft.weights = columns.weight.map(|_| Vec::new());
    let width = columns.features.len();
    draft.edge_features = (width > 0).then(|| DenseRows { width, values: Vec::new() });
    table.each(columns.has_header, |row| {
        row.check_width(columns.count)?;
        let mut end = |column| read_end(&row, column, has_nodes, &mut numbers);
        let endpoints = [end(columns.source)?, end(columns.target)?];
        draft.edges.push(endpoints);
        if let Some((column, weights)) = columns.weight.zip(draft.weights.as_mut()) {
            weights.push(row.number(column, "the weight")?);
        }
        if let Some(rows) = &mut draft.edge_features {
            for (column, name) in &columns.features {
                rows.values.push(row.number(*column, &format!("the feature {}", quote(name)))?);
            }
        }
        Ok(())
    })?;
    draft.names = numbers.into_names();
    if !has_nodes {
        sort_by_number(&mut draft);
    }
    draft.add_ways_back(|_| undirected);
    Ok(draft.finish(Vec::new()))
}

/// The number of the node at one end of an edge; without a table of nodes it may be new.
fn read_end(row: &Row, column: usize, has_nodes: bool, numbers: &mut Numbers) -> Result<u32, ImportError> {
    let name = row.get(column);
    if name.is_empty() {
        return Err(row.error(column, "the edge lacks a node", "write the names of two nodes"));
    }
    if has_nodes {
        return numbers
            .find(name)
            .map_err(|help| row.error(column, format!("the table of nodes has no {}", quote(name)), help));
    }
    numbers
        .insert(name)
        .ok_or_else(|| row.error(column, "there are more nodes than can be numbered", "import a part of the graph"))
}

/// Where all nodes are called by whole numbers, they are put in that order.
fn sort_by_number(draft: &mut Draft) {
    let value = |name: &String| name.parse::<u64>().ok().filter(|number| number.to_string() == *name);
    let Some(values) = draft.names.iter().map(value).collect::<Option<Vec<u64>>>() else { return };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by_key(|&node| values[node]);
    let mut places = vec![0; order.len()];
    for (place, &node) in (0..).zip(&order) {
        places[node] = place;
    }
    draft.names = order.iter().map(|&node| draft.names[node].clone()).collect();
    draft.edges.iter_mut().flatten().for_each(|end| *end = places[*end as usize]);
}
