//! Snapshots of graphs and models: rollback, saved games, and checksums by which peers compare their worlds.
//!
//! A [`Snapshot`] holds the nodes, edges and subgraphs of some graphs with their keys, the components of this crate and
//! those that were named, the inputs and outputs of models, and what models learn. Taking one copies columns; a
//! [`SnapshotRing`] keeps those of the last frames. Restoring one copies them back, after it has despawned, spawned and
//! mended what differs; a frame that is played again then computes the bits that it had.
//!
//! Entities are identified by themselves as long as they live, and otherwise by their
//! [`GraphKey`](connectome_components::GraphKey), if they have one. bevy_ecs cannot spawn an entity under an id that is
//! gone, so one that is spawned again has another: references to it in restored components are mapped, and
//! [`Snapshot::restore`] returns the new ids.

mod bytes;
mod column;
mod entities;
mod error;
mod model;
mod restore;
mod ring;
mod section;

use bevy_ecs::{
    change_detection::Tick,
    component::{Component, Mutable},
    entity::{Entity, EntityHashMap},
    entity_disabling::Disabled,
    world::{World, WorldId},
};
use connectome_components::{
    ClassLabel, Edge, EdgeKind, EdgeWeight, Field, GraphNode, InSubgraph, NodeColor, Split, Subgraph,
};
use serde::{Serialize, de::DeserializeOwned};

use column::{Column, ComponentColumn};
pub use error::SnapshotError;
use model::ModelSnapshot;
pub use ring::SnapshotRing;
use section::Section;

/// The state of graphs, models and components of a world at one time.
///
/// It holds for each node, edge and subgraph, disabled ones included: its
/// [`GraphKey`](connectome_components::GraphKey), [`Edge`], [`EdgeWeight`], [`EdgeKind`], [`InSubgraph`],
/// [`ClassLabel`], [`Split`], [`NodeColor`] and [`Disabled`]; the components named by [`Snapshot::with`] and
/// [`Snapshot::with_saved`]; the fields named by [`Snapshot::field`]; and of each model the fields of its inputs,
/// outputs, targets and recurrent state. Of a model it holds parameters, moments, accumulated gradients and running
/// statistics, `TrainingState`, `Optimizer`, `LearningRateSchedule`, `GradientAccumulation`, `GradientClipping` and
/// `Metrics`. Gradients are not held: a step overwrites them. Of a model that takes lessons it holds the lesson under way,
/// which goes on from there: by reference, since a lesson does not change.
///
/// Parallel edges without keys that have one weight are summed by the indices of their entities, which differ after
/// some of them were spawned again: give them keys if they differ in other values that a model reads.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, GraphNode};
/// use connectome_systems::snapshot::Snapshot;
///
/// #[derive(Component, Clone, Debug, PartialEq)]
/// struct Health(u32);
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let [ann, bob] = [3, 5].map(|health| world.spawn((GraphNode, Health(health))).id());
/// let edge = world.spawn(Edge { source: ann, target: bob }).id();
///
/// let mut snapshot = Snapshot::new(graph).with::<Health>();
/// snapshot.take(&world)?;
/// world.despawn(ann);
/// world.get_mut::<Health>(bob).unwrap().0 = 0;
/// let replaced = snapshot.restore(&mut world)?;
///
/// let ann = replaced[&ann];
/// assert_eq!(world.get(ann), Some(&Health(3)));
/// assert_eq!(world.get(bob), Some(&Health(5)));
/// assert_eq!(world.get(edge), Some(&Edge { source: ann, target: bob }));
/// # Ok::<(), connectome_systems::snapshot::SnapshotError>(())
/// ```
pub struct Snapshot {
    graphs: Vec<Entity>,
    /// A column without values for each component.
    components: Vec<Box<dyn Column>>,
    fields: Vec<Field>,
    /// The kinds of entities: subgraphs, nodes and edges of each graph.
    sections: Vec<Section>,
    models: Vec<ModelSnapshot>,
    origin: Origin,
}

/// Where the values of a snapshot are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// There are none.
    Nowhere,
    /// They were taken of this world at this tick.
    World(WorldId, Tick),
    /// They were loaded for this world; their entities are numbers.
    Bytes(WorldId),
}

impl Snapshot {
    /// An empty snapshot of a graph.
    pub fn new(graph: Entity) -> Self {
        let components: Vec<Box<dyn Column>> = vec![
            Box::new(ComponentColumn::<GraphNode>::marker()),
            Box::new(ComponentColumn::<Subgraph>::marker()),
            Box::new(ComponentColumn::<Edge>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<EdgeWeight>::compared(|one, other| one.0.to_bits() == other.0.to_bits())),
            Box::new(ComponentColumn::<EdgeKind>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<InSubgraph>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<ClassLabel>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<Split>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<NodeColor>::compared(PartialEq::eq)),
            Box::new(ComponentColumn::<Disabled>::marker()),
        ];
        let (fields, sections, models) = Default::default();
        Self { graphs: vec![graph], components, fields, sections, models, origin: Origin::Nowhere }
    }

