//! Brain files and weights as assets.

use bevy_app::{App, Plugin};
use bevy_asset::{
    Asset, AssetApp, AssetLoader, AssetPath, AssetServer, Handle, LoadContext, ParseAssetPathError, io::Reader,
};
use bevy_reflect::TypePath;
use bevy_tasks::futures_lite::AsyncReadExt;
use connectome::{
    output::{OutputError, Tensor, decode_weights},
    scene::{BrainFile, SceneError},
};
use std::{io, path::Path};

/// The longest brain file, in bytes.
const LONGEST_FILE: u64 = 1 << 24;

/// The longest file of weights, in bytes.
const LONGEST_WEIGHTS: u64 = 1 << 32;

/// The content of a `*.brain.ron`.
#[derive(Asset, TypePath, Clone, Debug)]
pub struct BrainAsset {
    /// What the file says.
    pub file: BrainFile,
    /// The weights that it names.
    #[dependency]
    pub weights: Option<Handle<WeightsAsset>>,
}

/// The content of a `*.safetensors`, as `connectome train` and PyTorch Geometric write it.
#[derive(Asset, TypePath, Clone, Debug)]
pub struct WeightsAsset {
    /// The path of the asset.
    pub path: String,
    /// The tensors, sorted by name.
    pub tensors: Vec<Tensor>,
}

/// Why an asset was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// The file is no brain; the error shows where.
    #[error(transparent)]
    File(#[from] SceneError),
    /// The path of the weights is none.
    #[error("{file}: the weights cannot be at {path:?}: {error}; write a path such as \"flock.safetensors\"")]
    WeightsPath {
        /// The path of the brain file.
        file: String,
        /// What it says.
        path: String,
        /// Why it is no path.
        error: ParseAssetPathError,
    },
    /// The file holds no weights.
    #[error(transparent)]
    Weights(#[from] OutputError),
    /// The file is longer than any of its kind.
    #[error("{file} is longer than {longest} bytes; give a file of this kind")]
    TooLong {
        /// The path of the asset.
        file: String,
        /// The most bytes.
        longest: u64,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Loads `*.brain.ron` and `*.safetensors`.
pub struct BrainAssetPlugin;

impl Plugin for BrainAssetPlugin {
    fn build(&self, app: &mut App) {
        // Without an asset server each brain says so.
        if app.world().contains_resource::<AssetServer>() {
            app.init_asset::<BrainAsset>().init_asset::<WeightsAsset>();
            app.register_asset_loader(BrainLoader).register_asset_loader(WeightsLoader);
        }
    }
}

#[derive(TypePath)]
struct BrainLoader;

#[derive(TypePath)]
struct WeightsLoader;

async fn read(reader: &mut dyn Reader, context: &LoadContext<'_>, longest: u64) -> Result<Vec<u8>, AssetError> {
    let mut bytes = Vec::new();
    reader.take(longest + 1).read_to_end(&mut bytes).await?;
    let file = || context.path().to_string();
    if bytes.len() as u64 > longest { Err(AssetError::TooLong { file: file(), longest }) } else { Ok(bytes) }
}

impl AssetLoader for BrainLoader {
    type Asset = BrainAsset;
    type Settings = ();
    type Error = AssetError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        (): &(),
        context: &mut LoadContext<'_>,
    ) -> Result<BrainAsset, AssetError> {
        let bytes = read(reader, context, LONGEST_FILE).await?;
        let path = context.path().clone();
        let file = BrainFile::parse(&bytes, &path.to_string())?;
        let weights = match &file.weights {
            Some(weights) => {
                let of = |error| AssetError::WeightsPath { file: path.to_string(), path: weights.clone(), error };
                let at: AssetPath<'static> = path.resolve_embed_str(weights).map_err(of)?;
                Some(context.load(at))
            }
            None => None,
        };
        Ok(BrainAsset { file, weights })
    }

    fn extensions(&self) -> &[&str] {
        &["brain.ron"]
    }
}

impl AssetLoader for WeightsLoader {
    type Asset = WeightsAsset;
    type Settings = ();
    type Error = AssetError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        (): &(),
        context: &mut LoadContext<'_>,
    ) -> Result<WeightsAsset, AssetError> {
        let bytes = read(reader, context, LONGEST_WEIGHTS).await?;
        let path = context.path().to_string();
        let tensors = decode_weights(Path::new(&path), &bytes)?;
        Ok(WeightsAsset { path, tensors })
    }

    fn extensions(&self) -> &[&str] {
        &["safetensors"]
    }
}
