//! What the copy of a model reads is what the model itself reads.

use super::*;
use connectome_components::{ClassLabel, Features, Field, GraphNode, InSubgraph, Metrics, Subgraph};
use connectome_systems::{
    Head,
    layers::{GcnConv, GineConv, Mlp, Readout},
};

/// The same as [`Sight`], copied value by value.
#[derive(Component, Clone, Copy, Default)]
struct Seen([f32; 3]);

impl Features for Seen {
    const WIDTH: usize = 3;

    fn read(&self, row: &mut [f32]) {
        row.copy_from_slice(&self.0);
    }

    fn write(&mut self, row: &[f32]) {
        self.0.copy_from_slice(row);
    }
}

/// The same as [`Sight`] in two parts.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Near([f32; 2]);

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Far(f32);

/// The same as [`Wish`], copied value by value.
#[derive(Component, Clone, Copy, Default)]
struct Wanted([f32; 2]);

impl Features for Wanted {
    const WIDTH: usize = 2;

    fn read(&self, row: &mut [f32]) {
        row.copy_from_slice(&self.0);
    }

    fn write(&mut self, row: &[f32]) {
        self.0.copy_from_slice(row);
    }
}

#[test]
fn components_that_are_copied_and_observed_ones_are_those_that_are_read_in_place() {
    let play = |model: &dyn Fn(Entity) -> ModelBuilder| -> Vec<Vec<f32>> {
        let mut game = Game::new(|graph| LessonBuilder::new(model(graph)).every(3).steps(2));
        let play = |frame| {
            game.live(frame);
            let mut agents = game.world.query_filtered::<Entity, With<Sight>>();
            for agent in agents.iter(&game.world).collect::<Vec<_>>() {
                let (sight, wish) = (*game.world.get::<Sight>(agent).unwrap(), *game.world.get::<Wish>(agent).unwrap());
                game.world.entity_mut(agent).insert((
                    Seen(sight.0),
                    Wanted(wish.0),
                    Near([sight.0[0], sight.0[1]]),
                    Far(sight.0[2]),
                ));
            }
            game.world.run_lesson(game.model).unwrap();
            game.world.infer(game.model).unwrap();
            weights(&game.world, game.model)
        };
        (0..12).map(play).collect()
    };
    let adam = Optimizer::adam(0.05);
    let layers = |model: ModelBuilder| model.layer(SageConv::new(4)).layer(Activation::Tanh).layer(Linear::new(2));
    let learns = |model: ModelBuilder| layers(model).learns::<Wish>(Loss::MeanSquaredError, adam);
    let in_place = play(&|graph| learns(ModelBuilder::new(graph).reads::<Sight>()));
    assert_ne!(in_place[0], in_place[11]);
    assert_eq!(play(&|graph| learns(ModelBuilder::new(graph).reads::<Seen>())), in_place);
    assert_eq!(play(&|graph| learns(ModelBuilder::new(graph).observe(|sight: &Sight| sight.0))), in_place);
    assert_eq!(play(&|graph| learns(ModelBuilder::new(graph).reads::<Near>().reads::<Far>())), in_place);
    let wanted =
        |graph| layers(ModelBuilder::new(graph).reads::<Sight>()).learns::<Wanted>(Loss::MeanSquaredError, adam);
    assert_eq!(play(&wanted), in_place);
}

#[test]
fn an_input_of_its_own_is_what_the_model_has_read_last() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = world.register_component::<GraphNode>();
    let targets = Field::register(&mut world, "targets", nodes, 1).unwrap();
    let model = ModelBuilder::new(graph).input_width(2).layer(Linear::new(1)).targets(targets);
    let model = model.loss(Loss::MeanSquaredError).optimizer(Optimizer::adam(0.1));
    let model = world.spawn_lesson(LessonBuilder::new(model).every(1).steps(10)).unwrap();
    let node = world.spawn((GraphNode, Split::Train)).id();
    world.infer(model).unwrap();
    let input = world.get::<Model>(model).unwrap().input.values();
    input.set(&mut world, node, &[1.0, -1.0]).unwrap();
    targets.set(&mut world, node, &[3.0]).unwrap();
    for _ in 0..40 {
        world.run_lesson(model).unwrap();
        world.infer(model).unwrap();
    }
    let output = world.get::<Model>(model).unwrap().output;
    assert!((output.get(&world, node).unwrap()[0] - 3.0).abs() < 0.05);
    assert!(world.get::<Metrics>(model).unwrap().of(Split::Train).loss() < 0.01);
}

