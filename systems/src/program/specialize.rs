//! What a program is for one purpose: without what is only there for another, and without what nobody reads.

use super::{InInference, Mode, Operation, Program, Value};

/// Replaces operations that are something else outside of training.
pub(super) fn specialize(program: &mut Program, mode: Mode) {
    if mode == Mode::Training {
        return;
    }
    let mut aliases: Vec<Option<Value>> = vec![None; program.values.len()];
    let mut operations = core::mem::take(&mut program.operations);
    operations.retain_mut(|operation| {
        let substitute = |value: &mut Value| *value = resolve(&aliases, *value);
        operation.inputs.iter_mut().chain(&mut operation.in_place_of).for_each(substitute);
        match operation.operator.in_inference(&operation.inputs) {
            InInference::Same => true,
            InInference::Replaced(operator, inputs) => {
                operation.inputs = inputs.into_iter().map(|input| operation.inputs[input]).collect();
                // Outputs that are there for training come last.
                if let Ok(shapes) = operator.shapes(&operation.inputs) {
                    operation.outputs.truncate(shapes.len());
                }
                operation.operator = operator;
                true
            }
            InInference::Identity => {
                let source = operation.in_place_of.or(operation.inputs.first().copied());
                if let (Some(output), Some(source)) = (operation.outputs.first(), source) {
                    aliases[output.id()] = Some(source);
                }
                false
            }
        }
    });
    program.operations = operations;
    let heads = program.heads.iter_mut().map(|head| &mut head.output);
    heads.chain(&mut program.kept).chain(&mut program.updates).for_each(|value| *value = resolve(&aliases, *value));
}

fn resolve(aliases: &[Option<Value>], value: Value) -> Value {
    match aliases[value.id()] {
        Some(source) => Value { requires_gradient: value.requires_gradient && source.requires_gradient, ..source },
        None => value,
    }
}

/// Leaves out the operations of which nobody reads an output. `is_kept` says which values are read after the program.
pub(super) fn prune(operations: &mut Vec<Operation>, values: usize, is_kept: impl Fn(Value) -> bool) {
    let mut is_read = vec![false; values];
    let mut keep = vec![false; operations.len()];
    for (operation, keep) in operations.iter().zip(&mut keep).rev() {
        *keep = operation.outputs.iter().any(|output| is_read[output.id()] || is_kept(*output));
        if *keep {
            operation.inputs.iter().chain(&operation.in_place_of).for_each(|value| is_read[value.id()] = true);
        }
    }
    let mut keep = keep.into_iter();
    operations.retain(|_| keep.next().unwrap_or(true));
}
