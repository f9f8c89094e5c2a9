//! Some links at a time, with scores, weights and gradients for each head of each.

use core::array;

use crate::kernels::{HeadTerms, Part, lanes::combine};

/// The maximum number of heads.
pub const MAX_HEADS: usize = 256;

/// The maximum number of links of a tile, so that their rows stay in the first-level cache.
const MAX_LINKS: usize = 128;

/// The maximum number of scores of a tile, one for each head of each link.
const MAX_SCORES: usize = 1024;

/// Scores that are computed together: as many as are stored together, so that loads do not wait for the stores.
const LANES: usize = 8;

pub(super) type Lanes = [f32; LANES];

/// A number for each head of each link; see [`Links`].
pub(super) type Scores = [Lanes; MAX_SCORES / LANES];

/// A number for each head. Where there are fewer heads than lanes, the lanes have parts of it until they are [folded](fold).
pub(super) type Totals = [Lanes; MAX_HEADS / LANES];

/// A link, along which one row attends to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// The row that attends.
    pub target: u32,
    /// The row that is attended to.
    pub source: u32,
    /// The row of the edge; none for an added self-loop.
    pub edge: Option<u32>,
    /// The source or the target of a later link, to be prefetched.
    pub soon: u32,
}

impl Link {
    /// The added self-loop of a row.
    #[inline(always)]
    pub fn self_loop(row: usize) -> Self {
        let row = row as u32;
        Self { target: row, source: row, edge: None, soon: row }
    }
}

/// Some links, with scores, weights and gradients for each head of each.
pub struct Tile {
    pub(super) links: Links,
    /// The sums before the leaky ReLU of [`Score::Decomposed`](super::Score::Decomposed).
    pub(super) sums: Scores,
    /// The scores, and then the weights.
    pub(super) weights: Scores,
    /// The gradients with respect to the scores; with [`Score::Decomposed`](super::Score::Decomposed), to the sums before the
    /// leaky ReLU, or the slopes.
    pub(super) gradients: Scores,
    /// What is read of the states of the targets.
    pub(super) states: Scores,
    /// The largest score so far, and that before the current tile.
    pub(super) largest: Totals,
    pub(super) before: Totals,
    /// The sum of the exponentials, or of other values of the links.
    pub(super) totals: Totals,
    /// The sum of the slopes.
    pub(super) slopes: Totals,
}

impl Tile {
    /// A tile for this number of heads, at most [`MAX_HEADS`].
    pub fn new(heads: usize) -> Self {
        let (scores, totals) = ([[0.0; LANES]; MAX_SCORES / LANES], [[0.0; LANES]; MAX_HEADS / LANES]);
        Self {
            links: Links::new(heads),
            sums: scores,
            weights: scores,
            gradients: scores,
            states: scores,
            largest: totals,
            before: totals,
            totals,
            slopes: totals,
        }
    }

    /// Calls `body` with the links, a tile at a time, skipping those that are none.
    #[inline(always)]
    pub fn for_each(&mut self, count: usize, link: impl Fn(usize) -> Option<Link>, mut body: impl FnMut(&mut Self)) {
        let mut next = 0;
        while next < count {
            let end = count.min(next + self.links.capacity);
            self.links.count = 0;
            for index in next..end {
                if let Some(link) = link(index) {
                    self.links.all[self.links.count] = link;
                    self.links.count += 1;
                }
            }
            next = end;
            if self.links.count > 0 {
                body(self);
            }
        }
    }

    /// A tile of one link.
    #[inline(always)]
    pub(super) fn set(&mut self, link: Link) {
        self.links.all[0] = link;
        self.links.count = 1;
    }
}

/// Some links, and where the numbers for each of their heads are.
///
/// The heads of a link are padded to a power of two or a multiple of the lanes, so the same heads come in the same lanes
/// again and again, and what is computed for each head is computed for all links and heads alike.
pub(super) struct Links {
    heads: usize,
    /// From the scores of one link to those of the next.
    stride: usize,
    capacity: usize,
    count: usize,
    all: [Link; MAX_LINKS],
}

impl Links {
    fn new(heads: usize) -> Self {
        let stride = if heads < LANES { heads.next_power_of_two() } else { heads.next_multiple_of(LANES) };
        let capacity = (MAX_SCORES / stride).min(MAX_LINKS);
        Self { heads, stride, capacity, count: 0, all: [Link::default(); MAX_LINKS] }
    }

    /// The links.
    #[inline(always)]
    pub(super) fn all(&self) -> &[Link] {
        &self.all[..self.count]
    }

    /// From the scores of one link to those of the next.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// How many numbers there are.
    #[inline(always)]
    pub(super) fn scores(&self) -> usize {
        self.count * self.stride
    }

    /// How many times the lanes take up the scores of all links; what is after the last link has no meaning.
    #[inline(always)]
    pub(super) fn blocks(&self) -> usize {
        self.scores().div_ceil(LANES)
    }

    /// How many times the lanes take up all heads.
    #[inline(always)]
    pub(super) fn period(&self) -> usize {
        self.stride.div_ceil(LANES)
    }

    /// Fills the lanes after the last link.
    #[inline(always)]
    pub(super) fn pad(&self, values: &mut Scores, padding: f32) {
        let scores = self.scores();
        for (block, values) in values.iter_mut().enumerate().take(self.blocks()).skip(scores / LANES) {
            let left = scores - block * LANES;
            let mut lanes = *values;
            for (lane, value) in lanes.iter_mut().enumerate() {
                *value = if lane < left { *value } else { padding };
            }
            *values = lanes;
        }
    }

