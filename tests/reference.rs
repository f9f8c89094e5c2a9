//! The engine agrees with PyTorch and PyTorch Geometric.
//!
//! Each `*.npz` of `tests/fixtures/reference`, or of the folder that the environment variable `CONNECTOME_REFERENCE`
//! names, holds one case (see the README there). What a case is, its `meta` says: the class of a layer as Python
//! prints it, a loss, or an optimizer with its hyperparameters. It is run in a world like any user's: outputs,
//! gradients of the input and of every parameter, and the trajectories of optimizers are each to lie within 1e-5 of
//! the reference, relative to the array's largest number.
//!
//! A failure lists the cases that are off, each with the array and its error, and those of a known class that cannot be
//! read. Cases of other classes are listed by `--nocapture`.

#[path = "../systems/tests/common/mod.rs"]
mod common;

use bevy_ecs::{
    entity::Entity,
    schedule::Schedule,
    system::{ParamBuilder, Query, SystemParamBuilder},
};
use common::{Link, Matrices, Scene, last_part, relative_error, run_layer};
use connectome_components::{
    Column, ColumnMut, Label, LearningRateSchedule, Loss, Metrics, Optimizer, Signal, Split, TrainingState,
    attach_fields,
};
use connectome_systems::{
    ModelBuilder, Targets, Train, Workers,
    kernels::Activation,
    layers::{BuildError, GraphConv, Initialization, Layer, LayerBuilder, Linear, Mode},
    loss_and_gradient, measure, run,
};
use ndarray::{Array2, ArrayD, Ix2};
use ndarray_npy::{ReadNpyExt, ReadableElement};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

const TOLERANCE: f64 = 1e-5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[test]
fn the_engine_agrees_with_the_reference() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reference");
    let folder = std::env::var_os("CONNECTOME_REFERENCE").map_or(PathBuf::from(fixtures), PathBuf::from);
    let report = check_folder(&folder).unwrap();
    println!("{report}");
    assert!(!report.known.is_empty(), "{} holds no case of a known class", folder.display());
    assert!(report.failures().next().is_none(), "{report}");
}

/// What became of the cases of a folder.
struct Report {
    /// The worst error of each case and its array, or why the case cannot be run.
    known: Vec<(String, std::result::Result<Deviation, String>)>,
    unknown: Vec<String>,
}

/// How far one array is off.
#[derive(Clone, Debug)]
struct Deviation {
    array: String,
    error: f64,
}

impl Report {
    fn failures(&self) -> impl Iterator<Item = &str> {
        let agrees = |outcome: &std::result::Result<Deviation, String>| {
            outcome.as_ref().is_ok_and(|deviation| deviation.error <= TOLERANCE)
        };
        self.known.iter().filter(move |(_, outcome)| !agrees(outcome)).map(|(name, _)| name.as_str())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (name, outcome) in &self.known {
            match outcome {
                Ok(Deviation { array, error }) => {
                    let verdict = if *error <= TOLERANCE { "agrees" } else { "IS OFF" };
                    writeln!(formatter, "{name:<28} {verdict}, worst error {error:.1e} in `{array}`")?;
                }
                Err(reason) => writeln!(formatter, "{name:<28} CANNOT BE RUN: {reason}")?,
            }
        }
        writeln!(formatter, "{} known cases", self.known.len())?;
        write!(formatter, "{} cases of other classes: {}", self.unknown.len(), self.unknown.join(", "))
    }
}

fn check_folder(folder: &Path) -> Result<Report> {
    let files = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "npz"));
    paths.sort();
    let mut report = Report { known: Vec::new(), unknown: Vec::new() };
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let case = Case::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        match Subject::recognise(&case.meta) {
            Some(subject) => report.known.push((name, subject.check(&case).map_err(|error| error.to_string()))),
            None => report.unknown.push(name),
        }
    }
    Ok(report)
}

/// One file: its arrays, not yet decoded, and its description.
struct Case {
    arrays: BTreeMap<String, Vec<u8>>,
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    case: String,
    class: String,
    optimizer: String,
    note: String,
}

