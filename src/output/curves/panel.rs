//! One panel of the picture: grid, axes, curves and the labels at their ends.

use super::append;
use super::axis::Axis;
use super::labels::spread;
use super::series::{Point, Series};

/// The part of a panel the curves are drawn in, from the left edge of the panel and the top of the picture.
const PLOT_LEFT: f64 = 60.0;
const PLOT_RIGHT: f64 = 346.0;
const PLOT_TOP: f64 = 84.0;
const PLOT_BOTTOM: f64 = 340.0;

/// Distance between the labels of neighboring curves.
const LABEL_SPACING: f64 = 17.0;

/// Where the labels begin, from the right edge of the plot.
const LABEL_DISTANCE: f64 = 16.0;

/// Steps that the axes are divided into, about.
const STEPS: f64 = 5.0;

/// Least height of an axis, as a share of its largest value: below that, it would be labeled with long numbers.
const LEAST_SPAN: f64 = 1e-3;

/// A diagram of some curves over the epochs.
pub(super) struct Panel {
    /// Left edge in the picture.
    pub left: f64,
    /// What is measured.
    pub title: &'static str,
    /// Bounds that the vertical axis keeps to as long as the values do.
    pub limits: (f64, f64),
    /// Least height of the vertical axis.
    pub least_span: f64,
    /// How a value is written beside its curve.
    pub write_value: fn(f64) -> String,
    /// The curves.
    pub series: Vec<Series>,
}

impl Panel {
    /// Draws the panel over the given epochs.
    pub fn draw(&self, epochs: (f64, f64)) -> String {
        let across = Axis::of_whole_numbers(epochs.0, epochs.1, STEPS);
        let (low, high) = self.value_range();
        let upward = Axis::rounded_out(low, high, STEPS);
        let mut drawing = String::new();
        append(&mut drawing, format_args!("<g transform=\"translate({} 0)\">\n", self.left));
        self.draw_frame(&mut drawing, &across, &upward);
        let place = |point: Point| place(point, &across, &upward);
        for series in &self.series {
            draw_curve(&mut drawing, series, place);
        }
        self.draw_labels(&mut drawing, place);
        drawing.push_str("</g>\n");
        drawing
    }

    /// The values to be shown, lowest and highest, never equal.
    fn value_range(&self) -> (f64, f64) {
        let values = || self.series.iter().flat_map(|series| &series.points);
        let low = values().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let high = values().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return (0.0, if self.limits.1.is_finite() { self.limits.1 } else { 1.0 });
        }
        widened((low, high), self.least_span, self.limits)
    }

    /// Draws title, grid and axes.
    fn draw_frame(&self, drawing: &mut String, across: &Axis, upward: &Axis) {
        append(
            drawing,
            format_args!(
                "<text x=\"24\" y=\"64\" font-size=\"13\" font-weight=\"bold\" fill=\"#444444\">{}</text>\n",
                self.title
            ),
        );
        draw_grid(drawing, upward);
        draw_epochs(drawing, across);
        if self.series.iter().all(|series| series.points.is_empty()) {
            append(
                drawing,
                format_args!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#767676\">no values yet</text>\n",
                    (PLOT_LEFT + PLOT_RIGHT) / 2.0,
                    (PLOT_TOP + PLOT_BOTTOM) / 2.0
                ),
            );
        }
    }

    /// Draws name and last value of each curve, with a thin line from the end of the curve.
    fn draw_labels(&self, drawing: &mut String, place: impl Fn(Point) -> Point) {
        let mut ends: Vec<(&Series, Point, f64)> = self
            .series
            .iter()
            .filter_map(|series| series.points.last().map(|&last| (series, last)))
            .map(|(series, last)| (series, place(last), last.1))
            .collect();
        ends.sort_by(|left, right| left.1.1.total_cmp(&right.1.1));
        let wanted: Vec<f64> = ends.iter().map(|(_, end, _)| end.1).collect();
        let heights = spread(&wanted, LABEL_SPACING, PLOT_TOP, PLOT_BOTTOM);
        for ((series, end, value), height) in ends.into_iter().zip(heights) {
            draw_label(drawing, series, end, height, &(self.write_value)(value));
        }
    }
}

/// Widens a range to a least span, within the limits as long as the range keeps to them.
fn widened((low, high): (f64, f64), least_span: f64, limits: (f64, f64)) -> (f64, f64) {
    let magnitude = low.abs().max(high.abs());
    let mut least_span = least_span.max(magnitude * LEAST_SPAN);
    if least_span == 0.0 {
        least_span = 1.0;
    }
    let missing = least_span - (high - low);
    if missing <= 0.0 {
        return (low, high);
    }
    let (floor, ceiling) = (limits.0.min(low), limits.1.max(high));
    let low = (low - missing / 2.0).min(ceiling - least_span).max(floor);
    (low, low + least_span)
}

