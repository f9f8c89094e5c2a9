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

use crate::common;

pub mod case;
mod dag;
mod kinds;
mod layers;
mod mixture;
mod pooling;
mod printed;
mod training;
mod transport;

use case::Case;
use common::relative_error;
use connectome_components::{Loss, Optimizer};
use connectome_systems::layers::Layer;
use ndarray::Array2;
use printed::Printed;
use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

const TOLERANCE: f64 = 1e-5;

/// That of a case: exponents of one case reach 200.
fn tolerance(case: &str) -> f64 {
    if case == "sinkhorn_sharp" { 1e-3 } else { TOLERANCE }
}

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
        let agrees = |(name, outcome): &(String, std::result::Result<Deviation, String>)| {
            outcome.as_ref().is_ok_and(|deviation| deviation.error <= tolerance(name))
        };
        self.known.iter().filter(move |case| !agrees(case)).map(|(name, _)| name.as_str())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (name, outcome) in &self.known {
            match outcome {
                Ok(Deviation { array, error }) => {
                    let verdict = if *error <= tolerance(name) { "agrees" } else { "IS OFF" };
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
        let mut comparison = Comparison::default();
        if let Some(outcome) = dag::check(&case, &mut comparison) {
            let outcome = outcome.and_then(|()| comparison.worst()).map_err(|error| error.to_string());
            report.known.push((name, outcome));
            continue;
        }
        match Subject::recognize(&case) {
            Ok(Some(subject)) => report.known.push((name, subject.check(&case).map_err(|error| error.to_string()))),
            Ok(None) => report.unknown.push(name),
            Err(error) => report.known.push((name, Err(error.to_string()))),
        }
    }
    Ok(report)
}

/// What of the engine a case is about.
enum Subject {
    Layer(Box<dyn Layer>),
    Loss(Loss),
    Optimizer(Optimizer),
    Function(fn(&Case, &mut Comparison) -> Result<()>),
}

impl Subject {
    /// None for what the engine does not have.
    fn recognize(case: &Case) -> Result<Option<Self>> {
        let meta = &case.meta;
        if !meta.optimizer.is_empty() {
            return Ok(Printed::of_optimizer(&meta.optimizer).optimizer().map(Self::Optimizer));
        }
        if meta.class.is_empty() {
            let loss = Self::of_loss(&meta.case).map(Self::Loss);
            return Ok(loss.or_else(|| {
                let function = transport::check(case)
                    .or_else(|| pooling::check(case))
                    .or_else(|| mixture::check(case))
                    .or_else(|| kinds::check(case));
                function.map(Self::Function)
            }));
        }
        Ok(layers::layer(&Printed::of_class(&meta.class), case)?.map(Self::Layer))
    }

    fn of_loss(case: &str) -> Option<Loss> {
        match case {
            "cross_entropy" => Some(Loss::CrossEntropy),
            "bce_logits" => Some(Loss::BinaryCrossEntropy),
            "mse" => Some(Loss::MeanSquaredError),
            "l1" => Some(Loss::MeanAbsoluteError),
            "huber" => Some(Loss::Huber { delta: 1.0 }),
            _ => None,
        }
    }

    /// Runs a case and finds its worst array.
    fn check(self, case: &Case) -> Result<Deviation> {
        let mut comparison = Comparison::default();
        match self {
            Self::Layer(layer) => layers::check(case, layer, &mut comparison)?,
            Self::Loss(loss) => training::check_loss(case, loss, &mut comparison)?,
            Self::Optimizer(optimizer) => training::check_optimizer(case, optimizer, &mut comparison)?,
            Self::Function(check) => check(case, &mut comparison)?,
        }
        comparison.worst()
    }
}

/// Keeps the worst of the arrays compared.
#[derive(Default)]
struct Comparison {
    worst: Option<Deviation>,
}

impl Comparison {
    fn worst(self) -> Result<Deviation> {
        self.worst.ok_or_else(|| "there was nothing to compare".into())
    }

    fn compare(&mut self, array: &str, found: &Array2<f64>, expected: &Array2<f64>) {
        self.compare_above(f64::MIN_POSITIVE, array, found, expected);
    }

    /// Compares an array whose largest number counts as `floor` if it is smaller.
    fn compare_above(&mut self, floor: f64, array: &str, found: &Array2<f64>, expected: &Array2<f64>) {
        let error = relative_error(found, expected, floor);
        if self.worst.as_ref().is_none_or(|worst| error > worst.error) {
            self.worst = Some(Deviation { array: array.to_owned(), error });
        }
    }
}

/// What the largest number of a gradient counts as at least, where those of the outputs are about `scale`.
///
/// Some gradients are 0 by their formula, such as that of a bias which shifts all scores of a softmax alike. The
/// reference holds the rounding errors of 64 bits there, by which nothing can be measured.
fn floor_of_zeros(expected: &Array2<f64>, scale: f64) -> f64 {
    const ROUNDING: f64 = 1e-13;
    let is_zero = expected.iter().all(|number| number.abs() < ROUNDING * scale);
    if is_zero { scale } else { f64::MIN_POSITIVE }
}

/// The test of the test: what it must not let pass.
mod harness {
    use super::*;
    use case::WeightFormula;
    use connectome_systems::kernels::Activation;
    use ndarray::{Array1, array};
    use ndarray_npy::WriteNpyExt;
    use std::{fs::File, io::Write};

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
    fn only_rounding_errors_count_as_zeros() {
        assert_eq!(floor_of_zeros(&array![[1e-16, -3e-15]], 2.0), 2.0);
        assert_eq!(floor_of_zeros(&array![[1e-16, -3e-12]], 2.0), f64::MIN_POSITIVE);
        assert_eq!(floor_of_zeros(&array![[1e-16, f64::NAN]], 2.0), f64::MIN_POSITIVE);
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
        let activation = |class: &str| Printed::of_class(class).activation();
        assert_eq!(activation("GELU(approximate='tanh')"), None);
        assert_eq!(activation("Softplus(beta=2.0, threshold=20.0)"), None);
        assert_eq!(activation("ELU(alpha=0.5)"), Some(Activation::Elu(0.5)));
        let rmsprop = |centered: &str| {
            let text = format!(
                "RMSprop (\n    alpha: 0.9\n    centered: {centered}\n    eps: 1e-06\n    lr: 0.1\n    momentum: 0\n    weight_decay: 0\n)"
            );
            Printed::of_optimizer(&text).optimizer()
        };
        assert_eq!(rmsprop("True"), None);
        let known = Optimizer::RmsProp { learning_rate: 0.1, decay: 0.9, epsilon: 1e-6, weight_decay: 0.0 };
        assert_eq!(rmsprop("False"), Some(known));
    }
}
