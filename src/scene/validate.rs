//! Whether what a scene says makes sense.

use connectome_components::{LearningRateSchedule, Optimizer, Split};

use super::data::GraphData;
use super::description::{Scene, Task};
use super::error::Fault;
use super::layer::{LayerDescription, output_width};
use super::locate::Step::{self, Field, Index};

/// Checks all that needs no graph.
pub(super) fn check_parameters(scene: &Scene) -> Result<(), Fault> {
    check_model(&scene.model)?;
    check_optimizer(&scene.optimizer)?;
    check_schedule(&scene.training.schedule)
}

/// Checks the scene against its graph.
pub(super) fn check_graph(scene: &Scene, data: &GraphData) -> Result<(), Fault> {
    check_splits(scene, data)?;
    check_features(data)?;
    match scene.task {
        Task::NodeClassification => check_output(&scene.model, data),
    }
}

fn check_model(model: &[LayerDescription]) -> Result<(), Fault> {
    if model.is_empty() {
        let help = "write at least one layer, such as GraphConv(width: 7)";
        return Err(Fault::new([Field("model")], "the model has no layers", help));
    }
    model.iter().enumerate().try_for_each(|(number, layer)| check_layer(number, layer))
}

fn check_layer(number: usize, layer: &LayerDescription) -> Result<(), Fault> {
    let content = [Field("model"), Index(number), Index(0)];
    match *layer {
        LayerDescription::Dropout(probability) => {
            check(probability, Range::Share, "the dropout probability", &content)?
        }
        LayerDescription::LeakyRelu(slope) => check(slope, Range::Finite, "the slope", &content)?,
        LayerDescription::Elu(alpha) => check(alpha, Range::Finite, "alpha", &content)?,
        _ => {}
    }
    if layer.width() == Some(0) {
        let message = format!("{} has width 0", layer.name());
        return Err(Fault::new(layer_field(number, "width"), message, "a layer is at least 1 wide"));
    }
    let decay = layer.weight_decay().unwrap_or_default();
    check(decay, Range::NotNegative, "the weight decay", &layer_field(number, "weight_decay"))
}

fn layer_field(number: usize, name: &'static str) -> [Step<'static>; 3] {
    [Field("model"), Index(number), Field(name)]
}

fn check_optimizer(optimizer: &Optimizer) -> Result<(), Fault> {
    let of = |name| [Field("optimizer"), Field(name)];
    check(optimizer.learning_rate(), Range::NotNegative, "the learning rate", &of("learning_rate"))?;
    check(optimizer.weight_decay(), Range::NotNegative, "the weight decay", &of("weight_decay"))?;
    match *optimizer {
        Optimizer::Sgd { momentum, .. } => check(momentum, Range::NotNegative, "the momentum", &of("momentum")),
        Optimizer::Adam { betas, epsilon, .. } | Optimizer::AdamW { betas, epsilon, .. } => {
            let [name, field] = of("betas");
            check(betas.0, Range::Share, "the first beta", &[name, field, Index(0)])?;
            check(betas.1, Range::Share, "the second beta", &[name, field, Index(1)])?;
            check(epsilon, Range::NotNegative, "epsilon", &of("epsilon"))
        }
        Optimizer::RmsProp { smoothing, epsilon, .. } => {
            check(smoothing, Range::Share, "the smoothing", &of("smoothing"))?;
            check(epsilon, Range::NotNegative, "epsilon", &of("epsilon"))
        }
    }
}

fn check_schedule(schedule: &LearningRateSchedule) -> Result<(), Fault> {
    let of = |name| [Field("training"), Field("schedule"), Field(name)];
    match *schedule {
        LearningRateSchedule::Constant => Ok(()),
        LearningRateSchedule::Step { factor, .. } => check(factor, Range::NotNegative, "the factor", &of("factor")),
        LearningRateSchedule::Cosine { minimum, .. } => {
            check(minimum, Range::NotNegative, "the minimum", &of("minimum"))
        }
    }
}

/// Which numbers a setting may take.
#[derive(Clone, Copy)]
enum Range {
    Finite,
    NotNegative,
    /// From 0 to below 1.
    Share,
}

impl Range {
    fn contains(self, value: f32) -> bool {
        match self {
            Self::Finite => value.is_finite(),
            Self::NotNegative => value.is_finite() && value >= 0.0,
            Self::Share => (0.0..1.0).contains(&value),
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Finite => "write a finite number",
            Self::NotNegative => "write a finite number that is not negative",
            Self::Share => "write a number from 0 to below 1",
        }
    }
}

fn check(value: f32, range: Range, what: &str, path: &[Step<'static>]) -> Result<(), Fault> {
    if range.contains(value) {
        return Ok(());
    }
    Err(Fault::new(path, format!("{what} is {value}"), range.help()))
}

fn check_splits(scene: &Scene, data: &GraphData) -> Result<(), Fault> {
    if data.count(Split::Train) == 0 {
        let message = "no node is in the split Train, so nothing can be learned";
        return Err(Fault::new([Field("graph")], message, "put at least one node into Train"));
    }
    if scene.training.patience == Some(0) {
        let help = "write how many epochs may pass without a better validation loss, or remove patience";
        return Err(Fault::new([Field("training"), Field("patience")], "a patience of 0 ends before it begins", help));
    }
    if scene.training.patience.is_some() && data.count(Split::Validation) == 0 {
        let message = "patience watches the validation loss, but no node is in the split Validation";
        let help = "put nodes into Validation, or remove patience";
        return Err(Fault::new([Field("training"), Field("patience")], message, help));
    }
    Ok(())
}

fn check_features(data: &GraphData) -> Result<(), Fault> {
    if data.features.width() == 0 {
        let message = "the nodes have no features";
        let help = "give each node features, or write `features: Identity`";
        return Err(Fault::new([Field("features")], message, help));
    }
    Ok(())
}

fn check_output(model: &[LayerDescription], data: &GraphData) -> Result<(), Fault> {
    let (width, classes) = (output_width(model, data.features.width()), data.classes);
    if width == classes {
        return Ok(());
    }
    let message = format!("the model's output is {width} wide, but the nodes have {classes} classes");
    match model.iter().rposition(|layer| layer.width().is_some()) {
        Some(number) => {
            let help = format!("NodeClassification needs one output for each class: write width: {classes}");
            Err(Fault::new(layer_field(number, "width"), message, help))
        }
        None => {
            let help = format!("end the model with a layer that has width: {classes}");
            Err(Fault::new([Field("model")], message, help))
        }
    }
}
