//! The program of a model as a picture: an SVG, or text for Graphviz.
//!
//! Each operation is a box with its output, its column and the parameters it reads. They stand in rows by level: those of one
//! row could run side by side. Thin lines are values that the backward pass reads again.

use connectome::systems::program::{Column, Operation, Pass, Plan, Value};
use std::{collections::BTreeMap, fmt::Write};

use super::program::{parameters, value};

/// What boxes stand for, and their color.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Input,
    /// What passes between the models of a mixture.
    Mixture,
    Forward,
    Loss,
    Backward,
}

impl Kind {
    fn color(self) -> &'static str {
        match self {
            Self::Input => "#eeeeee",
            Self::Mixture => "#ece2f6",
            Self::Forward => "#dcebf9",
            Self::Loss => "#f9e6cf",
            Self::Backward => "#e4f2dd",
        }
    }
}

struct Box {
    kind: Kind,
    lines: Vec<String>,
    level: usize,
}

/// A value that goes from one box to another.
struct Line {
    from: usize,
    to: usize,
    /// Whether it is kept for the backward pass.
    is_kept: bool,
}

#[derive(Default)]
struct Drawing {
    boxes: Vec<Box>,
    lines: Vec<Line>,
}

/// Where values come from: the box of each by the number of the value; and the box of the first inputs, how many these are.
#[derive(Clone, Default)]
struct Sources {
    boxes: BTreeMap<usize, usize>,
    given: Option<(usize, usize)>,
}

impl Drawing {
    /// Of models of which the last one reads what those before predict, if there are any: first a gate, and then experts.
    fn of(parts: &[(String, Plan)]) -> Self {
        let (mut drawing, mut sources) = (Self::default(), vec![Sources::default(); parts.len()]);
        let Some(((_, model), others)) = parts.split_last() else { return drawing };
        let last = others.len();
        let output = |plan: &Plan| plan.program().heads()[0].output;
        if let Some(((_, gate), experts)) = others.split_first() {
            drawing.pass(gate, Pass::Forward, 1, &mut sources[0]);
            let level = drawing.depth();
            for (number, (title, expert)) in (1..).zip(experts) {
                let rows = drawing.add(Kind::Mixture, vec![format!("rows of {title}")], level);
                drawing.connect(&sources[0], output(gate), rows);
                sources[number].given = Some((rows, usize::MAX));
                drawing.pass(expert, Pass::Forward, level + 1, &mut sources[number]);
            }
            let mixed = drawing.add(Kind::Mixture, vec!["sum by weights".to_owned()], drawing.depth());
            for ((_, plan), sources) in others.iter().zip(&sources) {
                drawing.connect(sources, output(plan), mixed);
            }
            sources[last].given = Some((mixed, 1));
        }
        drawing.pass(model, Pass::Forward, drawing.depth(), &mut sources[last]);
        if model.operations(Pass::Backward).is_empty() {
            return drawing;
        }
        let loss = drawing.add(Kind::Loss, vec!["loss".to_owned()], drawing.depth());
        for head in model.program().heads() {
            drawing.connect(&sources[last], head.output, loss);
        }
        drawing.backward(model, loss, &mut sources[last]);
        if !others.is_empty() {
            let from = drawing.boxes.len() - 1;
            let gradients = drawing.add(Kind::Loss, vec!["gradients of outputs, weights".to_owned()], drawing.depth());
            drawing.lines.push(Line { from, to: gradients, is_kept: false });
            for ((_, plan), sources) in others.iter().zip(&mut sources) {
                drawing.backward(plan, gradients, sources);
            }
        }
        drawing
    }

    /// The backward pass of a model, which follows a box.
    fn backward(&mut self, plan: &Plan, after: usize, sources: &mut Sources) {
        // What the forward pass does not write of what the backward pass reads comes from there.
        for value in plan.operations(Pass::Backward).iter().flat_map(|operation| &operation.inputs) {
            if matches!(plan.column(*value), Some(Column::Layout(_))) {
                sources.boxes.entry(value.id()).or_insert(after);
            }
        }
        for operation in plan.operations(Pass::Backward) {
            operation.outputs.iter().for_each(|output| _ = sources.boxes.remove(&output.id()));
        }
        self.pass(plan, Pass::Backward, self.boxes[after].level + 1, sources);
    }

