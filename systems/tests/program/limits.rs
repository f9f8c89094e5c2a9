//! What a program refuses, in words, and how large it may become.

use super::{
    BuildError, Count, Domain, Identity, Initialization, Layout, Mode, Operator, Plan, Program, Shape, Step, Value,
    add_bias, linear, program, weight,
};
use crate::common::{Given, Link, STANDSTILL, Scene, numbers, relative_error, run_layer};
use bevy_ecs::entity::Entity;
use connectome_systems::{
    Head, Infer, ModelBuilder,
    kernels::Activation,
    layers::{Appnp, Gcnii, JumpingKnowledge, JumpingMode, Layer, Linear, Residual},
    program::{
        MAX_HEADS, MAX_OPERATIONS, MAX_OUTPUTS, MAX_PARAMETERS, Operation, Partition, Pass, ProgramLimits, Tape,
    },
    run,
};
use ndarray::Array2;
use std::time::Instant;

#[test]
fn a_buffer_read_after_it_was_changed() {
    let (mut p, x) = program(1);
    let buffer = p.buffer("steps", 1, Initialization::ZEROS).unwrap();
    p.record_update(Count, &[], buffer).unwrap();
    // The handle is that of before.
    let y = add_bias(&mut p, x, &buffer).unwrap();
    p.head("output", y);
    let error = Plan::new(&p, Mode::Training, &mut Layout::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer 0 changes a value in place by count that is read as well; read what the change returns, or compute into a \
        value of its own"
    );
}

#[test]
fn a_buffer_read_by_what_changes_it() {
    let (mut p, _) = program(1);
    let buffer = p.buffer("steps", 1, Initialization::ZEROS).unwrap();
    let error = p.record_update(Count, &[buffer.value()], buffer).unwrap_err();
    assert_eq!(error.to_string(), "layer 0 reads a buffer that count changes in place; read it in the output");
}

/// Changes its gradient in place, and then reads the one of before; and, if so, what it has changed as well.
#[derive(Clone, Debug)]
struct Careless(bool);

impl Operator for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, _: &mut Step<'_>) {}

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let changed = tape.update(gradient, self.clone(), &[])?;
        let read = [gradient, changed];
        tape.gradient(operation.inputs[0], self.clone(), &read[..1 + usize::from(self.0)])
    }
}

#[test]
fn a_gradient_read_after_it_was_changed() {
    let planned = |reads_both| {
        let (mut p, x) = program(2);
        let w = weight(&mut p, "w", [2, 2]);
        let h = linear(&mut p, x, &w, None).unwrap();
        let y = p.record_one(Careless(reads_both), &[h]).unwrap();
        p.head("output", y);
        Plan::new(&p, Mode::Training, &mut Layout::default())
    };
    let error = planned(true).unwrap_err().to_string();
    assert!(error.starts_with("layer 0 changes a value in place by careless that is read as well; "), "{error}");
    // A change that nobody reads is left out.
    let text = planned(false).unwrap().to_string();
    assert!(!text.contains("~="), "{text}");
}

#[test]
fn too_many_operations() {
    let mut p = Program::new(Entity::PLACEHOLDER).with_limits(ProgramLimits { operations: 3, ..Default::default() });
    let x = p.input("x", Shape::new(Domain::NODES, 1), false);
    let value = (0..3).try_fold(x, |x, _| p.record_one(Identity, &[x])).unwrap();
    let error = p.record_one(Identity, &[value]).unwrap_err();
    assert_eq!(error.to_string(), "with layer 0 the model has more than 3 operations; use fewer layers or hops");
}

#[test]
fn a_program_without_an_end_is_refused_soon() {
    let start = Instant::now();
    let refused = |layer: Box<dyn Layer>| {
        ModelBuilder::new(Entity::PLACEHOLDER).input_width(8).layer(layer).dry_run().unwrap_err()
    };
    let error = refused(Box::new(Appnp::new(usize::MAX, 0.1)));
    assert!(matches!(error, BuildError::TooManyOperations { layer: 0, most: MAX_OPERATIONS, .. }), "{error}");
    let error = refused(Box::new(Gcnii::new(usize::MAX)));
    assert!(matches!(error, BuildError::TooManyParameters { layer: 0, most: MAX_PARAMETERS, .. }), "{error}");
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.3} s");
    assert!(seconds < 10.0, "{seconds}");
}

