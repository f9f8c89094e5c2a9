//! The derived topology follows the world's entities, whatever happens to them between two steps.
//!
//! Random operations are played, and after every few of them the topology is compared with one put together from the
//! entities by definition. A failure prints the operations, shrunk to few, and what differs: `incoming` and `outgoing`
//! list for a node the other end and the edge of each entry, `members` and `membership` say who belongs to which
//! subgraph. Besides: what changes nothing derives nothing.

use crate::common;

use bevy_ecs::{prelude::*, schedule::Schedule};
use common::few_cases;
use connectome_components::{
    Adjacency, Direction, Edge, EdgeWeight, Field, Graph, GraphKey, GraphNode, InSubgraph, KeyOrder, Normalization,
    Rows, Subgraph, Topology,
};
use connectome_systems::rebuild_topology;
use proptest::{prelude::*, sample::Index};
use std::collections::{BTreeMap, BTreeSet};

/// Something else that an entity may carry, which puts it into another table.
#[derive(Component, Clone, Copy, Default)]
struct Marked;

#[derive(Clone, Debug)]
enum Operation {
    SpawnNode {
        marked: bool,
    },
    DespawnNode(Index),
    /// By another of the same number of nodes, likely with the same index.
    ReplaceNode(Index),
    MarkNode(Index),
    UnmarkNode(Index),
    /// The entity lives on, but is no node any more.
    Demote(Index),
    /// Any living entity that was a node becomes one again.
    Promote(Index),
    SpawnEdge {
        source: Index,
        target: Index,
        weight: Option<i8>,
    },
    DespawnEdge(Index),
    ReplaceEdge(Index),
    Rewire {
        edge: Index,
        source: Index,
        target: Index,
    },
    MarkEdge(Index),
    UnmarkEdge(Index),
    SetWeight(Index, i8),
    ChangeWeightInPlace(Index, i8),
    RemoveWeight(Index),
    /// Out of its table and back in.
    RenewWeight(Index, i8),
    SwapEnds(Index, Index),
    SwapTables(Index, Index),
    SpawnSubgraph,
    DespawnSubgraph(Index),
    ReplaceSubgraph(Index),
    MarkSubgraph(Index),
    /// A node to any subgraph that ever was.
    Join(Index, Index),
    /// The same, but by changing the component that it has.
    Move(Index, Index),
    Leave(Index),
}

const NORMALIZATIONS: [Normalization; 6] = [
    Normalization::Symmetric,
    Normalization::MeanWithSelf,
    Normalization::Sum,
    Normalization::Mean,
    Normalization::WeightedSum,
    Normalization::WeightedMean,
];

fn operations() -> impl Strategy<Value = Vec<Vec<Operation>>> {
    use Operation::*;
    let index = any::<Index>;
    let quarters = || -1..=8i8;
    let nodes = prop_oneof![
        3 => any::<bool>().prop_map(|marked| SpawnNode { marked }),
        1 => index().prop_map(DespawnNode),
        1 => index().prop_map(ReplaceNode),
        1 => index().prop_map(MarkNode),
        1 => index().prop_map(UnmarkNode),
        1 => index().prop_map(Demote),
        1 => index().prop_map(Promote),
    ];
    let edges = prop_oneof![
        5 => (index(), index(), prop::option::of(quarters()))
            .prop_map(|(source, target, weight)| SpawnEdge { source, target, weight }),
        1 => index().prop_map(DespawnEdge),
        1 => index().prop_map(ReplaceEdge),
        2 => (index(), index(), index()).prop_map(|(edge, source, target)| Rewire { edge, source, target }),
        1 => index().prop_map(MarkEdge),
        1 => index().prop_map(UnmarkEdge),
        1 => (index(), index()).prop_map(|(first, second)| SwapEnds(first, second)),
        1 => (index(), index()).prop_map(|(first, second)| SwapTables(first, second)),
    ];
    let weights = prop_oneof![
        (index(), quarters()).prop_map(|(edge, weight)| SetWeight(edge, weight)),
        (index(), quarters()).prop_map(|(edge, weight)| ChangeWeightInPlace(edge, weight)),
        index().prop_map(RemoveWeight),
        (index(), quarters()).prop_map(|(edge, weight)| RenewWeight(edge, weight)),
    ];
    let subgraphs = prop_oneof![
        2 => Just(SpawnSubgraph),
        1 => index().prop_map(DespawnSubgraph),
        1 => index().prop_map(ReplaceSubgraph),
        1 => index().prop_map(MarkSubgraph),
        6 => (index(), index()).prop_map(|(node, subgraph)| Join(node, subgraph)),
        3 => (index(), index()).prop_map(|(node, subgraph)| Move(node, subgraph)),
        1 => index().prop_map(Leave),
    ];
    let batch = prop::collection::vec(prop_oneof![2 => nodes, 3 => edges, 1 => weights, 2 => subgraphs], 1..=4);
    prop::collection::vec(batch, 1..=24)
}