    fn pass(&mut self, plan: &Plan, pass: Pass, first: usize, sources: &mut Sources) {
        let kind = if pass == Pass::Forward { Kind::Forward } else { Kind::Backward };
        for (operation, level) in plan.operations(pass).iter().zip(plan.levels(pass)) {
            let to = self.add(kind, lines(plan, operation), first + level);
            for read in operation.inputs.iter().chain(&operation.in_place_of) {
                if let (Some(Column::Input(input)), false) =
                    (plan.column(*read), sources.boxes.contains_key(&read.id()))
                {
                    let given = sources.given.filter(|(_, count)| input < *count).map(|(given, _)| given);
                    let from = given.unwrap_or_else(|| self.add(Kind::Input, vec![value(plan, *read)], 0));
                    sources.boxes.insert(read.id(), from);
                }
                self.connect(sources, *read, to);
            }
            operation.outputs.iter().for_each(|output| _ = sources.boxes.insert(output.id(), to));
        }
    }

    fn add(&mut self, kind: Kind, lines: Vec<String>, level: usize) -> usize {
        self.boxes.push(Box { kind, lines, level });
        self.boxes.len() - 1
    }

    fn connect(&mut self, sources: &Sources, value: Value, to: usize) {
        let Some(from) = sources.boxes.get(&value.id()).copied() else { return };
        if self.lines.iter().rev().take_while(|line| line.to == to).any(|line| line.from == from) {
            return;
        }
        let is_kept = self.boxes[to].kind == Kind::Backward
            && matches!(self.boxes[from].kind, Kind::Forward | Kind::Input | Kind::Mixture);
        self.lines.push(Line { from, to, is_kept });
    }

    fn depth(&self) -> usize {
        self.boxes.iter().map(|shown| shown.level + 1).max().unwrap_or(1)
    }

    /// The boxes of each level, from left to right: each near those that it reads from.
    fn rows(&self) -> Vec<Vec<usize>> {
        let mut rows = vec![Vec::new(); self.depth()];
        (0..self.boxes.len()).for_each(|number| rows[self.boxes[number].level].push(number));
        let mut sources = vec![Vec::new(); self.boxes.len()];
        self.lines.iter().filter(|line| !line.is_kept).for_each(|line| sources[line.to].push(line.from));
        let mut place = vec![0.0; self.boxes.len()];
        for row in &mut rows {
            let wish = |number: usize| {
                let sum: f64 = sources[number].iter().map(|source| place[*source]).sum();
                sum / sources[number].len().max(1) as f64
            };
            row.sort_by(|one, other| wish(*one).total_cmp(&wish(*other)));
            let middle = (row.len() as f64 - 1.0) / 2.0;
            row.iter().enumerate().for_each(|(number, shown)| place[*shown] = number as f64 - middle);
        }
        rows
    }
}

/// What stands in the box of an operation.
fn lines(plan: &Plan, operation: &Operation) -> Vec<String> {
    let mut lines = vec![operation.operator.describe()];
    lines.extend(operation.outputs.iter().map(|output| value(plan, *output)));
    lines.push(parameters(plan, operation));
    lines.retain(|line| !line.is_empty());
    lines
}

/// For Graphviz: `dot -Tsvg`.
pub fn dot(parts: &[(String, Plan)]) -> String {
    let drawing = Drawing::of(parts);
    let mut text = "digraph program {\n  node [shape=box, style=filled, fontname=\"sans-serif\"];\n".to_owned();
    for (number, Box { kind, lines, .. }) in drawing.boxes.iter().enumerate() {
        let label = lines.join("\\n").replace('"', "'");
        _ = writeln!(text, "  b{number} [label=\"{label}\", fillcolor=\"{}\"];", kind.color());
    }
    for row in drawing.rows() {
        let names: String = row.iter().map(|number| format!(" b{number};")).collect();
        _ = writeln!(text, "  {{ rank=same;{names} }}");
    }
    for Line { from, to, is_kept } in &drawing.lines {
        let style = if *is_kept { " [style=dashed, color=gray, constraint=false]" } else { "" };
        _ = writeln!(text, "  b{from} -> b{to}{style};");
    }
    text.push_str("}\n");
    text
}

const LINE: f64 = 16.0;
const LETTER: f64 = 6.6;
const GAP: [f64; 2] = [28.0, 40.0];
const MARGIN: f64 = 24.0;

