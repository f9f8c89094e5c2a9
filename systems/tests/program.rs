//! Each pass over a program does what it says: small programs are planned without a world and compared as text, and random
//! ones are run by hand, column by column.
//!
//! In the text `%5` is the value that was recorded as number 5, `@2` the column that it got, `+=` an operation that adds to
//! what stands there, `~=` one that changes it in place, and `d weight` the gradient with respect to a weight.

mod columns;
mod cost;
mod dropout;
mod gradients;
mod limits;
mod sums;

use bevy_ecs::entity::Entity;
use connectome_components::Normalization;
use connectome_systems::{
    kernels::Activation,
    layers::{BuildError, Initialization},
    operators::{activate, add, add_bias, aggregate, dropout, linear, scale},
    program::{
        Domain, Footprint, Layout, Mode, Operation, Operator, Pass, Plan, Program, Shape, Step, Tape, Value, Weight,
    },
};

/// A program over features of the nodes, so wide.
fn program(width: usize) -> (Program, Value) {
    let mut program = Program::new(Entity::PLACEHOLDER);
    let input = program.input("x", Shape::new(Domain::NODES, width), false);
    (program, input)
}

fn weight(program: &mut Program, name: &str, shape: [usize; 2]) -> Weight {
    program.weight(name, shape, None).unwrap()
}

fn bias(program: &mut Program, name: &str, width: usize) -> Weight {
    program.vector(name, width, Initialization::ZEROS, None).unwrap()
}

fn plan(program: &Program, mode: Mode) -> Plan {
    Plan::new(program, mode, &mut Layout::default()).unwrap()
}

/// What a plan computes, a line for each operation.
#[track_caller]
fn assert_plan(program: &Program, mode: Mode, expected: &[&str]) {
    let found = plan(program, mode).to_string();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{mode:?}:\n{found}");
}

/// `Y = X`, by an operator of one's own that looks at nothing but shapes.
#[derive(Clone, Debug)]
struct Identity;

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        let input = step.input(0);
        step.output(0).rows_mut().zip(input.rows()).for_each(|(output, input)| output.copy_from_slice(input));
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.add_term(operation.inputs[0], gradient)
    }
}

/// An operator that changes its output in place.
#[derive(Clone, Debug)]
struct Count;

impl Operator for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, 1)])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.output(0).rows_mut().for_each(|row| row[0] += 1.0);
    }
}

// --- specialize ---

#[test]
fn dropout_is_there_in_training_only() {
    let (mut p, x) = program(3);
    let dropped = dropout(&mut p, x, 0.5).unwrap();
    let y = activate(&mut p, dropped, Activation::Tanh).unwrap();
    p.head("output", y);
    assert_plan(&p, Mode::Training, &["%1 [nodes, 3] @0 = dropout x", "%2 [nodes, 3] @1 = activate tanh %1"]);
    assert_plan(&p, Mode::Inference, &["%2 [nodes, 3] @0 = activate tanh x"]);
}

#[test]
fn a_model_that_only_drops_hands_its_input_on() {
    let (mut p, x) = program(3);
    let y = dropout(&mut p, x, 0.5).unwrap();
    p.head("output", y);
    let plan = plan(&p, Mode::Inference);
    assert_eq!(plan.to_string(), "");
    assert_eq!(plan.name(plan.output(0).unwrap()), "x");
}

#[test]
fn masks_of_coefficients_are_drawn_in_training_only() {
    use connectome_systems::operators::{EdgeCoefficients, EdgeDropout};
    let (mut p, x) = program(3);
    let mask = EdgeDropout::draw(&mut p, 0.5).unwrap();
    let coefficients = EdgeCoefficients::from(Normalization::Symmetric).masked(mask);
    let sums = aggregate(&mut p, x, coefficients).unwrap();
    p.head("output", sums);
    let text = plan(&p, Mode::Training).to_string();
    assert_eq!(text.matches("mask").count(), 2, "{text}");
    assert_plan(&p, Mode::Inference, &["%3 [nodes, 3] @0 = aggregate x  (when an input changes)"]);
}