impl Case {
    fn open(path: &Path) -> Result<Self> {
        let mut archive = zip::ZipArchive::new(File::open(path)?)?;
        let mut arrays = BTreeMap::new();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            arrays.insert(file.name().trim_end_matches(".npy").to_owned(), bytes);
        }
        let meta = arrays.get("meta").ok_or("there is no `meta`")?;
        Ok(Self { meta: serde_json::from_str(&read_text(meta)?)?, arrays })
    }

    fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// An array of floats of either width.
    fn floats(&self, name: &str) -> Result<ArrayD<f64>> {
        self.decode::<f64>(name).or_else(|_| Ok(self.decode::<f32>(name)?.mapv(f64::from)))
    }

    /// An array of integers of either width.
    fn integers(&self, name: &str) -> Result<ArrayD<i64>> {
        self.decode::<i64>(name).or_else(|_| Ok(self.decode::<i32>(name)?.mapv(i64::from)))
    }

    fn decode<T: ReadableElement>(&self, name: &str) -> Result<ArrayD<T>> {
        let bytes = self.arrays.get(name).ok_or_else(|| format!("there is no `{name}`"))?;
        ArrayD::read_npy(&bytes[..]).map_err(|error| format!("`{name}`: {error}").into())
    }

    /// A matrix; a vector is one row.
    fn matrix(&self, name: &str) -> Result<Array2<f64>> {
        let array = self.floats(name)?;
        let array = if array.ndim() == 1 { array.insert_axis(ndarray::Axis(0)) } else { array };
        let shape = array.shape().to_vec();
        array.into_dimensionality::<Ix2>().map_err(|_| format!("`{name}` is no matrix but {shape:?}").into())
    }

    fn matrix_of(&self, name: &str, shape: (usize, usize)) -> Result<Array2<f64>> {
        let matrix = self.matrix(name)?;
        if matrix.dim() == shape {
            return Ok(matrix);
        }
        Err(format!("`{name}` is {:?} where {shape:?} is expected", matrix.dim()).into())
    }

    /// The names of the layer's parameters without `param.`.
    fn parameters(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().filter_map(|name| name.strip_prefix("param."))
    }

    fn links(&self, node_count: usize) -> Result<Vec<Link>> {
        let ends = self.integers("edge_index")?;
        if ends.ndim() != 2 || ends.shape()[0] != 2 {
            return Err(format!("`edge_index` is {:?} and not 2 rows", ends.shape()).into());
        }
        let weights = self.edge_weights(ends.shape()[1])?;
        let node = |row, edge| match usize::try_from(ends[[row, edge]]) {
            Ok(node) if node < node_count => Ok(node),
            _ => Err(format!("`edge_index`: edge {edge} names node {} of {node_count}", ends[[row, edge]])),
        };
        let link = |(edge, weight)| Ok(Link { source: node(0, edge)?, target: node(1, edge)?, weight });
        weights.into_iter().enumerate().map(link).collect()
    }

    /// From the array `edge_weight`, or a note such as `edge weight of edge k is (k mod 5 + 1) * 0.3`.
    fn edge_weights(&self, count: usize) -> Result<Vec<Option<f32>>> {
        if self.has("edge_weight") {
            let weights = self.floats("edge_weight")?;
            let weights: Vec<_> = weights.iter().map(|weight| Some(*weight as f32)).collect();
            return if weights.len() == count {
                Ok(weights)
            } else {
                Err("`edge_weight` is not one for each edge".into())
            };
        }
        if !self.meta.note.contains("edge weight") {
            return Ok(vec![None; count]);
        }
        let formula =
            WeightFormula::parse(&self.meta.note).ok_or_else(|| format!("not understood: {}", self.meta.note))?;
        Ok((0..count).map(|edge| Some(formula.weight(edge))).collect())
    }
}

/// `(k mod period + offset) * factor` for edge `k`.
struct WeightFormula {
    period: usize,
    offset: f64,
    factor: f64,
}

