//! A program made ready for one purpose: operations in order, and the column of each value.

use super::{
    Domain, Operation, Program, Shape, Value, assign, compiled::Compiled, differentiate, fuse, hoist, partial_sums,
    specialize,
};
use crate::error::BuildError;

pub use super::assign::{Column, Layout};

/// What a program is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forward with dropout, loss, backward, optimizer. What the backward pass reads is saved.
    Training,
    /// Forward alone, to infer or to measure.
    Inference,
}

/// A part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// From the inputs to the outputs of the heads.
    Forward,
    /// From the gradients with respect to these to those with respect to the parameters.
    Backward,
}

/// A program made ready for one purpose.
#[derive(Clone, Debug)]
pub struct Plan {
    mode: Mode,
    pub(crate) program: Program,
    pub(crate) backward: Vec<Operation>,
    pub(crate) columns: Vec<Option<Column>>,
    /// The gradients with respect to inputs that require one.
    pub(crate) input_gradients: Vec<(Value, Value)>,
}

impl Plan {
    /// Plans a program; `layout` are the columns of the model's plans so far, to which this one adds what it needs besides.
    ///
    /// Cost: linear in the number of operations but for a logarithm of that of the columns.
    ///
    /// # Errors
    /// If the model is to learn and one of its operations has no derivative, a head or a derivative uses a value of another
    /// program, or there are too many operations or columns.
    pub fn new(program: &Program, mode: Mode, layout: &mut Layout) -> Result<Self, BuildError> {
        let outputs: Vec<Value> = program.heads.iter().map(|head| head.output).collect();
        program.require(program.layer, "head", &outputs)?;
        program.require(program.layer, "keep", &program.kept)?;
        let mut program = program.clone();
        specialize::specialize(&mut program, mode);
        prune(&mut program, &[]);
        hoist::hoist(&mut program);
        fuse::fuse(&mut program, mode);
        let (mut backward, input_gradients) = match mode {
            Mode::Training => differentiate::differentiate(&mut program)?,
            Mode::Inference => Default::default(),
        };
        let is_kept = |value: Value| {
            let gradient = |(_, gradient): &(Value, Value)| *gradient == value;
            let of_parameter = matches!(program.values[value.id()], super::ValueKind::ParameterGradient(_));
            of_parameter || input_gradients.iter().any(gradient)
        };
        specialize::prune(&mut backward, program.values.len(), is_kept);
        prune(&mut program, &backward);
        fuse::fuse_late(&mut program, &backward);
        fuse::fuse_updates(&mut backward, program.values.len());
        fuse::fuse_backward(&mut backward, program.values.len());
        let columns = assign::assign(&program, [&program.operations, &backward], &input_gradients, layout)?;
        program.check_columns(layout)?;
        Ok(Self { mode, program, backward, columns, input_gradients })
    }

    /// What it is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The program as it was planned: specialized and fused.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The inputs that require a gradient, each with that.
    pub fn input_gradients(&self) -> &[(Value, Value)] {
        &self.input_gradients
    }

    /// The operations of a pass, in order.
    pub fn operations(&self, pass: Pass) -> &[Operation] {
        match pass {
            Pass::Forward => &self.program.operations,
            Pass::Backward => &self.backward,
        }
    }

    /// Length of the buffer that the system of a pass holds: as much as the largest sum over rows needs, block by block, or
    /// the rows of a level, which may be all of them.
    pub fn scratch(&self, pass: Pass, rows: &RowCounts) -> usize {
        let sums = self.operations(pass).iter().filter_map(|operation| {
            let (input, output) = (operation.inputs.first()?, operation.outputs.first()?);
            if operation.operator.direction().is_some() {
                let width = operation.outputs.iter().map(Value::width).sum::<usize>();
                return Some(rows.of(output.domain()).saturating_mul(width));
            }
            let is_sum = output.domain() == Domain::Single && input.domain() != Domain::Single;
            is_sum.then(|| partial_sums(rows.of(input.domain())).saturating_mul(output.width()))
        });
        sums.max().unwrap_or(0)
    }

    /// Bytes of its operations.
    pub fn bytes(&self) -> usize {
        let values = size_of_val(&self.program.values[..]) + size_of_val(&self.columns[..]);
        operation_bytes(&self.program.operations) + operation_bytes(&self.backward) + values
    }

    /// Bytes of a system that runs a pass.
    pub fn emitted_bytes(&self, pass: Pass) -> usize {
        let pointers = |operation: &Operation| {
            let heap = [2 * operation.inputs.len(), operation.inputs.len(), operation.outputs.len()];
            size_of::<Compiled>() + heap.map(|count| count * size_of::<usize>() + ALLOCATION).iter().sum::<usize>()
        };
        self.operations(pass).iter().map(pointers).sum()
    }

