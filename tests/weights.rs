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
    Infer, ModelBuilder,
    layers::{GatConv, GcnConv, Layer, SageConv},
    run,
};
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
    let rename: Rename = "conv1=layers.0".parse().unwrap();
    load_weights(&mut scene.world, model, &file, &[rename]).unwrap();
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

#[test]
fn a_model_of_pytorch_geometric_gives_its_outputs() {
    check("gcn_conv", GcnConv::new(4));
    check("gat_conv_concat", GatConv { heads: 3, ..GatConv::new(4) });
    check("sage_conv_mean", SageConv::new(4));
}
