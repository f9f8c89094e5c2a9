//! The plugins, and where their systems run.

use bevy_app::{App, FixedUpdate, Plugin, PluginGroup, PluginGroupBuilder, PostUpdate};
use bevy_asset::{AssetEventSystems, AssetPath, AssetServer, Assets};
use bevy_ecs::{
    entity::Entity,
    intern::Interned,
    name::Name,
    query::With,
    reflect::AppTypeRegistry,
    schedule::{
        IntoScheduleConfigs, LogLevel, ScheduleBuildSettings, ScheduleLabel, SingleThreadedExecutor, SystemSet,
    },
    world::World,
};
use connectome::systems::Workers;

use crate::{
    asset::{BrainAsset, BrainAssetPlugin},
    brain::Brain,
    check::{InputFault, check_input, complete_nodes},
    components::{BrainClock, BrainHandle, BrainMode, BrainOf, BrainStatus},
    diagnostics::{BrainDiagnosticsPlugin, CountSystems, count_changes, has_run},
    error::{BrainBuilt, BrainError, BrainFailed},
    registry::{Brains, Kind, Registered},
    reload::{Build, reload_brains},
    tick::{is_due, run_brains, run_schedule},
};

/// A tick of all brains: the schedule of the systems that sense for them and act on what they write. It runs as one system of
/// the app's schedule, in [`BrainSystems::Tick`].
///
/// Systems that access the same data without an order are an error in it, with their names and those of the data; no brain runs
/// until they are put into [`BrainSystems`], or ordered otherwise.
#[derive(ScheduleLabel, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BrainSchedule;

/// Where the systems of brains run. Order yours against them.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BrainSystems {
    /// In `PostUpdate`: brains whose files have changed are built.
    Reload,
    /// In the schedule of [`ConnectomePlugins::in_schedule`]: all of [`BrainSchedule`].
    Tick,
    /// In [`BrainSchedule`], first: your systems write inputs and targets.
    Observe,
    /// In [`BrainSchedule`]: brains run, in the order in which they were added.
    Run,
    /// In [`BrainSchedule`]: your systems read outputs.
    Act,
    /// In [`BrainSchedule`], last: what there was is measured.
    Report,
}

/// All that brains need: [`BrainAssetPlugin`], [`BrainPlugin`] and [`BrainDiagnosticsPlugin`]. Add them after Bevy's `AssetPlugin`.
#[derive(Clone, Debug)]
pub struct ConnectomePlugins {
    schedule: Interned<dyn ScheduleLabel>,
    workers: Option<usize>,
}

impl Default for ConnectomePlugins {
    fn default() -> Self {
        Self::in_schedule(FixedUpdate)
    }
}

impl ConnectomePlugins {
    /// Brains tick in this schedule of the app, such as `FixedUpdate` or `Update`.
    pub fn in_schedule(schedule: impl ScheduleLabel) -> Self {
        Self { schedule: schedule.intern(), workers: None }
    }

    /// Brains are computed by so many threads, with the same bits for any number; by one without this.
    pub fn workers(self, count: usize) -> Self {
        Self { workers: Some(count), ..self }
    }
}

impl PluginGroup for ConnectomePlugins {
    fn build(self) -> PluginGroupBuilder {
        let Self { schedule, workers } = self;
        PluginGroupBuilder::start::<Self>()
            .add(BrainAssetPlugin)
            .add(BrainPlugin { schedule, workers })
            .add(BrainDiagnosticsPlugin)
    }
}

/// Builds brains and runs them.
#[derive(Clone, Debug)]
pub struct BrainPlugin {
    schedule: Interned<dyn ScheduleLabel>,
    workers: Option<usize>,
}

