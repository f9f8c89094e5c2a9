//! What a network costs a world that runs in frames: one tick of inference over 1,000 nodes and 8,000 edges.
//!
//! The ids are `tick/case/size/workers`. `still` is a world whose edges rest; in `moving` one edge is rewired before
//! each tick, and the topology derived anew; `empty` is a schedule of as many systems that do nothing.

#[expect(dead_code, reason = "shared with benchmarks that need more")]
mod common;

use bevy_ecs::prelude::*;
use common::{Empty, Links, WORKERS, graph_convolutions, hurry, measure, prepare, thousands};
use connectome::prelude::*;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn tick(criterion: &mut Criterion) {
    let links = Links::ring(1_000, 8);
    let size = thousands(links.nodes);
    let (mut world, graph) = links.world(1);
    let model = graph_convolutions(graph, [32; 3]).build(&mut world).expect("the model fits the graph");
    prepare(&mut world, model, Infer(model));
    let systems = world.resource::<Schedules>().get(Infer(model)).map_or(0, Schedule::systems_len);
    Empty(systems).build(&mut world);

    let mut group = criterion.benchmark_group("tick");
    hurry(&mut group);
    group.sample_size(50);
    measure(&mut group, &format!("still/{size}"), links.edges.len(), &mut world, Infer(model));
    measure(&mut group, &format!("empty/{size}"), links.edges.len(), &mut world, Empty(systems));

    let mut edges = world.query::<&mut Edge>();
    for workers in WORKERS {
        world.insert_resource(Workers::new(workers).expect("the machine has so many threads"));
        group.bench_function(BenchmarkId::new(format!("moving/{size}"), workers), |bencher| {
            bencher.iter(|| {
                if let Some(mut edge) = edges.iter_mut(&mut world).next() {
                    *edge = Edge { source: edge.target, target: edge.source };
                }
                run(&mut world, Infer(model));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tick);
criterion_main!(benches);
