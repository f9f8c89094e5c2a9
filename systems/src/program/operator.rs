//! Operators: what an operation does, and what the passes over a program need to know of it.

use connectome_components::{Direction, Normalization};
use core::{any::Any, fmt::Debug};
use std::sync::Arc;

use super::{GraphIndex, Mode, Shape, Step, Tape, Value};
use crate::error::BuildError;

/// What is done to values: the rule of an operation, without its inputs and outputs.
///
/// An operator is three small contracts: what it computes ([`Operator::run`]), what gradients flow through it
/// ([`Operator::differentiate`]), and what may be concluded about it without running it (the rest). Only the first has to
/// be written; the defaults of the others are safe.
///
/// An operator never sees a column, a component or a world, so it cannot be wrong about memory: the planner decides which
/// column a value has and how long it keeps it.
pub trait Operator: Any + Debug + Send + Sync {
    /// What it is called where a program is shown.
    fn name(&self) -> &'static str;

    /// The name with what it has absorbed and its settings, such as `linear + bias + relu`, where a program is shown.
    fn describe(&self) -> String {
        self.name().to_owned()
    }

    /// The shapes of its outputs, given its inputs; or why it cannot be applied to them: what is wrong and, after a
    /// semicolon, what to do.
    ///
    /// # Errors
    /// If it cannot be applied to such inputs.
    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let _ = inputs;
        Err(format!(
            "records {}, which belongs to a backward pass; record the operator it is the derivative of",
            self.name()
        ))
    }

    /// Writes the outputs, every element of them, from the inputs.
    ///
    /// For the same bits on any number of workers each output row is to be computed by one of them, as
    /// [`Step::write_rows`] and its siblings do.
    fn run(&self, step: &mut Step<'_>);

    /// Records the operations that compute the gradients with respect to the inputs from `gradient`, that with respect to
    /// the first output. It is called only where that output needs one, and no other does.
    ///
    /// # Errors
    /// Those of recording; without a derivative, that there is none.
    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let _ = (operation, gradient);
        Err(tape.error(format!("cannot learn, for {} has no derivative; detach its input", self.name())))
    }

    /// The same of an operator with several outputs, from the gradients with respect to each of them; none where nobody
    /// needs one, though there is at least one.
    ///
    /// # Errors
    /// Those of [`Operator::differentiate`]; by default, that an output other than the first has no derivative.
    fn differentiate_outputs(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        match gradients {
            [Some(gradient), others @ ..] if others.iter().all(Option::is_none) => {
                self.differentiate(operation, *gradient, tape)
            }
            _ => {
                let name = self.name();
                Err(tape.error(format!(
                    "cannot learn, for only the first output of {name} has a derivative; detach the others"
                )))
            }
        }
    }

    /// On which rows of input number `input` a row of the outputs depends; on all, unless it says so. In a training step on a
    /// sampled batch it finds only the rows that it names.
    fn footprint(&self, input: usize) -> Footprint {
        let _ = input;
        Footprint::All
    }

    /// Multiplications for each row of the first output, and for each entry of its adjacency if it gathers rows.
    fn cost(&self, inputs: &[Value], outputs: &[Value]) -> Cost {
        let _ = inputs;
        Cost { per_row: outputs.first().map_or(0, Value::width), per_entry: 0 }
    }

    /// Whether it can add to what stands in its first output ([`Step::accumulates`]). Then no further operation is needed
    /// where several gradients of one value are summed.
    fn accumulates(&self) -> bool {
        false
    }

    /// What it is outside of training, if it is something else there, as dropout is.
    fn in_inference(&self, inputs: &[Value]) -> InInference {
        let _ = inputs;
        InInference::Same
    }

    /// The operator that does the work of this one and then that of `next`, if there is one. `next` is the only reader of
    /// this one's only output, and reads it as its input number `input`. The inputs of the fused operator are those of this
    /// one and then those of `next`, without the value in between.
    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let _ = (next, input, context);
        None
    }

    /// As [`Operator::fuse`], once the backward pass has been recorded, which then needs no derivative of the fused operator. If
    /// that `keeps` the value in between, because others read it too, this is its first output; those of `next` follow.
    fn fuse_late(
        &self,
        operation: &Operation,
        next: &Operation,
        input: usize,
        keeps: bool,
    ) -> Option<Arc<dyn Operator>> {
        let _ = (operation, next, input, keeps);
        None
    }

    /// The operator that does the work of this one and then that of `update`, which changes its only output in place, if there
    /// is one. The inputs of the fused operator are those of this one, of which there are `inputs`, and then those of the
    /// update.
    fn fuse_update(&self, update: &Operation, inputs: usize) -> Option<Arc<dyn Operator>> {
        let _ = (update, inputs);
        None
    }

    /// The coefficients of edges that it reads, if any: they are derived with the topology.
    fn normalization(&self) -> Option<Normalization> {
        None
    }

    /// The direction in which it passes through the graph level by level, if it does: the levels are derived with the
    /// topology.
    fn direction(&self) -> Option<Direction> {
        None
    }

    /// Whether the same inputs always give the same outputs, and these are worth a column of their own: then what it makes
    /// of inputs that rest is computed when they change.
    fn is_worth_keeping(&self) -> bool {
        false
    }
}

