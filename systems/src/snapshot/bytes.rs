//! Snapshots as bytes, for files and other processes.
//!
//! The rows of each kind are in an order that follows keys, and entities are numbers in this order: bytes do not depend
//! on the ids, rows and tables of entities.

use bevy_ecs::{
    entity::{Entity, EntityHashMap},
    world::World,
};
use connectome_components::{Edge, EdgeWeight, GraphKey, Metrics};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::HashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Origin, Snapshot, SnapshotError,
    column::ComponentColumn,
    entities::EntityMap,
    model::{ModelSnapshot, Settings},
    section::Section,
};
use crate::{model::SavedLessons, optimizers::ModelState};

/// What the bytes of a snapshot begin with.
const MAGIC: &[u8; 8] = b"connsnap";

/// The version of the format.
const VERSION: u32 = 3;

/// Bytes before the content: [`MAGIC`], [`VERSION`] and the checksum of the content.
const HEADER: usize = 20;

/// The content of a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    sections: Vec<SavedSection>,
    models: Vec<SavedModel>,
}

/// The entities of one kind.
#[derive(Serialize, Deserialize)]
struct SavedSection {
    /// Their numbers in the snapshot. One that is of several kinds has the same number in each.
    entities: Vec<u32>,
    /// The bits of their keys.
    keys: Vec<Option<u64>>,
    columns: Vec<SavedColumn>,
}

/// The values of one component or field.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedColumn {
    /// What it holds.
    pub(super) label: String,
    /// The rows that have a value.
    pub(super) rows: Vec<u32>,
    /// The values of these rows, one after another.
    pub(super) values: Vec<u8>,
}

/// The state of a model.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedModel {
    /// The values of its outputs of one row.
    pub(super) values: Vec<f32>,
    pub(super) state: ModelState,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    /// Of a model that takes lessons.
    pub(super) lessons: Option<SavedLessons>,
}

/// How values of a component are written to bytes and read again.
pub(super) struct Codec<T> {
    pub(super) encode: fn(&T, Vec<u8>) -> postcard::Result<Vec<u8>>,
    pub(super) decode: Decode<T>,
}

/// Reads a value; returns it with the bytes that follow.
type Decode<T> = fn(&[u8]) -> postcard::Result<(T, &[u8])>;

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Codec<T> {}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    pub(super) const SERDE: Self = Self {
        encode: |value, bytes| postcard::to_extend(value, bytes),
        decode: |bytes| postcard::take_from_bytes(bytes),
    };
}

impl SavedColumn {
    /// Appends a value.
    pub(super) fn push<T>(&mut self, value: &T, codec: Codec<T>) -> Result<(), SnapshotError> {
        let error = |error: postcard::Error| SnapshotError::NotSerialized {
            name: self.label.clone(),
            reason: error.to_string(),
        };
        self.values = (codec.encode)(value, core::mem::take(&mut self.values)).map_err(error)?;
        Ok(())
    }

    /// All values, of which there are `count`.
    pub(super) fn read<T>(&self, count: usize, codec: Codec<T>) -> Result<Vec<T>, SnapshotError> {
        let damaged = || SnapshotError::Damaged(format!("the values of {} cannot be read", self.label));
        let mut values = Vec::new();
        let mut rest = &self.values[..];
        for _ in 0..count {
            let (value, following) = (codec.decode)(rest).map_err(|_| damaged())?;
            values.push(value);
            rest = following;
        }
        if rest.is_empty() { Ok(values) } else { Err(damaged()) }
    }
}

