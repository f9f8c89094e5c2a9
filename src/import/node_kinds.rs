//! Tables whose nodes are of several kinds, and whose edges are of several relations.
//!
//! A column `kind` of the nodes names the kind of each, a column `relation` or `kind` of the edges the relation. Of the other columns of
//! the nodes each kind has those in which some node of it has a value.

use std::collections::HashMap;
use std::path::Path;

use connectome_components::Split;

use super::Imported;
use super::columns;
use super::draft::Draft;
use super::edge_list;
use super::error::ImportError;
use super::node_list::{self, Numbers};
use super::table::{Row, Table, find_column};
use super::targets::{Targets, is_target};
use crate::data::{GraphData, GraphKinds, NodesOfKind, RelationEdges};
use crate::suggest::{nearest, quote};

/// What the column of the kind of a node may be called.
const KIND: [&str; 3] = ["kind", "node_kind", "node_type"];

/// What the column of the relation of an edge may be called.
const RELATION: [&str; 4] = ["relation", "kind", "edge_kind", "edge_type"];

/// The most kinds and relations that are read: more different words are names.
const MAX_WORDS: usize = 256;

/// Whether tables tell kinds of nodes and relations.
pub(super) fn are_in(edges: &Table, nodes: &Table) -> bool {
    let has = |table: &Table, names: &[&str]| table.first_row().is_ok_and(|first| find_column(&first, names).is_some());
    has(nodes, &KIND) && has(edges, &RELATION)
}

/// Reads the edges in a table, and the nodes in another.
pub(super) fn read(path: &Path, nodes: &Path, undirected: bool) -> Result<Imported, ImportError> {
    let (edges, nodes) = (Table::read(path)?, Table::read(nodes)?);
    if undirected {
        let message = "edges of relations lead from one kind to another, so they are not undirected";
        let help = "leave that out: the scene that is written lets messages go back along each relation";
        return Err(edges.error(message, help));
    }
    let mut notes = Vec::new();
    let kinds = KindTable::read(&nodes)?;
    let places = kinds.places();
    let relations = Relations { kinds: &kinds, places: &places }.read(&edges, &mut notes)?;
    let kinds = kinds.finish(&nodes, &mut notes)?;
    let data = together(kinds, relations, &nodes)?;
    Ok(Imported { data, notes, labels: None })
}

/// The kinds and relations as one graph, of which the kind comes first of which something is known for most nodes.
fn together(
    mut kinds: Vec<NodesOfKind>,
    mut relations: Vec<RelationEdges>,
    nodes: &Table,
) -> Result<GraphData, ImportError> {
    let known = |nodes: &GraphData| nodes.splits.iter().filter(|split| **split != Split::Unused).count();
    let own = (0..kinds.len()).rev().max_by_key(|kind| known(&kinds[*kind].nodes));
    let Some(own) = own.filter(|own| known(&kinds[*own].nodes) > 0) else {
        let help = "give the nodes of one kind a column label or target";
        return Err(nodes.error("nothing is known of nodes that could be learned", help));
    };
    let order = |kind: usize| if kind == own { 0 } else { kind + usize::from(kind < own) };
    relations.iter_mut().for_each(|relation| relation.ends = relation.ends.map(order));
    let NodesOfKind { name, nodes } = kinds.remove(own);
    Ok(GraphData { kinds: Some(Box::new(GraphKinds { own: name, others: kinds, relations })), ..nodes })
}

/// The nodes of a kind while they are read.
struct Kind {
    name: String,
    draft: Draft,
    features: columns::Columns,
    targets: Targets,
}

/// The nodes by kind.
struct KindTable {
    kinds: Vec<Kind>,
    /// All nodes by name.
    numbers: Numbers,
    /// The kind of each, and its number within the kind.
    nodes: Vec<(usize, u32)>,
}

/// Checks that arrays and parameters can be called by a word.
fn check_word(row: &Row, column: usize, what: &str, known: usize) -> Result<(), ImportError> {
    let word = row.get(column);
    if word.is_empty() {
        return Err(row.error(column, format!("the line has no {what}"), format!("write the {what} as a word")));
    }
    if word.contains(['.', '/']) {
        let message = format!("{} is no name for a {what}: arrays and parameters are named by it", quote(word));
        return Err(row.error(column, message, "write a name without dots and slashes"));
    }
    if known >= MAX_WORDS {
        let message = format!("there are more than {MAX_WORDS} different words as {what}");
        return Err(row.error(column, message, "group them, or leave the column out"));
    }
    Ok(())
}

