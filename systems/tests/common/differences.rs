//! Cases of random graphs, and the derivatives of a formula by central differences.

use super::{Given, Link, Matrices, Passes, Scene, numbers, relative_error};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers here are around 1; an array in which they cancel is held to this scale.
pub const FLOOR: f64 = 0.1;

/// Of what two ways of computing one output may differ by, relative to its largest element.
pub const FORWARD: f64 = 1e-5;

/// Of an output and its formula, relative to the largest sum of absolute terms; among 14,000 random cases 1.5e-6 at most.
const OUTPUT: f64 = 5e-6;

/// Of gradients, relative to the largest sum of absolute terms, whose own terms may cancel as well.
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

/// A matrix, and for each element the sum of the absolute values of the terms that it is a sum of.
///
/// Where terms cancel, floats are off by the rounding of the terms, not by that of what is left of them.
pub struct Sums {
    pub values: Array2<f64>,
    pub terms: Array2<f64>,
}

impl Sums {
    fn zeros(dim: (usize, usize)) -> Self {
        Self { values: Array2::zeros(dim), terms: Array2::zeros(dim) }
    }

    /// Asserts that the largest difference is small against the largest sum of absolute values, or against `floor`.
    fn check(&self, what: &str, found: &Array2<f64>, floor: f64, tolerance: f64) -> Result<(), TestCaseError> {
        let Self { values, terms } = self;
        let scale = terms.iter().chain(values).fold(floor, |largest, number| largest.max(number.abs()));
        let error = relative_error(found, values, scale);
        prop_assert!(error <= tolerance, "{what} is off by {error:e} of {scale}:\n{found}\nand not\n{values}");
        Ok(())
    }
}

/// Under these names the arguments of a formula hold the input and the features of the edges.
pub const INPUT: &str = "input";
pub const EDGES: &str = "edges";

/// What a formula of named matrices gives, and the gradients of `sum(output * cotangent)`, by central differences.
pub struct Expected {
    pub output: Sums,
    pub gradients: BTreeMap<String, Sums>,
}

impl Expected {
    /// The terms of an output `y` are `x dy/dx` for each number `x` of the arguments. Those of the gradient with respect to
    /// `x` are the cotangent of `y` times `dy/dx`, for each output.
    pub fn new(arguments: Matrices, cotangent: &Array2<f64>, formula: impl Fn(&Matrices) -> Array2<f64>) -> Self {
        const STEP: f64 = 1e-6;
        let values = formula(&arguments);
        let mut output = Sums { terms: Array2::zeros(values.dim()), values };
        let mut moved = arguments.clone();
        let mut gradients = BTreeMap::new();
        for (name, argument) in &arguments {
            let mut gradient = Sums::zeros(argument.dim());
            for (place, x) in argument.indexed_iter() {
                let mut value = |x: f64| {
                    moved.get_mut(name).unwrap()[place] = x;
                    formula(&moved)
                };
                let derivative = (value(x + STEP) - value(x - STEP)) / (2.0 * STEP);
                value(*x);
                output.terms.zip_mut_with(&derivative, |terms, derivative| *terms += (x * derivative).abs());
                let products = derivative * cotangent;
                gradient.values[place] = products.sum();
                gradient.terms[place] = products.mapv(f64::abs).sum();
            }
            gradients.insert(name.clone(), gradient);
        }
        Self { output, gradients }
    }

    /// That of a formula of the input and the parameters.
    pub fn of(formula: Formula, input: &Array2<f64>, parameters: &Matrices, cotangent: &Array2<f64>) -> Self {
        let mut arguments = parameters.clone();
        arguments.insert(INPUT.to_owned(), input.clone());
        Self::new(arguments, cotangent, |arguments| formula(&arguments[INPUT], arguments))
    }

    pub fn check_output(&self, name: &str, output: &Array2<f64>) -> Result<(), TestCaseError> {
        self.output.check(&format!("{name}: output"), output, f64::MIN_POSITIVE, OUTPUT)
    }

    /// Compares the gradients that there are; the names of others are returned.
    pub fn check_gradients(&self, name: &str, passes: &Passes) -> Result<Vec<&str>, TestCaseError> {
        let found = passes.gradients();
        let unknown = found.keys().find(|argument| !self.gradients.contains_key(*argument));
        prop_assert!(unknown.is_none(), "{name} has a parameter {unknown:?}");
        let mut missing = Vec::new();
        for (argument, expected) in &self.gradients {
            let what = format!("{name}: gradient of {argument}");
            match found.get(argument) {
                Some(found) => expected.check(&what, found, FLOOR, BACKWARD)?,
                None => missing.push(argument.as_str()),
            }
        }
        Ok(missing)
    }

    /// Compares the output and all gradients.
    pub fn check(&self, name: &str, passes: &Passes) -> Result<(), TestCaseError> {
        self.check_output(name, &passes.output)?;
        let missing = self.check_gradients(name, passes)?;
        prop_assert!(missing.is_empty(), "{name} has no gradients of {missing:?}");
        Ok(())
    }
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

/// Compares what a layer gave with its formula, forward and backward. Features of the edges that have no gradient, such as
/// places, are no arguments.
pub fn compare(
    name: &str,
    given: &Given,
    cotangent: &Array2<f64>,
    passes: &Passes,
    formula: EdgeFormula,
) -> Result<(), TestCaseError> {
    let edges = given.edges.clone().unwrap_or_default();
    let mut arguments = given.arguments();
    arguments.retain(|argument, _| argument != EDGES || passes.edges.is_some());
    let formula = |arguments: &Matrices| formula(&arguments[INPUT], arguments.get(EDGES).unwrap_or(&edges), arguments);
    Expected::new(arguments, cotangent, formula).check(name, passes)
}
