//! A batch is the part of the corpus that was asked for, and the training world holds the batch and nothing else.
//!
//! Corpora are random: graphs of few nodes and edges, some without any, spawned in any order, in several tables, with
//! nodes of no graph and edges between graphs. What is extracted is compared with what the entities themselves say. A
//! failure prints the corpus, shrunk, and the graphs or seeds that were asked for.

use crate::common;

use bevy_ecs::prelude::*;
use common::few_cases;
use connectome_components::{
    ClassLabel, Edge, EdgeWeight, Field, FieldError, Graph, GraphKey, GraphNode, InSubgraph, Marker, Split, Subgraph,
    Topology, insert_default, register_default,
};
use connectome_systems::{
    Scratch, Workers,
    batch::{Batch, BatchElement, BatchError, Extract},
    update_topology,
};
use proptest::{prelude::*, sample::Index};
use std::collections::{BTreeMap, BTreeSet};

/// Puts an entity into another table.
#[derive(Component)]
struct Marked;

/// A corpus by its parts: how many graphs there are, the graph of each node if any and whether it is marked, and the endpoints
/// of each edge with its weight in quarters. Numbers that are too large start over.
#[derive(Clone, Debug)]
struct Plan {
    graphs: usize,
    nodes: Vec<(Option<usize>, bool)>,
    edges: Vec<(usize, usize, Option<i8>)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let node = (prop::option::weighted(0.9, 0..6usize), prop::bool::weighted(0.2));
    let edges = prop::collection::vec((0..24usize, 0..24usize, 0..=8i8), 0..60);
    // All edges have weights, about half of them, or none.
    let edges = (prop::sample::select(vec![-1, 4, 8]), edges).prop_map(|(least, edges)| {
        edges.into_iter().map(|(source, target, weight)| (source, target, (weight > least).then_some(weight))).collect()
    });
    (0..6usize, prop::collection::vec(node, 0..24), edges).prop_map(|(graphs, nodes, edges)| Plan {
        graphs,
        nodes,
        edges,
    })
}

/// The fields that are copied, in one of the worlds.
#[derive(Clone, Copy)]
struct Fields {
    features: Field,
    indices: Field<u32>,
    labels: Field<ClassLabel>,
    splits: Field<Split>,
    lengths: Field,
    targets: Field,
}

impl Fields {
    fn register(world: &mut World, graph: &Graph) -> Self {
        Self {
            features: Field::register(world, "features", graph.nodes, 3).unwrap(),
            indices: Field::register(world, "indices", graph.nodes, 2).unwrap(),
            labels: Field::of_component(world, graph.nodes).unwrap(),
            splits: Field::of_component(world, graph.nodes).unwrap(),
            lengths: Field::register(world, "lengths", graph.edges, 1).unwrap(),
            targets: Field::register(world, "targets", graph.subgraphs, 2).unwrap(),
        }
    }
}

struct Corpus {
    world: World,
    graph: Entity,
    fields: Fields,
    nodes: Vec<Entity>,
    subgraphs: Vec<Entity>,
}