/// A world with a graph in it to which things happen.
struct Life {
    world: World,
    schedule: Schedule,
    graph: Entity,
    /// A field of the nodes, one of the edges and one of the subgraphs, to find out which row is whose.
    owners: [Field<u32>; 3],
    /// Whoever has been a node, dead or alive, and one that never was.
    endpoints: Vec<Entity>,
    /// Edges that live.
    edges: Vec<Entity>,
    /// Whoever has been a subgraph, dead or alive.
    subgraphs: Vec<Entity>,
}

impl Life {
    fn new() -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let components = [
            world.register_component::<GraphNode>(),
            world.register_component::<Edge>(),
            world.register_component::<Subgraph>(),
        ];
        let owners = components.map(|on| Field::register(&mut world, "owner", on, 2).unwrap());
        let mut topology = world.get_mut::<Topology>(graph).unwrap();
        for normalization in NORMALIZATIONS {
            topology.require(normalization);
        }
        topology.require_edge_order();
        [Direction::Forward, Direction::Reverse].into_iter().for_each(|direction| topology.require_levels(direction));
        let mut schedule = Schedule::default();
        schedule.add_systems(rebuild_topology(graph));
        let endpoints = vec![world.spawn_empty().id()];
        Self { world, schedule, graph, owners, endpoints, edges: Vec::new(), subgraphs: Vec::new() }
    }

    /// Two nodes `a` and `b` with an edge from `a` to `b` of weight 1; `a` belongs to the first of two subgraphs.
    fn of_two() -> (Self, [Entity; 3]) {
        let mut life = Self::new();
        let [a, b] = [life.spawn_node(), life.spawn_node()];
        let [first, _] = [life.spawn_subgraph(), life.spawn_subgraph()];
        life.world.entity_mut(a).insert(InSubgraph(first));
        let edge = life.spawn_edge(a, b);
        life.world.entity_mut(edge).insert(EdgeWeight(1.0));
        life.step();
        (life, [a, b, edge])
    }

    fn step(&mut self) {
        self.schedule.run(&mut self.world);
    }

    fn topology(&self) -> &Topology {
        self.world.get::<Topology>(self.graph).unwrap()
    }

    fn spawn_node(&mut self) -> Entity {
        let node = self.world.spawn(GraphNode).id();
        self.endpoints.push(node);
        node
    }

    fn spawn_edge(&mut self, source: Entity, target: Entity) -> Entity {
        let edge = self.world.spawn(Edge { source, target }).id();
        self.edges.push(edge);
        edge
    }

    fn spawn_subgraph(&mut self) -> Entity {
        let subgraph = self.world.spawn(Subgraph).id();
        self.subgraphs.push(subgraph);
        subgraph
    }

    /// Despawns an entity, and enough others for the world to use its index again.
    fn despawn(&mut self, entity: Entity) {
        self.world.despawn(entity);
        for _ in 0..128 {
            let other = self.world.spawn_empty().id();
            self.world.despawn(other);
        }
    }

    fn despawn_edge(&mut self, edge: Entity) {
        self.despawn(edge);
        self.edges.retain(|other| *other != edge);
    }

    fn end(&self, index: &Index) -> Entity {
        *index.get(&self.endpoints)
    }

    fn living_end(&self, index: &Index, node: bool) -> Option<Entity> {
        let fits = |end: &Entity| self.world.get_entity(*end).is_ok_and(|end| end.contains::<GraphNode>() == node);
        pick(index, &self.endpoints.iter().copied().filter(fits).collect::<Vec<_>>())
    }

    fn play(&mut self, operation: &Operation) {
        match operation {
            Operation::SpawnEdge { source, target, weight } => {
                let edge = self.spawn_edge(self.end(source), self.end(target));
                if let Some(quarters) = weight {
                    self.world.entity_mut(edge).insert(weight_of(*quarters));
                }
            }
            Operation::SpawnNode { marked } => {
                let node = self.spawn_node();
                if *marked {
                    self.world.entity_mut(node).insert(Marked);
                }
            }
            Operation::Promote(index) => {
                if let Some(end) = self.living_end(index, false) {
                    self.world.entity_mut(end).insert(GraphNode);
                }
            }
            Operation::DespawnNode(index)
            | Operation::ReplaceNode(index)
            | Operation::MarkNode(index)
            | Operation::UnmarkNode(index)
            | Operation::Demote(index)
            | Operation::Join(index, _)
            | Operation::Move(index, _)
            | Operation::Leave(index) => {
                if let Some(node) = self.living_end(index, true) {
                    self.play_on_node(operation, node);
                }
            }
            Operation::DespawnEdge(index)
            | Operation::ReplaceEdge(index)
            | Operation::Rewire { edge: index, .. }
            | Operation::MarkEdge(index)
            | Operation::UnmarkEdge(index)
            | Operation::SetWeight(index, _)
            | Operation::ChangeWeightInPlace(index, _)
            | Operation::RemoveWeight(index)
            | Operation::RenewWeight(index, _)
            | Operation::SwapEnds(index, _)
            | Operation::SwapTables(index, _) => {
                if let Some(edge) = pick(index, &self.edges) {
                    self.play_on_edge(operation, edge);
                }
            }
            Operation::SpawnSubgraph => _ = self.spawn_subgraph(),
            Operation::DespawnSubgraph(index) | Operation::ReplaceSubgraph(index) | Operation::MarkSubgraph(index) => {
                if let Some(subgraph) = pick(index, &self.subgraphs).filter(|it| self.world.get_entity(*it).is_ok()) {
                    self.play_on_subgraph(operation, subgraph);
                }
            }
        }
    }

    fn play_on_node(&mut self, operation: &Operation, node: Entity) {
        match operation {
            Operation::MarkNode(_) => _ = self.world.entity_mut(node).insert(Marked),
            Operation::UnmarkNode(_) => _ = self.world.entity_mut(node).remove::<Marked>(),
            Operation::Demote(_) => _ = self.world.entity_mut(node).remove::<GraphNode>(),
            Operation::Join(_, subgraph) => {
                if let Some(subgraph) = pick(subgraph, &self.subgraphs) {
                    self.world.entity_mut(node).insert(InSubgraph(subgraph));
                }
            }
            Operation::Move(_, subgraph) => {
                if let Some(mut place) = self.world.get_mut::<InSubgraph>(node) {
                    place.0 = *subgraph.get(&self.subgraphs);
                }
            }
            Operation::Leave(_) => _ = self.world.entity_mut(node).remove::<InSubgraph>(),
            _ => {
                self.despawn(node);
                if let Operation::ReplaceNode(_) = operation {
                    self.spawn_node();
                }
            }
        }
    }

    fn play_on_subgraph(&mut self, operation: &Operation, subgraph: Entity) {
        if let Operation::MarkSubgraph(_) = operation {
            return self.toggle_mark(subgraph);
        }
        self.despawn(subgraph);
        if let Operation::ReplaceSubgraph(_) = operation {
            self.spawn_subgraph();
        }
    }

    fn play_on_edge(&mut self, operation: &Operation, edge: Entity) {
        match operation {
            Operation::DespawnEdge(_) => self.despawn_edge(edge),
            Operation::ReplaceEdge(_) => {
                let Edge { source, target } = *self.world.get::<Edge>(edge).unwrap();
                self.despawn_edge(edge);
                self.spawn_edge(target, source);
            }
            Operation::Rewire { source, target, .. } => {
                let endpoints = Edge { source: self.end(source), target: self.end(target) };
                *self.world.get_mut::<Edge>(edge).unwrap() = endpoints;
            }
            Operation::ChangeWeightInPlace(_, quarters) => {
                if let Some(mut weight) = self.world.get_mut::<EdgeWeight>(edge) {
                    *weight = weight_of(*quarters);
                }
            }
            Operation::SwapEnds(_, other) => self.swap_ends(edge, *other.get(&self.edges)),
            Operation::SwapTables(_, other) => {
                for edge in [edge, *other.get(&self.edges)] {
                    self.toggle_mark(edge);
                }
            }
            _ => self.play_on_components(operation, edge),
        }
    }

    fn play_on_components(&mut self, operation: &Operation, edge: Entity) {
        let mut edge = self.world.entity_mut(edge);
        match operation {
            Operation::MarkEdge(_) => _ = edge.insert(Marked),
            Operation::UnmarkEdge(_) => _ = edge.remove::<Marked>(),
            Operation::SetWeight(_, quarters) => _ = edge.insert(weight_of(*quarters)),
            Operation::RemoveWeight(_) => _ = edge.remove::<EdgeWeight>(),
            Operation::RenewWeight(_, quarters) => _ = edge.remove::<EdgeWeight>().insert(weight_of(*quarters)),
            other => unreachable!("{other:?} is played elsewhere"),
        }
    }

    /// By a query, as a system of the user's would.
    fn swap_ends(&mut self, first: Entity, second: Entity) {
        let mut edges = self.world.query::<&mut Edge>();
        if let Ok([mut first, mut second]) = edges.get_many_mut(&mut self.world, [first, second]) {
            core::mem::swap(&mut *first, &mut *second);
        }
    }

    fn toggle_mark(&mut self, entity: Entity) {
        let mut entity = self.world.entity_mut(entity);
        if entity.contains::<Marked>() {
            entity.remove::<Marked>();
        } else {
            entity.insert(Marked);
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let topology = self.topology().clone();
        self.check_rows::<GraphNode>(&topology.nodes, self.owners[0])?;
        self.check_rows::<Edge>(&topology.edges, self.owners[1])?;
        self.check_rows::<Subgraph>(&topology.subgraphs, self.owners[2])?;
        check_ends(&self.world, &topology)?;
        check_levels(&topology)?;
        check_orders(&self.world, &topology)?;
        check_members(&self.world, &topology)?;
        let naive = Naive::new(&self.world, &topology);
        prop_assert_eq!(topology.dangling, naive.dangling, "dangling edges");
        for (row, node) in topology.nodes.entities().iter().enumerate() {
            let incoming = entries(&topology, &topology.incoming, row);
            assert_same("incoming", &incoming, &naive.incoming(*node), naive.own(*node))?;
            let outgoing = entries(&topology, &topology.outgoing, row);
            assert_same("outgoing", &outgoing, &naive.outgoing(*node), naive.own(*node))?;
        }
        for adjacency in [&topology.incoming, &topology.outgoing] {
            prop_assert_eq!(adjacency.len(), naive.live.len());
            check_blocks(&topology.nodes, &adjacency.blocks)?;
        }
        Ok(())
    }

    /// Row `r` of every column belongs to the entity that the topology names `r`.
    fn check_rows<C: Component>(&mut self, rows: &Rows, owner: Field<u32>) -> Result<(), TestCaseError> {
        let living: BTreeSet<Entity> = self.world.query_filtered::<Entity, With<C>>().iter(&self.world).collect();
        prop_assert_eq!(rows.entities().iter().copied().collect::<BTreeSet<_>>(), living.clone());
        prop_assert_eq!(rows.len(), living.len(), "an entity has two rows");
        for entity in living {
            owner.set(&mut self.world, entity, &halves(entity)).unwrap();
        }
        let column = owner.matrix(&self.world);
        prop_assert_eq!(column.row_count(), rows.len());
        for (row, entity) in rows.entities().iter().enumerate() {
            prop_assert_eq!(column.row(row), &halves(*entity)[..], "row {} is not that of {}", row, entity);
            prop_assert_eq!(rows.row_of(&self.world, *entity), Some(row));
        }
        Ok(())
    }
}

