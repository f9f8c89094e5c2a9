//! Cases of random graphs, and the derivatives of a formula by central differences.

use super::{Given, Link, Matrices, Passes, Scene, numbers, relative_error};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Numbers here are around 1; an array in which they cancel is held to this scale.
pub const FLOOR: f64 = 0.1;

pub const FORWARD: f64 = 1e-5;
pub const BACKWARD: f64 = 1e-4;

/// A graph, and the widths and numbers of one layer on it.
#[derive(Clone, Debug)]
pub struct Case {
    pub node_count: usize,
    pub links: Vec<Link>,
    pub input_width: usize,
    pub output_width: usize,
    pub seed: u64,
}

impl Case {
    pub fn scene(&self) -> Scene {
        Scene::new(self.node_count, &self.links)
    }

    pub fn input(&self) -> Array2<f64> {
        numbers(self.seed, 0, (self.node_count, self.input_width))
    }

    /// The input with two thirds of its numbers left out, some whole rows among them.
    pub fn sparse_input(&self) -> Array2<f64> {
        let keep = numbers(self.seed, 4, (self.node_count, self.input_width));
        self.input() * keep.mapv(|number| if number > 0.33 { 1.0 } else { 0.0 })
    }

    pub fn cotangent(&self, width: usize) -> Array2<f64> {
        numbers(self.seed, 1, (self.node_count, width))
    }

    /// Weights of this name, and a bias.
    pub fn parameters(&self, weight: &str) -> Matrices {
        let weights = numbers(self.seed, 2, (self.input_width, self.output_width));
        let bias = numbers(self.seed, 3, (1, self.output_width));
        Matrices::from([(weight.to_owned(), weights), ("bias".to_owned(), bias)])
    }

    /// `D^-1/2 (A + I) D^-1/2`, degrees by target; a node's self-loop of the greatest weight stands in for the added 1.
    pub fn symmetric(&self) -> Array2<f64> {
        let mut adjacency = Array2::<f64>::eye(self.node_count);
        let mut loops = BTreeSet::new();
        for link in &self.links {
            let weight = f64::from(link.weight.unwrap_or(1.0));
            if link.source == link.target {
                let own = adjacency.get_mut([link.target, link.source]).unwrap();
                *own = if loops.insert(link.target) { weight } else { own.max(weight) };
            } else {
                adjacency[[link.target, link.source]] += weight;
            }
        }
        let degrees = adjacency.sum_axis(Axis(1));
        let roots = degrees.mapv(|degree| if degree > 0.0 { degree.powf(-0.5) } else { 0.0 });
        Array2::from_shape_fn(adjacency.dim(), |(i, j)| roots[i] * adjacency[[i, j]] * roots[j])
    }

    /// The mean over a node itself and the sources of its edges.
    pub fn mean(&self) -> Array2<f64> {
        let mut adjacency = Array2::<f64>::eye(self.node_count);
        for link in &self.links {
            adjacency[[link.target, link.source]] += 1.0;
        }
        let counts = adjacency.sum_axis(Axis(1)).insert_axis(Axis(1));
        adjacency / counts
    }
}

pub fn cases() -> impl Strategy<Value = Case> {
    // Quarters add up exactly, so a degree is either safely positive or not positive at all.
    let weight = prop::option::of((-1..=8i8).prop_map(|quarters| 0.25 * f32::from(quarters)));
    let sizes = (1..=8usize, 1..=9usize, 1..=9usize, any::<u64>());
    sizes.prop_flat_map(move |(node_count, input_width, output_width, seed)| {
        let link = (0..node_count, 0..node_count, weight.clone());
        let links =
            prop::collection::vec(link.prop_map(|(source, target, weight)| Link { source, target, weight }), 0..=20);
        links.prop_map(move |mut links| {
            // As their rows lie.
            links.sort_by_key(|link| link.weight.is_some());
            Case { node_count, links, input_width, output_width, seed }
        })
    })
}

/// What a layer computes, in the dense form: output from input, weight and bias.
pub type Formula<'a> = &'a dyn Fn(&Array2<f64>, &Matrices) -> Array2<f64>;

/// `sum(formula(input, parameters) * cotangent)` and its derivatives, by central differences.
pub struct Differences<'a> {
    pub formula: Formula<'a>,
    pub cotangent: &'a Array2<f64>,
}

impl Differences<'_> {
    pub fn loss(&self, input: &Array2<f64>, parameters: &Matrices) -> f64 {
        ((self.formula)(input, parameters) * self.cotangent).sum()
    }

    pub fn by_input(&self, input: &Array2<f64>, parameters: &Matrices) -> Array2<f64> {
        differences(input, |input| self.loss(input, parameters))
    }

    pub fn by_parameter(&self, name: &str, input: &Array2<f64>, parameters: &Matrices) -> Array2<f64> {
        differences(&parameters[name], |value| {
            let mut moved = parameters.clone();
            moved.insert(name.to_owned(), value.clone());
            self.loss(input, &moved)
        })
    }
}

pub fn differences(at: &Array2<f64>, function: impl Fn(&Array2<f64>) -> f64) -> Array2<f64> {
    const STEP: f64 = 1e-6;
    let mut moved = at.clone();
    Array2::from_shape_fn(at.dim(), |place| {
        let mut value = |step| {
            moved[place] = at[place] + step;
            function(&moved)
        };
        let difference = value(STEP) - value(-STEP);
        moved[place] = at[place];
        difference / (2.0 * STEP)
    })
}

pub fn assert_near(
    what: &str,
    found: &Array2<f64>,
    expected: &Array2<f64>,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    let error = relative_error(found, expected, FLOOR);
    prop_assert!(error <= tolerance, "{what} is off by {error:e}:\n{found}\nand not\n{expected}");
    Ok(())
}

/// What a layer computes from its input, the features of the edges and its parameters.
pub type EdgeFormula<'a> = &'a dyn Fn(&Array2<f64>, &Array2<f64>, &Matrices) -> Array2<f64>;

/// Compares what a layer gave with its formula, forward and backward.
pub fn compare(
    name: &str,
    given: &Given,
    cotangent: &Array2<f64>,
    passes: &Passes,
    formula: EdgeFormula,
) -> Result<(), TestCaseError> {
    let (input, parameters) = (&given.input, &given.parameters);
    let edges = given.edges.clone().unwrap_or_default();
    let loss = |input: &Array2<f64>, edges: &Array2<f64>, parameters: &Matrices| {
        (formula(input, edges, parameters) * cotangent).sum()
    };
    assert_near(&format!("{name}: output"), &passes.output, &formula(input, &edges, parameters), FORWARD)?;
    let expected = differences(input, |input| loss(input, &edges, parameters));
    assert_near(&format!("{name}: gradient of the input"), passes.input.as_ref().unwrap(), &expected, BACKWARD)?;
    if let Some(gradient) = &passes.edges {
        let expected = differences(&edges, |edges| loss(input, edges, parameters));
        assert_near(&format!("{name}: gradient of the edges"), gradient, &expected, BACKWARD)?;
    }
    prop_assert_eq!(passes.parameters.keys().collect::<Vec<_>>(), parameters.keys().collect::<Vec<_>>());
    for (parameter, gradient) in &passes.parameters {
        let expected = differences(&parameters[parameter], |value| {
            let mut moved = parameters.clone();
            moved.insert(parameter.clone(), value.clone());
            loss(input, &edges, &moved)
        });
        assert_near(&format!("{name}: gradient of the {parameter}"), gradient, &expected, BACKWARD)?;
    }
    Ok(())
}
