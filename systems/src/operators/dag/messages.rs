//! What the nodes of a directed acyclic graph send to their successors, and how these aggregate it.

use connectome_components::{Adjacency, Matrix};

use super::{Rows, Terms, add_bias, elements};
use crate::{
    kernels::{Activation, Operand, dot, exp, gather_rows, ln, matmul, matmul_onto},
    program::{Shape, Step, Value, Weight},
};

/// How a node `v` aggregates the states `h[u]` of its predecessors `u`, once for each edge.
#[derive(Clone, Copy, Debug)]
pub enum Messages {
    /// `sum over u of h[u]`.
    Sum,
    /// `sum over u of sigmoid(h[u] G + g) * (h[u] M)` (Zhang et al. 2019, eq. 4).
    Gated {
        /// `G`, `[C, C]`.
        gate: Weight,
        /// `g`, `[C]`.
        bias: Weight,
        /// `M`, `[C, C]`.
        map: Weight,
    },
    /// `sum over u of a[u] h[u]` with the softmax `a` of `<k, h[u]>` over the predecessors of `v` (Thost & Chen 2021, eq. 5).
    ///
    /// A term of the score that depends on `v` alone cancels in the softmax.
    Attention {
        /// `k`, `[C]`.
        key: Weight,
    },
}

impl Messages {
    /// The values that it reads.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::Sum => Vec::new(),
            Self::Gated { gate, bias, map } => [gate, bias, map].map(Weight::value).to_vec(),
            Self::Attention { key } => vec![key.value()],
        }
    }

    /// The shape of what each node sends beside its state, if it is sent.
    pub(super) fn sent(&self, state: Shape) -> Option<Shape> {
        match self {
            Self::Sum => None,
            Self::Gated { .. } => Some(state),
            Self::Attention { .. } => Some(Shape { width: 1, ..state }),
        }
    }

    /// Whether the weights fit states of this width.
    pub(super) fn fit(&self, width: usize) -> bool {
        match self {
            Self::Sum => true,
            Self::Gated { gate, bias, map } => {
                [gate, map].iter().all(|weight| weight.shape() == [width; 2]) && bias.range().len() == width
            }
            Self::Attention { key } => key.range().len() == width,
        }
    }

    /// The weights, of which the first is input number `first`.
    pub(super) fn prepare<'a>(&self, step: &Step<'a>, first: usize) -> Prepared<'a> {
        match self {
            Self::Sum => Prepared::Sum,
            Self::Gated { gate, bias, map } => Prepared::Gated {
                gate: elements(&step.input(first), gate),
                bias: elements(&step.input(first + 1), bias),
                map: elements(&step.input(first + 2), map),
            },
            Self::Attention { key } => Prepared::Attention { key: elements(&step.input(first), key) },
        }
    }
}

/// [`Messages`] with the weights.
#[derive(Clone, Copy)]
pub(super) enum Prepared<'a> {
    Sum,
    Gated { gate: &'a [f32], bias: &'a [f32], map: &'a [f32] },
    Attention { key: &'a [f32] },
}

impl Prepared<'_> {
    /// Aggregates to rows the states of their predecessors, or what these sent; both matrices begin with the row `first`.
    #[inline(always)]
    pub fn aggregate(
        &self,
        predecessors: &Adjacency,
        rows: Rows,
        [states, sent]: [&Matrix; 2],
        first: usize,
        output: &mut [f32],
    ) {
        match self {
            Self::Sum => sum(predecessors, rows, (states, first), output),
            Self::Gated { .. } => sum(predecessors, rows, (sent, first), output),
            Self::Attention { .. } => attend(predecessors, rows, [states, sent], first, output),
        }
    }

    /// Computes what some nodes send beside their states; the buffer is at least as long as these.
    #[inline(always)]
    pub fn send(&self, states: &[f32], buffer: &mut [f32], sent: &mut [f32]) {
        match self {
            Self::Sum => {}
            Self::Gated { gate, bias, map } => {
                let width = bias.len();
                let (gates, _) = buffer.split_at_mut(states.len());
                matmul(Operand::new(states, width), Operand::new(gate, width), gates);
                add_bias(gates, bias);
                Activation::Sigmoid.apply(gates);
                matmul(Operand::new(states, width), Operand::new(map, width), sent);
                sent.iter_mut().zip(gates).for_each(|(sent, gate)| *sent *= *gate);
            }
            Self::Attention { key } => {
                for (sent, state) in sent.iter_mut().zip(states.chunks_exact(key.len())) {
                    *sent = dot(state, key);
                }
            }
        }
    }
}

/// The sums over the neighbors of rows; `source` begins with the row `first`.
///
/// Compiled once, as other sums here: each takes as much code as there are kinds of vectors and widths.
#[inline(never)]
pub(super) fn sum(adjacency: &Adjacency, rows: Rows, (source, first): (&Matrix, usize), output: &mut [f32]) {
    let coefficient = |_: usize, _: usize, _: usize| 1.0;
    let terms = |index: usize| Terms { adjacency, row: rows.at(index), first, coefficient };
    gather_rows(0..output.len() / source.width(), terms, source, false, output);
}

