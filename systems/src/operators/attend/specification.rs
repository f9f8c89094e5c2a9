//! How attention scores links, and from which inputs.

use connectome_components::{Adjacency, Matrix, Topology};

use super::{Attention, Scores};
use crate::{
    error::BuildError,
    kernels::{Attending, Link, MAX_HEADS, Part, Score, Tile},
    operators::relation::Relation,
    program::{Domain, Program, Shape, Value, Weight},
};

/// How links are scored, by the indices of the inputs; the values are input 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttentionSpec {
    pub(super) score: Score,
    pub(super) heads: usize,
    /// The width of all heads together.
    pub(super) width: usize,
    pub(super) relation: Relation,
    /// The rows that are attended to, those that attend, and the links.
    pub(super) domains: [Domain; 3],
    /// Whether self-loops are added.
    pub(super) add_self_loops: bool,
    /// The values if none.
    pub(super) sources: Option<usize>,
    pub(super) targets: Option<usize>,
    pub(super) edges: Option<usize>,
    pub(super) self_loop_edges: Option<usize>,
    pub(super) vectors: Option<(usize, Weight)>,
    /// Those of edges and of added self-loops; without added self-loops, that of the edges twice.
    pub(super) masks: Option<[usize; 2]>,
}

impl AttentionSpec {
    /// Attention without dropout to the first of `inputs`; adds its other inputs to them.
    pub(super) fn new(
        program: &Program,
        attention: &Attention,
        relation: Relation,
        inputs: &mut Vec<Value>,
    ) -> Result<Self, BuildError> {
        let (width, [from, to]) = (inputs.first().map_or(0, Value::width), relation.domains(program));
        let mut read = |value: Value| -> Result<usize, BuildError> {
            inputs.push(program.dense(value)?);
            Ok(inputs.len() - 1)
        };
        let (score, sources, targets, vectors) = match attention.scores {
            Scores::Decomposed { sources, targets, slope } => {
                (Score::Decomposed { slope }, Some(sources), targets, None)
            }
            Scores::Additive { targets, vectors, slope } => {
                (Score::Additive { slope }, None, Some(targets), Some(vectors))
            }
            Scores::ScaledDot { keys, queries, factor } => {
                (Score::ScaledDot { factor }, Some(keys), Some(queries), None)
            }
        };
        let specification = Self {
            score,
            heads: attention.heads,
            width,
            relation,
            domains: [from, to, relation.links(program)],
            add_self_loops: attention.add_self_loops,
            sources: sources.map(&mut read).transpose()?,
            targets: targets.map(&mut read).transpose()?,
            edges: attention.edges.map(&mut read).transpose()?,
            self_loop_edges: attention.self_loop_edges.map(&mut read).transpose()?,
            vectors: vectors.map(|vectors| Ok::<_, BuildError>((read(vectors.value())?, vectors))).transpose()?,
            masks: None,
        };
        specification.check(inputs).map_err(|reason| program.error(reason))?;
        Ok(specification)
    }

    /// Checks the rows and widths of all inputs.
    pub(super) fn check(&self, inputs: &[Value]) -> Result<(), String> {
        let Self { heads, width, relation, add_self_loops, .. } = *self;
        let [from, to, links] = self.domains;
        if heads == 0 || heads > MAX_HEADS || !width.is_multiple_of(heads) {
            return Err(format!(
                "divides {width} features among {heads} heads; give up to {MAX_HEADS} heads that divide them evenly"
            ));
        }
        let scored = self.scored_width();
        let expected = [
            (Some(0), from, width),
            (self.sources, from, scored),
            (self.targets, to, scored),
            (self.edges, links, scored),
            (self.self_loop_edges, to, scored),
        ];
        for (input, domain, width) in expected {
            let Some(value) = input.map(|input| inputs[input]) else { continue };
            if (value.domain(), value.width()) != (domain, width) {
                let (found, expected) = (value.shape(), Shape::new(domain, width));
                return Err(format!(
                    "attends to {relation:?} with a value of shape {found}; give one of shape {expected}"
                ));
            }
        }
        if self.vectors.is_some_and(|(_, vectors)| vectors.range().len() != width) {
            return Err(format!("scores {width} features by vectors of another length; give vectors of that length"));
        }
        if relation == Relation::Edges {
            return Err("attends to edges; let it attend to their source nodes".to_owned());
        }
        if add_self_loops && from != to {
            return Err(format!("attends to {relation:?}, which have no self-loops; leave out `add_self_loops`"));
        }
        if self.self_loop_edges.is_some() && (!add_self_loops || matches!(self.score, Score::ScaledDot { .. })) {
            return Err("has features of added self-loops, but adds none; leave them out".to_owned());
        }
        Ok(())
    }

