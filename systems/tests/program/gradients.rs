//! The gradient of a value read by many is the sum of theirs, whatever the value is: computed, a parameter, some rows of one.
//!
//! Formulas are written twice, as operations and in 64-bit floats, whose central differences are compared. Each model is run
//! twice, for what one step leaves must not go into the next.

use super::{assert_plan, bias, plan, program, weight};
use crate::common::{
    Given, Matrices, Scene, Trial,
    differences::{Expected, Formula},
    numbers, random_matrices,
};
use connectome_systems::{
    kernels::Activation,
    layers::{BuildError, Initialization, Layer},
    operators::{activate, add, add_bias, concatenate, linear, scale},
    program::{Domain, Footprint, Mode, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};
use ndarray::{Array2, concatenate as side_by_side, s};

/// A layer that is a function.
pub(super) struct Record<F>(pub F);

impl<F: Fn(&mut Program, Value) -> Result<Value, BuildError> + Send + Sync> Layer for Record<F> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        (self.0)(program, input)
    }
}

/// Compares a layer with its formula, twice; the input is `[7, 3]`, the output 3 wide, parameters have these shapes.
#[track_caller]
fn check(
    shapes: &[(&str, usize, usize)],
    layer: impl Fn(&mut Program, Value) -> Result<Value, BuildError> + Send + Sync + 'static,
    formula: Formula,
) {
    let (input, cotangent, parameters) = (numbers(1, 0, (7, 3)), numbers(1, 1, (7, 3)), random_matrices(1, shapes));
    let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
    let mut scene = Scene::new(7, &[]);
    let trial = Trial::build(&mut scene, &given, |model| model.layer(Record(layer)), &cotangent).unwrap();
    let expected = Expected::of(formula, &input, &parameters, &cotangent);
    for step in 0..2 {
        let passes = trial.run(&mut scene).unwrap();
        expected.check(&format!("step {step}"), &passes).unwrap();
    }
}

fn tanh(x: &Array2<f64>) -> Array2<f64> {
    x.mapv(f64::tanh)
}

#[test]
fn a_value_read_by_many() {
    let layer = |p: &mut Program, x| {
        let w = p.weight("w", [3, 3], None)?;
        let y = activate(p, x, Activation::Tanh)?;
        let mapped = linear(p, y, &w, None)?;
        let doubled = scale(p, y, 2.0)?;
        let sum = add(p, [(mapped, 1.0), (doubled, 0.5)])?;
        add(p, [(sum, 1.0), (y, -3.0)])
    };
    check(&[("w", 3, 3)], layer, &|x, p: &Matrices| {
        let y = tanh(x);
        y.dot(&p["w"]) + &y - 3.0 * &y
    });
}

#[test]
fn a_value_read_twice_by_one_operation() {
    let layer = |p: &mut Program, x| {
        let y = scale(p, x, 1.5)?;
        add(p, [(y, 2.0), (y, 0.25)])
    };
    check(&[], layer, &|x, _| 1.5 * 2.25 * x);
}

#[test]
fn weights_used_in_each_of_many_steps() {
    let layer = |p: &mut Program, x| {
        let (w, b) = (p.weight("w", [3, 3], None)?, p.vector("b", 3, Initialization::ZEROS, None)?);
        (0..5).try_fold(x, |x, _| {
            let y = linear(p, x, &w, Some(&b))?;
            activate(p, y, Activation::Tanh)
        })
    };
    check(&[("w", 3, 3), ("b", 1, 3)], layer, &|x, p: &Matrices| {
        (0..5).fold(x.clone(), |x, _| tanh(&(x.dot(&p["w"]) + &p["b"])))
    });
}

#[test]
fn a_parameter_asked_for_twice_is_one() {
    let layer = |p: &mut Program, x| {
        let w = p.weight("w", [3, 3], None)?;
        let y = linear(p, x, &w, None)?;
        let again = p.weight("w", [3, 3], None)?;
        linear(p, y, &again, None)
    };
    check(&[("w", 3, 3)], layer, &|x, p: &Matrices| x.dot(&p["w"]).dot(&p["w"]));
}