#[test]
fn each_bound_names_the_layer_within_the_layer() {
    let bounds = ProgramLimits { operations: 20, parameters: 4, elements: 100, ..Default::default() };
    let refused = |layer: Box<dyn Layer>| {
        let nested = Residual::new(vec![layer]);
        let model = ModelBuilder::new(Entity::PLACEHOLDER).input_width(2).layer(Linear::new(2)).layer(nested);
        model.limits(bounds).record().unwrap_err().to_string()
    };
    assert_eq!(
        refused(Box::new(Appnp::new(10, 0.1))),
        "with layer 1.layers.0 the model has more than 20 operations; use fewer layers or hops"
    );
    assert_eq!(
        refused(Box::new(Gcnii::new(3))),
        "with layer 1.layers.0.convs.2 the model has more than 4 parameters and buffers; use fewer layers"
    );
    let large = "up to layer 1.layers.0 the model needs more memory than its budget; make the layer narrower, or the \
                 graph smaller";
    assert_eq!(refused(Box::new(Linear::new(48))), large);
    assert_eq!(refused(Box::new(Linear::new(usize::MAX))), large);
    // Blocks without layers copy their input, and copies of copies are a power.
    let copies = |count: usize| JumpingKnowledge::<Linear>::new(JumpingMode::Concatenate, vec![vec![]; count]);
    assert_eq!(refused(Box::new(copies(51))), large);
    let model = (0..40).fold(ModelBuilder::new(Entity::PLACEHOLDER), |model, _| model.layer(copies(1000)));
    let error = model.record().unwrap_err();
    assert!(matches!(error, BuildError::TooLarge { layer: 4, needed: Some(4_000_000_000_000_000), .. }), "{error:?}");
}

#[test]
fn too_many_columns() {
    let with = |layers: usize| {
        let model = ModelBuilder::new(Entity::PLACEHOLDER).input_width(2).layer(Linear::new(2));
        let model = (0..layers).fold(model, |model, _| model.layer(Activation::Tanh));
        model.limits(ProgramLimits { columns: 12, ..Default::default() }).optimizer(STANDSTILL).dry_run()
    };
    let columns = with(5).unwrap().layout.shapes().count();
    assert!(columns <= 12, "{columns}");
    // The backward pass reads the output of each.
    let error = with(20).unwrap_err().to_string();
    assert!(error.ends_with("the model needs more than 12 columns for its values; use fewer layers"), "{error}");
}

#[test]
fn too_many_heads() {
    let with = |heads: usize| {
        let model = ModelBuilder::new(Entity::PLACEHOLDER).input_width(2).layer(Linear::new(2));
        (0..heads).fold(model, |model, head| model.head(Head::new(&head.to_string()))).record()
    };
    with(MAX_HEADS).unwrap();
    let error = with(MAX_HEADS + 1).unwrap_err();
    assert_eq!(error.to_string(), "the head `256` is one of more than 256 heads; use fewer, or several models");
}

#[test]
fn too_many_outputs() {
    #[derive(Debug)]
    struct Many;
    impl Operator for Many {
        fn name(&self) -> &'static str {
            "many"
        }
        fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
            Ok(vec![inputs[0].shape(); MAX_OUTPUTS + 1])
        }
        fn run(&self, _: &mut Step<'_>) {}
    }
    let (mut p, x) = program(1);
    let error = p.record(Many, &[x]).unwrap_err();
    assert_eq!(error.to_string(), "layer 0 records many with 5 outputs; use operations of at most 4");
}

#[test]
fn a_value_of_another_program() {
    let (mut other, x) = program(1);
    let foreign = (0..9).try_fold(x, |x, _| other.record_one(Identity, &[x])).unwrap();
    let (mut p, y) = program(1);
    // The last one has the place of a value that there is.
    assert_eq!((x.id(), x.shape()), (y.id(), y.shape()));
    for foreign in [foreign, x] {
        let error = p.record_one(Identity, &[foreign]).unwrap_err();
        assert_eq!(error.to_string(), "layer 0 reads a value of another program by identity; record it here");
    }
    let foreign_weight = weight(&mut other, "w", [1, 1]);
    let error = linear(&mut p, y, &foreign_weight, None).unwrap_err();
    assert_eq!(error.to_string(), "layer 0 reads a value of another program by linear; record it here");

    let plan = |p: &Program, mode| Plan::new(p, mode, &mut Layout::default()).unwrap_err().to_string();
    p.keep(foreign);
    assert_eq!(plan(&p, Mode::Inference), "layer 0 reads a value of another program by keep; record it here");
    let (mut p, _) = program(1);
    p.head("output", foreign);
    assert_eq!(plan(&p, Mode::Inference), "layer 0 reads a value of another program by head; record it here");
}

