//! A brain runs when its clock says so.

use bevy_app::App;
use bevy_connectome::prelude::*;
use bevy_ecs::prelude::*;

use crate::common::{BRAIN, Guess, app, assets, status, until_built};

fn set_clock(app: &mut App, set: impl Fn(&mut BrainClock)) {
    let mut clocks = app.world_mut().query::<&mut BrainClock>();
    clocks.iter_mut(app.world_mut()).for_each(|mut clock| set(&mut clock));
}

fn runs(app: &mut App, ticks: usize) -> Vec<bool> {
    let run = |_| {
        app.update();
        status(app).has_run
    };
    (0..ticks).map(run).collect()
}

#[test]
fn a_brain_runs_at_some_ticks_and_rests_when_it_is_paused() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    assert_eq!(runs(&mut app, 3), [true; 3]);
    set_clock(&mut app, |clock| *clock = BrainClock { every: 3, phase: 4, ..BrainClock::default() });
    assert_eq!(runs(&mut app, 7), [false, true, false, false, true, false, false]);
    set_clock(&mut app, |clock| clock.is_paused = true);
    assert_eq!(runs(&mut app, 4), [false; 4]);
    // Its time stood still: the next tick is the eighth, the third after the last one.
    set_clock(&mut app, |clock| clock.is_paused = false);
    assert_eq!(runs(&mut app, 3), [true, false, false]);
    set_clock(&mut app, |clock| clock.every = 0);
    assert_eq!(runs(&mut app, 4), [false; 4]);
}

#[test]
fn a_brain_that_rests_writes_nothing() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    app.update();
    set_clock(&mut app, |clock| clock.is_paused = true);
    app.update();
    app.world_mut().clear_trackers();
    app.update();
    let mut changed = app.world_mut().query_filtered::<(), Changed<Guess>>();
    assert_eq!(changed.iter(app.world()).count(), 0);
}