/// Where a box is: left, top, width, height.
#[derive(Clone, Copy, Default)]
struct Place {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Place {
    fn middle(self) -> f64 {
        self.x + self.width / 2.0
    }
}

/// A picture by itself.
pub fn svg(parts: &[(String, Plan)]) -> String {
    let drawing = Drawing::of(parts);
    let (places, [width, height]) = places(&drawing);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
        font-family=\"monospace\" font-size=\"11\">\n\
        <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
        orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n\
        <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for line in &drawing.lines {
        _ = writeln!(text, "{}", curve(line, &drawing, &places));
    }
    for (Box { kind, lines, .. }, place) in drawing.boxes.iter().zip(&places) {
        let Place { x, y, width, height } = *place;
        let color = kind.color();
        _ = writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\" fill=\"{color}\" \
            stroke=\"#777\"/>"
        );
        for (number, line) in lines.iter().enumerate() {
            let (x, y) = (place.middle(), y + LINE * (number as f64 + 0.9));
            let weight = if number == 0 { " font-weight=\"bold\"" } else { "" };
            let line = line.replace('&', "&amp;").replace('<', "&lt;");
            _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\"{weight}>{line}</text>");
        }
    }
    text.push_str("</svg>\n");
    text
}

/// The places of the boxes, and how large the picture is.
fn places(drawing: &Drawing) -> (Vec<Place>, [f64; 2]) {
    let size = |number: usize| {
        let lines = &drawing.boxes[number].lines;
        let letters = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        [letters as f64 * LETTER + 14.0, lines.len() as f64 * LINE + 6.0]
    };
    let rows = drawing.rows();
    let row_width = |row: &[usize]| row.iter().map(|number| size(*number)[0] + GAP[0]).sum::<f64>() - GAP[0];
    let widest = rows.iter().map(|row| row_width(row)).fold(0.0, f64::max);
    let mut places = vec![Place::default(); drawing.boxes.len()];
    let mut y = MARGIN;
    for row in &rows {
        let mut x = MARGIN + (widest - row_width(row)) / 2.0;
        let tallest = row.iter().map(|number| size(*number)[1]).fold(0.0, f64::max);
        for number in row {
            let [width, height] = size(*number);
            places[*number] = Place { x, y, width, height };
            x += width + GAP[0];
        }
        y += tallest + GAP[1];
    }
    // Lines that go past boxes do so beside them.
    let beside = drawing.lines.iter().any(|line| line.is_kept);
    (places, [widest + 2.0 * MARGIN + if beside { SIDE } else { 0.0 }, y - GAP[1] + MARGIN])
}

/// Room to the right of all boxes, for what is kept.
const SIDE: f64 = 120.0;

fn curve(line: &Line, drawing: &Drawing, places: &[Place]) -> String {
    let [from, to] = [places[line.from], places[line.to]];
    if line.is_kept {
        // From the right edge of one box to that of the other; the farther, the farther out.
        let right = places.iter().map(|place| place.x + place.width).fold(0.0, f64::max);
        let levels = drawing.boxes[line.to].level - drawing.boxes[line.from].level;
        let share = levels as f64 / drawing.depth() as f64;
        let [x1, y1, x2, y2] =
            [from.x + from.width, from.y + from.height / 2.0, to.x + to.width, to.y + to.height / 2.0];
        let out = right + SIDE * (0.2 + share);
        return format!(
            "<path d=\"M{x1:.1} {y1:.1}C{out:.1} {y1:.1} {out:.1} {y2:.1} {x2:.1} {y2:.1}\" fill=\"none\" \
            stroke=\"#aaa\" stroke-width=\"0.8\" stroke-dasharray=\"4 3\" marker-end=\"url(#tip)\"/>"
        );
    }
    let [x1, y1, x2, y2] = [from.middle(), from.y + from.height, to.middle(), to.y];
    let bend = (y2 - y1) / 2.0;
    let [first, second] = [y1 + bend, y2 - bend];
    format!(
        "<path d=\"M{x1:.1} {y1:.1}C{x1:.1} {first:.1} {x2:.1} {second:.1} {x2:.1} {y2:.1}\" fill=\"none\" \
        stroke=\"#555\" marker-end=\"url(#tip)\"/>"
    )
}
