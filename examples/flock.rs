//! A flock that learns to fly.
//!
//! Three hundred agents live in a world whose opposite sides meet. Each sees its six nearest neighbours by six `Edge`
//! entities, which turn to others as the agents move; some agents leave and others come. A small graph neural network
//! steers everyone from the first tick on. While it takes lessons, the world labels each agent with the heading that
//! the boids of Reynolds (1987) would take, and every tick is a training step. Then the agents are scattered once more,
//! the teacher is not heard any longer, and the network flies alone.
//!
//! Run it with `cargo run --example flock`.

use bevy_ecs::{prelude::*, schedule::ScheduleLabel, system::ParamBuilder};
use connectome::{prelude::*, systems::random::Random};
use glam::Vec2;
use std::{f32::consts::TAU, time::Instant};

const AGENTS: usize = 300;
/// How many neighbours an agent sees.
const SEEN: usize = 6;
/// The world is a square of this side: who flies out on the right comes in on the left.
const SIDE: f32 = 60.0;
const SPEED: f32 = 0.5;
/// The network chooses among so many headings.
const HEADINGS: usize = 8;

#[derive(Component, Clone, Copy)]
pub(crate) struct Position(pub(crate) Vec2);

#[derive(Component, Clone, Copy)]
struct Velocity(Vec2);

/// The edges along which an agent hears from those it sees.
#[derive(Component)]
struct Sight([Entity; SEEN]);

/// What an agent notices of those it sees.
#[derive(Component, Default)]
struct Surroundings {
    /// Their mean velocity.
    drift: Vec2,
    /// From the agent to the middle of them.
    middle: Vec2,
    /// Away from those that are too close.
    escape: Vec2,
}

/// How many of the network's choices the teacher would have made.
#[derive(Resource, Default)]
struct Agreement {
    same: usize,
    all: usize,
}

/// The shortest way from one place to another.
fn way(from: Vec2, to: Vec2) -> Vec2 {
    let way = to - from;
    way - SIDE * (way / SIDE).round()
}

fn heading(number: usize) -> Vec2 {
    Vec2::from_angle(TAU * number as f32 / HEADINGS as f32)
}

fn nearest_heading(direction: Vec2) -> usize {
    (direction.to_angle() / TAU * HEADINGS as f32).round().rem_euclid(HEADINGS as f32) as usize
}

/// Three random numbers from 0 to 1, the same ones for the same purpose in the same tick.
fn draw(purpose: u32, tick: u64) -> [f32; 3] {
    let mut numbers = [0.0; 3];
    Random::new(7, purpose, tick).fill_uniform(&mut numbers);
    numbers
}

/// The agents in each cell of the world.
struct Grid(Vec<Vec<(Entity, Vec2)>>);

impl Grid {
    const CELLS: i32 = 13;

    fn new(agents: impl Iterator<Item = (Entity, Vec2)>) -> Self {
        let mut cells = vec![Vec::new(); (Self::CELLS * Self::CELLS) as usize];
        agents.for_each(|(agent, position)| cells[Self::cell(position, 0, 0)].push((agent, position)));
        Self(cells)
    }

    /// The cell so many columns and rows away from a position.
    fn cell(position: Vec2, columns: i32, rows: i32) -> usize {
        let place = (position * (Self::CELLS as f32 / SIDE)).as_ivec2() + glam::IVec2::new(columns, rows);
        (place.y.rem_euclid(Self::CELLS) * Self::CELLS + place.x.rem_euclid(Self::CELLS)) as usize
    }

    /// The nearest others. Looks farther and farther, until nobody who was left out can be nearer.
    fn nearest(&self, agent: Entity, position: Vec2) -> Vec<Entity> {
        let mut found = Vec::new();
        for reach in 1..=Self::CELLS / 2 {
            let cells = (-reach..=reach).flat_map(|row| (-reach..=reach).map(move |column| (column, row)));
            let others = cells.flat_map(|(column, row)| &self.0[Self::cell(position, column, row)]);
            found = others.map(|(other, at)| (way(position, *at).length(), *other)).collect();
            found.retain(|(_, other)| *other != agent);
            found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            found.truncate(SEEN);
            if found.get(SEEN - 1).is_some_and(|(distance, _)| *distance < reach as f32 * SIDE / Self::CELLS as f32) {
                break;
            }
        }
        found.into_iter().map(|(_, other)| other).collect()
    }
}

/// An edge whose source has been lost from sight turns to an agent that has come into sight. The others are not touched.
fn watch(agents: Query<(Entity, &Position, &Sight)>, mut edges: Query<&mut Edge>) -> Result {
    let grid = Grid::new(agents.iter().map(|(agent, position, _)| (agent, position.0)));
    for (agent, position, sight) in &agents {
        let nearest = grid.nearest(agent, position.0);
        let sources: Vec<Entity> = edges.iter_many(sight.0).flatten().map(|edge| edge.source).collect();
        let lost = sight.0.iter().zip(&sources).filter(|(_, source)| !nearest.contains(source));
        let new = nearest.iter().filter(|other| !sources.contains(other));
        for ((edge, _), other) in lost.zip(new) {
            edges.get_mut(*edge)?.source = *other;
        }
    }
    Ok(())
}

