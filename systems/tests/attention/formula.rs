//! What the formulas of the layers are made of.

use super::common::{
    Matrices,
    differences::{Case, EDGES},
};
use ndarray::{Array1, Array2, ArrayView1, s};
use std::cell::Cell;

/// An edge as attention sees it, or a self-loop that was added.
pub struct Arc {
    pub source: usize,
    pub target: usize,
    pub features: Array1<f64>,
}

/// The edges; if nodes attend to themselves, a loop for each in place of those the graph has, with the mean features.
pub fn arcs(case: &Case, given: &Matrices, self_loops: bool) -> Vec<Arc> {
    let features = given.get(EDGES).cloned().unwrap_or_else(|| Array2::zeros((case.links.len(), 0)));
    let edges = case.links.iter().zip(features.rows());
    let mut arcs: Vec<Arc> = edges
        .filter(|(link, _)| !self_loops || link.source != link.target)
        .map(|(link, features)| Arc { source: link.source, target: link.target, features: features.to_owned() })
        .collect();
    if self_loops {
        let loops: Vec<Arc> = (0..case.node_count)
            .map(|node| {
                let (mut sum, mut count) = (Array1::zeros(features.ncols()), 0);
                for arc in arcs.iter().filter(|arc| arc.target == node) {
                    sum += &arc.features;
                    count += 1;
                }
                Arc { source: node, target: node, features: sum / f64::from(count.max(1)) }
            })
            .collect();
        arcs.extend(loops);
    }
    arcs
}

/// `sum over the arcs to a node of exp(score) value / sum of exp(score)`, for each head.
pub fn attention(
    rows: usize,
    arcs: &[Arc],
    [heads, columns]: [usize; 2],
    score: impl Fn(&Arc, usize) -> f64,
    value: impl Fn(&Arc) -> Array1<f64>,
) -> Array2<f64> {
    let mut output = Array2::zeros((rows, heads * columns));
    for head in 0..heads {
        let place = s![head * columns..(head + 1) * columns];
        let mut sums = Array1::<f64>::zeros(rows);
        arcs.iter().for_each(|arc| sums[arc.target] += score(arc, head).exp());
        for arc in arcs {
            let weight = score(arc, head).exp() / sums[arc.target];
            let mut row = output.row_mut(arc.target);
            row.slice_mut(place).scaled_add(weight, &value(arc).slice(place));
        }
    }
    output
}

pub fn mean_of_heads(rows: &Array2<f64>, [heads, columns]: [usize; 2]) -> Array2<f64> {
    let share = 1.0 / heads as f64;
    Array2::from_shape_fn((rows.nrows(), columns), |(row, column)| {
        (0..heads).map(|head| share * rows[[row, head * columns + column]]).sum()
    })
}

/// The part of a row that belongs to a head, times the head's vector.
pub fn by_head(row: ArrayView1<f64>, vectors: &Array2<f64>, head: usize) -> f64 {
    let columns = vectors.ncols();
    row.slice(s![head * columns..(head + 1) * columns]).dot(&vectors.row(head))
}

/// `features * weight`, zeros for no features.
pub fn mapped(features: &Array1<f64>, weight: Option<&Array2<f64>>, width: usize) -> Array1<f64> {
    weight.map_or_else(|| Array1::zeros(width), |weight| features.dot(weight))
}

/// The rectifier of the scores, which remembers how near to its kink it came.
pub struct Leaky {
    slope: f64,
    nearest: Cell<f64>,
}

impl Leaky {
    pub fn new(slope: f32) -> Self {
        Self { slope: f64::from(slope), nearest: Cell::new(f64::INFINITY) }
    }

    pub fn at(&self, x: f64) -> f64 {
        self.nearest.set(self.nearest.get().min(x.abs()));
        if x > 0.0 { x } else { self.slope * x }
    }

    /// Whether it stayed far enough from it for differences, and for the rounding of floats.
    pub fn avoided_kink(&self) -> bool {
        self.nearest.get() > 1e-4
    }
}

/// `input * W + b`.
pub fn affine(input: &Array2<f64>, given: &Matrices, name: &str) -> Array2<f64> {
    input.dot(&given[&format!("{name}.weight")]) + &given[&format!("{name}.bias")]
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
