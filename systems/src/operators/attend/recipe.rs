//! What attention is made of: how links are scored, and by which columns.

use bevy_ecs::component::ComponentId;
use connectome_components::{Adjacency, Field, Matrix, Parameter, Signal, Topology};

use super::{Attention, Scores};
use crate::{
    kernels::{Attending, Link, MAX_HEADS, Score, Tile},
    layers::{BuildError, LayerBuilder},
    stages::{dropout::draw_mask, relation::Relation},
};

/// How links are scored, for systems.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) score: Score,
    pub(super) heads: usize,
    /// The columns of all heads.
    pub(super) width: usize,
    pub(super) relation: Relation,
    /// Whether nodes attend to themselves.
    own: bool,
    has_targets: bool,
    has_edges: bool,
    has_own_edges: bool,
    has_masks: bool,
}

/// The same with the signals.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) recipe: Recipe,
    pub(super) values: Signal,
    /// None if they are the values.
    pub(super) sources: Option<Signal>,
    pub(super) targets: Option<Signal>,
    pub(super) edges: Option<Signal>,
    pub(super) own_edges: Option<Signal>,
    pub(super) vectors: Option<Parameter>,
    /// Of edges, and of loops that are added.
    masks: [Option<Signal>; 2],
    /// The columns of all these, as [`Recipe::of`] takes them; the values in place of what is missing.
    pub(super) fields: [Field; 8],
}

impl Parts {
    /// Sees that everything is where it belongs, and draws the masks of dropout.
    pub(super) fn new(
        layer: &mut LayerBuilder,
        values: Signal,
        attention: Attention,
        relation: Relation,
    ) -> Result<Self, BuildError> {
        let Attention { heads, scores, edges, own, own_edges, dropout } = attention;
        let value = layer.dense(values)?;
        let width = value.width();
        let ([from, to], links) = (relation.domains(layer.rows()), relation.links(layer.rows()));
        if heads == 0 || heads > MAX_HEADS || !width.is_multiple_of(heads) {
            let reason =
                format!("divides {width} columns among {heads} heads; take up to {MAX_HEADS} that divide them");
            return Err(layer.refuse(reason));
        }
        let (score, scored, sources, targets, vectors) = match scores {
            Scores::Sum { sources, targets, slope } => {
                (Score::Decomposed { slope }, heads, Some(sources), targets, None)
            }
            Scores::Rectified { targets, vectors, slope } => {
                (Score::Additive { slope }, width, None, Some(targets), Some(vectors))
            }
            Scores::Product { keys, queries, factor } => {
                (Score::ScaledDot { factor }, width, Some(keys), Some(queries), None)
            }
        };
        let expected: [(Option<Signal>, ComponentId, usize); 5] = [
            (Some(values), from, width),
            (sources, from, scored),
            (targets, to, scored),
            (edges, links, scored),
            (own_edges, to, scored),
        ];
        for (signal, on, width) in expected {
            let Some(signal) = signal else { continue };
            let field = layer.dense(signal)?;
            if (field.domain(), field.width()) != (on, width) {
                let found = field.width();
                let reason =
                    format!("attends to {relation:?} by a signal {found} wide, or on other rows; give {width}");
                return Err(layer.refuse(reason));
            }
        }
        if vectors.as_ref().is_some_and(|vectors| vectors.shape.iter().product::<usize>() != width) {
            return Err(
                layer.refuse(format!("scores {width} columns by shorter or longer vectors; give as many numbers"))
            );
        }
        if relation == Relation::Edges {
            return Err(layer.refuse("attends to edges; let it attend to the nodes where they begin"));
        }
        if own && from != to {
            return Err(layer.refuse(format!("attends to {relation:?}, where no row can attend to itself")));
        }
        if own_edges.is_some() && (!own || matches!(score, Score::ScaledDot { .. })) {
            return Err(layer.refuse("has features of added loops that no score reads; leave them out"));
        }
        let others = draw_mask(layer, links, heads, dropout)?;
        let masks = [others, if own { draw_mask(layer, to, heads, dropout)? } else { None }];
        let field = |signal: Option<Signal>| signal.map_or(value, |signal| signal.value());
        let fields = [
            value,
            field(sources),
            field(targets),
            field(edges),
            field(own_edges),
            vectors.as_ref().map_or(value, |vectors| vectors.value),
            field(masks[0]),
            field(masks[1].or(masks[0])),
        ];
        let recipe = Recipe {
            score,
            heads,
            width,
            relation,
            own,
            has_targets: targets.is_some(),
            has_edges: edges.is_some(),
            has_own_edges: own_edges.is_some(),
            has_masks: masks[0].is_some(),
        };
        Ok(Self { recipe, values, sources, targets, edges, own_edges, vectors, masks, fields })
    }