    /// `values = f(values, row)` for each head of each link that has a row.
    #[inline(always)]
    pub(super) fn gather(&self, values: &mut Scores, rows: Rows, f: impl Fn(f32, f32) -> f32) {
        match self.heads {
            // Several links at a time, so that they are stored together.
            1 => {
                let links = self.all.as_chunks::<LANES>().0;
                for (values, links) in values.iter_mut().zip(links).take(self.blocks()) {
                    let mut lanes = *values;
                    // After the last link come earlier ones.
                    for (lane, link) in lanes.iter_mut().zip(links) {
                        if let Some([number]) = rows.of(link) {
                            *lane = f(*lane, *number);
                        }
                    }
                    *values = lanes;
                }
            }
            LANES => {
                for (values, link) in values.iter_mut().zip(self.all()) {
                    if let Some(row) = rows.of(link).and_then(|row| row.first_chunk()) {
                        combine_lanes(values, row, &f);
                    }
                }
            }
            heads => {
                for (values, link) in values.as_flattened_mut().chunks_exact_mut(self.stride).zip(self.all()) {
                    if let Some(row) = rows.of(link) {
                        combine(&mut values[..heads], &row[..heads], &f);
                    }
                }
            }
        }
    }
}

/// The rows that links read.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    Source(Part<'a>),
    Target(Part<'a>),
    /// Of edges and, by node, of added self-loops.
    Link([Option<Part<'a>>; 2]),
}

impl<'a> Rows<'a> {
    /// The row of a link, if it has one.
    #[inline(always)]
    pub(super) fn of(&self, link: &Link) -> Option<&'a [f32]> {
        self.index(link).map(|(rows, index)| rows.row(index))
    }

    /// The features, and which row of them is that of a link, if it has one.
    #[inline(always)]
    fn index(&self, link: &Link) -> Option<(Part<'a>, usize)> {
        match (*self, link.edge) {
            (Self::Source(rows), _) => Some((rows, link.source as usize)),
            (Self::Target(rows), _) => Some((rows, link.target as usize)),
            (Self::Link([edges, _]), Some(edge)) => Some((edges?, edge as usize)),
            (Self::Link([_, self_loops]), None) => Some((self_loops?, link.target as usize)),
        }
    }
}

/// Rows of links, with coefficients for each head: weights, gradients, or both.
pub(super) struct Weighted<'a, const OUTPUTS: usize> {
    pub(super) links: &'a [Link],
    pub(super) coefficients: [&'a [f32]; OUTPUTS],
    pub(super) stride: usize,
    pub(super) rows: Rows<'a>,
}

impl<const OUTPUTS: usize> HeadTerms<OUTPUTS> for Weighted<'_, OUTPUTS> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, [&[f32]; OUTPUTS], usize)) {
        let mut start = 0;
        for link in self.links {
            if let Some((_, row)) = self.rows.index(link) {
                let soon = if let Rows::Link(_) = self.rows { row } else { link.soon as usize };
                add(row, self.coefficients.map(|all| &all[start..start + self.stride]), soon);
            }
            start += self.stride;
        }
    }
}

/// Puts together what lanes have for the same head, where there are fewer heads than lanes.
#[inline(always)]
pub(super) fn fold(totals: &mut [Lanes], stride: usize, f: impl Fn(f32, f32) -> f32) {
    if let [lanes] = totals {
        if stride <= 4 {
            *lanes = fold_by::<4>(*lanes, &f);
        }
        if stride <= 2 {
            *lanes = fold_by::<2>(*lanes, &f);
        }
        if stride <= 1 {
            *lanes = fold_by::<1>(*lanes, &f);
        }
    }
}

#[inline(always)]
fn fold_by<const DISTANCE: usize>(lanes: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    array::from_fn(|lane| f(lanes[lane], lanes[lane ^ DISTANCE]))
}

/// `values = f(values, others)`.
#[inline(always)]
fn combine_lanes(values: &mut Lanes, others: &Lanes, f: impl Fn(f32, f32) -> f32) {
    // A copy, which stays in a register.
    let mut lanes = *values;
    for (value, other) in lanes.iter_mut().zip(others) {
        *value = f(*value, *other);
    }
    *values = lanes;
}

/// `values = f(values, others)`.
#[inline(always)]
pub(super) fn zip_with(values: &mut [Lanes], others: &[Lanes], f: impl Fn(f32, f32) -> f32) {
    for (values, others) in values.iter_mut().zip(others) {
        combine_lanes(values, others, &f);
    }
}

/// `totals = f(totals, values)`, head by head.
#[inline(always)]
pub(super) fn accumulate(totals: &mut [Lanes], values: &[Lanes], f: impl Fn(f32, f32) -> f32) {
    if let [total] = totals {
        let mut lanes = *total;
        for values in values {
            combine_lanes(&mut lanes, values, &f);
        }
        *total = lanes;
        return;
    }
    for values in values.chunks_exact(totals.len()) {
        zip_with(totals, values, &f);
    }
}

/// `values = f(values, totals)`, head by head.
#[inline(always)]
pub(super) fn with_totals(values: &mut [Lanes], totals: &[Lanes], f: impl Fn(f32, f32) -> f32) {
    if let [total] = totals {
        for values in values {
            combine_lanes(values, total, &f);
        }
        return;
    }
    for values in values.chunks_exact_mut(totals.len()) {
        zip_with(values, totals, &f);
    }
}