fn pick(index: &Index, from: &[Entity]) -> Option<Entity> {
    (!from.is_empty()).then(|| *index.get(from))
}

/// Quarters add up exactly.
fn weight_of(quarters: i8) -> EdgeWeight {
    EdgeWeight(0.25 * f32::from(quarters))
}

fn halves(entity: Entity) -> [u32; 2] {
    [entity.to_bits() as u32, (entity.to_bits() >> 32) as u32]
}

/// The entry of an adjacency: the other end, the edge, and its coefficients, one for each of [`NORMALIZATIONS`].
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    other: Entity,
    edge: Entity,
    coefficients: [f64; NORMALIZATIONS.len()],
}

/// The entries of a node, and the coefficients of its own features.
type Entries = (Vec<Entry>, [f64; NORMALIZATIONS.len()]);

fn entries(topology: &Topology, adjacency: &Adjacency, row: usize) -> Entries {
    let all = |number: &dyn Fn(usize) -> f32| core::array::from_fn(|place| f64::from(number(place)));
    let entry = |entry: usize| Entry {
        other: topology.nodes.entities()[adjacency.neighbors[entry] as usize],
        edge: topology.edges.entities()[adjacency.edges[entry] as usize],
        coefficients: all(&|place| adjacency.coefficients[place].edges[entry]),
    };
    (adjacency.entries(row).map(entry).collect(), all(&|place| adjacency.coefficients[place].self_loop[row]))
}