impl KindTable {
    fn read(table: &Table) -> Result<Self, ImportError> {
        let header = table.first_row()?;
        let Some(kind) = find_column(&header, &KIND) else {
            return Err(table.error("no column tells the kinds of the nodes", "call it \"kind\""));
        };
        let columns = node_list::Columns::of(table, &header)?;
        let of_features: Vec<&(usize, String)> =
            columns.features.iter().filter(|(column, _)| *column != kind).collect();
        let mut all = Self { kinds: Vec::new(), numbers: Numbers::default(), nodes: Vec::new() };
        table.each(true, |row| {
            row.check_width(columns.count)?;
            node_list::read_name(&row, &columns, &mut all.numbers)?;
            let word = row.get(kind);
            let place = match all.kinds.iter().position(|kind| kind.name == word) {
                Some(place) => place,
                None => {
                    check_word(&row, kind, "kind", all.kinds.len())?;
                    let names = |columns: &mut dyn Iterator<Item = &String>| columns.cloned().collect::<Vec<String>>();
                    all.kinds.push(Kind {
                        name: word.to_owned(),
                        draft: Draft::default(),
                        features: columns::Columns::new(names(&mut of_features.iter().map(|(_, name)| name))),
                        targets: Targets::new(names(&mut columns.targets.iter().map(|(_, name)| name))),
                    });
                    all.kinds.len() - 1
                }
            };
            all.nodes.push((place, all.kinds[place].draft.names.len() as u32));
            all.kinds[place].add(&row, &columns, &of_features)
        })?;
        let mut order: Vec<usize> = (0..all.kinds.len()).collect();
        order.sort_by(|one, other| all.kinds[*one].name.cmp(&all.kinds[*other].name));
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, kind)| places[*kind] = place);
        all.nodes.iter_mut().for_each(|(kind, _)| *kind = places[*kind]);
        all.kinds.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// The kind of each node by name, and its number within the kind.
    fn places(&self) -> HashMap<&str, (usize, u32)> {
        self.numbers.names().iter().map(String::as_str).zip(self.nodes.iter().copied()).collect()
    }

    /// The nodes of each kind as data.
    fn finish(self, table: &Table, notes: &mut Vec<String>) -> Result<Vec<NodesOfKind>, ImportError> {
        let finish = |kind: Kind| {
            let name = kind.name.clone();
            let nodes = kind.finish(notes).map_err(|message| table.error(message, "take columns out"))?;
            Ok(NodesOfKind { name, nodes })
        };
        self.kinds.into_iter().map(finish).collect()
    }
}

impl Kind {
    /// Adds a node.
    fn add(
        &mut self,
        row: &Row,
        columns: &node_list::Columns,
        features: &[&(usize, String)],
    ) -> Result<(), ImportError> {
        let draft = &mut self.draft;
        let number = draft.names.len();
        draft.names.push(row.get(columns.name).to_owned());
        if let Some(column) = columns.label {
            draft.labels.push(Some(row.get(column).to_owned()).filter(|label| !label.is_empty()));
        }
        for (target, (column, name)) in columns.targets.iter().enumerate() {
            let pushed = self.targets.push(target, number, row.get(*column));
            pushed.map_err(|message| row.value_error(*column, name, message))?;
        }
        for (feature, (column, name)) in features.iter().enumerate() {
            let pushed = self.features.push(feature, number, row.get(*column));
            pushed.map_err(|message| row.value_error(*column, name, message))?;
        }
        node_list::read_split(row, columns, &self.targets, draft)
    }

    /// The nodes as data; what is made up or left out is added to the notes.
    fn finish(mut self, notes: &mut Vec<String>) -> Result<GraphData, String> {
        let nodes = self.draft.names.len();
        self.features.leave_empty_out();
        if self.draft.labels.iter().all(Option::is_none) {
            self.draft.labels.clear();
        }
        if !self.targets.has_values() {
            self.targets = Targets::default();
        }
        self.draft.take_node_columns(self.features, self.targets, nodes)?;
        let is_known = !self.draft.labels.is_empty() || self.draft.targets.is_some();
        if !is_known {
            self.draft.splits = Some(vec![Split::Unused; nodes]);
        }
        let Imported { data, notes: of_kind, .. } = self.draft.finish();
        notes.extend(of_kind.into_iter().map(|note| format!("of the kind {}: {note}", quote(&self.name))));
        Ok(if is_known { data } else { GraphData { labels: Vec::new(), classes: 0, ..data } })
    }
}

/// What the ends of edges are.
struct Relations<'a> {
    kinds: &'a KindTable,
    places: &'a HashMap<&'a str, (usize, u32)>,
}

/// A relation while it is read.
struct Relation {
    edges: RelationEdges,
    features: columns::Columns,
    weights: Vec<f32>,
    /// The line of its first edge.
    line: usize,
}