impl WeightFormula {
    fn parse(note: &str) -> Option<Self> {
        let (period, rest) = note.split_once("(k mod ")?.1.split_once('+')?;
        let (offset, rest) = rest.split_once(')')?;
        let factor = rest.split_once('*')?.1.split_whitespace().next()?.trim_end_matches([',', ';']);
        let period = period.trim().parse().ok().filter(|period| *period > 0)?;
        Some(Self { period, offset: offset.trim().parse().ok()?, factor: factor.trim_end_matches('.').parse().ok()? })
    }

    fn weight(&self, edge: usize) -> f32 {
        (((edge % self.period) as f64 + self.offset) * self.factor) as f32
    }
}

/// A single string as numpy writes it: a header that is the text of a Python dictionary, then code points of 32 bits.
fn read_text(bytes: &[u8]) -> Result<String> {
    let wide = *bytes.get(6).ok_or("`meta` is cut off")? > 1;
    let start = if wide { 12 } else { 10 };
    let length = bytes.get(8..start).ok_or("`meta` is cut off")?;
    let length = length.iter().rev().fold(0, |length, byte| 256 * length + usize::from(*byte));
    let header = std::str::from_utf8(bytes.get(start..start + length).ok_or("`meta` is cut off")?)?;
    if !header.contains("'<U") {
        return Err(format!("`meta` is no text: {header}").into());
    }
    let points = bytes[start + length..].chunks_exact(4).map(|point| [point[0], point[1], point[2], point[3]]);
    let text = points.map(|point| char::from_u32(u32::from_le_bytes(point)).ok_or("`meta` is no text"));
    Ok(text.collect::<std::result::Result<String, _>>()?.trim_end_matches('\0').to_owned())
}

/// What of the engine a case is about.
#[derive(Debug, PartialEq)]
enum Subject {
    GraphConv,
    Linear,
    Activation(Activation),
    Loss(Loss),
    Optimizer(Optimizer),
}

impl Subject {
    /// None for what the engine does not have.
    fn recognise(meta: &Meta) -> Option<Self> {
        if !meta.optimizer.is_empty() {
            return Printed::of_optimizer(&meta.optimizer).optimizer().map(Self::Optimizer);
        }
        if meta.class.is_empty() {
            return Self::of_loss(&meta.case).map(Self::Loss);
        }
        let class = Printed::of_class(&meta.class);
        match class.name.as_str() {
            "GCNConv" => Some(Self::GraphConv),
            "Linear" => Some(Self::Linear),
            _ => class.activation().map(Self::Activation),
        }
    }

    fn of_loss(case: &str) -> Option<Loss> {
        match case {
            "cross_entropy" => Some(Loss::CrossEntropy),
            "bce_logits" => Some(Loss::BinaryCrossEntropy),
            "mse" => Some(Loss::MeanSquaredError),
            "l1" => Some(Loss::L1),
            "huber" => Some(Loss::Huber { delta: 1.0 }),
            _ => None,
        }
    }

    /// Runs a case and finds its worst array.
    fn check(&self, case: &Case) -> Result<Deviation> {
        let mut comparison = Comparison::default();
        match self {
            Self::GraphConv => check_layer(case, GraphConv::new, &mut comparison)?,
            Self::Linear => check_layer(case, Linear::new, &mut comparison)?,
            Self::Activation(activation) => check_layer(case, |_| *activation, &mut comparison)?,
            Self::Loss(loss) => check_loss(case, *loss, &mut comparison)?,
            Self::Optimizer(optimizer) => check_optimizer(case, *optimizer, &mut comparison)?,
        }
        comparison.worst.ok_or_else(|| "there was nothing to compare".into())
    }
}

/// An object as Python prints it: its name, and what is said of it by keyword.
struct Printed {
    name: String,
    keywords: BTreeMap<String, String>,
}