#[test]
fn rows_of_a_weight() {
    let layer = |p: &mut Program, x| {
        let w = p.weight("w", [6, 3], None)?;
        let y = linear(p, x, &w.rows(0..3), None)?;
        let y = activate(p, y, Activation::Tanh)?;
        linear(p, y, &w.rows(3..6), None)
    };
    check(&[("w", 6, 3)], layer, &|x, p: &Matrices| {
        let w = &p["w"];
        tanh(&x.dot(&w.slice(s![0..3, ..]))).dot(&w.slice(s![3..6, ..]))
    });
}

#[test]
fn rows_of_a_weight_that_overlap() {
    let layer = |p: &mut Program, x| {
        let w = p.weight("w", [6, 3], None)?;
        // Read last to first on the way back: some rows, others that overlap them, then all.
        let pair = concatenate(p, &[x, x])?;
        let y = linear(p, pair, &w, None)?;
        let y = activate(p, y, Activation::Tanh)?;
        let y = linear(p, y, &w.rows(2..5), None)?;
        linear(p, y, &w.rows(1..4), None)
    };
    check(&[("w", 6, 3)], layer, &|x, p: &Matrices| {
        let w = &p["w"];
        let y = tanh(&side_by_side![ndarray::Axis(1), *x, *x].dot(w));
        y.dot(&w.slice(s![2..5, ..])).dot(&w.slice(s![1..4, ..]))
    });
}

/// `Y = X * v`, number by number, with a row `v`: its derivative takes `v` for a value like any other.
#[derive(Clone, Debug)]
struct TimesRow;

impl Operator for TimesRow {
    fn name(&self) -> &'static str {
        "times_row"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(Partition::Uniform, [0, 1], |_, [x, v], rows, output| {
            let Some(v) = v.rows().next() else { return };
            let products = x.slice(rows).iter().zip(v.iter().cycle()).map(|(x, v)| x * v);
            output.iter_mut().zip(products).for_each(|(output, product)| *output = product);
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[x, v] = &operation.inputs[..] else { return Ok(()) };
        let width = v.width();
        let sum = kernel("times_row_backward", Footprint::All, move |step: &mut Step<'_>| {
            step.sum_rows([0, 1], 0..width, |[gradient, x], rows, sum| {
                sum.fill(0.0);
                for row in rows {
                    let terms = gradient.row(row).iter().zip(x.row(row));
                    sum.iter_mut().zip(terms).for_each(|(sum, (gradient, x))| *sum += gradient * x);
                }
            });
        });
        tape.gradient(v, sum, &[gradient, x])?;
        tape.gradient(x, Self, &[gradient, v])
    }
}

#[test]
fn a_parameter_read_as_any_value_is() {
    let layer = |p: &mut Program, x| {
        let v = p.vector("v", 3, Initialization::ZEROS, None)?;
        // As it is, computed with, and by an operation that knows parameters.
        let y = p.record_one(TimesRow, &[x, v.value()])?;
        let y = activate(p, y, Activation::Tanh)?;
        let doubled = scale(p, v.value(), 2.0)?;
        let y = p.record_one(TimesRow, &[y, doubled])?;
        add_bias(p, y, &v)
    };
    check(&[("v", 1, 3)], layer, &|x, p: &Matrices| tanh(&(x * &p["v"])) * (2.0 * &p["v"]) + &p["v"]);
}

/// `Y = X + Z`, whose derivative is the same value for both.
#[derive(Clone, Debug)]
struct Sum;

impl Operator for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(Partition::Uniform, [0, 1], |_, [x, z], rows, output| {
            let terms = x.slice(rows.clone()).iter().zip(z.slice(rows));
            output.iter_mut().zip(terms).for_each(|(output, (x, z))| *output = x + z);
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        operation.inputs.iter().try_for_each(|input| tape.add_term(*input, gradient))
    }
}

#[test]
fn one_value_as_the_gradient_of_several() {
    let layer = |p: &mut Program, x| {
        let w = p.weight("w", [3, 3], None)?;
        // Both change their gradient in place on the way back.
        let mapped = linear(p, x, &w, None)?;
        let one = activate(p, mapped, Activation::Tanh)?;
        let mapped = linear(p, one, &w, None)?;
        let other = activate(p, mapped, Activation::Tanh)?;
        let sum = p.record_one(Sum, &[one, other])?;
        p.record_one(Sum, &[sum, x])
    };
    check(&[("w", 3, 3)], layer, &|x, p: &Matrices| {
        let one = tanh(&x.dot(&p["w"]));
        let other = tanh(&one.dot(&p["w"]));
        one + other + x
    });
}

