//! Extraction of batches from a corpus.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Edge, EdgeWeight, Field, Graph, Rows, Sources, Split, Topology};

use super::{
    Batch, BatchElement, BatchError, Domain,
    buffers::Origins,
    column::{AnyBuffer, Buffer},
    sample, union, whole,
};
use crate::topology::{Scratch, update_topology};

/// Extracts batches from a graph of a corpus, with selected fields, for a training world.
///
/// Structure and edge weights are always copied, other components only if selected by [`Extract::copy`].
#[derive(Clone, Debug)]
pub struct Extract {
    graph: Entity,
    /// An empty buffer for each pair of fields.
    buffers: Vec<AnyBuffer>,
    /// Further graphs, which are extracted as a whole.
    others: Vec<Extract>,
    /// Whether numbers stay in the corpus until a batch is loaded.
    leaves_values: bool,
}

impl Extract {
    /// Extracts batches of a graph of `corpus`, so far without fields.
    ///
    /// # Errors
    /// If the entity is no graph.
    pub fn new(corpus: &World, graph: Entity) -> Result<Self, BatchError> {
        corpus.get::<Graph>(graph).ok_or(BatchError::NoGraph(graph))?;
        Ok(Self { graph, buffers: Vec::new(), others: Vec::new(), leaves_values: false })
    }

    /// Extracts the whole of another graph with that of the first: of other kinds of nodes, or a relation between two.
    pub(crate) fn add_graph(&mut self, corpus: &World, graph: Entity) -> Result<(), BatchError> {
        self.others.push(Self::new(corpus, graph)?);
        Ok(())
    }

    /// Copies the field `from` of the corpus as well, to be loaded into the field `to` of a training world. Both have
    /// the same domain: nodes, edges or subgraphs. Components are fields too: `Field::<ClassLabel>::of_component`.
    ///
    /// # Errors
    /// If `from` is not a field of the corpus' graph, `to` is of the same world, or they differ in width.
    pub fn copy<T: BatchElement>(&mut self, corpus: &World, from: Field<T>, to: Field<T>) -> Result<(), BatchError> {
        let graph = corpus.get::<Graph>(self.graph).ok_or(BatchError::NoGraph(self.graph))?;
        if !from.is_of(corpus) || to.is_of(corpus) {
            return Err(BatchError::OtherWorld);
        }
        let name = from.name(corpus);
        let Some(domain) = Domain::of(graph, from.domain()) else {
            let has = |other: &&mut Self| {
                corpus.get::<Graph>(other.graph).is_some_and(|graph| Domain::of(graph, from.domain()).is_some())
            };
            if let Some(other) = self.others.iter_mut().find(has) {
                return other.copy(corpus, from, to);
            }
            return Err(BatchError::OtherRows { name, domain: "nodes, edges or subgraphs" });
        };
        if from.width() != to.width() {
            return Err(BatchError::Widths { from: name, from_width: from.width(), to_width: to.width() });
        }
        let mut buffer = T::wrap(Buffer { domain, from, to, data: Vec::new(), is_left: false });
        if self.leaves_values {
            buffer.leave();
        }
        self.buffers.push(buffer);
        Ok(())
    }

    /// Leaves fields of `f32` and `u32` in the corpus until a batch is loaded by [`Extract::load`], so that they are copied
    /// once and not twice; other fields, which are small, are copied at once all the same. For a corpus that does not change
    /// meanwhile.
    pub fn leave_values(mut self) -> Self {
        self.leaves_values = true;
        self.buffers.iter_mut().for_each(AnyBuffer::leave);
        self
    }

    /// Loads a batch of this corpus as [`Batch::load`] does, with the values that were left in the corpus.
    ///
    /// # Errors
    /// Those of [`Batch::load`]; and if the corpus is another world, or has changed since the batch was extracted.
    pub fn load(&self, corpus: &World, batch: &Batch, world: &mut World, graph: Entity) -> Result<(), BatchError> {
        if !batch.buffers.iter().all(|buffer| buffer.is_from(corpus)) {
            return Err(BatchError::OtherWorld);
        }
        if self.fresh_topology(corpus)?.version != batch.version {
            return Err(BatchError::Stale(self.graph));
        }
        batch.load_from(Some(corpus), world, graph)
    }

    /// Updates the topology of the corpus. Call it before the first batch, and whenever nodes, edges or subgraphs have
    /// changed, unless a model of the corpus has run since.
    pub fn update(&self, corpus: &mut World) {
        let mut scratch = Scratch::default();
        let others = self.others.iter().map(|other| other.graph);
        core::iter::once(self.graph).chain(others).for_each(|graph| update_topology(corpus, graph, &mut scratch));
    }

