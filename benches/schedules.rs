//! What the parts of a training step cost, each by itself and all together, against a schedule that does nothing.
//!
//! The ids are `group/case/size/workers`:
//! - `forward` runs the whole of `Infer`,
//! - `backward` runs the systems of `Train` from the gradient of the output to the gradients of all parameters,
//! - `optimizer` those that move the parameters,
//! - `train` the whole of `Train`: forward, loss, backward, Adam,
//! - `empty` as many systems as `Train` has, which do nothing.
//!
//! `cargo bench --bench schedules -- train/power_law_64` measures a part of them.

mod common;

use bevy_ecs::prelude::*;
use common::{Empty, Links, adam, graph_convolutions, hurry, leave_out, measure, prepare, thousands};
use connectome::prelude::*;
use criterion::{Criterion, criterion_group, criterion_main};

/// Layers of the network that is measured.
const LAYERS: usize = 3;

/// A graph and the widths of a network over it: input, hidden, classes.
struct Case {
    name: String,
    links: Links,
    widths: [usize; 3],
}

impl Case {
    fn id(&self) -> String {
        format!("{}/{}", self.name, thousands(self.links.nodes))
    }

    /// A world with a model that learns, all set for a run of `Train`.
    fn training_world(&self) -> (World, Entity) {
        let (mut world, graph) = self.links.world(self.widths[2]);
        let learner = graph_convolutions(graph, self.widths).learn(adam(), LearningRateSchedule::Constant);
        let model = learner.build(&mut world).expect("the model fits the graph");
        prepare(&mut world, model, Train(model));
        run(&mut world, Train(model));
        (world, model)
    }

    fn forward(&self, criterion: &mut Criterion) {
        let (mut world, graph) = self.links.world(self.widths[2]);
        let model = graph_convolutions(graph, self.widths).build(&mut world).expect("the model fits the graph");
        prepare(&mut world, model, Infer(model));
        self.measure(criterion, "forward", &mut world, Infer(model));
    }

    /// Backward and optimizer read what a whole step has left behind.
    fn backward(&self, criterion: &mut Criterion) {
        let (mut world, model) = self.training_world();
        let others = Phase::sequence(LAYERS).filter(|phase| !matches!(phase, Phase::Backward(_)));
        leave_out(&mut world, Train(model), others);
        self.measure(criterion, "backward", &mut world, Train(model));
    }

    fn optimizer(&self, criterion: &mut Criterion) {
        let (mut world, model) = self.training_world();
        leave_out(&mut world, Train(model), Phase::sequence(LAYERS).filter(|phase| *phase != Phase::Optimize));
        self.measure(criterion, "optimizer", &mut world, Train(model));
    }

    fn train(&self, criterion: &mut Criterion) {
        let (mut world, model) = self.training_world();
        self.measure(criterion, "train", &mut world, Train(model));
    }

    fn empty(&self, criterion: &mut Criterion) {
        let (mut world, model) = self.training_world();
        let systems = world.resource::<Schedules>().get(Train(model)).map_or(0, Schedule::systems_len);
        Empty(systems).build(&mut world);
        self.measure(criterion, "empty", &mut world, Empty(systems));
    }

    fn measure(
        &self,
        criterion: &mut Criterion,
        group: &str,
        world: &mut World,
        label: impl bevy_ecs::schedule::ScheduleLabel,
    ) {
        let mut group = criterion.benchmark_group(group);
        hurry(&mut group);
        measure(&mut group, &self.id(), self.links.edges.len(), world, label);
        group.finish();
    }
}

fn generated_cases() -> impl Iterator<Item = Case> {
    let sizes = [1_000, 10_000, 100_000].into_iter();
    let shaped = sizes.flat_map(|nodes| [("ring", nodes), ("power_law", nodes)]);
    shaped.flat_map(|(shape, nodes)| [16, 64, 256].map(|width| (shape, nodes, width))).map(|(shape, nodes, width)| {
        let links = match shape {
            "ring" => Links::ring(nodes, 8),
            _ => Links::power_law(nodes, 8 * nodes, 0.7),
        };
        Case { name: format!("{shape}_{width}"), links, widths: [width; 3] }
    })
}

/// The shape of Cora, with dense features and uniform edges, as peer libraries are measured.
fn dense_cora() -> Case {
    Case { name: "cora_dense".to_owned(), links: Links::power_law(2708, 10_556, 0.0), widths: [1433, 16, 7] }
}

/// The shape of ogbn-arxiv, with a hidden width of 256.
fn arxiv() -> Case {
    let links = Links::power_law(169_343, 2_332_486, 0.7);
    Case { name: "gcn".to_owned(), links, widths: [128, 256, 40] }
}

fn generated(criterion: &mut Criterion) {
    for case in generated_cases() {
        case.forward(criterion);
        case.backward(criterion);
        case.train(criterion);
        // What does not depend on the graph is measured on the smallest.
        if case.links.nodes == 1_000 && case.name.starts_with("ring") {
            case.optimizer(criterion);
            case.empty(criterion);
        }
    }
}

fn cora(criterion: &mut Criterion) {
    let case = dense_cora();
    case.forward(criterion);
    case.backward(criterion);
    case.optimizer(criterion);
    case.train(criterion);
    case.empty(criterion);
}

fn large(criterion: &mut Criterion) {
    arxiv().forward(criterion);
}

criterion_group!(benches, generated, cora, large);
criterion_main!(benches);