impl Snapshot {
    /// The snapshot as bytes, with a checksum: for a file, or another process with the same graphs and models.
    ///
    /// Entities are saved as numbers, and references to entities that the snapshot does not hold as
    /// [`Entity::PLACEHOLDER`].
    ///
    /// # Errors
    /// If the snapshot is empty, or holds a component that was not named by [`Snapshot::with_saved`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        if let Some(column) =
            self.sections.iter().flat_map(|section| &section.components).find(|column| !column.is_saved())
        {
            return Err(SnapshotError::NotSaved(column.label()));
        }
        let content = self.content(|key| Some(key.to_bits()), ModelSnapshot::metrics)?;
        let mut bytes = Vec::with_capacity(HEADER + content.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&content).to_le_bytes());
        bytes.extend_from_slice(&content);
        Ok(bytes)
    }

    /// Takes the state from bytes of [`Snapshot::to_bytes`], to be restored in `world`: its graphs, models, components
    /// and fields must be those of the snapshot that was saved, in the same order. Keys stay the same, and entities
    /// born from now on have greater ones.
    ///
    /// # Errors
    /// If the bytes are damaged, of another version or of other graphs, models or components; the snapshot is unchanged
    /// then. Those of [`Snapshot::take`].
    pub fn load(&mut self, world: &World, bytes: &[u8]) -> Result<(), SnapshotError> {
        let damaged = |reason: &str| SnapshotError::Damaged(reason.to_owned());
        let (header, content) = bytes.split_at_checked(HEADER).ok_or_else(|| damaged("they are too few"))?;
        let (magic, header) = header.split_at(MAGIC.len());
        let (version, checksum) = header.split_at(VERSION.to_le_bytes().len());
        if magic != MAGIC {
            return Err(damaged("they do not begin as a snapshot"));
        }
        let found = version.iter().rev().fold(0, |version, byte| version << 8 | u32::from(*byte));
        if found != VERSION {
            return Err(SnapshotError::Version { found, expected: VERSION });
        }
        if checksum != xxh3_64(content).to_le_bytes() {
            return Err(damaged("their checksum is not that of their content"));
        }
        let (saved, rest) =
            postcard::take_from_bytes::<Saved>(content).map_err(|_| damaged("their content cannot be read"))?;
        if !rest.is_empty() {
            return Err(damaged("something follows their content"));
        }
        let mut loaded = self.clone();
        loaded.resolve(world)?;
        loaded.set(world, saved)?;
        loaded.origin = Origin::Bytes(world.id());
        *self = loaded;
        Ok(())
    }

    fn set(&mut self, world: &World, saved: Saved) -> Result<(), SnapshotError> {
        let sizes = |sections: usize, models: usize| format!("{sections} kinds of entities and {models} models");
        if (saved.sections.len(), saved.models.len()) != (self.sections.len(), self.models.len()) {
            let expected = sizes(self.sections.len(), self.models.len());
            return Err(SnapshotError::Mismatch { expected, found: sizes(saved.sections.len(), saved.models.len()) });
        }
        for (model, saved) in self.models.iter_mut().zip(saved.models) {
            model.load(world, saved)?;
        }
        let sections = self.sections.iter_mut().zip(&saved.sections);
        sections.into_iter().try_for_each(|(section, saved)| section.load(saved))?;
        // Last, because it raises the keys of entities that are born.
        for (section, saved) in self.sections.iter_mut().zip(saved.sections) {
            section.keys.set(saved.keys.into_iter().map(|key| key.map(GraphKey::from_bits)).collect());
        }
        Ok(())
    }

    /// A hash of all that [`Snapshot::to_bytes`] saves, without metrics and components that are only kept in memory:
    /// equal for equal graphs and models, whatever entities, rows and tables hold them, in other processes too.
    ///
    /// Of keys that were given it has the numbers, of those of birth their order alone. Parallel edges of one weight
    /// that differ in other components need keys of their own. Fields that are attached in the next step and fields
    /// that hold zeros differ; compare snapshots that were taken after steps.
    ///
    /// # Errors
    /// If the snapshot is empty, or a component cannot be serialized.
    pub fn checksum(&self) -> Result<u64, SnapshotError> {
        Ok(xxh3_64(&self.content(GraphKey::given, |_| Metrics::default())?))
    }

    /// The content of the bytes; `key` is what is saved of a key, `metrics` those that are saved of a model.
    fn content(
        &self,
        key: impl Fn(GraphKey) -> Option<u64>,
        metrics: impl Fn(&ModelSnapshot) -> Metrics,
    ) -> Result<Vec<u8>, SnapshotError> {
        if self.origin == Origin::Nowhere {
            return Err(SnapshotError::Empty);
        }
        let mut map = EntityMap { targets: EntityHashMap::default(), is_complete: true };
        let mut sections = Vec::new();
        for section in &self.sections {
            let order = canonical_order(section, &map);
            for row in &order {
                let number = map.targets.len() as u32;
                map.targets.entry(section.entities()[*row as usize]).or_insert(number_as_entity(number));
            }
            sections.push((section, order));
        }
        let save = |(section, order): (&Section, Vec<u32>)| {
            let entity = |row: &u32| map.targets[&section.entities()[*row as usize]].index_u32();
            let entities = order.iter().map(entity).collect();
            let keys = order.iter().map(|row| section.keys.get(*row as usize).copied().and_then(&key)).collect();
            let columns = section.columns().map(|column| column.save(&order, &mut map));
            let columns = columns.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            Ok(SavedSection { entities, keys, columns })
        };
        let sections = sections.into_iter().map(save).collect::<Result<_, SnapshotError>>()?;
        let saved = Saved { sections, models: self.models.iter().map(|model| model.save(metrics(model))).collect() };
        postcard::to_stdvec(&saved)
            .map_err(|error| SnapshotError::NotSerialized { name: "snapshot".to_owned(), reason: error.to_string() })
    }
}