impl Corpus {
    fn new(plan: &Plan) -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let subgraphs: Vec<Entity> = (0..plan.graphs).map(|_| world.spawn(Subgraph).id()).collect();
        let mut nodes = Vec::new();
        for (of, marked) in &plan.nodes {
            let mut node = world.spawn(GraphNode);
            if let Some(of) = of.filter(|_| !subgraphs.is_empty()) {
                node.insert(InSubgraph(subgraphs[of % subgraphs.len()]));
            }
            if *marked {
                node.insert(Marked);
            }
            nodes.push(node.id());
        }
        for (source, target, quarters) in plan.edges.iter().filter(|_| !nodes.is_empty()) {
            let [source, target] = [source, target].map(|end| nodes[end % nodes.len()]);
            let mut edge = world.spawn(Edge { source, target });
            if let Some(quarters) = quarters {
                edge.insert(EdgeWeight(0.25 * f32::from(*quarters)));
            }
        }
        let components = *world.get::<Graph>(graph).unwrap();
        let fields = Fields::register(&mut world, &components);
        update_topology(&mut world, graph, &mut Scratch::default());
        let mut corpus = Self { world, graph, fields, nodes, subgraphs };
        corpus.fill();
        corpus
    }

    /// Numbers that no other entity has.
    fn fill(&mut self) {
        let Self { world, fields, .. } = self;
        let all: Vec<Entity> = self.nodes.iter().chain(&self.subgraphs).copied().collect();
        let edges: Vec<Entity> = world.query_filtered::<Entity, With<Edge>>().iter(world).collect();
        for entity in all.into_iter().chain(edges) {
            let number = entity.index_u32();
            let float = number as f32;
            if world.get::<GraphNode>(entity).is_some() {
                fields.features.set(world, entity, &[float, -float, 0.5]).unwrap();
                fields.indices.set(world, entity, &[number, 7]).unwrap();
                fields.labels.set(world, entity, &[ClassLabel(number)]).unwrap();
                fields.splits.set(world, entity, &[[Split::Train, Split::Test][number as usize % 2]]).unwrap();
            } else if world.get::<Edge>(entity).is_some() {
                fields.lengths.set(world, entity, &[float]).unwrap();
            } else {
                fields.targets.set(world, entity, &[float, 1.0]).unwrap();
            }
        }
    }

    fn topology(&self) -> &Topology {
        self.world.get::<Topology>(self.graph).unwrap()
    }

    fn extract_into(&self, to: &Fields) -> Extract {
        let mut extract = Extract::new(&self.world, self.graph).unwrap();
        extract.copy(&self.world, self.fields.features, to.features).unwrap();
        extract.copy(&self.world, self.fields.indices, to.indices).unwrap();
        extract.copy(&self.world, self.fields.labels, to.labels).unwrap();
        extract.copy(&self.world, self.fields.splits, to.splits).unwrap();
        extract.copy(&self.world, self.fields.lengths, to.lengths).unwrap();
        extract.copy(&self.world, self.fields.targets, to.targets).unwrap();
        extract
    }

    fn edge(&self, edge: Entity) -> Edge {
        *self.world.get::<Edge>(edge).unwrap()
    }

    /// The edges that end at a node, each with the node it comes from.
    fn incoming(&self, node: Entity) -> BTreeMap<Entity, Entity> {
        let edges = self.topology().edges.entities().iter().map(|edge| (*edge, self.edge(*edge)));
        edges.filter(|(_, edge)| edge.target == node).map(|(entity, edge)| (entity, edge.source)).collect()
    }

    /// The rows that a batch holds are copies of those of its origins, and its edges go where theirs go.
    fn check(&self, batch: &Batch, to: &Fields) -> Result<(), TestCaseError> {
        let origin = |number: &u32| batch.nodes()[*number as usize];
        prop_assert_eq!(batch.endpoints().len(), batch.edges().len());
        for (edge, [source, target]) in batch.edges().iter().zip(batch.endpoints()) {
            prop_assert_eq!(self.edge(*edge), Edge { source: origin(source), target: origin(target) });
        }
        let weight = |edge: &Entity| self.world.get::<EdgeWeight>(*edge).map_or(1.0, |weight| weight.0);
        match batch.weights() {
            Some(weights) => prop_assert_eq!(weights, batch.edges().iter().map(weight).collect::<Vec<_>>()),
            None => prop_assert!(batch.edges().iter().all(|edge| weight(edge) == 1.0)),
        }
        self.check_field(batch, batch.nodes(), self.fields.features, to.features)?;
        self.check_field(batch, batch.nodes(), self.fields.indices, to.indices)?;
        self.check_field(batch, batch.nodes(), self.fields.labels, to.labels)?;
        self.check_field(batch, batch.edges(), self.fields.lengths, to.lengths)?;
        self.check_field(batch, batch.subgraphs(), self.fields.targets, to.targets)
    }

    fn check_field<T>(
        &self,
        batch: &Batch,
        origins: &[Entity],
        from: Field<T>,
        to: Field<T>,
    ) -> Result<(), TestCaseError>
    where
        T: BatchElement + PartialEq + core::fmt::Debug,
    {
        let expected: Vec<T> =
            origins.iter().flat_map(|entity| from.get(&self.world, *entity).unwrap()).copied().collect();
        prop_assert_eq!(batch.contents(to), Some(&expected[..]));
        Ok(())
    }
}