    /// All signals.
    pub(super) fn signals(&self) -> Vec<Signal> {
        let Self { values, sources, targets, edges, own_edges, masks: [masks, own_masks], .. } = *self;
        [Some(values), sources, targets, edges, own_edges, masks, own_masks].into_iter().flatten().collect()
    }

    /// Whether a gradient flows back through any of them.
    pub(super) fn learns(&self) -> bool {
        self.vectors.is_some() || self.signals().iter().any(Signal::learns)
    }
}

impl Recipe {
    /// What is attended to; of matrices those of [`Parts::fields`] come first.
    #[inline(always)]
    pub(super) fn of<'a, const K: usize>(&self, matrices: [&'a Matrix<'a>; K]) -> Attending<'a> {
        const { assert!(K >= 8) }
        let has = |place: usize, has: bool| has.then_some(matrices[place]);
        Attending {
            score: self.score,
            heads: self.heads,
            values: matrices[0],
            sources: matrices[1],
            targets: has(2, self.has_targets),
            edges: has(3, self.has_edges),
            own_edges: has(4, self.has_own_edges),
            vectors: matrices[5].rows().next().unwrap_or(&[]),
            masks: self.has_masks.then_some([matrices[6], matrices[7]]),
        }
    }

    /// Calls `body` with the links by which rows come to meet in `row`, a tile at a time. `prefetch` is told which rows
    /// will soon be among them.
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
        self.tiles(adjacency, row, |source, edge| [row as u32, source, edge], tile, prefetch, body);
    }

    /// The same with the links by which `row` comes to meet others.
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
        self.tiles(adjacency, row, |target, edge| [target, row as u32, edge], tile, prefetch, body);
    }

    #[inline(always)]
    fn tiles(
        &self,
        adjacency: &Adjacency,
        row: usize,
        link: impl Fn(u32, u32) -> [u32; 3],
        tile: &mut Tile,
        prefetch: impl Fn(usize),
        body: impl FnMut(&mut Tile),
    ) {
        /// So many entries before it is needed a row is fetched: about as many as can be underway.
        const AHEAD: usize = 16;

        let entries = adjacency.entries(row);
        let (neighbours, edges) = (&adjacency.neighbors[entries.clone()], &adjacency.edges[entries.clone()]);
        let ahead = adjacency.neighbors.get(entries.start + AHEAD..).unwrap_or(&[]);
        let added = usize::from(self.own);
        tile.for_each(
            neighbours.len() + added,
            #[inline(always)]
            |number| match number.checked_sub(added) {
                Some(number) => {
                    if let Some(row) = ahead.get(number) {
                        prefetch(*row as usize);
                    }
                    let [target, source, edge] = link(neighbours[number], edges[number]);
                    self.counts(target, source).then_some(Link { target, source, edge: Some(edge) })
                }
                None => Some(Link { target: row as u32, source: row as u32, edge: None }),
            },
            body,
        );
    }

    /// Whether a link takes part: where loops are added, those that the graph has do not.
    #[inline(always)]
    pub(super) fn counts(&self, target: u32, source: u32) -> bool {
        !self.own || target != source
    }
}
