//! Whether what a scene says makes sense by itself.

use connectome_components::{GateLosses, Optimizer};
use connectome_systems::{
    layers::{BatchNorm, Dropout, GraphNorm, LayerNorm},
    program::MAX_HEADS,
};
use std::collections::HashSet;

use super::kinds::check_kinds;
use crate::scene::description::{SceneFile, Training};
use crate::scene::error::Fault;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::{self, Field, Index, Ranked};
use crate::scene::mixture::{Gate, MAX_EXPERTS, MixtureDescription};
use crate::scene::schedule::EpochSchedule;
use crate::suggest::quote;

/// Checks all that needs no graph; returns everything that is wrong.
pub(in crate::scene) fn check_parameters(scene: &SceneFile) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_model(scene, &mut faults);
    check_optimizer(&scene.optimizer, &mut faults);
    check_heads(scene, &mut faults);
    check_training(&scene.training, &mut faults);
    check_schedule(&scene.training.schedule, &mut faults);
    faults
}

/// As [`check_parameters`], with the kinds of nodes, which models that are built in a world get there.
pub(in crate::scene) fn check_scene(scene: &SceneFile) -> Vec<Fault> {
    let mut faults = check_parameters(scene);
    check_kinds(scene, &mut faults);
    faults
}

fn check_model(scene: &SceneFile, faults: &mut Vec<Fault>) {
    if scene.mixture.is_none()
        && scene.model.is_empty()
        && scene.all_heads().iter().any(|head| head.layers(scene).0.is_empty())
    {
        let help = "write at least one layer, such as GcnConv(width: 7)";
        faults.push(Fault::new([Field("model")], "the model has no layers", help));
    }
    check_layers(&scene.model, &[Field("model")], faults);
    scene.mixture.iter().for_each(|mixture| check_mixture(mixture, scene, faults));
    for (number, head) in scene.heads.iter().enumerate() {
        check_layers(&head.layers, &[Field("heads"), Index(number), Field("layers")], faults);
    }
}

fn check_mixture(mixture: &MixtureDescription, scene: &SceneFile, faults: &mut Vec<Fault>) {
    let of = |name| [Field("mixture"), Field(name)];
    let count = mixture.expert_count();
    if count == 0 {
        let help = "write at least one, such as (layers: [GcnConv(width: 16)])";
        faults.push(Fault::new(of("experts"), "the mixture has no experts", help));
    } else if count > MAX_EXPERTS {
        let message = format!("the mixture has {count} experts, and at most {MAX_EXPERTS} are possible");
        faults.push(Fault::new(of("experts"), message, "write fewer"));
    }
    for (number, expert) in mixture.experts.iter().enumerate() {
        let path = [&of("experts")[..], &[Index(number)]].concat();
        if expert.layers.is_empty() {
            let help = "write at least one layer, such as GcnConv(width: 16)";
            faults.push(Fault::new([&path[..], &[Field("layers")]].concat(), "the expert has no layers", help));
        }
        check_layers(&expert.layers, &[&path[..], &[Field("layers")]].concat(), faults);
    }
    check_layers(&mixture.gate_layers, &of("gate_layers"), faults);
    match mixture.gate {
        Gate::TopK(top_k) if count > 0 && !(1..=count).contains(&top_k) => {
            let message = format!("each row is computed by {top_k} of {count} experts");
            let path = [&of("gate")[..], &[Index(0)]].concat();
            faults.push(Fault::new(path, message, format!("write from 1 to {count}")));
        }
        Gate::Softmax | Gate::TopK(_) => {}
    }
    check(mixture.noise, Range::NotNegative, "the noise", &of("noise"), faults);
    check_competition(mixture, scene, faults);
    let GateLosses { balance, importance, z } = mixture.losses;
    for (name, weight) in [("balance", balance), ("importance", importance), ("z", z)] {
        let path = [&of("losses")[..], &[Field(name)]].concat();
        check(weight, Range::NotNegative, "the weight of the loss", &path, faults);
    }
    if scene.training.accumulation_steps > 1 {
        let message = "the gradients of experts, which have rows in some batches only, are not summed up over batches";
        let path = [Field("training"), Field("accumulation_steps")];
        faults.push(Fault::new(path, message, "remove accumulation_steps, or raise batch_size"));
    }
}

/// Checks that experts can compete: each predicts by itself what the only head is about.
fn check_competition(mixture: &MixtureDescription, scene: &SceneFile, faults: &mut Vec<Fault>) {
    let Some(sharpness) = mixture.competition else { return };
    let path = [Field("mixture"), Field("competition")];
    if !(sharpness.is_finite() && sharpness > 0.0) {
        let help = "write a finite number above 0, such as 1, or remove competition";
        faults.push(Fault::new(path, format!("experts compete with a sharpness of {sharpness}"), help));
    }
    let heads = scene.all_heads();
    let layers = || scene.heads.iter().any(|head| !head.layers.is_empty()) || !scene.model.is_empty();
    let links = || heads.iter().any(|head| head.task.links().is_some());
    if heads.len() > 1 || layers() || links() || heads.iter().any(|head| !head.class_weights().is_empty()) {
        let message = "experts compete by what each of them predicts alone, without layers of the model or of a head, class weights, \
                       links or several heads";
        let help = "write `model: []` and one task without class_weights, with all layers in the experts, or remove competition";
        faults.push(Fault::new(path, message, help));
    }
}