impl Printed {
    /// `LeakyReLU(negative_slope=0.01)`.
    fn of_class(text: &str) -> Self {
        let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
        let arguments = arguments.trim_end().trim_end_matches(')').split(", ");
        Self::new(name, arguments.filter_map(|argument| argument.split_once('=')))
    }

    /// `Adam (\nParameter Group 0\n    amsgrad: False\n    betas: (0.9, 0.999)\n ...)`.
    fn of_optimizer(text: &str) -> Self {
        let (name, lines) = text.split_once('(').unwrap_or((text, ""));
        Self::new(name, lines.lines().filter_map(|line| line.split_once(':')))
    }

    fn new<'a>(name: &str, keywords: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let keywords = keywords.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Self { name: name.trim().to_owned(), keywords: keywords.collect() }
    }

    fn text(&self, keyword: &str) -> &str {
        self.keywords.get(keyword).map_or("", String::as_str)
    }

    fn number(&self, keyword: &str) -> Option<f32> {
        self.text(keyword).parse().ok()
    }

    fn is_true(&self, keyword: &str) -> bool {
        self.text(keyword) == "True"
    }

    /// Whether something is left out, off or 0.
    fn is_off(&self, keyword: &str) -> bool {
        matches!(self.text(keyword), "" | "False" | "None") || self.number(keyword) == Some(0.0)
    }

    fn activation(&self) -> Option<Activation> {
        match self.name.as_str() {
            "ReLU" => Some(Activation::Relu),
            "LeakyReLU" => self.number("negative_slope").map(Activation::LeakyRelu),
            "ELU" => self.number("alpha").map(Activation::Elu),
            "GELU" if self.text("approximate") == "'none'" => Some(Activation::Gelu),
            "Sigmoid" => Some(Activation::Sigmoid),
            "SiLU" => Some(Activation::Silu),
            // Beyond the threshold it is linear to the last bit of a float.
            "Softplus" if self.number("beta") == Some(1.0) && self.number("threshold") >= Some(20.0) => {
                Some(Activation::Softplus)
            }
            "Tanh" => Some(Activation::Tanh),
            _ => None,
        }
    }

    fn optimizer(&self) -> Option<Optimizer> {
        let foreign = ["maximize", "dampening", "centered"];
        if !foreign.iter().all(|keyword| self.is_off(keyword)) {
            return None;
        }
        let (learning_rate, weight_decay) = (self.number("lr")?, self.number("weight_decay")?);
        match self.name.as_str() {
            "SGD" => {
                let (momentum, nesterov) = (self.number("momentum")?, self.is_true("nesterov"));
                Some(Optimizer::Sgd { learning_rate, momentum, nesterov, weight_decay })
            }
            "Adam" if self.is_off("decoupled_weight_decay") => {
                let (betas, epsilon, amsgrad) = (self.betas()?, self.number("eps")?, self.is_true("amsgrad"));
                Some(Optimizer::Adam { learning_rate, betas, epsilon, amsgrad, weight_decay })
            }
            "AdamW" if self.is_off("amsgrad") => {
                let (betas, epsilon) = (self.betas()?, self.number("eps")?);
                Some(Optimizer::AdamW { learning_rate, betas, epsilon, weight_decay })
            }
            "RMSprop" if self.is_off("momentum") => {
                let (smoothing, epsilon) = (self.number("alpha")?, self.number("eps")?);
                Some(Optimizer::RmsProp { learning_rate, smoothing, epsilon, weight_decay })
            }
            _ => None,
        }
    }

    fn betas(&self) -> Option<(f32, f32)> {
        let (first, second) = self.text("betas").trim_matches(['(', ')']).split_once(',')?;
        Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
    }
}

/// Keeps the worst of the arrays compared.
#[derive(Default)]
struct Comparison {
    worst: Option<Deviation>,
}

impl Comparison {
    fn compare(&mut self, array: &str, found: &Array2<f64>, expected: &Array2<f64>) {
        let error = relative_error(found, expected, f64::MIN_POSITIVE);
        if self.worst.as_ref().is_none_or(|worst| error > worst.error) {
            self.worst = Some(Deviation { array: array.to_owned(), error });
        }
    }
}

