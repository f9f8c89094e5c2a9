//! A flock that learns to fly.
//!
//! Three hundred agents live in a world whose edges meet. Each sees its six nearest neighbours: six `Edge` entities, which
//! follow the agents around. From the first tick on a small graph neural network steers everyone. At first the world
//! teaches: it labels each agent with the heading that the boids of Reynolds (1987) would take, and every tick is a
//! training step. Then the teacher falls silent, the agents are scattered once more, and the network flies alone, while
//! agents come and go.
//!
//! Run it with `cargo run --example flock`.

use bevy_ecs::prelude::*;
use connectome::{prelude::*, systems::random::Random};
use glam::Vec2;
use std::{error::Error, f32::consts::TAU, time::Instant};

type Result<T = ()> = core::result::Result<T, Box<dyn Error>>;

const AGENTS: u32 = 300;
/// How many neighbours an agent sees.
const SEEN: usize = 6;
/// The world is a square of this side; who leaves it on the right enters it on the left.
const SIDE: f32 = 60.0;
const SPEED: f32 = 0.5;
/// How much of its heading an agent can change in one tick.
const AGILITY: f32 = 0.3;
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
#[derive(Component, Clone, Copy, Default)]
struct Surroundings {
    /// Their mean velocity.
    drift: Vec2,
    /// From the agent to their centre.
    centre: Vec2,
    /// Away from those that are too close.
    escape: Vec2,
}

/// Of how many choices the teacher would have made the same.
#[derive(Resource, Default)]
struct Agreement {
    same: usize,
    choices: usize,
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

/// Agents by the cell of the world they are in.
struct Grid(Vec<Vec<(Entity, Vec2)>>);

impl Grid {
    const CELLS: i32 = 12;

    fn new(agents: impl Iterator<Item = (Entity, Vec2)>) -> Self {
        let mut grid = Self(vec![Vec::new(); (Self::CELLS * Self::CELLS) as usize]);
        for (agent, position) in agents {
            let cell = Self::cell(position);
            grid.0[Self::index(cell.0, cell.1)].push((agent, position));
        }
        grid
    }

    fn cell(position: Vec2) -> (i32, i32) {
        let cell = position * (Self::CELLS as f32 / SIDE);
        (cell.x as i32, cell.y as i32)
    }

    fn index(column: i32, row: i32) -> usize {
        (row.rem_euclid(Self::CELLS) * Self::CELLS + column.rem_euclid(Self::CELLS)) as usize
    }

