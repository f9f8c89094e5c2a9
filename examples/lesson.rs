//! Agents learn beside a loop of 60 frames a second: what a frame costs alone, and with lessons beside it.
//!
//! Each of 10,000 agents sees eight others, which change, and one of them is replaced in every frame. A network of two
//! layers steers all of them; it learns to fly as those fly whom it sees.
//!
//!     cargo run --release --example lesson -- --frames 10000
//!     cargo run --release --example lesson -- --frames 10000 --slices 1      # in slices of 1 ms, without a thread
//!     cargo run --release --example lesson -- --soak --agents 100 --frames 1000000
//!
//! `--soak` runs as fast as it can, keeps snapshots of the last frames and goes back to one of them now and then. Other
//! options: `--workers` of the world, `--threads` of a lesson, `--every` and `--steps` of lessons. The last line has a
//! checksum of the weights, which is the same however lessons are computed.
#![forbid(unsafe_code)]

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{
    components::{GraphKey, Parameter, register_default},
    prelude::*,
    systems::{
        random::Philox,
        snapshot::{Snapshot, SnapshotRing},
    },
};
use glam::{Vec2, vec2};
use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// How many others an agent sees.
const SEEN: usize = 8;

/// Where an agent is, and whither it flies.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Body {
    position: Vec2,
    velocity: Vec2,
}

/// How it should turn.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Wish(Vec2);

/// How it turns.
#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Steering(Vec2);

struct Options {
    agents: usize,
    frames: u64,
    workers: usize,
    threads: usize,
    every: u32,
    steps: u32,
    slices: Option<Duration>,
    soaks: bool,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut given = HashMap::new();
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = if name == "--soak" { String::new() } else { arguments.next().unwrap_or_default() };
            given.insert(name, value);
        }
        let mut number = |name: &str, default: u64| match given.remove(name) {
            Some(value) => value.parse::<u64>().map_err(|_| format!("{name} needs a whole number, not `{value}`")),
            None => Ok(default),
        };
        let options = Self {
            agents: number("--agents", 10_000)?.clamp(2, 10_000_000) as usize,
            frames: number("--frames", 300)?.max(10),
            workers: number("--workers", 1)? as usize,
            threads: number("--threads", 1)? as usize,
            every: number("--every", 30)? as u32,
            steps: number("--steps", 1)? as u32,
            slices: given
                .remove("--slices")
                .map(|value| value.parse().map(|ms: f64| ms / 1e3))
                .transpose()?
                .map(Duration::try_from_secs_f64)
                .transpose()?,
            soaks: given.remove("--soak").is_some(),
        };
        match given.keys().next() {
            Some(name) => Err(format!("there is no option `{name}`; see the head of examples/lesson.rs").into()),
            None => Ok(options),
        }
    }
}

/// Random numbers of a frame.
fn draw<const N: usize>(purpose: u32, frame: u64) -> [f32; N] {
    let mut numbers = [0.0; N];
    Philox::new(3, purpose, frame).fill_uniform(&mut numbers);
    numbers
}

struct Game {
    world: World,
    graph: Entity,
    model: Entity,
    body: Field,
    wish: Field,
    born: u64,
}

impl Game {
    fn new(options: &Options) -> Result<Self> {
        let mut world = World::new();
        world.insert_resource(Workers::new(options.workers)?);
        let nodes = register_default::<Body>(&mut world);
        let graph = Graph::of::<Body, Edge>(&mut world);
        let model = ModelBuilder::new(graph)
            .reads::<Body>()
            .layer(SageConv::new(32))
            .layer(Activation::Tanh)
            .layer(Linear::new(2))
            .writes::<Steering>()
            .learns::<Wish>(Loss::MeanSquaredError, Optimizer::adam(0.003));
        let lessons = LessonBuilder::new(model).every(options.every).steps(options.steps);
        let lessons = match options.slices {
            Some(budget) => lessons.slices(budget),
            None => lessons.workers(options.threads),
        };
        let model = world.spawn_lesson(lessons)?;
        let [body, wish] = [Field::from_f32s::<Body>(&mut world, nodes)?, Field::from_f32s::<Wish>(&mut world, nodes)?];
        let mut game = Self { world, graph, model, body, wish, born: 0 };
        let agents: Vec<Entity> = (0..options.agents).map(|_| game.spawn()).collect();
        for (number, target) in agents.iter().enumerate() {
            for seen in draw::<SEEN>(1, number as u64) {
                let source = agents[(seen * agents.len() as f32) as usize % agents.len()];
                game.world.spawn(Edge { source, target: *target });
            }
        }
        game.world.infer(game.model)?;
        Ok(game)
    }

