//! What depends on nothing that changes from step to step.

use super::{Program, Run, ValueKind};

/// Marks the operations that are to be run only when an input or the topology changes: those that are worth a column of
/// their own, of inputs that no operation of the model writes in each step.
pub(super) fn hoist(program: &mut Program) {
    let rests = |kind: &ValueKind| match *kind {
        ValueKind::Input(input) => {
            let input = &program.inputs[input];
            !input.is_state && !input.value.requires_gradient
        }
        ValueKind::Parameter(parameter) => !program.parameters[parameter].is_learned,
        _ => false,
    };
    let mut rests: Vec<bool> = program.values.iter().map(rests).collect();
    for operation in &mut program.operations {
        // A buffer that is changed does not rest.
        if let Some(buffer) = operation.in_place_of {
            rests[buffer.id()] = false;
        }
    }
    for operation in &mut program.operations {
        let [output] = operation.outputs[..] else { continue };
        let worth = operation.in_place_of.is_none() && !output.is_sparse() && operation.operator.is_worth_keeping();
        if worth && operation.inputs.iter().all(|input| rests[input.id()]) {
            operation.run = Run::OnChange;
            rests[output.id()] = true;
        }
    }
}
