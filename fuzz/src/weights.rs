//! Weight files: each is read whole or changes nothing.

use std::cell::RefCell;

use bevy_ecs::{entity::Entity, world::World};
use connectome::output::{Tensor, read_metadata, write_weights};
use connectome::prelude::*;
use connectome::{load_weights, weights};

use super::files::Folder;

thread_local! {
    /// The model that takes the weights; building one takes longer than reading a file.
    static MODEL: RefCell<Option<(World, Entity)>> = const { RefCell::new(None) };
}

/// A safetensors file.
pub fn safetensors(bytes: &[u8]) {
    let folder = Folder::new();
    let path = folder.write("weights.safetensors", bytes);
    let _ = read_metadata(&path).map_err(|error| error.to_string());
    MODEL.with_borrow_mut(|model| {
        let (world, model) = model.get_or_insert_with(build);
        let before = weights(world, *model);
        let loaded = load_weights(world, *model, &path, &[]);
        let after = weights(world, *model);
        if let Err(error) = loaded {
            assert!(!error.to_string().is_empty());
            return assert_eq!(bits(&after), bits(&before), "a file that is refused changes weights");
        }
        assert!(after.iter().flat_map(|tensor| &tensor.values).all(|value| value.is_finite()));
        let again = folder.path().join("again.safetensors");
        write_weights(&again, &after, Default::default()).unwrap_or_else(|error| panic!("{error}"));
        load_weights(world, *model, &again, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(bits(&weights(world, *model)), bits(&after), "written and read again");
    });
}

fn bits(tensors: &[Tensor]) -> Vec<u32> {
    tensors.iter().flat_map(|tensor| tensor.values.iter().map(|value| value.to_bits())).collect()
}

fn build() -> (World, Entity) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let model = ModelBuilder::new(graph).input_width(2).layer(GcnConv::new(2)).layer(BatchNorm::new());
    let model = world.spawn_model(model.layer(Linear::new(1))).unwrap_or_else(|error| panic!("{error}"));
    (world, model)
}