/// A world that batches are loaded into.
struct Training {
    world: World,
    graph: Entity,
    fields: Fields,
}

impl Training {
    fn new() -> Self {
        let mut world = World::new();
        let markers = ["node", "edge", "subgraph"].map(|name| Marker::register(&mut world, name).id());
        let [nodes, edges, subgraphs] = markers;
        let graph = Graph::new(nodes, edges, subgraphs);
        let fields = Fields::register(&mut world, &graph);
        let graph = world.spawn(graph).id();
        Self { world, graph, fields }
    }

    /// The world holds a batch and nothing else, row for row.
    fn check(&mut self, batch: &Batch) -> Result<(), TestCaseError> {
        let Self { world, graph, fields } = self;
        update_topology(world, *graph, &mut Scratch::default());
        let topology = world.get::<Topology>(*graph).unwrap();
        prop_assert_eq!(topology.nodes.len(), batch.nodes().len());
        prop_assert_eq!(topology.subgraphs.len(), batch.subgraphs().len());
        prop_assert!(topology.nodes.tables().len() <= 1 && topology.edges.tables().len() <= 1);
        prop_assert_eq!(&topology.endpoints[..], batch.endpoints());
        prop_assert_eq!(topology.dangling, 0);
        let weights: Vec<f32> = topology.edges.weights(world).collect();
        let ones = vec![1.0; weights.len()];
        prop_assert_eq!(&weights, batch.weights().unwrap_or(&ones));
        for row in topology.incoming.offsets.array_windows::<2>() {
            let entries = row[0] as usize..row[1] as usize;
            let sources = &topology.incoming.neighbors[entries.clone()];
            for (pair, edges) in sources.array_windows::<2>().zip(topology.incoming.edges[entries].array_windows::<2>())
            {
                prop_assert!(pair[0] != pair[1] || edges[0] < edges[1], "parallel edges change their order");
            }
        }
        let membership = &topology.membership;
        let place = |row| membership.neighbors[membership.entries(row)].first().copied();
        let places: Vec<u32> = (0..topology.nodes.len()).map(|row| place(row).unwrap_or(Batch::NO_SUBGRAPH)).collect();
        prop_assert_eq!(&places[..], batch.subgraph_of());
        same(world, batch, fields.features)?;
        same(world, batch, fields.indices)?;
        same(world, batch, fields.labels)?;
        same(world, batch, fields.splits)?;
        same(world, batch, fields.lengths)?;
        same(world, batch, fields.targets)
    }

    /// Nodes, edges and subgraphs that live.
    fn population(&mut self) -> usize {
        let graph = *self.world.get::<Graph>(self.graph).unwrap();
        let carries = |entity: &EntityRef| {
            [graph.nodes, graph.edges, graph.subgraphs].iter().any(|marker| entity.contains_id(*marker))
        };
        self.world.query::<EntityRef>().iter(&self.world).filter(carries).count()
    }
}

fn same<T>(world: &World, batch: &Batch, field: Field<T>) -> Result<(), TestCaseError>
where
    T: BatchElement + PartialEq + core::fmt::Debug,
{
    let found: Vec<T> = field.matrix(world).rows().flatten().copied().collect();
    prop_assert_eq!(batch.contents(field), Some(&found[..]));
    Ok(())
}

/// Graphs that may be asked for, some of them twice.
fn choice(indices: &[Index], from: &[Entity]) -> Vec<Entity> {
    indices.iter().filter(|_| !from.is_empty()).map(|index| *index.get(from)).collect()
}