impl Plugin for BrainPlugin {
    fn build(&self, app: &mut App) {
        match self.workers.map(Workers::new) {
            Some(Ok(workers)) => _ = app.insert_resource(workers),
            Some(Err(error)) => log::error!("{error}"),
            None => {}
        }
        app.init_resource::<Brains>().add_message::<BrainBuilt>().add_message::<BrainFailed>();
        app.register_type::<BrainHandle>().register_type::<BrainMode>();
        app.register_type::<BrainClock>().register_type::<BrainStatus>();
        let registry = app.world().resource::<AppTypeRegistry>().clone();
        connectome::components::register_types(&mut registry.write());
        // Where the events of assets and the assets are of one frame.
        app.add_systems(PostUpdate, reload_brains.in_set(BrainSystems::Reload).after(AssetEventSystems));
        app.add_systems(self.schedule, run_schedule.in_set(BrainSystems::Tick));
        app.init_schedule(BrainSchedule).edit_schedule(BrainSchedule, |schedule| {
            use BrainSystems::{Act, Observe, Report, Run};
            schedule.set_build_settings(ScheduleBuildSettings {
                ambiguity_detection: LogLevel::Error,
                ..ScheduleBuildSettings::default()
            });
            // Of a few systems, of which the one that counts has threads of its own, a threaded executor takes longer than they do.
            schedule.set_executor(SingleThreadedExecutor::new());
            schedule.configure_sets((Observe, Run, Act, Report).chain());
            schedule.add_systems(run_brains.in_set(Run));
        });
    }
}

/// Adds brains to an app.
pub trait BrainApp {
    /// Adds the brain of a kind, which the file at this path describes. It is built as soon as the file is loaded, and anew
    /// whenever the file is edited, if the app watches its files; see [`BrainStatus`] for what is wrong with it.
    ///
    /// A kind has one brain: if it is added again, it is that of the new file.
    fn add_brain<B: Brain>(&mut self, path: impl Into<AssetPath<'static>>, mode: BrainMode) -> &mut Self;
}

impl BrainApp for App {
    fn add_brain<B: Brain>(&mut self, path: impl Into<AssetPath<'static>>, mode: BrainMode) -> &mut Self {
        let (path, kind) = (path.into(), Kind::of::<B>());
        let name = path.to_string();
        // Without the assets of brains a server could not load one.
        let server = self.world().get_resource::<AssetServer>();
        let server = server.filter(|_| self.world().contains_resource::<Assets<BrainAsset>>());
        let handle = server.map(|server| server.load::<BrainAsset>(path));
        let is_loadable = handle.is_some();
        let handle = BrainHandle(handle.unwrap_or_default());
        let world = self.world_mut();
        if let Some(brain) = brain_of::<B>(world) {
            world.entity_mut(brain).insert((mode, handle));
            return self;
        }
        let state = (BrainStatus::default(), Build::default(), BrainOf::<B>::default());
        let brain = world.spawn((Name::new(kind.name), handle, mode, BrainClock::default(), state)).id();
        let registered = Registered { brain, kind, model: None };
        world.get_resource_or_init::<Brains>().0.push(registered);
        if !is_loadable {
            registered.tell(world, BrainError::NoAssetServer { path: name }, |status| &mut status.build_error);
        }
        // Once for each kind, also if its brain was despawned.
        if !world.contains_resource::<InputFault<B>>() {
            world.init_resource::<InputFault<B>>();
            add_systems::<B>(self);
        }
        self
    }
}

/// Adds the systems of a kind of brain.
fn add_systems<B: Brain>(app: &mut App) {
    use BrainSystems::{Observe, Run};
    app.add_systems(BrainSchedule, complete_nodes::<B>.before(Observe));
    app.add_systems(BrainSchedule, check_input::<B>.after(Observe).before(Run).run_if(is_due::<B>));
    if app.is_plugin_added::<BrainDiagnosticsPlugin>() {
        app.add_systems(BrainSchedule, count_changes::<B>.in_set(CountSystems).run_if(has_run::<B>));
    }
}

fn brain_of<B: Brain>(world: &mut World) -> Option<Entity> {
    let mut brains = world.query_filtered::<Entity, With<BrainOf<B>>>();
    brains.iter(world).next()
}