#[test]
fn several_heads_learn_classes_and_weighted_values_of_subgraphs() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let subgraphs = world.register_component::<Subgraph>();
    let nodes = world.register_component::<GraphNode>();
    let edges = world.register_component::<Edge>();
    let features = Field::register(&mut world, "features", nodes, 2).unwrap();
    let [sizes, trusted] = ["sizes", "trusted"].map(|name| Field::register(&mut world, name, subgraphs, 1).unwrap());
    let bonds = Field::register(&mut world, "bonds", edges, 2).unwrap();
    let model = ModelBuilder::new(graph)
        .input(features)
        .edge_input(bonds)
        .layer(GineConv::new(Mlp::new([8, 8])))
        .layer(Readout::Sum)
        .head(Head::new("class").layer(Linear::new(2)))
        .head(Head::new("size").layer(Linear::new(1)).loss(Loss::MeanSquaredError).targets(sizes).row_weights(trusted))
        .optimizer(Optimizer::adam(0.02));
    let lessons = LessonBuilder::new(model).every(2).steps(5).sample_subgraphs(9);
    let model = world.spawn_lesson(lessons).unwrap();
    for number in 0..12 {
        let size = 2 + number % 4;
        let subgraph = world.spawn((Subgraph, Split::Train, ClassLabel(number as u32 % 2))).id();
        let members: Vec<Entity> = (0..size).map(|_| world.spawn((GraphNode, InSubgraph(subgraph))).id()).collect();
        let links: Vec<Entity> = members
            .iter()
            .zip(members.iter().skip(1))
            .map(|(source, target)| world.spawn(Edge { source: *source, target: *target }).id())
            .collect();
        connectome_components::attach_fields(&mut world, nodes);
        connectome_components::attach_fields(&mut world, edges);
        connectome_components::attach_fields(&mut world, subgraphs);
        let sign = if number % 2 == 0 { 1.0 } else { -1.0 };
        members.iter().for_each(|node| features.set(&mut world, *node, &[sign, 1.0]).unwrap());
        links.iter().for_each(|edge| bonds.set(&mut world, *edge, &[0.5, sign]).unwrap());
        // Wrong values have no weight.
        let (value, weight) = if number == 7 { (1e6, 0.0) } else { (size as f32, 1.0) };
        sizes.set(&mut world, subgraph, &[value]).unwrap();
        trusted.set(&mut world, subgraph, &[weight]).unwrap();
    }
    let mut first = f32::NAN;
    for frame in 0..81 {
        world.run_lesson(model).unwrap();
        world.infer(model).unwrap();
        if frame == 2 {
            first = world.get::<LessonProgress>(model).unwrap().loss;
        }
    }
    let last = world.get::<LessonProgress>(model).unwrap().loss;
    assert!(last < 0.1 * first && first.is_finite(), "{first} and then {last}");
    let metrics = world.get::<Metrics>(model).unwrap();
    let counts: Vec<u64> = metrics.heads.iter().map(|head| head.of(Split::Train).count).collect();
    assert!(counts[0] == 9 && (8..=9).contains(&counts[1]), "a batch has 9 of 12 subgraphs: {counts:?}");
}

#[test]
fn whole_graphs_are_extracted_in_the_order_of_keys() {
    use connectome_systems::batch::{Batch, Extract};
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes: Vec<Entity> = [4, 2, 9, 7].map(|key| world.spawn((GraphNode, GraphKey::new(key))).id()).to_vec();
    let subgraphs = [1, 0].map(|key| world.spawn((Subgraph, GraphKey::new(key))).id());
    world.entity_mut(nodes[1]).insert(InSubgraph(subgraphs[0]));
    world.entity_mut(nodes[2]).insert(InSubgraph(subgraphs[1]));
    let spawn = |world: &mut World, [source, target]: [usize; 2]| {
        world.spawn(Edge { source: nodes[source], target: nodes[target] }).id()
    };
    let edges = [[0, 1], [2, 2], [3, 1], [1, 3]].map(|ends| spawn(&mut world, ends));
    world.spawn(Edge { source: nodes[0], target: Entity::PLACEHOLDER });
    let extract = Extract::new(&world, graph).unwrap();
    extract.update(&mut world);
    let mut batch = Batch::default();
    extract.whole(&world, &mut batch).unwrap();
    assert_eq!(batch.nodes(), [nodes[1], nodes[0], nodes[3], nodes[2]]);
    assert_eq!(batch.subgraphs(), [subgraphs[1], subgraphs[0]]);
    assert_eq!(batch.subgraph_of(), [1, Batch::NO_SUBGRAPH, Batch::NO_SUBGRAPH, 0]);
    assert_eq!(batch.endpoints(), [[1, 0], [2, 0], [0, 2], [3, 3]]);
    assert_eq!(batch.edges(), [edges[0], edges[2], edges[3], edges[1]]);
    world.despawn(nodes[0]);
    assert!(extract.whole(&world, &mut batch).is_err() && batch.nodes().is_empty());
}

#[test]
fn layers_with_normalized_edges_learn_too() {
    let mut game = Game::new(|graph| {
        let model = ModelBuilder::new(graph).reads::<Sight>().layer(GcnConv::new(8)).layer(Activation::Relu);
        let model = model.layer(GcnConv::new(2)).learns::<Wish>(Loss::MeanSquaredError, Optimizer::adam(0.05));
        LessonBuilder::new(model).every(2).steps(4).sample_neighbors(10, &[4, 4])
    });
    (0..41).for_each(|frame| {
        game.live(frame);
        game.world.run_lesson(game.model).unwrap();
        game.world.infer(game.model).unwrap();
    });
    assert_eq!(game.progress().arrived, 20);
}