#[test]
fn what_nobody_reads_is_left_out() {
    let (mut p, x) = program(3);
    let unread = scale(&mut p, x, 2.0).unwrap();
    scale(&mut p, unread, 2.0).unwrap();
    let kept = scale(&mut p, x, 3.0).unwrap();
    p.keep(kept);
    let y = scale(&mut p, x, 4.0).unwrap();
    p.head("output", y);
    assert_plan(&p, Mode::Inference, &["%3 [nodes, 3] @0 = scale x", "%4 [nodes, 3] @1 = scale x"]);
}

#[test]
fn buffers_are_updated_in_training_only() {
    use connectome_systems::layers::BatchNorm;
    let (mut p, x) = program(3);
    let y = p.nested("norm", &BatchNorm::default(), x).unwrap();
    p.head("output", y);
    let text = plan(&p, Mode::Training).to_string();
    assert_eq!(text.matches("~= batch_norm_running").count(), 2, "{text}");
    let text = plan(&p, Mode::Inference).to_string();
    assert_eq!(text.matches("batch_norm_running").count(), 0, "{text}");
}

// --- hoist ---

#[test]
fn sums_that_rest_have_a_column_of_their_own_in_all_modes() {
    let (mut p, x) = program(3);
    let w = weight(&mut p, "w", [3, 3]);
    let first = aggregate(&mut p, x, Normalization::Symmetric).unwrap();
    let second = aggregate(&mut p, first, Normalization::Symmetric).unwrap();
    let y = linear(&mut p, second, &w, None).unwrap();
    let sums = aggregate(&mut p, y, Normalization::Symmetric).unwrap();
    p.head("output", sums);
    let mut layout = Layout::default();
    let training = Plan::new(&p, Mode::Training, &mut layout).unwrap();
    let inference = Plan::new(&p, Mode::Inference, &mut layout).unwrap();
    let resting = "%2 [nodes, 3] @0 = aggregate x  (when an input changes)\n\
        %3 [nodes, 3] @1, %4 [nodes, 3] @2 = aggregate_linear %2 w  (its first output when an input changes)\n";
    for plan in [training, inference] {
        let text = plan.to_string();
        assert!(text.starts_with(resting), "{:?}:\n{text}", plan.mode());
        assert_eq!(text.matches("when").count(), 2, "{text}");
    }
}

#[test]
fn sums_of_what_the_model_writes_or_learns_do_not_rest() {
    let (mut p, x) = program(3);
    let dropped = dropout(&mut p, x, 0.5).unwrap();
    let sums = aggregate(&mut p, dropped, Normalization::Symmetric).unwrap();
    p.head("output", sums);
    assert!(!plan(&p, Mode::Training).to_string().contains("when"));
    // Without dropout the input is all that they are of.
    assert!(plan(&p, Mode::Inference).to_string().contains("when"));

    let mut p = Program::new(Entity::PLACEHOLDER);
    let wanted = p.input("x", Shape::new(Domain::NODES, 3), true);
    let sums = aggregate(&mut p, wanted, Normalization::Symmetric).unwrap();
    p.head("output", sums);
    assert!(!plan(&p, Mode::Training).to_string().contains("when"));
}

// --- fuse ---

/// `f(A X W + b)`, and the value that `f` is applied to.
fn convolution(p: &mut Program, x: Value, activation: Activation) -> [Value; 4] {
    let w = weight(p, "w", [x.width(), 2]);
    let b = bias(p, "b", 2);
    let sums = aggregate(p, x, Normalization::Mean).unwrap();
    let products = linear(p, sums, &w, None).unwrap();
    let shifted = add_bias(p, products, &b).unwrap();
    [sums, products, shifted, activate(p, shifted, activation).unwrap()]
}

/// Something that changes from step to step, so that sums of it do not rest.
fn moving(width: usize) -> (Program, Value) {
    let (mut p, x) = program(width);
    let w = weight(&mut p, "v", [width, 3]);
    let moving = linear(&mut p, x, &w, None).unwrap();
    (p, moving)
}

