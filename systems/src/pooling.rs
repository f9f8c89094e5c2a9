//! Coarse graphs as entities: what layers that pool have computed becomes nodes and edges.

use bevy_ecs::{component::Component, entity::Entity, world::World};
use connectome_components::{Edge, EdgeWeight, Field, FieldError, InSubgraph, Topology};

use crate::operators::{in_falling_order, kept_count};

/// What of a coarse graph was spawned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coarse {
    /// The nodes, in the order of clusters, or in falling order of scores.
    pub nodes: Vec<Entity>,
    /// The edges.
    pub edges: Vec<Entity>,
}

/// Why a coarse graph cannot be spawned.
#[derive(Debug, thiserror::Error)]
pub enum PoolingError {
    /// A field is not on the entity, or of another world.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The width of the output is not that of so many clusters.
    #[error("{width} features are not those of {clusters} clusters; give the number of clusters of the layer")]
    Clusters {
        /// The width of the output.
        width: usize,
        /// The number of clusters.
        clusters: usize,
    },
    /// The graph has no topology yet, or the entity is no subgraph of it.
    #[error("{0} is no subgraph of the graph; run a schedule of the model first")]
    NoSubgraph(Entity),
    /// The ratio of nodes to keep is out of range.
    #[error("keeps {0} of all nodes; give a ratio above 0 and at most 1")]
    Ratio(f32),
}

/// Spawns the clusters of a subgraph as nodes with `N`, and their edges with `E`: the output `[G, K (F + K)]` of
/// [`DiffPool`](crate::layers::DiffPool) or [`QueryPool`](crate::layers::QueryPool) as an ordinary graph, such as
/// `Graph::of::<N, E>`, with a topology of its own. The nodes are [`InSubgraph`] `within`, if given.
///
/// An edge from cluster `l` to `k` has the weight `(S' A S)_kl`; there is one where that is above `threshold`. The `F`
/// features of each cluster are returned with the nodes, to be written to the fields of the coarse graph.
///
/// # Errors
/// If the output is not a field of the subgraph, or of another number of clusters.
pub fn spawn_clusters<N: Component + Default, E: Component + Default>(
    world: &mut World,
    (output, subgraph): (Field, Entity),
    clusters: usize,
    threshold: f32,
    within: Option<Entity>,
) -> Result<(Coarse, Vec<Vec<f32>>), PoolingError> {
    let row = output.get(world, subgraph)?.to_vec();
    let width = row.len() / clusters.max(1);
    if clusters == 0 || width * clusters != row.len() || width < clusters {
        return Err(PoolingError::Clusters { width: row.len(), clusters });
    }
    let nodes: Vec<Entity> = (0..clusters).map(|_| spawn_node::<N>(world, within)).collect();
    let mut coarse = Coarse { nodes, edges: Vec::new() };
    let mut features = Vec::with_capacity(clusters);
    for (cluster, row) in row.chunks_exact(width).enumerate() {
        let (own, weights) = row.split_at(width - clusters);
        features.push(own.to_vec());
        for (source, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > threshold) {
            let edge = Edge { source: coarse.nodes[source], target: coarse.nodes[cluster] };
            coarse.edges.push(world.spawn((edge, E::default(), EdgeWeight(weight))).id());
        }
    }
    Ok((coarse, features))
}

/// Spawns the `ceil(ratio n)` nodes of a subgraph with the highest scores, in falling order, as nodes with `N`, and the
/// edges among them with `E`: what [`TopKPooling`](crate::layers::TopKPooling) keeps, as an ordinary graph. Returns
/// with the coarse graph the node that each of its nodes stands for, so that features can be copied, and taken back.
///
/// Edges keep their weights. Costs a sort, and a look at the edges of the nodes that are kept.
///
/// # Errors
/// If the scores are not a field of the nodes, the topology is not derived, or the ratio is out of range.
pub fn spawn_top<N: Component + Default, E: Component + Default>(
    world: &mut World,
    (graph, subgraph): (Entity, Entity),
    scores: Field,
    ratio: f32,
    within: Option<Entity>,
) -> Result<(Coarse, Vec<Entity>), PoolingError> {
    if !(ratio > 0.0 && ratio <= 1.0) {
        return Err(PoolingError::Ratio(ratio));
    }
    let missing = PoolingError::NoSubgraph(subgraph);
    let Some(topology) = world.get::<Topology>(graph).cloned() else { return Err(missing) };
    let Some(row) = topology.subgraphs.row_of(world, subgraph) else { return Err(missing) };
    let entities = topology.nodes.entities();
    let members = topology.members.neighbors[topology.members.entries(row)].iter();
    let found = members.map(|node| {
        let score = scores.get(world, entities[*node as usize])?.first().copied();
        Ok((*node, score.unwrap_or(f32::NEG_INFINITY)))
    });
    let mut kept = in_falling_order(found.collect::<Result<Vec<_>, FieldError>>()?);
    kept.truncate(kept_count(kept.len(), ratio));
    let mut coarse = Coarse::default();
    coarse.nodes.extend(kept.iter().map(|_| spawn_node::<N>(world, within)));
    // Nodes of a relation between two kinds have no edges among themselves.
    let is_relation = topology.other_sources.is_some();
    let mut places = vec![None; entities.len()];
    kept.iter().zip(&coarse.nodes).for_each(|(node, place)| places[*node as usize] = Some(*place));
    for (&node, &target) in kept.iter().zip(&coarse.nodes).filter(|_| !is_relation) {
        let entries = topology.incoming.entries(node as usize);
        let links = topology.incoming.neighbors[entries.clone()].iter().zip(&topology.incoming.edges[entries]);
        for (source, edge) in links {
            let Some(source) = places[*source as usize] else { continue };
            let weight = world.get::<EdgeWeight>(topology.edges.entities()[*edge as usize]).copied();
            let mut spawned = world.spawn((Edge { source, target }, E::default()));
            if let Some(weight) = weight {
                spawned.insert(weight);
            }
            coarse.edges.push(spawned.id());
        }
    }
    Ok((coarse, kept.iter().map(|node| entities[*node as usize]).collect()))
}

fn spawn_node<N: Component + Default>(world: &mut World, within: Option<Entity>) -> Entity {
    let mut node = world.spawn(N::default());
    if let Some(subgraph) = within {
        node.insert(InSubgraph(subgraph));
    }
    node.id()
}
