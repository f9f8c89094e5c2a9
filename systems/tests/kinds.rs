//! Several kinds of nodes, and relations between them: layers against plain formulas, finite differences and the path of one
//! kind; the same bits for any workers and any history; errors that say what is wrong.

use crate::common;

use bevy_ecs::{entity::Entity, schedule::IntoScheduleConfigs, world::World};
use common::{
    Matrices, few_cases,
    kinds::{KindPasses, KindScene, Links},
    numbers, relative_error,
};
use connectome_components::{ClassLabel, Edge, Graph, GraphKey, Marker, Model, Optimizer, Parameter, Split, Topology};
use connectome_systems::{
    EdgeRelation, GraphSystems, Head, ModelBuilder, NodeKind, Scratch, Train, Workers, WorldModelExt, add_systems,
    algorithms::{SimpleGraph, cliques::maximum_clique, edit_distance::labeled_graph},
    batch::{Batch, Extract},
    kernels::Activation,
    layers::{
        BuildError, DagGru, EdgeConv, GatConv, Gatv2Conv, GcnConv, GinConv, GraphConv, HeteroConv, HgtConv, Layer,
        Linear, Mlp, Readout, RelationAggregation, ResGatedGraphConv, RgcnConv, SageConv, TransformerConv,
    },
    operators::Reduction,
    sample_negatives, update_topology,
};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

const AUTHOR: &str = "author";
const PAPER: &str = "paper";

/// Edges between so many sources and targets, some of them parallel.
fn random_links(name: &'static str, ends: [&'static str; 2], [sources, targets]: [usize; 2], seed: u64) -> Links {
    let drawn = numbers(seed, 77, (3 * targets, 2));
    let number = |drawn: f64, count: usize| (((drawn + 1.0) / 2.0 * count as f64) as usize).min(count - 1);
    let edges = drawn.rows().into_iter().map(|row| [number(row[0], sources), number(row[1], targets)]).collect();
    Links { name, ends, edges }
}

