//! Training with more and more workers.

use connectome::{TrainError, Trainer, systems::Workers};
use serde::Serialize;
use std::{
    error::Error,
    iter::successors,
    time::{Duration, Instant},
};

use super::measure::median;

/// How long a run of batches takes at least: before the first of them nothing is computed while it is extracted.
const RUN: Duration = Duration::from_millis(200);

/// How much a number of workers trains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throughput {
    pub workers: usize,
    /// What is counted: `graphs` or `nodes` of batches, or `steps` on the whole graph.
    pub examples: &'static str,
    /// The median.
    pub per_second: f64,
    /// Times as many as with one worker.
    pub speedup: f64,
    /// The speedup by the number of workers.
    pub efficiency: f64,
    /// The part of the work that only one worker can do, if all that lacks to the full speedup is that: by Amdahl's law, measured
    /// as by Karp and Flatt, "Measuring parallel processor performance", CACM 1990. None for one worker.
    pub serial_fraction: Option<f64>,
}

impl Throughput {
    fn new(workers: usize, examples: &'static str, per_second: f64, of_one: f64) -> Self {
        let (count, speedup) = (workers as f64, per_second / of_one);
        let serial_fraction = (workers > 1).then(|| (1.0 / speedup - 1.0 / count) / (1.0 - 1.0 / count));
        Self { workers, examples, per_second, speedup, efficiency: speedup / count, serial_fraction }
    }
}

/// Trains with 1, 2, 4 .. workers, and with the largest number, for `budget` each.
pub fn measure(budget: Duration, trainer: &mut Trainer, most: usize) -> Result<Vec<Throughput>, Box<dyn Error>> {
    let training = &trainer.scene().training;
    let examples = match (training.fan_outs.is_empty(), training.batch_size) {
        (false, _) => "nodes",
        (true, Some(_)) => "graphs",
        (true, None) => "steps",
    };
    let mut results: Vec<Throughput> = Vec::new();
    for count in
        successors(Some(1), |count: &usize| count.checked_mul(2)).take_while(|count| *count < most).chain([most])
    {
        let workers = Workers::new(count)?;
        trainer.world().insert_resource(workers.clone());
        let per_second = workers.install(|| per_second(budget, trainer))?;
        let of_one = results.first().map_or(per_second, |first| first.per_second);
        results.push(Throughput::new(count, examples, per_second, of_one));
    }
    Ok(results)
}

/// The median number of examples that are trained on in a second.
fn per_second(budget: Duration, trainer: &mut Trainer) -> Result<f64, TrainError> {
    let mut time = |batches| {
        let begin = Instant::now();
        trainer.train_batches(batches).map(|examples| (examples, begin.elapsed().as_secs_f64()))
    };
    // This also warms up.
    let (mut batches, mut known) = (1, 0);
    loop {
        let (examples, seconds) = time(batches)?;
        // An epoch may have no more batches.
        if seconds >= RUN.as_secs_f64() || examples == known {
            break;
        }
        (batches, known) = (2 * batches, examples);
    }
    let (start, mut rates) = (Instant::now(), Vec::new());
    while rates.is_empty() || start.elapsed() < budget {
        let (examples, seconds) = time(batches)?;
        rates.push(examples as f64 / seconds);
    }
    Ok(median(&mut rates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_part_is_that_of_amdahls_law() {
        for (workers, serial) in [(2, 0.0), (2, 0.25), (8, 0.1), (16, 1.0)] {
            let speedup = 1.0 / (serial + (1.0 - serial) / workers as f64);
            let measured = Throughput::new(workers, "graphs", 50.0 * speedup, 50.0);
            assert!((measured.serial_fraction.unwrap_or(f64::NAN) - serial).abs() < 1e-12, "{measured:?}");
            assert!((measured.efficiency * workers as f64 - speedup).abs() < 1e-12, "{measured:?}");
        }
        assert_eq!(Throughput::new(1, "graphs", 50.0, 50.0).serial_fraction, None);
    }
}