/// Each once.
fn distinct(entities: Vec<Entity>) -> Vec<Entity> {
    let mut seen = BTreeSet::new();
    entities.into_iter().filter(|entity| seen.insert(*entity)).collect()
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn a_union_is_its_graphs(plan in plans(), asked in prop::collection::vec(any::<Index>(), 0..5)) {
        let corpus = Corpus::new(&plan);
        let training = Training::new();
        let asked = choice(&asked, &corpus.subgraphs);
        let mut batch = Batch::default();
        corpus.extract_into(&training.fields).subgraphs(&corpus.world, &asked, &mut batch).unwrap();
        corpus.check(&batch, &training.fields)?;
        corpus.check_field(&batch, batch.nodes(), corpus.fields.splits, training.fields.splits)?;
        prop_assert_eq!(batch.subgraphs(), &asked);
        let topology = corpus.topology();
        let subgraph_of = |node: &Entity| corpus.world.get::<InSubgraph>(*node).map(|place| place.0);
        let (mut nodes, mut edges, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (number, graph) in asked.iter().enumerate() {
            let inside = |node: &Entity| subgraph_of(node) == Some(*graph);
            let key = |entity: Entity| *corpus.world.get::<GraphKey>(entity).unwrap();
            let mut inner_nodes: Vec<_> = topology.nodes.entities().iter().copied().filter(inside).collect();
            inner_nodes.sort_by_key(|node| key(*node));
            nodes.extend(inner_nodes);
            let ends = |edge: Entity| corpus.edge(edge);
            let is_inner = |edge: &Entity| inside(&ends(*edge).source) && inside(&ends(*edge).target);
            let mut inner_edges: Vec<_> = topology.edges.entities().iter().copied().filter(is_inner).collect();
            inner_edges.sort_by_key(|edge| {
                let weight = corpus.world.get::<EdgeWeight>(*edge).map_or(1.0, |weight| weight.0);
                ([ends(*edge).target, ends(*edge).source].map(key), (4.0 * weight) as i32, edge.index_u32())
            });
            edges.extend(inner_edges);
            places.resize(nodes.len(), number as u32);
        }
        prop_assert_eq!(batch.nodes(), &nodes);
        prop_assert_eq!(batch.edges(), &edges);
        prop_assert_eq!(batch.subgraph_of(), &places);
        // An edge that goes from one of the graphs into the next would be between their copies.
        let mixed = batch.endpoints().iter().find(|[source, target]| places[*source as usize] != places[*target as usize]);
        prop_assert_eq!(mixed, None);
    }

    #[test]
    fn a_sample_is_part_of_the_neighborhood(
        plan in plans(),
        seeds in prop::collection::vec(any::<Index>(), 0..5),
        fan_outs in prop::collection::vec(prop_oneof![0..4usize, Just(usize::MAX)], 0..4),
        key in any::<(u64, u64)>(),
    ) {
        let corpus = Corpus::new(&plan);
        let training = Training::new();
        let seeds = distinct(choice(&seeds, &corpus.nodes));
        let extract = corpus.extract_into(&training.fields);
        let sample = |batch: &mut Batch| {
            extract.sample_neighbors(&corpus.world, &seeds, &fan_outs, key.0, key.1, batch).unwrap();
        };
        let mut batch = Batch::default();
        sample(&mut batch);
        corpus.check(&batch, &training.fields)?;
        let distinct_edges: BTreeSet<_> = batch.edges().iter().collect();
        prop_assert_eq!(distinct_edges.len(), batch.edges().len(), "an edge came twice");
        prop_assert_eq!(&batch.nodes()[..seeds.len()], &seeds);
        prop_assert!(batch.subgraphs().is_empty() && batch.subgraph_of().iter().all(|it| *it == Batch::NO_SUBGRAPH));
        let splits = batch.contents(training.fields.splits).unwrap();
        prop_assert!(splits[seeds.len()..].iter().all(|split| *split == Split::Unused));
        prop_assert!(splits[..seeds.len()].iter().all(|split| *split != Split::Unused));
        // Layer by layer, what was reached first is expanded by the fan-out of its layer.
        let mut reached = seeds.len();
        let mut expanded = 0;
        for fan_out in &fan_outs {
            let mut next = reached;
            for target in expanded..reached {
                let all = corpus.incoming(batch.nodes()[target]);
                let taken = batch.edges().iter().zip(batch.endpoints()).filter(|(_, [_, end])| *end as usize == target);
                let taken: Vec<_> = taken.collect();
                prop_assert_eq!(taken.len(), all.len().min(*fan_out));
                prop_assert!(taken.iter().all(|(edge, _)| all.contains_key(edge)));
                next = taken.iter().map(|(_, [source, _])| *source as usize + 1).fold(next, usize::max);
            }
            (expanded, reached) = (reached, next);
        }
        prop_assert_eq!(reached, batch.nodes().len());
        let leaves = expanded..reached;
        prop_assert!(fan_outs.is_empty() || batch.endpoints().iter().all(|[_, end]| !leaves.contains(&(*end as usize))));
        prop_assert!(batch.endpoints().is_sorted_by_key(|[source, target]| (*target, *source)));
        // The same in a batch that held something else before.
        let mut again = Batch::default();
        extract.sample_neighbors(&corpus.world, &distinct(corpus.nodes.clone()), &[2], 1, 1, &mut again).unwrap();
        sample(&mut again);
        prop_assert_eq!((again.nodes(), again.edges(), again.endpoints()), (batch.nodes(), batch.edges(), batch.endpoints()));
    }

    #[test]
    fn loading_batches_in_turn_leaves_the_last(
        plan in plans(),
        turns in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<Index>(), 0..6)), 1..6),
    ) {
        let corpus = Corpus::new(&plan);
        let mut training = Training::new();
        let extract = corpus.extract_into(&training.fields);
        let mut batch = Batch::default();
        for (step, (union, asked)) in turns.iter().enumerate() {
            if *union {
                extract.subgraphs(&corpus.world, &choice(asked, &corpus.subgraphs), &mut batch).unwrap();
            } else {
                let seeds = distinct(choice(asked, &corpus.nodes));
                extract.sample_neighbors(&corpus.world, &seeds, &[2, 2], 0, step as u64, &mut batch).unwrap();
            }
            batch.load(&mut training.world, training.graph).unwrap();
            training.check(&batch)?;
            let expected = batch.nodes().len() + batch.edges().len() + batch.subgraphs().len();
            prop_assert_eq!(training.population(), expected);
            let version = training.world.get::<Topology>(training.graph).unwrap().version;
            batch.load(&mut training.world, training.graph).unwrap();
            training.check(&batch)?;
            let again = training.world.get::<Topology>(training.graph).unwrap().version;
            prop_assert_eq!(again, version, "what was loaded already derived the topology anew");
        }
    }
}