    /// Holds another graph as well, such as one of other edges between the same nodes.
    pub fn graph(mut self, graph: Entity) -> Self {
        self.graphs.push(graph);
        self
    }

    /// Holds a model on the graphs.
    pub fn model(mut self, model: Entity) -> Self {
        self.models.push(ModelSnapshot::new(model));
        self
    }

    /// Holds a field of nodes, edges or subgraphs, such as one that systems of yours write and read in the next step.
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// Holds a component of nodes, edges and subgraphs in memory; it is neither saved to bytes nor in the checksum.
    ///
    /// Entities in it are mapped as its `#[entities]` say. It must be in table storage, or this does not compile.
    pub fn with<T: Component<Mutability = Mutable> + Clone>(self) -> Self {
        self.column(ComponentColumn::<T>::new())
    }

    /// As [`Snapshot::with`], but it is also saved to bytes and in the checksum.
    pub fn with_saved<T>(self) -> Self
    where
        T: Component<Mutability = Mutable> + Clone + Serialize + DeserializeOwned,
    {
        self.column(ComponentColumn::<T>::saved())
    }

    fn column(mut self, column: impl Column + 'static) -> Self {
        self.components.push(Box::new(column));
        self.sections.clear();
        self.origin = Origin::Nowhere;
        self
    }

    /// Takes the present state of a world, in place of what the snapshot held.
    ///
    /// Costs a copy of each column. Buffers are reused: when none has to grow, nothing is allocated, except by the
    /// clones of components that own memory.
    ///
    /// # Errors
    /// If a graph or a model is none, a model reads a graph that is not held, or a field is on no rows of the graphs;
    /// then the snapshot is empty.
    pub fn take(&mut self, world: &World) -> Result<(), SnapshotError> {
        self.origin = Origin::Nowhere;
        self.resolve(world)?;
        self.sections.iter_mut().for_each(|section| section.take(world));
        self.models.iter_mut().for_each(|model| model.take(world));
        self.origin = Origin::World(world.id(), world.read_change_tick());
        Ok(())
    }

    /// Brings the world to the state that the snapshot holds; returns for each entity of the snapshot that has another
    /// id now the new one.
    ///
    /// Entities of the snapshot that live are overwritten in place, those that do not are spawned again with their key
    /// and the components that the snapshot holds, and others that are nodes, edges or subgraphs of the graphs are
    /// despawned. Components that the snapshot does not hold stay as they are. Components of this crate and fields that
    /// already have the values of the snapshot are not marked as changed.
    ///
    /// Costs a copy of each column if no entity was spawned, despawned or moved to another table since the snapshot was
    /// taken; otherwise also some work for each entity.
    ///
    /// # Errors
    /// If the snapshot is empty or of another world, the graphs or models are not the same any more, or an entity that
    /// is to be spawned needs a component without a registered default; the world is unchanged then. If hooks or
    /// observers despawn restored entities.
    pub fn restore(&self, world: &mut World) -> Result<EntityHashMap<Entity>, SnapshotError> {
        self.check(world)?;
        let replaced = match self.taken_in_place(world) {
            Some(taken) => {
                // A write at the very tick may have come later.
                let before = Tick::new(taken.get().wrapping_sub(1));
                self.sections.iter().for_each(|section| section.write_back(world, before));
                EntityHashMap::new()
            }
            None => restore::restore_entities(self, world)?,
        };
        self.models.iter().for_each(|model| model.restore(world));
        Ok(replaced)
    }

    /// Finds the components of the graphs and the fields of the models.
    fn resolve(&mut self, world: &World) -> Result<(), SnapshotError> {
        let Self { graphs, components, fields, sections, models, .. } = self;
        section::resolve(sections, graphs, components, world)?;
        models.iter_mut().try_for_each(|model| model.resolve(world, graphs))?;
        let fields = fields.iter().chain(models.iter().flat_map(ModelSnapshot::row_fields)).copied();
        let indices = models.iter().flat_map(ModelSnapshot::index_fields).copied();
        section::resolve_fields(sections, fields, indices, world)
    }

    /// Checks that the snapshot can be restored.
    fn check(&self, world: &World) -> Result<(), SnapshotError> {
        match self.origin {
            Origin::Nowhere => return Err(SnapshotError::Empty),
            Origin::World(id, _) | Origin::Bytes(id) if id != world.id() => return Err(SnapshotError::OtherWorld),
            Origin::World(..) | Origin::Bytes(_) => {}
        }
        section::check(&self.sections, &self.graphs, world)?;
        self.models.iter().try_for_each(|model| model.check(world))
    }

    /// The tick at which the snapshot was taken, if all rows are where they were.
    fn taken_in_place(&self, world: &World) -> Option<Tick> {
        let Origin::World(_, taken) = self.origin else { return None };
        self.sections.iter().all(|section| section.is_in_place(world)).then_some(taken)
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Self {
        Self {
            graphs: self.graphs.clone(),
            components: self.components.iter().map(|column| column.boxed()).collect(),
            fields: self.fields.clone(),
            sections: self.sections.clone(),
            models: self.models.clone(),
            origin: self.origin,
        }
    }
}
