//! A market of three kinds: buyers, goods and sellers. A network reads all of them, along relations between them, and learns
//! beside the frame what each buyer will bid.
//!
//! A buyer bids for the goods that it sees, by its taste and their quality; less if the buyers whom it knows have much money,
//! more if the sellers of these goods are honest. So a bid depends on nodes of three kinds, two relations away.
//!
//!     cargo run --release --example market
//!     cargo run --release --example market -- --soak --buyers 100 --frames 1000000
//!
//! `--soak` runs as fast as it can with everything on: in each frame a buyer is replaced and some look elsewhere; snapshots of
//! the last frames are kept, and some frames are played again; every thousand frames another model of the same world is
//! replaced by a wider one or back, as when its file is edited.
#![forbid(unsafe_code)]

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{
    components::{Adjacency, GraphKey, register_default},
    prelude::*,
    systems::{
        random::Philox,
        snapshot::{Snapshot, SnapshotRing},
    },
};
use std::{fs, time::Instant};

/// Money, and how much quality and looks count.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Buyer([f32; 3]);

/// Quality and looks.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Goods([f32; 2]);

/// Honesty.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Seller(f32);

/// What a buyer bids, and what the network says that it will.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Bid(f32);

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Guess(f32);

#[derive(Component)]
struct Knows;

#[derive(Component)]
struct Sees;

#[derive(Component)]
struct Sells;

/// How many goods a buyer sees, and buyers it knows.
const SEEN: usize = 4;

struct Market {
    world: World,
    knows: Entity,
    sees: Entity,
    sells: Entity,
    /// Learns beside the frame.
    model: Entity,
    /// Reads the same, and is replaced now and then.
    other: Entity,
    born: u64,
}

/// Random numbers of a frame, or of a node that is spawned.
fn draw<const N: usize>(purpose: u32, number: u64) -> [f32; N] {
    let mut numbers = [0.0; N];
    Philox::new(8, purpose, number).fill_uniform(&mut numbers);
    numbers
}

/// One of several entities.
fn one(entities: &[Entity], draw: f32) -> Entity {
    entities[(draw * entities.len() as f32) as usize % entities.len()]
}

/// A network that reads the three kinds along the relations `knows`, `sees` and `sells`.
fn network([knows, sees, sells]: [Entity; 3], width: usize) -> ModelBuilder {
    ModelBuilder::new(knows)
        .kind_name("buyer")
        .reads::<Buyer>()
        .kind(NodeKind::new("goods").reads::<Goods>())
        .kind(NodeKind::new("seller").reads::<Seller>())
        .relation(EdgeRelation::new("knows", knows, ["buyer", "buyer"]))
        .relation(EdgeRelation::new("seen_by", sees, ["goods", "buyer"]))
        .relation(EdgeRelation::new("sells", sells, ["seller", "goods"]))
        .layer(HeteroConv::new(SageConv::new(width)))
        .layer(Activation::Tanh)
        .layer(HeteroConv::new(SageConv::new(width)))
        .layer(Activation::Tanh)
        .layer(Linear::new(1))
}

impl Market {
    fn new(buyers: usize) -> Result<Self> {
        let mut world = World::new();
        world.insert_resource(Workers::new(1)?);
        // A buyer who was replaced is spawned again when a frame is restored.
        register_default::<Buyer>(&mut world);
        let knows = Graph::of::<Buyer, Knows>(&mut world);
        // An edge leads from a buyer to the goods that it sees: messages go back.
        let sight = Graph::relation::<Buyer, Sees, Goods>(&mut world);
        let sees = Graph::reversed(&mut world, sight).ok_or("the relation is gone")?;
        let sells = Graph::relation::<Seller, Sells, Goods>(&mut world);
        let graphs = [knows, sees, sells];
        let learned =
            network(graphs, 24).writes::<Guess>().learns::<Bid>(Loss::MeanSquaredError, Optimizer::adam(0.01));
        let model = world.spawn_lesson(LessonBuilder::new(learned).every(10).steps(4))?;
        let other = world.spawn_model(network(graphs, 8).name("other"))?;
        let mut market = Self { world, knows, sees, sells, model, other, born: 0 };
        market.settle(buyers.max(4))?;
        Ok(market)
    }

