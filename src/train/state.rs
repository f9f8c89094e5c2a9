//! The state of a run between two epochs.

use bevy_ecs::change_detection::DetectChangesMut;
use std::collections::BTreeMap;
use std::path::Path;

use super::{TrainError, Trainer};
use crate::components::{Edge, TrainingState};
use crate::output::arrays::{Array, Values};
use crate::output::{EpochReport, OutputError, ValidationCriteria, ValidationWatch};
use crate::scene::Training;
use crate::systems::{ModelState, ParameterState};
use crate::weights::{numbers, set_numbers};

/// All that the epochs to come depend on, beside the scene, its graph and the seed.
///
/// It is plain data: what the model has learned, how far the run has come, and where links are predicted the pairs of the last
/// step, by which its end is measured as well. The order of examples, sampled neighbors and dropout have no state of their own;
/// they are drawn from the seed and the number of the epoch or step. Its size is that of the parameters, their moments,
/// their averages if they are averaged, and their values in the best epoch, and 8 bytes for each pair.
///
/// What belongs to it is enumerated here: [`Trainer::state`] names each field of the trainer, the conversions to and from arrays
/// each field of the state, so that a new one cannot be forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    model: ModelState,
    progress: Progress,
    /// The numbers of the nodes of each pair, if links are predicted.
    pairs: Vec<[u32; 2]>,
}

/// How far a run has come, beside its model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Epochs trained, from which orders and samples are drawn.
    pub epochs: u64,
    /// Epochs since the present run of the scene's training began.
    pub trained: u64,
    /// Which epoch is kept, and when training stops early.
    watch: ValidationWatch,
    /// The values of the parameters in that epoch; their first ones before.
    pub kept: Vec<Vec<f32>>,
    /// Their moving averages, if they are averaged; none before the first step.
    pub averages: Vec<Vec<f32>>,
    /// The duration of training and of evaluation in each epoch.
    milliseconds: [Vec<f64>; 2],
}

impl Progress {
    /// Makes room for the durations of so many epochs, so that none of them allocates.
    pub fn reserve(&mut self, epochs: u64) {
        let expected = usize::try_from(epochs).unwrap_or(0).min(1 << 20);
        for durations in &mut self.milliseconds {
            durations.reserve(expected.saturating_sub(durations.len()));
        }
    }

    /// Whether another epoch is to follow.
    pub fn goes_on(&self, plan: &Training) -> bool {
        self.trained < plan.epochs && plan.patience.is_none_or(|patience| self.watch.waited() < patience)
    }

    /// Counts an epoch; returns whether its parameters are to be kept.
    pub fn add(&mut self, report: &EpochReport, criteria: ValidationCriteria<'_>) -> bool {
        self.trained += 1;
        self.milliseconds[0].push(report.train_milliseconds);
        self.milliseconds[1].push(report.evaluation_milliseconds);
        self.watch.observe(report, criteria)
    }

    /// The median duration of training and of evaluation.
    pub fn medians(&self) -> [f64; 2] {
        self.milliseconds.each_ref().map(|durations| {
            let mut sorted = durations.clone();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
        })
    }

    /// The training of the scene has ended; another one counts anew.
    pub fn end(&mut self) {
        self.trained = 0;
        self.averages.clear();
        self.watch = ValidationWatch { kept: self.watch.kept, ..ValidationWatch::default() };
        self.milliseconds.iter_mut().for_each(Vec::clear);
    }
}

impl Trainer {
    /// Keeps the parameters as they are, or their averages.
    pub(super) fn keep(&mut self) {
        let Progress { kept, averages, .. } = &mut self.progress;
        for (number, (parameter, kept)) in self.parameters.iter().zip(kept).enumerate() {
            kept.copy_from_slice(averages.get(number).map_or(numbers(&self.world, parameter.value), Vec::as_slice));
        }
    }

    /// Takes the parameters of the epoch that is kept.
    pub(super) fn take_best(&mut self) {
        for (parameter, kept) in self.parameters.iter().zip(&self.progress.kept) {
            set_numbers(&mut self.world, parameter.value, kept);
        }
    }

    /// The state of the run, for [`Trainer::restore`]; empty if the model does not learn.
    pub fn state(&self) -> RunState {
        // By name, so that whoever adds a field decides here whether it is state. The corpus has data and buffers alone, drawn by
        // the number of the epoch; metrics and reports are computed anew in each epoch.
        let Self {
            world,
            entities,
            corpus: _,
            rewriting: _,
            misuse: _,
            scene: _,
            seed: _,
            progress,
            parameters: _,
            merged: _,
            report: _,
        } = self;
        RunState {
            model: ModelState::of(world, entities.model).unwrap_or_default(),
            progress: progress.clone(),
            pairs: self.pairs(),
        }
    }