fn assert_same(
    what: &str,
    found: &Entries,
    expected: &[Entry],
    own: [f64; NORMALIZATIONS.len()],
) -> Result<(), TestCaseError> {
    let near = |a: [f64; NORMALIZATIONS.len()], b: [f64; NORMALIZATIONS.len()]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0))
    };
    let same =
        |(a, b): (&Entry, &Entry)| (a.other, a.edge) == (b.other, b.edge) && near(a.coefficients, b.coefficients);
    let agree = found.0.len() == expected.len() && found.0.iter().zip(expected).all(same) && near(found.1, own);
    prop_assert!(agree, "{what}: found {found:?}\nand not {:?}", (expected, own));
    Ok(())
}

/// Blocks cover all rows in order and do not cross from table to table.
fn check_blocks(rows: &Rows, blocks: &[usize]) -> Result<(), TestCaseError> {
    prop_assert_eq!((blocks.first(), blocks.last()), (Some(&0), Some(&rows.len())));
    prop_assert!(blocks.is_sorted_by(|a, b| a < b), "{blocks:?}");
    prop_assert!(rows.tables().iter().all(|(_, rows)| blocks.contains(&rows.end)), "{blocks:?}");
    Ok(())
}

/// The endpoints of each edge are those of its entity.
fn check_ends(world: &World, topology: &Topology) -> Result<(), TestCaseError> {
    let row = |end: Entity| topology.nodes.entities().iter().position(|node| *node == end);
    let endpoints = topology.edges.entities().iter().map(|edge| {
        let Edge { source, target } = *world.get::<Edge>(*edge).unwrap();
        row(source).zip(row(target)).map_or([Topology::NO_ROW; 2], |(source, target)| [source as u32, target as u32])
    });
    prop_assert_eq!(&topology.endpoints, &endpoints.collect::<Vec<_>>());
    Ok(())
}

