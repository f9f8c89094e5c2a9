//! Graphs, worlds and models that the benchmarks share.

use bevy_ecs::{
    prelude::*,
    schedule::{ScheduleCleanupPolicy, ScheduleLabel, SingleThreadedExecutor},
};
use connectome::{prelude::*, systems::random::Philox};
use criterion::{BenchmarkGroup, BenchmarkId, SamplingMode, Throughput, measurement::WallTime};
use std::{collections::BTreeSet, time::Duration};

const SEED: u64 = 20_240_607;

/// How many workers share the rows of each stage.
pub const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

/// A directed graph by the numbers of its nodes: for each edge its source and its target.
pub struct Links {
    pub nodes: usize,
    pub edges: Vec<[u32; 2]>,
}

impl Links {
    /// Each node hears from the `degree` nodes before it.
    pub fn ring(nodes: usize, degree: usize) -> Self {
        let before = |node: usize, step: usize| [((node + nodes - step) % nodes) as u32, node as u32];
        let edges = (0..nodes).flat_map(|node| (1..=degree).map(move |step| before(node, step))).collect();
        Self { nodes, edges }
    }

    /// Pairs of nodes, linked both ways: one end uniform, the other with probability proportional to `rank^-exponent`.
    /// Ranks are dealt to the nodes at random; exponent 0 makes both endpoints uniform. Sorted by target, then source.
    pub fn power_law(nodes: usize, edges: usize, exponent: f64) -> Self {
        let mut total = 0.0;
        let mut cumulative = Vec::with_capacity(nodes);
        for rank in 1..=nodes {
            total += (rank as f64).powf(-exponent);
            cumulative.push(total);
        }
        let mut node_of: Vec<u32> = (0..nodes as u32).collect();
        let mut places = vec![0.0; nodes];
        Philox::new(SEED, 0, 0).fill_uniform(&mut places);
        for rank in (1..nodes).rev() {
            node_of.swap(rank, (f64::from(places[rank]) * (rank + 1) as f64) as usize);
        }
        let mut pairs = BTreeSet::new();
        let mut draws = [0.0; 3 * 1024];
        let mut step = 0;
        while 2 * pairs.len() < edges {
            Philox::new(SEED, 1, step).fill_uniform(&mut draws);
            step += 1;
            for draw in draws.map(f64::from).chunks_exact(3).take(edges / 2 - pairs.len()) {
                let first = (draw[0] * nodes as f64) as u32;
                // 24 random bits do not tell the last of many ranks apart; 48 do.
                let place = (draw[1] + draw[2] / f64::from(1 << 24)) * total;
                let second = node_of[cumulative.partition_point(|sum| *sum < place).min(nodes - 1)];
                if first != second {
                    pairs.insert([first.min(second), first.max(second)]);
                }
            }
        }
        let mut edges: Vec<[u32; 2]> = pairs.into_iter().flat_map(|[a, b]| [[a, b], [b, a]]).collect();
        edges.sort_unstable_by_key(|[source, target]| (*target, *source));
        Self { nodes, edges }
    }

    /// Spawns the graph into a world of its own. Every node has a label below `classes` and is there to train on.
    pub fn world(&self, classes: usize) -> (World, Entity) {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let label = move |node| ClassLabel((node % classes) as u32);
        let nodes: Vec<Entity> =
            world.spawn_batch((0..self.nodes).map(move |node| (GraphNode, label(node), Split::Train))).collect();
        let end = |number: u32| nodes[number as usize];
        let edges: Vec<Edge> =
            self.edges.iter().map(|[source, target]| Edge { source: end(*source), target: end(*target) }).collect();
        world.spawn_batch(edges);
        (world, graph)
    }
}

/// `GcnConv(hidden)`, `Relu`, `GcnConv(classes)`, the network that is measured everywhere.
pub fn graph_convolutions(graph: Entity, [input, hidden, classes]: [usize; 3]) -> ModelBuilder {
    ModelBuilder::new(graph)
        .input_width(input)
        .layer(GcnConv::new(hidden))
        .layer(Activation::Relu)
        .layer(GcnConv::new(classes))
}

/// Adam, as peer libraries are measured with.
pub fn adam() -> Optimizer {
    let (betas, epsilon) = ((0.9, 0.999), 1e-8);
    Optimizer::Adam { learning_rate: 0.01, betas, epsilon, amsgrad: false, weight_decay: 0.0 }
}

