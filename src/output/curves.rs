//! A picture of a training run, to be looked at in a browser or put into a README.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::measures::{LOAD, SPECIALIZATION};
use super::{EpochReport, MetricFormat};
use crate::components::Split;

/// The values of one metric on one split over the epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What is measured, as it is written above the panel.
    pub metric: String,
    /// Where it is measured, as it is written in the legend.
    pub split: String,
    /// Epochs, rising, and the values measured in them.
    pub values: Vec<(u64, f64)>,
}

/// Colors by splits, in the order in which splits come up: the palette of Okabe and Ito, which color-blind readers tell
/// apart, on white paper.
const COLORS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xe6, 0x9f, 0x00),
];
const TEXT: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FAINT: RGBColor = RGBColor(0x8c, 0x8c, 0x8c);
const GRID: RGBColor = RGBColor(0xe8, 0xe8, 0xe8);
const FONT: &str = "Helvetica, Arial, Liberation Sans, sans-serif";

/// Characters of the title, and of the names of metrics and splits, that fit into the picture.
const TITLE_LENGTH: usize = 96;
const METRIC_LENGTH: usize = 40;
const SPLIT_LENGTH: usize = 12;

/// plotters places everything by whole pixels, which would show as steps in a curve: it draws at four times the size, and
/// the picture is shown at a quarter.
const SCALE: u32 = 4;

/// Sizes in the picture as it is shown.
const WIDTH: u32 = 960;
const TITLE_HEIGHT: u32 = 48;
const PANEL_HEIGHT: u32 = 352;
const LEGEND_WIDTH: u32 = 152;

/// Panels of a run; three rows can be taken in at a glance.
const PANELS: usize = 6;

/// Stretches a long curve is cut into; two points of each are kept.
const STRETCHES: usize = 500;

/// What is larger is not drawn: twice the number must be finite.
const LARGEST: f64 = 1e300;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

impl Curve {
    /// The curves of a run: those of the loss, of the first metric of each head, of how the experts of a mixture are used in
    /// training, and of all others, up to six. Fractions are in percent. A metric whose values are those of another one is left
    /// out.
    #[must_use]
    pub fn from_reports(reports: &[EpochReport]) -> Vec<Self> {
        let measured = || reports.iter().flat_map(|report| report.metrics.iter()).map(|(_, name, _)| name);
        let first = reports.last().map_or_else(Vec::new, |report| report.metrics.main_metrics());
        let mut panels: Vec<Vec<Self>> = Vec::new();
        let is_of_experts = |name: &&str| name.starts_with(LOAD) || *name == SPECIALIZATION;
        let of_experts = measured().filter(is_of_experts);
        for name in distinct(std::iter::once("loss").chain(first).chain(of_experts).chain(measured())) {
            let curves = match name.strip_prefix(LOAD) {
                Some("0") => Self::of_experts(reports),
                Some(_) => continue,
                None => Self::of_metric(name, reports),
            };
            let repeats = |shown: &Vec<Self>| curves.iter().all(|new| shown.iter().any(|old| old.has_values_of(new)));
            if panels.len() < PANELS && !panels.iter().any(repeats) {
                panels.push(curves);
            }
        }
        panels.concat()
    }

    /// The curves of a metric, one for each split on which it was measured.
    fn of_metric(name: &str, reports: &[EpochReport]) -> Vec<Self> {
        let MetricFormat { label: mut metric, is_fraction } = MetricFormat::of(name);
        if let Some(first) = metric.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let factor = if is_fraction { 100.0 } else { 1.0 };
        metric.push_str(if is_fraction { " (%)" } else { "" });
        let curve = |split: Split| {
            let value = |report: &EpochReport| Some((report.epoch, factor * report.get(split, name)?));
            let values: Vec<_> = reports.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| Self { metric: metric.clone(), split: split.name().to_owned(), values })
        };
        Split::MEASURED.into_iter().filter_map(curve).collect()
    }

    /// The curves of the loads of experts in training, one for each.
    fn of_experts(reports: &[EpochReport]) -> Vec<Self> {
        let curve = |expert: usize| {
            let name = format!("{LOAD}{expert}");
            let value = |report: &EpochReport| Some((report.epoch, 100.0 * report.get(Split::Train, &name)?));
            let values: Vec<_> = reports.iter().filter_map(value).collect();
            let split = format!("expert {expert}");
            (!values.is_empty()).then(|| Self { metric: "Loads in training (%)".to_owned(), split, values })
        };
        (0..).map_while(curve).collect()
    }

    fn has_values_of(&self, other: &Self) -> bool {
        self.split == other.split && self.values == other.values
    }

    /// The points that can be drawn.
    fn points(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> {
        let points = self.values.iter().map(|&(epoch, value)| (epoch as f64, value));
        points.filter(|(_, value)| value.abs() <= LARGEST)
    }

    /// The point in the epoch `best`, or else the last.
    fn told(&self, best: Option<u64>) -> Option<(f64, f64)> {
        let of_best = self.points().find(|point| best.is_some_and(|best| best as f64 == point.0));
        of_best.or_else(|| self.points().next_back())
    }
}