#[test]
fn an_input_handed_on_has_the_gradient_of_the_output() {
    check(&[], |_, x| Ok(x), &|x, _| x.clone());
}

// --- as text ---

#[test]
fn the_backward_pass_of_a_map() {
    let (mut p, x) = program(3);
    let (w, b) = (weight(&mut p, "w", [3, 2]), bias(&mut p, "b", 2));
    let y = linear(&mut p, x, &w, Some(&b)).unwrap();
    let y = activate(&mut p, y, Activation::Relu).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%4 [nodes, 2] @0 = linear + bias + relu x w b",
            "%6 [nodes, 2] @1 ~= activation_backward %4",
            "d b [1, 2] = bias_gradient %6",
            "d w [1, 6] = weight_gradient x %6",
        ],
    );
}

#[test]
fn the_terms_of_a_gradient_are_added_in_place() {
    let (mut p, x) = program(3);
    let w = weight(&mut p, "w", [3, 3]);
    let h = linear(&mut p, x, &w, None).unwrap();
    let y = linear(&mut p, h, &w, None).unwrap();
    let y = add(&mut p, [(y, 1.0), (h, 1.0)]).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%2 [nodes, 3] @0 = linear x w",
            "%4 [nodes, 3] @1 = linear + add %2 w %2",
            "d w [1, 9] = weight_gradient %2 %5",
            "%7 [nodes, 3] @0 = input_gradient %5 w",
            "d w [1, 9] += weight_gradient x %7",
        ],
    );
}

#[test]
fn heads_that_share_a_trunk_add_their_gradients() {
    let (mut p, x) = program(3);
    let [w, v] = ["w", "v"].map(|name| weight(&mut p, name, [3, 3]));
    let trunk = linear(&mut p, x, &w, None).unwrap();
    let first = linear(&mut p, trunk, &v, None).unwrap();
    p.head("first", first);
    p.head("second", trunk);
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%3 [nodes, 3] @0 = linear x w",
            "%4 [nodes, 3] @1 = linear %3 v",
            "d v [1, 9] = weight_gradient %3 %5",
            "%8 [nodes, 3] @3 += input_gradient %5 v",
            "d w [1, 9] = weight_gradient x %8",
        ],
    );
}

#[test]
fn two_heads_of_one_value_add_their_gradients() {
    let (mut p, x) = program(3);
    let w = weight(&mut p, "w", [3, 3]);
    let y = linear(&mut p, x, &w, None).unwrap();
    p.head("first", y);
    p.head("second", y);
    assert_plan(
        &p,
        Mode::Training,
        &["%2 [nodes, 3] @0 = linear x w", "%5 [nodes, 3] @1 += add_gradient %4", "d w [1, 9] = weight_gradient x %5"],
    );
}

#[test]
fn no_gradient_flows_through_what_is_detached() {
    let (mut p, x) = program(3);
    let [w, v] = ["w", "v"].map(|name| weight(&mut p, name, [3, 3]));
    let h = linear(&mut p, x, &w, None).unwrap();
    let y = linear(&mut p, h.detached(), &v, None).unwrap();
    p.head("output", y);
    let text = plan(&p, Mode::Training).to_string();
    assert!(text.contains("d v") && !text.contains("d w"), "{text}");
}

#[test]
fn an_operation_without_a_derivative_cannot_learn() {
    /// An operator with so many outputs and no derivative.
    #[derive(Debug)]
    struct Opaque(usize);
    impl Operator for Opaque {
        fn name(&self) -> &'static str {
            "opaque"
        }
        fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
            Ok(vec![Shape::new(Domain::NODES, 1); self.0])
        }
        fn run(&self, _: &mut Step<'_>) {}
    }
    let error = |outputs: usize| {
        let (mut p, x) = program(3);
        let w = weight(&mut p, "w", [3, 3]);
        let h = linear(&mut p, x, &w, None).unwrap();
        let y = p.record(Opaque(outputs), &[h]).unwrap();
        p.head("output", y[outputs - 1]);
        super::Plan::new(&p, Mode::Training, &mut super::Layout::default()).unwrap_err().to_string()
    };
    assert_eq!(error(1), "layer 0 cannot learn, for opaque has no derivative; detach its input");
    let of_the_second = "layer 0 cannot learn, for only the first output of opaque has a derivative; detach the others";
    assert_eq!(error(2), of_the_second);
}