impl Relations<'_> {
    fn read(&self, table: &Table, notes: &mut Vec<String>) -> Result<Vec<RelationEdges>, ImportError> {
        let columns = edge_list::Columns::of(table, notes)?;
        let header = table.first_row()?;
        let Some(word) = find_column(&header, &RELATION).filter(|_| columns.has_header) else {
            return Err(table.error("no column tells the relations of the edges", "call it \"relation\" or \"kind\""));
        };
        let of_features: Vec<&(usize, String)> =
            columns.features.iter().filter(|(column, name)| *column != word && !is_known_of_edges(name)).collect();
        let left_out = columns.features.iter().filter(|(_, name)| is_known_of_edges(name)).map(|(_, name)| quote(name));
        let left_out: Vec<String> = left_out.collect();
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            notes.push(format!("{names} of edges is left out: nothing is predicted of edges of relations yet"));
        }
        let mut all: Vec<Relation> = Vec::new();
        table.each(true, |row| {
            row.check_width(columns.count)?;
            let ends = [self.end(&row, columns.source)?, self.end(&row, columns.target)?];
            let place = match all.iter().position(|relation| relation.edges.name == row.get(word)) {
                Some(place) => place,
                None => {
                    check_word(&row, word, "relation", all.len())?;
                    let name = row.get(word).to_owned();
                    let names = of_features.iter().map(|(_, name)| name.clone());
                    all.push(Relation {
                        edges: RelationEdges { name, ends: ends.map(|(kind, _)| kind), ..RelationEdges::default() },
                        features: columns::Columns::new(names),
                        weights: Vec::new(),
                        line: row.error(word, "", "").position.map_or(0, |position| position.line),
                    });
                    all.len() - 1
                }
            };
            let relation = &mut all[place];
            self.check_ends(&row, word, relation, ends.map(|(kind, _)| kind))?;
            let number = relation.edges.edges.len();
            relation.edges.edges.push(ends.map(|(_, number)| number));
            for (feature, (column, name)) in of_features.iter().enumerate() {
                let pushed = relation.features.push(feature, number, row.get(*column));
                pushed.map_err(|message| row.value_error(*column, name, message))?;
            }
            if let Some(column) = columns.weight {
                relation.weights.push(edge_list::read_weight(&row, column, row.get(column))?.unwrap_or(1.0));
            }
            Ok(())
        })?;
        let names: Vec<String> = all.iter().map(|relation| relation.edges.name.clone()).collect();
        all.into_iter()
            .map(|relation| relation.finish(&names, notes).map_err(|message| table.error(message, "take columns out")))
            .collect()
    }

    /// The kind and the number of the node at one end of an edge.
    fn end(&self, row: &Row, column: usize) -> Result<(usize, u32), ImportError> {
        let name = row.get(column);
        self.places.get(name).copied().ok_or_else(|| {
            let names = self.kinds.numbers.names().iter().map(String::as_str);
            let help = match nearest(name, names) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => "add a node with this name, or name another".to_owned(),
            };
            row.error(column, format!("the table of nodes has no {}", quote(name)), help)
        })
    }

    /// Checks that all edges of a relation join the same kinds.
    fn check_ends(&self, row: &Row, word: usize, relation: &Relation, ends: [usize; 2]) -> Result<(), ImportError> {
        let RelationEdges { name, ends: first, .. } = &relation.edges;
        if *first == ends {
            return Ok(());
        }
        let kinds = |[source, target]: [usize; 2]| {
            format!("from {} to {}", quote(&self.kinds.kinds[source].name), quote(&self.kinds.kinds[target].name))
        };
        let (name, here, there, line) = (quote(name), kinds(ends), kinds(*first), relation.line);
        let message = format!("an edge of the relation {name} leads {here}, but that of line {line} {there}");
        Err(row.error(word, message, "give edges between other kinds a relation of their own"))
    }
}

/// Whether a column of edges has what could be predicted of them.
fn is_known_of_edges(name: &str) -> bool {
    let names = ["label", "edge_label", "class", "split"];
    is_target(name) || names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

impl Relation {
    /// The relation as data; messages go back along it by a name that none of `names` is.
    fn finish(mut self, names: &[String], notes: &mut Vec<String>) -> Result<RelationEdges, String> {
        let RelationEdges { name, edges, .. } = &self.edges;
        self.features.leave_empty_out();
        let features = self.features.features(edges.len(), &format!("the edges of {}", quote(name)), notes)?;
        let mut reverse = format!("{name}_back");
        while names.contains(&reverse) {
            reverse.push('_');
        }
        let weights = Some(self.weights).filter(|weights| weights.iter().any(|weight| *weight != 1.0));
        let features = Some(features).filter(|rows| rows.width > 0);
        Ok(RelationEdges { reverse: Some(reverse), weights, features, ..self.edges })
    }
}
