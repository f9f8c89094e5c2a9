//! A graph as an SVG.

use std::fmt::Write;

use super::{
    Shown,
    layout::{GAP, HEIGHT, Layout},
};

/// The colors of relations that lead from children to parents, and of the others in turn.
const TREE: &str = "#888888";
const COLORS: [&str; 6] = ["#bbbbbb", "#d95f02", "#1b7cb8", "#7a3fb0", "#2a8f3c", "#c0392b"];

/// The colors of boxes: of inner nodes, leaves, and nodes beside a tree.
const INNER: &str = "#dcebf9";
const LEAF: &str = "#f5f5f5";
const BESIDE: &str = "#f9e6cf";

/// The color of the arrow between two graphs.
const ARROW: &str = "#555555";

const MARGIN: f64 = 24.0;

/// The height of a line of the legend.
const LEGEND: f64 = 18.0;

/// The letters of a label that are shown.
const MAX_LETTERS: usize = 28;

/// Between a graph and what it becomes, for an arrow.
const BETWEEN: f64 = 64.0;

/// A picture by itself, the same for the same graph.
pub fn svg(graph: &Shown) -> String {
    let panel = Panel::of(graph, true);
    page(panel.size, &panel.text)
}

/// Graphs before and after, each pair in a row with an arrow from one to the other.
pub fn svg_of_pairs(pairs: &[[Shown; 2]]) -> String {
    let rows: Vec<[Panel; 2]> = pairs.iter().map(|pair| [0, 1].map(|index| Panel::of(&pair[index], false))).collect();
    let left = rows.iter().map(|[before, _]| before.size[0]).fold(0.0, f64::max);
    let right = rows.iter().map(|[_, after]| after.size[0]).fold(0.0, f64::max);
    let mut text = format!(
        "<marker id=\"becomes\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
        orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{ARROW}\"/></marker>\n"
    );
    let mut top = 0.0;
    for row in &rows {
        let height = row.iter().map(|panel| panel.size[1]).fold(0.0, f64::max);
        for (panel, left) in row.iter().zip([0.0, left + BETWEEN]) {
            let down = top + (height - panel.size[1]) / 2.0;
            _ = writeln!(text, "<g transform=\"translate({left:.1} {down:.1})\">\n{}</g>", panel.text);
        }
        let middle = top + height / 2.0;
        _ = writeln!(
            text,
            "<path d=\"M{left:.1} {middle:.1}h{BETWEEN}\" stroke=\"{ARROW}\" stroke-width=\"2\" marker-end=\"url(#becomes)\"/>"
        );
        top += height;
    }
    page([left + BETWEEN + right, top], &text)
}

/// A whole SVG of this width and height.
fn page([width, height]: [f64; 2], content: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"monospace\" \
        font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{content}</svg>\n"
    )
}

/// A graph in a picture.
struct Panel {
    text: String,
    size: [f64; 2],
}

