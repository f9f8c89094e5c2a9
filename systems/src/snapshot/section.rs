//! The nodes, the edges or the subgraphs of a snapshot.

use bevy_ecs::{change_detection::Tick, component::ComponentId, entity::Entity, world::World};
use connectome_components::{Edge, Element, Field, Graph, GraphKey, Rows};
use core::ops::Range;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    SnapshotError,
    column::{Column, ComponentColumn, FieldColumn},
};

/// The entities of one kind, with their columns.
pub(super) struct Section {
    /// The component that marks them.
    pub(super) marker: ComponentId,
    /// All components that they must have.
    pub(super) required: Vec<ComponentId>,
    /// The rows that were taken.
    rows: Rows,
    /// The entities that were loaded, which are numbers of the snapshot; if any, there are no rows.
    pub(super) loaded: Vec<Entity>,
    pub(super) keys: ComponentColumn<GraphKey>,
    pub(super) components: Vec<Box<dyn Column>>,
    pub(super) fields: Vec<Box<dyn Column>>,
    /// Number of fields that are resolved, while they are.
    resolved: usize,
}

impl Section {
    fn new(marker: ComponentId, required: &[ComponentId], components: &[Box<dyn Column>]) -> Self {
        Self {
            marker,
            required: required.to_vec(),
            rows: Rows::default(),
            loaded: Vec::new(),
            keys: ComponentColumn::compared(PartialEq::eq),
            components: components.iter().map(|column| column.boxed()).collect(),
            fields: Vec::new(),
            resolved: 0,
        }
    }

    /// Lets the next column be that of a field, unless an earlier one is.
    fn resolve_field<T: Element + Serialize + DeserializeOwned>(&mut self, field: Field<T>, world: &World) {
        let is_of = |column: &dyn Column| column.id(world) == Some(field.id());
        if self.components.iter().chain(&self.fields[..self.resolved]).any(|column| is_of(&**column)) {
            return;
        }
        if self.fields.get(self.resolved).is_none_or(|column| !is_of(&**column)) {
            self.fields.truncate(self.resolved);
            self.fields.push(Box::new(FieldColumn::new(field)));
        }
        self.resolved += 1;
    }

    /// Takes entities and columns from bytes, as numbers of the snapshot.
    pub(super) fn set_loaded(&mut self, entities: Vec<Entity>) {
        self.rows = Rows::default();
        self.loaded = entities;
    }

    /// The entities in the order of the snapshot's rows.
    pub(super) fn entities(&self) -> &[Entity] {
        if self.loaded.is_empty() { self.rows.entities() } else { &self.loaded }
    }

    /// Ranges of rows in which all have the same components.
    pub(super) fn uniform_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let tables = self.rows.tables().iter().map(|(_, rows)| rows.clone());
        tables.filter(|_| self.loaded.is_empty()).chain((0..self.loaded.len()).map(|row| row..row + 1))
    }

    /// All columns but that of the keys.
    pub(super) fn columns(&self) -> impl Iterator<Item = &dyn Column> {
        self.components.iter().chain(&self.fields).map(|column| &**column)
    }

    /// The column of a component, if the snapshot holds it.
    pub(super) fn component<T: 'static>(&self) -> Option<&ComponentColumn<T>> {
        self.components.iter().find_map(|column| column.as_any().downcast_ref())
    }

    pub(super) fn take(&mut self, world: &World) {
        self.rows.update_with_disabled(world, &self.required);
        self.loaded.clear();
        self.keys.take(world, &self.rows);
        self.components.iter_mut().chain(&mut self.fields).for_each(|column| column.take(world, &self.rows));
    }

    pub(super) fn is_in_place(&self, world: &World) -> bool {
        self.rows.are_exactly(world, &self.required)
    }

    /// Writes what was written after the tick where it was taken.
    pub(super) fn write_back(&self, world: &mut World, tick: Tick) {
        self.keys.write_back(world, &self.rows, tick);
        self.columns().for_each(|column| column.write_back(world, &self.rows, tick));
    }
}

impl Clone for Section {
    fn clone(&self) -> Self {
        Self {
            marker: self.marker,
            required: self.required.clone(),
            rows: self.rows.clone(),
            loaded: self.loaded.clone(),
            keys: self.keys.clone(),
            components: self.components.iter().map(|column| column.boxed()).collect(),
            fields: self.fields.iter().map(|column| column.boxed()).collect(),
            resolved: self.resolved,
        }
    }
}

