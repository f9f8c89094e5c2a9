//! What layers, settings and variants are called here that have other names elsewhere, or had.

use crate::suggest::nearest;

/// Layers of PyTorch and PyTorch Geometric that have another name here, not only in other letters.
const ELSEWHERE: [(&str, &str); 6] = [
    ("GCN2Conv", "Gcnii"),
    ("BatchNorm1d", "BatchNorm"),
    ("global_add_pool", "Readout(Sum)"),
    ("global_mean_pool", "Readout(Mean)"),
    ("global_max_pool", "Readout(Max)"),
    ("GlobalAttention", "AttentionalAggregation"),
];

/// Layers, settings and variants that had another name in earlier scenes, with the present one and how to write it.
const RENAMED: [(&str, &str, &str); 20] = [
    ("MessagePassing", "MeanConv", ""),
    ("InteractionBlock", "GraphNetBlock", ""),
    ("ResGatedConv", "ResGatedGraphConv", ""),
    ("AttentionPooling", "AttentionalAggregation", ""),
    ("mean", "concat", ", its opposite: write `concat: false` for `mean: true`"),
    ("edges", "edge_features", ""),
    ("map_edges", "edge_features", ""),
    ("self_loops", "add_self_loops", ""),
    ("eps", "epsilon", ""),
    ("train_eps", "train_epsilon", ""),
    ("L1", "MeanAbsoluteError", ""),
    ("AsGiven", "Given", ""),
    ("batch", "batch_size", ""),
    ("neighbours", "fan_outs", ""),
    ("steps", "steps_per_epoch", ""),
    ("steps", "epochs", ", for schedules count epochs: divide by the batches in an epoch"),
    ("accumulate", "accumulation_steps", ""),
    ("selection", "keep", ""),
    ("smoothing", "decay", ""),
    ("minimum", "final_factor", ""),
];

/// What to write in place of a name that is not among those that are expected, of which there are several `what`.
pub(super) fn choice(found: &str, expected: &[&'static str], what: &str) -> String {
    let renamed = RENAMED.iter().find(|(old, new, _)| *old == found && expected.contains(new));
    if let Some((old, new, help)) = renamed {
        return format!("{old} is now called {new}{help}");
    }
    let elsewhere = ELSEWHERE.iter().find(|(name, here)| {
        *name == found && expected.iter().any(|expected| here.split('(').next() == Some(expected))
    });
    if let Some((name, here)) = elsewhere {
        return format!("{name} is called {here} here");
    }
    let all = match expected {
        [] => format!("there are no {what}"),
        names => format!("the {what} are {}", names.join(", ")),
    };
    match nearest(found, expected.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"? {all}"),
        None => all,
    }
}