/// Who belongs to which subgraph, as the nodes themselves say.
fn check_members(world: &World, topology: &Topology) -> Result<(), TestCaseError> {
    let Topology { nodes, subgraphs, members, membership, .. } = topology;
    let subgraph_of = |node: &Entity| world.get::<InSubgraph>(*node).map(|place| place.0);
    for (row, subgraph) in subgraphs.entities().iter().enumerate() {
        let inside = |row: &u32| subgraph_of(&nodes.entities()[*row as usize]) == Some(*subgraph);
        let mut expected: Vec<u32> = (0..nodes.len() as u32).filter(inside).collect();
        expected.sort_by_key(|row| key(world, nodes.entities()[*row as usize]));
        prop_assert_eq!(&members.neighbors[members.entries(row)], &expected, "members of {}", subgraph);
    }
    for (row, node) in nodes.entities().iter().enumerate() {
        let expected = subgraphs.entities().iter().position(|subgraph| subgraph_of(node) == Some(*subgraph));
        let expected: Vec<u32> = expected.into_iter().map(|row| row as u32).collect();
        prop_assert_eq!(&membership.neighbors[membership.entries(row)], &expected, "membership of {}", node);
        prop_assert!(membership.edges[membership.entries(row)].iter().all(|edge| *edge == row as u32));
    }
    prop_assert_eq!(&members.neighbors, &members.edges);
    prop_assert_eq!((members.offsets.len(), membership.offsets.len()), (subgraphs.len() + 1, nodes.len() + 1));
    prop_assert_eq!(members.len(), membership.len());
    check_blocks(subgraphs, &members.blocks)?;
    check_blocks(nodes, &membership.blocks)
}

fn key(world: &World, entity: Entity) -> GraphKey {
    *world.get::<GraphKey>(entity).unwrap()
}

/// What orders parallel edges without keys.
fn tie(world: &World, edge: Entity) -> (i32, u32) {
    // Quarters.
    ((4.0 * world.get::<EdgeWeight>(edge).map_or(1.0, |weight| weight.0)) as i32, edge.index_u32())
}

/// The rows in the order of keys are as they are defined.
fn check_order(order: &KeyOrder, expected: &[u32], rows: &Rows) -> Result<(), TestCaseError> {
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    prop_assert_eq!(order.is_permuted, expected != all);
    prop_assert_eq!(order.permutation().unwrap_or(&all), expected);
    for row in &all {
        let rank = expected.iter().position(|other| other == row).map_or(KeyOrder::NO_RANK, |rank| rank as u32);
        prop_assert_eq!(order.rank(*row), rank);
    }
    Ok(())
}