fn look_around(
    mut agents: Query<(&Position, &Sight, &mut Surroundings)>,
    others: Query<(&Position, &Velocity)>,
    edges: Query<&Edge>,
) {
    for (position, sight, mut surroundings) in &mut agents {
        *surroundings = Surroundings::default();
        let sources = edges.iter_many(sight.0).flatten().map(|edge| edge.source);
        for (other, velocity) in others.iter_many(sources).flatten() {
            let way = way(position.0, other.0);
            surroundings.drift += velocity.0 / SEEN as f32;
            surroundings.middle += way / SEEN as f32;
            surroundings.escape -= way / way.length_squared().max(0.1);
        }
    }
}

/// The teacher's choice: align with the others, stay with them, keep a distance.
fn teach(mut agents: Query<(&Surroundings, &mut Label)>) {
    for (Surroundings { drift, middle, escape }, mut label) in &mut agents {
        label.0 = nearest_heading(*drift / SPEED + 0.4 * *middle + 0.3 * *escape) as u32;
    }
}

/// The user's components become the network's input. The others' velocities reach an agent through the graph alone.
fn observe(graph: Single<&Topology>, agents: Query<(&Velocity, &Surroundings)>, mut input: ColumnMut) -> Result {
    for (row, agent) in input.matrix().rows_mut().zip(graph.nodes.entities()) {
        let (velocity, Surroundings { middle, escape, .. }) = agents.get(*agent)?;
        for (numbers, vector) in row.chunks_exact_mut(2).zip([velocity.0 / SPEED, *middle / 5.0, *escape / 2.0]) {
            numbers.copy_from_slice(vector.as_ref());
        }
    }
    Ok(())
}

/// The network's output becomes an acceleration: towards the headings, each by the odds that the network gives it.
fn steer(
    graph: Single<&Topology>,
    output: Column,
    mut agents: Query<(&mut Position, &mut Velocity, &Label)>,
    mut agreement: ResMut<Agreement>,
) -> Result {
    for (row, agent) in output.matrix().rows().zip(graph.nodes.entities()) {
        let (mut position, mut velocity, label) = agents.get_mut(*agent)?;
        let best = (0..HEADINGS).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
        agreement.same += usize::from(best == label.0 as usize);
        agreement.all += 1;
        let odds = row.iter().map(|logit| (logit - row[best]).exp());
        let wish: Vec2 = odds.enumerate().map(|(number, odds)| odds * heading(number)).sum();
        let acceleration = 0.3 * SPEED * wish.normalize_or_zero();
        velocity.0 = SPEED * (velocity.0 + acceleration).normalize_or(heading(best));
        position.0 = (position.0 + velocity.0).rem_euclid(Vec2::splat(SIDE));
    }
    Ok(())
}

/// How some ticks went.
pub(crate) struct Flight {
    /// The share of the network's choices that the teacher would have made.
    pub(crate) agreement: f32,
    /// The length of the mean heading at the end: 1 if all fly the same way, about 0 if each flies its own.
    pub(crate) order: f32,
    /// For each tick.
    microseconds: f32,
}

pub(crate) struct Flock {
    pub(crate) world: World,
    pub(crate) model: Entity,
    agents: Vec<Entity>,
    ticks: u64,
    pub(crate) born: usize,
    pub(crate) gone: usize,
}

