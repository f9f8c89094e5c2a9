//! Where in a scene it lies that its model cannot be built.

use connectome_systems::{
    MixturePart,
    layers::{BuildError, Layer},
    program::{MAX_COLUMNS, MAX_OPERATIONS, MAX_PARAMETERS},
};
use std::fmt;

use super::megabytes;
use crate::data::memory::available;
use crate::scene::description::SceneFile;
use crate::scene::error::Fault;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::{self, Field};

/// Where in the scene it lies that its model cannot be built.
pub(in crate::scene) fn build_fault(scene: &SceneFile, error: BuildError) -> Fault {
    fault(scene, MixturePart::Model, error, 0, available())
}

/// The error of a part of a model, beside which so much is taken already.
pub(super) fn fault(scene: &SceneFile, part: MixturePart, error: BuildError, before: usize, available: usize) -> Fault {
    match error {
        BuildError::Layer { layer, path, setting, reason } => {
            let (reason, help) =
                reason.split_once("; ").unwrap_or((&reason, "change the layer, or what comes before it"));
            let place = Place::of(scene, part, layer, &path);
            Fault::new(place.path(setting), format!("{} {reason}", place.name), help)
        }
        BuildError::Sparse { layer, path } => {
            let place = Place::of(scene, part, layer, &path);
            let message = format!("{} reads every number of its input, but the features are sparse", place.name);
            Fault::new(place.path(None), message, "put a Linear or GcnConv before it")
        }
        BuildError::TooLarge { layer, path, needed } => {
            let place = Place::of(scene, part, layer, &path);
            let needed = needed.and_then(|needed| needed.checked_add(before));
            let needed = needed.map_or_else(|| "more than can be counted".to_owned(), megabytes);
            let available = megabytes(available);
            let message = format!("with {place} the model needs {needed} of memory, but {available} are available");
            let help = "make the layer narrower, or the graph smaller";
            Fault::new(place.path(Some("width")), message, help)
        }
        BuildError::TooManyOperations { layer, path, most } => {
            let place = Place::of(scene, part, layer, &path);
            let setting = match place.layer {
                Some(LayerDescription::Appnp(_) | LayerDescription::SgConv(_)) => "hops",
                _ => "layers",
            };
            let reason = if most < MAX_OPERATIONS { ", as many as there is memory to plan" } else { "" };
            let message = format!("with {place} the model has more than {most} operations{reason}");
            Fault::new(place.path(Some(setting)), message, "give it fewer layers or hops")
        }
        BuildError::TooManyParameters { layer, path, most } => {
            let place = Place::of(scene, part, layer, &path);
            let reason = if most < MAX_PARAMETERS { ", as many as there is memory for" } else { "" };
            let message = format!("with {place} the model has more than {most} parameters and buffers{reason}");
            Fault::new(place.path(Some("layers")), message, "give it fewer layers")
        }
        BuildError::TooManyColumns { layer, most } => {
            let place = Place::of(scene, part, layer, "");
            let reason = if most < MAX_COLUMNS { ", as many as there is memory for" } else { "" };
            let message = format!("with {place} the model needs more than {most} columns for its values{reason}");
            Fault::new(place.path(Some("layers")), message, "give it fewer layers")
        }
        BuildError::Mixture(error) => {
            let message = error.to_string();
            let (message, help) = message.split_once("; ").unwrap_or((&message, "change the mixture"));
            let path = match part {
                MixturePart::Model => vec![Field("mixture")],
                part => scene.layers_of(part).1,
            };
            Fault::new(path, message, help)
        }
        error => Fault::new(scene.layers_of(part).1, error.to_string(), "change the model"),
    }
}

/// A layer of a scene, or one within it.
struct Place<'a> {
    steps: Vec<Step<'static>>,
    layer: Option<&'a LayerDescription>,
    name: &'static str,
    /// The number of the layer, and the way to the one within it.
    number: String,
}

impl<'a> Place<'a> {
    fn of(scene: &'a SceneFile, part: MixturePart, layer: usize, path: &str) -> Self {
        let (mut steps, outer) = scene.layer_at(part, layer);
        let Some(outer) = outer else {
            return Self { steps, layer: None, name: "the model", number: layer.to_string() };
        };
        // Where there are several kinds, a layer is built for each.
        let kind = path.strip_prefix('.').map(|path| path.split('.').next().unwrap_or(path));
        let kind = kind.filter(|kind| scene.nodes.contains_key(*kind) && !outer.reads_all_kinds());
        let path = kind.map_or(path, |kind| &path[1 + kind.len()..]);
        let (nested, path, within) = outer.nested_at(path);
        steps.extend(within);
        Self { steps, layer: Some(nested), name: nested.name(), number: format!("{layer}{path}") }
    }

    /// The way to a setting of the layer, or to the layer.
    fn path(&self, setting: Option<&'static str>) -> Vec<Step<'static>> {
        [&self.steps[..], setting.map(Field).as_slice()].concat()
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "layer {} ({})", self.number, self.name)
    }
}