    /// Extracts the whole graph: nodes and subgraphs in the order of their keys, edges in that of the keys of target and
    /// source. Edges without both nodes are not extracted.
    ///
    /// # Errors
    /// If the corpus has changed since [`Extract::update`]. The batch is empty then.
    pub fn whole(&self, corpus: &World, batch: &mut Batch) -> Result<(), BatchError> {
        self.fill(corpus, batch, whole::collect)?;
        batch.parts.resize_with(self.others.len(), Batch::default);
        let filled = self.others.iter().zip(&mut batch.parts).try_for_each(|(other, part)| other.whole(corpus, part));
        filled.inspect_err(|_| batch.clear())
    }

    /// Extracts the disjoint union of subgraphs, in the given order; one may occur twice. Within each, nodes are
    /// in the order of their keys, and edges in that of the keys of target and source. Edges between two subgraphs, and nodes in none, are not extracted.
    ///
    /// # Errors
    /// If one of them is no subgraph, or the corpus has changed since [`Extract::update`]. The batch is empty then.
    pub fn subgraphs(&self, corpus: &World, subgraphs: &[Entity], batch: &mut Batch) -> Result<(), BatchError> {
        self.fill(corpus, batch, |topology, batch| {
            self.of_one_kind(topology)?;
            union::collect(corpus, topology, subgraphs, batch)
        })
    }

    /// Extracts the sampled neighborhoods of seed nodes, as in GraphSAGE (Hamilton et al. 2017).
    ///
    /// `fan_outs` has one entry for each message-passing layer, the one nearest to the seeds first. In each layer,
    /// every node that the previous layer has newly reached gets up to that number of its incoming edges, sampled
    /// without replacement, or all of them for `usize::MAX`. So each node is expanded once, and each edge is in the
    /// batch at most once. The random numbers depend on `seed`, `step` and the place of the node in the order of keys alone, so a batch can be
    /// reproduced.
    ///
    /// The seeds are the first rows, in order; the others follow as they are reached. Only seeds keep their [`Split`];
    /// all others are [`Split::Unused`]. Nodes are in no subgraph. Normalization coefficients are those of the sample,
    /// not of the corpus.
    ///
    /// A training step on the loaded sample computes of each layer the rows alone that the seeds depend on: the seeds in
    /// the last one, nodes within one hop in the one before, and all where an operation reads all rows, as a batch norm
    /// does. So outputs of nodes that are no seeds are 0 after it; evaluation and inference compute all rows. If another
    /// node is [`Split::Train`], a head's loss does not go by splits, or the model outputs into a component, the step
    /// computes all rows as well.
    ///
    /// # Errors
    /// If a seed is no node or occurs twice, or the corpus has changed since [`Extract::update`]. The batch is empty
    /// then.
    pub fn sample_neighbors(
        &self,
        corpus: &World,
        seeds: &[Entity],
        fan_outs: &[usize],
        seed: u64,
        step: u64,
        batch: &mut Batch,
    ) -> Result<(), BatchError> {
        self.fill(corpus, batch, |topology, batch| {
            self.of_one_kind(topology)?;
            sample::collect(corpus, topology, seeds, fan_outs, sample::random(seed, step), batch)
        })?;
        for buffer in &mut batch.buffers {
            if let AnyBuffer::Splits(Buffer { domain: Domain::Nodes, data, .. }) = buffer {
                data.iter_mut().skip(seeds.len()).for_each(|split| *split = Split::Unused);
            }
        }
        Ok(())
    }

    /// The error if the graph is a relation, which can be extracted as a whole alone.
    fn of_one_kind(&self, topology: &Topology) -> Result<(), BatchError> {
        if topology.other_sources.is_some() { Err(BatchError::Relation(self.graph)) } else { Ok(()) }
    }

    /// Those of the further graphs.
    pub(super) fn others(&self) -> &[Self] {
        &self.others
    }

    /// An empty buffer for each pair of fields.
    pub(super) fn buffers(&self) -> &[AnyBuffer] {
        &self.buffers
    }

    /// Copies the fields of the rows again that a batch has, as long as the topology is the one that it was extracted from.
    ///
    /// # Errors
    /// If there is no such graph, or it has fewer rows.
    pub(crate) fn refresh(&self, corpus: &World, batch: &mut Batch) -> Result<(), BatchError> {
        let topology = corpus.get::<Topology>(self.graph).ok_or(BatchError::NoGraph(self.graph))?;
        let Batch { nodes, edges, subgraphs, buffers, .. } = batch;
        copy_fields(corpus, topology, [nodes, edges, subgraphs], buffers).ok_or(BatchError::Stale(self.graph))
    }

