//! Rewrites that are carried out in a world: entities that stay keep their components, nothing is changed by what is invalid
//! or refused, all can be undone, and nothing goes on forever.

use std::collections::HashMap;

use bevy_ecs::prelude::*;
use connectome_components::{ClassLabel, Edge, EdgeKind, EdgePosition, Graph, GraphKey, GraphNode, Topology};
use connectome_languages::{
    OrderedDag,
    mathematics::Terms,
    rewriting::{
        CommittedEdits, EditCounts, EditError, EditNode, EntityDag, EntityDagError, EntityRewrite, GraphEdits,
        InvalidRewrite, Rewrite, SettleError, Slot, SlotAddress, SlotLabel, SlotLayout, align, commit_edits,
        rewrite_terms, run_until_settled,
    },
};
use connectome_systems::{
    GraphSystems, Infer, ModelBuilder, WorldModelExt, layers::GcnConv, snapshot::Snapshot, update_topology,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::rewriting::{Definition, rewrites, tree};

type Node = (GraphNode, ClassLabel);
type TermEdge = (EdgeKind, EdgePosition, GraphKey);

/// A component of the user's.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Name(u32);

fn node(label: u32) -> Node {
    EntityDag::node(label)
}

fn edge(position: u32) -> TermEdge {
    EntityDag::edge(position)
}

/// A world with a term, whose nodes have names.
fn world(dag: &OrderedDag) -> (World, Entity) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = EntityDag::spawn(dag, &mut world, node, edge);
    for (node, name) in nodes.into_iter().zip(0..) {
        world.entity_mut(node).insert(Name(name));
    }
    (world, graph)
}

fn snapshot(world: &World, graph: Entity) -> Snapshot {
    let mut snapshot = Snapshot::new(graph).with_saved::<EdgePosition>().with_saved::<Name>();
    snapshot.take(world).unwrap();
    snapshot
}

fn checksum(world: &World, graph: Entity) -> u64 {
    snapshot(world, graph).checksum().unwrap()
}

/// Nodes, and edges that do not dangle.
fn sizes(world: &mut World, graph: Entity) -> [usize; 2] {
    update_topology(world, graph, &mut Default::default());
    let topology = world.get::<Topology>(graph).unwrap();
    assert_eq!(topology.dangling, 0);
    [topology.nodes.len(), topology.edges.len()]
}