/// The place of edges among the kinds of entities of a graph.
const EDGES: usize = 3;

/// The kinds of entities of graphs, each once: for each graph the subgraphs, the nodes, other sources and the edges, so that
/// what is referred to comes first. Calls `each` with the marker and all components of a kind.
fn each_kind(
    graphs: &[Entity],
    world: &World,
    mut each: impl FnMut(ComponentId, &[ComponentId]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let edge = world.component_id::<Edge>();
    for (index, graph) in graphs.iter().enumerate() {
        let known = |entity: &Entity| world.get::<Graph>(*entity).copied();
        let graph = known(graph).ok_or(SnapshotError::NoGraph(*graph))?;
        let markers = |graph: Graph| [graph.subgraphs, graph.nodes, graph.sources, graph.edges];
        for (kind, marker) in markers(graph).into_iter().enumerate() {
            let earlier = graphs[..index].iter().filter_map(known).flat_map(markers);
            if earlier.chain(markers(graph).into_iter().take(kind)).any(|known| known == marker) {
                continue;
            }
            match edge {
                Some(edge) if kind == EDGES && edge != marker => each(marker, &[edge, marker])?,
                _ => each(marker, &[marker])?,
            }
        }
    }
    Ok(())
}

/// Whether graphs have all entities of another one: it may be the reverse of one of them, or have no edges.
pub(super) fn cover(graphs: &[Entity], other: Entity, world: &World) -> bool {
    let known = |entity: &Entity| world.get::<Graph>(*entity).copied();
    let Some(other) = known(&other) else { return false };
    let any = |fits: &dyn Fn(Graph) -> bool| graphs.iter().filter_map(known).any(fits);
    let has_nodes = |kind: ComponentId| any(&|graph| [graph.nodes, graph.sources].contains(&kind));
    any(&|graph| graph.subgraphs == other.subgraphs)
        && has_nodes(other.nodes)
        && has_nodes(other.sources)
        && (other.is_without_edges(world) || any(&|graph| graph.edges == other.edges))
}

/// Brings the sections to the kinds of the graphs; sections that stay keep their buffers.
pub(super) fn resolve(
    sections: &mut Vec<Section>,
    graphs: &[Entity],
    components: &[Box<dyn Column>],
    world: &World,
) -> Result<(), SnapshotError> {
    let mut count = 0;
    each_kind(graphs, world, |marker, required| {
        if sections.get(count).is_none_or(|section| section.marker != marker || section.required != required) {
            sections.truncate(count);
            sections.push(Section::new(marker, required, components));
        }
        count += 1;
        Ok(())
    })?;
    sections.truncate(count);
    Ok(())
}

/// Checks that the sections are those of the graphs.
pub(super) fn check(sections: &[Section], graphs: &[Entity], world: &World) -> Result<(), SnapshotError> {
    let mut known = sections.iter();
    each_kind(graphs, world, |marker, required| {
        let is_same = known.next().is_some_and(|section| section.marker == marker && section.required == required);
        is_same.then_some(()).ok_or(SnapshotError::Changed)
    })?;
    known.next().map_or(Ok(()), |_| Err(SnapshotError::Changed))
}

/// Brings the columns of fields to these, each in the section of its domain; columns that stay keep their buffers.
pub(super) fn resolve_fields(
    sections: &mut [Section],
    fields: impl Iterator<Item = Field>,
    indices: impl Iterator<Item = Field<u32>>,
    world: &World,
) -> Result<(), SnapshotError> {
    sections.iter_mut().for_each(|section| section.resolved = 0);
    for field in fields {
        section_of(sections, world, field)?.resolve_field(field, world);
    }
    for field in indices {
        section_of(sections, world, field)?.resolve_field(field, world);
    }
    sections.iter_mut().for_each(|section| section.fields.truncate(section.resolved));
    Ok(())
}

/// The section of a field's domain.
fn section_of<'a, T: Element>(
    sections: &'a mut [Section],
    world: &World,
    field: Field<T>,
) -> Result<&'a mut Section, SnapshotError> {
    if !field.is_of(world) {
        return Err(SnapshotError::OtherWorld);
    }
    let section = sections.iter_mut().find(|section| section.marker == field.domain());
    section.ok_or_else(|| SnapshotError::OtherRows(field.name(world)))
}
