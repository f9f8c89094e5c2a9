//! Lessons of a model that reads several kinds of nodes, along relations and their reverses.

use super::{draw, weights};
use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome_components::{Edge, Graph, GraphKey, LessonProgress, Loss, Metrics, Optimizer, Split};
use connectome_systems::{
    EdgeRelation, LessonBuilder, ModelBuilder, NodeKind, Workers, WorldModelExt,
    kernels::Activation,
    layers::{HeteroConv, HgtConv, Linear, SageConv},
    snapshot::{Snapshot, SnapshotRing},
};
use core::time::Duration;

macro_rules! components {
    ($($name:ident($width:literal)),*) => {
        $(
            #[derive(
                Component, Clone, Copy, Default, Debug, PartialEq, Pod, Zeroable, serde::Serialize, serde::Deserialize,
            )]
            #[repr(C)]
            struct $name([f32; $width]);
        )*
    };
}

components!(Trader(3), Ware(2), Guild(1), Plan(1), Deal(1), Share(1));

#[derive(Component, Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Owns;
#[derive(Component, Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Knows;
#[derive(Component, Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
struct Backs;

/// Traders who know each other, own wares and are backed by guilds; traders and wares come and go.
struct Market {
    world: World,
    graphs: [Entity; 4],
    model: Entity,
}

fn brain([knows, owns, owned_by, backs]: [Entity; 4]) -> ModelBuilder {
    ModelBuilder::new(knows)
        .name("brain")
        .seed(3)
        .kind_name("trader")
        .reads::<Trader>()
        .kind(NodeKind::new("ware").reads::<Ware>())
        .kind(NodeKind::new("guild").reads::<Guild>())
        .relation(EdgeRelation::new("knows", knows, ["trader", "trader"]))
        .relation(EdgeRelation::new("owns", owns, ["trader", "ware"]).reads::<Share>())
        .relation(EdgeRelation::new("owned_by", owned_by, ["ware", "trader"]))
        .relation(EdgeRelation::new("backs", backs, ["guild", "trader"]))
        .layer(HeteroConv::new(SageConv::new(6)))
        .layer(Activation::Tanh)
        .layer(HgtConv::new(4, 2))
        .layer(Linear::new(1))
        .writes::<Deal>()
        .learns::<Plan>(Loss::MeanSquaredError, Optimizer::adam(0.02))
}

fn graphs(world: &mut World) -> [Entity; 4] {
    let knows = Graph::of::<Trader, Knows>(world);
    let owns = Graph::relation::<Trader, Owns, Ware>(world);
    [knows, owns, Graph::reversed(world, owns).unwrap(), Graph::relation::<Guild, Backs, Trader>(world)]
}

impl Market {
    fn empty(lessons: impl FnOnce(LessonBuilder) -> LessonBuilder) -> Self {
        let mut world = World::new();
        world.insert_resource(Workers::single());
        let graphs = graphs(&mut world);
        let builder = LessonBuilder::new(brain(graphs)).every(7).arrives_after(4).steps(3);
        let model = world.spawn_lesson(lessons(builder)).unwrap();
        Self { world, graphs, model }
    }

    fn new(lessons: impl FnOnce(LessonBuilder) -> LessonBuilder) -> Self {
        let mut market = Self::empty(lessons);
        market.settle();
        market
    }

    fn settle(&mut self) {
        (0..16).for_each(|number| self.spawn_trader(number));
        (0..9).for_each(|number| self.spawn_ware(100 + number));
        (0..4).for_each(|number| _ = self.world.spawn((Guild(draw(5, number)), GraphKey::new(number))));
        (0..40).for_each(|number| self.connect(number));
    }

    fn spawn_trader(&mut self, number: u64) {
        let trader = Trader(draw(1, number).map(|number: f32| 2.0 * number - 1.0));
        self.world.spawn((trader, Plan::default(), Deal::default(), Split::Train, GraphKey::new(number)));
    }