/// Draws curves as an SVG picture, 960 wide, with a panel for each metric and two panels to a row.
///
/// A panel shows its metric over the epochs, with one curve for each split. `best` is the epoch whose parameters are kept:
/// it is marked, and the legend has the values in it; without it, the last ones. Values that are not finite are skipped.
/// A curve of more than a thousand points is thinned out and keeps its extremes. Where there are no values, the picture says so.
///
/// Names may hold any characters. Equal curves give equal bytes.
#[must_use]
pub fn training_curves(title: &str, curves: &[Curve], best: Option<u64>) -> String {
    let metrics = distinct(curves.iter().map(|curve| curve.metric.as_str()));
    let height = TITLE_HEIGHT + PANEL_HEIGHT * metrics.len().div_ceil(2).max(1) as u32;
    let mut picture = String::new();
    let area = SVGBackend::with_string(&mut picture, (WIDTH * SCALE, height * SCALE)).into_drawing_area();
    let drawn = draw(area, title, &metrics, curves, best);
    // A string takes all that is written to it.
    debug_assert!(drawn.is_ok(), "{drawn:?}");
    let size = |scale: u32| format!("width=\"{}\" height=\"{}\"", WIDTH * scale, height * scale);
    picture.replacen(&size(SCALE), &size(1), 1)
}

fn draw(area: Area, title: &str, metrics: &[&str], curves: &[Curve], best: Option<u64>) -> Drawn {
    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(pixels(TITLE_HEIGHT));
    head.draw_text(&legible(title, TITLE_LENGTH), &text(17.0, TEXT, HPos::Left, true), at(24, 28))?;
    if metrics.is_empty() {
        body.draw_text("no values yet", &text(12.0, FAINT, HPos::Center, false), at(WIDTH / 2, 168))?;
    }
    let splits = distinct(curves.iter().map(|curve| curve.split.as_str()));
    let epochs = epoch_range(curves);
    for (metric, panel) in metrics.iter().zip(body.split_evenly((metrics.len().div_ceil(2).max(1), 2))) {
        let curves: Vec<(&Curve, RGBColor)> = curves
            .iter()
            .filter(|curve| curve.metric == *metric)
            .map(|curve| (curve, splits.iter().position(|split| *split == curve.split).unwrap_or(0)))
            .map(|(curve, split)| (curve, COLORS[split % COLORS.len()]))
            .collect();
        panel.draw_text(&legible(metric, METRIC_LENGTH), &text(13.0, TEXT, HPos::Left, true), at(24, 10))?;
        draw_panel(&panel, epochs.clone(), &curves, best)?;
    }
    area.present()
}

