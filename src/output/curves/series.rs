//! One curve: its points, thinned out where there are more than a picture can show.

use super::super::EpochReport;

/// Points kept for each stretch of a curve: the first, the lowest, the highest and the last.
const POINTS_KEPT: usize = 4;

/// Stretches a long curve is cut into, which leaves it with a thousand points.
const STRETCHES: usize = 250;

/// A point of a curve: the epoch and the value measured in it.
pub(super) type Point = (f64, f64);

/// A curve with its name and color.
#[derive(Debug)]
pub(super) struct Series {
    /// Name, as shown beside the curve.
    pub name: &'static str,
    /// NodeColor in the notation of SVG.
    pub color: &'static str,
    /// Finite points in the order of epochs, a thousand at most.
    pub points: Vec<Point>,
}

impl Series {
    /// Takes one number out of each report, without those that are not finite.
    pub fn new(
        name: &'static str,
        color: &'static str,
        reports: &[EpochReport],
        value: impl Fn(&EpochReport) -> f64,
    ) -> Self {
        let mut points: Vec<Point> = reports
            .iter()
            .map(|report| (report.epoch as f64, value(report)))
            .filter(|(_, value)| value.is_finite())
            .collect();
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        Self { name, color, points: thin_out(points) }
    }
}

/// Keeps the shape of a curve in at most a thousand points: every extreme survives.
fn thin_out(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= STRETCHES * POINTS_KEPT {
        return points;
    }
    let length = points.len().div_ceil(STRETCHES);
    points.chunks(length).flat_map(outline).collect()
}

/// The first, lowest, highest and last point of a stretch in the order of epochs, each once.
fn outline(stretch: &[Point]) -> Vec<Point> {
    let mut lowest = 0;
    let mut highest = 0;
    for (index, point) in stretch.iter().enumerate() {
        if point.1 < stretch[lowest].1 {
            lowest = index;
        }
        if point.1 > stretch[highest].1 {
            highest = index;
        }
    }
    let mut kept = [0, lowest, highest, stretch.len().saturating_sub(1)];
    kept.sort_unstable();
    let mut points: Vec<Point> = kept.iter().map(|&index| stretch[index]).collect();
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_curves_stay_as_they_are() {
        let points: Vec<Point> = (0..1000).map(|epoch| (f64::from(epoch), 0.0)).collect();
        assert_eq!(thin_out(points.clone()), points);
    }

    #[test]
    fn long_curves_keep_their_ends_and_their_extremes() {
        let mut points: Vec<Point> = (0..100_003).map(|epoch| (f64::from(epoch), f64::from(epoch % 97))).collect();
        points[777].1 = -5.0;
        points[54_321].1 = 500.0;
        let thin = thin_out(points.clone());
        assert!((500..=1000).contains(&thin.len()), "{}", thin.len());
        assert!(thin.contains(&(777.0, -5.0)) && thin.contains(&(54_321.0, 500.0)));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert!(thin.is_sorted_by(|left, right| left.0 < right.0));
        assert_eq!(thin_out(points), thin);
    }
}