impl Panel {
    /// The graph, below a legend of its relations if it is to have one.
    fn of(graph: &Shown, has_legend: bool) -> Self {
        let labels: Vec<String> = graph.labels.iter().map(|label| shown_label(label)).collect();
        let widths: Vec<f64> = labels.iter().map(|label| width(label)).collect();
        let Layout { middles, is_beside } = Layout::of(graph, &widths);
        let counts = if has_legend { graph.counts() } else { Vec::new() };
        let least = if has_legend { 220.0 } else { 0.0 };
        let top = MARGIN + if has_legend { LEGEND * counts.len() as f64 + HEIGHT } else { HEIGHT / 2.0 };
        let middles: Vec<[f64; 2]> = middles.into_iter().map(|[x, y]| [x + MARGIN, y + top]).collect();
        let right = middles.iter().zip(&widths).map(|([x, _], width)| x + width / 2.0).fold(least, f64::max) + MARGIN;
        // Curves hang below the lowest boxes; trees have none.
        let below =
            if graph.relations.iter().all(|relation| relation.is_tree) { HEIGHT / 2.0 } else { HEIGHT + GAP[1] };
        let bottom = middles.iter().map(|[_, y]| y + below).fold(top, f64::max) + MARGIN;
        let mut text = String::new();
        for (relation, _) in graph.relations.iter().enumerate() {
            let color = color(graph, relation);
            _ = writeln!(
                text,
                "<marker id=\"tip{relation}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
            orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{color}\"/></marker>"
            );
        }
        // Trees are drawn over what goes across them.
        for is_tree in [false, true] {
            for edge in graph.edges.iter().filter(|edge| graph.relations[edge.relation].is_tree == is_tree) {
                let ends = edge.ends.map(|end| middles[end as usize]);
                let size = edge.ends.map(|end| widths[end as usize]);
                let path = if is_tree { line(ends) } else { curve(ends, size) };
                let tip = if graph.relations[edge.relation].is_directed && !is_tree {
                    format!(" marker-end=\"url(#tip{})\"", edge.relation)
                } else {
                    String::new()
                };
                let color = color(graph, edge.relation);
                _ = writeln!(text, "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\"{tip}/>");
            }
        }
        let mut is_inner = vec![false; middles.len()];
        let tree = graph.edges.iter().filter(|edge| graph.relations[edge.relation].is_tree);
        tree.for_each(|edge| is_inner[edge.ends[1] as usize] = true);
        for (node, (label, [x, y])) in labels.iter().zip(&middles).enumerate() {
            let fill = if is_beside[node] {
                BESIDE
            } else if is_inner[node] {
                INNER
            } else {
                LEAF
            };
            let (left, above) = (x - widths[node] / 2.0, y - HEIGHT / 2.0);
            let (width, baseline) = (widths[node], y + 4.0);
            _ = writeln!(
                text,
                "<rect x=\"{left:.1}\" y=\"{above:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"4\" fill=\"{fill}\" stroke=\"#777\"/>\
            <text x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"middle\">{}</text>",
                escape(label)
            );
        }
        let shown =
            (0..graph.relations.len()).filter(|relation| graph.edges.iter().any(|edge| edge.relation == *relation));
        for (number, (relation, (name, count))) in shown.zip(counts).enumerate() {
            let (y, color) = (MARGIN + LEGEND * number as f64, color(graph, relation));
            let name = escape(&shown_label(name));
            _ = writeln!(
                text,
                "<path d=\"M{MARGIN} {y}h24\" stroke=\"{color}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{}\">{name}: {count}</text>",
                MARGIN + 32.0,
                y + 4.0
            );
        }
        Self { text, size: [right, bottom] }
    }
}

fn color(graph: &Shown, relation: usize) -> &'static str {
    if graph.relations[relation].is_tree {
        return TREE;
    }
    let others = graph.relations[..relation].iter().filter(|relation| !relation.is_tree).count();
    COLORS[others % COLORS.len()]
}

/// From the top of a child to the bottom of its parent.
fn line([[x1, y1], [x2, y2]]: [[f64; 2]; 2]) -> String {
    format!("M{x1:.1} {:.1}L{x2:.1} {:.1}", y1 - HEIGHT / 2.0, y2 + HEIGHT / 2.0)
}

/// Straight to the next box of a row or a layer; below the boxes between others of a row.
fn curve([[x1, y1], [x2, y2]]: [[f64; 2]; 2], [width1, width2]: [f64; 2]) -> String {
    let half = HEIGHT / 2.0;
    if (y1 - y2).abs() > half {
        let (from, to) = if y1 < y2 { (y1 + half, y2 - half) } else { (y1 - half, y2 + half) };
        let bend = (to - from) / 2.0;
        return format!("M{x1:.1} {from:.1}C{x1:.1} {:.1} {x2:.1} {:.1} {x2:.1} {to:.1}", from + bend, to - bend);
    }
    let side = (x2 - x1).signum();
    let [start, end] = [x1 + side * width1 / 2.0, x2 - side * width2 / 2.0];
    if (end - start) * side > 0.0 && (end - start).abs() < 3.0 * GAP[0] {
        return format!("M{start:.1} {y1:.1}L{end:.1} {y2:.1}");
    }
    let low = y1 + half + GAP[1].min(8.0 + (x2 - x1).abs() / 16.0);
    format!("M{x1:.1} {:.1}C{x1:.1} {low:.1} {x2:.1} {low:.1} {x2:.1} {:.1}", y1 + half, y2 + half)
}

/// A label on one line: blanks are seen, and what cannot stand in an SVG is escaped.
fn shown_label(label: &str) -> String {
    let mut shown = String::new();
    for (number, letter) in label.chars().enumerate() {
        match letter {
            _ if number == MAX_LETTERS => {
                shown.push('…');
                break;
            }
            ' ' if label.trim().is_empty() => shown.push('␣'),
            '\n' => shown.push('⏎'),
            '\u{fffe}' | '\u{ffff}' => shown.extend(letter.escape_unicode()),
            _ if letter.is_control() => shown.extend(letter.escape_unicode()),
            _ => shown.push(letter),
        }
    }
    shown
}

fn width(label: &str) -> f64 {
    let letters = label.chars().map(|letter| if letter.is_ascii() { 6.7 } else { 11.0 });
    (letters.sum::<f64>() + 10.0).max(HEIGHT)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