/// A layer forward, and backward from the cotangent.
fn check_layer<L: Layer + 'static>(case: &Case, layer: impl Fn(usize) -> L, comparison: &mut Comparison) -> Result<()> {
    let (x, out) = (case.matrix("x")?, case.matrix("out")?);
    if out.nrows() != x.nrows() {
        return Err(format!("`out` has {} rows for {} nodes", out.nrows(), x.nrows()).into());
    }
    let cotangent = case.matrix_of("cotangent", out.dim())?;
    let mut parameters = Matrices::new();
    for name in case.parameters() {
        let shape = if last_part(name) == "weight" { (x.ncols(), out.ncols()) } else { (1, out.ncols()) };
        parameters.insert(last_part(name).to_owned(), our_matrix(case, "param", name, shape)?);
    }
    let mut scene = Scene::new(x.nrows(), &case.links(x.nrows())?);
    let input = scene.dense(&x)?;
    let passes = run_layer(&mut scene, input, layer(out.ncols()), &parameters, &cotangent)?;
    comparison.compare("out", &passes.output, &out);
    let gradient = passes.input.ok_or("the input has no gradient")?;
    comparison.compare("grad.x", &gradient, &case.matrix_of("grad.x", x.dim())?);
    for name in case.parameters() {
        let gradient = passes.parameters.get(last_part(name)).ok_or_else(|| format!("the layer has no `{name}`"))?;
        let expected = our_matrix(case, "grad.param", name, gradient.dim())?;
        comparison.compare(&format!("grad.param.{name}"), gradient, &expected);
    }
    Ok(())
}

/// A parameter in our shape: a weight is `[in, out]` here and `[out, in]` there.
fn our_matrix(case: &Case, kind: &str, name: &str, shape: (usize, usize)) -> Result<Array2<f64>> {
    let array = format!("{kind}.{name}");
    if last_part(name) != "weight" {
        return case.matrix_of(&array, shape);
    }
    Ok(case.matrix_of(&array, (shape.1, shape.0))?.reversed_axes())
}

/// The mean over all nodes, and over all columns where targets are numbers.
fn check_loss(case: &Case, loss: Loss, comparison: &mut Comparison) -> Result<()> {
    let (x, out) = (case.matrix("x")?, case.floats("out")?.sum());
    let mut scene = Scene::new(x.nrows(), &[]);
    let (output, gradient) = (scene.field("x", &x)?, scene.field("gradient", &Array2::zeros(x.dim()))?);
    scene.world.init_resource::<Workers>();
    let model = scene.world.spawn(Metrics::default()).id();
    let targets = Targets::register(&mut scene.world, loss, output)?;
    attach_fields(&mut scene.world, output.on());
    match targets {
        Targets::Classes { labels, .. } => {
            let classes = case.integers("y")?;
            if classes.shape() != [x.nrows()] {
                return Err(format!("`y` is {:?} for {} nodes", classes.shape(), x.nrows()).into());
            }
            for (node, class) in scene.nodes.iter().zip(&classes) {
                labels.set(&mut scene.world, *node, &[Label(u32::try_from(*class)?)])?;
            }
        }
        Targets::Numbers { values, .. } => {
            let given = case.matrix_of("target", x.dim())?;
            for (node, row) in scene.nodes.iter().zip(given.rows()) {
                // Where the loss is binary, a number of the reference stands for whether it is positive.
                let number = |given: &f64| match loss {
                    Loss::BinaryCrossEntropy => f32::from(*given > 0.0),
                    _ => *given as f32,
                };
                values.set(&mut scene.world, *node, &row.iter().map(number).collect::<Vec<_>>())?;
            }
        }
    }
    for node in &scene.nodes {
        targets.splits().set(&mut scene.world, *node, &[Split::Train])?;
    }
    for (array, system) in [
        ("out", loss_and_gradient(&mut scene.world, model, loss, output, gradient, targets)?),
        ("out, measured", measure(&mut scene.world, model, loss, output, targets)?),
    ] {
        let mut schedule = Schedule::default();
        schedule.add_systems(system);
        schedule.run(&mut scene.world);
        let metrics = scene.world.get::<Metrics>(model).ok_or("the model has no metrics")?;
        let found = metrics.of(Split::Train).loss_sum / metrics.of(Split::Train).count as f64;
        comparison.compare(array, &Array2::from_elem((1, 1), found), &Array2::from_elem((1, 1), out));
    }
    comparison.compare("grad.x", &scene.read(gradient)?, &case.matrix_of("grad.x", x.dim())?);
    Ok(())
}