/// Checks layers and those in them; nothing nests deeper than brackets may.
fn check_layers(layers: &[LayerDescription], path: &[Step<'static>], faults: &mut Vec<Fault>) {
    for (number, layer) in layers.iter().enumerate() {
        check_layer(layer, &[path, &[Index(number)]].concat(), faults);
    }
}

/// Checks the layer at a path and those in it.
fn check_layer(layer: &LayerDescription, path: &[Step<'static>], faults: &mut Vec<Fault>) {
    let of = |step| [path, &[step]].concat();
    match layer {
        LayerDescription::Dropout(Dropout(probability)) => {
            check(*probability, Range::Fraction, "the dropout probability", &of(Index(0)), faults);
        }
        LayerDescription::LeakyRelu(slope) => check(*slope, Range::Finite, "the slope", &of(Index(0)), faults),
        LayerDescription::Elu(alpha) => check(*alpha, Range::Finite, "alpha", &of(Index(0)), faults),
        LayerDescription::BatchNorm(BatchNorm { epsilon, .. })
        | LayerDescription::LayerNorm(LayerNorm { epsilon, .. })
        | LayerDescription::GraphNorm(GraphNorm { epsilon, .. }) => {
            check(*epsilon, Range::Positive, "epsilon", &of(Field("epsilon")), faults);
        }
        LayerDescription::Residual(residual) => check_layers(&residual.layers, &of(Field("layers")), faults),
        LayerDescription::HeteroConv(convolution) => {
            let all = convolution.convolution.as_deref().map(|layer| (layer, vec![Field("convolution")]));
            let of_relations = convolution.relations.values().enumerate();
            let named = of_relations.map(|(rank, layer)| (layer, vec![Field("relations"), Ranked(rank)]));
            for (layer, way) in all.into_iter().chain(named) {
                check_layer(layer, &[path, &way].concat(), faults);
            }
        }
        LayerDescription::JumpingKnowledge(jumping) => {
            for (block, layers) in jumping.blocks.iter().enumerate() {
                check_layers(layers, &[&of(Field("blocks"))[..], &[Index(block)]].concat(), faults);
            }
        }
        _ => {}
    }
}

/// Where a setting of a layer stands, of those at a path.
pub(in crate::scene) fn layer_field(path: Vec<Step<'static>>, number: usize, name: &'static str) -> Vec<Step<'static>> {
    [&path[..], &[Index(number), Field(name)]].concat()
}

fn check_optimizer(optimizer: &Optimizer, faults: &mut Vec<Fault>) {
    let of = |name| [Field("optimizer"), Field(name)];
    check(optimizer.learning_rate(), Range::NotNegative, "the learning rate", &of("learning_rate"), faults);
    check(optimizer.weight_decay(), Range::NotNegative, "the weight decay", &of("weight_decay"), faults);
    match *optimizer {
        Optimizer::Sgd { momentum, .. } => check(momentum, Range::NotNegative, "the momentum", &of("momentum"), faults),
        Optimizer::Adam { betas, epsilon, .. } | Optimizer::AdamW { betas, epsilon, .. } => {
            let [name, field] = of("betas");
            check(betas.0, Range::Fraction, "the first beta", &[name, field, Index(0)], faults);
            check(betas.1, Range::Fraction, "the second beta", &[name, field, Index(1)], faults);
            check(epsilon, Range::Positive, "epsilon", &of("epsilon"), faults);
        }
        Optimizer::RmsProp { decay, epsilon, .. } => {
            check(decay, Range::Fraction, "the decay", &of("decay"), faults);
            check(epsilon, Range::Positive, "epsilon", &of("epsilon"), faults);
        }
    }
}

fn check_heads(scene: &SceneFile, faults: &mut Vec<Fault>) {
    if scene.task.is_some() && !scene.heads.is_empty() {
        let message = "the model has heads, and a task of its own beside them";
        faults.push(Fault::new([Field("task")], message, "remove the task, or make it one of the heads"));
    }
    if scene.heads.len() > MAX_HEADS {
        let message = format!("the model has {} heads, and at most {MAX_HEADS} are possible", scene.heads.len());
        return faults.push(Fault::new(
            [Field("heads"), Index(MAX_HEADS)],
            message,
            "remove heads, or make several scenes",
        ));
    }
    let mut names = HashSet::new();
    let mut predicts_links = false;
    for head in scene.all_heads() {
        let of = |name| head.field(name);
        let settings = head.task.kind().check_settings();
        faults.extend(
            settings
                .err()
                .map(|(setting, problem)| Fault::new(head.task_field(setting), problem.message, problem.help)),
        );
        if head.name.is_empty() || head.name.contains(['.', '/']) {
            let message = format!("{} is no name for a head: files and parameters are named by it", quote(head.name));
            faults.push(Fault::new(of("name"), message, "write a name without dots and slashes"));
        }
        if !names.insert(head.name) {
            let message = format!("two heads have the name {}", quote(head.name));
            faults.push(Fault::new(of("name"), message, "give each head a name of its own"));
        }
        if head.task.links().is_some() && std::mem::replace(&mut predicts_links, true) {
            let message = "two heads predict links, but the edges can be hidden only once";
            faults.push(Fault::new(of("task"), message, "keep one of them"));
        }
        check(head.weight(), Range::NotNegative, "the weight of the head", &of("weight"), faults);
        for (class, weight) in head.class_weights().iter().enumerate() {
            let path = [&of("class_weights")[..], &[Index(class)]].concat();
            check(*weight, Range::NotNegative, "the weight of the class", &path, faults);
        }
        if !head.class_weights().is_empty() && head.class_weights().iter().all(|weight| *weight == 0.0) {
            let message = "all class weights are 0, so the loss is 0 divided by 0";
            faults.push(Fault::new(of("class_weights"), message, "give one class at least a weight above 0"));
        }
    }
}

fn check_training(training: &Training, faults: &mut Vec<Fault>) {
    let of = |name| [Field("training"), Field(name)];
    if training.patience == Some(0) {
        let help = "write how many epochs may pass without an improvement in validation, or remove patience";
        faults.push(Fault::new(of("patience"), "a patience of 0 stops before the first epoch", help));
    }
    if training.batch_size == Some(0) {
        let help = "write at least 1, or remove batch_size";
        faults.push(Fault::new(of("batch_size"), "a batch of 0 graphs trains nothing", help));
    }
    if training.steps_per_epoch == Some(0) {
        let help = "write at least 1, or remove steps_per_epoch";
        faults.push(Fault::new(of("steps_per_epoch"), "an epoch of 0 batches trains nothing", help));
    }
    if let Some(place) = training.fan_outs.iter().position(|count| *count == 0) {
        let path = [Field("training"), Field("fan_outs"), Index(place)];
        faults.push(Fault::new(path, "without neighbors nothing is passed on", "write at least 1"));
    }
    if training.accumulation_steps == 0 {
        let help = "write after how many batches a step is made, or remove accumulation_steps";
        faults.push(Fault::new(of("accumulation_steps"), "after 0 batches there is nothing to follow", help));
    }
    if let Some(norm) = training.clip_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
        let help = "write a finite number above 0, or remove clip_norm";
        faults.push(Fault::new(of("clip_norm"), format!("the norm to clip to is {norm}"), help));
    }
    if let Some(averaging) = training.averaging.filter(|averaging| !(0.0..1.0).contains(averaging)) {
        let help = "write a number from 0 to below 1, such as 0.999, or remove averaging";
        faults.push(Fault::new(of("averaging"), format!("averages keep {averaging} of themselves at a step"), help));
    }
}

