//! No value is overwritten before its last reader: random programs are planned, and then run by hand, where each column
//! remembers which value stands in it.
//!
//! A failure prints the plan and the operation that would have read something else.

use super::{
    Count, Domain, Footprint, Layout, Mode, Operation, Operator, Pass, Plan, Program, Shape, Step, Tape, Value,
};
use crate::common::few_cases;
use bevy_ecs::entity::Entity;
use connectome_systems::{
    layers::{BuildError, Initialization},
    program::{Column, Fusion, InInference, Run, Weight, kernel},
};
use core::any::Any;
use proptest::{prelude::*, sample::Index};
use std::{collections::BTreeSet, sync::Arc};

/// An operator of which only the bookkeeping is of interest.
#[derive(Clone, Debug)]
struct Fake {
    outputs: Vec<usize>,
    /// What the derivative reads.
    reads_inputs: bool,
    reads_outputs: bool,
    /// Whether the derivative changes the gradient in place first.
    updates: bool,
    /// Whether it hands its gradient on as it is.
    hands_on: bool,
    /// Whether it has one operation for the gradients of all inputs.
    together: bool,
    accumulates: bool,
    rests: bool,
    fuses: bool,
    vanishes: bool,
    /// The part of parameters that it reads.
    numbers: (usize, usize),
}