/// A number as the entity that stands for it.
fn number_as_entity(number: u32) -> Entity {
    Entity::from_raw_u32(number).unwrap_or(Entity::PLACEHOLDER)
}

/// The rows of a section in the order of their keys; edges first by the numbers of target and source, and those without
/// keys by weight, as sums have them.
fn canonical_order(section: &Section, map: &EntityMap) -> Vec<u32> {
    let edges: Option<&ComponentColumn<Edge>> = section.component();
    let weights: Option<&ComponentColumn<EdgeWeight>> = section.component();
    let number = |entity: Entity| map.targets.get(&entity).map_or(u32::MAX, |entity| entity.index_u32());
    let entities = section.entities();
    let place = |row: &u32| {
        let row = *row as usize;
        let ends = edges.and_then(|edges| edges.get(row)).map(|edge| [number(edge.target), number(edge.source)]);
        let weight = weights.and_then(|weights| weights.get(row)).map_or(1.0, |weight| weight.0).to_bits();
        (ends, section.keys.get(row).copied(), weight, entities[row].index_u32())
    };
    let mut order: Vec<u32> = (0..entities.len() as u32).collect();
    order.sort_by_cached_key(place);
    order
}

impl Section {
    /// Takes entities and columns from bytes, but not the keys.
    fn load(&mut self, saved: &SavedSection) -> Result<(), SnapshotError> {
        let count = saved.entities.len();
        if saved.keys.len() != count {
            return Err(SnapshotError::Damaged("the entities are not as many as their keys".to_owned()));
        }
        let distinct: HashSet<u32> = saved.entities.iter().copied().collect();
        if distinct.len() != count || distinct.contains(&u32::MAX) {
            return Err(SnapshotError::Damaged("two entities have the same number".to_owned()));
        }
        let mut columns = self.components.iter_mut().chain(&mut self.fields);
        for saved in &saved.columns {
            let column = columns.next();
            let label = column.as_ref().map_or_else(|| "no more columns".to_owned(), |column| column.label());
            match column.filter(|column| column.label() == saved.label) {
                Some(column) => column.load(saved, count)?,
                None => return Err(SnapshotError::Mismatch { expected: label, found: saved.label.clone() }),
            }
        }
        if let Some(column) = columns.next() {
            let found = "no more columns".to_owned();
            return Err(SnapshotError::Mismatch { expected: column.label(), found });
        }
        drop(columns);
        self.set_loaded(saved.entities.iter().map(|number| number_as_entity(*number)).collect());
        Ok(())
    }
}