fn check_schedule(schedule: &EpochSchedule, faults: &mut Vec<Fault>) {
    let of = |name| [Field("training"), Field("schedule"), Field(name)];
    match *schedule {
        EpochSchedule::Constant => {}
        EpochSchedule::Step { factor, .. } => check(factor, Range::NotNegative, "the factor", &of("factor"), faults),
        EpochSchedule::Cosine { final_factor, .. } => {
            check(final_factor, Range::NotNegative, "the final factor", &of("final_factor"), faults);
        }
    }
}

/// Which numbers a setting may take.
#[derive(Clone, Copy)]
enum Range {
    Finite,
    NotNegative,
    /// What is divided by, and may have 0 added to it.
    Positive,
    /// From 0 to below 1.
    Fraction,
}

impl Range {
    fn contains(self, value: f32) -> bool {
        match self {
            Self::Finite => value.is_finite(),
            Self::NotNegative => value.is_finite() && value >= 0.0,
            Self::Positive => value.is_finite() && value > 0.0,
            Self::Fraction => (0.0..1.0).contains(&value),
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Finite => "write a finite number",
            Self::NotNegative => "write a finite number that is not negative",
            Self::Positive => "write a small number above 0, such as 1e-5, so that 0 is never divided by 0",
            Self::Fraction => "write a number from 0 to below 1",
        }
    }
}

fn check(value: f32, range: Range, what: &str, path: &[Step<'static>], faults: &mut Vec<Fault>) {
    if !range.contains(value) {
        faults.push(Fault::new(path, format!("{what} is {value}"), range.help()));
    }
}