/// Each node is one level above the highest of its predecessors, in the order of keys; or there is a cycle.
fn check_levels(topology: &Topology) -> Result<(), TestCaseError> {
    for levels in &topology.levels {
        if let Some(cycle) = &levels.cycle {
            prop_assert!(levels.rows.is_empty() && !cycle.nodes.is_empty());
            let rows = cycle.nodes.iter().map(|node| topology.nodes.entities().iter().position(|other| other == node));
            let rows: Vec<usize> = rows.collect::<Option<_>>().unwrap();
            let next = rows.iter().cycle().skip(1).take(cycle.length.min(rows.len()));
            let is_edge = |(from, to): (&usize, &usize)| topology.outgoing.of(*from).0.contains(&(*to as u32));
            prop_assert!(cycle.length > rows.len() || rows.iter().zip(next).all(is_edge), "{cycle:?} is none");
            continue;
        }
        let level_of = |row: u32| {
            let place = levels.rows.iter().position(|other| *other == row).unwrap();
            (0..levels.count()).find(|level| levels.range(*level).contains(&place)).unwrap()
        };
        let [predecessors, _] = topology.neighbors(levels.direction);
        for row in 0..topology.nodes.len() {
            let above = predecessors.of(row).0.iter().map(|predecessor| level_of(*predecessor) + 1).max();
            prop_assert_eq!(level_of(row as u32), above.unwrap_or(0));
        }
        prop_assert_eq!(levels.rows.len(), topology.nodes.len());
        for level in 0..levels.count() {
            let rows = &levels.rows[levels.range(level)];
            prop_assert!(rows.is_sorted_by_key(|row| topology.node_order.rank(*row)));
        }
    }
    Ok(())
}

fn check_orders(world: &World, topology: &Topology) -> Result<(), TestCaseError> {
    let Topology { nodes, edges, subgraphs, .. } = topology;
    for (order, rows) in [(&topology.node_order, nodes), (&topology.subgraph_order, subgraphs)] {
        let mut expected: Vec<u32> = (0..rows.len() as u32).collect();
        expected.sort_by_key(|row| key(world, rows.entities()[*row as usize]));
        check_order(order, &expected, rows)?;
    }
    let naive = Naive::new(world, topology);
    let mut live: Vec<Entity> = naive.live.iter().map(|(edge, ..)| *edge).collect();
    live.sort_by_key(|edge| {
        let Edge { source, target } = *world.get::<Edge>(*edge).unwrap();
        ([target, source].map(|entity| key(world, entity)), tie(world, *edge))
    });
    let row = |edge: &Entity| edges.entities().iter().position(|other| other == edge).unwrap() as u32;
    check_order(&topology.edge_order, &live.iter().map(row).collect::<Vec<_>>(), edges)
}

/// The adjacency as it is defined, straight from the entities.
struct Naive {
    keys: BTreeMap<Entity, GraphKey>,
    /// Edges between nodes, parallel ones in their order, each with its weight.
    live: Vec<(Entity, Edge, f64)>,
    dangling: usize,
}

impl Naive {
    fn new(world: &World, topology: &Topology) -> Self {
        let is_node = |end: Entity| world.get_entity(end).is_ok_and(|end| end.contains::<GraphNode>());
        let weight = |edge: Entity| world.get::<EdgeWeight>(edge).map_or(1.0, |weight| f64::from(weight.0));
        let edges =
            topology.edges.entities().iter().map(|edge| (*edge, *world.get::<Edge>(*edge).unwrap(), weight(*edge)));
        let (mut live, dangling): (Vec<_>, Vec<_>) =
            edges.partition(|(_, edge, _)| is_node(edge.source) && is_node(edge.target));
        live.sort_by_key(|(edge, ..)| tie(world, *edge));
        let keys = topology.nodes.entities().iter().map(|node| (*node, key(world, *node))).collect();
        Self { keys, live, dangling: dangling.len() }
    }

    fn incoming(&self, node: Entity) -> Vec<Entry> {
        let edges = self.live.iter().filter(|(_, edge, _)| edge.target == node);
        self.sorted(edges.map(|live| self.entry(live, live.1.source)).collect())
    }

    fn outgoing(&self, node: Entity) -> Vec<Entry> {
        let edges = self.live.iter().filter(|(_, edge, _)| edge.source == node);
        self.sorted(edges.map(|live| self.entry(live, live.1.target)).collect())
    }

    /// By the keys of the other ends; parallel edges stay in their order.
    fn sorted(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by_key(|entry| self.keys[&entry.other]);
        entries
    }

    fn entry(&self, (entity, edge, weight): &(Entity, Edge, f64), other: Entity) -> Entry {
        let Edge { source, target } = *edge;
        let symmetric = weight * self.inverse_root(source) * self.inverse_root(target);
        let symmetric = if source == target { 0.0 } else { symmetric };
        let count = self.count(target);
        let coefficients = [symmetric, 1.0 / (1.0 + count), 1.0, 1.0 / count, *weight, weight / count];
        Entry { other, edge: *entity, coefficients }
    }

