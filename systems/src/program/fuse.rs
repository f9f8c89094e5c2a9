//! Makes one operation of neighbors that one pass over the rows can do.

use std::sync::Arc;

use super::{Fusion, Mode, Operation, Program, Run, Value};

/// Fuses each operation with the only reader of its only output, as long as its operator knows how
/// ([`Operator::fuse`](super::Operator::fuse)). The fused operation stands where the reader stood.
pub(super) fn fuse(program: &mut Program, mode: Mode) {
    let readers = readers(program);
    replace(program, |operation, operations| fused(operation, operations, &readers, mode));
}

/// Fuses each operation with the first reader of its only output, even if that is read again, as long as its operator knows
/// how ([`Operator::fuse_late`](super::Operator::fuse_late)). The fused operation stands where the reader stood.
pub(super) fn fuse_late(program: &mut Program, backward: &[Operation]) {
    let mut readers = readers(program);
    for value in backward.iter().flat_map(|operation| operation.inputs.iter().chain(&operation.in_place_of)) {
        readers[value.id()].is_kept = true;
    }
    replace(program, |operation, operations| {
        let [output] = operation.outputs[..] else { return None };
        let Readers { indices, is_kept } = &readers[output.id()];
        let (index, later) = indices.split_first()?;
        let next = operations[*index].as_ref().filter(|next| next.run == Run::Always)?;
        let reads_twice = later.first() == Some(index);
        let is_changed = operation.in_place_of.is_some() || next.in_place_of.is_some();
        if reads_twice || is_changed || operation.graph != next.graph {
            return None;
        }
        let input = next.inputs.iter().position(|input| *input == output)?;
        let keeps = *is_kept || !later.is_empty() || operation.run == Run::OnChange;
        let operator = operation.operator.fuse_late(operation, next, input, keeps)?;
        let rests = operation.run == Run::OnChange;
        let parts = rests.then(|| Arc::new([operation.clone(), next.clone()]));
        let outputs = keeps.then_some(output).into_iter().chain(next.outputs.iter().copied()).collect();
        let inputs = inputs_of_both(operation, next, input);
        Some((*index, Operation { operator, inputs, outputs, parts, layer: operation.layer, ..next.clone() }))
    });
}

/// Fuses each operation of a backward pass with the change of its only output in place, as long as nobody reads that before
/// and its operator knows how ([`Operator::fuse_update`](super::Operator::fuse_update)).
pub(super) fn fuse_updates(operations: &mut Vec<Operation>, values: usize) {
    // Where each value is written, and read last so far.
    let (mut written, mut read) = (vec![None; values], vec![None; values]);
    let mut fused: Vec<Operation> = Vec::with_capacity(operations.len());
    for operation in operations.drain(..) {
        let place = operation.in_place_of.filter(|_| !operation.accumulates).and_then(|value| {
            let place = written[value.id()].filter(|_| read[value.id()].is_none())?;
            // What it reads is there already.
            operation.inputs.iter().all(|input| written[input.id()] < Some(place)).then_some(place)
        });
        let place = match place.and_then(|place: usize| Some((place, with_update(&fused[place], &operation)?))) {
            Some((place, both)) => {
                fused[place] = both;
                place
            }
            None => {
                fused.push(operation);
                fused.len() - 1
            }
        };
        let Operation { inputs, in_place_of, outputs, .. } = &fused[place];
        inputs.iter().chain(in_place_of).for_each(|value| read[value.id()] = Some(place));
        outputs.iter().for_each(|value| written[value.id()] = Some(place));
    }
    *operations = fused;
}

fn with_update(operation: &Operation, update: &Operation) -> Option<Operation> {
    let is_plain = operation.in_place_of.is_none() && operation.outputs.len() == 1;
    if !is_plain || operation.graph != update.graph {
        return None;
    }
    let operator = operation.operator.fuse_update(update, operation.inputs.len())?;
    let inputs = operation.inputs.iter().chain(&update.inputs).copied().collect();
    Some(Operation { operator, inputs, outputs: update.outputs.clone(), ..operation.clone() })
}

/// As [`fuse_late`], in a backward pass: the fused operation stands where the first one stood, whose output others read
/// before the second one did.
pub(super) fn fuse_backward(operations: &mut Vec<Operation>, values: usize) {
    let (mut written, mut readers) = (vec![None; values], vec![Vec::new(); values]);
    for (index, operation) in operations.iter().enumerate() {
        operation.outputs.iter().for_each(|output| written[output.id()] = Some(index));
        operation.inputs.iter().chain(&operation.in_place_of).for_each(|value| readers[value.id()].push(index));
    }
    let mut remaining: Vec<Option<Operation>> = core::mem::take(operations).into_iter().map(Some).collect();
    for index in 0..remaining.len() {
        let Some(operation) = &remaining[index] else { continue };
        let [output] = operation.outputs[..] else { continue };
        if operation.in_place_of.is_some() {
            continue;
        }
        let of_readers = readers[output.id()].iter().filter_map(|reader| Some((*reader, remaining[*reader].as_ref()?)));
        let mut unchanged = of_readers.take_while(|(_, reader)| reader.in_place_of != Some(output));
        let fused = unchanged.find_map(|(place, next)| {
            let others = next.inputs.iter().filter(|input| **input != output);
            let are_there = others.clone().all(|input| written[input.id()] < Some(index));
            let reads_once = others.count() + 1 == next.inputs.len();
            if !are_there || !reads_once || next.in_place_of.is_some() || operation.graph != next.graph {
                return None;
            }
            let input = next.inputs.iter().position(|input| *input == output)?;
            let operator = operation.operator.fuse_late(operation, next, input, true)?;
            let outputs = core::iter::once(output).chain(next.outputs.iter().copied()).collect();
            let inputs = inputs_of_both(operation, next, input);
            Some((place, Operation { operator, inputs, outputs, ..operation.clone() }))
        });
        if let Some((place, fused)) = fused {
            // Once it has been computed, it is there for others.
            fused.outputs.iter().for_each(|output| written[output.id()] = Some(index));
            remaining[index] = Some(fused);
            remaining[place] = None;
        }
    }
    *operations = remaining.into_iter().flatten().collect();
}

/// Replaces operations and a later one each: `fused` gives the index of that, and what the two are together.
fn replace(program: &mut Program, fused: impl Fn(&Operation, &[Option<Operation>]) -> Option<(usize, Operation)>) {
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
        match fused(&operation, &operations).filter(|_| !stays) {
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
    let inputs = inputs_of_both(operation, next, input);
    Some((next_index, Operation { operator, inputs, layer: operation.layer, ..next.clone() }))
}

/// The inputs of an operation, and of the next but for `input`.
fn inputs_of_both(operation: &Operation, next: &Operation, input: usize) -> Vec<Value> {
    let others = next.inputs.iter().enumerate().filter(|(other, _)| *other != input).map(|(_, value)| *value);
    operation.inputs.iter().copied().chain(others).collect()
}
