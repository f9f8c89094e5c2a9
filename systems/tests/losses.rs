//! Every loss is what its formula says, on rows of any kind.
//!
//! The formula of each is written here a second time, in 64-bit floats, and is differentiated by central differences.
//! The rows are plain entities of this test, neither nodes nor edges, half of them in a second table. A failure names
//! the loss and by how much it is off.

use crate::common;

use bevy_ecs::{component::Component, entity::Entity, world::World};
use common::{few_cases, numbers, relative_error};
use connectome_components::{ClassLabel, Field, Loss, Metrics, SoftmaxGroups, Split, attach_fields};
use connectome_systems::{LossError, Targets, Workers, loss_and_gradient, measure};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

/// Marks the rows.
#[derive(Component, Default)]
struct Row;

/// Marks the rows of the second table.
#[derive(Component)]
struct Apart;

const SPLITS: [Split; 4] = [Split::Unused, Split::Train, Split::Validation, Split::Test];

/// Outputs and targets of some rows, in the order in which they lie.
#[derive(Clone, Debug)]
struct Case {
    loss: Loss,
    output: Array2<f64>,
    /// For classes only the first number of a row counts.
    target: Array2<f64>,
    splits: Vec<Split>,
}

fn losses(delta: f32) -> [Loss; 5] {
    [
        Loss::CrossEntropy,
        Loss::BinaryCrossEntropy,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::Huber { delta },
    ]
}

/// The same, and the loss of sets of answers in groups of outputs of this width.
fn losses_of_width(delta: f32, width: usize) -> Vec<Loss> {
    let following = (width / 3) as u32;
    let groups = SoftmaxGroups { repeats: 1, leading: width as u32 - 2 * following, following: 2, width: following };
    losses(delta).into_iter().chain([Loss::SetCrossEntropy(groups)]).collect()
}

impl Case {
    /// Outputs and targets are numbers that floats hold exactly: where they cancel, rounding them would be all that is left.
    fn new(loss: Loss, shape: (usize, usize), reach: f32, seed: u64, split: impl Fn(usize) -> Split) -> Self {
        let reached = |numbers: &Array2<f64>| numbers.mapv(|number| f64::from(reach * number as f32));
        let (output, given) = (reached(&numbers(seed, 0, shape)), numbers(seed, 1, shape));
        let target = match loss {
            Loss::CrossEntropy => given.mapv(|number| (0.5 * (number + 1.0) * shape.1 as f64).floor()),
            Loss::BinaryCrossEntropy => given.mapv(|number| if number > 0.2 { 1.0 } else { 0.0 }),
            Loss::SetCrossEntropy(_) => given.mapv(|number| if number > 0.2 { 1.0 } else { (number + 0.5).floor() }),
            _ => reached(&given),
        };
        Self { loss, output, target, splits: (0..shape.0).map(split).collect() }
    }

    fn rows_of(&self, split: Split) -> Vec<usize> {
        (0..self.splits.len()).filter(|row| self.splits[*row] == split).collect()
    }

    /// The loss over the rows of one split; NaN if there are none.
    fn loss(&self, output: &Array2<f64>, split: Split) -> f64 {
        let rows = self.rows_of(split);
        let (output, target) = (output.select(Axis(0), &rows), self.target.select(Axis(0), &rows));
        if self.loss == Loss::CrossEntropy {
            let costs = output
                .rows()
                .into_iter()
                .zip(target.rows())
                .map(|(output, target)| output.mapv(f64::exp).sum().ln() - output[target[0] as usize]);
            return costs.sum::<f64>() / rows.len() as f64;
        }
        if let Loss::SetCrossEntropy(groups) = self.loss {
            let mut costs = Vec::new();
            for (output, target) in output.rows().into_iter().zip(target.rows()) {
                for group in groups.ranges() {
                    let sum = |least: f64| {
                        let members = group.clone().filter(|column| target[*column] >= least);
                        members.map(|column| output[column].exp()).sum::<f64>()
                    };
                    if sum(1.0) > 0.0 {
                        costs.push(sum(0.0).ln() - sum(1.0).ln());
                    }
                }
            }
            return costs.iter().sum::<f64>() / costs.len() as f64;
        }
        let cost = |(z, y): (&f64, &f64)| match self.loss {
            Loss::BinaryCrossEntropy => {
                let sigmoid = 1.0 / (1.0 + (-z).exp());
                -y * sigmoid.ln() - (1.0 - y) * (1.0 - sigmoid).ln()
            }
            Loss::MeanSquaredError => (z - y).powi(2),
            Loss::Huber { delta } if (z - y).abs() <= f64::from(delta) => 0.5 * (z - y).powi(2),
            Loss::Huber { delta } => f64::from(delta) * ((z - y).abs() - 0.5 * f64::from(delta)),
            _ => (z - y).abs(),
        };
        output.iter().zip(&target).map(cost).sum::<f64>() / target.len() as f64
    }