    /// Goes on from a state of the same scene, graph and seed: the epochs that follow have the bits of those that followed
    /// there, for any number of workers.
    ///
    /// # Errors
    /// If the seed, the parameters of the model or the pairs of nodes are others; nothing is changed then.
    pub fn restore(&mut self, state: &RunState) -> Result<(), TrainError> {
        let RunState { model, progress, pairs } = state;
        let found = model.training.seed;
        if found != self.seed {
            return Err(TrainError::OtherSeed { found, seed: self.seed });
        }
        let rows = self.pair_rows();
        let nodes = &self.entities.nodes;
        if rows.len() != pairs.len() || pairs.iter().flatten().any(|node| *node as usize >= nodes.len()) {
            return Err(TrainError::OtherPairs { found: pairs.len(), expected: rows.len() });
        }
        model.restore(&mut self.world, self.entities.model)?;
        for (row, pair) in rows.into_iter().zip(pairs) {
            let [source, target] = pair.map(|node| nodes[node as usize]);
            if let Some(mut edge) = self.world.get_mut::<Edge>(row) {
                edge.set_if_neq(Edge { source, target });
            }
        }
        self.progress.clone_from(progress);
        Ok(())
    }
}

impl RunState {
    /// Number of epochs trained.
    pub fn epochs(&self) -> u64 {
        self.progress.epochs
    }

    /// The state as arrays, by which files hold it.
    pub(super) fn to_arrays(&self) -> Vec<Array> {
        let Self { model, progress, pairs } = self;
        let ModelState { training, accumulated_terms, parameters } = model;
        let TrainingState { seed, step, micro_batch } = *training;
        let Progress { epochs, trained, watch, kept, averages, milliseconds } = progress;
        let ValidationWatch { kept: rank, best, waited } = watch;
        let number = |name: &str, value: u64| Array::new(name, Values::U64(vec![value]));
        let [training_times, evaluation_times] = milliseconds.clone().map(Values::F64);
        let names: Vec<&str> = parameters.iter().map(|parameter| &*parameter.name).collect();
        let since = parameters.iter().map(|parameter| parameter.moments_since).collect();
        let mut arrays = vec![
            number("seed", seed),
            number("step", step),
            number("micro_batch", micro_batch.into()),
            number("epochs", *epochs),
            number("trained", *trained),
            number("waited", *waited),
            Array::new("accumulated_terms", Values::F64(vec![*accumulated_terms])),
            Array::new("best", Values::F64(best.to_vec())),
            Array::new("rank", Values::F64(rank.iter().flatten().copied().collect())),
            Array::new("training_milliseconds", training_times),
            Array::new("evaluation_milliseconds", evaluation_times),
            Array::new("parameters", Values::U8(serde_json::json!(names).to_string().into_bytes())),
            Array::new("moments_since", Values::U64(since)),
            Array::new("pairs", Values::U32(pairs.as_flattened().to_vec())),
        ];
        for (number, parameter) in parameters.iter().enumerate() {
            let ParameterState { name, shape, values, moments, moments_since: _, accumulated } = parameter;
            let best = kept.get(number).cloned().unwrap_or_default();
            let average = averages.get(number).cloned().unwrap_or_default();
            let kinds = [("moments", moments), ("accumulated", accumulated), ("best", &best), ("average", &average)];
            for (kind, values) in kinds {
                arrays.push(Array::new(format!("{kind}.{name}"), Values::F32(values.clone())));
            }
            let (name, values) = (format!("values.{name}"), Values::F32(values.clone()));
            arrays.push(Array { name, shape: shape.to_vec(), values });
        }
        arrays
    }