fn draw_panel(panel: &Area, epochs: Range<f64>, curves: &[(&Curve, RGBColor)], best: Option<u64>) -> Drawn {
    let values = value_range(curves);
    let mut chart = ChartBuilder::on(panel)
        .margin_left(pixels(12))
        .margin_top(pixels(40))
        .margin_right(pixels(LEGEND_WIDTH))
        .margin_bottom(pixels(14))
        .x_label_area_size(pixels(42))
        .y_label_area_size(pixels(48))
        .build_cartesian_2d(epochs.clone(), values.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        // Epochs are whole numbers.
        .x_labels((epochs.end - epochs.start + 1.0).min(6.0) as usize)
        .y_labels(6)
        .x_label_formatter(&|epoch| number(*epoch, 6))
        .y_label_formatter(&|value| number(*value, 6))
        .x_desc("epoch")
        .set_all_tick_mark_size(pixels(4))
        .axis_desc_style(font(12.0).color(&TEXT))
        .label_style(font(12.0).color(&TEXT))
        .axis_style(FAINT.stroke_width(SCALE))
        .bold_line_style(GRID.stroke_width(SCALE))
        .light_line_style(TRANSPARENT)
        .draw()?;
    if let Some(best) = best.map(|best| best as f64).filter(|best| (epochs.start..=epochs.end).contains(best)) {
        chart.draw_series([PathElement::new([(best, values.start), (best, values.end)], FAINT.stroke_width(SCALE))])?;
        let side = match (best - epochs.start) / (epochs.end - epochs.start) {
            ..0.2 => HPos::Left,
            0.8.. => HPos::Right,
            _ => HPos::Center,
        };
        let style = text(11.0, FAINT, side, false);
        chart.draw_series([Text::new(
            format!("best epoch {best}"),
            (best, values.end),
            style.pos(Pos::new(side, VPos::Bottom)),
        )])?;
    }
    for (row, (curve, color)) in curves.iter().enumerate() {
        let Some(told) = curve.told(best) else { continue };
        chart.draw_series([PathElement::new(thinned(curve.points().collect()), color.stroke_width(3 * SCALE / 2))])?;
        chart.draw_series([Circle::new(told, 3 * SCALE, color.filled())])?;
        let (x, y) = at(WIDTH / 2 - LEGEND_WIDTH + 14, 50 + 18 * row as u32);
        panel.draw(&PathElement::new([(x, y), (x + pixels(14), y)], color.stroke_width(3 * SCALE)))?;
        let entry = format!("{} {}", legible(&curve.split, SPLIT_LENGTH), number(told.1, 3));
        panel.draw_text(&entry, &text(12.0, TEXT, HPos::Left, false), (x + pixels(20), y))?;
    }
    if curves.iter().all(|(curve, _)| curve.told(best).is_none()) {
        panel.draw_text("no values yet", &text(12.0, FAINT, HPos::Center, false), at(202, 168))?;
    }
    Ok(())
}

/// The first and the last epoch to be shown; a run from the start is shown from 0.
fn epoch_range(curves: &[Curve]) -> Range<f64> {
    let epochs = || curves.iter().flat_map(Curve::points).map(|point| point.0);
    let last = epochs().fold(1.0, f64::max);
    let first = epochs().fold(last, f64::min);
    let is_from_the_start = first <= 1.0 + last / 20.0;
    let start = if is_from_the_start { 0.0 } else { first };
    start.min(last - (last / 1000.0).max(1.0))..last
}

/// The lowest and the highest value to be shown, with some air.
fn value_range(curves: &[(&Curve, RGBColor)]) -> Range<f64> {
    let values = || curves.iter().flat_map(|(curve, _)| curve.points()).map(|point| point.1);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return 0.0..1.0;
    }
    // A line that is as good as level would have ticks with long numbers.
    let magnitude = low.abs().max(high.abs());
    let span = if high - low > magnitude / 1000.0 { high - low } else { magnitude };
    let air = if span == 0.0 { 1.0 } else { span / 20.0 };
    // Measures that are never negative are not shown as if they were.
    let bottom = if low < 0.0 { low - air } else { (low - air).max(0.0) };
    bottom..high + air
}

/// Keeps the shape of a long curve: the lowest and the highest point of each stretch.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= 2 * STRETCHES {
        return points;
    }
    let extremes = |stretch: &[(f64, f64)]| {
        let by_value = |left: &&(f64, f64), right: &&(f64, f64)| left.1.total_cmp(&right.1);
        let lowest = stretch.iter().min_by(by_value).copied();
        let highest = stretch.iter().max_by(by_value).copied();
        if lowest.map(|it| it.0) < highest.map(|it| it.0) { [lowest, highest] } else { [highest, lowest] }
    };
    points.chunks(points.len().div_ceil(STRETCHES)).flat_map(extremes).flatten().collect()
}

/// Each name once, in the order in which they come up.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// A number with so many significant digits, without zeros at its end; very large and very small ones with an exponent.
fn number(value: f64, digits: usize) -> String {
    let rounded: f64 = format!("{value:.*e}", digits - 1).parse().unwrap_or(value);
    // Adding zero turns minus zero into zero.
    let written = format!("{:?}", rounded + 0.0);
    written.strip_suffix(".0").unwrap_or(&written).to_owned()
}

/// As much of a name as fits, without characters that XML cannot hold.
fn legible(name: &str, length: usize) -> String {
    let harmless = |character: char| match character {
        '\t' | '\n' | '\r' => ' ',
        '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        _ => character,
    };
    match name.char_indices().nth(length) {
        None => name.chars().map(harmless).collect(),
        Some(_) => name.chars().take(length - 1).map(harmless).chain(['…']).collect(),
    }
}

fn pixels(length: u32) -> i32 {
    (length * SCALE) as i32
}

fn at(x: u32, y: u32) -> (i32, i32) {
    (pixels(x), pixels(y))
}

/// plotters divides the size of a font by 1.24 in an SVG.
fn font(size: f64) -> FontDesc<'static> {
    (FONT, size * 1.24 * f64::from(SCALE)).into_font()
}

fn text(size: f64, color: RGBColor, side: HPos, is_bold: bool) -> TextStyle<'static> {
    let font = if is_bold { font(size).style(FontStyle::Bold) } else { font(size) };
    font.color(&color).pos(Pos::new(side, VPos::Center))
}

#[cfg(test)]
mod tests;
