//! Makes one operation of neighbors that one pass over the rows can do.

use super::{Fusion, Mode, Operation, Program, Run};

/// Fuses each operation with the only reader of its only output, as long as its operator knows how
/// ([`Operator::fuse`](super::Operator::fuse)). The fused operation stands where the reader stood.
pub(super) fn fuse(program: &mut Program, mode: Mode) {
    let readers = readers(program);
    let mut is_changed = vec![false; program.values.len()];
    program
        .operations
        .iter()
        .flat_map(|operation| operation.in_place_of)
        .for_each(|value| is_changed[value.id()] = true);
    let mut operations: Vec<Option<Operation>> =
        core::mem::take(&mut program.operations).into_iter().map(Some).collect();
    for index in 0..operations.len() {
        let Some(operation) = operations[index].take() else { continue };
        // Read later, a value that is changed in place would be another one.
        let stays = operation.inputs.iter().any(|input| is_changed[input.id()]);
        match fused(&operation, &operations, &readers, mode).filter(|_| !stays) {
            Some((next, fused)) => operations[next] = Some(fused),
            None => operations[index] = Some(operation),
        }
    }
    program.operations = operations.into_iter().flatten().collect();
}

/// Who reads a value.
#[derive(Clone, Default)]
struct Readers {
    indices: Vec<usize>,
    /// Whether it is read after the program, too.
    is_kept: bool,
}

fn readers(program: &Program) -> Vec<Readers> {
    let mut readers = vec![Readers::default(); program.values.len()];
    for (index, operation) in program.operations.iter().enumerate() {
        for value in operation.inputs.iter().chain(&operation.in_place_of) {
            readers[value.id()].indices.push(index);
        }
    }
    let heads = program.heads.iter().map(|head| head.output);
    let kept = program.kept.iter().chain(&program.updates).copied();
    heads.chain(kept).for_each(|value| readers[value.id()].is_kept = true);
    readers
}

/// The index of the only reader of an operation's output, and what the two are together.
fn fused(
    operation: &Operation,
    operations: &[Option<Operation>],
    readers: &[Readers],
    mode: Mode,
) -> Option<(usize, Operation)> {
    let [output] = operation.outputs[..] else { return None };
    let Readers { indices, is_kept: false } = &readers[output.id()] else { return None };
    let [next_index] = indices[..] else { return None };
    let next = operations[next_index].as_ref()?;
    let rests = operation.run == Run::OnChange || next.run == Run::OnChange;
    if rests || operation.in_place_of.is_some() || next.in_place_of.is_some() || operation.graph != next.graph {
        return None;
    }
    let input = next.inputs.iter().position(|input| *input == output)?;
    let operator = operation.operator.fuse(next, input, Fusion { mode, operation })?;
    let others = next.inputs.iter().enumerate().filter(|(other, _)| *other != input).map(|(_, value)| *value);
    let inputs = operation.inputs.iter().copied().chain(others).collect();
    Some((next_index, Operation { operator, inputs, layer: operation.layer, ..next.clone() }))
}