/// Where a point stands in the picture.
fn place((epoch, value): Point, across: &Axis, upward: &Axis) -> Point {
    (
        PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) * across.share(epoch),
        PLOT_BOTTOM - (PLOT_BOTTOM - PLOT_TOP) * upward.share(value),
    )
}

/// Draws a light line and a number for each tick of the vertical axis.
fn draw_grid(drawing: &mut String, upward: &Axis) {
    for tick in &upward.ticks {
        let y = PLOT_BOTTOM - (PLOT_BOTTOM - PLOT_TOP) * upward.share(tick.value);
        append(
            drawing,
            format_args!(
                "<path d=\"M{PLOT_LEFT} {y:.2}H{PLOT_RIGHT}\" stroke=\"#e8e8e8\"/>\n\
                 <text x=\"{}\" y=\"{:.2}\" text-anchor=\"end\" fill=\"#666666\">{}</text>\n",
                PLOT_LEFT - 8.0,
                y + 4.0,
                tick.label
            ),
        );
    }
}

/// Draws the horizontal axis.
fn draw_epochs(drawing: &mut String, across: &Axis) {
    append(drawing, format_args!("<path d=\"M{PLOT_LEFT} {PLOT_BOTTOM}H{PLOT_RIGHT}\" stroke=\"#8c8c8c\"/>\n"));
    for tick in &across.ticks {
        let x = PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) * across.share(tick.value);
        append(
            drawing,
            format_args!(
                "<path d=\"M{x:.2} {PLOT_BOTTOM}v5\" stroke=\"#8c8c8c\"/>\n\
                 <text x=\"{x:.2}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666666\">{}</text>\n",
                PLOT_BOTTOM + 19.0,
                tick.label
            ),
        );
    }
    append(
        drawing,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444444\">epoch</text>\n",
            (PLOT_LEFT + PLOT_RIGHT) / 2.0,
            PLOT_BOTTOM + 40.0
        ),
    );
}

/// Draws one curve and a dot at its end.
fn draw_curve(drawing: &mut String, series: &Series, place: impl Fn(Point) -> Point) {
    let Some(&last) = series.points.last() else {
        return;
    };
    append(
        drawing,
        format_args!(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" stroke-linejoin=\"round\" points=\"",
            series.color
        ),
    );
    for &point in &series.points {
        let (x, y) = place(point);
        append(drawing, format_args!("{x:.2},{y:.2} "));
    }
    let (x, y) = place(last);
    append(drawing, format_args!("\"/>\n<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"2.6\" fill=\"{}\"/>\n", series.color));
}

/// Draws the label of one curve.
fn draw_label(drawing: &mut String, series: &Series, end: Point, height: f64, value: &str) {
    let Series { name, color, .. } = series;
    let (from, to) = (end.0 + 4.0, PLOT_RIGHT + LABEL_DISTANCE - 3.0);
    append(
        drawing,
        format_args!(
            "<path d=\"M{from:.2} {:.2}L{to} {height:.2}\" stroke=\"{color}\" stroke-opacity=\"0.45\"/>\n\
             <text x=\"{}\" y=\"{:.2}\"><tspan fill=\"{color}\" font-weight=\"bold\">{name}</tspan> \
             <tspan fill=\"#1a1a1a\">{value}</tspan></text>\n",
            end.1,
            PLOT_RIGHT + LABEL_DISTANCE,
            height + 4.0
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: (f64, f64) = (0.0, 100.0);

    #[test]
    fn narrow_ranges_are_widened_within_their_limits() {
        assert_eq!(widened((20.0, 90.0), 5.0, SHARES), (20.0, 90.0));
        assert_eq!(widened((50.0, 50.0), 5.0, SHARES), (47.5, 52.5));
        assert_eq!(widened((100.0, 100.0), 5.0, SHARES), (95.0, 100.0));
        assert_eq!(widened((0.0, 1.0), 5.0, SHARES), (0.0, 5.0));
        assert_eq!(widened((0.0, 0.0), 0.0, (0.0, f64::INFINITY)), (0.0, 1.0));
    }

    #[test]
    fn labels_of_equal_curves_do_not_overlap() {
        let series = |name| Series { name, color: "#000000", points: vec![(1.0, 50.0), (2.0, 80.0)] };
        let panel = Panel {
            left: 0.0,
            title: "Accuracy (%)",
            limits: SHARES,
            least_span: 5.0,
            write_value: |value| format!("{value:.1}"),
            series: vec![series("train"), series("validation"), series("test")],
        };
        let drawing = panel.draw((0.0, 2.0));
        let mut heights: Vec<f64> = drawing
            .lines()
            .filter(|line| line.contains("<tspan"))
            .filter_map(|line| line.split('"').nth(3)?.parse().ok())
            .collect();
        heights.sort_by(f64::total_cmp);
        assert_eq!(heights.len(), 3);
        assert!(heights.is_sorted_by(|above, below| below - above >= LABEL_SPACING - 0.01));
    }
}
