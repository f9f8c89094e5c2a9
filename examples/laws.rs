//! Two laws of motion, mixed and not told.
//!
//! Systems of five particles, some of which are bound: in one half of the systems by springs, in the other by their charges.
//! A mixture of two experts learns how velocities change. Which law holds nobody says; the experts compete for systems, the more
//! sharply the longer they have learned, and a gate that sees a system finds out which of them predicts it best. Beside it learn a single model of an expert's size, and one of as many weights
//! as gate and experts together.
//!
//! Run it with `cargo run --release --example laws`.

#[path = "laws/simulation.rs"]
mod simulation;

use bevy_ecs::prelude::*;
use connectome::{
    components::LearningRateSchedule,
    prelude::*,
    systems::{DryRun, remove_expert},
};
use simulation::{Law, Motion, NextChange};

/// The hidden width of an expert.
const WIDTH: usize = 32;

/// How sharply experts compete in the last step: about one half by the variance of their errors.
const SHARPNESS: f32 = 20.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(1000), |steps| steps.parse())?;
    for seed in 0..3 {
        let report = learn(seed, steps, 1000)?;
        println!("seed {seed}: {report}");
    }
    Ok(())
}

/// What was learned, measured on systems that were not there in training.
#[derive(Debug)]
pub(crate) struct Report {
    /// The mean squared error of the mixture, of a model of an expert's size, and of one of as many weights as the mixture.
    pub(crate) errors: [f64; 3],
    /// The weights of each.
    pub(crate) parameters: [usize; 3],
    /// The normalized mutual information of law and expert.
    pub(crate) information: f64,
    /// The error of the mixture for springs and for charges, with both experts and without the first.
    pub(crate) by_law: [[f64; 2]; 2],
}

impl std::fmt::Display for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([mixture, one, wide], [weights, small, large]) = (self.errors, self.parameters);
        writeln!(formatter, "normalized mutual information of law and expert {:.3}", self.information)?;
        writeln!(formatter, "  error of the mixture, {weights} weights: {mixture:.5}")?;
        writeln!(formatter, "  of one model of an expert's size, {small} weights: {one:.5}")?;
        writeln!(formatter, "  of one model of {large} weights: {wide:.5}")?;
        let [[springs, charges], [springs_without, charges_without]] = self.by_law;
        write!(
            formatter,
            "  for springs {springs:.5}, without expert 0 {springs_without:.5}; for charges {charges:.5}, without it \
             {charges_without:.5}"
        )
    }
}

/// A network that predicts the change of a particle's velocity.
fn network(graph: Entity, width: usize, seed: u64, steps: u64) -> ModelBuilder {
    let messages = EdgeConv::new(Mlp::new([width, width])).with_aggregation(Reduction::Sum);
    optimized(ModelBuilder::new(graph).reads::<Motion>().seed(seed).layer(messages).layer(Linear::new(2)), steps)
}

fn optimized(model: ModelBuilder, steps: u64) -> ModelBuilder {
    let cosine = LearningRateSchedule::Cosine { steps, final_factor: 0.01 };
    model.optimizer(Optimizer::adam(0.01)).learning_rate_schedule(cosine)
}

fn gate(graph: Entity, seed: u64, steps: u64) -> ModelBuilder {
    let messages = EdgeConv::new(Mlp::new([24, 24])).with_aggregation(Reduction::Sum);
    // Forces beside the last change of the velocity, to be compared.
    let forces = Residual::new(vec![messages]).with_shortcut();
    let gate = ModelBuilder::new(graph).reads::<Motion>().seed(seed + 100).layer(forces).layer(Activation::Relu);
    let gate = gate.layer(Linear::new(24)).layer(Activation::Relu).layer(Readout::Mean);
    optimized(gate, steps)
}

