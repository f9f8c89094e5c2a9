//! A dungeon that mends itself.
//!
//! Rooms and corridors are entities, and a part of them is missing. A graph neural network learns to rewrite the world where
//! it ends: each room has a slot for each of its four sides, which stands for a wall or for a room of a kind behind a
//! corridor. In a tick all rooms at once say what becomes of their open sides, and `commit_edits` spawns it; so the hole is
//! mended from its border inward, tick by tick, until nothing changes. Kinds and walls follow a pattern that differs from
//! dungeon to dungeon, and which a room learns of through the corridors alone. At last the whole rewrite is rolled back.
//!
//! Run it with `cargo run --release --example corridors`. With a path as its argument it draws a dungeon there, before and
//! after, as an SVG.

#[path = "corridors/map.rs"]
mod map;
#[path = "corridors/picture.rs"]
mod picture;

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{
    components::SoftmaxGroups,
    languages::rewriting::{EditNode, GraphEdits, Settled, commit_edits, run_until_settled},
    prelude::*,
    systems::snapshot::Snapshot,
};
use map::{KINDS, Map, opposite};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a side may become: a wall, or a corridor to a room of some kind.
const LABELS: usize = 1 + KINDS;
const SLOTS: usize = 4 * LABELS;

/// How often the network learns from 16 dungeons, until these are mended.
const LESSONS: usize = 300;

/// Where a room is: in which dungeon, in which row and in which column.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) dungeon: usize,
    pub(crate) at: [i32; 2],
}

/// What a room knows of itself, each as 0 or 1. A side with neither a door nor a wall is open.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Room {
    pub(crate) kind: [f32; KINDS],
    pub(crate) doors: [f32; 4],
    pub(crate) walls: [f32; 4],
}

/// An edge that leads to a room, and on which of its sides.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
struct Corridor([f32; 4]);

/// How likely each label of each side is.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Answer([f32; SLOTS]);

/// 1 for the right label of each open side.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Lesson([f32; SLOTS]);

/// The dungeons as they were before parts of them were lost.
#[derive(Resource, Default)]
struct Maps(Vec<Map>);

type NewRoom = (Place, Room, Answer, Lesson, Split);
type Edits = GraphEdits<NewRoom, Corridor>;

impl Place {
    fn beside(self, side: usize) -> Self {
        Self { at: map::beside(self.at, side), ..self }
    }
}

impl Room {
    pub(crate) fn of_kind(kind: usize) -> Self {
        let mut room = Self::default();
        room.kind[kind] = 1.0;
        room
    }

    fn is_open(&self, side: usize) -> bool {
        self.doors[side] + self.walls[side] == 0.0
    }
}

impl Corridor {
    fn on(side: usize) -> Self {
        let mut corridor = Self::default();
        corridor.0[side] = 1.0;
        corridor
    }
}

/// What is to be behind the open sides of each room.
fn teach(maps: Res<Maps>, mut rooms: Query<(&Place, &Room, &mut Lesson)>) {
    for (place, room, mut lesson) in &mut rooms {
        *lesson = Lesson::default();
        for side in (0..4).filter(|side| room.is_open(*side)) {
            let label = maps.0[place.dungeon].behind(place.at, side).map_or(0, |kind| 1 + kind);
            lesson.0[side * LABELS + label] = 1.0;
        }
    }
}