    /// Width of a row's term of the scores of all heads.
    pub(super) fn scored_width(&self) -> usize {
        match self.score {
            Score::Decomposed { .. } => self.heads,
            Score::Additive { .. } | Score::ScaledDot { .. } => self.width,
        }
    }

    /// The inputs that [`AttentionSpec::of`] takes, in its order; input 0 in place of missing ones.
    pub(super) fn inputs(&self) -> [usize; 8] {
        let [masks, self_loop_masks] = self.masks.unwrap_or([0; 2]);
        [
            0,
            self.sources.unwrap_or(0),
            self.targets.unwrap_or(0),
            self.edges.unwrap_or(0),
            self.self_loop_edges.unwrap_or(0),
            self.vectors.map_or(0, |(input, _)| input),
            masks,
            self_loop_masks,
        ]
    }

    /// The attention of the kernels, from matrices of which those of [`AttentionSpec::inputs`] come first.
    #[inline(always)]
    pub(super) fn of<'a, const K: usize>(&self, matrices: [&'a Matrix<'a>; K]) -> Attending<'a> {
        const { assert!(K >= 8) }
        let part = |index: usize, has: bool| has.then_some(Part::from(matrices[index]));
        let vectors = self.vectors.zip(matrices[5].rows().next());
        Attending {
            score: self.score,
            heads: self.heads,
            values: matrices[0].into(),
            sources: matrices[1].into(),
            targets: part(2, self.targets.is_some()),
            edges: [part(3, self.edges.is_some()), part(4, self.self_loop_edges.is_some())],
            vectors: vectors.map_or(&[], |((_, vectors), row)| &row[vectors.range()]),
            masks: self.masks.map(|_| [matrices[6], matrices[7]].map(Part::from)),
        }
    }

    /// Whether the forward pass keeps the slopes of the targets, which the backward pass reads.
    pub(super) fn has_slopes(&self) -> bool {
        matches!(self.score, Score::Decomposed { .. }) && self.targets.is_some()
    }

    /// Calls `body` with the links that end in `row`, a tile at a time, and `prefetch` with the sources of later ones.
    #[inline(always)]
    pub(super) fn for_each_tile(
        &self,
        topology: &Topology,
        row: usize,
        tile: &mut Tile,
        prefetch: impl Fn(usize),
        body: impl FnMut(&mut Tile),
    ) {
        let adjacency = self.relation.adjacency(topology);
        self.tiles(
            (adjacency, topology.receivers()),
            row,
            |source, edge| [row as u32, source, edge],
            tile,
            prefetch,
            body,
        );
    }

    /// The same with the links that start in `row`.
    #[inline(always)]
    pub(super) fn for_each_tile_back(
        &self,
        topology: &Topology,
        row: usize,
        tile: &mut Tile,
        prefetch: impl Fn(usize),
        body: impl FnMut(&mut Tile),
    ) {
        let adjacency = self.relation.adjacency_back(topology);
        self.tiles(
            (adjacency, topology.receivers()),
            row,
            |target, edge| [target, row as u32, edge],
            tile,
            prefetch,
            body,
        );
    }

    #[inline(always)]
    fn tiles(
        &self,
        (adjacency, receivers): (&Adjacency, usize),
        row: usize,
        link: impl Fn(u32, u32) -> [u32; 3],
        tile: &mut Tile,
        prefetch: impl Fn(usize),
        body: impl FnMut(&mut Tile),
    ) {
        /// How many entries ahead a row is prefetched: about as many as can be in flight.
        const AHEAD: usize = 16;

        let entries = adjacency.entries(row);
        let (neighbors, edges) = (&adjacency.neighbors[entries.clone()], &adjacency.edges[entries.clone()]);
        let ahead = adjacency.neighbors.get(entries.start + AHEAD..).unwrap_or(&[]);
        let added = usize::from(self.add_self_loops && row < receivers);
        tile.for_each(
            neighbors.len() + added,
            #[inline(always)]
            |index| match index.checked_sub(added) {
                Some(index) => {
                    let soon = *ahead.get(index).unwrap_or(&neighbors[index]);
                    prefetch(soon as usize);
                    let [target, source, edge] = link(neighbors[index], edges[index]);
                    self.counts(target, source).then_some(Link { target, source, edge: Some(edge), soon })
                }
                None => Some(Link::self_loop(row)),
            },
            body,
        );
    }

    /// Whether a link counts: where self-loops are added, those of the graph do not.
    #[inline(always)]
    pub(super) fn counts(&self, target: u32, source: u32) -> bool {
        !self.add_self_loops || target != source
    }
}