    fn gradient(&self) -> Array2<f64> {
        const STEP: f64 = 1e-5;
        // A loss of no terms is NaN, and does not depend on the output.
        let is_empty = self.loss(&self.output, Split::Train).is_nan();
        let mut moved = self.output.clone();
        Array2::from_shape_fn(self.output.dim(), |place| {
            if is_empty || self.splits[place.0] != Split::Train {
                return 0.0;
            }
            let mut value = |step: f64| {
                moved[place] = self.output[place] + step;
                self.loss(&moved, Split::Train)
            };
            let difference = value(STEP) - value(-STEP);
            moved[place] = self.output[place];
            difference / (2.0 * STEP)
        })
    }

    /// Whether no number is at a kink of the L1 loss, where there is no derivative.
    fn avoids_kinks(&self) -> bool {
        self.loss != Loss::MeanAbsoluteError
            || (&self.output - &self.target).iter().all(|difference| difference.abs() > 1e-4)
    }
}

/// A world with the rows of a case.
struct Scene {
    world: World,
    model: Entity,
    rows: Vec<Entity>,
    loss: Loss,
    output: Field,
    gradient: Field,
    targets: Targets,
}

impl Scene {
    /// The last `apart` rows are in a table of their own.
    fn new(case: &Case, apart: usize, workers: usize) -> Self {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers).unwrap());
        let model = world.spawn(Metrics::default()).id();
        let row = world.register_component::<Row>();
        let width = case.output.ncols();
        let output = Field::register(&mut world, "output", row, width).unwrap();
        let gradient = Field::register(&mut world, "gradient", row, width).unwrap();
        let targets = Targets::register(&mut world, case.loss, output).unwrap();
        // The first table is made first in any case.
        let first = world.spawn(Row).id();
        attach_fields(&mut world, row);
        let mut rows = vec![first];
        for number in 1..=case.splits.len() {
            let entity = world.spawn(Row).id();
            if number + apart > case.splits.len() {
                world.entity_mut(entity).insert(Apart);
            }
            rows.push(entity);
        }
        attach_fields(&mut world, row);
        world.despawn(rows.remove(0));
        let mut scene = Self { world, model, rows, loss: case.loss, output, gradient, targets };
        scene.fill(case);
        scene
    }

    fn fill(&mut self, case: &Case) {
        for (number, row) in self.rows.iter().enumerate() {
            let floats =
                |numbers: &Array2<f64>| -> Vec<f32> { numbers.row(number).iter().map(|x| *x as f32).collect() };
            self.output.set(&mut self.world, *row, &floats(&case.output)).unwrap();
            self.gradient.set(&mut self.world, *row, &vec![f32::NAN; case.output.ncols()]).unwrap();
            match self.targets {
                Targets::Classes { labels, .. } => {
                    labels.set(&mut self.world, *row, &[ClassLabel(case.target[[number, 0]] as u32)]).unwrap();
                }
                Targets::Indices { labels, .. } => {
                    labels.set(&mut self.world, *row, &[case.target[[number, 0]] as u32]).unwrap();
                }
                Targets::Values { values, .. } => {
                    values.set(&mut self.world, *row, &floats(&case.target)).unwrap();
                }
            }
            self.targets.splits().set(&mut self.world, *row, &[case.splits[number]]).unwrap();
        }
    }

    fn metrics(&self) -> Metrics {
        self.world.get::<Metrics>(self.model).unwrap().clone()
    }

    fn train(&mut self) -> Metrics {
        let Self { model, loss, output, gradient, targets, .. } = *self;
        let mut system = loss_and_gradient(&mut self.world, model, loss, output, gradient, targets).unwrap();
        system.initialize(&mut self.world);
        system.run((), &mut self.world).unwrap();
        self.metrics()
    }

    fn measure(&mut self) -> Metrics {
        let Self { model, loss, output, targets, .. } = *self;
        let mut system = measure(&mut self.world, model, loss, output, targets).unwrap();
        system.initialize(&mut self.world);
        system.run((), &mut self.world).unwrap();
        self.metrics()
    }

    fn gradients(&self) -> Array2<f64> {
        let rows = self.rows.iter().map(|row| self.gradient.get(&self.world, *row).unwrap());
        let numbers = rows.flatten().map(|number| f64::from(*number)).collect();
        Array2::from_shape_vec((self.rows.len(), self.gradient.width()), numbers).unwrap()
    }

    fn gradient_bits(&self) -> Vec<u32> {
        self.rows.iter().flat_map(|row| self.gradient.get(&self.world, *row).unwrap()).map(|x| x.to_bits()).collect()
    }
}

