//! Brain files: the model of a scene without a graph.

use connectome::{
    components::Optimizer,
    scene::{BrainFile, BrainTraining, EpochSchedule},
    systems::{ModelBuilder, layers::BuildError},
};

use super::{assert_error, unmark};

const BRAIN: &str = r#"(
    name: "flock",
    model: [SageConv(width: 32), Tanh, Linear(width: 2)],
    task: NodeRegression(loss: MeanSquaredError),
    optimizer: Adam(learning_rate: 0.01),
    training: (seed: 7, schedule: Cosine(epochs: 100), accumulation_steps: 2, clip_norm: 1.0),
    weights: "flock.safetensors",
)"#;

#[track_caller]
fn check(part: &str, replacement: &str, message: &str, help: &str) {
    assert!(BRAIN.contains(part), "{part:?} is no part of the brain");
    let (text, position) = unmark(&BRAIN.replacen(part, replacement, 1));
    let error = BrainFile::parse(text.as_bytes(), "x.brain.ron").expect_err("the brain is wrong");
    assert_error(&error, position, message, help);
    assert_eq!(error.file, "x.brain.ron");
}

#[test]
fn a_brain_says_what_its_model_is() {
    let brain = BrainFile::parse(BRAIN.as_bytes(), "x.brain.ron").unwrap();
    assert_eq!((&*brain.name, brain.model.len(), brain.weights.as_deref()), ("flock", 3, Some("flock.safetensors")));
    assert_eq!(brain.optimizer, Some(Optimizer::adam(0.01)));
    let schedule = EpochSchedule::Cosine { epochs: 100, final_factor: 0.0 };
    assert_eq!(brain.training, BrainTraining { seed: 7, schedule, accumulation_steps: 2, clip_norm: Some(1.0) });
    // A byte order mark is no part of it.
    let least = BrainFile::parse("\u{feff}(model: [Relu])".as_bytes(), "x.brain.ron").unwrap();
    assert_eq!((&*least.name, least.optimizer, least.training), ("brain", None, BrainTraining::default()));
}

#[test]
fn mistakes_are_shown_where_they_are() {
    check("name: \"flock\"", "§graph: Npz(\"cora.npz\")", "the brain has no field \"graph\"", "model");
    check("SageConv(", "§SageCov(", "there is no layer \"SageCov\"", "SageConv");
    check("learning_rate: 0.01", "learning_rate: §-0.01", "learning rate", "not negative");
    check("seed: 7", "§epochs: 7", "the training has no field \"epochs\"", "seed");
    check("clip_norm: 1.0", "clip_norm: §0.0", "clip", "above 0");
    check("NodeRegression(loss: MeanSquaredError)", "§LinkPrediction()", "no data for this task", "NodeRegression");
    check("NodeRegression(loss: MeanSquaredError)", "§Rewriting", "no data for this task", "NodeRegression");
    check("[SageConv(width: 32), Tanh, Linear(width: 2)]", "§[]", "no layers", "at least one");
    check("\"flock.safetensors\"", "§\"\"", "weights is empty", "flock.safetensors");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = BRAIN.replace("Tanh", "Tan").replace("seed: 7", "sed: 7");
    let error = BrainFile::parse(text.as_bytes(), "x.brain.ron").unwrap_err();
    assert!(error.message.contains("\"Tan\"") && error.others.len() == 1, "{error}");
    assert!(error.others[0].message.contains("\"sed\""), "{error}");
}

#[test]
fn what_is_no_text_is_refused() {
    for (bytes, message) in
        [(&b"PK\x03\x04"[..], "archive"), (b"(\xff)", "UTF-8"), (b"", "expected"), (b"7", "expected")]
    {
        let error = BrainFile::parse(bytes, "x.brain.ron").unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn what_does_not_fit_a_world_is_shown_in_the_file() {
    let brain = BrainFile::parse(BRAIN.as_bytes(), "x.brain.ron").unwrap();
    let reason = "outputs rows of width 2, but component `Steering` has width 3; set the last width to that";
    let error = BuildError::Layer { layer: 2, path: String::new(), setting: Some("width"), reason: reason.to_owned() };
    let told = brain.locate(error).to_string();
    let expected =
        "x.brain.ron:3:54: Linear outputs rows of width 2, but component `Steering` has width 3\n  help: set the last";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn without_an_optimizer_a_model_infers_only() {
    let entity = bevy_ecs::entity::Entity::PLACEHOLDER;
    let parse = |text: &str| BrainFile::parse(text.as_bytes(), "x.brain.ron").unwrap();
    for (text, learns) in
        [(BRAIN.to_owned(), true), (BRAIN.replace("optimizer: Adam(learning_rate: 0.01),", ""), false)]
    {
        let model = parse(&text).describe(ModelBuilder::new(entity).input_width(4));
        assert_eq!(model.dry_run().unwrap().training.is_some(), learns);
    }
}

#[test]
fn damaged_brains_never_panic() {
    for end in 0..BRAIN.len() {
        let _ = BrainFile::parse(&BRAIN.as_bytes()[..end], "x.brain.ron");
        for replacement in [b'(', b']', b',', b'-', b'9', b'"', 0xff] {
            let mut damaged = BRAIN.as_bytes().to_vec();
            damaged[end] = replacement;
            if let Err(error) = BrainFile::parse(&damaged, "x.brain.ron") {
                assert!(!error.message.is_empty() && !error.help.is_empty(), "{error}");
            }
        }
    }
}
