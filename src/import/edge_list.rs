//! Tables of edges.
//!
//! The first line names the columns only if it cannot be an edge: because it calls them source and target (or src and
//! dst, from and to, ...), or has words where all other lines have numbers. Without names a third column is the weight, or
//! holds dictionaries as networkx writes them.
//!
//! Of the other columns, or entries of dictionaries, `label` is the class of an edge, `target` a value to predict (where the
//! columns of the nodes have other names), and `split` the split of the edge; all others are features.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Imported;
use super::columns::{self, MAX_COLUMNS, Value};
use super::dictionary;
use super::draft::Draft;
use super::error::ImportError;
use super::node_kinds;
use super::node_list::{self, Numbers};
use super::table::{Row, Table, find_column};
use crate::suggest::quote;

/// What the first line may call the columns.
const SOURCES: [&str; 7] = ["source", "src", "from", "sender", "u", "source_id", "node1"];
const TARGETS: [&str; 8] = ["target", "dst", "to", "receiver", "v", "target_id", "node2", "dest"];

/// Names of columns that are as good names for nodes.
const NAMES_OF_NODES: [&str; 4] = ["u", "v", "node1", "node2"];

/// What each column of the table holds.
pub(super) struct Columns {
    pub source: usize,
    pub target: usize,
    pub weight: Option<usize>,
    /// A column of dictionaries, as networkx writes them.
    dictionary: Option<usize>,
    /// All others, with their names.
    pub features: Vec<(usize, String)>,
    pub count: usize,
    /// Whether the first line names them.
    pub has_header: bool,
}

impl Columns {
    /// Those of a table; what is guessed is added to the notes.
    pub fn of(table: &Table, notes: &mut Vec<String>) -> Result<Self, ImportError> {
        let first = table.first_row()?;
        let count = first.len();
        if count < 2 {
            let help = "write source and target of each edge, parted by commas, semicolons, tabs or blanks";
            return Err(table.error("the table has one column", help));
        }
        if let Some((source, target)) = header(table, &first, notes)? {
            let weight = find_column(&first, &["weight"]).filter(|weight| ![source, target].contains(weight));
            let is_feature = |column: &usize| ![Some(source), Some(target), weight].contains(&Some(*column));
            let features = (0..count).filter(is_feature).map(|column| (column, first[column].clone())).collect();
            return Ok(Self { source, target, weight, dictionary: None, features, count, has_header: true });
        }
        let skipped = table.comments_like_rows(count);
        if skipped > 0 {
            notes.push(format!("lines that are taken for comments, although they could be edges: {skipped}"));
        }
        if count > 3 {
            let message = format!("the table has {count} columns, but its first line does not name them");
            return Err(table.error(message, "write a first line such as source,target,weight"));
        }
        let third = (count == 3).then_some(2);
        let dictionary = third.filter(|&column| dictionary::parse(&first[column], MAX_COLUMNS).is_some());
        let weight = third.filter(|_| dictionary.is_none());
        if weight.is_some() {
            notes.push("the third column has no name, and is read as the weight".to_owned());
        }
        Ok(Self { source: 0, target: 1, weight, dictionary, features: Vec::new(), count, has_header: false })
    }
}

/// The columns of source and target if the first line is a header: it is one only if it cannot be an edge.
fn header(table: &Table, first: &[String], notes: &mut Vec<String>) -> Result<Option<(usize, usize)>, ImportError> {
    let find = |names: &[&str]| find_column(first, names);
    // Names that belong together come first: beside `from` and `to`, `target` is something else.
    let pair = SOURCES.iter().zip(TARGETS).find_map(|(source, target)| find(&[source]).zip(find(&[target])));
    let named = pair.or_else(|| find(&SOURCES).zip(find(&TARGETS)));
    let (source, target) = named.unwrap_or((0, 1));
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    let names = [first[source].as_str(), first[target].as_str()];
    if names.into_iter().any(is_number) {
        return Ok(None);
    }
    let others: Vec<usize> =
        (0..first.len()).filter(|&at| ![source, target].contains(&at) && !is_number(&first[at])).collect();
    let (mut rows, mut are_numbers, mut is_above_numbers, mut known) = (0_usize, true, false, None);
    table.each(true, |row| {
        rows += 1;
        for end in [row.get(source), row.get(target)] {
            are_numbers &= is_number(end);
            if known.is_none() && names.contains(&end) {
                known = Some(quote(end));
            }
        }
        is_above_numbers |= others.iter().any(|&column| is_number(row.get(column)));
        Ok(())
    })?;
    let [one, other] = names.map(quote);
    let is_header = match (&known, named) {
        (None, Some(_)) => true,
        (Some(_), Some(_)) => is_above_numbers,
        (_, None) => rows > 0 && are_numbers,
    };
    notes.extend(match known {
        Some(known) if named.is_some() && is_header => {
            Some(format!("the first line is taken for names of columns, although {known} is a node in other lines"))
        }
        Some(known) if named.is_some() => {
            Some(format!("the first line is read as an edge, for {known} is a node in other lines, too"))
        }
        None if is_header && (named.is_none() || names.iter().any(|name| NAMES_OF_NODES.contains(name))) => {
            Some(format!("the first line is taken for names of columns, not for an edge from {one} to {other}"))
        }
        None if !is_header && rows > 0 => {
            Some(format!("the first line is read as an edge from {one} to {other}, which are in no other line"))
        }
        _ => None,
    });
    Ok(is_header.then_some((source, target)))
}