fn assert_near(what: &str, found: f64, expected: f64) -> Result<(), TestCaseError> {
    let error = (found - expected).abs() / expected.abs().max(0.1);
    prop_assert!(error < 1e-5 || found.is_nan() && expected.is_nan(), "{what}: {found} and not {expected}");
    Ok(())
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn every_loss_and_its_gradient_are_those_of_the_formula(
        shape in (1..=40usize, 1..=40usize), apart in 0..=40usize, reach in 0.2..6.0f32, delta in 0.2..3.0f32, seed: u64,
    ) {
        for loss in losses_of_width(delta, shape.1) {
            let case = Case::new(loss, shape, reach, seed, |row| SPLITS[(row + seed as usize % 4) % 4]);
            prop_assume!(case.avoids_kinks());
            let mut scene = Scene::new(&case, apart.min(shape.0), 1);
            let trained = scene.train();
            assert_near(&format!("{loss:?} in training"), trained.of(Split::Train).loss().into(), case.loss(&case.output, Split::Train))?;
            let (found, expected) = (scene.gradients(), case.gradient());
            // The terms of a gradient are around 1 / the number of costs, and may cancel: with a single class it is 0.
            let costs = shape.1 * case.rows_of(Split::Train).len();
            let error = relative_error(&found, &expected, 1.0 / costs.max(1) as f64);
            prop_assert!(error < 1e-5, "{loss:?}: the gradient is off by {error:e}:\n{found}\nand not\n{expected}");
            let measured = scene.measure();
            for split in [Split::Train, Split::Validation, Split::Test] {
                let loss = case.loss(&case.output, split);
                assert_near(&format!("{:?} on {split:?}", case.loss), measured.of(split).loss().into(), loss)?;
            }
            prop_assert_eq!(measured.of(Split::Unused), Default::default());
        }
    }
}

#[test]
fn counts_and_accuracies_are_those_of_rows_or_of_numbers() {
    let case = |loss| Case::new(loss, (90, 3), 2.0, 7, |row| SPLITS[row % 4]);
    for loss in losses(1.0) {
        let case = case(loss);
        let train = Scene::new(&case, 0, 1).measure().of(Split::Train);
        let rows = case.rows_of(Split::Train);
        let terms = if loss.is_classification() { rows.len() } else { 3 * rows.len() };
        assert_eq!(train.count, terms as u64, "{loss:?}");
        let pairs = || rows.iter().flat_map(|row| case.output.row(*row).into_iter().zip(case.target.row(*row)));
        let correct = match loss {
            Loss::CrossEntropy => rows
                .iter()
                .filter(|row| {
                    let output = case.output.row(**row);
                    output.iter().all(|number| *number <= output[case.target[[**row, 0]] as usize])
                })
                .count(),
            Loss::BinaryCrossEntropy => pairs().filter(|(z, y)| (**z > 0.0) == (**y == 1.0)).count(),
            _ => 0,
        };
        assert_eq!(train.correct, correct as u64, "{loss:?}");
        let distance = pairs().map(|(z, y)| (z - y).abs()).sum::<f64>() / terms as f64;
        if matches!(loss, Loss::CrossEntropy | Loss::BinaryCrossEntropy) {
            assert_eq!(train.accuracy(), correct as f32 / terms as f32, "{loss:?}");
            assert!(train.mean_absolute_error().is_nan(), "{loss:?}");
        } else {
            assert!(train.accuracy().is_nan(), "{loss:?}");
            assert!((f64::from(train.mean_absolute_error()) - distance).abs() < 1e-6, "{loss:?}");
        }
        assert_eq!(train.area_under_curve, None, "{loss:?}: three logits have no order");
    }
}

#[test]
fn single_logits_have_an_area_under_the_curve_on_every_split() {
    let mut case = Case::new(Loss::BinaryCrossEntropy, (2000, 1), 1.0, 3, |row| SPLITS[row % 3]);
    // Few levels make many ties.
    case.output.mapv_inplace(|number| (number * 20.0).round() / 20.0);
    let mut scene = Scene::new(&case, 700, 1);
    let metrics = scene.measure();
    for split in [Split::Train, Split::Validation] {
        let rows = case.rows_of(split);
        let (mut won, mut pairs) = (0.0, 0.0);
        for positive in rows.iter().filter(|row| case.target[[**row, 0]] == 1.0) {
            for negative in rows.iter().filter(|row| case.target[[**row, 0]] == 0.0) {
                let difference = case.output[[*positive, 0]] - case.output[[*negative, 0]];
                won += if difference > 0.0 {
                    1.0
                } else if difference == 0.0 {
                    0.5
                } else {
                    0.0
                };
                pairs += 1.0;
            }
        }
        assert_eq!(metrics.of(split).area_under_curve, Some(won / pairs), "{split:?}");
    }
    assert_eq!(metrics.of(Split::Test).area_under_curve, None);
    assert_eq!(scene.train().of(Split::Train).area_under_curve, None, "it is not sorted for in training");
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    for (loss, width) in
        [5, 33, 1].into_iter().flat_map(|width| losses_of_width(0.7, width).into_iter().map(move |loss| (loss, width)))
    {
        let case = Case::new(loss, (9000, width), 3.0, 11, |row| SPLITS[row % 3 + 1]);
        let trace = |workers| {
            let mut scene = Scene::new(&case, 1234, workers);
            let sums = |metrics: Metrics| metrics.heads[0].splits.map(|split| (split.loss_sum.to_bits(), split));
            (sums(scene.train()), scene.gradient_bits(), sums(scene.measure()))
        };
        let one = trace(1);
        for workers in [2, 3, 8] {
            assert!(trace(workers) == one, "{loss:?} {width} wide: {workers} workers give other bits than one");
        }
    }
}