impl Flock {
    pub(crate) fn new(workers: usize) -> Result<Self> {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers)?);
        world.init_resource::<Agreement>();
        let graph = Graph::of::<Position, Edge>(&mut world);
        let (betas, epsilon) = ((0.9, 0.999), 1e-8);
        let adam = Optimizer::Adam { learning_rate: 0.01, betas, epsilon, amsgrad: false, weight_decay: 0.0 };
        let model = ModelBuilder::new(graph)
            .input_width(6)
            .layer(GraphConv::new(32))
            .layer(Activation::Tanh)
            .layer(Linear::new(HEADINGS))
            .learn(adam, LearningRateSchedule::Constant)
            .build(&mut world)?;
        let Some(&Model { input: Signal::Dense { value: input, .. }, output, .. }) = world.get(model) else {
            return Err("the model has no dense input".into());
        };
        for schedule in [Train(model).intern(), Infer(model).intern()] {
            let observe = (ParamBuilder, ParamBuilder, input.write()).build_state(&mut world).build_system(observe);
            let parameters = (ParamBuilder, output.read(), ParamBuilder, ParamBuilder);
            let steer = parameters.build_state(&mut world).build_system(steer);
            add_systems(&mut world, schedule, (watch, look_around).chain().before(Phase::Prepare))?;
            add_systems(&mut world, schedule, (teach.in_set(Phase::Observe), observe.in_set(Phase::Observe)))?;
            add_systems(&mut world, schedule, steer.in_set(Phase::Act))?;
        }
        let mut flock = Self { world, model, agents: Vec::new(), ticks: 0, born: 0, gone: 0 };
        (0..AGENTS).for_each(|_| flock.spawn());
        Ok(flock)
    }

    fn anywhere(&self, number: usize) -> (Position, Velocity) {
        let [x, y, turn] = draw(number as u32, self.ticks);
        (Position(SIDE * Vec2::new(x, y)), Velocity(SPEED * Vec2::from_angle(TAU * turn)))
    }

    fn spawn(&mut self) {
        let agent = self.world.spawn((self.anywhere(self.born), Surroundings::default(), Label(0), Split::Train)).id();
        let edge = Edge { source: agent, target: agent };
        let sight = Sight([(); SEEN].map(|()| self.world.spawn(edge).id()));
        // The agent is an edge as well, its own: it hears itself as loudly as all the others together.
        self.world.entity_mut(agent).insert((sight, edge, EdgeWeight(SEEN as f32)));
        self.agents.push(agent);
        self.born += 1;
    }

    fn despawn(&mut self, number: usize) {
        let agent = self.agents.swap_remove(number);
        let edges = self.world.get::<Sight>(agent).map(|sight| sight.0);
        for entity in edges.into_iter().flatten().chain([agent]) {
            self.world.despawn(entity);
        }
        self.gone += 1;
    }

    pub(crate) fn scatter(&mut self) {
        for (number, agent) in self.agents.iter().enumerate() {
            let anywhere = self.anywhere(number);
            self.world.entity_mut(*agent).insert(anywhere);
        }
    }

    /// Some ticks: agents come and go, then the schedule runs.
    pub(crate) fn live(&mut self, schedule: impl ScheduleLabel, ticks: usize) -> Flight {
        let schedule = schedule.intern();
        let mut microseconds = 0.0;
        for _ in 0..ticks {
            self.ticks += 1;
            let [birth, death, who] = draw(u32::MAX, self.ticks);
            if birth < 0.2 {
                self.spawn();
            }
            if death < 0.2 {
                self.despawn((who * self.agents.len() as f32) as usize);
            }
            let start = Instant::now();
            run(&mut self.world, schedule);
            microseconds += start.elapsed().as_secs_f32() * 1e6 / ticks as f32;
        }
        let Agreement { same, all } = core::mem::take(&mut *self.world.resource_mut::<Agreement>());
        let sum: Vec2 = self.world.query::<&Velocity>().iter(&self.world).map(|velocity| velocity.0).sum();
        let order = sum.length() / SPEED / self.agents.len() as f32;
        Flight { agreement: same as f32 / all as f32, order, microseconds }
    }

    /// The world from above: where the agents are and whither they fly, with a double arrow for three or more together.
    fn map(&mut self) -> Vec<String> {
        let mut cells = [[(0, Vec2::ZERO); 48]; 24];
        for (position, velocity) in self.world.query::<(&Position, &Velocity)>().iter(&self.world) {
            let place = position.0 / SIDE * Vec2::new(48.0, 24.0);
            let cell = &mut cells[23 - (place.y as usize).min(23)][(place.x as usize).min(47)];
            *cell = (cell.0 + 1, cell.1 + velocity.0);
        }
        let arrow = |(agents, velocity): (usize, Vec2)| match agents {
            0 => ' ',
            1 | 2 => ['→', '↗', '↑', '↖', '←', '↙', '↓', '↘'][nearest_heading(velocity)],
            _ => ['⇒', '⇗', '⇑', '⇖', '⇐', '⇙', '⇓', '⇘'][nearest_heading(velocity)],
        };
        cells.map(|row| row.map(arrow).iter().collect()).into()
    }
}

fn main() -> Result {
    let mut flock = Flock::new(1)?;
    let (train, infer) = (Train(flock.model).intern(), Infer(flock.model).intern());
    println!("100 ticks each     agreement   order   agents   µs/tick");
    let fly = |flock: &mut Flock, what: &str, schedule| {
        let Flight { agreement, order, microseconds } = flock.live(schedule, 100);
        let agents = flock.agents.len();
        println!("{what:<17} {:>9.0} % {order:>7.2} {agents:>8} {microseconds:>9.0}", 100.0 * agreement);
    };
    fly(&mut flock, "untaught", infer);
    for lesson in 1..=4 {
        flock.scatter();
        fly(&mut flock, &format!("lesson {lesson}"), train);
    }
    flock.scatter();
    let before = flock.map();
    for _ in 0..3 {
        fly(&mut flock, "alone", infer);
    }
    println!("{} agents were born, {} are gone. Scattered, and after 300 ticks alone:\n", flock.born, flock.gone);
    before.iter().zip(flock.map()).for_each(|(before, after)| println!("{before} | {after}"));
    Ok(())
}
