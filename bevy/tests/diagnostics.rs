//! What brains cost, lose and touch is in the store of diagnostics.

use bevy_app::App;
use bevy_connectome::prelude::*;
use bevy_connectome::{CHANGED_ROWS, LOSS, TICK};
use bevy_diagnostic::{DiagnosticPath, DiagnosticsStore};

use crate::common::{BRAIN, Own, app, assets, set_mode, until_built};

fn value(app: &App, path: &DiagnosticPath) -> Option<f64> {
    app.world().resource::<DiagnosticsStore>().get(path)?.measurement().map(|measurement| measurement.value)
}

#[test]
fn ticks_losses_and_changes_are_measured() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.update();
    assert_eq!(value(&app, &TICK), None);
    until_built(&mut app, 1);
    app.update();
    let first = value(&app, &LOSS).unwrap();
    for _ in 0..200 {
        app.update();
    }
    assert!(value(&app, &LOSS).unwrap() < 0.1 * first, "{first}");
    assert!(value(&app, &TICK).unwrap() > 0.0);
    assert_eq!(value(&app, &CHANGED_ROWS), Some(0.0));
    let mut nodes = app.world_mut().query::<&mut Own>();
    nodes.iter_mut(app.world_mut()).take(3).for_each(|mut own| own.0 += 0.1);
    let mut edges = app.world_mut().query::<&mut Edge>();
    edges.iter_mut(app.world_mut()).take(2).for_each(|mut edge| edge.source = edge.target);
    app.update();
    assert_eq!(value(&app, &CHANGED_ROWS), Some(5.0));
    // Inference has no loss: the measurement is that of the last step.
    set_mode(&mut app, BrainMode::Infer);
    let last = value(&app, &LOSS);
    app.update();
    assert_eq!(value(&app, &LOSS), last);
}
