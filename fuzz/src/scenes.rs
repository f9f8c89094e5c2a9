//! Scenes: each is read or refused where it is wrong; what is read can be written and read again, and trains.

use connectome::data::GraphData;
use connectome::scene::{GraphSource, SceneFile};
use connectome::systems::Workers;
use connectome::{Trainer, weights};

/// Scenes that take more memory than this, in bytes, are not trained.
const MAX_MEMORY: usize = 1 << 22;

/// The text of a scene. Graph files that it names are not opened.
pub fn scene(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let scene = match SceneFile::parse(text, "x.ron") {
        Ok(scene) => scene,
        Err(error) => {
            assert!(error.position.line >= 1 && error.position.column >= 1, "{error}");
            assert!(!error.message.is_empty() && error.to_string().starts_with("x.ron:"), "{error}");
            return;
        }
    };
    let written = scene.to_ron().unwrap_or_else(|error| panic!("{error}"));
    let again = SceneFile::parse(&written, "written.ron").unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again, scene, "written and read again");
    if let GraphSource::Inline { .. } = scene.graph {
        let data = scene.read_graph("").unwrap_or_else(|error| panic!("{error}"));
        train(scene, &data);
    }
}

/// Two epochs, twice: for one worker and for two.
fn train(mut scene: SceneFile, data: &GraphData) {
    let small = scene.memory(data).is_ok_and(|memory| memory.training.peak < MAX_MEMORY);
    if !small {
        return;
    }
    scene.training.epochs = scene.training.epochs.min(2);
    let run = |workers: Workers| {
        let mut trainer = Trainer::new(&scene, data, 0, workers).map_err(|error| error.to_string())?;
        let summary = trainer.train(|_| ()).map_err(|error| error.to_string());
        let model = trainer.entities().model;
        let bits = |value: &f32| value.to_bits();
        let tensors = weights(trainer.world(), model);
        let weights: Vec<u32> = tensors.iter().flat_map(|tensor| tensor.values.iter().map(bits)).collect();
        summary.map(|_| weights)
    };
    let two = Workers::new(2).expect("two workers can be had");
    assert_eq!(run(Workers::single()), run(two), "one worker and two");
}
