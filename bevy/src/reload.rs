//! Builds brains whose files were loaded or edited.

use bevy_asset::{
    Asset, AssetEvent, AssetId, AssetLoadError, AssetLoadFailedEvent, AssetServer, Assets, LoadState, UntypedAssetId,
};
use bevy_ecs::{
    change_detection::Mut,
    component::Component,
    entity::Entity,
    message::{Message, MessageCursor, Messages},
    system::Local,
    world::World,
};
use connectome::{set_weights, systems::WorldModelExt};
use std::path::Path;

use crate::{
    asset::{AssetError, BrainAsset, WeightsAsset},
    components::{BrainHandle, BrainStatus},
    error::{BrainBuilt, BrainError},
    registry::{Brains, Registered},
};

/// What is to be built of a brain, and what it was built of.
#[derive(Component, Default)]
pub(crate) struct Build {
    /// Whether its file has changed since.
    is_due: bool,
    /// Its file.
    file: Option<AssetId<BrainAsset>>,
    /// The weights that it was given.
    weights: Option<AssetId<WeightsAsset>>,
}

/// What has been read of the messages of the asset server.
#[derive(Default)]
pub(crate) struct Read {
    files: MessageCursor<AssetEvent<BrainAsset>>,
    weights: MessageCursor<AssetEvent<WeightsAsset>>,
    failed_files: MessageCursor<AssetLoadFailedEvent<BrainAsset>>,
    failed_weights: MessageCursor<AssetLoadFailedEvent<WeightsAsset>>,
}

/// What has happened to assets since the last frame.
struct News {
    changed: Vec<UntypedAssetId>,
    failed: Vec<(UntypedAssetId, String, AssetLoadError)>,
}

impl News {
    fn read(world: &World, read: &mut Read) -> Self {
        let mut changed = changes(world, &mut read.files);
        changed.extend(changes(world, &mut read.weights));
        let mut failed = failures(world, &mut read.failed_files);
        failed.extend(failures(world, &mut read.failed_weights));
        Self { changed, failed }
    }

    fn has_changed(&self, id: impl Into<UntypedAssetId>) -> bool {
        self.changed.contains(&id.into())
    }

    fn failure(&self, id: impl Into<UntypedAssetId>) -> Option<BrainError> {
        let id = id.into();
        // Of several the last, for it is that of the file as it is now.
        let (_, path, error) = self.failed.iter().rev().find(|(failed, ..)| *failed == id)?;
        Some(asset_error(path, error))
    }
}

fn messages<M: Message, T>(world: &World, cursor: &mut MessageCursor<M>, take: impl FnMut(&M) -> Option<T>) -> Vec<T> {
    let messages = world.get_resource::<Messages<M>>();
    messages.map(|messages| cursor.read(messages).filter_map(take).collect()).unwrap_or_default()
}

fn changes<A: Asset>(world: &World, cursor: &mut MessageCursor<AssetEvent<A>>) -> Vec<UntypedAssetId> {
    messages(world, cursor, |event| match event {
        AssetEvent::Added { id } | AssetEvent::Modified { id } => Some(id.untyped()),
        _ => None,
    })
}

fn failures<A: Asset>(
    world: &World,
    cursor: &mut MessageCursor<AssetLoadFailedEvent<A>>,
) -> Vec<(UntypedAssetId, String, AssetLoadError)> {
    messages(world, cursor, |event| Some((event.id.untyped(), event.path.to_string(), event.error.clone())))
}

/// Our own error where our loaders gave one, otherwise the words of the asset server.
fn asset_error(path: &str, error: &AssetLoadError) -> BrainError {
    let loader = if let AssetLoadError::AssetLoaderError(loader) = error { Some(loader.error()) } else { None };
    match loader.and_then(|error| error.downcast_ref::<AssetError>()) {
        Some(AssetError::File(scene)) => scene.clone().into(),
        Some(own) => BrainError::Asset { path: path.to_owned(), message: own.to_string() },
        None => {
            let message = error.to_string();
            BrainError::Asset { path: path.to_owned(), message: message.trim_end_matches([';', '.']).to_owned() }
        }
    }
}

/// Builds each brain whose file or weights have changed, beside the one that is there, and replaces that one by it. Whatever is
/// wrong is told, and the brain that is there lives on.
pub(crate) fn reload_brains(world: &mut World, mut read: Local<Read>) {
    let news = News::read(world, &mut read);
    Brains::for_each(world, |world, registered| {
        if let Err(error) = reload(world, registered, &news) {
            registered.tell(world, error, |status| &mut status.build_error);
        }
    });
}

