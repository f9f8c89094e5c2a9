//! Whether what a scene says makes sense by itself.

use connectome_components::{Loss, Optimizer};
use connectome_systems::layers::Dropout;

use crate::scene::description::{SceneFile, Task, Training};
use crate::scene::error::Fault;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::{self, Field, Index};
use crate::scene::schedule::EpochSchedule;

/// Checks all that needs no graph.
pub(in crate::scene) fn check_parameters(scene: &SceneFile) -> Result<(), Fault> {
    check_model(&scene.model)?;
    check_optimizer(&scene.optimizer)?;
    check_task(scene.task)?;
    check_training(&scene.training)?;
    check_schedule(&scene.training.schedule)
}

fn check_model(model: &[LayerDescription]) -> Result<(), Fault> {
    if model.is_empty() {
        let help = "write at least one layer, such as GcnConv(width: 7)";
        return Err(Fault::new([Field("model")], "the model has no layers", help));
    }
    model.iter().enumerate().try_for_each(|(number, layer)| check_layer(number, layer))
}

fn check_layer(number: usize, layer: &LayerDescription) -> Result<(), Fault> {
    let content = [Field("model"), Index(number), Index(0)];
    match *layer {
        LayerDescription::Dropout(Dropout(probability)) => {
            check(probability, Range::Share, "the dropout probability", &content)?
        }
        LayerDescription::LeakyRelu(slope) => check(slope, Range::Finite, "the slope", &content)?,
        LayerDescription::Elu(alpha) => check(alpha, Range::Finite, "alpha", &content)?,
        _ => {}
    }
    Ok(())
}

/// Where a setting of a layer stands.
pub(in crate::scene) fn layer_field(number: usize, name: &'static str) -> [Step<'static>; 3] {
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
        Optimizer::RmsProp { decay, epsilon, .. } => {
            check(decay, Range::Share, "the decay", &of("decay"))?;
            check(epsilon, Range::NotNegative, "epsilon", &of("epsilon"))
        }
    }
}

fn check_task(task: Task) -> Result<(), Fault> {
    let (validation, test) = match task {
        Task::NodeClassification | Task::GraphClassification => return Ok(()),
        Task::NodeRegression { loss } => return check_regression(loss),
        Task::LinkPrediction { validation, test } => (validation, test),
    };
    check(validation, Range::Share, "the share for validation", &[Field("task"), Field("validation")])?;
    check(test, Range::Share, "the share for test", &[Field("task"), Field("test")])?;
    if validation + test < 1.0 {
        return Ok(());
    }
    let message = format!("validation and test take {} of the edges, so that none is left", validation + test);
    Err(Fault::new([Field("task"), Field("test")], message, "write shares that are together below 1"))
}

fn check_regression(loss: Loss) -> Result<(), Fault> {
    let place = [Field("task"), Field("loss")];
    match loss {
        Loss::MeanSquaredError | Loss::MeanAbsoluteError => Ok(()),
        Loss::Huber { delta } if delta.is_finite() && delta > 0.0 => Ok(()),
        Loss::Huber { delta } => {
            let path = [&place[..], &[Field("delta")]].concat();
            Err(Fault::new(path, format!("delta is {delta}"), "write a finite number above 0"))
        }
        Loss::CrossEntropy | Loss::BinaryCrossEntropy => {
            let message = format!("{loss:?} tells classes apart, but the targets are numbers");
            Err(Fault::new(place, message, "write MeanSquaredError, MeanAbsoluteError or Huber(delta: 1.0)"))
        }
    }
}

fn check_training(training: &Training) -> Result<(), Fault> {
    let of = |name| [Field("training"), Field(name)];
    if training.patience == Some(0) {
        let help = "write how many epochs may pass without a better validation loss, or remove patience";
        return Err(Fault::new(of("patience"), "a patience of 0 stops before the first epoch", help));
    }
    if training.batch_size == Some(0) {
        return Err(Fault::new(
            of("batch_size"),
            "a batch of 0 graphs trains nothing",
            "write at least 1, or remove batch_size",
        ));
    }
    if training.steps_per_epoch == Some(0) {
        let help = "write at least 1, or remove steps_per_epoch";
        return Err(Fault::new(of("steps_per_epoch"), "an epoch of 0 batches trains nothing", help));
    }
    if let Some(place) = training.fan_outs.iter().position(|count| *count == 0) {
        let path = [Field("training"), Field("fan_outs"), Index(place)];
        return Err(Fault::new(path, "without neighbors nothing is passed on", "write at least 1"));
    }
    if training.accumulation_steps == 0 {
        let help = "write after how many batches a step is made, or remove accumulation_steps";
        return Err(Fault::new(of("accumulation_steps"), "after 0 batches there is nothing to follow", help));
    }
    match training.clip_norm {
        Some(norm) if !(norm.is_finite() && norm > 0.0) => {
            let help = "write a finite number above 0, or remove clip_norm";
            Err(Fault::new(of("clip_norm"), format!("the norm to clip to is {norm}"), help))
        }
        _ => Ok(()),
    }
}

fn check_schedule(schedule: &EpochSchedule) -> Result<(), Fault> {
    let of = |name| [Field("training"), Field("schedule"), Field(name)];
    match *schedule {
        EpochSchedule::Constant => Ok(()),
        EpochSchedule::Step { factor, .. } => check(factor, Range::NotNegative, "the factor", &of("factor")),
        EpochSchedule::Cosine { final_factor, .. } => {
            check(final_factor, Range::NotNegative, "the final factor", &of("final_factor"))
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