    /// Fills a batch: `collect` selects rows, endpoints and subgraphs; their fields are copied.
    fn fill(
        &self,
        corpus: &World,
        batch: &mut Batch,
        collect: impl FnOnce(&Topology, &mut Batch) -> Result<(), BatchError>,
    ) -> Result<(), BatchError> {
        batch.clear();
        let same = |(one, two): (&AnyBuffer, &AnyBuffer)| one.copies_as(two);
        if batch.buffers.len() != self.buffers.len() || !batch.buffers.iter().zip(&self.buffers).all(same) {
            batch.buffers.clone_from(&self.buffers);
        }
        let filled = self.fresh_topology(corpus).and_then(|topology| {
            batch.version = topology.version;
            collect(topology, batch)?;
            self.gather(corpus, topology, batch)
        });
        if filled.is_err() {
            batch.clear();
        }
        filled
    }

    /// The topology, unless the corpus has changed since it was derived. That a node or a subgraph replaced another in
    /// its row is not detected, because it would need a check of every entity.
    fn fresh_topology<'w>(&self, corpus: &'w World) -> Result<&'w Topology, BatchError> {
        let no_graph = || BatchError::NoGraph(self.graph);
        let graph = corpus.get::<Graph>(self.graph).ok_or_else(no_graph)?;
        let topology = corpus.get::<Topology>(self.graph).ok_or_else(no_graph)?;
        let Topology { nodes, edges, subgraphs, derived_at, .. } = topology;
        let edge = corpus.component_id::<Edge>();
        let are_fresh = |sources: &Sources| {
            sources.rows.fit(corpus, &[graph.sources])
                && derived_at.is_some_and(|tick| !sources.rows.keys_changed_since(corpus, tick))
        };
        let fresh = nodes.fit(corpus, &[graph.nodes])
            && topology.other_sources.as_ref().is_none_or(are_fresh)
            && subgraphs.fit(corpus, &[graph.subgraphs])
            && edge.is_some_and(|edge| edges.fit(corpus, &[edge, graph.edges]))
            && derived_at.is_some_and(|tick| {
                !edges.edges_changed_since(corpus, tick)
                    && !nodes.memberships_changed_since(corpus, tick)
                    && ![nodes, edges, subgraphs].into_iter().any(|rows| rows.keys_changed_since(corpus, tick))
            });
        if fresh { Ok(topology) } else { Err(BatchError::Stale(self.graph)) }
    }

    /// Copies the fields of the selected rows.
    fn gather(&self, corpus: &World, topology: &Topology, batch: &mut Batch) -> Result<(), BatchError> {
        let Batch { nodes, edges, subgraphs, weights, buffers, .. } = batch;
        if edges.rows.len().max(nodes.rows.len()) >= u32::MAX as usize {
            return Err(BatchError::TooLarge);
        }
        for (origins, rows) in
            [(&mut *nodes, &topology.nodes), (edges, &topology.edges), (subgraphs, &topology.subgraphs)]
        {
            origins.entities.extend(origins.rows.iter().map(|row| rows.entities()[*row as usize]));
        }
        gather_weights(corpus, &topology.edges, edges, weights);
        for buffer in &*buffers {
            if !buffer.is_from(corpus) {
                return Err(BatchError::OtherWorld);
            }
        }
        copy_fields(corpus, topology, [nodes, edges, subgraphs], buffers).ok_or(BatchError::Stale(self.graph))
    }
}

/// Copies the fields of the selected nodes, edges and subgraphs; none if a field has other rows than the topology.
fn copy_fields(
    corpus: &World,
    topology: &Topology,
    [nodes, edges, subgraphs]: [&Origins; 3],
    buffers: &mut [AnyBuffer],
) -> Option<()> {
    let mut copied = buffers.iter_mut().map(|buffer| {
        let (origins, rows) = buffer.domain().of_kinds([
            (nodes, &topology.nodes),
            (edges, &topology.edges),
            (subgraphs, &topology.subgraphs),
        ]);
        buffer.fill(corpus, &origins.rows, rows.len())
    });
    copied.all(|copied| copied).then_some(())
}

/// Copies the weights of the selected edges, if any edge of the corpus has one.
fn gather_weights(corpus: &World, rows: &Rows, edges: &Origins, weights: &mut Vec<f32>) {
    let mut tables = rows.components::<EdgeWeight>(corpus);
    let Some(mut table) = tables.next() else { return };
    if table.1.is_empty() && tables.all(|(_, weights)| weights.is_empty()) {
        return;
    }
    weights.extend(edges.rows.iter().map(|row| {
        let row = *row as usize;
        if !table.0.contains(&row) {
            // Rarely: consecutive rows are mostly in one table.
            table = rows.components(corpus).find(|(rows, _)| rows.contains(&row)).unwrap_or_default();
        }
        table.1.get(row - table.0.start).map_or(1.0, |weight: &EdgeWeight| weight.0)
    }));
}