/// Three graphs: a star with 9 edges to its first node, a single node without edges, and one without nodes.
fn stars() -> Corpus {
    let nodes = [vec![(Some(0), false); 10], vec![(Some(1), false)]].concat();
    let edges = (1..10).map(|leaf| (leaf, 0, None)).collect();
    Corpus::new(&Plan { graphs: 3, nodes, edges })
}

#[test]
fn seeds_and_steps_draw_different_neighbors() {
    let corpus = stars();
    let training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let hub = corpus.topology().nodes.entities()[0];
    let draw = |seed, step| {
        let mut batch = Batch::default();
        extract.sample_neighbors(&corpus.world, &[hub], &[4], seed, step, &mut batch).unwrap();
        batch.nodes().to_vec()
    };
    let draws: BTreeSet<_> = (0..100).map(|number| draw(number / 10, number % 10)).collect();
    // Of 126 sets a hundred draws meet about 69 different ones.
    assert!(draws.len() > 50, "{}", draws.len());
}

#[test]
fn graphs_without_nodes_or_edges_and_empty_batches_are_batches() {
    let corpus = stars();
    let mut training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let [star, single, empty] = [0, 1, 2].map(|place| corpus.subgraphs[place]);
    let mut batch = Batch::default();
    let turns: [(&[Entity], [usize; 3]); 6] = [
        (&[], [0, 0, 0]),
        (&[empty], [0, 0, 1]),
        (&[empty, single, empty, single], [2, 0, 4]),
        (&[star, empty], [10, 9, 2]),
        (&[star, star], [20, 18, 2]),
        (&[], [0, 0, 0]),
    ];
    for (asked, [nodes, edges, subgraphs]) in turns {
        extract.subgraphs(&corpus.world, asked, &mut batch).unwrap();
        assert_eq!((batch.nodes().len(), batch.edges().len(), batch.subgraphs().len()), (nodes, edges, subgraphs));
        batch.load(&mut training.world, training.graph).unwrap();
        training.check(&batch).unwrap();
        assert_eq!(training.population(), nodes + edges + subgraphs);
    }
    extract.sample_neighbors(&corpus.world, &[], &[usize::MAX], 0, 0, &mut batch).unwrap();
    assert!(batch.nodes().is_empty());
}