/// Steps with the gradient `sin(w + t)`.
fn check_optimizer(case: &Case, optimizer: Optimizer, comparison: &mut Comparison) -> Result<()> {
    let (start, trajectory) = (case.matrix("w0")?, case.floats("trajectory")?);
    if trajectory.ndim() == 0 || trajectory.len() != trajectory.shape()[0] * start.len() {
        return Err(format!("`trajectory` is {:?} for weights of {:?}", trajectory.shape(), start.dim()).into());
    }
    let mut scene = Scene::new(0, &[]);
    let model = ModelBuilder::new(scene.graph)
        .layer(Wave { shape: start.dim().into() })
        .learn(optimizer, LearningRateSchedule::Constant)
        .build(&mut scene.world)?;
    scene.set_parameters(model, &Matrices::from([("weight".to_owned(), start.clone())]))?;
    let mut found = Vec::new();
    for _ in 0..trajectory.shape()[0] {
        run(&mut scene.world, Train(model)).unwrap();
        found.extend(weights(&scene, model)?);
    }
    let shape = (trajectory.shape()[0], start.len());
    let expected = Array2::from_shape_vec(shape, trajectory.iter().copied().collect())?;
    comparison.compare("trajectory", &Array2::from_shape_vec(shape, found)?, &expected);
    Ok(())
}

fn weights(scene: &Scene, model: Entity) -> Result<Vec<f64>> {
    let parameters = scene.parameters(model);
    let (entity, parameter) = parameters.first().ok_or("the model has no parameter")?;
    Ok(parameter.value.get(&scene.world, *entity)?.iter().map(|weight| f64::from(*weight)).collect())
}

/// A layer that passes its input on, and has a parameter `w` whose gradient in step `t` is `sin(w + t)`.
struct Wave {
    shape: [usize; 2],
}

impl Layer for Wave {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> std::result::Result<Signal, BuildError> {
        let parameter = layer.parameter("weight", self.shape, Initialization::Zeros, None)?;
        if let (Mode::Training, Some(gradient)) = (layer.mode(), parameter.gradient) {
            let model = layer.model();
            let state = (parameter.value.read(), gradient.write(), ParamBuilder::query::<&TrainingState>());
            let wave = state.build_state(layer.world()).build_system(
                move |value: Column, mut gradient: ColumnMut, states: Query<&TrainingState>| {
                    let Ok(state) = states.get(model) else { return };
                    let value = value.matrix();
                    for (gradient, weight) in gradient.matrix().rows_mut().flatten().zip(value.rows().flatten()) {
                        *gradient = (f64::from(*weight) + state.step as f64).sin() as f32;
                    }
                },
            );
            layer.backward(wave.with_name("wave"));
        }
        Ok(input)
    }
}

/// The test of the test: what it must not let pass.
mod harness {
    use super::*;
    use ndarray::{Array1, array};
    use ndarray_npy::WriteNpyExt;
    use std::io::Write;

