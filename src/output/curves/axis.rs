//! The numbers along the edges of a panel.

/// One direction of a panel: the values at its two ends and the round numbers between them.
#[derive(Debug)]
pub(super) struct Axis {
    /// Value at the left or lower end.
    pub low: f64,
    /// Value at the right or upper end; greater than `low`.
    pub high: f64,
    /// Round numbers from `low` to `high`, rising.
    pub ticks: Vec<Tick>,
}

/// A round number on an axis.
#[derive(Debug)]
pub(super) struct Tick {
    /// Where it stands.
    pub value: f64,
    /// How it is written.
    pub label: String,
}

/// Distance between ticks: 1, 2 or 5 times a power of ten. Kept in integers, so that labels come out exact.
#[derive(Clone, Copy, Debug)]
struct Step {
    mantissa: i64,
    exponent: i32,
}

impl Axis {
    /// An axis with about `count` steps whose ends are round numbers at or beyond `low` and `high`.
    pub fn rounded_out(low: f64, high: f64, count: f64) -> Self {
        let step = Step::at_least((high - low) / count);
        let first = (low / step.size() + ROUNDING).floor() as i64;
        let last = (high / step.size() - ROUNDING).ceil() as i64;
        let ticks = step.ticks(first, last);
        Self { low: step.multiple(first), high: step.multiple(last), ticks }
    }

    /// An axis of whole numbers from `low` to `high` exactly, with at most about `count` steps.
    pub fn of_whole_numbers(low: f64, high: f64, count: f64) -> Self {
        let step = Step::at_least(((high - low) / count).max(1.0));
        let first = (low / step.size()).ceil() as i64;
        let last = (high / step.size()).floor() as i64;
        Self { low, high, ticks: step.ticks(first, last) }
    }

    /// Where `value` stands between the ends, as a share: 0 at `low`, 1 at `high`.
    pub fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Share of a step that is put down to rounding.
const ROUNDING: f64 = 1e-6;

impl Step {
    /// The smallest step not below `size`, which is positive and finite.
    fn at_least(size: f64) -> Self {
        let mut exponent = 0;
        while power_of_ten(exponent) > size {
            exponent -= 1;
        }
        while power_of_ten(exponent + 1) <= size {
            exponent += 1;
        }
        let least = size / power_of_ten(exponent) - ROUNDING;
        match [1, 2, 5].into_iter().find(|&it| it as f64 >= least) {
            Some(mantissa) => Self { mantissa, exponent },
            None => Self { mantissa: 1, exponent: exponent + 1 },
        }
    }

    fn size(self) -> f64 {
        self.multiple(1)
    }

    fn multiple(self, factor: i64) -> f64 {
        let whole = (factor * self.mantissa) as f64;
        // Dividing by an exact power is exact where multiplying by a tenth would not be.
        if self.exponent < 0 { whole / power_of_ten(-self.exponent) } else { whole * power_of_ten(self.exponent) }
    }

    fn ticks(self, first: i64, last: i64) -> Vec<Tick> {
        let largest = self.multiple(first).abs().max(self.multiple(last).abs());
        let is_plain = (LEAST_PLAIN_EXPONENT..).contains(&self.exponent) && largest < PLAIN_BELOW;
        let decimals = self.exponent.min(0).unsigned_abs() as usize;
        let label = |value: f64| match is_plain {
            true => format!("{value:.decimals$}"),
            false => scientific(value),
        };
        (first..=last).map(|factor| self.multiple(factor)).map(|value| Tick { value, label: label(value) }).collect()
    }
}

/// Numbers from here on are written with an exponent.
const PLAIN_BELOW: f64 = 1e6;

/// Steps with a smaller power of ten are written with an exponent.
const LEAST_PLAIN_EXPONENT: i32 = -4;

/// Writes a measured value with three decimals, or with an exponent where they would be too many or too few.
pub(super) fn measured(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e4 || (magnitude < 1e-3 && magnitude > 0.0) { scientific(value) } else { format!("{value:.3}") }
}

/// Writes a number with an exponent and at most three digits after the point.
fn scientific(value: f64) -> String {
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((digits, exponent)) if exponent != "0" => {
            format!("{}e{exponent}", without_trailing_zeros(digits))
        }
        Some((digits, _)) => without_trailing_zeros(digits).to_owned(),
        None => text,
    }
}

/// Drops the zeros at the end of a number that has a point.
fn without_trailing_zeros(digits: &str) -> &str {
    digits.trim_end_matches('0').trim_end_matches('.')
}

/// The powers of ten, alike on every platform, which `powi` need not be.
fn power_of_ten(exponent: i32) -> f64 {
    let power = (0..exponent.abs()).fold(1.0, |power, _| power * 10.0);
    if exponent < 0 { 1.0 / power } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ends_are_rounded_out_to_ticks() {
        let axis = Axis::rounded_out(0.58, 1.95, 5.0);
        assert_eq!(labels(&axis), ["0.5", "1.0", "1.5", "2.0"]);
        assert_eq!((axis.low, axis.high), (0.5, 2.0));
        assert_eq!(axis.share(1.25), 0.5);
        let axis = Axis::rounded_out(14.0, 98.6, 5.0);
        assert_eq!(labels(&axis), ["0", "20", "40", "60", "80", "100"]);
        let axis = Axis::rounded_out(-0.03, 0.03, 5.0);
        assert_eq!(labels(&axis), ["-0.04", "-0.02", "0.00", "0.02", "0.04"]);
    }

    #[test]
    fn whole_numbers_stay_whole_and_inside() {
        let axis = Axis::of_whole_numbers(0.0, 137.0, 5.0);
        assert_eq!(labels(&axis), ["0", "50", "100"]);
        assert_eq!((axis.low, axis.high), (0.0, 137.0));
        assert_eq!(labels(&Axis::of_whole_numbers(0.0, 1.0, 5.0)), ["0", "1"]);
        let late = Axis::of_whole_numbers(1001.0, 1010.0, 5.0);
        assert_eq!(labels(&late), ["1002", "1004", "1006", "1008", "1010"]);
    }

    #[test]
    fn very_large_and_very_small_numbers_are_written_with_an_exponent() {
        let axis = Axis::rounded_out(0.0, f64::from(f32::MAX), 5.0);
        assert_eq!(labels(&axis), ["0", "1e38", "2e38", "3e38", "4e38"]);
        let axis = Axis::rounded_out(0.0, 1e-44, 5.0);
        assert_eq!(labels(&axis)[1], "2e-45");
        assert_eq!(measured(12345.678), "1.235e4");
        assert_eq!(measured(0.000_25), "2.5e-4");
        assert_eq!(measured(0.0), "0.000");
        assert_eq!(measured(0.6017), "0.602");
    }
}