/// An operator of one's own whose derivative uses a value of another program.
#[derive(Clone, Copy, Debug)]
enum Misled {
    /// As an input of an operation.
    Input(Value),
    /// As a term of the gradient.
    Term(Value),
}

impl Operator for Misled {
    fn name(&self) -> &'static str {
        "misled"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, _: &mut Step<'_>) {}

    fn differentiate(&self, operation: &Operation, _: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        match *self {
            Self::Input(value) => tape.gradient(operation.inputs[0], Identity, &[value]),
            Self::Term(value) => tape.add_term(operation.inputs[0], value),
        }
    }
}

#[test]
fn a_derivative_by_a_value_of_another_program() {
    let (mut other, x) = program(1);
    let foreign = (0..99).try_fold(x, |x, _| other.record_one(Identity, &[x])).unwrap();
    for (misled, by) in [(Misled::Input(foreign), "identity"), (Misled::Term(foreign), "add_term")] {
        let (mut p, x) = program(1);
        let w = weight(&mut p, "weight", [1, 1]);
        let y = linear(&mut p, x, &w, None).unwrap();
        let y = p.record_one(misled, &[y]).unwrap();
        p.head("output", y);
        let error = Plan::new(&p, Mode::Training, &mut Layout::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("layer 0 reads a value of another program by {by}; record it here"));
    }
}

/// The example of [`Layer`]: one's own layer reads a value that the layers before and behind it read, too, for as long as it
/// likes. It cannot say how long a value is kept, so it cannot be wrong about it.
#[derive(Clone, Copy, Debug)]
struct Scale(f32);

impl Operator for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(Partition::Uniform, [0], |_, [input], rows, output| {
            for (output, input) in output.iter_mut().zip(input.slice(rows)) {
                *output = self.0 * input;
            }
        });
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        tape.gradient(operation.inputs[0], *self, &[gradient])
    }
}

impl Layer for Scale {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        program.record_one(*self, &[program.dense(input)?])
    }
}

/// `6 x` as a sum of three, of which the first is read last: with lines that layers released it was 5.
struct Late;

impl Layer for Late {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let one = Scale(1.0).build(input, program)?;
        let two = Scale(2.0).build(one, program)?;
        let three = Scale(1.5).build(two, program)?;
        let sum = super::add(program, [(two, 1.0), (three, 1.0)])?;
        super::add(program, [(sum, 1.0), (one, 1.0)])
    }
}

#[test]
fn a_layer_of_ones_own_cannot_be_wrong_about_memory() {
    let (input, cotangent) = (numbers(1, 0, (5, 3)), numbers(1, 1, (5, 3)));
    let given = Given { input: input.clone(), ..Given::default() };
    let passes = run_layer(&mut Scene::new(5, &[]), &given, Late, &cotangent).unwrap();
    assert!(relative_error(&passes.output, &(6.0 * input), 1.0) < 1e-6);
    assert!(relative_error(&passes.input.unwrap(), &(6.0 * cotangent), 1.0) < 1e-6);
}

/// Operations of both passes, and seconds, of a model that learns.
fn planned(hops: usize) -> (usize, f64) {
    let start = Instant::now();
    let model =
        ModelBuilder::new(Entity::PLACEHOLDER).input_width(8).layer(Linear::new(8)).layer(Appnp::new(hops, 0.1));
    let model = model.optimizer(STANDSTILL);
    let run = model.dry_run().unwrap();
    let training = run.training.unwrap();
    let count = [Pass::Forward, Pass::Backward].map(|pass| training.operations(pass).len()).iter().sum();
    (count, start.elapsed().as_secs_f64())
}

#[test]
fn operations_and_time_are_linear_in_depth() {
    let [(few, short), (many, long)] = [200, 800].map(planned);
    println!("200 hops: {few} operations in {short:.4} s; 800 hops: {many} operations in {long:.4} s");
    // Forward one for each hop; backward two: what comes from the hop behind, and what goes to the input.
    assert_eq!(many - few, 3 * 600);
}

#[test]
fn ten_thousand_hops() {
    let links = [Link { source: 0, target: 1, weight: None }, Link { source: 1, target: 0, weight: None }];
    let mut scene = Scene::new(2, &links);
    let input = scene.field("input", &Array2::ones((2, 1))).unwrap();
    let model = ModelBuilder::new(scene.graph).input(input).layer(Appnp::new(10_000, 0.1));
    let model = model.build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    assert!(relative_error(&scene.output(model).unwrap(), &Array2::ones((2, 1)), 1.0) < 1e-4);
}
