//! Weights of a model in a world, to and from files.

use bevy_ecs::{entity::Entity, world::World};
use std::{collections::HashSet, path::Path, str::FromStr};

use crate::output::{OutputError, Tensor, expect_tensor, read_weights};
use crate::parts::{PartParameter, parameters};

/// The parameters of a model under the names and in the shapes that weight files have, which are those of PyTorch Geometric.
/// Those of a mixture of experts are also those of its gate, whose names begin with `gate.`, and of its experts, with
/// `experts.0.` and so on.
pub fn weights(world: &World, model: Entity) -> Vec<Tensor> {
    let tensor = |of: PartParameter| Tensor {
        name: of.name(),
        shape: of.parameter.layout.shape.clone(),
        values: of.parameter.to_stored(of.numbers(world, model)),
    };
    parameters(world, model).into_iter().map(tensor).collect()
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
    set_weights(world, model, path, &tensors)
}

/// Takes the parameters of a model from tensors that were read from `path`.
///
/// # Errors
/// If a parameter is missing, one has another shape, or one that the model has not; then none is changed.
pub fn set_weights(world: &mut World, model: Entity, path: &Path, tensors: &[Tensor]) -> Result<(), OutputError> {
    let parameters: Vec<(String, PartParameter)> =
        parameters(world, model).into_iter().map(|of| (of.name(), of)).collect();
    let found = parameters
        .iter()
        .map(|(name, of)| expect_tensor(path, tensors, name, &of.parameter.layout.shape))
        .collect::<Result<Vec<&Tensor>, OutputError>>()?;
    // Other layers may have parameters of the same names: a file that has more than the model reads is one of another model.
    let mut unread: HashSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let names: Vec<String> =
        tensors.iter().map(|tensor| &tensor.name).filter(|name| !unread.remove(name.as_str())).cloned().collect();
    if !names.is_empty() {
        return Err(OutputError::UnreadTensors { path: path.to_path_buf(), names });
    }
    for ((_, of), tensor) in parameters.iter().zip(found) {
        let values = of.parameter.from_stored(&tensor.values);
        of.numbers_mut(world, model).copy_from_slice(&values);
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