/// Each open side of each room becomes what its slot stands for: while the network is taught, what would have been right.
fn mend<const IS_TAUGHT: bool>(
    mut edits: Single<&mut Edits>,
    mut rooms: Query<(Entity, &Place, &mut Room, &Answer, &Lesson)>,
) {
    // In the order of places, so that nothing depends on the history of the world.
    let known: BTreeMap<Place, Entity> = rooms.iter().map(|(entity, place, ..)| (*place, entity)).collect();
    let (mut new, mut doors) = (BTreeMap::new(), BTreeSet::new());
    for (place, entity) in &known {
        let Ok((.., mut room, answer, lesson)) = rooms.get_mut(*entity) else { continue };
        let slots = if IS_TAUGHT { &lesson.0 } else { &answer.0 };
        for (side, slot) in slots.chunks_exact(LABELS).enumerate() {
            let label = (0..LABELS).max_by(|a, b| slot[*a].total_cmp(&slot[*b])).unwrap_or(0);
            if !room.is_open(side) {
                continue;
            }
            let Some(kind) = label.checked_sub(1) else {
                room.walls[side] = 1.0;
                continue;
            };
            let other = place.beside(side);
            doors.extend([(*place, side), (other, opposite(side))]);
            if !known.contains_key(&other) {
                new.entry(other).or_insert(Room::of_kind(kind));
            }
        }
    }
    for (place, side) in &doors {
        if let Some(room) = new.get_mut(place) {
            room.doors[*side] = 1.0;
        } else if let Ok((_, _, mut room, ..)) = rooms.get_mut(known[place]) {
            room.doors[*side] = 1.0;
        }
    }
    let mut nodes: BTreeMap<Place, EditNode> = known.into_iter().map(|(place, room)| (place, room.into())).collect();
    for (place, room) in new {
        nodes.insert(place, edits.spawn((place, room, Answer::default(), Lesson::default(), Split::Train)));
    }
    for (place, side) in doors {
        edits.connect(nodes[&place.beside(side)], nodes[&place], Corridor::on(side));
    }
}

pub(crate) struct Dungeons {
    pub(crate) world: World,
    pub(crate) graph: Entity,
    pub(crate) model: Entity,
    /// How many were made; each is another one.
    made: u32,
}

impl Dungeons {
    pub(crate) fn new(workers: usize) -> Result<Self> {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers)?);
        world.init_resource::<Maps>();
        let graph = Graph::of::<Room, Corridor>(&mut world);
        world.entity_mut(graph).insert(Edits::default());
        let groups = SoftmaxGroups { repeats: 4, leading: LABELS as u32, following: 0, width: 0 };
        let model = ModelBuilder::new(graph)
            .reads::<Room>()
            .reads_edges::<Corridor>()
            .layer(NnConv::new(48, Mlp::new([48 * Room::WIDTH])))
            .layer(Activation::Relu)
            .layer(Linear::new(48))
            .layer(Activation::Relu)
            .layer(SageConv::new(48))
            .layer(Activation::Relu)
            .layer(SageConv::new(48))
            .layer(Activation::Relu)
            .layer(SageConv::new(48))
            .layer(Activation::Relu)
            .layer(Linear::new(48))
            .layer(Activation::Relu)
            .layer(Linear::new(SLOTS))
            .writes::<Answer>()
            .learns::<Lesson>(Loss::SetCrossEntropy(groups), Optimizer::adam(0.01))
            .learning_rate_schedule(LearningRateSchedule::Cosine { steps: 6 * LESSONS as u64, final_factor: 0.01 });
        let model = world.spawn_model(model)?;
        let commit = || commit_edits::<NewRoom, Corridor>(graph);
        world.add_model_systems(Train(model), teach.in_set(GraphSystems::Observe))?;
        world.add_model_systems(Train(model), (mend::<true>, commit()).chain().in_set(GraphSystems::Act))?;
        world.add_model_systems(Infer(model), (mend::<false>, commit()).chain().in_set(GraphSystems::Act))?;
        Ok(Self { world, graph, model, made: 0 })
    }

    /// Spawns what is left of new dungeons, in place of those that are there.
    pub(crate) fn spawn(&mut self, count: usize, size: [i32; 2]) {
        let mut entities = self.world.query_filtered::<Entity, Or<(With<Room>, With<Corridor>)>>();
        let entities: Vec<Entity> = entities.iter(&self.world).collect();
        entities.into_iter().for_each(|entity| _ = self.world.despawn(entity));
        let first = self.made;
        self.made += count as u32;
        let maps: Vec<Map> = (first..self.made).map(|number| Map::draw(number, size)).collect();
        for (dungeon, map) in maps.iter().enumerate() {
            let mut rooms = BTreeMap::new();
            for at in map.places().filter(|at| !map.is_lost(*at)) {
                let mut room = map.room(at);
                for side in (0..4).filter(|side| map.is_lost(map::beside(at, *side))) {
                    (room.doors[side], room.walls[side]) = (0.0, 0.0);
                }
                let place = Place { dungeon, at };
                let bundle = (place, room, Answer::default(), Lesson::default(), Split::Train);
                rooms.insert(place, (self.world.spawn(bundle).id(), room));
            }
            for (place, (target, room)) in &rooms {
                for side in (0..4).filter(|side| room.doors[*side] == 1.0) {
                    let edge = Edge { source: rooms[&place.beside(side)].0, target: *target };
                    self.world.spawn((edge, Corridor::on(side)));
                }
            }
        }
        self.world.insert_resource(Maps(maps));
    }

    /// Lets the network learn from some dungeons, until all of them are mended; returns the share of its answers that were right.
    pub(crate) fn teach(&mut self, count: usize) -> Result<f64> {
        self.spawn(count, [9, 9]);
        let (mut right, mut all) = (0, 0);
        while self.rooms().values().any(|room| (0..4).any(|side| room.is_open(side))) {
            self.world.train(self.model)?;
            if let Some(metrics) = self.world.get::<Metrics>(self.model) {
                right += metrics.of(Split::Train).correct;
                all += metrics.of(Split::Train).classified;
            }
        }
        Ok(right as f64 / all as f64)
    }

    /// Lets the network mend what is there.
    pub(crate) fn mend(&mut self) -> Result<Settled> {
        // A tick at least makes each hole smaller by its border.
        Ok(run_until_settled(&mut self.world, self.graph, Infer(self.model), 200)?)
    }

    pub(crate) fn rooms(&mut self) -> BTreeMap<Place, Room> {
        let mut rooms = self.world.query::<(&Place, &Room)>();
        rooms.iter(&self.world).map(|(place, room)| (*place, *room)).collect()
    }

    /// How many dungeons are now as they were before parts were lost.
    pub(crate) fn mended(&mut self) -> usize {
        let mut found = vec![BTreeMap::new(); self.world.resource::<Maps>().0.len()];
        for (place, room) in self.rooms() {
            found[place.dungeon].insert(place.at, room);
        }
        let maps = &self.world.resource::<Maps>().0;
        let is_whole = |(map, rooms): (&Map, &BTreeMap<[i32; 2], Room>)| {
            rooms.len() == map.places().count() && rooms.iter().all(|(at, room)| *room == map.room(*at))
        };
        maps.iter().zip(&found).filter(|pair| is_whole(*pair)).count()
    }

    /// What the world holds, to be restored.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = Snapshot::new(self.graph).with_saved::<Place>();
        let mut snapshot = snapshot.with_saved::<Room>().with_saved::<Corridor>();
        snapshot.take(&self.world)?;
        Ok(snapshot)
    }
}