/// What [`Operator::fuse`] may take into account.
#[derive(Clone, Copy, Debug)]
pub struct Fusion<'a> {
    /// What the program is planned for: in training, what the backward pass reads has to stay.
    pub mode: Mode,
    /// The operation that is to be fused with the next one.
    pub operation: &'a Operation,
}

/// What an operation is outside of training.
#[derive(Debug)]
pub enum InInference {
    /// The same.
    Same,
    /// Its first input is its first output.
    Identity,
    /// Another operator, of these of its inputs, perhaps without its last outputs.
    Replaced(Arc<dyn Operator>, Vec<usize>),
}

/// On which rows of an input a row of the output depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footprint {
    /// The same row; the only row of a single one.
    Same,
    /// The sources of the edges that end in the row, and the row itself.
    Incoming,
    /// The targets of the edges that start in the row, and the row itself.
    Outgoing,
    /// The edges that end in the row.
    IncomingEdges,
    /// The edges that start in the row.
    OutgoingEdges,
    /// The nodes at both ends of the edge.
    Endpoints,
    /// The node at which the edge ends.
    Target,
    /// The nodes of the subgraph.
    Members,
    /// The subgraph of the node.
    Membership,
    /// All rows.
    All,
}

/// Multiplications of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For each row of its first output, or of its first input where that has more.
    pub per_row: usize,
    /// For each entry that is gathered.
    pub per_entry: usize,
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What is done.
    pub operator: Arc<dyn Operator>,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// What it writes.
    pub outputs: Vec<Value>,
    /// The value whose column its first output takes over: it is changed in place, or added to.
    pub in_place_of: Option<Value>,
    /// Whether it adds to what stands in that column.
    pub accumulates: bool,
    /// When it is run.
    pub run: Run,
    /// The two operations that it was made of, if the first one would run only [on change](Run::OnChange): unless it has to,
    /// the second one runs in place of both.
    pub parts: Option<Arc<[Operation; 2]>>,
    /// The graph that it is on.
    pub graph: GraphIndex,
    /// The layer that recorded it, counted from 0.
    pub layer: usize,
    /// Its index among those that were recorded; that of the recorded operation which it is the derivative of.
    pub recorded: usize,
}

/// When an operation is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// In each step.
    Always,
    /// When an input or the topology has changed since the output was written.
    OnChange,
}

/// An operator of a backward pass, made of a function.
pub fn kernel<F>(name: &'static str, footprint: Footprint, run: F) -> Kernel<F>
where
    F: Fn(&mut Step<'_>) + Send + Sync + 'static,
{
    Kernel { name, footprint, others: Vec::new(), accumulates: false, cost: None, direction: None, run }
}

/// An operator made by [`kernel`].
pub struct Kernel<F> {
    name: &'static str,
    footprint: Footprint,
    /// Inputs that are read by another footprint.
    others: Vec<(usize, Footprint)>,
    accumulates: bool,
    cost: Option<Cost>,
    direction: Option<Direction>,
    run: F,
}

impl<F> Kernel<F> {
    /// The same; the function looks at [`Step::accumulates`].
    pub fn accumulating(self) -> Self {
        Self { accumulates: true, ..self }
    }

    /// The same, which reads some of its inputs by another footprint.
    pub fn reading(mut self, inputs: impl IntoIterator<Item = usize>, footprint: Footprint) -> Self {
        self.others.extend(inputs.into_iter().map(|input| (input, footprint)));
        self
    }

    /// The same, which passes through the levels of this direction.
    pub fn by_levels(self, direction: Direction) -> Self {
        Self { direction: Some(direction), ..self }
    }

    /// The same with its cost.
    pub fn with_cost(self, cost: Cost) -> Self {
        Self { cost: Some(cost), ..self }
    }
}

impl<F> Debug for Kernel<F> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(self.name)
    }
}

impl<F: Fn(&mut Step<'_>) + Send + Sync + 'static> Operator for Kernel<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, step: &mut Step<'_>) {
        (self.run)(step);
    }

    fn footprint(&self, input: usize) -> Footprint {
        let other = self.others.iter().find(|(other, _)| *other == input);
        other.map_or(self.footprint, |(_, footprint)| *footprint)
    }

    fn direction(&self) -> Option<Direction> {
        self.direction
    }

    fn accumulates(&self) -> bool {
        self.accumulates
    }

    fn cost(&self, _: &[Value], outputs: &[Value]) -> Cost {
        let width = outputs.first().map_or(0, Value::width);
        self.cost.unwrap_or(Cost { per_row: width, per_entry: 0 })
    }
}