    fn own(&self, node: Entity) -> [f64; NORMALIZATIONS.len()] {
        let symmetric = self.loop_weight(node) * self.inverse_root(node).powi(2);
        [symmetric, 1.0 / (1.0 + self.count(node)), 0.0, 0.0, 0.0, 0.0]
    }

    /// Edges that come in at a node.
    fn count(&self, node: Entity) -> f64 {
        self.live.iter().filter(|(_, edge, _)| edge.target == node).count() as f64
    }

    /// That of the self-loop with the greatest weight, or the added 1.
    fn loop_weight(&self, node: Entity) -> f64 {
        let own = Edge { source: node, target: node };
        self.live.iter().rfind(|(_, edge, _)| *edge == own).map_or(1.0, |(_, _, weight)| *weight)
    }

    fn inverse_root(&self, node: Entity) -> f64 {
        let others = self.live.iter().filter(|(_, edge, _)| edge.target == node && edge.source != node);
        let degree = self.loop_weight(node) + others.map(|(_, _, weight)| weight).sum::<f64>();
        if degree > 0.0 { degree.sqrt().recip() } else { 0.0 }
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn the_topology_follows_the_entities(batches in operations()) {
        let mut life = Life::new();
        for batch in &batches {
            batch.iter().for_each(|operation| life.play(operation));
            let version = life.topology().version;
            life.step();
            life.check()?;
            let derived = life.topology().version;
            prop_assert!(derived <= version + 1);
            life.step();
            prop_assert_eq!(life.topology().version, derived, "derived anew without a change, after {:?}", batch);
        }
    }
}

/// A change of the world of [`Life::of_two`].
type Change = fn(&mut Life, [Entity; 3]);

#[test]
fn every_kind_of_change_derives_the_topology_once() {
    let changes: [(&str, Change); 23] = [
        ("spawn node", |life, _| _ = life.spawn_node()),
        ("despawn node", |life, [_, b, _]| life.despawn(b)),
        ("mark node", |life, [a, _, _]| life.toggle_mark(a)),
        ("demote node", |life, [a, _, _]| _ = life.world.entity_mut(a).remove::<GraphNode>()),
        ("replace the last node", |life, [_, b, _]| {
            life.despawn(b);
            life.spawn_node();
        }),
        ("spawn edge", |life, [a, b, _]| _ = life.spawn_edge(b, a)),
        ("despawn edge", |life, [_, _, edge]| life.despawn_edge(edge)),
        ("replace edge", |life, [a, b, edge]| {
            life.despawn_edge(edge);
            let edge = life.spawn_edge(b, a);
            life.world.entity_mut(edge).insert(EdgeWeight(1.0));
        }),
        ("rewire edge", |life, [a, _, edge]| life.world.get_mut::<Edge>(edge).unwrap().target = a),
        ("insert other ends", |life, [a, b, edge]| {
            life.world.entity_mut(edge).insert(Edge { source: b, target: a });
        }),
        ("mark edge", |life, [_, _, edge]| life.toggle_mark(edge)),
        ("change weight", |life, [_, _, edge]| life.world.get_mut::<EdgeWeight>(edge).unwrap().0 = 2.0),
        ("insert weight", |life, [_, _, edge]| _ = life.world.entity_mut(edge).insert(EdgeWeight(2.0))),
        ("remove weight", |life, [_, _, edge]| _ = life.world.entity_mut(edge).remove::<EdgeWeight>()),
        ("renew weight", |life, [_, _, edge]| {
            life.world.entity_mut(edge).remove::<EdgeWeight>().insert(EdgeWeight(2.0));
        }),
        ("change weight by a query", |life, _| {
            life.world.query::<&mut EdgeWeight>().iter_mut(&mut life.world).for_each(|mut weight| weight.0 = 3.0);
        }),
        ("spawn subgraph", |life, _| _ = life.spawn_subgraph()),
        ("despawn subgraph", |life, _| life.despawn(life.subgraphs[0])),
        ("mark subgraph", |life, _| life.toggle_mark(life.subgraphs[1])),
        ("join", |life, [_, b, _]| _ = life.world.entity_mut(b).insert(InSubgraph(life.subgraphs[1]))),
        ("insert another subgraph", |life, [a, ..]| {
            life.world.entity_mut(a).insert(InSubgraph(life.subgraphs[1]));
        }),
        ("move", |life, [a, ..]| life.world.get_mut::<InSubgraph>(a).unwrap().0 = life.subgraphs[1]),
        ("leave", |life, [a, ..]| _ = life.world.entity_mut(a).remove::<InSubgraph>()),
    ];
    for (name, change) in changes {
        let (mut life, entities) = Life::of_two();
        let version = life.topology().version;
        change(&mut life, entities);
        for _ in 0..3 {
            life.step();
            assert_eq!(life.topology().version, version + 1, "{name}");
        }
        life.check().unwrap();
    }
}

#[test]
fn what_changes_no_structure_derives_nothing() {
    let (mut life, [a, _, edge]) = Life::of_two();
    let version = life.topology().version;
    life.owners[0].set(&mut life.world, a, &[7, 7]).unwrap();
    life.owners[1].set(&mut life.world, edge, &[7, 7]).unwrap();
    life.owners[2].set(&mut life.world, life.subgraphs[0], &[7, 7]).unwrap();
    life.world.spawn(Marked);
    let _read_only = life.world.query::<(&Edge, &EdgeWeight)>().iter(&life.world).count();
    let _read_only = life.world.query::<&InSubgraph>().iter(&life.world).count();
    life.step();
    assert_eq!(life.topology().version, version);
}

#[test]
fn edges_of_a_dead_node_dangle_even_when_its_index_is_used_again() {
    let (mut life, [a, b, edge]) = Life::of_two();
    assert_eq!(life.topology().dangling, 0);
    life.despawn(b);
    life.step();
    assert_eq!((life.topology().dangling, life.topology().incoming.len()), (1, 0));
    let heir = (0..1000).map(|_| life.spawn_node()).find(|node| node.index() == b.index());
    let heir = heir.expect("the world uses the index again");
    life.step();
    assert_eq!(life.topology().dangling, 1, "{heir} was taken for {b}");
    life.check().unwrap();
    *life.world.get_mut::<Edge>(edge).unwrap() = Edge { source: a, target: heir };
    life.step();
    assert_eq!((life.topology().dangling, life.topology().incoming.len()), (0, 1));
    life.check().unwrap();
}

#[test]
fn a_graph_of_other_components_sees_its_own_nodes_and_edges_only() {
    #[derive(Component)]
    struct Citizen;
    #[derive(Component)]
    struct Friendship;
    let mut life = Life::new();
    life.graph = Graph::of::<Citizen, Friendship>(&mut life.world);
    life.schedule.add_systems(rebuild_topology(life.graph));
    let [a, b] = [(); 2].map(|()| life.world.spawn((GraphNode, Citizen)).id());
    let stranger = life.spawn_node();
    life.spawn_edge(a, b);
    life.world.spawn((Edge { source: b, target: a }, Friendship));
    life.world.spawn((Edge { source: stranger, target: a }, Friendship));
    life.step();
    let topology = life.topology();
    assert_eq!(topology.nodes.entities(), [a, b]);
    assert_eq!((topology.edges.len(), topology.incoming.len(), topology.dangling), (2, 1, 1));
}

#[test]
fn a_graph_of_a_subgraph_marker_of_its_own_sees_no_others() {
    #[derive(Component)]
    struct Squad;
    let (mut life, [a, b, _]) = Life::of_two();
    let subgraphs = life.world.register_component::<Squad>();
    let graph = *life.world.get::<Graph>(life.graph).unwrap();
    life.graph = life.world.spawn(Graph { subgraphs, ..graph }).id();
    life.schedule.add_systems(rebuild_topology(life.graph));
    let squad = life.world.spawn(Squad).id();
    life.world.entity_mut(b).insert(InSubgraph(squad));
    life.step();
    let topology = life.topology();
    let row = |node| topology.nodes.entities().iter().position(|other| *other == node).unwrap();
    assert_eq!(topology.subgraphs.entities(), [squad]);
    assert!(topology.membership.entries(row(a)).is_empty());
    assert_eq!(topology.members.neighbors, [row(b) as u32]);
}

#[test]
fn a_node_of_a_dead_subgraph_belongs_to_none_even_when_its_index_is_used_again() {
    let (mut life, _) = Life::of_two();
    let dead = life.subgraphs[0];
    life.despawn(dead);
    let heir = (0..1000).map(|_| life.spawn_subgraph()).find(|subgraph| subgraph.index() == dead.index());
    let heir = heir.expect("the world uses the index again");
    life.step();
    assert!(life.topology().members.is_empty(), "{heir} was taken for {dead}");
    life.check().unwrap();
}