/// Runs the schedule once, so that nodes have their fields and the topology is derived; then gives every node features
/// of about the normal distribution.
pub fn prepare(world: &mut World, model: Entity, label: impl ScheduleLabel) {
    let label = label.intern();
    world.run_model(label).unwrap();
    if let Some(&Model { input: FeatureField::Dense(input), .. }) = world.get(model) {
        fill_normal(world, input);
        // What rests from then on is computed now.
        world.run_model(label).unwrap();
    }
}

/// Lets a system write into the model's input in each run, as a world does in which something happens: nothing that
/// follows from the input stays as it was.
pub fn stir(world: &mut World, model: Entity, label: impl ScheduleLabel) {
    let input = world.get::<Model>(model).expect("it is a model").input.values();
    let stir = (input.write(),).build_state(world).build_system(|mut input: ColumnMut| {
        if let Some([first, ..]) = input.matrix().rows_mut().next() {
            *first += 1.0;
        }
    });
    world.add_model_systems(label, stir.in_set(GraphSystems::Observe)).expect("no other system writes the input");
}

/// Gives every row of a field numbers of about the normal distribution.
pub fn fill_normal(world: &mut World, field: Field) {
    let mut draws = vec![0.0; 4 * field.width()];
    for (row, numbers) in field.matrix_mut(world).rows_mut().enumerate() {
        Philox::new(SEED, 2, row as u64).fill_uniform(&mut draws);
        for (number, draws) in numbers.iter_mut().zip(draws.chunks_exact(4)) {
            // The sum of four uniform numbers has the variance 1/3.
            *number = (draws.iter().sum::<f32>() - 2.0) * 3f32.sqrt();
        }
    }
}

/// Takes the systems of some phases out of a schedule, so that the others can be measured by themselves.
///
/// # Panics
/// If there is no such schedule, or no such phase in it.
pub fn leave_out(world: &mut World, label: impl ScheduleLabel, phases: impl IntoIterator<Item = GraphSystems>) {
    let label = label.intern();
    let mut schedule = world.resource_mut::<Schedules>().remove(label).expect("the schedule has been built");
    for phase in phases {
        schedule
            .remove_systems_in_set(phase, world, ScheduleCleanupPolicy::RemoveSystemsOnly)
            .expect("the phase is one of the schedule's");
    }
    world.resource_mut::<Schedules>().insert(schedule);
}

/// A schedule of so many systems that do nothing: what the executor costs alone.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Empty(pub usize);

impl Empty {
    /// Adds one to a world, with as many systems as the schedule `label` has.
    pub fn beside(world: &mut World, label: impl ScheduleLabel) -> Self {
        let systems = world.resource::<Schedules>().get(label).map_or(0, Schedule::systems_len);
        let mut schedule = Schedule::new(Self(systems));
        schedule.set_executor(SingleThreadedExecutor::new());
        for _ in 0..systems {
            schedule.add_systems(|| {});
        }
        world.resource_mut::<Schedules>().insert(schedule);
        Self(systems)
    }
}

/// Measures a schedule with each number of workers, under `group/case/size/workers`.
///
/// The world is built when the first of them is to run, so what a filter leaves out costs nothing.
pub fn measure<L: ScheduleLabel>(
    group: &mut BenchmarkGroup<WallTime>,
    name: &str,
    edges: usize,
    build: impl Fn() -> (World, L),
) {
    let mut built = None;
    group.throughput(Throughput::Elements(edges as u64));
    for count in WORKERS {
        let workers = Workers::new(count).expect("the machine has so many threads");
        group.bench_function(BenchmarkId::new(name, count), |bencher| {
            let (world, label) = built.get_or_insert_with(&build);
            world.insert_resource(workers.clone());
            let label = label.intern();
            bencher.iter(|| world.run_model(label).unwrap());
        });
    }
}

/// Few samples and little time: there are many cases, and the machine is warm after the first.
pub fn hurry(group: &mut BenchmarkGroup<WallTime>) {
    group
        .sample_size(10)
        .nresamples(2_000)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(300));
}

/// 1000 as `1k`.
pub fn thousands(number: usize) -> String {
    if number.is_multiple_of(1000) { format!("{}k", number / 1000) } else { number.to_string() }
}