    /// The column of a value; none if no operation of the plan reads or writes it.
    pub fn column(&self, value: Value) -> Option<Column> {
        self.columns.get(value.id()).copied().flatten()
    }

    /// The output of a head.
    pub fn output(&self, head: usize) -> Option<Value> {
        self.program.heads.get(head).map(|head| head.output)
    }

    /// The gradient with respect to the output of a head, which its loss writes.
    pub(crate) fn head_gradient(&self, head: usize) -> Option<Column> {
        let is_gradient = |kind: &super::ValueKind| *kind == super::ValueKind::HeadGradient(head);
        self.columns[self.program.values.iter().position(is_gradient)?]
    }
}

/// Leaves out the operations that neither a head nor the backward pass needs.
fn prune(program: &mut Program, backward: &[Operation]) {
    let mut kept = vec![false; program.values.len()];
    let heads = program.heads.iter().map(|head| head.output);
    let read = backward.iter().flat_map(|operation| operation.inputs.iter().chain(&operation.in_place_of)).copied();
    let stays = program.kept.iter().chain(&program.updates).copied();
    heads.chain(stays).chain(read).for_each(|value| kept[value.id()] = true);
    specialize::prune(&mut program.operations, kept.len(), |value| kept[value.id()]);
}

/// What the heap takes beside the bytes that are asked for.
const ALLOCATION: usize = 16;

impl Program {
    /// A bound on the bytes of parameters, and of columns on one row of each kind, for a model that learns: each value in a
    /// column of its own, and its gradient; none if they are more than can be counted.
    pub fn most_bytes(&self) -> Option<usize> {
        /// An element, its gradient, two moments, a sum, and as much again.
        const COPIES: usize = 10;
        let widths = self.operations.iter().flat_map(|operation| &operation.outputs).map(Value::width);
        let elements = widths.chain(self.parameters.iter().map(|parameter| parameter.size()));
        let elements = elements.map(|elements| elements.saturating_add(TICKS));
        elements.fold(0usize, usize::saturating_add).checked_mul(COPIES * size_of::<f32>())
    }
}

/// Bytes of operations and their operators.
fn operation_bytes(operations: &[Operation]) -> usize {
    let heap = |operation: &Operation| {
        let values = [&operation.inputs, &operation.outputs].map(|values| size_of_val(&values[..]) + ALLOCATION);
        let operator = size_of_val(&*operation.operator) + 2 * size_of::<usize>() + ALLOCATION;
        values.iter().sum::<usize>() + operator
    };
    size_of_val(operations) + operations.iter().map(heap).sum::<usize>()
}

/// How many rows there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Nodes of the model's own kind, and of those that are not counted.
    pub nodes: usize,
    /// Edges of the model's own graph, and of those that are not counted.
    pub edges: usize,
    /// Subgraphs of each graph.
    pub subgraphs: usize,
    /// Nodes of the other kinds.
    pub kinds: Vec<usize>,
    /// Edges of the other graphs.
    pub graphs: Vec<usize>,
}

impl RowCounts {
    /// The rows of a domain.
    pub fn of(&self, domain: Domain) -> usize {
        match domain {
            Domain::Nodes(kind) => Self::counted(&self.kinds, kind.0).unwrap_or(self.nodes),
            Domain::Edges(graph) => Self::counted(&self.graphs, graph.0).unwrap_or(self.edges),
            Domain::Subgraphs(_) => self.subgraphs,
            Domain::Single => 1,
        }
    }

    /// The count of one of those beside the first.
    fn counted(others: &[usize], index: u32) -> Option<usize> {
        others.get((index as usize).checked_sub(1)?).copied()
    }
}

/// As many bytes as so many elements: when a row of a column was added and when it was changed, which bevy_ecs keeps.
const TICKS: usize = 2;

impl Layout {
    /// Bytes of all columns, and of those up to each layer; none if they are more than can be counted.
    pub fn bytes(&self, rows: &RowCounts) -> Option<usize> {
        self.columns
            .iter()
            .try_fold(0usize, |bytes, (shape, _)| bytes.checked_add(column_bytes(rows.of(shape.domain), shape.width)?))
    }

    /// The bytes of the columns that each layer was the first to need; `usize::MAX` if they are more than can be counted.
    pub(crate) fn bytes_by_layer(&self, rows: &RowCounts) -> impl Iterator<Item = (usize, usize)> {
        let bytes = |shape: &Shape| column_bytes(rows.of(shape.domain), shape.width).unwrap_or(usize::MAX);
        self.columns.iter().map(move |(shape, layer)| (*layer, bytes(shape)))
    }
}

fn column_bytes(rows: usize, width: usize) -> Option<usize> {
    rows.checked_mul(width.checked_add(TICKS)?)?.checked_mul(size_of::<f32>())
}