fn reload(world: &mut World, registered: &mut Registered, news: &News) -> Result<(), BrainError> {
    let Some(file) = world.get::<BrainHandle>(registered.brain).map(|handle| handle.0.id()) else { return Ok(()) };
    if let Some(error) = news.failure(file) {
        return Err(error);
    }
    let is_lost = registered.model.is_some() && registered.living_model(world).is_none();
    if is_lost {
        registered.set_model(world, None);
    }
    let Some(asset) = world.get_resource::<Assets<BrainAsset>>().and_then(|assets| assets.get(file)) else {
        return Ok(());
    };
    let wanted = asset.weights.as_ref().map(|weights| weights.id());
    let are_weights_new = wanted.is_some_and(|weights| news.has_changed(weights));
    let Some(mut build) = world.get_mut::<Build>(registered.brain) else { return Ok(()) };
    build.is_due |= build.file != Some(file) || news.has_changed(file) || are_weights_new || is_lost;
    if are_weights_new || is_lost {
        build.weights = None;
    }
    let (is_due, given) = (build.is_due, build.weights);
    if !is_due {
        return wanted.and_then(|weights| news.failure(weights)).map_or(Ok(()), Err);
    }
    // Of weights that it was given before, what it has learned since is kept.
    let weights = wanted.filter(|_| wanted != given);
    if weights.is_some_and(|weights| !is_loaded(world, weights)) {
        let failure = weights.and_then(|weights| load_failure(world, weights));
        let Some(error) = failure else { return Ok(()) };
        finish(world, registered.brain, file, given);
        return Err(error);
    }
    let built = build_model(world, registered, file, weights);
    finish(world, registered.brain, file, if built.is_ok() { wanted } else { given });
    let model = built?;
    registered.set_model(world, Some(model));
    if let Some(mut status) = world.get_mut::<BrainStatus>(registered.brain) {
        status.builds += 1;
        (status.build_error, status.tick_error) = (None, None);
    }
    world.write_message(BrainBuilt { brain: registered.brain, model });
    Ok(())
}

/// Notes what was built, or could not be.
fn finish(world: &mut World, brain: Entity, file: AssetId<BrainAsset>, weights: Option<AssetId<WeightsAsset>>) {
    if let Some(mut build) = world.get_mut::<Build>(brain) {
        *build = Build { is_due: false, file: Some(file), weights };
    }
}

fn is_loaded(world: &World, weights: AssetId<WeightsAsset>) -> bool {
    world.get_resource::<Assets<WeightsAsset>>().is_some_and(|assets| assets.contains(weights))
}

/// Why weights cannot be loaded, if so.
fn load_failure(world: &World, weights: AssetId<WeightsAsset>) -> Option<BrainError> {
    let server = world.get_resource::<AssetServer>()?;
    let LoadState::Failed(error) = server.get_load_state(weights)? else { return None };
    let path = server.get_path(weights).map(|path| path.to_string()).unwrap_or_default();
    Some(asset_error(&path, &error))
}

/// Builds the model of a file, with weights of a file if it is to have others than it has. The model before is removed unless
/// there is an error.
fn build_model(
    world: &mut World,
    registered: &Registered,
    file: AssetId<BrainAsset>,
    weights: Option<AssetId<WeightsAsset>>,
) -> Result<Entity, BrainError> {
    let asset = world.get_resource::<Assets<BrainAsset>>().and_then(|assets| assets.get(file)).cloned();
    let Some(BrainAsset { file, .. }) = asset else {
        let path = registered.kind.name.to_owned();
        return Err(BrainError::Asset { path, message: "it was removed".to_owned() });
    };
    let builder = file.describe(registered.kind.builder(world));
    let located = |error| BrainError::File(file.locate(error));
    let Some(weights) = weights else {
        let built = match registered.living_model(world) {
            Some(before) => world.replace_model(before, builder),
            None => world.spawn_model(builder),
        };
        return built.map_err(located);
    };
    let model = world.spawn_model(builder).map_err(located)?;
    let given = world.try_resource_scope(|world, assets: Mut<Assets<WeightsAsset>>| {
        let Some(WeightsAsset { path, tensors }) = assets.get(weights) else { return Ok(()) };
        let given = set_weights(world, model, Path::new(path), tensors);
        given.map_err(|error| BrainError::Weights { path: path.clone(), error })
    });
    if let Some(Err(error)) = given {
        // It was spawned just now.
        let _ = world.remove_model(model);
        return Err(error);
    }
    Ok(model)
}
