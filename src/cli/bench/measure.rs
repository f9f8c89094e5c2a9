//! Measures how long something takes.

use serde::Serialize;
use std::{
    fs,
    time::{Duration, Instant},
};

/// The fewest measured runs, and the warm-up runs before them.
const LEAST: usize = 5;
const WARM_UP: usize = 2;

/// The wall-clock times of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The median.
    pub median_ms: f64,
    /// The minimum.
    pub min_ms: f64,
    /// The number of runs.
    pub count: usize,
}

/// Warms `work` up, then repeats it until `budget` is spent; `prepare`, before each run, is not measured.
pub fn measure<C, E>(
    budget: Duration,
    context: &mut C,
    mut prepare: impl FnMut(&mut C),
    mut work: impl FnMut(&mut C) -> Result<(), E>,
) -> Result<Timing, E> {
    let mut time = || {
        prepare(context);
        let begin = Instant::now();
        work(context).map(|()| begin.elapsed().as_secs_f64() * 1e3)
    };
    for _ in 0..WARM_UP {
        time()?;
    }
    let mut milliseconds = Vec::new();
    let start = Instant::now();
    while milliseconds.len() < LEAST || start.elapsed() < budget {
        milliseconds.push(time()?);
    }
    let count = milliseconds.len();
    let median_ms = median(&mut milliseconds);
    Ok(Timing { median_ms, min_ms: milliseconds[0], count })
}

/// The median, or the mean of the two in the middle; sorts the values. NaN without values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

/// The peak memory of the process, in megabytes of a million bytes; none where the system does not report it.
pub fn peak_memory_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_five_runs_are_measured_and_an_error_ends_it() {
        let mut counts = [0, 0];
        let timing: Result<Timing, ()> = measure(
            Duration::ZERO,
            &mut counts,
            |counts| counts[0] += 1,
            |counts| {
                counts[1] += 1;
                Ok(())
            },
        );
        assert_eq!((timing.map(|timing| timing.count), counts), (Ok(LEAST), [LEAST + WARM_UP; 2]));
        assert_eq!(measure(Duration::MAX, &mut (), |()| {}, |()| Err("broken")), Err("broken"));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 8.0]), 3.0);
        assert!(median(&mut []).is_nan());
    }
}