/// Trains the three models on a number of systems, for a number of steps.
pub(crate) fn learn(seed: u64, steps: u64, systems: usize) -> Result<Report, Box<dyn std::error::Error>> {
    let mut world = World::new();
    let graph = Graph::of::<Motion, Edge>(&mut world);
    simulation::spawn(&mut world, systems, Split::Train, 2 * seed + 1);
    let tested = simulation::spawn(&mut world, systems, Split::Test, 2 * seed + 2);
    world.insert_resource(Workers::new(0)?);

    let model = optimized(ModelBuilder::new(graph), steps);
    let builder = MixtureBuilder::new(
        gate(graph, seed, steps),
        model.learns::<NextChange>(Loss::MeanSquaredError, Optimizer::adam(0.01)),
    )
    .expert(network(graph, WIDTH, seed, steps).name("expert 0"))
    .expert(network(graph, WIDTH, seed, steps).name("expert 1"))
    // Both experts are needed; without it one of them may learn both laws.
    .loss_weights(GateLosses { importance: 1.0, ..GateLosses::default() });
    let mixture = world.spawn_mixture(builder)?;
    let count = |model: DryRun| model.parameter_count();
    let gated = gate(graph, seed, steps).layer(Linear::new(2)).dry_run()?;
    let small = count(network(graph, WIDTH, seed, steps).dry_run()?);
    let all = count(gated) + 2 * small;
    // The width with as many weights.
    let mut width = WIDTH;
    while count(network(graph, width + 1, seed, steps).dry_run()?) <= all {
        width += 1;
    }
    let large = count(network(graph, width, seed, steps).dry_run()?);
    let mut alone = |width: usize| {
        let network = network(graph, width, seed, steps);
        world.spawn_model(network.learns::<NextChange>(Loss::MeanSquaredError, Optimizer::adam(0.01)))
    };
    let models = [mixture, alone(WIDTH)?, alone(width)?];

    for step in 1..=steps {
        // Experts that competed sharply from the start would leave all to the first one that is better at both laws.
        let mut mixture = world.get_mut::<MixtureOfExperts>(mixture).ok_or("it is a mixture")?;
        mixture.competition = Some(SHARPNESS * step as f32 / steps as f32);
        for model in models {
            world.train(model)?;
        }
    }
    let mut errors = [0.0; 3];
    for (model, error) in models.into_iter().zip(&mut errors) {
        world.evaluate(model)?;
        *error = world.get::<Metrics>(model).ok_or("it is measured")?.of(Split::Test).loss().into();
    }
    let information = information(&world, mixture, &tested)?;
    let complete = errors_by_law(&mut world, mixture, &tested)?;
    remove_expert(&mut world, mixture, 0)?;
    let without = errors_by_law(&mut world, mixture, &tested)?;
    Ok(Report { errors, parameters: [all, small, large], information, by_law: [complete, without] })
}

/// The normalized mutual information of the law of a system and the expert with the largest weight: 1 if each law has an
/// expert of its own, 0 if the choice says nothing about the law.
fn information(world: &World, mixture: Entity, systems: &[Entity]) -> Result<f64, Box<dyn std::error::Error>> {
    let weights = world.get::<MixtureOfExperts>(mixture).ok_or("it is no mixture")?.weights;
    let mut shares = [[0.0; 2]; 2];
    for system in systems {
        let law = *world.get::<Law>(*system).ok_or("a system has a law")?;
        let weights = weights.get(world, *system)?;
        shares[law as usize][usize::from(weights[1] > weights[0])] += 1.0 / systems.len() as f64;
    }
    let entropy = |shares: [f64; 2]| -> f64 {
        -shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum::<f64>()
    };
    let laws = shares.map(|[one, other]| one + other);
    let experts = [0, 1].map(|expert| shares[0][expert] + shares[1][expert]);
    let (of_laws, of_experts) = (entropy(laws), entropy(experts));
    let joint = entropy(shares[0]) + entropy(shares[1]);
    Ok(if of_experts == 0.0 { 0.0 } else { 2.0 * (of_laws + of_experts - joint) / (of_laws + of_experts) })
}

/// The mean squared error for springs and for charges.
fn errors_by_law(
    world: &mut World,
    mixture: Entity,
    systems: &[Entity],
) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    world.infer(mixture)?;
    let output = world.get::<Model>(mixture).ok_or("it is a model")?.output;
    let mut nodes = world.query::<(Entity, &InSubgraph, &NextChange)>();
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for (node, InSubgraph(system), NextChange(change)) in nodes.iter(world) {
        let Some(law) = world.get::<Law>(*system).filter(|_| systems.contains(system)) else { continue };
        for (found, expected) in output.get(world, node)?.iter().zip(change) {
            sums[*law as usize] += f64::from(found - expected).powi(2);
            counts[*law as usize] += 1.0;
        }
    }
    Ok([0, 1].map(|law| sums[law] / counts[law]))
}