/// The tree below an entity; none if it is large.
fn tree_of(terms: &EntityDag, entity: Entity) -> Option<super::rewriting::Tree> {
    let node = terms.nodes.iter().position(|node| *node == entity).unwrap();
    let term = terms.dag.reachable_from(node as u32);
    if term.tree_size() < 10_000 { tree(&term) } else { None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the slots are: each root becomes what its slots are defined to stand for, or stays as it is; entities that
    /// stay keep their components; the counts are right; and a snapshot undoes it.
    #[test]
    fn any_slots_make_a_world_what_they_stand_for((dag, slots) in rewrites()) {
        // The nodes in the order in which they are read from a world.
        let (mut world, graph) = world(&dag);
        let before = EntityDag::read(&mut world, graph).unwrap();
        prop_assert_eq!(before.dag.len(), dag.len());
        let (taken, sum) = (snapshot(&world, graph), checksum(&world, graph));
        let [nodes, edges] = sizes(&mut world, graph);
        let Ok(rewritten) = before.rewrite(&slots, node, edge) else {
            prop_assert!(slots.layout().result >= slots.layout().slots);
            return Ok(());
        };
        let EntityRewrite { edits, answers } = rewritten;
        let names: HashMap<Entity, Name> =
            before.nodes.iter().map(|node| (*node, *world.get::<Name>(*node).unwrap())).collect();
        let (counts, spawned) = edits.apply(&mut world, graph).unwrap();
        prop_assert_eq!(counts.invalid, answers.iter().filter(|answer| answer.is_err()).count());
        prop_assert_eq!(spawned.len(), counts.spawned);
        let after = EntityDag::read(&mut world, graph).unwrap();
        let expected = [nodes + counts.spawned - counts.despawned, edges + counts.connected - counts.disconnected];
        prop_assert_eq!(sizes(&mut world, graph), expected);
        for node in &after.nodes {
            prop_assert_eq!(world.get::<Name>(*node), names.get(node));
        }
        let mut definition = Definition { source: &before.dag, rewrite: &slots, known: HashMap::new() };
        for (root, answer) in before.roots.iter().zip(&answers) {
            let entity = match answer {
                Ok(EditNode::Entity(entity)) => *entity,
                Ok(EditNode::New(number)) => spawned[*number as usize],
                Err(_) => before.nodes[*root as usize],
            };
            // Trees that are shared much are too large to write down.
            let Some(found) = tree_of(&after, entity) else { continue };
            let expected = match answer {
                Ok(_) => definition.slot(*root, slots.layout().result),
                Err(_) => tree(&before.dag.reachable_from(*root)),
            };
            prop_assert_eq!(Some(found), expected);
        }
        // What no answer needs is gone.
        let roots = answers.len();
        prop_assert!(after.roots.len() <= roots, "{} roots of {}", after.roots.len(), roots);
        taken.restore(&mut world).unwrap();
        prop_assert_eq!(checksum(&world, graph), sum);
        prop_assert_eq!(EntityDag::read(&mut world, graph).unwrap().dag, before.dag);
    }
}

fn terms(texts: [&str; 2]) -> [OrderedDag; 2] {
    let mut terms = Terms::default();
    texts.map(|text| {
        let term = terms.read_infix(text).unwrap();
        terms.dag(term)
    })
}

const LAYOUT: SlotLayout = SlotLayout { slots: 3, roles: 1, result: 0, parts: 1 };

#[test]
fn entities_that_stay_keep_their_components_and_what_is_not_needed_goes() {
    let [source, target] = terms(["(x + 0)*sin(z)", "sin(z)*cos(x)"]);
    let (mut world, graph) = world(&source);
    let before = EntityDag::read(&mut world, graph).unwrap();
    let slots = align(&before.dag, &target, LAYOUT).unwrap().rewrite(|_| 0);
    let rewritten = before.rewrite(&slots, node, edge).unwrap();
    let (counts, spawned) = rewritten.edits.apply(&mut world, graph).unwrap();
    // The sum becomes the cosine of x, and 0 is gone; the factors change places.
    let expected = EditCounts { relabeled: 1, despawned: 1, rewired: 2, disconnected: 1, ..EditCounts::default() };
    assert_eq!((counts, spawned), (expected, vec![]));
    assert_eq!(rewritten.answers, [Ok(before.nodes[before.dag.len() - 1].into())]);
    let after = EntityDag::read(&mut world, graph).unwrap();
    assert_eq!(after.dag.shared(), target.shared());
    let mut names: Vec<u32> = after.nodes.iter().map(|node| world.get::<Name>(*node).unwrap().0).collect();
    names.sort_unstable();
    let zero = before.nodes.iter().position(|node| world.get_entity(*node).is_err()).unwrap() as u32;
    assert_eq!(names, (0..before.nodes.len() as u32).filter(|name| *name != zero).collect::<Vec<_>>());
}

#[test]
fn an_invalid_answer_leaves_its_term_and_changes_others() {
    // Two terms, f(x) and g(x), that share x: the first needs itself, the second becomes x.
    let mut dag = OrderedDag::default();
    let x = dag.push(0, &[]).unwrap();
    dag.push(1, &[x]).unwrap();
    dag.push(2, &[x]).unwrap();
    let (mut world, graph) = world(&dag);
    let before = EntityDag::read(&mut world, graph).unwrap();
    let slot = |label, addresses: &[SlotAddress]| Slot { label, addresses: addresses.to_vec() };
    let child = SlotAddress::Child { child: 0, role: 0 };
    let layout = SlotLayout { slots: 1, roles: 1, result: 0, parts: 0 };
    let slots = |first: Slot| {
        let slots = vec![slot(SlotLabel::Vocabulary(5), &[]), first, slot(SlotLabel::Forward, &[child])];
        Rewrite::new(layout, 3, slots).unwrap()
    };
    let loops = slots(slot(SlotLabel::Keep, &[SlotAddress::Own(0)]));
    let rewritten = before.rewrite(&loops, node, edge).unwrap();
    let cycle = InvalidRewrite::Cycle { node: 1, slot: 0 };
    assert_eq!(rewritten.answers, [Err(cycle), Ok(EditNode::New(0))]);
    let (counts, spawned) = rewritten.edits.apply(&mut world, graph).unwrap();
    let expected = EditCounts { spawned: 1, despawned: 1, disconnected: 1, invalid: 1, ..EditCounts::default() };
    assert_eq!(counts, expected);
    // f(x) has its x still, without the label that only the other answer wanted.
    let after = EntityDag::read(&mut world, graph).unwrap();
    assert_eq!((after.dag.labels(), &after.nodes[..2]), (&[0, 1, 5][..], &before.nodes[..2]));
    assert_eq!(after.nodes[2], spawned[0]);

    // Without a valid answer nothing changes.
    let sum = checksum(&world, graph);
    let slots = Rewrite::new(layout, 3, vec![Slot::default(); 3]).unwrap();
    let rewritten = after.rewrite(&slots, node, edge).unwrap();
    assert!(rewritten.edits.is_empty() && rewritten.edits.invalid == 2);
    rewritten.edits.apply(&mut world, graph).unwrap();
    assert_eq!(checksum(&world, graph), sum);
    let too_few = Rewrite::new(layout, 2, vec![Slot::default(); 2]).unwrap();
    let error = after.rewrite(&too_few, node, edge).unwrap_err();
    assert_eq!(error, InvalidRewrite::SlotCount { found: 2, expected: 3 });
}

type Edits = GraphEdits<Node, TermEdge>;

#[test]
fn edits_that_cannot_be_carried_out_change_nothing_and_say_why() {
    let [source, _] = terms(["x + y", "x"]);
    let (mut world, graph) = world(&source);
    let terms = EntityDag::read(&mut world, graph).unwrap();
    let (x, sum, edges) = (terms.nodes[0], terms.nodes[2], &terms.edges[2]);
    let gone = world.spawn(GraphNode).id();
    world.despawn(gone);
    let before = checksum(&world, graph);
    type Make<'a> = &'a dyn Fn(&mut Edits);
    let refused = |world: &mut World, graph: Entity, make: Make| {
        let mut edits = Edits::default();
        edits.spawn(node(7));
        make(&mut edits);
        edits.apply(world, graph).unwrap_err()
    };
    let cases: [(Make, EditError); 6] = [
        (&|edits| edits.relabel(gone, 3), EditError::Missing(gone)),
        (&|edits| edits.despawn(gone), EditError::Missing(gone)),
        (&|edits| edits.connect(x.into(), gone.into(), edge(0)), EditError::Missing(gone)),
        (&|edits| edits.rewire(x, x.into(), sum.into()), EditError::NoEdge(x)),
        (&|edits| edits.rewire(edges[0], EditNode::New(1), sum.into()), EditError::NoNode { number: 1, spawned: 1 }),
        (
            &|edits| {
                edits.despawn(x);
                edits.rewire(edges[0], x.into(), sum.into());
            },
            EditError::Despawned(x),
        ),
    ];
    for (make, error) in cases {
        assert_eq!(refused(&mut world, graph, make), error);
        assert_eq!(checksum(&world, graph), before, "{error}");
    }
    assert_eq!(refused(&mut world, x, &|_| {}), EditError::NoGraph(x));
}

#[test]
fn what_is_no_term_is_named() {
    let [source, _] = terms(["x - x", "x"]);
    let (mut world, graph) = world(&source);
    let read = |world: &mut World| EntityDag::read(world, graph);
    let terms = read(&mut world).unwrap();
    let [x, minus] = terms.nodes[..] else { panic!("{terms:?}") };
    world.get_mut::<EdgePosition>(terms.edges[1][1]).unwrap().0 = 0;
    assert_eq!(read(&mut world), Err(EntityDagError::Positions { node: minus, last: 1 }));
    world.get_mut::<EdgePosition>(terms.edges[1][1]).unwrap().0 = 1;
    world.entity_mut(x).remove::<ClassLabel>();
    assert_eq!(read(&mut world), Err(EntityDagError::NoLabel(x)));
    world.entity_mut(x).insert(ClassLabel(0));
    let back = world.spawn(Edge { source: minus, target: x }).id();
    assert!(matches!(read(&mut world), Err(EntityDagError::Cycle(_))));
    world.despawn(back);
    assert_eq!(read(&mut world), Ok(terms));
    // The user despawns a child: what is left of the term says so.
    let (mut world, graph) = self::world(&self::terms(["x - y", "x"])[0]);
    let terms = EntityDag::read(&mut world, graph).unwrap();
    world.despawn(terms.nodes[0]);
    let error = EntityDagError::Positions { node: terms.nodes[2], last: 0 };
    assert_eq!(EntityDag::read(&mut world, graph), Err(error));
    assert_eq!(EntityDag::read(&mut world, x), Err(EntityDagError::NoGraph(x)));
}

/// A world with a model whose step ends with the edits of a system.
fn live<M>(edit: impl IntoSystem<(), (), M>) -> (World, Entity, Entity) {
    let (mut world, graph) = world(&terms(["x + y", "x"])[0]);
    world.entity_mut(graph).insert(Edits::default());
    let model = world.spawn_model(ModelBuilder::new(graph).layer(GcnConv::new(1))).unwrap();
    let edit = IntoSystem::into_system(edit);
    let systems = (edit, commit_edits::<Node, TermEdge>(graph)).chain().in_set(GraphSystems::Act);
    world.add_model_systems(Infer(model), systems).unwrap();
    (world, graph, model)
}

#[test]
fn a_rewrite_without_an_end_is_stopped() {
    let (mut world, graph, model) = live(|mut edits: Single<&mut Edits>| _ = edits.spawn(node(9)));
    let settled = run_until_settled(&mut world, graph, Infer(model), 20).unwrap();
    assert_eq!((settled.ticks, settled.counts.spawned, settled.is_settled), (20, 20, false));
    assert_eq!(sizes(&mut world, graph)[0], 23);
    let committed = world.get::<CommittedEdits>(graph).unwrap();
    assert_eq!((committed.passes, committed.last.spawned, committed.total.spawned), (20, 1, 20));
    assert_eq!(world.get::<ClassLabel>(committed.spawned[0]), Some(&ClassLabel(9)));
}

#[test]
fn a_rewrite_ends_when_nothing_changes_and_invalid_answers_are_counted() {
    // A label of more than 3 becomes smaller by 1; nobody understands the others.
    let count = |mut edits: Single<&mut Edits>, nodes: Query<(Entity, &ClassLabel)>| {
        for (node, label) in nodes {
            match label.0.checked_sub(1) {
                Some(less) if less >= 3 => edits.relabel(node, less),
                _ => edits.invalid += 1,
            }
        }
    };
    let (mut world, graph, model) = live(count);
    world.spawn(node(8));
    let settled = run_until_settled(&mut world, graph, Infer(model), 100).unwrap();
    assert_eq!((settled.ticks, settled.counts.relabeled, settled.is_settled), (6, 5, true));
    assert_eq!(settled.counts.invalid, 5 * 3 + 4);
}

#[test]
fn an_entity_that_is_despawned_between_proposal_and_commit_refuses_the_edits() {
    let edit = |world: &mut World| {
        let mut nodes = world.query_filtered::<Entity, With<GraphNode>>();
        let nodes: Vec<Entity> = nodes.iter(world).collect();
        let mut edits = world.query::<&mut Edits>();
        let mut edits = edits.single_mut(world).unwrap();
        edits.relabel(nodes[0], 5);
        edits.relabel(nodes[1], 5);
        world.despawn(nodes[1]);
    };
    let (mut world, graph, model) = live(edit);
    let error = run_until_settled(&mut world, graph, Infer(model), 5).unwrap_err();
    assert!(matches!(error, SettleError::Edits(EditError::Missing(_))), "{error}");
    let committed = world.get::<CommittedEdits>(graph).unwrap();
    assert_eq!((committed.passes, committed.last, committed.refused.is_some()), (1, EditCounts::default(), true));
    assert!(world.query::<&ClassLabel>().iter(&world).all(|label| label.0 != 5));
}

#[test]
fn terms_are_rewritten_in_each_tick_and_what_is_no_term_is_refused() {
    let [source, target] = terms(["(x + 0)*1", "x"]);
    let (mut world, graph) = world(&source);
    let model = world.spawn_model(ModelBuilder::new(graph).layer(GcnConv::new(1))).unwrap();
    let slots = move |_: &World, terms: &EntityDag| align(&terms.dag, &target, LAYOUT).unwrap().rewrite(|_| 0);
    let rewrite = rewrite_terms(graph, slots, node, edge);
    world.add_model_systems(Infer(model), rewrite.in_set(GraphSystems::Act)).unwrap();
    let settled = run_until_settled(&mut world, graph, Infer(model), 9).unwrap();
    assert_eq!((settled.ticks, settled.counts.despawned, settled.is_settled), (2, 4, true));
    let x = EntityDag::read(&mut world, graph).unwrap().nodes[0];
    assert_eq!(sizes(&mut world, graph), [1, 0]);

    world.entity_mut(x).remove::<ClassLabel>();
    let error = run_until_settled(&mut world, graph, Infer(model), 9).unwrap_err();
    assert!(matches!(error, SettleError::Edits(EditError::NoTerms(EntityDagError::NoLabel(_)))), "{error}");
    assert_eq!(world.get::<CommittedEdits>(graph).unwrap().passes, 3);
}

#[test]
fn a_schedule_that_commits_nothing_is_named() {
    let (mut world, graph) = world(&terms(["x", "x"])[0]);
    let model = world.spawn_model(ModelBuilder::new(graph).layer(GcnConv::new(1))).unwrap();
    let error = run_until_settled(&mut world, graph, Infer(model), 5).unwrap_err();
    assert!(matches!(error, SettleError::NoCommit(_)), "{error}");
    let settled = run_until_settled(&mut world, graph, Infer(model), 0).unwrap();
    assert_eq!((settled.ticks, settled.is_settled), (0, false));
}