/// Whether names of columns are among those that endpoints have.
pub(super) fn names_endpoints(fields: &[&str]) -> bool {
    let is_named =
        |names: &[&str]| fields.iter().any(|field| names.iter().any(|name| name.eq_ignore_ascii_case(field)));
    is_named(&SOURCES) && is_named(&TARGETS)
}

/// Reads the edges in the table, and their nodes from a table of their own if there is one.
pub(super) fn read(path: &Path, nodes: Option<&Path>, undirected: bool) -> Result<Imported, ImportError> {
    let table = Table::read(path)?;
    let tells_kinds = nodes.map(Table::read).transpose()?.is_some_and(|nodes| node_kinds::are_in(&table, &nodes));
    let mut imported = read_table(&table, nodes.map(node_list::read).transpose()?, undirected)?;
    if tells_kinds {
        let note =
            "the kinds of nodes and edges are read as features; to read them as kinds and relations, ask for kinds";
        imported.notes.push(note.to_owned());
    }
    Ok(imported)
}

/// Reads the edges in a table, of nodes that are known, or else those that it names.
pub(super) fn read_table(
    table: &Table,
    known: Option<(Draft, Numbers)>,
    undirected: bool,
) -> Result<Imported, ImportError> {
    let has_nodes = known.is_some();
    let (mut draft, mut numbers) = known.unwrap_or_default();
    let columns = Columns::of(table, &mut draft.notes)?;
    let mut features = columns::Columns::new(columns.features.iter().map(|(_, name)| name.clone()));
    let (mut weights, mut unweighted, mut places) = (Vec::new(), 0_usize, HashMap::new());
    table.each(columns.has_header, |row| {
        row.check_width(columns.count)?;
        let number = draft.edges.len();
        let mut end = |column| read_end(&row, column, has_nodes, &mut numbers);
        draft.edges.push([end(columns.source)?, end(columns.target)?]);
        for (feature, (column, name)) in columns.features.iter().enumerate() {
            let value = row.get(*column);
            features.push(feature, number, value).map_err(|message| row.value_error(*column, name, message))?;
        }
        let weight = match (columns.weight, columns.dictionary) {
            (Some(column), _) => read_weight(&row, column, row.get(column))?,
            (None, Some(column)) => read_dictionary(&row, column, number, &mut features, &mut places)?,
            (None, None) => return Ok(()),
        };
        unweighted += usize::from(weight.is_none());
        weights.push(weight.unwrap_or(1.0));
        Ok(())
    })?;
    if unweighted > 0 && unweighted < weights.len() {
        draft.notes.push(format!("the weight is missing for {unweighted} of {} edges, and read as 1", weights.len()));
    }
    draft.weights = (columns.weight.is_some() || columns.dictionary.is_some()).then_some(weights);
    draft.take_edge_columns(features).map_err(|message| table.error(message, "take columns out"))?;
    draft.names = numbers.into_names();
    if !has_nodes {
        sort_by_number(&mut draft);
    }
    draft.add_reverse_edges(|_| undirected);
    Ok(draft.finish())
}

/// The weight of an edge, if it has one.
pub(super) fn read_weight(row: &Row, column: usize, text: &str) -> Result<Option<f32>, ImportError> {
    let problem = match Value::parse(text) {
        Ok(Value::Missing) => return Ok(None),
        Ok(Value::Number(weight)) => return Ok(Some(weight)),
        Ok(Value::Word(word)) => format!("{} is no number", quote(word)),
        Err(message) => message,
    };
    Err(row.error(column, problem, "write the weight as a finite number, or take the column out"))
}

/// The weight of an edge in its dictionary; what else is there becomes features.
fn read_dictionary(
    row: &Row,
    column: usize,
    edge: usize,
    features: &mut columns::Columns,
    places: &mut HashMap<String, usize>,
) -> Result<Option<f32>, ImportError> {
    let text = row.get(column);
    let too_many = |what: &str| {
        let message = format!("{what} more than {MAX_COLUMNS} entries, the most that are read");
        row.error(column, message, "take entries out, or write the features to an npz file")
    };
    let Some(entries) = dictionary::parse(text, MAX_COLUMNS) else {
        let help = "write {'weight': 1.0} or {}";
        return Err(row.error(column, format!("{} is no dictionary", quote(text)), help));
    };
    if entries.len() > MAX_COLUMNS {
        return Err(too_many("the dictionary has"));
    }
    let mut weight = None;
    let mut known = HashSet::new();
    for (name, value) in &entries {
        if !known.insert(name) {
            return Err(row.error(column, format!("{} is there twice", quote(name)), "take one of them out"));
        }
        if name == "weight" {
            weight = read_weight(row, column, value)?;
            continue;
        }
        let feature = match places.get(name) {
            Some(feature) => *feature,
            None => {
                let feature = features.add(name).ok_or_else(|| too_many("the dictionaries have"))?;
                *places.entry(name.clone()).or_insert(feature)
            }
        };
        features.push(feature, edge, value).map_err(|message| row.value_error(column, name, message))?;
    }
    Ok(weight)
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