#[test]
fn without_training_rows_the_loss_is_nan_and_nothing_is_to_be_moved() {
    for loss in losses_of_width(1.0, 4) {
        for rows in [0, 5] {
            let case = Case::new(loss, (rows, 4), 1.0, 5, |_| Split::Test);
            let mut scene = Scene::new(&case, 0, 1);
            let train = scene.train().of(Split::Train);
            assert!(train.loss().is_nan() && train.accuracy().is_nan(), "{loss:?}");
            assert!(scene.gradients().iter().all(|number| *number == 0.0), "{loss:?}");
            assert_eq!(scene.measure().of(Split::Test).loss().is_nan(), rows == 0, "{loss:?}");
        }
    }
}

#[test]
fn a_label_that_is_no_column_makes_the_loss_nan() {
    let mut case = Case::new(Loss::CrossEntropy, (6, 3), 1.0, 5, |_| Split::Train);
    case.target[[4, 0]] = 3.0;
    let mut scene = Scene::new(&case, 0, 1);
    assert!(scene.train().of(Split::Train).loss().is_nan());
    assert!(scene.gradients().iter().all(|number| number.is_finite()));
}

#[test]
fn rows_without_targets_yet_are_not_read() {
    let case = Case::new(Loss::MeanAbsoluteError, (6, 3), 1.0, 5, |_| Split::Train);
    let mut scene = Scene::new(&case, 0, 1);
    scene.targets = Targets::register(&mut scene.world, Loss::MeanAbsoluteError, scene.output).unwrap();
    assert!(scene.train().of(Split::Train).loss().is_nan());
    let measured = scene.measure();
    assert!(SPLITS.iter().all(|split| measured.of(*split) == Default::default()));
}

#[test]
fn fields_that_do_not_fit_are_refused() {
    let case = Case::new(Loss::MeanSquaredError, (2, 3), 1.0, 5, |_| Split::Train);
    let Scene { mut world, model, output, gradient, targets, .. } = Scene::new(&case, 0, 1);
    let mut attempt = |loss, targets| loss_and_gradient(&mut world, model, loss, output, gradient, targets).err();
    assert_eq!(attempt(Loss::MeanAbsoluteError, targets), None);
    assert_eq!(attempt(Loss::CrossEntropy, targets), Some(LossError::WrongKind { loss: Loss::CrossEntropy }));
    assert_eq!(attempt(Loss::Huber { delta: 0.0 }, targets), Some(LossError::Delta(0.0)));
    let groups = SoftmaxGroups { repeats: 1, leading: u32::MAX, following: u32::MAX, width: u32::MAX };
    let error = attempt(Loss::SetCrossEntropy(groups), targets).unwrap();
    assert!(matches!(error, LossError::Groups { .. }), "{error}");
    assert!(matches!(attempt(Loss::Huber { delta: f32::NAN }, targets), Some(LossError::Delta(_))));
    let (row, apart) = (world.register_component::<Row>(), world.register_component::<Apart>());
    let splits = targets.splits();
    let narrow = Field::register(&mut world, "narrow", row, 2).unwrap();
    let elsewhere = Field::register(&mut world, "elsewhere", apart, 3).unwrap();
    let refused = |world: &mut World, values| {
        measure(world, model, Loss::MeanAbsoluteError, output, Targets::Values { values, splits })
            .err()
            .map(|error| error.to_string())
    };
    let message = "`narrow` has width 2, but needs 3 for the output `output`; change its width";
    assert_eq!(refused(&mut world, narrow).as_deref(), Some(message));
    let message = "`elsewhere` is on other entities than the output `output`; register it for the domain of the output";
    assert_eq!(refused(&mut world, elsewhere).as_deref(), Some(message));
    assert!(loss_and_gradient(&mut world, model, Loss::MeanAbsoluteError, output, narrow, targets).is_err());
}
