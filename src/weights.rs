//! Weights of a model in a world, to and from files.

use bevy_ecs::{entity::Entity, world::World};
use std::{path::Path, str::FromStr};

use crate::components::{Field, Model, Parameter};
use crate::output::{OutputError, Tensor, expect_tensor, read_weights};

/// The parameters of a model under the names and in the shapes that weight files have, which are those of PyTorch Geometric.
pub fn weights(world: &World, model: Entity) -> Vec<Tensor> {
    let tensor = |parameter: &Parameter| Tensor {
        name: parameter.name.clone(),
        shape: parameter.layout.shape.clone(),
        values: parameter.to_stored(numbers(world, parameter.value)),
    };
    parameters(world, model).iter().map(tensor).collect()
}

/// Takes the parameters of a model from a weight file, whose tensors are renamed first.
///
/// A file that PyTorch Geometric has written has the names of its modules where here the layers are counted:
/// `conv1.lin.weight` is read as `layers.0.lin.weight` with the rename `conv1=layers.0`.
///
/// # Errors
/// If the file cannot be read, lacks a parameter, or has one of another shape; then none is changed.
pub fn load_weights(world: &mut World, model: Entity, path: &Path, renames: &[Rename]) -> Result<(), OutputError> {
    let mut tensors = read_weights(path)?;
    for tensor in &mut tensors {
        if let Some(name) = renames.iter().find_map(|rename| rename.apply(&tensor.name)) {
            tensor.name = name;
        }
    }
    let parameters = parameters(world, model);
    let found = parameters
        .iter()
        .map(|parameter| expect_tensor(path, &tensors, &parameter.name, &parameter.layout.shape))
        .collect::<Result<Vec<&Tensor>, OutputError>>()?;
    for (parameter, tensor) in parameters.iter().zip(found) {
        set_numbers(world, parameter.value, &parameter.from_stored(&tensor.values));
    }
    Ok(())
}

/// Another beginning for the names of some tensors, written `conv1=layers.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The beginning in the file, without the dot behind it.
    pub from: String,
    /// The beginning here.
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
    /// The new name of a tensor, if its name begins so.
    fn apply(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(&self.from)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{}{rest}", self.to))
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
        assert_eq!(rename.apply("conv1.lin.weight").as_deref(), Some("layers.0.lin.weight"));
        assert_eq!(rename.apply("conv10.lin.weight"), None);
        assert!("conv1".parse::<Rename>().unwrap_err().to_string().contains("conv1=layers.0"));
    }
}