impl Operator for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(self.outputs.iter().map(|width| Shape::new(inputs[0].domain(), *width)).collect())
    }

    fn run(&self, _: &mut Step<'_>) {}

    fn is_worth_keeping(&self) -> bool {
        self.rests
    }

    fn in_inference(&self, inputs: &[Value]) -> InInference {
        let fits = self.outputs == [inputs[0].width()];
        if self.vanishes && fits { InInference::Identity } else { InInference::Same }
    }

    fn fuse(&self, next: &Operation, _: usize, _: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let next: &dyn Any = &*next.operator;
        let next: &Self = next.downcast_ref()?;
        (self.fuses && next.fuses).then(|| Arc::new(next.clone()) as Arc<dyn Operator>)
    }

    fn differentiate_outputs(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let mut read: Vec<Value> = gradients.iter().flatten().copied().collect();
        if self.updates {
            let seen = if self.reads_outputs { &operation.outputs[..] } else { &[] };
            read[0] = tape.update(read[0], kernel("update", Footprint::Same, |_: &mut Step<'_>| {}), seen)?;
        } else if self.hands_on {
            for input in operation.inputs.iter().filter(|input| input.shape() == read[0].shape()) {
                tape.add_term(*input, read[0])?;
            }
            return Ok(());
        }
        read.extend(operation.outputs.iter().filter(|_| self.reads_outputs));
        read.extend(operation.inputs.iter().filter(|_| self.reads_inputs));
        let backward = || kernel("backward", Footprint::Same, |_: &mut Step<'_>| {});
        let (single, others): (Vec<Value>, Vec<Value>) =
            operation.inputs.iter().partition(|input| input.domain() == Domain::Single);
        for parameter in single {
            let (start, end) = self.numbers;
            let end = end.min(parameter.width());
            let numbers = start.min(end - 1)..end;
            if self.accumulates {
                tape.weight_gradient(parameter, numbers, backward().accumulating(), &read)?;
            } else {
                tape.weight_gradient(parameter, numbers, backward(), &read)?;
            }
        }
        if self.together {
            return tape.gradients_of(&others, backward(), &read);
        }
        for input in others {
            if self.accumulates {
                tape.gradient(input, backward().accumulating(), &read)?;
            } else {
                tape.gradient(input, backward(), &read)?;
            }
        }
        Ok(())
    }
}

/// How a random program goes on.
#[derive(Clone, Debug)]
enum Action {
    Record(Fake, Vec<Index>, Option<Index>),
    /// Counts in the buffer.
    Update,
    /// Reads the buffer.
    ReadBuffer(Fake, Index),
    Keep(Index),
    Head(Index),
}

fn fake() -> impl Strategy<Value = Fake> {
    let outputs = prop::collection::vec(1..=2usize, 1..=2);
    (outputs, any::<[bool; 9]>(), (0..3usize, 1..=4usize)).prop_map(|(outputs, flags, numbers)| {
        let [reads_inputs, reads_outputs, updates, hands_on, together, accumulates, rests, fuses, vanishes] = flags;
        Fake {
            outputs,
            reads_inputs,
            reads_outputs,
            updates,
            hands_on,
            // Some outputs at once are as many as an operation may have.
            together: together && !accumulates,
            accumulates,
            rests,
            fuses,
            vanishes,
            numbers,
        }
    })
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let inputs = prop::collection::vec(any::<Index>(), 1..=3);
    let record = (fake(), inputs, prop::option::of(any::<Index>()))
        .prop_map(|(fake, inputs, weight)| Action::Record(fake, inputs, weight));
    let read = (fake(), any::<Index>()).prop_map(|(fake, input)| Action::ReadBuffer(fake, input));
    let action = prop_oneof![
        8 => record,
        1 => Just(Action::Update),
        1 => read,
        1 => any::<Index>().prop_map(Action::Keep),
        1 => any::<Index>().prop_map(Action::Head),
    ];
    prop::collection::vec(action, 1..24)
}

/// The program, whose heads are the first ones asked for, and the last value.
fn record(actions: &[Action]) -> Result<Program, BuildError> {
    let mut program = Program::new(Entity::PLACEHOLDER);
    let fixed = program.input("fixed", Shape::new(Domain::NODES, 1), false);
    let wanted = program.input("wanted", Shape::new(Domain::NODES, 2), true);
    let weights = [2, 4].map(|width| program.vector(&width.to_string(), width, Initialization::ZEROS, None));
    let weights: Vec<Weight> = weights.into_iter().collect::<Result<_, _>>()?;
    let mut buffer = program.buffer("buffer", 1, Initialization::ZEROS)?;
    let mut values = vec![fixed, wanted];
    for action in actions {
        match action {
            Action::Record(fake, inputs, weight) => {
                let inputs = inputs.iter().map(|index| *index.get(&values));
                let inputs: Vec<Value> = inputs.chain(weight.map(|index| index.get(&weights).value())).collect();
                values.extend(program.record(fake.clone(), &inputs)?);
            }
            Action::Update => buffer = program.record_update(Count, &[], buffer)?,
            Action::ReadBuffer(fake, input) => {
                // On the way back the buffer would be another one.
                let fake = Fake { reads_inputs: false, ..fake.clone() };
                values.extend(program.record(fake, &[*input.get(&values), buffer.value()])?);
            }
            Action::Keep(index) => program.keep(*index.get(&values)),
            Action::Head(index) => program.head("head", *index.get(&values)),
        }
    }
    program.head("last", values[values.len() - 1]);
    Ok(program)
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// What was given from outside, or has been learned.
    Given,
    /// A value of the plan at hand.
    Value(usize),
    /// The output of the recorded operation, which rests.
    Resting(usize),
    /// What another plan has left.
    Stale,
}

/// A model as its columns see it.
#[derive(Default)]
struct Columns {
    contents: Vec<(Column, Content)>,
    settled: BTreeSet<usize>,
}

impl Columns {
    fn content(&self, column: Column) -> Content {
        let known = self.contents.iter().find(|(known, _)| *known == column);
        known.map_or(Content::Given, |(_, content)| *content)
    }

    fn set(&mut self, column: Column, content: Content) {
        self.contents.retain(|(known, _)| *known != column);
        self.contents.push((column, content));
    }

    /// A step, in which every read is checked.
    fn step(&mut self, plan: &Plan) -> Result<(), String> {
        for (column, content) in &mut self.contents {
            match (column, &content) {
                (Column::Layout(_), Content::Resting(_)) => {}
                (Column::Layout(_), _) => *content = Content::Stale,
                _ => *content = Content::Given,
            }
        }
        let [forward, backward] = [Pass::Forward, Pass::Backward].map(|pass| plan.operations(pass));
        let mut known: Vec<(Value, Content)> = Vec::new();
        self.pass(plan, forward, &mut known)?;
        let after = plan.program().heads().iter().map(|head| head.output).chain(plan.program().kept().iter().copied());
        let after: Vec<Value> = after.collect();
        after.iter().try_for_each(|value| self.check(plan, *value, &known, "the loss"))?;
        // What nobody computes the losses write, all of them before the first is read.
        let computed = forward.iter().chain(backward).flat_map(|operation| &operation.outputs);
        let computed: Vec<usize> = computed.map(Value::id).collect();
        let gradients = plan.input_gradients().iter().map(|(_, gradient)| gradient);
        let read = backward.iter().flat_map(|operation| operation.inputs.iter().chain(&operation.in_place_of));
        let mut seeds: Vec<Value> = Vec::new();
        for value in read.chain(gradients) {
            let is_column = matches!(plan.column(*value), Some(Column::Layout(_)));
            if is_column && !computed.contains(&value.id()) && !seeds.iter().any(|seed| seed.id() == value.id()) {
                seeds.push(*value);
            }
        }
        for seed in &seeds {
            self.write(plan, *seed, Content::Value(seed.id()), &mut known)?;
        }
        seeds.iter().try_for_each(|seed| self.check(plan, *seed, &known, "all losses"))?;
        self.pass(plan, backward, &mut known)?;
        after.iter().try_for_each(|value| self.check(plan, *value, &known, "the user"))?;
        for (_, gradient) in plan.input_gradients() {
            self.check(plan, *gradient, &known, "the user")?;
        }
        Ok(())
    }

    fn pass(&mut self, plan: &Plan, operations: &[Operation], known: &mut Vec<(Value, Content)>) -> Result<(), String> {
        for operation in operations {
            let reader = plan.describe(operation);
            for value in operation.inputs.iter().chain(&operation.in_place_of) {
                self.check(plan, *value, known, &reader)?;
            }
            let columns: Vec<Column> = operation.outputs.iter().map(|output| plan.column(*output).unwrap()).collect();
            for (number, column) in columns.iter().enumerate() {
                if columns[..number].contains(column) {
                    return Err(format!("{reader} writes a column twice"));
                }
                if operation.inputs.iter().any(|input| plan.column(*input) == Some(*column)) {
                    return Err(format!("{reader} reads what it writes"));
                }
            }
            if operation.in_place_of.is_some_and(|before| plan.column(before) != Some(columns[0])) {
                return Err(format!("{reader} does not change it in place"));
            }
            if operation.run == Run::OnChange {
                let content = Content::Resting(operation.recorded);
                if self.settled.insert(operation.recorded) {
                    self.write(plan, operation.outputs[0], content, known)?;
                }
                known.push((operation.outputs[0], content));
                self.check(plan, operation.outputs[0], known, &reader)?;
                continue;
            }
            for output in &operation.outputs {
                self.write(plan, *output, Content::Value(output.id()), known)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        plan: &Plan,
        value: Value,
        content: Content,
        known: &mut Vec<(Value, Content)>,
    ) -> Result<(), String> {
        let column = plan.column(value).unwrap();
        if let Content::Resting(recorded) = self.content(column)
            && Content::Resting(recorded) != content
        {
            return Err(format!("{} overwrites what rests of operation {recorded}", plan.name(value)));
        }
        self.set(column, content);
        known.push((value, content));
        Ok(())
    }

    fn check(&self, plan: &Plan, value: Value, known: &[(Value, Content)], reader: &str) -> Result<(), String> {
        let column = plan.column(value).ok_or_else(|| format!("{} has no column", plan.name(value)))?;
        let expected = known.iter().rfind(|(known, _)| known.id() == value.id());
        let expected = expected.map_or(Content::Given, |(_, content)| *content);
        let found = self.content(column);
        if found == expected {
            return Ok(());
        }
        Err(format!("{reader}: {} in {column:?} is {found:?}, not {expected:?}", plan.name(value)))
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 16 * few_cases().cases, ..few_cases() })]

    #[test]
    fn no_value_is_overwritten_before_its_last_reader(actions in actions()) {
        let program = record(&actions).unwrap();
        let mut layout = Layout::default();
        let training = Plan::new(&program, Mode::Training, &mut layout).unwrap();
        let inference = Plan::new(&program, Mode::Inference, &mut layout).unwrap();
        let mut columns = Columns::default();
        for plan in [&training, &inference, &training, &training, &inference] {
            if let Err(error) = columns.step(plan) {
                prop_assert!(false, "{error}\n{:?}:\n{plan}", plan.mode());
            }
        }
    }
}

/// The check finds what it is there for.
#[test]
fn a_column_that_is_shared_too_early_is_found() {
    let mut columns = Columns::default();
    let (mut program, x) = super::program(1);
    let first = program.record_one(super::Identity, &[x]).unwrap();
    let second = program.record_one(super::Identity, &[first]).unwrap();
    program.head("output", second);
    let plan = super::plan(&program, Mode::Inference);
    columns.step(&plan).unwrap();
    let known = [(first, Content::Value(first.id()))];
    columns.set(plan.column(first).unwrap(), Content::Value(second.id()));
    let error = columns.check(&plan, first, &known, "a reader").unwrap_err();
    assert!(error.starts_with("a reader: %1 in Layout("), "{error}");
}

#[test]
fn a_chain_needs_two_columns_however_long() {
    let (mut program, x) = super::program(4);
    let last = (0..1000).try_fold(x, |x, _| program.record_one(super::Identity, &[x])).unwrap();
    program.head("output", last);
    let mut layout = Layout::default();
    Plan::new(&program, Mode::Inference, &mut layout).unwrap();
    // And the output of the head, which stays.
    assert_eq!(layout.shapes().count(), 3);
}