    /// The nearest others, the nearest first. Looks at ever more cells, until those left out are farther away.
    fn nearest(&self, agent: Entity, position: Vec2) -> Vec<Entity> {
        let (column, row) = Self::cell(position);
        for reach in 1..=Self::CELLS / 2 {
            let span = -reach..=(reach.min(Self::CELLS - 1 - reach));
            let cells = span.clone().flat_map(|dy| span.clone().map(move |dx| Self::index(column + dx, row + dy)));
            let others = cells.flat_map(|cell| &self.0[cell]).filter(|(other, _)| *other != agent);
            let mut found: Vec<_> = others.map(|(other, at)| (way(position, *at).length_squared(), *other)).collect();
            found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            found.truncate(SEEN);
            let safe = reach as f32 * SIDE / Self::CELLS as f32;
            if found.len() == SEEN && found[SEEN - 1].0 <= safe * safe || reach == Self::CELLS / 2 {
                return found.into_iter().map(|(_, other)| other).collect();
            }
        }
        Vec::new()
    }
}

/// Edges follow the agents: one whose agent has been lost from sight turns to another.
fn watch(agents: Query<(Entity, &Position, &Sight)>, mut edges: Query<&mut Edge>) -> bevy_ecs::error::Result {
    let grid = Grid::new(agents.iter().map(|(agent, position, _)| (agent, position.0)));
    for (agent, position, sight) in &agents {
        let mut unseen = grid.nearest(agent, position.0);
        let mut free = Vec::new();
        for edge in sight.0 {
            match unseen.iter().position(|other| *other == edges.get(edge).map_or(agent, |edge| edge.source)) {
                Some(place) => _ = unseen.remove(place),
                None => free.push(edge),
            }
        }
        for (edge, other) in free.into_iter().zip(unseen) {
            edges.get_mut(edge)?.source = other;
        }
    }
    Ok(())
}

/// What each agent notices of those at the other end of its edges.
fn look_around(
    mut agents: Query<(&Position, &Sight, &mut Surroundings)>,
    others: Query<(&Position, &Velocity)>,
    edges: Query<&Edge>,
) {
    for (position, sight, mut surroundings) in &mut agents {
        *surroundings = Surroundings::default();
        for (other, velocity) in edges.iter_many(sight.0).filter_map(|edge| others.get(edge.ok()?.source).ok()) {
            let way = way(position.0, other.0);
            surroundings.drift += velocity.0 / SEEN as f32;
            surroundings.centre += way / SEEN as f32;
            surroundings.escape -= way / way.length_squared().max(0.1);
        }
    }
}

/// The teacher: align with the others, stay with them, keep a distance.
fn teach(mut agents: Query<(&Surroundings, &mut Label)>) {
    for (Surroundings { drift, centre, escape }, mut label) in &mut agents {
        let desire = *drift / SPEED + 0.15 * *centre + 0.3 * *escape;
        label.0 = nearest_heading(desire) as u32;
    }
}

/// The user's components become the network's input. Of the others' velocities it learns through the graph alone.
fn observe(graph: Single<&Topology>, agents: Query<(&Velocity, &Surroundings)>, mut input: ColumnMut) {
    for (row, agent) in input.matrix().rows_mut().zip(graph.nodes.entities()) {
        if let Ok((velocity, surroundings)) = agents.get(*agent) {
            let Surroundings { centre, escape, .. } = surroundings;
            for (numbers, vector) in row.chunks_exact_mut(2).zip([velocity.0 / SPEED, *centre / 5.0, *escape / 2.0]) {
                numbers.copy_from_slice(vector.as_ref());
            }
        }
    }
}

/// The network's output becomes an acceleration: towards the headings, each as much as the network is sure of it.
fn steer(
    graph: Single<&Topology>,
    output: Column,
    mut agents: Query<(&mut Position, &mut Velocity, &Label)>,
    mut agreement: ResMut<Agreement>,
) {
    for (row, agent) in output.matrix().rows().zip(graph.nodes.entities()) {
        let Ok((mut position, mut velocity, label)) = agents.get_mut(*agent) else { continue };
        let best = (0..HEADINGS).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
        agreement.choices += 1;
        agreement.same += usize::from(best == label.0 as usize);
        let wish: Vec2 = row.iter().enumerate().map(|(number, logit)| heading(number) * (logit - row[best]).exp()).sum();
        let acceleration = AGILITY * SPEED * wish.normalize_or_zero();
        velocity.0 = SPEED * (velocity.0 + acceleration).normalize_or(heading(best));
        position.0 = (position.0 + velocity.0).rem_euclid(Vec2::splat(SIDE));
    }
}

/// How a stretch of ticks went.
pub(crate) struct Stretch {
    /// The share of choices that the teacher would have made.
    pub(crate) agreement: f32,
    /// The length of the mean heading afterwards: 1 if all fly the same way, 0 if each flies its own.
    pub(crate) order: f32,
    microseconds: f32,
}

pub(crate) struct Flock {
    pub(crate) world: World,
    model: Entity,
    agents: Vec<Entity>,
    ticks: u64,
    pub(crate) born: u32,
    pub(crate) gone: u32,
}

impl Flock {
    pub(crate) fn new(workers: usize) -> Result<Self> {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers)?);
        world.init_resource::<Agreement>();
        // Whatever has a position is a node.
        let graph = Graph::of::<Position, Edge>(&mut world);
        let adam = Optimizer::Adam {
            learning_rate: 0.01,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            amsgrad: false,
            weight_decay: 0.0,
        };
        let model = ModelBuilder::new(graph)
            .input_width(6)
            .layer(GraphConv::new(32))
            .layer(Activation::Tanh)
            .layer(Linear::new(HEADINGS))
            .learn(adam, LearningRateSchedule::Constant)
            .build(&mut world)?;
        let mut flock = Self { world, model, agents: Vec::new(), ticks: 0, born: 0, gone: 0 };
        flock.live_in(Train(model))?;
        flock.live_in(Infer(model))?;
        for _ in 0..AGENTS {
            flock.spawn();
        }
        Ok(flock)
    }

    /// Puts the agents' life around the network's.
    fn live_in(&mut self, schedule: impl bevy_ecs::schedule::ScheduleLabel + Copy) -> Result {
        let world = &mut self.world;
        let Some(&Model { input: Signal::Dense { value: input, .. }, output, .. }) = world.get(self.model) else {
            return Err("the model has no dense input".into());
        };
        let observe = (ParamBuilder, ParamBuilder, input.write()).build_state(world).build_system(observe);
        let steer =
            (ParamBuilder, output.read(), ParamBuilder, ParamBuilder).build_state(world).build_system(steer);
        add_systems(world, schedule, (watch, look_around).chain().before(Phase::Prepare))?;
        add_systems(world, schedule, (teach.in_set(Phase::Observe), observe.in_set(Phase::Observe)))?;
        add_systems(world, schedule, steer.in_set(Phase::Act))?;
        Ok(())
    }

    fn random_place(&self, number: u32) -> (Position, Velocity) {
        let random = Random::new(7, 0, self.ticks);
        let [x, y, turn] = [0, 1, 2].map(|column| random.uniform(number, column));
        (Position(SIDE * Vec2::new(x, y)), Velocity(SPEED * Vec2::from_angle(TAU * turn)))
    }

    fn spawn(&mut self) {
        let place = self.random_place(self.born);
        let agent = self.world.spawn((place, Surroundings::default(), Label(0), Split::Train)).id();
        let edges = [(); SEEN].map(|()| self.world.spawn(Edge { source: agent, target: agent }).id());
        self.world.entity_mut(agent).insert(Sight(edges));
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
        for number in 0..self.agents.len() {
            let place = self.random_place(number as u32);
            self.world.entity_mut(self.agents[number]).insert(place);
        }
    }

    /// Ticks in which the network steers and learns.
    pub(crate) fn learn(&mut self, ticks: usize) -> Stretch {
        self.live(Train(self.model), ticks)
    }

    /// Ticks in which the network steers, and the teacher is not heard.
    pub(crate) fn fly(&mut self, ticks: usize) -> Stretch {
        self.live(Infer(self.model), ticks)
    }

    fn live(&mut self, schedule: impl bevy_ecs::schedule::ScheduleLabel + Copy, ticks: usize) -> Stretch {
        let mut microseconds = 0.0;
        for _ in 0..ticks {
            self.ticks += 1;
            let chance = Random::new(7, 1, self.ticks);
            if chance.uniform(0, 0) < 0.2 {
                self.spawn();
            }
            if chance.uniform(0, 1) < 0.2 {
                self.despawn((chance.uniform(0, 2) * self.agents.len() as f32) as usize);
            }
            let start = Instant::now();
            run(&mut self.world, schedule);
            microseconds += start.elapsed().as_secs_f32() * 1e6;
        }
        let Agreement { same, choices } = core::mem::take(&mut *self.world.resource_mut::<Agreement>());
        Stretch {
            agreement: same as f32 / choices as f32,
            order: self.order(),
            microseconds: microseconds / ticks as f32,
        }
    }

    fn order(&mut self) -> f32 {
        let sum: Vec2 = self.world.query::<&Velocity>().iter(&self.world).map(|velocity| velocity.0).sum();
        sum.length() / (SPEED * self.agents.len() as f32)
    }

    /// The world from above: where the agents are and whither they fly; a double arrow where three or more are together.
    fn map(&mut self) -> String {
        const COLUMNS: usize = 48;
        const ROWS: usize = 24;
        let mut cells = [[(0, Vec2::ZERO); COLUMNS]; ROWS];
        for (position, velocity) in self.world.query::<(&Position, &Velocity)>().iter(&self.world) {
            let place = position.0 / SIDE;
            let column = (place.x * COLUMNS as f32) as usize;
            let row = ((1.0 - place.y) * ROWS as f32) as usize;
            let cell = &mut cells[row.min(ROWS - 1)][column.min(COLUMNS - 1)];
            cell.0 += 1;
            cell.1 += velocity.0;
        }
        let arrow = |(count, velocity): (usize, Vec2)| match count {
            0 => ' ',
            1 | 2 => ['→', '↗', '↑', '↖', '←', '↙', '↓', '↘'][nearest_heading(velocity)],
            _ => ['⇒', '⇗', '⇑', '⇖', '⇐', '⇙', '⇓', '⇘'][nearest_heading(velocity)],
        };
        cells.map(|row| row.map(arrow).iter().collect::<String>()).join("\n")
    }
}

fn main() -> Result {
    let mut flock = Flock::new(1)?;
    println!("                      agreement   order   agents    µs/tick");
    let report = |what: &str, flock: &Flock, stretch: Stretch| {
        let Stretch { agreement, order, microseconds } = stretch;
        let agents = flock.agents.len();
        println!("{what:<20} {:>8.1} %   {order:5.2} {agents:>8} {microseconds:>10.0}", 100.0 * agreement);
    };
    for lesson in 1..=6 {
        flock.scatter();
        let stretch = flock.learn(100);
        report(&format!("lesson {lesson}, 100 ticks"), &flock, stretch);
    }
    flock.scatter();
    let before = flock.map();
    for ticks in [100, 200, 300] {
        let stretch = flock.fly(100);
        report(&format!("alone, to tick {ticks}"), &flock, stretch);
    }
    println!("{} agents were born, {} died. Scattered, and after 300 ticks alone:\n", flock.born, flock.gone);
    for (before, after) in before.lines().zip(flock.map().lines()) {
        println!("{before} | {after}");
    }
    Ok(())
}
