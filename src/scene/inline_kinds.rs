//! Graphs with several kinds of nodes that are written out in a scene.

use super::description::{SceneEdge, SceneFile, SceneNode};
use super::error::Fault;
use super::inline::{Numbers, check_weight, edge_field, end, node_field, nodes_of, number, rows};
use super::kinds::RelationDescription;
use super::locate::Step::Field;
use crate::data::{GraphData, GraphKinds, NodesOfKind, RelationEdges};
use crate::suggest::{nearest, quote};

/// The graph that `nodes` and `edges` describe, with the kinds and relations of a scene.
pub(super) fn graph(
    scene: &SceneFile,
    nodes: &[SceneNode],
    edges: &[SceneEdge],
    undirected: bool,
) -> Result<GraphData, Fault> {
    if undirected {
        let message = "whether messages also go back is told by each relation of a scene with kinds";
        let help =
            "write `reverse` for the relations along which they do, such as `reverse: \"needed_by\"`, and remove this";
        return Err(Fault::new([Field("graph"), Field("undirected")], message, help));
    }
    let names: Vec<&str> = scene.all_kinds().into_iter().map(|(_, name, _)| name).collect();
    let mut places = vec![Vec::new(); names.len()];
    // The kind of each node, and its number among those of its kind.
    let mut of_kind = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        let kind = kind_of(&names, place, node)?;
        of_kind.push((kind, places[kind].len() as u32));
        places[kind].push(place);
    }
    let numbers = number(nodes)?;
    let mut all = Vec::new();
    for places in &places {
        all.push(nodes_of(places.iter().map(|place| (*place, &nodes[*place])))?);
    }
    let relations = Ends { scene, nodes, names: &names, of_kind: &of_kind, numbers: &numbers }.relations(edges)?;
    let mut kinds = names.iter().map(|name| (*name).to_owned()).zip(all);
    let Some((own, data)) = kinds.next() else { return Ok(GraphData::default()) };
    let others = kinds.map(|(name, nodes)| NodesOfKind { name, nodes }).collect();
    Ok(GraphData { kinds: Some(Box::new(GraphKinds { own, others, relations })), ..data })
}

/// The place of a node's kind.
fn kind_of(names: &[&str], place: usize, node: &SceneNode) -> Result<usize, Fault> {
    let known = || format!("the kinds are {}", names.join(", "));
    let Some(name) = &node.kind else {
        let message = format!("node {place} has no kind, but the scene has several");
        return Err(Fault::new(node_field(place, "kind"), message, format!("write `kind: …`; {}", known())));
    };
    names.iter().position(|known| known == name).ok_or_else(|| {
        let message = format!("node {place} is of the kind {}, which the scene does not name", quote(name));
        Fault::new(node_field(place, "kind"), message, suggestion(name, names, &known()))
    })
}

/// What else a name may have meant, and what is known.
fn suggestion(name: &str, names: &[&str], known: &str) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {}? {known}", quote(near)),
        None => known.to_owned(),
    }
}

/// What the ends of edges are.
struct Ends<'a> {
    scene: &'a SceneFile,
    nodes: &'a [SceneNode],
    names: &'a [&'a str],
    of_kind: &'a [(usize, u32)],
    numbers: &'a Numbers<'a>,
}

impl Ends<'_> {
    /// The relations with their edges.
    fn relations(&self, edges: &[SceneEdge]) -> Result<Vec<RelationEdges>, Fault> {
        let relations = &self.scene.relations;
        let mut all: Vec<RelationEdges> = relations
            .iter()
            .map(|relation| RelationEdges {
                name: relation.name.clone(),
                ends: self.scene.ends_of(relation),
                reverse: relation.reverse.clone(),
                ..RelationEdges::default()
            })
            .collect();
        let mut places = vec![Vec::new(); relations.len()];
        for (place, edge) in edges.iter().enumerate() {
            let relation = relation_of(relations, place, edge)?;
            let ends = [("source", &edge.source), ("target", &edge.target)];
            let mut found = [0; 2];
            for ((found, (field, name)), kind) in found.iter_mut().zip(ends).zip(all[relation].ends) {
                *found = self.end(place, (field, name), &relations[relation], kind)?;
            }
            check_weight(place, edge)?;
            all[relation].edges.push(found);
            places[relation].push(place);
        }
        for (relation, places) in all.iter_mut().zip(&places) {
            let features =
                rows(places.iter().map(|place| (*place, &edges[*place].features)), "edge", "features", edge_field)?;
            relation.features = Some(features).filter(|rows| rows.width > 0);
            let weights = places.iter().map(|place| edges[*place].weight);
            relation.weights = weights.clone().any(|weight| weight != 1.0).then(|| weights.collect());
        }
        Ok(all)
    }

    /// The number of the node at one end of an edge, which must be of a kind.
    fn end(
        &self,
        place: usize,
        (field, name): (&'static str, &str),
        relation: &RelationDescription,
        kind: usize,
    ) -> Result<u32, Fault> {
        let node = end(self.nodes, self.numbers, place, field, name)?;
        let (found, number) = self.of_kind[node as usize];
        if found == kind {
            return Ok(number);
        }
        let message = format!(
            "edge {place} names the {field} {}, which is of the kind {}, but the {field}s of the relation {} are of the kind {}",
            quote(name),
            quote(self.names[found]),
            quote(&relation.name),
            quote(self.names[kind])
        );
        let help = format!("name a node of the kind {}, or take another relation", quote(self.names[kind]));
        Err(Fault::new(edge_field(place, field), message, help))
    }
}

/// The place of an edge's relation.
fn relation_of(relations: &[RelationDescription], place: usize, edge: &SceneEdge) -> Result<usize, Fault> {
    let names: Vec<&str> = relations.iter().map(|relation| &*relation.name).collect();
    let known = || format!("the relations are {}", names.join(", "));
    let Some(name) = &edge.relation else {
        let message = format!("edge {place} has no relation, but the scene has several kinds");
        return Err(Fault::new(edge_field(place, "relation"), message, format!("write `relation: …`; {}", known())));
    };
    names.iter().position(|known| known == name).ok_or_else(|| {
        let back = relations.iter().find(|relation| relation.reverse.as_ref() == Some(name));
        let (message, help) = match back {
            Some(relation) => (
                format!("edge {place} is of the relation {}, whose edges are those of another one", quote(name)),
                format!("write the edge in the other direction, with `relation: {:?}`", relation.name),
            ),
            None => (
                format!("edge {place} is of the relation {}, which the scene does not name", quote(name)),
                suggestion(name, &names, &known()),
            ),
        };
        Fault::new(edge_field(place, "relation"), message, help)
    })
}
