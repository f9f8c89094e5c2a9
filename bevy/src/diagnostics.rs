//! Measurements of brains, in the store of Bevy's diagnostics.

use bevy_app::{App, Plugin};
use bevy_diagnostic::{Diagnostic, DiagnosticPath, Diagnostics, RegisterDiagnostic};
use bevy_ecs::{
    query::{Changed, Or, With},
    resource::Resource,
    schedule::{IntoScheduleConfigs, SystemSet},
    system::{If, Local, Query, Res},
};
use connectome::components::{Edge, Metrics, Model, Split, Topology};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    brain::{Brain, BrainInput},
    components::{ActiveBrain, BrainMode, BrainOf, BrainStatus},
    plugin::{BrainSchedule, BrainSystems},
};

/// How long all brains took in a tick, in milliseconds.
pub const TICK: DiagnosticPath = DiagnosticPath::const_new("connectome/tick");

/// The loss of the brain that is trained, before the step; the sum of the losses if several are.
pub const LOSS: DiagnosticPath = DiagnosticPath::const_new("connectome/loss");

/// How many nodes have another input than in the brain's tick before, and edges another end, of all brains that ran.
pub const CHANGED_ROWS: DiagnosticPath = DiagnosticPath::const_new("connectome/changed_rows");

/// Measures [`TICK`], [`LOSS`] and [`CHANGED_ROWS`] in each tick in which a brain runs.
pub struct BrainDiagnosticsPlugin;

impl Plugin for BrainDiagnosticsPlugin {
    fn build(&self, app: &mut App) {
        app.register_diagnostic(Diagnostic::new(TICK).with_suffix(" ms"));
        app.register_diagnostic(Diagnostic::new(LOSS));
        app.register_diagnostic(Diagnostic::new(CHANGED_ROWS));
        app.init_resource::<ChangedRows>();
        app.configure_sets(BrainSchedule, CountSystems.in_set(BrainSystems::Report));
        app.add_systems(BrainSchedule, report.in_set(BrainSystems::Report).after(CountSystems));
    }
}

/// The systems that count what has changed.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CountSystems;

/// Rows that have changed. Systems that count run side by side, and the order of whole numbers does not matter.
#[derive(Resource, Default)]
pub(crate) struct ChangedRows(AtomicU64);

/// Whether a brain has run in this tick.
pub(crate) fn has_run<B: Brain>(statuses: Query<&BrainStatus, With<BrainOf<B>>>) -> bool {
    statuses.iter().any(|status| status.has_run)
}

type ChangedNodes<B> = (With<<B as Brain>::Node>, Or<(<<B as Brain>::Input as BrainInput>::Changed,)>);

type ChangedEdges<B> = (With<<B as Brain>::Edge>, Changed<Edge>);

/// Counts what has changed since the brain ran before. Edges are looked through only if the topology was derived anew, as it is
/// when one of them has changed.
pub(crate) fn count_changes<B: Brain>(
    active: If<Res<ActiveBrain<B>>>,
    models: Query<&Model>,
    topologies: Query<&Topology>,
    nodes: Query<(), ChangedNodes<B>>,
    edges: Query<(), ChangedEdges<B>>,
    changed: Res<ChangedRows>,
    mut known: Local<Option<u64>>,
) {
    let topology = models.get(active.model).and_then(|model| topologies.get(model.graph));
    let version = topology.ok().map(|topology| topology.version);
    let edges = if *known == version { 0 } else { edges.iter().count() };
    *known = version;
    changed.0.fetch_add((nodes.iter().count() + edges) as u64, Ordering::Relaxed);
}

fn report(
    brains: Query<(&BrainStatus, &BrainMode)>,
    metrics: Query<&Metrics>,
    changed: Res<ChangedRows>,
    mut diagnostics: Diagnostics,
) {
    let ran: Vec<(&BrainStatus, &BrainMode)> = brains.iter().filter(|(status, _)| status.has_run).collect();
    if ran.is_empty() {
        return;
    }
    let milliseconds = || ran.iter().map(|(status, _)| status.duration.as_secs_f64() * 1e3).sum();
    diagnostics.add_measurement(&TICK, milliseconds);
    let losses = ran.iter().filter(|(_, mode)| **mode == BrainMode::Train).filter_map(|(status, _)| {
        let metrics = metrics.get(status.model?).ok()?;
        Some(f64::from(metrics.loss(Split::Train)))
    });
    if let Some(loss) = losses.reduce(|sum, loss| sum + loss) {
        diagnostics.add_measurement(&LOSS, || loss);
    }
    let rows = changed.0.swap(0, Ordering::Relaxed);
    diagnostics.add_measurement(&CHANGED_ROWS, || rows as f64);
}