    /// The state in the arrays of the file at `path`, from which they are taken.
    pub(super) fn from_arrays(path: &Path, arrays: &mut BTreeMap<String, Array>) -> Result<Self, OutputError> {
        let mut source = Source { path, arrays };
        let names = source.bytes("parameters")?;
        let names: Vec<String> = serde_json::from_slice(&names)
            .map_err(|error| source.damaged(format!("the names of its parameters are damaged, {error}")))?;
        let since = source.numbers("moments_since", names.len())?;
        let (mut parameters, mut kept, mut averages) = (Vec::new(), Vec::new(), Vec::new());
        for (name, moments_since) in names.into_iter().zip(since) {
            let Array { shape, .. } = source.peek(&format!("values.{name}"))?;
            let shape = <[usize; 2]>::try_from(&**shape)
                .map_err(|_| source.damaged(format!("`values.{name}` is no matrix")))?;
            let mut values = |kind: &str| source.values(&format!("{kind}.{name}"));
            kept.push(values("best")?);
            averages.push(values("average")?);
            let (moments, accumulated, values) = (values("moments")?, values("accumulated")?, values("values")?);
            parameters.push(ParameterState { name, shape, values, moments, moments_since, accumulated });
        }
        // A parameter has values, so averages without any are none.
        averages.retain(|averages: &Vec<f32>| !averages.is_empty());
        let fit = |all: &[Vec<f32>]| {
            let mut lengths = all.iter().zip(&parameters).map(|(one, parameter)| [one.len(), parameter.values.len()]);
            all.len() == parameters.len() && lengths.all(|[found, expected]| found == expected)
        };
        if !fit(&kept) || !averages.is_empty() && !fit(&averages) {
            return Err(source.damaged("`best` or `average` has not the length of the parameters".to_owned()));
        }
        let micro_batch = u32::try_from(source.number("micro_batch")?)
            .map_err(|_| source.damaged("`micro_batch` is too large".to_owned()))?;
        let training = TrainingState { seed: source.number("seed")?, step: source.number("step")?, micro_batch };
        let [accumulated_terms] = source.some("accumulated_terms")?;
        let rank = source.doubles("rank")?;
        let watch = ValidationWatch {
            kept: if rank.is_empty() { None } else { Some(source.exactly("rank", rank)?) },
            best: source.some("best")?,
            waited: source.number("waited")?,
        };
        let progress = Progress {
            epochs: source.number("epochs")?,
            trained: source.number("trained")?,
            watch,
            kept,
            averages,
            milliseconds: [source.doubles("training_milliseconds")?, source.doubles("evaluation_milliseconds")?],
        };
        let pairs = source.halves("pairs")?.as_chunks().0.to_vec();
        Ok(Self { model: ModelState { training, accumulated_terms, parameters }, progress, pairs })
    }
}

/// The arrays of a file, each of which is taken once.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub arrays: &'a mut BTreeMap<String, Array>,
}

impl Source<'_> {
    pub fn damaged(&self, reason: String) -> OutputError {
        OutputError::NotCheckpoint { path: self.path.to_path_buf(), reason }
    }

    fn absent(&self, name: &str) -> OutputError {
        self.damaged(format!("it has no array `{name}` of the right type"))
    }

    fn peek(&self, name: &str) -> Result<&Array, OutputError> {
        self.arrays.get(name).ok_or_else(|| self.absent(name))
    }

    fn take(&mut self, name: &str) -> Result<Values, OutputError> {
        let array = self.arrays.remove(name).ok_or_else(|| self.absent(name))?;
        Ok(array.values)
    }

    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>, OutputError> {
        match self.take(name)? {
            Values::U8(bytes) => Ok(bytes),
            _ => Err(self.absent(name)),
        }
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, OutputError> {
        match self.take(name)? {
            Values::F32(values) => Ok(values),
            _ => Err(self.absent(name)),
        }
    }

    fn doubles(&mut self, name: &str) -> Result<Vec<f64>, OutputError> {
        match self.take(name)? {
            Values::F64(values) => Ok(values),
            _ => Err(self.absent(name)),
        }
    }

    fn halves(&mut self, name: &str) -> Result<Vec<u32>, OutputError> {
        match self.take(name)? {
            Values::U32(numbers) => Ok(numbers),
            _ => Err(self.absent(name)),
        }
    }

    fn numbers(&mut self, name: &str, count: usize) -> Result<Vec<u64>, OutputError> {
        match self.take(name)? {
            Values::U64(numbers) if numbers.len() == count => Ok(numbers),
            _ => Err(self.absent(name)),
        }
    }

    fn number(&mut self, name: &str) -> Result<u64, OutputError> {
        Ok(self.numbers(name, 1)?[0])
    }

    fn some<const N: usize>(&mut self, name: &str) -> Result<[f64; N], OutputError> {
        let values = self.doubles(name)?;
        self.exactly(name, values)
    }

    fn exactly<const N: usize>(&self, name: &str, values: Vec<f64>) -> Result<[f64; N], OutputError> {
        values.try_into().map_err(|_| self.absent(name))
    }
}
