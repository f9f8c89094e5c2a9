//! Gives each value a column, and uses columns again that nobody needs any more.

use std::collections::{BTreeMap, BTreeSet};

use super::{Domain, Operation, Program, Run, Shape, Value, ValueKind};
use crate::error::BuildError;

/// What holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The input of this index.
    Input(usize),
    /// This parameter.
    Parameter(usize),
    /// The gradient with respect to this parameter.
    ParameterGradient(usize),
    /// This column of the model's [`Layout`].
    Layout(usize),
}

/// The columns that the plans of a model share: what one of them computes is overwritten by the others, but for outputs of
/// heads, values that are kept, and what rests.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The columns, and the layer for which each was needed first.
    pub(crate) columns: Vec<(Shape, usize)>,
    fixed: BTreeMap<Fixed, usize>,
}

/// What keeps a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fixed {
    /// The output of the head of this index.
    Head(usize),
    /// The kept value of this index.
    Kept(usize),
    /// The gradient with respect to the input of this index.
    InputGradient(usize),
    /// The output of the recorded operation, which is computed when its inputs change: the same in all plans, whatever it is
    /// fused with.
    Resting(usize),
}

impl Layout {
    /// The shapes of the columns.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        self.columns.iter().map(|(shape, _)| *shape)
    }

    /// Whether a column holds nothing but the output of a head.
    pub(crate) fn is_of_head(&self, column: usize) -> bool {
        self.fixed.iter().any(|(fixed, index)| matches!(fixed, Fixed::Head(_)) && *index == column)
    }

    fn fixed(&mut self, what: Fixed, shape: Shape, layer: usize) -> usize {
        *self.fixed.entry(what).or_insert_with(|| {
            self.columns.push((shape, layer));
            self.columns.len() - 1
        })
    }
}

/// The columns of all values that operations read and write, by the index of the value. The outputs of heads are to stand
/// after the forward operations; then the loss writes its gradients.
///
/// Cost: linear in the number of operations but for a logarithm of that of the columns.
pub(super) fn assign(
    program: &Program,
    [forward, backward]: [&[Operation]; 2],
    input_gradients: &[(Value, Value)],
    layout: &mut Layout,
) -> Result<Vec<Option<Column>>, BuildError> {
    let mut assignment = Assignment::new(program, [forward, backward], layout);
    assignment.keep_gradients(backward, input_gradients);
    for (time, operation) in forward.iter().enumerate() {
        assignment.assign_outputs(program, operation, time)?;
    }
    assignment.seed(program, forward.len());
    for (index, operation) in backward.iter().enumerate() {
        assignment.assign_outputs(program, operation, forward.len() + 1 + index)?;
    }
    Ok(assignment.columns)
}

struct Assignment<'a> {
    layout: &'a mut Layout,
    columns: Vec<Option<Column>>,
    /// When each value is read last; the operations are counted, and the loss between them.
    last_read: Vec<usize>,
    /// What is read after the program.
    kept: Vec<Option<Fixed>>,
    free: BTreeMap<(Domain, usize), BTreeSet<usize>>,
    /// The value that each column of the layout holds, if it is not to be used again at all.
    owner: Vec<Option<usize>>,
}

impl<'a> Assignment<'a> {
    fn new(program: &Program, [forward, backward]: [&[Operation]; 2], layout: &'a mut Layout) -> Self {
        let mut last_read = vec![0; program.values.len()];
        let times = (0..forward.len()).chain(forward.len() + 1..);
        for (operation, time) in forward.iter().chain(backward).zip(times) {
            for value in operation.inputs.iter().chain(&operation.in_place_of).chain(&operation.outputs) {
                last_read[value.id()] = time;
            }
        }
        let mut kept = vec![None; program.values.len()];
        let heads = program.heads.iter().map(|head| head.output).zip((0..).map(Fixed::Head));
        for (value, fixed) in heads.chain(program.kept.iter().copied().zip((0..).map(Fixed::Kept))) {
            kept[value.id()].get_or_insert(fixed);
        }
        let columns = program.values.iter().map(|kind| match *kind {
            ValueKind::Input(input) => Some(Column::Input(input)),
            ValueKind::Parameter(parameter) => Some(Column::Parameter(parameter)),
            ValueKind::ParameterGradient(parameter) => Some(Column::ParameterGradient(parameter)),
            ValueKind::HeadGradient(_) | ValueKind::Computed { .. } => None,
        });
        let mut free: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        let fixed: BTreeSet<usize> = layout.fixed.values().copied().collect();
        for (column, (shape, _)) in layout.columns.iter().enumerate() {
            if !fixed.contains(&column) {
                free.entry((shape.domain, shape.width)).or_default().insert(column);
            }
        }
        let owner = vec![None; layout.columns.len()];
        Self { columns: columns.collect(), layout, last_read, kept, free, owner }
    }