#[test]
fn parallel_edges_stay_in_their_order_whatever_was_loaded_before() {
    // The edges of the last graph get the entities of nodes and edges of the first.
    let sizes = [(10, 20), (2, 10), (5, 30)];
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (graph, (node_count, edge_count)) in sizes.into_iter().enumerate() {
        edges.extend(vec![(nodes.len(), nodes.len() + 1, None); edge_count]);
        nodes.extend(vec![(Some(graph), false); node_count]);
    }
    let corpus = Corpus::new(&Plan { graphs: 3, nodes, edges });
    let mut training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let mut batch = Batch::default();
    let mut was_disordered = false;
    for turn in 0..30 {
        let graph = corpus.subgraphs[[0, 1, 2, 1, 0, 2][turn % 6]];
        extract.subgraphs(&corpus.world, &[graph], &mut batch).unwrap();
        batch.load(&mut training.world, training.graph).unwrap();
        training.check(&batch).unwrap();
        let topology = training.world.get::<Topology>(training.graph).unwrap();
        was_disordered |= !topology.edges.entities().is_sorted_by_key(|edge| edge.index_u32());
    }
    assert!(was_disordered, "indices of entities would do");
}

#[test]
fn the_next_batch_is_extracted_while_the_present_one_is_in_use() {
    let corpus = stars();
    let mut training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let [mut present, mut next] = [Batch::default(), Batch::default()];
    extract.subgraphs(&corpus.world, &corpus.subgraphs[..1], &mut present).unwrap();
    for _ in 0..20 {
        present.load(&mut training.world, training.graph).unwrap();
        let (checked, extracted) =
            rayon::join(|| training.check(&present), || extract.subgraphs(&corpus.world, &corpus.subgraphs, &mut next));
        checked.unwrap();
        extracted.unwrap();
        core::mem::swap(&mut present, &mut next);
    }
}

