//! What the parts of a training step cost, each by itself and all together, against a schedule that does nothing.
//!
//! The ids are `group/case/size/workers`:
//! - `forward` runs the whole of `Infer`,
//! - `backward` runs the systems of `Train` from the gradient of the output to the gradients of all parameters,
//! - `optimizer` those that move the parameters,
//! - `train` the whole of `Train`: forward, loss, backward, Adam,
//! - `two_models` a step of training of each of two models with one worker each: `apart` by their own schedules, `together` in
//!   one schedule on two threads,
//! - `empty` as many systems as `Train` has, which do nothing.
//!
//! `cargo bench --bench schedules -- train/power_law_64` measures a part of them.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::{prelude::*, schedule::ScheduleLabel};
use bevy_tasks::{ComputeTaskPool, TaskPoolBuilder};
use common::{Empty, Links, adam, graph_convolutions, hurry, leave_out, measure, prepare, thousands};
use connectome::{prelude::*, spawn, systems::add_model_to_schedule};
use criterion::{Criterion, criterion_group, criterion_main};

/// A graph and the widths of a network over it: input, hidden, classes.
struct Case {
    /// `case/size` of the id.
    name: String,
    nodes: usize,
    edges: usize,
    links: fn(usize, usize) -> Links,
    widths: [usize; 3],
}

impl Case {
    /// The model that is measured, in a world of its own.
    fn model(&self, learns: bool) -> (World, Entity) {
        let (mut world, graph) = (self.links)(self.nodes, self.edges).world(self.widths[2]);
        let mut builder = graph_convolutions(graph, self.widths);
        if learns {
            builder = builder.optimizer(adam());
        }
        let model = builder.build(&mut world).expect("the model fits the graph");
        prepare(&mut world, model, Infer(model));
        (world, model)
    }

    /// Part of a training step: it reads what a whole step has left behind.
    fn part(&self, wanted: fn(GraphSystems) -> bool) -> (World, Train) {
        let (mut world, model) = self.model(true);
        world.train(model).unwrap();
        leave_out(&mut world, Train(model), GraphSystems::ALL.into_iter().filter(|phase| !wanted(*phase)));
        (world, Train(model))
    }

    fn forward(&self, criterion: &mut Criterion) {
        self.measure(criterion, "forward", || {
            let (world, model) = self.model(false);
            (world, Infer(model))
        });
    }

    fn backward(&self, criterion: &mut Criterion) {
        self.measure(criterion, "backward", || self.part(|phase| phase == GraphSystems::Backward));
    }

    fn optimizer(&self, criterion: &mut Criterion) {
        self.measure(criterion, "optimizer", || self.part(|phase| phase == GraphSystems::Optimize));
    }

    fn train(&self, criterion: &mut Criterion) {
        self.measure(criterion, "train", || self.part(|_| true));
    }

    fn empty(&self, criterion: &mut Criterion) {
        self.measure(criterion, "empty", || {
            let (mut world, model) = self.model(true);
            let empty = Empty::beside(&mut world, Train(model));
            (world, empty)
        });
    }

    fn measure<L: ScheduleLabel>(&self, criterion: &mut Criterion, group: &str, build: impl Fn() -> (World, L)) {
        let mut group = criterion.benchmark_group(group);
        hurry(&mut group);
        measure(&mut group, &self.name, self.edges, build);
        group.finish();
    }
}

fn ring(nodes: usize, edges: usize) -> Links {
    Links::ring(nodes, edges / nodes)
}

fn power_law(nodes: usize, edges: usize) -> Links {
    Links::power_law(nodes, edges, 0.7)
}

/// Rings and power laws of degree 8, at three sizes and three widths.
fn generated_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for nodes in [1_000, 10_000, 100_000] {
        for (shape, links) in [("ring", ring as fn(usize, usize) -> Links), ("power_law", power_law)] {
            for width in [16, 64, 256] {
                cases.push(Case {
                    name: format!("{shape}_{width}/{}", thousands(nodes)),
                    nodes,
                    edges: 8 * nodes,
                    links,
                    widths: [width; 3],
                });
            }
        }
    }
    cases
}

/// Cora itself by the recipe of its scene: sparse features, dropout, 140 training nodes.
fn cora_scene(criterion: &mut Criterion) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/cora.ron");
    let (scene, data) = SceneFile::load(path).expect("the scene is part of the repository");
    let mut group = criterion.benchmark_group("train");
    hurry(&mut group);
    measure(&mut group, "scene/cora", data.edges.len(), || {
        let mut world = World::new();
        let entities = spawn(&mut world, &scene, &data, 0).expect("the scene is valid");
        (world, Train(entities.model))
    });
    group.finish();
}

/// The schedule that two models share.
#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Both;

/// Two models on one graph, each with a single worker, beside each other by the scheduler alone.
fn two_models(criterion: &mut Criterion) {
    ComputeTaskPool::get_or_init(|| TaskPoolBuilder::new().num_threads(2).build());
    let mut group = criterion.benchmark_group("two_models");
    hurry(&mut group);
    for (nodes, together) in [2_000, 10_000].into_iter().flat_map(|nodes| [(nodes, false), (nodes, true)]) {
        let (mut world, graph) = power_law(nodes, 8 * nodes).world(64);
        let models = [1, 2].map(|seed| {
            let model = graph_convolutions(graph, [64; 3]).seed(seed).optimizer(adam());
            model.build(&mut world).expect("the model fits the graph")
        });
        for model in models {
            prepare(&mut world, model, Infer(model));
            if together {
                add_model_to_schedule(&mut world, Both, Train(model))
                    .expect("models on columns of their own do not race");
            }
        }
        let name = if together { "together" } else { "apart" };
        group.bench_function(format!("power_law_64/{}/{name}", thousands(nodes)), |bencher| {
            bencher.iter(|| {
                if together {
                    world.run_model(Both).unwrap();
                } else {
                    models.iter().for_each(|model| world.run_model(Train(*model)).unwrap());
                }
            });
        });
    }
    group.finish();
}

fn generated(criterion: &mut Criterion) {
    for case in generated_cases() {
        case.forward(criterion);
        case.backward(criterion);
        case.train(criterion);
        // What does not depend on the graph is measured on the smallest.
        if case.nodes == 1_000 && case.name.starts_with("ring") {
            case.optimizer(criterion);
            case.empty(criterion);
        }
    }
}

criterion_group!(benches, generated, cora_scene, two_models);
criterion_main!(benches);