    fn spawn_ware(&mut self, number: u64) {
        self.world.spawn((Ware(draw(2, number)), GraphKey::new(number)));
    }

    fn sorted<T: Component>(&mut self) -> Vec<Entity> {
        let mut query = self.world.query_filtered::<(Entity, &GraphKey), With<T>>();
        let mut found: Vec<(GraphKey, Entity)> = query.iter(&self.world).map(|(entity, key)| (*key, entity)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, entity)| entity).collect()
    }

    /// An edge of each relation; some are parallel.
    fn connect(&mut self, number: u64) {
        let (traders, wares, guilds) = (self.sorted::<Trader>(), self.sorted::<Ware>(), self.sorted::<Guild>());
        let [one, other, ware, share, guild] = draw(3, number);
        let at = |place: f32, of: &[Entity]| of[(place * of.len() as f32) as usize];
        let key = GraphKey::new(number);
        self.world.spawn((Edge { source: at(one, &traders), target: at(other, &traders) }, Knows, key));
        self.world.spawn((Edge { source: at(guild, &guilds), target: at(one, &traders) }, Backs, key));
        let edge = Edge { source: at(other, &traders), target: at(ware, &wares) };
        self.world.spawn((edge, Owns, Share([share]), key));
    }

    fn live(&mut self, frame: u64) {
        let [birth, death, who, edge] = draw(4, frame);
        if birth < 0.3 {
            self.spawn_trader(1000 + frame);
            self.spawn_ware(2000 + frame);
        }
        if death < 0.2 {
            let wares = self.sorted::<Ware>();
            self.world.despawn(wares[(who * wares.len() as f32) as usize]);
        }
        if edge < 0.6 {
            self.connect(3000 + frame);
        }
        for (mut trader, mut plan, deal) in
            self.world.query::<(&mut Trader, &mut Plan, &Deal)>().iter_mut(&mut self.world)
        {
            trader.0[0] = 0.9 * trader.0[0] + 0.1 * deal.0[0];
            plan.0 = [trader.0[1] - 0.5 * trader.0[0]];
        }
    }

    fn frame(&mut self, frame: u64) {
        self.live(frame);
        self.world.run_lesson(self.model).unwrap();
        self.world.infer(self.model).unwrap();
    }

    fn bits(&mut self) -> Vec<u32> {
        let traders = self.sorted::<Trader>();
        let deals = traders.into_iter().map(|trader| self.world.get::<Deal>(trader).unwrap().0[0]);
        let deals: Vec<f32> = deals.collect();
        weights(&self.world, self.model).into_iter().chain(deals).map(f32::to_bits).collect()
    }

    fn play(&mut self, frames: u64) -> Vec<Vec<u32>> {
        (0..frames)
            .map(|frame| {
                self.frame(frame);
                self.bits()
            })
            .collect()
    }

    fn snapshot(&self) -> Snapshot {
        // The reverse of a relation has the entities of the relation.
        Snapshot::new(self.graphs[0])
            .graph(self.graphs[1])
            .graph(self.graphs[3])
            .model(self.model)
            .with_saved::<Trader>()
            .with_saved::<Ware>()
            .with_saved::<Guild>()
            .with_saved::<Plan>()
            .with_saved::<Deal>()
            .with_saved::<Share>()
            .with_saved::<Owns>()
            .with_saved::<Knows>()
            .with_saved::<Backs>()
    }
}

const FRAMES: u64 = 40;

