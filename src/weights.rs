//! Weights of a model in a world, to and from files.

use bevy_ecs::{entity::Entity, world::World};
use std::{collections::HashSet, path::Path, str::FromStr};

use crate::components::{Field, MixtureOfExperts, Model, Parameter};
use crate::output::{OutputError, Tensor, expect_tensor, read_weights};
use crate::systems::{expert_world, expert_world_mut};

/// The parameters of a model under the names and in the shapes that weight files have, which are those of PyTorch Geometric.
/// Those of a mixture of experts are also those of its gate, whose names begin with `gate.`, and of its experts, with
/// `experts.0.` and so on.
pub fn weights(world: &World, model: Entity) -> Vec<Tensor> {
    let parts = parts(world, model);
    let tensors = parts.iter().filter_map(|part| {
        let (world, parameters) = part.parameters(world, model)?;
        Some(parameters.into_iter().map(move |parameter| Tensor {
            name: part.name(&parameter),
            shape: parameter.layout.shape.clone(),
            values: parameter.to_stored(numbers(world, parameter.value)),
        }))
    });
    tensors.flatten().collect()
}

/// A part of a model.
#[derive(Clone, Copy)]
enum Part {
    Model,
    Gate(Entity),
    Expert(usize),
}

/// The parts of a model: itself and, of a mixture of experts, the gate and the experts.
fn parts(world: &World, model: Entity) -> Vec<Part> {
    let mixture = world.get::<MixtureOfExperts>(model);
    let gate = mixture.map(|mixture| Part::Gate(mixture.gate));
    let experts = mixture.map_or(0, |mixture| mixture.experts.len());
    [Part::Model].into_iter().chain(gate).chain((0..experts).map(Part::Expert)).collect()
}

impl Part {
    /// The name of a parameter among those of all parts.
    fn name(self, parameter: &Parameter) -> String {
        let name = &parameter.name;
        match self {
            Self::Model => name.clone(),
            Self::Gate(_) => format!("gate.{name}"),
            Self::Expert(index) => format!("experts.{index}.{name}"),
        }
    }

    /// The parameters, and the world that they are in.
    fn parameters(self, world: &World, model: Entity) -> Option<(&World, Vec<Parameter>)> {
        let (world, model) = match self {
            Self::Model => (world, model),
            Self::Gate(gate) => (world, gate),
            Self::Expert(index) => expert_world(world, model, index).ok()?,
        };
        Some((world, parameters(world, model)))
    }

    fn world_mut(self, world: &mut World, model: Entity) -> Option<&mut World> {
        match self {
            Self::Model | Self::Gate(_) => Some(world),
            Self::Expert(index) => Some(expert_world_mut(world, model, index).ok()?.0),
        }
    }
}

/// Takes the parameters of a model from a weight file, whose tensors are renamed first.
///
/// A file that PyTorch Geometric has written has the names of its modules where here the layers are counted:
/// `conv1.lin.weight` is read as `layers.0.lin.weight` with the rename `conv1=layers.0`, and left out with `conv1=`.
///
/// # Errors
/// If the file cannot be read, lacks a parameter, has one of another shape, or one that the model has not; then none is changed.
pub fn load_weights(world: &mut World, model: Entity, path: &Path, renames: &[Rename]) -> Result<(), OutputError> {
    let mut tensors = read_weights(path)?;
    tensors.retain_mut(|tensor| match renames.iter().find_map(|rename| rename.apply(&tensor.name)) {
        Some(None) => false,
        Some(Some(name)) => {
            tensor.name = name;
            true
        }
        None => true,
    });
    let of_part = |part: Part| part.parameters(world, model).map(|(_, parameters)| (part, parameters));
    let parameters: Vec<(Part, String, Parameter)> = parts(world, model)
        .into_iter()
        .filter_map(of_part)
        .flat_map(|(part, parameters)| {
            parameters.into_iter().map(move |parameter| (part, part.name(&parameter), parameter))
        })
        .collect();
    let found = parameters
        .iter()
        .map(|(_, name, parameter)| expect_tensor(path, &tensors, name, &parameter.layout.shape))
        .collect::<Result<Vec<&Tensor>, OutputError>>()?;
    // Other layers may have parameters of the same names: a file that has more than the model reads is one of another model.
    let mut unread: HashSet<&str> = parameters.iter().map(|(_, name, _)| name.as_str()).collect();
    let names: Vec<String> =
        tensors.iter().map(|tensor| &tensor.name).filter(|name| !unread.remove(name.as_str())).cloned().collect();
    if !names.is_empty() {
        return Err(OutputError::UnreadTensors { path: path.to_path_buf(), names });
    }
    for ((part, _, parameter), tensor) in parameters.iter().zip(found) {
        if let Some(world) = part.world_mut(world, model) {
            set_numbers(world, parameter.value, &parameter.from_stored(&tensor.values));
        }
    }
    Ok(())
}

/// Another beginning for the names of some tensors, written `conv1=layers.0`; or none, `conv1=`, to leave them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The beginning in the file, without the dot behind it.
    pub from: String,
    /// The beginning here; empty for tensors that are not to be read.
    pub to: String,
}

/// A rename without an equals sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` renames nothing; write the name in the file and the name here, such as conv1=layers.0")]
pub struct RenameError(String);

impl FromStr for Rename {
    type Err = RenameError;

    fn from_str(text: &str) -> Result<Self, RenameError> {
        let (from, to) = text.split_once('=').ok_or_else(|| RenameError(text.to_owned()))?;
        Ok(Self { from: from.trim().to_owned(), to: to.trim().to_owned() })
    }
}

impl Rename {
    /// The new name of a tensor, if its name begins so; no name if the tensor is left out.
    fn apply(&self, name: &str) -> Option<Option<String>> {
        let rest = name.strip_prefix(&self.from)?;
        let is_part = rest.is_empty() || rest.starts_with('.');
        is_part.then(|| (!self.to.is_empty()).then(|| format!("{}{rest}", self.to)))
    }
}

/// The parameters of a model, in the order of its layers.
pub(crate) fn parameters(world: &World, model: Entity) -> Vec<Parameter> {
    let owners = world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
    owners.iter().filter_map(|owner| world.get::<Parameter>(*owner).cloned()).collect()
}

/// The numbers of a parameter's field, which one entity has.
pub(crate) fn numbers(world: &World, field: Field) -> &[f32] {
    field.matrix(world).rows().next().unwrap_or(&[])
}

pub(crate) fn set_numbers(world: &mut World, field: Field, numbers: &[f32]) {
    for row in field.matrix_mut(world).rows_mut() {
        row.copy_from_slice(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_renamed_by_whole_parts() {
        let rename: Rename = "conv1=layers.0".parse().unwrap();
        assert_eq!(rename.apply("conv1.lin.weight"), Some(Some("layers.0.lin.weight".to_owned())));
        assert_eq!(rename.apply("conv10.lin.weight"), None);
        let rename: Rename = "conv1=".parse().unwrap();
        assert_eq!(rename.apply("conv1.lin.weight"), Some(None));
        assert!("conv1".parse::<Rename>().unwrap_err().to_string().contains("conv1=layers.0"));
    }
}
