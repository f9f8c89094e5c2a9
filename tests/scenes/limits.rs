//! Models without an end are refused where they are written, before anything is built.

use std::time::Instant;

use super::errors;

/// Replaces a layer of the couple by another one, whose setting `§` is refused.
#[track_caller]
fn check(layers: &str, message: &str, help: &str) {
    errors::check("GcnConv(width: 4)", layers, message, help);
}

/// Layers within layers, so deep.
fn nested(depth: usize, layer: &str) -> String {
    (0..depth).fold(layer.to_owned(), |layers, _| format!("Residual(layers: [{layers}])"))
}

/// A list of `count` equal things.
fn list(thing: &str, count: usize) -> String {
    vec![thing; count].join(", ")
}

#[test]
fn models_without_an_end_are_refused_soon() {
    let start = Instant::now();
    check("Appnp(hops: §1000000000)", "layer 1 (Appnp) the model has more than 131072 operations", "fewer");
    check("Appnp(hops: §4000000000, dropout: 0.5)", "layer 1 (Appnp)", "fewer");
    check("SgConv(width: 4, hops: §1000000000)", "layer 1 (SgConv)", "fewer");
    check("Gcnii(layers: §100000000)", "layer 1 (Gcnii) the model has more than 4096 parameters and buffers", "fewer");
    check("GatedGraphConv(width: 4, layers: §100000000)", "layer 1 (GatedGraphConv)", "fewer");
    check(&format!("§Mlp(widths: [{}])", list("2", 100_000)), "layer 1 (Mlp) the model has more than 4096 pa", "fewer");
    // The 456th of many layers of nine parameters and buffers each.
    let block = "GinConv(nn: (widths: [2, 2], batch_norm: true))";
    check(&format!("{}, §{}", list(block, 455), list(block, 5_000)), "(GinConv) the model has more than", "fewer");
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.2} s");
    // A quarter of a second each on a machine of its own; before there was a bound it did not end.
    assert!(seconds < 20.0, "{seconds} s");
}

#[test]
fn counts_and_widths_multiply_only_up_to_the_memory() {
    check("GatConv(width: §1000000, heads: 1000000)", "layer 1 (GatConv) the model needs 4000000 MB", "narrower");
    check("GatConv(width: §1000000000000, heads: 1000000)", "layer 1 (GatConv) the model needs", "narrower");
    let settings = "width: §9000000000000000000, layers: 9000000000000000000";
    check(&format!("GatedGraphConv({settings})"), "more than can be counted", "narrower");
    check("GatedGraphConv(width: §9000000000000000000, layers: 1)", "more than can be counted", "narrower");
    // Empty blocks copy their input: 10,000 to the power of 9.
    let copies = format!("JumpingKnowledge(blocks: [{}])", list("[]", 10_000));
    let layers = format!("{}, §{}", list(&copies, 2), list(&copies, 7));
    check(&layers, "layer 3 (JumpingKnowledge) the model needs 4000000 MB", "narrower");
}

#[test]
fn a_layer_within_layers_is_refused_where_it_is_written() {
    check(&nested(3, "Appnp(hops: §1000000000)"), "layer 1.layers.0.layers.0.layers.0 (Appnp) the model", "fewer");
    check(&nested(20, "Relu, Gcnii(layers: §1000000000)"), ".layers.1 (Gcnii) the model has more than", "fewer");
    check(
        &nested(2, "Linear(width: §1000000000000)"),
        "layer 1.layers.0.layers.0 (Linear) the model needs",
        "narrower",
    );
    let jumping = "JumpingKnowledge(blocks: [[Relu], [Relu, Residual(layers: [Appnp(hops: §1000000000)])]])";
    check(jumping, "layer 1.blocks.1.1.layers.0 (Appnp)", "fewer");
    // What a layer says of itself, too.
    check(&nested(2, "§Gcnii(layers: 0)"), "Gcnii has no convolutions", "at least one");
    let heads = "heads: [
        (name: \"one\", task: NodeClassification, layers: [Relu]),
        (name: \"two\", task: NodeClassification, layers: [Residual(layers: [Appnp(hops: §1000000000)])]),
    ]";
    errors::check("task: NodeClassification", heads, "layer 5.layers.0 (Appnp)", "fewer");
}

#[test]
fn heads_are_counted() {
    let head = |number: usize| format!("(name: \"h{number}\", task: NodeClassification)");
    let list = |heads: std::ops::Range<usize>| heads.map(head).collect::<Vec<String>>().join(", ");
    let heads = format!("heads: [{}, §{}]", list(0..256), list(256..300));
    errors::check("task: NodeClassification", &heads, "300 heads, and at most 256", "remove heads");
}