/// The means over the neighbors of rows by attention; both matrices begin with the row `first`.
#[inline(never)]
fn attend(adjacency: &Adjacency, rows: Rows, [states, scores]: [&Matrix; 2], first: usize, output: &mut [f32]) {
    let terms = |index: usize| {
        let row = rows.at(index);
        let logarithm = log_sum_exp(adjacency, row, (scores, first));
        let coefficient = move |neighbor: usize, _: usize, _: usize| exp(scores.row(neighbor - first)[0] - logarithm);
        Terms { adjacency, row, first, coefficient }
    };
    gather_rows(0..output.len() / states.width(), terms, states, false, output);
}

/// The logarithm of the sum of the exponentials of the scores of the neighbors of a row; that of 1 if it has none.
#[inline(always)]
pub(super) fn log_sum_exp(adjacency: &Adjacency, row: usize, (scores, first): (&Matrix, usize)) -> f32 {
    let neighbors = &adjacency.neighbors[adjacency.entries(row)];
    let scores = || neighbors.iter().map(|neighbor| scores.row(*neighbor as usize - first)[0]);
    let largest = scores().fold(f32::NEG_INFINITY, f32::max);
    if neighbors.is_empty() { 0.0 } else { largest + ln(scores().map(|score| exp(score - largest)).sum()) }
}

/// What is known of the messages when the backward pass begins.
pub(super) enum Known<'a> {
    Sum,
    /// The gates before the sigmoid and the maps, `[N, C]` each, and the transposes of the weights.
    Gated {
        gates: Matrix<'a>,
        maps: Matrix<'a>,
        gate: &'a [f32],
        map: &'a [f32],
    },
    /// The states, the scores, the logarithms of the sums of their exponentials, and the key.
    Attention {
        states: Matrix<'a>,
        scores: Matrix<'a>,
        logarithms: Matrix<'a>,
        key: &'a [f32],
    },
}

impl Known<'_> {
    /// The gradients with respect to the states of some nodes by way of their successors, from those with respect to the
    /// aggregates of these; for attention with another column, the dot product of both.
    #[inline(always)]
    pub fn backward(
        &self,
        successors: &Adjacency,
        rows: &[u32],
        written: (&Matrix, usize),
        buffer: &mut [f32],
        gradient: &mut [f32],
    ) {
        match self {
            Self::Sum => sum(successors, Rows::Listed(rows), written, gradient),
            Self::Gated { gates, maps, gate, map } => {
                let width = gates.width();
                let (by_gates, by_maps) = buffer[..2 * gradient.len()].split_at_mut(gradient.len());
                sum(successors, Rows::Listed(rows), written, by_maps);
                for (index, row) in rows.iter().enumerate() {
                    let range = index * width..(index + 1) * width;
                    let known = [gates.row(*row as usize), maps.row(*row as usize)];
                    gated_backward(known, &mut by_gates[range.clone()], &mut by_maps[range]);
                }
                matmul(Operand::new(by_gates, width), Operand::new(gate, width), gradient);
                matmul_onto(Operand::new(by_maps, width), Operand::new(map, width), 1.0, true, gradient);
            }
            Self::Attention { states, scores, logarithms, key } => {
                let width = key.len();
                let sums = &mut buffer[..rows.len() * (width + 1)];
                attended_sums(successors, Rows::Listed(rows), written, [scores, logarithms], sums);
                let sums = sums.chunks_exact(width + 1);
                for ((row, sums), gradient) in rows.iter().zip(sums).zip(gradient.chunks_exact_mut(width)) {
                    let by_score = score_gradient(sums, states.row(*row as usize));
                    let terms = sums.iter().zip(*key);
                    gradient.iter_mut().zip(terms).for_each(|(gradient, (sum, key))| *gradient = sum + by_score * key);
                }
            }
        }
    }
}

/// The gradients with respect to a gate before its sigmoid and to a map, from that with respect to their product, which
/// `by_maps` holds before.
#[inline(always)]
pub(super) fn gated_backward([gates, maps]: [&[f32]; 2], by_gates: &mut [f32], by_maps: &mut [f32]) {
    by_gates.copy_from_slice(gates);
    Activation::Sigmoid.apply(by_gates);
    for ((by_gate, by_map), map) in by_gates.iter_mut().zip(by_maps).zip(maps) {
        let (gate, gradient) = (*by_gate, *by_map);
        *by_gate = gradient * map * gate * (1.0 - gate);
        *by_map = gradient * gate;
    }
}

/// The sums over the successors of rows, each times the attention that it pays to the row.
#[inline(never)]
pub(super) fn attended_sums(
    successors: &Adjacency,
    rows: Rows,
    (gradients, first): (&Matrix, usize),
    [scores, logarithms]: [&Matrix; 2],
    sums: &mut [f32],
) {
    let terms = |index: usize| {
        let row = rows.at(index);
        let score = scores.row(row)[0];
        let coefficient = move |successor: usize, _: usize, _: usize| exp(score - logarithms.row(successor)[0]);
        Terms { adjacency: successors, row, first, coefficient }
    };
    gather_rows(0..sums.len() / gradients.width(), terms, gradients, false, sums);
}

/// The gradient with respect to the score of a node, from its [`attended_sums`], whose last column is that of the dot
/// products of aggregates and gradients.
#[inline(always)]
pub(super) fn score_gradient(sums: &[f32], state: &[f32]) -> f32 {
    let (products, sums) = sums.split_last().unwrap_or((&0.0, &[]));
    dot(sums, state) - products
}
