//! Traces in the form of Chrome's, which Perfetto reads: JSON with one event for each span of time.

use connectome::systems::{ScheduleTimings, SystemDescription, WorkerLog};
use serde_json::{Value, json};
use std::time::Instant;

use super::report::phase_name;

/// The tracks: the systems, and from this number on the workers.
const SYSTEMS: usize = 0;
const WORKERS: usize = 1;

/// A run of a system.
struct Span<'a> {
    system: &'a SystemDescription,
    begin: Instant,
    end: Instant,
}

/// The events of the runs, from the timings of schedules, each with the schedule's name, and from the log of the
/// workers.
pub fn events(scene: &str, clocks: &[(&str, &ScheduleTimings)], log: &WorkerLog) -> Value {
    let runs: Vec<(&str, &ScheduleTimings, Vec<Vec<Instant>>)> =
        clocks.iter().map(|(name, clock)| (*name, *clock, clock.take())).collect();
    let start = runs.iter().flat_map(|(_, _, runs)| runs).filter_map(|run| run.first()).min().copied();
    let Some(start) = start else { return json!({ "traceEvents": [] }) };
    let event = |name: &str, category: &str, track: usize, begin: Instant, end: Instant, details: Value| {
        json!({
            "ph": "X", "name": name, "cat": category, "pid": 1, "tid": track,
            "ts": microseconds(start, begin), "dur": microseconds(begin, end), "args": details,
        })
    };

    let mut events = vec![label("process_name", SYSTEMS, scene), label("thread_name", SYSTEMS, "systems")];
    let mut spans = Vec::new();
    for (name, clock, runs) in &runs {
        for run in runs {
            if let (Some(begin), Some(end)) = (run.first(), run.last()) {
                events.push(event(name, "schedule", SYSTEMS, *begin, *end, json!({})));
            }
            let times = clock.systems().iter().zip(run.windows(2));
            spans.extend(times.map(|(system, times)| Span { system, begin: times[0], end: times[1] }));
        }
    }
    spans.sort_by_key(|span| span.begin);
    for Span { system, begin, end } in &spans {
        let category = system.phase.map_or("system", phase_name);
        let layer = system.layer;
        let details = json!({ "layer": layer, "reads": system.reads, "writes": system.writes });
        events.push(event(&system.name, category, SYSTEMS, *begin, *end, details));
    }
    let mut named = 0;
    for block in log.take() {
        while named <= block.worker {
            events.push(label("thread_name", WORKERS + named, &format!("worker {named}")));
            named += 1;
        }
        // Systems run one after another, so the block belongs to the last one that had begun.
        let number = spans.partition_point(|span| span.begin <= block.begin);
        let name = number.checked_sub(1).map_or("rows", |number| &*spans[number].system.name);
        let details = json!({ "first_row": block.rows.start, "rows": block.rows.len() });
        events.push(event(name, "block", WORKERS + block.worker, block.begin, block.end, details));
    }
    json!({ "displayTimeUnit": "ns", "traceEvents": events })
}

fn microseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e6
}

/// The name of the process or of a track.
fn label(kind: &str, track: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": kind, "pid": 1, "tid": track, "args": { "name": name } })
}
