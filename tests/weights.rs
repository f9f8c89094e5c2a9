//! Weights that PyTorch Geometric has trained are read as they are, and what is written it can read.
//!
//! The fixtures hold the state of layers of PyTorch Geometric under its own names, with inputs and outputs. Each is written
//! into a safetensors file as the module `conv1` of a model, read into a model here, and must give the same outputs.

use crate::{
    common::{Scene, relative_error},
    reference::case::Case,
};
use connectome::{
    Rename, load_weights,
    output::{Tensor, write_weights},
    weights,
};
use connectome_systems::{
    Infer, MixtureBuilder, ModelBuilder, WorldModelExt,
    layers::{GatConv, GcnConv, Layer, Linear, SageConv},
    run,
};
use ndarray::Array2;
use std::{collections::BTreeMap, path::Path};

fn open(name: &str) -> Case {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reference"));
    Case::open(&folder.join(format!("{name}.npz"))).unwrap()
}

/// The state of the case's layer as the module `conv1`, with what a whole state has beside.
fn state(case: &Case) -> Vec<Tensor> {
    let tensor = |name: &str| {
        let array = case.floats(&format!("param.{name}")).unwrap();
        let values = array.iter().map(|number| *number as f32).collect();
        Tensor { name: format!("conv1.{name}"), shape: array.shape().to_vec(), values }
    };
    let others = Tensor { name: "head.weight".to_owned(), shape: vec![2, 1], values: vec![1.0, 2.0] };
    case.parameters().map(tensor).chain([others]).collect()
}

fn check(name: &str, layer: impl Layer + 'static) {
    let (case, folder) = (open(name), tempfile::tempdir().unwrap());
    let (x, out) = (case.matrix("x").unwrap(), case.matrix("out").unwrap());
    let file = folder.path().join("state.safetensors");
    write_weights(&file, &state(&case), BTreeMap::new()).unwrap();

    let mut scene = Scene::new(x.nrows(), &case.links(x.nrows()).unwrap());
    let input = scene.field("input", &x).unwrap();
    let model = ModelBuilder::new(scene.graph).input(input).layer(layer).build(&mut scene.world).unwrap();
    let missing = load_weights(&mut scene.world, model, &file, &[]).unwrap_err().to_string();
    assert!(missing.contains("layers.0.") && missing.contains("rename"), "{missing}");
    let [rename, without]: [Rename; 2] = ["conv1=layers.0", "head="].map(|rename| rename.parse().unwrap());
    // What the model has no place for is not left out in silence.
    let before = weights(&scene.world, model);
    let unread = load_weights(&mut scene.world, model, &file, std::slice::from_ref(&rename)).unwrap_err().to_string();
    assert!(unread.contains("does not read: `head.weight`;") && unread.contains("leave them out"), "{unread}");
    assert_eq!(weights(&scene.world, model), before);
    load_weights(&mut scene.world, model, &file, &[rename, without]).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let error = relative_error(&scene.output(model).unwrap(), &out, f64::MIN_POSITIVE);
    assert!(error < 1e-5, "{name}: {error:e}");

    // What is written has the names and shapes that were read.
    for tensor in weights(&scene.world, model) {
        let name = tensor.name.strip_prefix("layers.0.").unwrap();
        let expected = case.floats(&format!("param.{name}")).unwrap();
        assert_eq!(tensor.shape, expected.shape(), "{name}");
        let equal = tensor.values.iter().zip(&expected).all(|(found, expected)| *found == *expected as f32);
        assert!(equal, "{name}");
    }
}

/// A file of two layers whose names meet in one is a file of another model.
#[test]
fn a_parameter_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.safetensors");
    let tensor = |name: &str| Tensor { name: name.to_owned(), shape: vec![1], values: vec![1.0] };
    let weight = Tensor { shape: vec![1, 1], ..tensor("layers.0.weight") };
    write_weights(&file, &[weight, tensor("layers.0.bias"), tensor("other.bias")], BTreeMap::new()).unwrap();
    let mut scene = Scene::new(1, &[]);
    let input = scene.field("input", &ndarray::Array2::zeros((1, 1))).unwrap();
    let model = ModelBuilder::new(scene.graph).input(input).layer(Linear::new(1)).build(&mut scene.world).unwrap();
    let rename: Rename = "other=layers.0".parse().unwrap();
    let error = load_weights(&mut scene.world, model, &file, &[rename]).unwrap_err().to_string();
    assert!(error.contains("does not read: `layers.0.bias`;"), "{error}");
    load_weights(&mut scene.world, model, &file, &["other=".parse().unwrap()]).unwrap();
}

#[test]
fn a_model_of_pytorch_geometric_gives_its_outputs() {
    check("gcn_conv", GcnConv::new(4));
    check("gat_conv_concat", GatConv { heads: 3, ..GatConv::new(4) });
    check("sage_conv_mean", SageConv::new(4));
}

#[test]
fn the_weights_of_a_mixture_are_those_of_gate_and_experts() {
    let spawn = |seed: u64| {
        let mut scene = Scene::new(5, &[]);
        let input = scene.field("input", &Array2::from_elem((5, 3), 0.5)).unwrap();
        let model = || ModelBuilder::new(scene.graph).seed(seed);
        let mixture = MixtureBuilder::new(model().input(input), model().layer(Linear::new(2)));
        let mixture = (0..2).fold(mixture, |mixture, _| mixture.expert(model().input(input).layer(Linear::new(4))));
        let mixture = scene.world.spawn_mixture(mixture).unwrap();
        (scene, mixture)
    };
    let ((one, from), (mut other, to)) = (spawn(1), spawn(2));
    let saved = weights(&one.world, from);
    let names: Vec<&str> = saved.iter().map(|tensor| tensor.name.as_str()).collect();
    let expected = ["", "gate.", "experts.0.", "experts.1."]
        .map(|part| ["weight", "bias"].map(|name| format!("{part}layers.0.{name}")));
    assert_eq!(names, expected.concat());
    assert_ne!(weights(&other.world, to), saved);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixture.safetensors");
    write_weights(&file, &saved, BTreeMap::new()).unwrap();
    load_weights(&mut other.world, to, &file, &[]).unwrap();
    assert_eq!(weights(&other.world, to), saved);
}