    fn settle(&mut self, buyers: usize) -> Result {
        let world = &mut self.world;
        let sellers: Vec<Entity> = (0..buyers as u64 / 4)
            .map(|number| world.spawn((Seller(draw::<1>(1, number)[0]), GraphKey::new(number))).id())
            .collect();
        let goods: Vec<Entity> = (0..buyers as u64 / 2)
            .map(|number| {
                let [quality, looks, seller] = draw(2, number);
                let goods = world.spawn((Goods([quality, looks]), GraphKey::new(number))).id();
                world.spawn((Edge { source: one(&sellers, seller), target: goods }, Sells));
                goods
            })
            .collect();
        let buyers: Vec<Entity> = (0..buyers).map(|_| self.spawn()).collect();
        for (number, buyer) in (0..).zip(&buyers) {
            for draws in draw::<{ 2 * SEEN }>(3, number).chunks_exact(2) {
                self.world.spawn((Edge { source: *buyer, target: one(&goods, draws[0]) }, Sees));
                self.world.spawn((Edge { source: one(&buyers, draws[1]), target: *buyer }, Knows));
            }
        }
        self.world.infer(self.model)?;
        Ok(())
    }

    fn spawn(&mut self) -> Entity {
        self.born += 1;
        let buyer = Buyer(draw(0, self.born));
        self.world.spawn((buyer, Bid::default(), Guess::default(), Split::Train, GraphKey::new(self.born))).id()
    }

    /// A buyer takes the place of another, and some look at other goods.
    fn live(&mut self, frame: u64) {
        let [Some(knows), Some(sees)] = [self.knows, self.sees].map(|graph| self.world.get::<Topology>(graph)) else {
            return;
        };
        let [who, others @ ..] = draw::<9>(4, frame);
        let (buyers, looks, goods) = (knows.nodes.entities(), sees.edges.entities(), sees.sources().0.entities());
        let old = one(buyers, who);
        let turned: Vec<[Entity; 2]> =
            others.chunks_exact(2).map(|draws| [one(looks, draws[0]), one(goods, draws[1])]).collect();
        let row = knows.nodes.row_of(&self.world, old).unwrap_or(0);
        let edges = |topology: &Topology, adjacency: &Adjacency| -> Vec<Entity> {
            adjacency.of(row).1.iter().map(|edge| topology.edges.entities()[*edge as usize]).collect()
        };
        let touched =
            [edges(knows, &knows.incoming), edges(knows, &knows.outgoing), edges(sees, &sees.incoming)].concat();
        for [edge, target] in turned {
            if let Some(mut edge) = self.world.get_mut::<Edge>(edge) {
                edge.target = target;
            }
        }
        let new = self.spawn();
        for edge in touched {
            if let Some(mut edge) = self.world.get_mut::<Edge>(edge) {
                let place = |end: Entity| if end == old { new } else { end };
                *edge = Edge { source: place(edge.source), target: place(edge.target) };
            }
        }
        self.world.despawn(old);
    }

    /// What each buyer bids.
    fn bid(&mut self) {
        let of = |graph| self.world.get::<Topology>(graph);
        let (Some(knows), Some(sees), Some(sells)) = (of(self.knows), of(self.sees), of(self.sells)) else { return };
        let goods = sees.sources().0.entities();
        let mean = |values: &mut dyn ExactSizeIterator<Item = f32>| {
            let count = values.len().max(1) as f32;
            values.sum::<f32>() / count
        };
        let bids: Vec<(Entity, f32)> = (0..)
            .zip(knows.nodes.entities())
            .filter_map(|(row, buyer)| {
                let Buyer([money, quality, looks]) = *self.world.get(*buyer)?;
                let worth = |goods_row: &u32| {
                    let Some(Goods(own)) = self.world.get(goods[*goods_row as usize]) else { return 0.0 };
                    let sellers = sells.incoming.of(*goods_row as usize).0.iter();
                    let honesty = mean(&mut sellers.map(|seller| {
                        let seller = sells.sources().0.entities()[*seller as usize];
                        self.world.get::<Seller>(seller).map_or(0.0, |seller| seller.0)
                    }));
                    quality * own[0] + looks * own[1] + honesty
                };
                let rivals = mean(&mut knows.incoming.of(row).0.iter().map(|rival| {
                    let rival = knows.nodes.entities()[*rival as usize];
                    self.world.get::<Buyer>(rival).map_or(0.0, |rival| rival.0[0])
                }));
                Some((*buyer, money * mean(&mut sees.incoming.of(row).0.iter().map(worth)) - 0.5 * rivals))
            })
            .collect();
        for (buyer, bid) in bids {
            if let Some(mut known) = self.world.get_mut::<Bid>(buyer) {
                known.0 = bid;
            }
        }
    }