    /// Keeps the gradients with respect to inputs, and all that becomes one of them in place.
    fn keep_gradients(&mut self, backward: &[Operation], gradients: &[(Value, Value)]) {
        for (index, (_, gradient)) in gradients.iter().enumerate() {
            let mut value = *gradient;
            for operation in backward.iter().rev() {
                let Some(output) = operation.outputs.iter().position(|output| *output == value) else { continue };
                self.kept[value.id()] = Some(Fixed::InputGradient(index));
                match operation.in_place_of.filter(|_| output == 0) {
                    Some(before) => value = before,
                    None => break,
                }
            }
            self.kept[value.id()] = Some(Fixed::InputGradient(index));
        }
    }

    /// Gives the outputs of an operation their columns, and then takes back those that were read for the last time.
    fn assign_outputs(&mut self, program: &Program, operation: &Operation, time: usize) -> Result<(), BuildError> {
        for (index, output) in operation.outputs.iter().enumerate() {
            let column = match operation.in_place_of.filter(|_| index == 0) {
                Some(before) => self.take_over(operation, before, *output, time)?,
                None => self.column_for(program, operation, *output),
            };
            self.columns[output.id()] = Some(column);
        }
        let values = operation.inputs.iter().chain(&operation.in_place_of).chain(&operation.outputs);
        values.for_each(|value| self.release(*value, time));
        Ok(())
    }

    fn column_for(&mut self, program: &Program, operation: &Operation, output: Value) -> Column {
        if let Some(column) = self.columns[output.id()] {
            return column;
        }
        let shape = Shape { width: program.stored_width(output), ..output.shape() };
        let first = operation.parts.as_ref().filter(|_| operation.outputs.first() == Some(&output));
        let fixed = match (operation.run, first) {
            (Run::OnChange, _) => Some(Fixed::Resting(operation.recorded)),
            (Run::Always, Some(parts)) => Some(Fixed::Resting(parts[0].recorded)),
            (Run::Always, None) => self.kept[output.id()],
        };
        Column::Layout(self.take(fixed, shape, operation.layer, output))
    }

    /// The column of what keeps one; else one that is free, or a new one.
    fn take(&mut self, fixed: Option<Fixed>, shape: Shape, layer: usize, owner: Value) -> usize {
        if let Some(fixed) = fixed {
            let column = self.layout.fixed(fixed, shape, layer);
            self.owner.resize(self.layout.columns.len(), None);
            return column;
        }
        let free = self.free.get_mut(&(shape.domain, shape.width)).and_then(BTreeSet::pop_first);
        let column = free.unwrap_or_else(|| {
            self.layout.columns.push((shape, layer));
            self.owner.push(None);
            self.layout.columns.len() - 1
        });
        self.owner[column] = Some(owner.id());
        column
    }

    /// The column of a value that is changed in place, which nobody may read afterwards.
    fn take_over(
        &mut self,
        operation: &Operation,
        before: Value,
        output: Value,
        time: usize,
    ) -> Result<Column, BuildError> {
        let kept = self.kept[before.id()];
        let is_last = self.last_read[before.id()] <= time && (kept.is_none() || kept == self.kept[output.id()]);
        let is_last = is_last && !operation.inputs.contains(&before);
        let column = self.columns[before.id()].filter(|_| is_last);
        let Some(column) = column else {
            let reason = format!("changes a value in place by {} that is read as well", operation.operator.name());
            let reason = format!("{reason}; read what the change returns, or compute into a value of its own");
            return Err(BuildError::Layer { layer: operation.layer, path: String::new(), setting: None, reason });
        };
        if let Column::Layout(column) = column
            && let Some(owner) = &mut self.owner[column]
        {
            *owner = output.id();
        }
        Ok(column)
    }

    fn release(&mut self, value: Value, time: usize) {
        let Some(Column::Layout(column)) = self.columns[value.id()] else { return };
        if self.last_read[value.id()] <= time && self.owner[column] == Some(value.id()) {
            self.owner[column] = None;
            let (shape, _) = self.layout.columns[column];
            self.free.entry((shape.domain, shape.width)).or_default().insert(column);
        }
    }

    /// Gives the gradients that losses write their columns.
    fn seed(&mut self, program: &Program, time: usize) {
        let layer = program.operations.last().map_or(0, |operation| operation.layer);
        let mut seeds = Vec::new();
        for (id, kind) in program.values.iter().enumerate() {
            let ValueKind::HeadGradient(head) = *kind else { continue };
            let shape = program.heads[head].output.shape();
            let seed = Value { id: id as u32, requires_gradient: false, ..program.heads[head].output };
            self.columns[id] = Some(Column::Layout(self.take(self.kept[id], shape, layer, seed)));
            seeds.push(seed);
        }
        // Once all losses have written theirs.
        seeds.into_iter().for_each(|seed| self.release(seed, time));
    }
}