    /// Writes a case whose output and cotangent are given, with an input of two nodes and two numbers.
    fn write_case(folder: &Path, name: &str, class: &str, arrays: &[(&str, Array2<f64>)]) {
        let mut archive = zip::ZipWriter::new(File::create(folder.join(format!("{name}.npz"))).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        for (name, array) in arrays {
            archive.start_file(format!("{name}.npy"), options).unwrap();
            let mut bytes = Vec::new();
            array.write_npy(&mut bytes).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        archive.start_file("edge_index.npy", options).unwrap();
        let mut bytes = Vec::new();
        Array2::<i64>::zeros((2, 0)).write_npy(&mut bytes).unwrap();
        archive.write_all(&bytes).unwrap();
        archive.start_file("meta.npy", options).unwrap();
        archive.write_all(&text(&format!(r#"{{"class": "{class}"}}"#))).unwrap();
        archive.finish().unwrap();
    }

    fn text(text: &str) -> Vec<u8> {
        let header = format!("{{'descr': '<U{}', 'fortran_order': False, 'shape': (), }}\n", text.len());
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(text.chars().flat_map(|point| (point as u32).to_le_bytes()));
        bytes
    }

    #[test]
    fn wrong_and_malformed_cases_fail_by_name_and_unknown_ones_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let x = array![[1.0, -2.0], [3.0, 0.5]];
        let positive = array![[1.0, 0.0], [1.0, 1.0]];
        let case = |out: &Array2<f64>| {
            let arrays = [("x", &x), ("out", out), ("cotangent", &Array2::ones(out.dim())), ("grad.x", &positive)];
            arrays.map(|(name, array)| (name, array.clone()))
        };
        write_case(folder.path(), "right", "ReLU()", &case(&array![[1.0, 0.0], [3.0, 0.5]]));
        write_case(folder.path(), "wrong", "ReLU()", &case(&array![[1.0, 0.0], [3.0, 0.6]]));
        write_case(folder.path(), "not_a_number", "ReLU()", &case(&array![[1.0, 0.0], [3.0, f64::NAN]]));
        write_case(folder.path(), "malformed", "ReLU()", &case(&array![[1.0, 0.0, 0.0], [3.0, 0.5, 0.0]]));
        write_case(folder.path(), "incomplete", "Tanh()", &case(&x)[..2]);
        write_case(folder.path(), "foreign", "Hardswish()", &case(&x));
        let report = check_folder(folder.path()).unwrap();
        assert_eq!(
            report.failures().collect::<Vec<_>>(),
            ["incomplete", "malformed", "not_a_number", "wrong"],
            "{report}"
        );
        assert_eq!(report.unknown, ["foreign"]);
    }

    #[test]
    fn weights_in_a_note_are_understood() {
        let note = "edge weight of edge k is (k mod 3 + 2) * 0.25; degrees by target";
        let formula = WeightFormula::parse(note).unwrap();
        let weights: Array1<f32> = (0..4).map(|edge| formula.weight(edge)).collect();
        assert_eq!(weights, array![0.5, 0.75, 1.0, 0.5]);
        assert!(WeightFormula::parse("edge weight of edge k is k").is_none());
    }

    #[test]
    fn variants_that_the_engine_does_not_have_are_not_taken_for_those_it_has() {
        let class = |class: &str| Subject::recognise(&Meta { class: class.to_owned(), ..Meta::default() });
        assert_eq!(class("GELU(approximate='tanh')"), None);
        assert_eq!(class("Softplus(beta=2.0, threshold=20.0)"), None);
        assert_eq!(class("ELU(alpha=0.5)"), Some(Subject::Activation(Activation::Elu(0.5))));
        let rmsprop = |centered: &str| Meta {
            optimizer: format!(
                "RMSprop (\n    alpha: 0.9\n    centered: {centered}\n    eps: 1e-06\n    lr: 0.1\n    momentum: 0\n    weight_decay: 0\n)"
            ),
            ..Meta::default()
        };
        assert_eq!(Subject::recognise(&rmsprop("True")), None);
        let known = Optimizer::RmsProp { learning_rate: 0.1, smoothing: 0.9, epsilon: 1e-6, weight_decay: 0.0 };
        assert_eq!(Subject::recognise(&rmsprop("False")), Some(Subject::Optimizer(known)));
    }
}