    fn frame(&mut self, frame: u64) -> Result {
        self.live(frame);
        self.world.infer(self.model)?;
        self.world.infer(self.other)?;
        self.bid();
        self.world.run_lesson(self.model)?;
        self.world.clear_trackers();
        Ok(())
    }

    /// Replaces the other model by one of another width.
    fn reload(&mut self, number: u64) -> Result {
        let width = if number.is_multiple_of(2) { 8 } else { 12 };
        let builder = network([self.knows, self.sees, self.sells], width).name("other");
        self.other = self.world.replace_model(self.other, builder)?;
        Ok(())
    }

    fn progress(&self) -> LessonProgress {
        self.world.get(self.model).cloned().unwrap_or_default()
    }

    /// The mean square of what the network is wrong by, and of the bids around their mean.
    fn error(&mut self) -> [f32; 2] {
        let rows: Vec<[f32; 2]> =
            self.world.query::<(&Bid, &Guess)>().iter(&self.world).map(|(bid, guess)| [bid.0, guess.0]).collect();
        let count = rows.len().max(1) as f32;
        let mean = rows.iter().map(|[bid, _]| bid).sum::<f32>() / count;
        let error = rows.iter().map(|[bid, guess]| (bid - guess).powi(2)).sum::<f32>() / count;
        [error, rows.iter().map(|[bid, _]| (bid - mean).powi(2)).sum::<f32>() / count]
    }
}

fn soak(buyers: usize, frames: u64) -> Result {
    let mut market = Market::new(buyers)?;
    let snapshot = Snapshot::new(market.knows)
        .graph(market.sees)
        .graph(market.sells)
        .model(market.model)
        .with::<Bid>()
        .with::<Guess>();
    let mut ring = SnapshotRing::new(snapshot, 8);
    println!("    frame       p50       p99    memory   lessons      loss");
    let (mut times, mut frame) = (Vec::new(), 0);
    for count in 1..=frames {
        let start = Instant::now();
        market.frame(frame)?;
        ring.take(&market.world, frame)?;
        frame += 1;
        if count % 100 == 0 && frame > 5 {
            frame -= 4;
            ring.restore(&mut market.world, frame - 1)?;
        }
        if count % 1000 == 0 {
            market.reload(count / 1000)?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if count % (frames / 10).max(1) == 0 {
            times.sort_unstable_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            let LessonProgress { arrived, loss, .. } = market.progress();
            println!(
                "{count:>9} {:>6.3} ms {:>6.3} ms {:>5.0} MiB {arrived:>9} {loss:>9.4}",
                at(0.5),
                at(0.99),
                memory()
            );
            times.clear();
        }
    }
    Ok(())
}

/// The memory of this process in MiB, as Linux reports it.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| match arguments.iter().position(|given| given == name) {
        Some(place) => {
            arguments.get(place + 1).and_then(|value| value.parse().ok()).ok_or(format!("{name} needs a number"))
        }
        None => Ok(default),
    };
    let (buyers, frames) = (number("--buyers", 400)? as usize, number("--frames", 3000)?.max(10));
    if arguments.iter().any(|given| given == "--soak") {
        return soak(buyers, frames);
    }
    let mut market = Market::new(buyers)?;
    println!("{buyers} buyers, {} goods, {} sellers", buyers / 2, buyers / 4);
    for frame in 0..=frames {
        market.frame(frame)?;
        if frame % (frames / 6).max(1) == 0 {
            let ([error, variance], LessonProgress { arrived, .. }) = (market.error(), market.progress());
            println!(
                "frame {frame:>5}: {arrived:>4} lessons; the error is {:>5.1} % of the variance of bids",
                100.0 * error / variance
            );
        }
    }
    Ok(())
}
