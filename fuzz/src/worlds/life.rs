//! A world to which things happen.

use bevy_ecs::{entity::Entity, entity_disabling::Disabled, prelude::*};
use connectome::components::{ClassLabel, Edge, EdgeWeight, Graph, GraphKey, GraphNode, InSubgraph, Split, Subgraph};
use connectome::systems::{WorldModelExt, remove_model, replace_model};

use super::event::{Event, Index, Mark, Step, Target};
use super::frames::Frames;
use super::recipe::{Body, CLASSES, Kind, Recipe};
use super::record::{self, Record};
use super::{anew, topology};

/// The most nodes and edges of a world.
const MAX_NODES: usize = 64;
const MAX_EDGES: usize = 1024;

/// Number of subgraphs.
const SUBGRAPHS: usize = 3;

#[derive(Component, Clone, Copy)]
struct Red;
#[derive(Component, Clone, Copy)]
struct Blue;

/// A world with a graph and a model, and the record of what they ought to be.
pub struct Life {
    pub world: World,
    pub graph: Entity,
    pub model: Entity,
    pub recipe: Recipe,
    pub record: Record,
    frames: Frames,
    /// An entity that is no node and never was.
    stranger: Entity,
}

impl Life {
    pub fn new(recipe: Recipe) -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let stranger = world.spawn_empty().id();
        let model = world.spawn_model(recipe.model(graph)).unwrap_or_else(|error| panic!("{error}"));
        let mut record = Record::default();
        for index in 0..SUBGRAPHS {
            let entity = world.spawn((Subgraph, subgraph_label(index), Split::Train)).id();
            record.subgraphs.push(record::Subgraph { entity, disabled: false });
        }
        Self { frames: Frames::new(graph, model), world, graph, model, recipe, record, stranger }
    }

    pub fn play(&mut self, event: Event) {
        match event {
            Event::SpawnNode { features, label } => self.spawn_node(body(features), label),
            Event::SpawnEdge { source, target, weight } => {
                if let (Some(source), Some(target)) = (self.node(source), self.node(target)) {
                    self.spawn_edge(source, target, weight.map(weight_of));
                }
            }
            Event::SpawnEdges { count, seed } => self.spawn_edges(count, seed),
            Event::DespawnNode(_)
            | Event::CloneNode(_)
            | Event::SetFeatures(..)
            | Event::InsertFeatures(..)
            | Event::SetLabel(..)
            | Event::RenewKey(_)
            | Event::Join(..)
            | Event::Leave(_) => self.play_on_node(event),
            Event::DespawnEdge(_)
            | Event::RespawnEdge(_)
            | Event::CloneEdge(_)
            | Event::Rewire { .. }
            | Event::RewireToStranger(_)
            | Event::SetWeight(..)
            | Event::RemoveWeight(_) => self.play_on_edge(event),
            Event::Mark(target, mark) => self.mark(target, mark),
            Event::Disable(target) => self.disable(target),
            Event::Replace(kind) => {
                self.recipe.kind = kind;
                let model = self.recipe.model(self.graph);
                self.model =
                    replace_model(&mut self.world, self.model, model).unwrap_or_else(|error| panic!("{error}"));
                self.forget_frames();
            }
            Event::Rebuild(kind, seed) => self.rebuild(kind, seed),
            Event::Step(step) => self.step(step),
            Event::Snapshot => self.frames.take(&self.world, self.model, &self.record),
            Event::RollBack(frames) => {
                if let Some(record) = self.frames.roll_back(&mut self.world, self.model, frames) {
                    self.record = record;
                    self.step(Step::Infer);
                }
            }
        }
    }

    fn rebuild(&mut self, kind: Kind, seed: u8) {
        self.recipe = Recipe { kind, seed };
        remove_model(&mut self.world, self.model).unwrap_or_else(|error| panic!("{error}"));
        let model = self.world.spawn_model(self.recipe.model(self.graph));
        self.model = model.unwrap_or_else(|error| panic!("{error}"));
        self.forget_frames();
    }

    /// The model is another one, so the snapshots cannot be restored.
    fn forget_frames(&mut self) {
        std::mem::replace(&mut self.frames, Frames::new(self.graph, self.model)).check_refused(&mut self.world);
    }

    /// Takes a step, and compares it with that of a world that is built anew.
    fn step(&mut self, step: Step) {
        let before = anew::State::of(&self.world, self.model);
        let outcome = take_step(&mut self.world, self.model, step);
        topology::check(self);
        anew::check(self, step, &before, outcome);
    }

    fn node(&self, index: Index) -> Option<Entity> {
        pick(&self.record.nodes, index).map(|index| self.record.nodes[index].entity)
    }

    fn spawn_node(&mut self, body: Body, label: u8) {
        if self.record.nodes.len() < MAX_NODES {
            let label = u32::from(label) % CLASSES as u32;
            let entity = self.world.spawn((GraphNode, body, ClassLabel(label), Split::Train)).id();
            self.record.nodes.push(record::Node { entity, body, label, subgraph: None, disabled: false });
        }
    }

    fn spawn_edge(&mut self, source: Entity, target: Entity, weight: Option<f32>) {
        if self.record.edges.len() < MAX_EDGES {
            let entity = self.world.spawn(Edge { source, target }).id();
            if let Some(weight) = weight {
                self.world.entity_mut(entity).insert(EdgeWeight(weight));
            }
            self.record.edges.push(record::Edge { entity, source, target, weight, disabled: false });
        }
    }

    fn spawn_edges(&mut self, count: u8, seed: u8) {
        let mut state = u32::from(seed);
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for _ in 0..count {
            if let (Some(source), Some(target)) = (self.node(draw()), self.node(draw())) {
                self.spawn_edge(source, target, None);
            }
        }
    }

    fn play_on_node(&mut self, event: Event) {
        let (Event::DespawnNode(index)
        | Event::CloneNode(index)
        | Event::SetFeatures(index, _)
        | Event::InsertFeatures(index, _)
        | Event::SetLabel(index, _)
        | Event::RenewKey(index)
        | Event::Join(index, _)
        | Event::Leave(index)) = event
        else {
            return;
        };
        let Some(index) = pick(&self.record.nodes, index) else { return };
        let has_room = self.record.nodes.len() < MAX_NODES;
        let node = &mut self.record.nodes[index];
        let entity = node.entity;
        match event {
            Event::CloneNode(_) if has_room => {
                let copy = record::Node { entity: self.world.entity_mut(entity).clone_and_spawn(), ..*node };
                self.record.nodes.push(copy);
            }
            Event::SetFeatures(_, features) => {
                node.body = body(features);
                *self.world.get_mut::<Body>(entity).expect("nodes have features") = node.body;
            }
            Event::InsertFeatures(_, features) => {
                node.body = body(features);
                self.world.entity_mut(entity).remove::<Body>().insert(node.body);
            }
            Event::SetLabel(_, label) => {
                node.label = u32::from(label) % CLASSES as u32;
                self.world.entity_mut(entity).insert(ClassLabel(node.label));
            }
            Event::RenewKey(_) => _ = self.world.entity_mut(entity).insert(GraphKey::default()),
            Event::Join(_, subgraph) => {
                let subgraph = usize::from(subgraph) % SUBGRAPHS;
                node.subgraph = Some(subgraph);
                self.world.entity_mut(entity).insert(InSubgraph(self.record.subgraphs[subgraph].entity));
            }
            Event::Leave(_) => {
                node.subgraph = None;
                self.world.entity_mut(entity).remove::<InSubgraph>();
            }
            Event::DespawnNode(_) => {
                self.world.despawn(entity);
                self.record.nodes.remove(index);
            }
            _ => {}
        }
    }

    fn play_on_edge(&mut self, event: Event) {
        let (Event::DespawnEdge(index)
        | Event::RespawnEdge(index)
        | Event::CloneEdge(index)
        | Event::Rewire { edge: index, .. }
        | Event::RewireToStranger(index)
        | Event::SetWeight(index, _)
        | Event::RemoveWeight(index)) = event
        else {
            return;
        };
        let Some(index) = pick(&self.record.edges, index) else { return };
        let (stranger, ends) = (self.stranger, self.ends(event));
        let has_room = self.record.edges.len() < MAX_EDGES;
        let edge = &mut self.record.edges[index];
        let record::Edge { entity, source, target, weight, .. } = *edge;
        match event {
            Event::CloneEdge(_) if has_room => {
                let copy = record::Edge { entity: self.world.entity_mut(entity).clone_and_spawn(), ..*edge };
                self.record.edges.push(copy);
            }
            Event::Rewire { .. } | Event::RewireToStranger(_) => {
                let Some((source, target)) = ends.or(Some((stranger, target))) else { return };
                (edge.source, edge.target) = (source, target);
                *self.world.get_mut::<Edge>(entity).expect("it is an edge") = Edge { source, target };
            }
            Event::SetWeight(_, weight) => {
                edge.weight = Some(weight_of(weight));
                self.world.entity_mut(entity).insert(EdgeWeight(weight_of(weight)));
            }
            Event::RemoveWeight(_) => {
                edge.weight = None;
                self.world.entity_mut(entity).remove::<EdgeWeight>();
            }
            Event::DespawnEdge(_) | Event::RespawnEdge(_) => {
                self.world.despawn(entity);
                self.record.edges.remove(index);
                if let Event::RespawnEdge(_) = event {
                    self.spawn_edge(source, target, weight);
                }
            }
            _ => {}
        }
    }

    /// The new endpoints of an edge that is rewired to nodes.
    fn ends(&self, event: Event) -> Option<(Entity, Entity)> {
        let Event::Rewire { source, target, .. } = event else { return None };
        self.node(source).zip(self.node(target))
    }

    fn mark(&mut self, target: Target, mark: Mark) {
        let Some((entity, _)) = self.target(target) else { return };
        let mut entity = self.world.entity_mut(entity);
        match mark {
            Mark::Red if entity.contains::<Red>() => _ = entity.remove::<Red>(),
            Mark::Red => _ = entity.insert(Red),
            Mark::Blue if entity.contains::<Blue>() => _ = entity.remove::<Blue>(),
            Mark::Blue => _ = entity.insert(Blue),
        }
    }

    fn disable(&mut self, target: Target) {
        let Some((entity, disabled)) = self.target(target) else { return };
        *disabled = !*disabled;
        if *disabled {
            self.world.entity_mut(entity).insert(Disabled);
        } else {
            self.world.entity_mut(entity).remove::<Disabled>();
        }
    }

    /// The entity, and where it is recorded whether it is disabled.
    fn target(&mut self, target: Target) -> Option<(Entity, &mut bool)> {
        let Record { nodes, edges, subgraphs } = &mut self.record;
        match target {
            Target::Node(index) => pick(nodes, index).map(|index| (nodes[index].entity, &mut nodes[index].disabled)),
            Target::Edge(index) => pick(edges, index).map(|index| (edges[index].entity, &mut edges[index].disabled)),
            Target::Subgraph(index) => {
                pick(subgraphs, index).map(|index| (subgraphs[index].entity, &mut subgraphs[index].disabled))
            }
        }
    }
}

/// Takes a step of a model; returns why it cannot be taken.
pub fn take_step(world: &mut World, model: Entity, step: Step) -> Result<(), String> {
    let outcome = match step {
        Step::Infer => world.infer(model),
        Step::Train => world.train(model),
        Step::Evaluate => world.evaluate(model),
    };
    outcome.map_err(|error| error.to_string())
}

/// The class of a subgraph.
pub fn subgraph_label(index: usize) -> ClassLabel {
    ClassLabel((index % CLASSES) as u32)
}

fn pick<T>(all: &[T], index: Index) -> Option<usize> {
    usize::from(index).checked_rem(all.len())
}

fn body(features: [i8; 3]) -> Body {
    Body(features.map(|feature| f32::from(feature) / 64.0))
}

fn weight_of(quarters: u8) -> f32 {
    f32::from(quarters % 16) / 4.0
}