#[test]
fn components_of_the_users_mark_what_is_loaded() {
    #[derive(Component, Clone, Copy, Default)]
    struct Citizen(#[expect(dead_code, reason = "it only takes up room")] f32);
    #[derive(Component, Clone, Copy, Default)]
    struct Friendship;
    let corpus = stars();
    let mut world = World::new();
    let graph = Graph::of::<Citizen, Friendship>(&mut world);
    let citizens = world.register_component::<Citizen>();
    let features = Field::register(&mut world, "features", citizens, 3).unwrap();
    let mut extract = Extract::new(&corpus.world, corpus.graph).unwrap();
    extract.copy(&corpus.world, corpus.fields.features, features).unwrap();
    let mut batch = Batch::default();
    extract.subgraphs(&corpus.world, &corpus.subgraphs, &mut batch).unwrap();
    for name in ["Citizen", "Friendship"] {
        let error = batch.load(&mut world, graph).unwrap_err();
        assert!(
            matches!(&error, BatchError::Field(FieldError::NoDefault { name: it }) if it.contains(name)),
            "{error}"
        );
        assert_eq!(world.query::<&Citizen>().iter(&world).count(), 0, "an error left something behind");
        match name {
            "Citizen" => register_default::<Citizen>(&mut world),
            _ => register_default::<Friendship>(&mut world),
        };
    }
    batch.load(&mut world, graph).unwrap();
    assert_eq!(world.query::<&Citizen>().iter(&world).count(), 11);
    assert_eq!(world.query::<(&Friendship, &Edge)>().iter(&world).count(), 9);
    same(&world, &batch, features).unwrap();
}

#[test]
fn what_the_world_has_already_becomes_part_of_the_batch() {
    let corpus = stars();
    let mut training = Training::new();
    let graph = *training.world.get::<Graph>(training.graph).unwrap();
    // A node and an edge of another table each, and a weight that the corpus has not.
    let node = training.world.spawn(Marked).id();
    let edge = training.world.spawn((EdgeWeight(3.0), Edge { source: node, target: node })).id();
    insert_default(&mut training.world, &[node], graph.nodes).unwrap();
    insert_default(&mut training.world, &[edge], graph.edges).unwrap();
    let extract = corpus.extract_into(&training.fields);
    let mut batch = Batch::default();
    extract.subgraphs(&corpus.world, &corpus.subgraphs, &mut batch).unwrap();
    batch.load(&mut training.world, training.graph).unwrap();
    assert_eq!(training.population(), 11 + 9 + 3);
    let weights: Vec<_> = training.world.query::<&EdgeWeight>().iter(&training.world).copied().collect();
    assert_eq!(weights, [EdgeWeight(1.0); 9]);
    // Rows are rows of the batch, also when they lie in two tables.
    same(&training.world, &batch, training.fields.features).unwrap();
    update_topology(&mut training.world, training.graph, &mut Scratch::default());
    let topology = training.world.get::<Topology>(training.graph).unwrap();
    assert_eq!((&topology.endpoints[..], topology.nodes.tables().len()), (batch.endpoints(), 2));
}

#[test]
fn values_that_stay_in_the_corpus_are_loaded_from_it() {
    let mut corpus = stars();
    let (mut plain, mut training) = (Training::new(), Training::new());
    for workers in [1, 3] {
        training.world.insert_resource(Workers::new(workers).unwrap());
        let (copying, extract) =
            (corpus.extract_into(&plain.fields), corpus.extract_into(&training.fields).leave_values());
        let (mut copied, mut batch) = (Batch::default(), Batch::default());
        for asked in [&corpus.subgraphs[..], &corpus.subgraphs[1..], &corpus.subgraphs[..1]] {
            copying.subgraphs(&corpus.world, asked, &mut copied).unwrap();
            copied.load(&mut plain.world, plain.graph).unwrap();
            extract.subgraphs(&corpus.world, asked, &mut batch).unwrap();
            assert_eq!(batch.contents(training.fields.features), None);
            assert_eq!(batch.load(&mut training.world, training.graph), Err(BatchError::Left));
            extract.load(&corpus.world, &batch, &mut training.world, training.graph).unwrap();
            same(&training.world, &batch, training.fields.splits).unwrap();
            let values = |training: &Training, field: Field| -> Vec<f32> {
                field.matrix(&training.world).rows().flatten().copied().collect()
            };
            for (found, expected) in
                [(training.fields.features, plain.fields.features), (training.fields.lengths, plain.fields.lengths)]
            {
                assert_eq!(values(&training, found), values(&plain, expected));
            }
        }
    }

    let extract = corpus.extract_into(&training.fields).leave_values();
    let mut batch = Batch::default();
    extract.subgraphs(&corpus.world, &corpus.subgraphs, &mut batch).unwrap();
    let other = extract.load(&plain.world, &batch, &mut training.world, training.graph);
    assert_eq!(other, Err(BatchError::OtherWorld));
    let stale = Err(BatchError::Stale(corpus.graph));
    corpus.world.spawn(Edge { source: corpus.nodes[1], target: corpus.nodes[0] });
    assert_eq!(extract.load(&corpus.world, &batch, &mut training.world, training.graph), stale);
    extract.update(&mut corpus.world);
    assert_eq!(extract.load(&corpus.world, &batch, &mut training.world, training.graph), stale);
}

#[test]
fn what_cannot_be_extracted_or_loaded_is_an_error() {
    let mut corpus = stars();
    let mut training = Training::new();
    let to = training.fields;
    let mut extract = corpus.extract_into(&to);
    let mut batch = Batch::default();
    let [node, subgraph] = [corpus.nodes[0], corpus.subgraphs[0]];
    let mut error = |subgraphs: &[Entity], seeds: &[Entity]| {
        let union = extract.subgraphs(&corpus.world, subgraphs, &mut batch);
        assert!(union.is_ok() || batch.nodes().is_empty());
        let sample = extract.sample_neighbors(&corpus.world, seeds, &[1], 0, 0, &mut batch);
        assert!(sample.is_ok() || batch.nodes().is_empty());
        union.and(sample).unwrap_err()
    };
    assert_eq!(error(&[subgraph, node], &[]), BatchError::NoSubgraph(node));
    assert_eq!(error(&[], &[node, subgraph]), BatchError::NoNode(subgraph));
    assert_eq!(error(&[], &[node, node]), BatchError::SeedTwice(node));

    let (world, from) = (&mut corpus.world, corpus.fields);
    assert_eq!(Extract::new(world, node).unwrap_err(), BatchError::NoGraph(node));
    assert_eq!(extract.copy(world, to.features, from.features), Err(BatchError::OtherWorld));
    assert_eq!(extract.copy(world, from.features, from.features), Err(BatchError::OtherWorld));
    let widths = BatchError::Widths { from: "features".to_owned(), from_width: 3, to_width: 1 };
    assert_eq!(extract.copy(world, from.features, to.lengths), Err(widths));
    let stray = Field::<f32>::register_on(world, corpus.graph, "stray", 1).unwrap();
    let domain = "nodes, edges or subgraphs";
    assert_eq!(extract.copy(world, stray, to.lengths), Err(BatchError::OtherRows { name: "stray".to_owned(), domain }));

    assert_eq!(batch.load(&mut training.world, node), Err(BatchError::NoGraph(node)));
    extract
        .copy(world, from.features, Field::register_on(&mut training.world, training.graph, "x", 3).unwrap())
        .unwrap();
    extract.subgraphs(world, &[subgraph], &mut batch).unwrap();
    let error = batch.load(&mut training.world, training.graph).unwrap_err();
    assert_eq!(error, BatchError::OtherRows { name: "x".to_owned(), domain: "nodes" });
    assert_eq!(training.population(), 0);
    let mut other = Training::new();
    assert_eq!(batch.load(&mut other.world, other.graph), Err(BatchError::OtherWorld));
}

#[test]
fn a_corpus_that_has_changed_must_be_updated() {
    let mut corpus = stars();
    let training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let mut batch = Batch::default();
    let (star, leaf) = (corpus.subgraphs[0], corpus.nodes[5]);
    let changes: [fn(&mut World, Entity); 3] = [
        |world, leaf| _ = world.spawn(Edge { source: leaf, target: leaf }),
        |world, leaf| world.get_mut::<InSubgraph>(leaf).unwrap().0 = Entity::PLACEHOLDER,
        |world, leaf| _ = world.despawn(leaf),
    ];
    for (change, nodes) in changes.into_iter().zip([10, 9, 9]) {
        change(&mut corpus.world, leaf);
        let stale = extract.subgraphs(&corpus.world, &[star], &mut batch);
        assert_eq!(stale, Err(BatchError::Stale(corpus.graph)));
        extract.update(&mut corpus.world);
        extract.subgraphs(&corpus.world, &[star], &mut batch).unwrap();
        assert_eq!(batch.nodes().len(), nodes);
    }
    let other = Training::new();
    assert_eq!(extract.subgraphs(&other.world, &[], &mut batch), Err(BatchError::NoGraph(corpus.graph)));
}

#[test]
fn an_observer_that_despawns_what_is_loaded_is_an_error() {
    let corpus = stars();
    let mut training = Training::new();
    let extract = corpus.extract_into(&training.fields);
    let mut batch = Batch::default();
    extract.subgraphs(&corpus.world, &corpus.subgraphs, &mut batch).unwrap();
    training.world.add_observer(|added: On<Add<EdgeWeight>>, mut commands: Commands| {
        commands.entity(added.entity).despawn();
    });
    training.world.add_observer(|added: On<Add<ClassLabel>>, mut commands: Commands| {
        commands.entity(added.entity).despawn();
    });
    assert_eq!(batch.load(&mut training.world, training.graph), Err(BatchError::Disturbed));
}
