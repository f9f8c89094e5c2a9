//! The state of a run as arrays, by which files hold it.

use std::collections::BTreeMap;
use std::path::Path;

use super::state::{Progress, RunState};
use crate::components::TrainingState;
use crate::output::arrays::{Array, Values};
use crate::output::{OutputError, ValidationWatch};
use crate::parts::prefix;
use crate::systems::{ModelState, ParameterState};

impl RunState {
    /// The state as arrays, by which files hold it.
    pub(super) fn to_arrays(&self) -> Vec<Array> {
        let Self { models, progress, pairs } = self;
        let Progress { epochs, trained, watch, kept, averages, milliseconds } = progress;
        let ValidationWatch { kept: rank, best, waited } = watch;
        let [training_times, evaluation_times] = milliseconds.clone().map(Values::F64);
        let mut arrays = vec![
            number("epochs", *epochs),
            number("trained", *trained),
            number("waited", *waited),
            Array::new("best", Values::F64(best.to_vec())),
            Array::new("rank", Values::F64(rank.iter().flatten().copied().collect())),
            Array::new("training_milliseconds", training_times),
            Array::new("evaluation_milliseconds", evaluation_times),
            Array::new("pairs", Values::U32(pairs.as_flattened().to_vec())),
        ];
        let mut first = 0;
        for (index, model) in models.iter().enumerate() {
            let prefix = prefix(index);
            add_model(&mut arrays, &prefix, model);
            for (number, ParameterState { name, .. }) in (first..).zip(&model.parameters) {
                for (kind, values) in [("best", kept.get(number)), ("average", averages.get(number))] {
                    let values = Values::F32(values.cloned().unwrap_or_default());
                    arrays.push(Array::new(format!("{kind}.{prefix}{name}"), values));
                }
            }
            first += model.parameters.len();
        }
        arrays
    }

    /// The state in the arrays of the file at `path`, from which they are taken.
    pub(super) fn from_arrays(path: &Path, arrays: &mut BTreeMap<String, Array>) -> Result<Self, OutputError> {
        let mut source = Source { path, arrays };
        let (mut models, mut kept, mut averages) = (Vec::new(), Vec::new(), Vec::new());
        while models.is_empty() || source.has(&format!("{}seed", prefix(models.len()))) {
            let prefix = prefix(models.len());
            let model = source.model(&prefix)?;
            for ParameterState { name, values, .. } in &model.parameters {
                let mut taken = |kind: &str| source.values(&format!("{kind}.{prefix}{name}"));
                let (best, average) = (taken("best")?, taken("average")?);
                if best.len() != values.len() || !(average.is_empty() || average.len() == values.len()) {
                    let reason = format!("`best` or `average` of `{prefix}{name}` has not the length of its values");
                    return Err(source.damaged(reason));
                }
                kept.push(best);
                averages.push(average);
            }
            models.push(model);
        }
        // A parameter has values, so averages without any are none.
        if averages.iter().all(Vec::is_empty) {
            averages.clear();
        } else if averages.iter().any(Vec::is_empty) {
            return Err(source.damaged("some parameters have averages and others none".to_owned()));
        }
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
        Ok(Self { models, progress, pairs })
    }
}

fn number(name: &str, value: u64) -> Array {
    Array::new(name, Values::U64(vec![value]))
}

/// Adds the state of a model as arrays.
fn add_model(arrays: &mut Vec<Array>, prefix: &str, model: &ModelState) {
    let ModelState { training, accumulated_terms, parameters } = model;
    let TrainingState { seed, step, micro_batch } = *training;
    let names: Vec<&str> = parameters.iter().map(|parameter| &*parameter.name).collect();
    let since = parameters.iter().map(|parameter| parameter.moments_since).collect();
    let named = |name: &str| format!("{prefix}{name}");
    arrays.extend([
        number(&named("seed"), seed),
        number(&named("step"), step),
        number(&named("micro_batch"), micro_batch.into()),
        Array::new(named("accumulated_terms"), Values::F64(vec![*accumulated_terms])),
        Array::new(named("parameters"), Values::U8(serde_json::json!(names).to_string().into_bytes())),
        Array::new(named("moments_since"), Values::U64(since)),
    ]);
    for parameter in parameters {
        let ParameterState { name, shape, values, moments, moments_since: _, accumulated } = parameter;
        let name = named(name);
        for (kind, values) in [("moments", moments), ("accumulated", accumulated)] {
            arrays.push(Array::new(format!("{kind}.{name}"), Values::F32(values.clone())));
        }
        let (name, values) = (format!("values.{name}"), Values::F32(values.clone()));
        arrays.push(Array { name, shape: shape.to_vec(), values });
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

    fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// The state of a model whose arrays have names with this prefix.
    fn model(&mut self, prefix: &str) -> Result<ModelState, OutputError> {
        let named = |name: &str| format!("{prefix}{name}");
        let names = self.bytes(&named("parameters"))?;
        let names: Vec<String> = serde_json::from_slice(&names)
            .map_err(|error| self.damaged(format!("the names of its parameters are damaged, {error}")))?;
        let since = self.numbers(&named("moments_since"), names.len())?;
        let mut parameters = Vec::new();
        for (name, moments_since) in names.into_iter().zip(since) {
            let Array { shape, .. } = self.peek(&format!("values.{prefix}{name}"))?;
            let shape = <[usize; 2]>::try_from(&**shape)
                .map_err(|_| self.damaged(format!("`values.{prefix}{name}` is no matrix")))?;
            let mut values = |kind: &str| self.values(&format!("{kind}.{prefix}{name}"));
            let (moments, accumulated, values) = (values("moments")?, values("accumulated")?, values("values")?);
            parameters.push(ParameterState { name, shape, values, moments, moments_since, accumulated });
        }
        let micro_batch = u32::try_from(self.number(&named("micro_batch"))?)
            .map_err(|_| self.damaged("`micro_batch` is too large".to_owned()))?;
        let [seed, step] = [self.number(&named("seed"))?, self.number(&named("step"))?];
        let [accumulated_terms] = self.some(&named("accumulated_terms"))?;
        Ok(ModelState { training: TrainingState { seed, step, micro_batch }, accumulated_terms, parameters })
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