#[test]
fn a_map_and_what_follows_are_one_operation() {
    let (mut p, x) = program(3);
    let [w, v] = ["w", "v"].map(|name| weight(&mut p, name, [3, 2]));
    let b = bias(&mut p, "b", 2);
    let products = linear(&mut p, x, &w, None).unwrap();
    let others = linear(&mut p, x, &v, None).unwrap();
    let sum = add(&mut p, [(others, 0.5), (products, 2.0)]).unwrap();
    let shifted = add_bias(&mut p, sum, &b).unwrap();
    let y = activate(&mut p, shifted, Activation::Relu).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Inference,
        &["%5 [nodes, 2] @0 = linear x v", "%8 [nodes, 2] @1 = linear + add + bias + relu x w %5 b"],
    );
}

#[test]
fn sums_are_multiplied_in_one_pass_and_kept_for_the_backward_pass() {
    let (mut p, x) = moving(3);
    let [.., y] = convolution(&mut p, x, Activation::Relu);
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Inference,
        &["%2 [nodes, 3] @0 = linear x v", "%8 [nodes, 2] @1 = aggregate_linear + bias + relu %2 w b"],
    );
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%2 [nodes, 3] @0 = linear x v",
            "%5 [nodes, 3] @1, %8 [nodes, 2] @2 = aggregate_linear + bias + relu %2 w b",
            "%10 [nodes, 2] @3 ~= activation_backward %8",
            "d b [1, 2] = bias_gradient %10",
            "d w [1, 6] = weight_gradient %5 %10",
            "%13 [nodes, 3] @0 = input_gradient %10 w",
            "%14 [nodes, 3] @1 = aggregate_backward %13",
            "d v [1, 9] = weight_gradient x %14",
        ],
    );
}

#[test]
fn what_is_read_twice_kept_or_an_output_is_not_fused() {
    let names = |p: &Program| -> Vec<&str> {
        let plan = plan(p, Mode::Inference);
        plan.operations(Pass::Forward).iter().map(|operation| operation.operator.name()).collect()
    };
    let (mut p, x) = moving(3);
    let [.., y] = convolution(&mut p, x, Activation::Relu);
    p.head("output", y);
    let mut all = vec![names(&p)];
    for place in 0..3 {
        // Read a second time.
        let (mut p, x) = moving(3);
        let values = convolution(&mut p, x, Activation::Relu);
        let other = scale(&mut p, values[place], 2.0).unwrap();
        p.head("output", values[3]);
        p.head("other", other);
        let twice = names(&p);
        // Kept.
        let (mut p, x) = moving(3);
        let values = convolution(&mut p, x, Activation::Relu);
        p.keep(values[place]);
        p.head("output", values[3]);
        let kept = names(&p);
        // The output of a head.
        let (mut p, x) = moving(3);
        let values = convolution(&mut p, x, Activation::Relu);
        p.head("output", values[3]);
        p.head("other", values[place]);
        let head = names(&p);
        assert_eq!(kept, head);
        assert_eq!(twice.iter().filter(|name| **name != "scale").count(), kept.len(), "{twice:?} {kept:?}");
        all.push(kept);
    }
    let all: Vec<String> = all.iter().map(|names| names.join(" ")).collect();
    let expected = [
        "linear aggregate_linear",
        // Sums that are read again are kept.
        "linear aggregate_linear",
        "linear aggregate_linear add_bias activate",
        "linear aggregate_linear activate",
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_read_stays_before_the_buffer_is_changed() {
    // `linear` could be done where `activate` is; but there the bias would be another one.
    let (mut p, x) = program(1);
    let w = weight(&mut p, "w", [1, 1]);
    let buffer = p.buffer("steps", 1, Initialization::ZEROS).unwrap();
    let shifted = linear(&mut p, x, &w, Some(&buffer)).unwrap();
    p.record_update(Count, &[], buffer).unwrap();
    let y = activate(&mut p, shifted, Activation::Relu).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Inference,
        &["%3 [nodes, 1] @0 = linear + bias x w steps", "steps [1, 1] ~= count", "%5 [nodes, 1] @1 = activate relu %3"],
    );
}