#[test]
fn lessons_of_kinds_are_those_of_a_plain_loop() {
    let mut market = Market::new(|lessons| lessons.every(1).arrives_after(1).steps(2));
    let mut plain = World::new();
    plain.insert_resource(Workers::single());
    let graphs = graphs(&mut plain);
    let model = plain.spawn_model(brain(graphs)).unwrap();
    let mut by_hand = Market { world: plain, graphs, model };
    by_hand.settle();
    for frame in 0..6 {
        // The weights of the last frame's lesson arrive, and the next one begins with them.
        market.world.run_lesson(market.model).unwrap();
        assert!(weights(&market.world, market.model) == weights(&by_hand.world, model), "frame {frame}");
        (0..2).for_each(|_| by_hand.world.train(model).unwrap());
    }
    let of_lessons = market.world.get::<LessonProgress>(market.model).unwrap().loss;
    assert!(of_lessons > 0.0 && of_lessons < 2.0);
    assert!(by_hand.world.get::<Metrics>(model).unwrap().of(Split::Train).loss() > 0.0);
}

#[test]
fn lessons_of_kinds_have_the_same_bits_wherever_they_are_computed() {
    let expected = Market::new(|lessons| lessons).play(FRAMES);
    assert_ne!(expected[10], expected[30], "it learns");
    for workers in [0, 2, 3] {
        assert!(Market::new(|lessons| lessons.workers(workers)).play(FRAMES) == expected, "with {workers} workers");
    }
    for budget in [Duration::from_nanos(1), Duration::from_micros(50)] {
        assert!(Market::new(|lessons| lessons.slices(budget)).play(FRAMES) == expected, "in slices of {budget:?}");
    }
}

#[test]
fn markets_that_are_rolled_back_or_loaded_go_on_with_the_same_bits() {
    let expected = Market::new(|lessons| lessons).play(FRAMES);
    let mut market = Market::new(|lessons| lessons);
    let mut ring = SnapshotRing::new(market.snapshot(), 16);
    let (mut frame, mut draws, mut rollbacks) = (0, 0, 0);
    while frame < FRAMES {
        market.frame(frame);
        assert!(market.bits() == expected[frame as usize], "frame {frame} after {rollbacks} rollbacks");
        ring.take(&market.world, frame).unwrap();
        frame += 1;
        draws += 1;
        let [chance, depth] = draw(9, draws);
        let back = frame.saturating_sub(1 + (depth * 15.0) as u64);
        if chance < 0.2 && rollbacks < 20 && ring.get(back).is_some() {
            ring.restore(&mut market.world, back).unwrap();
            assert!(market.bits() == expected[back as usize], "restored frame {back}");
            frame = back + 1;
            rollbacks += 1;
        }
    }
    assert!(rollbacks > 3, "{rollbacks}");

    for saved in [9, 13] {
        let mut market = Market::new(|lessons| lessons);
        (0..saved).for_each(|frame| market.frame(frame));
        let mut snapshot = market.snapshot();
        snapshot.take(&market.world).unwrap();
        let bytes = snapshot.to_bytes().unwrap();
        let mut other = Market::empty(|lessons| lessons.slices(Duration::from_millis(1)));
        let mut loaded = other.snapshot();
        loaded.load(&other.world, &bytes).unwrap();
        loaded.restore(&mut other.world).unwrap();
        for frame in saved..FRAMES {
            market.frame(frame);
            other.frame(frame);
            let learned = [&market, &other].map(|market| weights(&market.world, market.model));
            assert!(learned[0] == learned[1], "weights of frame {frame} of the market saved at {saved}");
            assert!(market.bits() == other.bits(), "deals of frame {frame} of the market saved at {saved}");
        }
    }
}

#[test]
fn lessons_of_kinds_take_whole_worlds_alone() {
    let mut world = World::new();
    let graphs = graphs(&mut world);
    let lessons = LessonBuilder::new(brain(graphs)).sample_neighbors(4, &[3]);
    let error = world.spawn_lesson(lessons).unwrap_err().to_string();
    assert!(error.contains("has relations, so that batches are whole"), "{error}");
    // Of an empty world nothing can be learned, which is said, and the world goes on.
    let model = world.spawn_lesson(LessonBuilder::new(brain(graphs)).every(1).arrives_after(1)).unwrap();
    world.run_lesson(model).unwrap();
    let error = world.run_lesson(model).unwrap_err().to_string();
    assert!(error.contains("rows"), "{error}");
}