fn main() -> Result {
    let mut dungeons = Dungeons::new(1)?;
    println!("lesson   right answers");
    for lesson in 1..=LESSONS {
        let right = dungeons.teach(16)?;
        if lesson % (LESSONS / 6) == 0 {
            println!("{lesson:>6} {:>13.1} %", 100.0 * right);
        }
    }
    const OTHERS: usize = 200;
    dungeons.spawn(OTHERS, [9, 9]);
    let settled = dungeons.mend()?;
    let mended = dungeons.mended();
    let percent = 100.0 * mended as f32 / OTHERS as f32;
    println!("\n{mended} of {OTHERS} other dungeons, {percent:.1} %, are mended exactly, in {} ticks.", settled.ticks);

    dungeons.spawn(1, [23, 12]);
    let (before, snapshot) = (dungeons.rooms(), dungeons.snapshot()?);
    let settled = dungeons.mend()?;
    let after = dungeons.rooms();
    let manner = if dungeons.mended() == 1 { "exactly" } else { "with mistakes" };
    let (ticks, rooms, corridors) = (settled.ticks, settled.counts.spawned, settled.counts.connected / 2);
    println!("A larger one is mended {manner}, by {rooms} rooms and {corridors} corridors in {ticks} ticks:\n");
    let lines = [&before, &after].map(picture::lines);
    lines[0].iter().zip(&lines[1]).for_each(|(before, after)| println!("{before}   {after}"));
    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(path, picture::svg([&before, &after])?)?;
    }
    let mended = dungeons.snapshot()?.checksum()?;
    snapshot.restore(&mut dungeons.world)?;
    let sums = [snapshot.checksum()?, mended, dungeons.snapshot()?.checksum()?];
    println!("\nchecksum before {:016x}, mended {:016x}, rolled back {:016x}", sums[0], sums[1], sums[2]);
    if sums[0] != sums[2] || dungeons.rooms() != before {
        return Err("the rewrite was not undone".into());
    }
    Ok(())
}