/// Papers that cite each other, and authors who write them.
fn library(seed: u64, [papers, authors]: [usize; 2]) -> (Vec<(&'static str, Array2<f64>)>, Vec<Links>) {
    let kinds = vec![(PAPER, numbers(seed, 1, (papers, 5))), (AUTHOR, numbers(seed, 2, (authors, 3)))];
    let writes = random_links("writes", [AUTHOR, PAPER], [authors, papers], seed);
    let edges = writes.edges.iter().map(|[author, paper]| [*paper, *author]).collect();
    let written_by = Links { name: "written_by", ends: [PAPER, AUTHOR], edges };
    (kinds, vec![random_links("cites", [PAPER, PAPER], [papers; 2], seed + 1), writes, written_by])
}

fn scene(seed: u64, sizes: [usize; 2]) -> KindScene {
    let (kinds, relations) = library(seed, sizes);
    KindScene::new(&kinds, &relations)
}

fn cotangents(seed: u64, sizes: [usize; 2], width: usize) -> Matrices {
    let of = |(kind, purpose, count): (&str, u32, usize)| (kind.to_owned(), numbers(seed, purpose, (count, width)));
    [(PAPER, 3, sizes[0]), (AUTHOR, 4, sizes[1])].map(of).into()
}

/// What a layer makes of a scene, and its gradients.
fn passes(scene: &mut KindScene, layer: impl Layer + 'static, cotangents: &Matrices) -> Result<KindPasses, BuildError> {
    let model = scene.build(|builder| builder.seed(9).layer(layer), cotangents, &|_| None)?;
    scene.run(model)
}

fn error(result: Result<KindPasses, BuildError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

/// `A[target, source]`: how many edges lead from one to the other.
fn adjacency(links: &Links, [sources, targets]: [usize; 2]) -> Array2<f64> {
    let mut adjacency = Array2::zeros((targets, sources));
    links.edges.iter().for_each(|[source, target]| adjacency[[*target, *source]] += 1.0);
    adjacency
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn a_convolution_of_relations_is_the_sum_of_plain_ones(
        seed in 0u64..1000,
        papers in 1usize..9,
        authors in 1usize..9,
    ) {
        let (kinds, relations) = library(seed, [papers, authors]);
        let mut scene = KindScene::new(&kinds, &relations);
        let layer = HeteroConv::new(SageConv::new(4).with_aggregation(Reduction::Sum));
        let cotangents = cotangents(seed, [papers, authors], 4);
        let model = scene.build(|builder| builder.seed(seed).layer(layer), &cotangents, &|_| None).unwrap();
        let parameter = |name: &str| {
            let (entity, parameter) = scene
                .parameters(model)
                .into_iter()
                .find(|(_, parameter)| parameter.name == format!("layers.0.convolutions.{name}"))
                .unwrap();
            let values = parameter.value.get(&scene.world, entity).unwrap().iter().copied().map(f64::from).collect();
            Array2::from_shape_vec((parameter.shape[0], parameter.shape[1]), values).unwrap()
        };
        let [x, y] = [&kinds[0].1, &kinds[1].1];
        let along = |links: &Links, sizes, source: &Array2<f64>, target: &Array2<f64>| {
            let name = links.name;
            adjacency(links, sizes).dot(source).dot(&parameter(&format!("{name}.lin_l.weight")))
                + parameter(&format!("{name}.lin_l.bias"))
                + target.dot(&parameter(&format!("{name}.lin_r.weight")))
        };
        let of_papers = along(&relations[0], [papers, papers], x, x) + along(&relations[1], [authors, papers], y, x);
        let of_authors = along(&relations[2], [papers, authors], x, y);
        let found = scene.run(model).unwrap();
        let scale = 1.0 + papers as f64;
        prop_assert!(relative_error(&found.outputs[PAPER], &of_papers, scale) < 1e-5);
        prop_assert!(relative_error(&found.outputs[AUTHOR], &of_authors, scale) < 1e-5);
    }
}

#[test]
fn one_relation_of_one_kind_has_the_bits_of_the_plain_layer() {
    let (kinds, mut relations) = library(3, [40, 5]);
    relations.truncate(1);
    let mut scene = KindScene::new(&kinds[..1], &relations);
    let cotangents = Matrices::from([(PAPER.to_owned(), numbers(3, 3, (40, 6)))]);
    let of_kinds = passes(&mut scene, HeteroConv::new(GcnConv::new(6)), &cotangents).unwrap();
    let mut plain = ModelBuilder::new(scene.relations[0].1).seed(9).layer(GcnConv::new(6));
    let input = scene.field(PAPER, &kinds[0].1);
    plain = plain.input(input);
    let model = scene.world.spawn_model(plain).unwrap();
    scene.world.infer(model).unwrap();
    let output = scene.world.get::<Model>(model).unwrap().output;
    assert_eq!(scene.read(PAPER, output), of_kinds.outputs[PAPER]);
}

/// The sum of products of the outputs with the cotangents, forward alone.
fn value(scene: &mut KindScene, model: Entity, cotangents: &Matrices) -> f64 {
    scene.world.infer(model).unwrap();
    let heads = scene.world.get::<Model>(model).unwrap().heads.clone();
    heads.iter().map(|head| (scene.read(&head.name, head.output) * &cotangents[&head.name]).sum()).sum()
}

/// Compares the gradients of a layer with central differences of its own forward pass, parameter by parameter.
fn check_by_differences(name: &str, layer: impl Layer + 'static) {
    const STEP: f32 = 1e-2;
    let sizes = [6, 4];
    let cotangents = cotangents(5, sizes, 4);
    let mut scene = scene(5, sizes);
    let model = scene.build(|builder| builder.seed(9).layer(layer), &cotangents, &|_| None).unwrap();
    let passes = scene.run(model).unwrap();
    for (entity, parameter) in scene.parameters(model).into_iter().filter(|(_, known)| known.gradient.is_some()) {
        let before = parameter.value.get(&scene.world, entity).unwrap().to_vec();
        let mut expected = Vec::new();
        for index in 0..before.len() {
            let mut at = |change: f32| {
                let mut values = before.clone();
                values[index] += change;
                parameter.value.set(&mut scene.world, entity, &values).unwrap();
                value(&mut scene, model, &cotangents)
            };
            expected.push((at(STEP) - at(-STEP)) / f64::from(2.0 * STEP));
        }
        parameter.value.set(&mut scene.world, entity, &before).unwrap();
        let expected = Array2::from_shape_vec((parameter.shape[0], parameter.shape[1]), expected).unwrap();
        let found = &passes.parameters[common::name_in_layer(&parameter.name)];
        let error = relative_error(found, &expected, 0.3);
        assert!(error < 2e-2, "{name}: the gradient of `{}` is off by {error}", parameter.name);
    }
}

#[test]
fn convolutions_between_two_kinds_have_the_gradients_of_finite_differences() {
    let smooth = Activation::Tanh;
    check_by_differences("SageConv", HeteroConv::new(SageConv::new(4)));
    check_by_differences("GraphConv", HeteroConv::new(GraphConv::new(4)));
    check_by_differences("GatConv", HeteroConv::new(GatConv { heads: 2, add_self_loops: false, ..GatConv::new(2) }));
    let gatv2 = Gatv2Conv { heads: 2, add_self_loops: false, negative_slope: 0.9, ..Gatv2Conv::new(2) };
    check_by_differences("Gatv2Conv", HeteroConv::new(gatv2));
    check_by_differences("TransformerConv", HeteroConv::new(TransformerConv { heads: 2, ..TransformerConv::new(2) }));
    check_by_differences("ResGatedGraphConv", HeteroConv::new(ResGatedGraphConv::new(4)));
    let mean = HeteroConv::new(SageConv::new(4)).with_aggregation(RelationAggregation::Mean);
    check_by_differences("mean", mean);
    let attention = HeteroConv::new(SageConv::new(4)).with_aggregation(RelationAggregation::Attention(3));
    check_by_differences("attention", attention);
    check_by_differences("HgtConv", HgtConv::new(4, 2));
    check_by_differences("HgtConv with one head", HgtConv::new(4, 1));
    // Authors and papers are mapped to one width first, and a sum needs it.
    let layers: [(&str, Box<dyn Layer>); 2] = [
        ("RgcnConv", Box::new(InOneWidth(RgcnConv::new(4).with_bases(2)))),
        ("GinConv", Box::new(InOneWidth(HeteroConv::new(GinConv::new(Mlp::new([4, 4]).with_activation(smooth)))))),
    ];
    layers.into_iter().for_each(|(name, layer)| check_by_differences(name, layer));
}

/// A map of each kind to 4 features, and then a layer.
struct InOneWidth<L>(L);

impl<L: Layer> Layer for InOneWidth<L> {
    fn build(
        &self,
        input: connectome_systems::program::Value,
        program: &mut connectome_systems::program::Program,
    ) -> Result<connectome_systems::program::Value, BuildError> {
        let mapped = program.each_kind("map", &Linear::new(4), input)?;
        program.nested("layer", &self.0, mapped)
    }

    fn reads_all_kinds(&self) -> bool {
        true
    }
}

#[test]
fn a_reversed_graph_sends_messages_back_along_the_same_edges() {
    let (kinds, relations) = library(4, [30, 12]);
    let layer = || HeteroConv::new(SageConv::new(4));
    let cotangents = cotangents(4, [30, 12], 4);
    let mut explicit = KindScene::new(&kinds, &relations);
    let expected = passes(&mut explicit, layer(), &cotangents).unwrap();
    let mut reversed = KindScene::new(&kinds, &relations);
    let writes = reversed.relations[1].1;
    reversed.relations[2].1 = Graph::reversed(&mut reversed.world, writes).unwrap();
    let edges = std::mem::take(&mut reversed.edges[2]);
    edges.into_iter().for_each(|edge| _ = reversed.world.despawn(edge));
    let found = passes(&mut reversed, layer(), &cotangents).unwrap();
    assert_eq!(found.outputs, expected.outputs);
    assert_eq!(found.parameters, expected.parameters);
    assert_eq!(found.inputs, expected.inputs);
}

/// A deep model of all layers of several kinds.
fn deep(builder: ModelBuilder) -> ModelBuilder {
    builder
        .seed(11)
        .layer(HgtConv::new(8, 2))
        .layer(HeteroConv::new(SageConv::new(8)).with_aggregation(RelationAggregation::Attention(4)))
        .layer(Activation::Tanh)
        .layer(HeteroConv::new(GatConv { heads: 2, add_self_loops: false, ..GatConv::new(4) }))
        .layer(RgcnConv::new(6).with_bases(2))
}

/// Outputs and gradients of the deep model, bit by bit.
fn bits(scene: &mut KindScene, cotangents: &Matrices) -> Vec<Vec<u32>> {
    let model = scene.build(deep, cotangents, &|_| None).unwrap();
    let KindPasses { outputs, inputs, parameters } = scene.run(model).unwrap();
    let all = outputs.values().chain(inputs.values()).chain(parameters.values());
    all.map(|matrix| matrix.iter().map(|number| (*number as f32).to_bits()).collect()).collect()
}

#[test]
fn kinds_have_the_same_bits_for_any_number_of_workers() {
    let sizes = [3000, 1700];
    let cotangents = cotangents(6, sizes, 6);
    let with = |count: usize| {
        let mut scene = scene(6, sizes);
        scene.world.insert_resource(Workers::new(count).unwrap());
        bits(&mut scene, &cotangents)
    };
    let one = with(1);
    for count in [2, 3, 8] {
        assert!(with(count) == one, "{count} workers compute other bits than one");
    }
}

#[test]
fn kinds_have_the_same_bits_whatever_their_world_has_been_through() {
    let sizes = [300, 170];
    let (kinds, relations) = library(7, sizes);
    let cotangents = cotangents(7, sizes, 6);
    let expected = bits(&mut KindScene::new(&kinds, &relations), &cotangents);

    // Indices of entities out of order, and rows of tables.
    let mut world = World::new();
    let others: Vec<Entity> = (0..900).map(|_| world.spawn_empty().id()).collect();
    others
        .iter()
        .step_by(3)
        .chain(others.iter().skip(1).step_by(2).rev())
        .for_each(|entity| _ = world.try_despawn(*entity));
    let mut scene = KindScene::in_world(world, &kinds, &relations);
    for nodes in scene.nodes.values() {
        for (number, node) in nodes.iter().enumerate() {
            if number % 3 == 0 {
                scene.world.entity_mut(*node).insert(ClassLabel(0));
            }
            if number % 2 == 0 {
                scene.world.entity_mut(*node).insert(Split::Unused);
            }
        }
    }
    // Edges that were there before lie behind others.
    for edges in &scene.edges {
        for edge in edges.iter().step_by(2) {
            scene.world.entity_mut(*edge).insert(ClassLabel(0));
        }
    }
    assert!(bits(&mut scene, &cotangents) == expected, "a history changes bits");
}

#[test]
fn a_relation_follows_its_world() {
    let (kinds, relations) = library(8, [20, 9]);
    let mut scene = KindScene::new(&kinds, &relations);
    let cotangents = cotangents(8, [20, 9], 4);
    let layer = HeteroConv::new(SageConv::new(4));
    let model = scene.build(|builder| builder.seed(9).layer(layer), &cotangents, &|_| None).unwrap();
    scene.world.infer(model).unwrap();
    let (graph, nodes) = (scene.relations[1].1, scene.nodes.clone());
    let topology = |scene: &KindScene| scene.world.get::<Topology>(graph).unwrap().clone();
    let before = topology(&scene);
    assert_eq!((before.nodes.len(), before.sources().0.len(), before.dangling), (20, 9, 0));
    assert_eq!(before.outgoing.offsets.len(), 10);

    // An edge whose source is no author carries nothing, and one of a despawned author neither.
    let edge = scene.edges[1][0];
    let Edge { source, target } = *scene.world.get::<Edge>(edge).unwrap();
    scene.world.get_mut::<Edge>(edge).unwrap().source = nodes[PAPER][0];
    scene.world.infer(model).unwrap();
    assert_eq!(topology(&scene).dangling, 1);
    scene.world.get_mut::<Edge>(edge).unwrap().source = source;
    scene.world.infer(model).unwrap();
    assert_eq!(topology(&scene).incoming, before.incoming);
    let of_author =
        scene.edges[1].iter().filter(|edge| scene.world.get::<Edge>(**edge).unwrap().source == source).count();
    scene.world.despawn(source);
    scene.world.infer(model).unwrap();
    let after = topology(&scene);
    assert_eq!((after.sources().0.len(), after.dangling), (8, of_author));
    assert!(scene.world.get_entity(target).is_ok());

    // Two authors of one key are an error that names them.
    let [one, other] = [nodes[AUTHOR][7], nodes[AUTHOR][8]];
    scene.world.entity_mut(one).insert(GraphKey::new(3));
    scene.world.entity_mut(other).insert(GraphKey::new(3));
    let error = scene.world.infer(model).unwrap_err().to_string();
    assert!(error.contains("key") && error.contains(&one.to_string()), "{error}");
}

#[test]
fn heads_read_any_kind_and_readouts_of_several_side_by_side() {
    let (kinds, relations) = library(10, [24, 10]);
    let mut scene = KindScene::new(&kinds, &relations);
    let subgraphs = scene.divide(4);
    for (number, subgraph) in subgraphs.iter().enumerate() {
        scene.world.entity_mut(*subgraph).insert((ClassLabel(number as u32 % 2), Split::Train));
    }
    let builder = scene
        .builder()
        .layer(HeteroConv::new(SageConv::new(4)))
        .layer(Readout::Mean)
        .head(Head::new("graph").of_kinds([PAPER, AUTHOR]).layer(Linear::new(2)))
        .head(Head::new("authors").of_kind(AUTHOR).layer(Linear::new(3)).external_gradient())
        .optimizer(Optimizer::adam(0.05));
    let mut builder = builder;
    builder = builder.seed(2);
    let model = scene.world.spawn_model(builder);
    // Gradients of inputs are requested of kinds, which readouts have, too.
    let model = model.unwrap();
    let before = {
        scene.world.train(model).unwrap();
        scene.world.get::<connectome_components::Metrics>(model).unwrap().of(Split::Train).loss()
    };
    for _ in 0..60 {
        scene.world.train(model).unwrap();
    }
    let metrics = scene.world.get::<connectome_components::Metrics>(model).unwrap();
    assert!(metrics.of(Split::Train).loss() < 0.8 * before, "{} after {before}", metrics.of(Split::Train).loss());
    let head = scene.world.get::<Model>(model).unwrap().head("graph").unwrap().output;
    assert_eq!((head.width(), head.matrix(&scene.world).row_count()), (2, 4));

    // The mean of the nodes of a kind in each subgraph, by hand.
    let input = scene.field(AUTHOR, &kinds[1].1);
    let plain = ModelBuilder::new(scene.own_graph())
        .kind_name(PAPER)
        .input_width(5)
        .kind(NodeKind::new(AUTHOR).input(input))
        .relation(EdgeRelation::new("writes", scene.relations[1].1, [AUTHOR, PAPER]))
        .layer(Readout::Mean)
        .head(Head::new("authors").of_kind(AUTHOR));
    let plain = scene.world.spawn_model(plain).unwrap();
    scene.world.infer(plain).unwrap();
    let output = scene.world.get::<Model>(plain).unwrap().output;
    for (number, subgraph) in subgraphs.iter().enumerate() {
        let members: Vec<usize> = (0..10).filter(|author| author % 4 == number).collect();
        let mean = kinds[1].1.select(Axis(0), &members).mean_axis(Axis(0)).unwrap();
        for (found, expected) in output.get(&scene.world, *subgraph).unwrap().iter().zip(&mean) {
            assert!((f64::from(*found) - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn layers_that_do_not_fit_kinds_are_refused_by_name() {
    let cotangents = cotangents(1, [6, 4], 4);
    let refused = |layer: Box<dyn Layer>| error(passes(&mut scene(1, [6, 4]), layer, &cotangents));
    let cases: Vec<(Box<dyn Layer>, &str)> = vec![
        (Box::new(GcnConv::new(4)), "passes messages along edges; name the relations by `HeteroConv`"),
        (
            Box::new(HeteroConv::new(GcnConv::new(4))),
            "passes no messages from one kind to another, as the relation `writes`",
        ),
        (Box::new(HeteroConv::new(EdgeConv::new(Mlp::new([4])))), "passes no messages from one kind to another"),
        (Box::new(HeteroConv::new(DagGru::new(4))), "passes no messages from one kind to another"),
        (Box::new(HeteroConv::new(GatConv { heads: 0, ..GatConv::new(4) })), "has no heads"),
        (Box::new(HeteroConv::new(GatConv::new(4))), "have no self-loops; leave out `add_self_loops`"),
        (
            Box::new(HeteroConv::of_relations([("wrote", SageConv::new(4))])),
            "`wrote`, of which the model has none; take one of `cites`, `writes`, `written_by`",
        ),
        (Box::new(HeteroConv::of_relations(Vec::<(&str, SageConv)>::new())), "has no convolution; give it one"),
        (
            Box::new(HeteroConv::of_relations([("written_by", SageConv::new(4))])),
            "passes no messages to `paper`, the kind of the model's output",
        ),
        (
            Box::new(HeteroConv::of_relations([("cites", SageConv::new(4)), ("writes", SageConv::new(5))])),
            "features of width 4 along one relation and 5 along another",
        ),
        (Box::new(RgcnConv::new(4)), "reads features of width 3 of the kind `author` and 5 of others"),
        (Box::new(HgtConv::new(4, 3)), "divides 4 features among 3 heads"),
        (Box::new(HgtConv::new(4, 0)), "has no heads"),
        (Box::new(HgtConv::new(0, 2)), "width 0"),
    ];
    for (layer, expected) in cases {
        let found = refused(layer);
        assert!(found.contains(expected), "`{found}` does not say `{expected}`");
    }
}

#[test]
fn kinds_and_relations_that_do_not_fit_are_refused_by_name() {
    let (kinds, relations) = library(1, [6, 4]);
    let build = |change: &dyn Fn(&mut KindScene, ModelBuilder) -> ModelBuilder| {
        let mut scene = KindScene::new(&kinds, &relations);
        let builder = scene.builder().layer(HeteroConv::new(SageConv::new(4)));
        let builder = change(&mut scene, builder);
        let before = scene.world.entities().len();
        let error = scene.world.spawn_model(builder).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        assert_eq!(scene.world.entities().len(), before, "a refused model leaves entities: {error}");
        error
    };
    type Change = Box<dyn Fn(&mut KindScene, ModelBuilder) -> ModelBuilder>;
    let cases: Vec<(Change, &str)> = vec![
        (Box::new(|_, builder| builder), ""),
        (
            Box::new(|scene, builder| {
                let graph = scene.relations[1].1;
                builder.relation(EdgeRelation::new(
                    "more",
                    Graph::reversed(&mut scene.world, graph).unwrap(),
                    [PAPER, "auhtor"],
                ))
            }),
            "the kind `auhtor`, of which the model reads none; add that kind, or take one of `paper`, `author`",
        ),
        (
            Box::new(|_, builder| builder.kind(NodeKind::new("venue").input_width(2))),
            "no relation begins or ends in the kind `venue`",
        ),
        (
            Box::new(|_, builder| builder.kind(NodeKind::new("venue"))),
            "nothing is read of the nodes of the kind `venue`",
        ),
        (Box::new(|_, builder| builder.kind(NodeKind::new(AUTHOR).input_width(2))), "the kind name `author`"),
        (Box::new(|_, builder| builder.kind(NodeKind::new("a.b").input_width(2))), "a kind is called `a.b`"),
        (
            Box::new(|scene, builder| {
                builder.relation(EdgeRelation::new("more", scene.relations[1].1, [AUTHOR, PAPER]))
            }),
            "the relations `more` and `writes` are one graph",
        ),
        (
            Box::new(|scene, builder| {
                let graph = Graph::reversed(&mut scene.world, scene.relations[1].1).unwrap();
                builder.relation(EdgeRelation::new("more", graph, [AUTHOR, PAPER]))
            }),
            "the relation `more` has nodes with",
        ),
        (
            Box::new(|_, builder| builder.head(Head::new("x").of_kind("venue"))),
            "the head `x` reads nodes of the kind `venue`, of which the model has none; take one of `paper`, `author`",
        ),
    ];
    for (change, expected) in cases {
        let found = build(&*change);
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "`{found}`, not `{expected}`");
    }
    let mut scene = KindScene::new(&kinds, &relations);
    let writes = scene.relations[1].1;
    let alone = ModelBuilder::new(writes).input_width(5).layer(Linear::new(2));
    let error = scene.world.spawn_model(alone).unwrap_err().to_string();
    assert!(error.contains("leads from one kind of nodes to another; add it as a relation"), "{error}");
    let plain = ModelBuilder::new(scene.own_graph()).input_width(5).layer(HeteroConv::new(SageConv::new(2)));
    let error = scene.world.spawn_model(plain).unwrap_err().to_string();
    assert!(error.contains("passes messages along relations, but the model has none"), "{error}");
}

#[test]
fn models_of_kinds_learn_from_typed_worlds_and_are_removed_without_a_trace() {
    let mut world = World::new();
    let [agents, items] = ["agent", "item"].map(|name| Marker::register(&mut world, name));
    let owns = Marker::register(&mut world, "owns");
    let subgraphs = world.register_component::<connectome_components::Subgraph>();
    let graph = Graph { sources: items.id(), ..Graph::new(agents.id(), owns.id(), subgraphs) };
    let graph = world.spawn(graph).id();
    let agent = agents.spawn(&mut world, (0..40).map(|_| Split::Train));
    let item = items.spawn(&mut world, (0..40).map(|_| GraphKey::default()));
    owns.spawn(&mut world, (0..40).map(|number| Edge { source: item[(number * 7) % 40], target: agent[number] }));
    let build = || {
        ModelBuilder::new(graph)
            .kind_name("agent")
            .input_width(1)
            .kind(NodeKind::new("item").input_width(2))
            .relation(EdgeRelation::new("owned_by", graph, ["item", "agent"]))
            .layer(HeteroConv::new(SageConv::new(8)))
            .layer(Activation::Tanh)
            .layer(Linear::new(1))
            .loss(connectome_components::Loss::MeanSquaredError)
            .optimizer(Optimizer::adam(0.02))
    };
    let model = world.spawn_model(build()).unwrap();
    world.infer(model).unwrap();
    let parts = world.get::<Model>(model).unwrap().clone();
    let input = parts.input_of("item").unwrap().values();
    for (number, item) in item.iter().enumerate() {
        input.set(&mut world, *item, &[(number as f32).sin(), (number as f32).cos()]).unwrap();
    }
    for (number, agent) in agent.iter().enumerate() {
        let of = ((number * 7) % 40) as f32;
        parts.targets.unwrap().set(&mut world, *agent, &[of.sin() - 0.5 * of.cos()]).unwrap();
    }
    for _ in 0..400 {
        world.train(model).unwrap();
    }
    let loss = world.get::<connectome_components::Metrics>(model).unwrap().of(Split::Train).loss();
    assert!(loss < 0.02, "agents learn what their items say: {loss}");
    // What an agent is told comes from the item that it owns.
    world.infer(model).unwrap();
    let _: Vec<Parameter> =
        parts.parameters.iter().filter_map(|parameter| world.get::<Parameter>(*parameter).cloned()).collect();
    world.remove_model(model).unwrap();
    let (entities, components) = (world.entities().len(), world.components().len());
    for _ in 0..3 {
        let again = world.spawn_model(build()).unwrap();
        world.infer(again).unwrap();
        world.remove_model(again).unwrap();
    }
    assert_eq!((world.entities().len(), world.components().len()), (entities, components));
}

#[test]
fn a_relation_is_extracted_as_a_whole_and_loaded_into_another_world() {
    let mut scene = scene(12, [14, 6]);
    let writes = scene.relations[1].1;
    let extract = Extract::new(&scene.world, writes).unwrap();
    extract.update(&mut scene.world);
    let mut batch = Batch::default();
    extract.whole(&scene.world, &mut batch).unwrap();
    let order =
        |kind: &str, entity: Entity| scene.nodes[kind].iter().position(|known| *known == entity).unwrap() as u32;
    let mut expected: Vec<[u32; 2]> = scene.edges[1]
        .iter()
        .filter_map(|edge| scene.world.get::<Edge>(*edge))
        .map(|edge| [order(AUTHOR, edge.source), order(PAPER, edge.target)])
        .collect();
    expected.sort_unstable_by_key(|[source, target]| [*target, *source]);
    assert_eq!(batch.endpoints(), expected);

    let mut other = World::new();
    let [authors, papers, edges] = ["a", "p", "e"].map(|name| Marker::register(&mut other, name).id());
    let subgraphs = other.register_component::<connectome_components::Subgraph>();
    let relation = other.spawn(Graph { sources: authors, ..Graph::new(papers, edges, subgraphs) }).id();
    batch.load(&mut other, relation).unwrap();
    update_topology(&mut other, relation, &mut Scratch::default());
    let topology = other.get::<Topology>(relation).unwrap();
    assert_eq!((topology.nodes.len(), topology.sources().0.len()), (14, 6));
    let mut found: Vec<[u32; 2]> = topology.endpoints.clone();
    found.sort_unstable_by_key(|[source, target]| [*target, *source]);
    assert_eq!(found, expected);

    let plain = other.spawn(Graph::new(papers, edges, subgraphs)).id();
    let refused = batch.load(&mut other, plain).unwrap_err().to_string();
    assert!(
        refused.contains("leads from one kind of nodes to another and the batch does not, or the reverse"),
        "{refused}"
    );
    let refused = extract.sample_neighbors(&scene.world, &scene.nodes[PAPER][..1], &[2], 0, 0, &mut batch).unwrap_err();
    assert!(refused.to_string().contains("extract it as a whole"), "{refused}");
    let refused = extract.subgraphs(&scene.world, &[], &mut batch).unwrap_err();
    assert!(refused.to_string().contains("extract it as a whole"), "{refused}");
}

#[test]
fn algorithms_of_structure_see_the_nodes_of_a_relation_without_edges() {
    let mut scene = scene(13, [9, 30]);
    let writes = scene.relations[1].1;
    update_topology(&mut scene.world, writes, &mut Scratch::default());
    let topology = scene.world.get::<Topology>(writes).unwrap();
    assert!(topology.incoming.len() > 20 && topology.endpoints_within().is_empty());
    let simple = SimpleGraph::of(topology);
    assert_eq!(maximum_clique(&simple, &Workers::single(), None).nodes.len(), 1);
    let labeled = labeled_graph(&scene.world, writes).unwrap();
    assert_eq!((labeled.labels().len(), labeled.labeled_edges().count()), (9, 0));
}

#[test]
fn negative_samples_of_a_relation_are_pairs_of_its_kinds_without_an_edge() {
    let (kinds, mut relations) = library(14, [12, 7]);
    // Nobody has written most of them.
    relations[1].edges.truncate(20);
    let mut scene = KindScene::new(&kinds, &relations);
    let writes = scene.relations[1].1;
    let cotangents = cotangents(14, [12, 7], 4);
    let model =
        scene.build(|builder| builder.layer(HeteroConv::new(SageConv::new(4))), &cotangents, &|_| None).unwrap();
    let [author, paper] = [scene.nodes[AUTHOR][0], scene.nodes[PAPER][0]];
    let pairs: Vec<Entity> = (0..30).map(|_| scene.world.spawn(Edge { source: author, target: paper }).id()).collect();
    let sample = sample_negatives(model, writes, pairs.clone()).before(GraphSystems::Sync);
    add_systems(&mut scene.world, Train(model), sample).unwrap();
    // The first step derives the topology that the second one draws from.
    (0..2).for_each(|_| scene.world.train(model).unwrap());
    let known: Vec<Edge> = scene.edges[1].iter().filter_map(|edge| scene.world.get::<Edge>(*edge).copied()).collect();
    let mut drawn = Vec::new();
    for pair in pairs {
        let edge = *scene.world.get::<Edge>(pair).unwrap();
        assert!(scene.nodes[AUTHOR].contains(&edge.source) && scene.nodes[PAPER].contains(&edge.target));
        assert!(!known.contains(&edge), "{edge:?} is no negative");
        drawn.push(edge);
    }
    assert!(drawn.iter().any(|edge| *edge != drawn[0]), "all are one pair");
}