    fn spawn(&mut self) -> Entity {
        let [x, y, turn] = draw(0, self.born);
        self.born += 1;
        let body = Body { position: vec2(x, y), velocity: Vec2::from_angle(std::f32::consts::TAU * turn) };
        self.world.spawn((body, Wish::default(), Steering::default(), Split::Train, GraphKey::new(self.born))).id()
    }

    /// What happens without a network.
    fn live(&mut self, frame: u64) -> Result {
        // One agent takes the place of another, and ten look elsewhere.
        let Some(topology) = self.world.get::<Topology>(self.graph) else { return Ok(()) };
        let entity = |rows: &[Entity], draw: f32| rows[(draw * rows.len() as f32) as usize % rows.len()];
        let [who, others @ ..] = draw::<21>(2, frame);
        let (agents, edges) = (topology.nodes.entities(), topology.edges.entities());
        let old = entity(agents, who);
        let row = topology.nodes.row_of(&self.world, old).unwrap_or(0);
        let rows = |(_, edges): (&[u32], &[u32])| edges.to_vec();
        let touched = [rows(topology.incoming.of(row)), rows(topology.outgoing.of(row))].concat();
        let touched: Vec<Entity> = touched.iter().map(|edge| edges[*edge as usize]).collect();
        let turned: Vec<(Entity, Entity)> = others
            .chunks_exact(2)
            .map(|draws| (entity(edges, draws[0]), entity(agents, draws[1])))
            .filter(|(_, source)| *source != old)
            .collect();
        let new = self.spawn();
        for edge in touched {
            if let Some(mut edge) = self.world.get_mut::<Edge>(edge) {
                let place = |end: Entity| if end == old { new } else { end };
                *edge = Edge { source: place(edge.source), target: place(edge.target) };
            }
        }
        for (edge, source) in turned {
            if let Some(mut edge) = self.world.get_mut::<Edge>(edge) {
                edge.source = source;
            }
        }
        self.world.despawn(old);
        for (mut body, steering) in self.world.query::<(&mut Body, &Steering)>().iter_mut(&mut self.world) {
            body.velocity = (body.velocity + 0.2 * steering.0).clamp_length(0.2, 1.0);
            body.position = (body.position + 0.01 * body.velocity).rem_euclid(Vec2::ONE);
        }
        Ok(())
    }

    /// Each wishes to fly as those fly whom it sees.
    fn teach(&mut self) {
        let Some(topology) = self.world.get::<Topology>(self.graph) else { return };
        let bodies = self.body.matrix(&self.world);
        if bodies.row_count() != topology.nodes.len() {
            return;
        }
        let velocity = |row: usize| vec2(bodies.row(row)[2], bodies.row(row)[3]);
        let wish = |row: usize| {
            let (sources, _) = topology.incoming.of(row);
            let sum: Vec2 = sources.iter().map(|source| velocity(*source as usize)).sum();
            sum / sources.len().max(1) as f32 - velocity(row)
        };
        let wishes: Vec<Vec2> = (0..topology.nodes.len()).map(wish).collect();
        for (row, wish) in self.wish.matrix_mut(&mut self.world).rows_mut().zip(wishes) {
            row.copy_from_slice(wish.as_ref());
        }
    }

    /// A frame, with lessons or without.
    fn frame(&mut self, frame: u64, learns: bool) -> Result {
        self.live(frame)?;
        self.world.infer(self.model)?;
        self.teach();
        if learns {
            self.world.run_lesson(self.model)?;
        }
        self.world.clear_trackers();
        Ok(())
    }

    fn progress(&self) -> LessonProgress {
        self.world.get(self.model).cloned().unwrap_or_default()
    }

    /// A number that depends on each bit of the weights.
    fn checksum(&self) -> u64 {
        let parameters = self.world.get::<Model>(self.model).map_or(&[][..], |model| &model.parameters);
        let mut sum = 0_u64;
        for parameter in parameters.iter().filter_map(|parameter| self.world.get::<Parameter>(*parameter)) {
            for value in parameter.value.matrix(&self.world).rows().flatten() {
                sum = (sum.rotate_left(7) ^ u64::from(value.to_bits())).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            }
        }
        sum
    }
}

/// Milliseconds that are exceeded by none, by a hundredth and by half of some durations.
struct Times {
    median: f64,
    hundredth: f64,
    worst: f64,
}

impl Times {
    fn of(times: &mut [f64]) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len() - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        Self { median: at(0.5), hundredth: at(0.99), worst: at(1.0) }
    }
}

/// The memory of this process in MiB, as Linux reports it.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// A loop of 60 frames a second: the times of all frames, and of those at which lessons begin.
fn measure(options: &Options, learns: bool) -> Result<([Times; 2], Game)> {
    const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);
    let mut game = Game::new(options)?;
    let mut times = Vec::new();
    let mut next = Instant::now();
    for frame in 0..options.frames {
        let start = Instant::now();
        game.frame(frame, learns)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        next = (next + FRAME).max(Instant::now());
        std::thread::sleep(next - Instant::now());
    }
    let mut begins: Vec<f64> = times.iter().step_by(options.every as usize).copied().collect();
    Ok(([Times::of(&mut times), Times::of(&mut begins)], game))
}

fn compare(options: &Options) -> Result {
    println!("{} agents, {} frames            p50       p99     worst", options.agents, options.frames);
    let row = |what: &str, times: &Times| {
        println!("{what:<30} {:>6.2} ms {:>6.2} ms {:>6.2} ms", times.median, times.hundredth, times.worst);
    };
    let ([alone, _], _) = measure(options, false)?;
    row("alone", &alone);
    let ([beside, begins], game) = measure(options, true)?;
    row("beside lessons", &beside);
    row("  frames at which one begins", &begins);
    println!("p99 grows by {:.2} ms", beside.hundredth - alone.hundredth);
    report(&game);
    Ok(())
}

fn report(game: &Game) {
    let LessonProgress { arrived, discarded, steps, loss, waited, longest_wait, .. } = game.progress();
    println!("{arrived} lessons of {steps} steps arrived, {discarded} were discarded; loss {loss:.4}");
    println!(
        "waited for {:.1} ms, at most {:.1} ms at once",
        waited.as_secs_f64() * 1e3,
        longest_wait.as_secs_f64() * 1e3
    );
    println!("weights {:016x}", game.checksum());
}

/// As many frames as fast as possible, with snapshots and rollbacks.
fn soak(options: &Options) -> Result {
    let mut game = Game::new(options)?;
    let snapshot = Snapshot::new(game.graph).model(game.model).with::<Wish>().with::<Steering>();
    let mut ring = SnapshotRing::new(snapshot, 8);
    println!("    frame       p50       p99     worst    memory   lessons      loss");
    let (mut times, tenth) = (Vec::new(), options.frames / 10);
    let mut frame = 0;
    for count in 1..=options.frames {
        let start = Instant::now();
        game.frame(frame, true)?;
        ring.take(&game.world, frame)?;
        frame += 1;
        // Now and then some frames are taken back and played again.
        if count % 100 == 0 && frame > 5 {
            frame -= 4;
            ring.restore(&mut game.world, frame - 1)?;
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if count % tenth == 0 {
            let Times { median, hundredth, worst } = Times::of(&mut times);
            let LessonProgress { arrived, loss, .. } = game.progress();
            let memory = memory();
            println!(
                "{count:>9} {median:>6.3} ms {hundredth:>6.3} ms {worst:>6.2} ms {memory:>5.0} MiB {arrived:>9} {loss:>9.4}"
            );
            times.clear();
        }
    }
    report(&game);
    Ok(())
}

fn main() -> Result {
    let options = Options::parse()?;
    if options.soaks { soak(&options) } else { compare(&options) }
}
