//! Draws the flock as an SVG: two panels, in which each agent is an arrowhead with the color of its heading.

use glam::Vec2;
use std::{
    collections::BTreeSet,
    f32::consts::TAU,
    fmt::{Result, Write},
};

/// Agents and edges at one moment.
pub(crate) struct Snapshot {
    /// Position and velocity of each agent.
    pub(crate) agents: Vec<(Vec2, Vec2)>,
    /// Position of an agent, and from there to the one it sees.
    pub(crate) edges: Vec<(Vec2, Vec2)>,
}

/// The side of a panel, the space between the two, and the height of a caption, in pixels.
const PANEL: f32 = 380.0;
const GAP: f32 = 20.0;
const CAPTION: f32 = 30.0;
/// Headings of one color.
const COLORS: usize = 16;

/// The picture follows the reader's choice of a light or dark page.
const STYLE: &str = "text{font:15px system-ui,sans-serif;text-anchor:middle;fill:#57606a}\
    rect{fill:#fff;stroke:#d0d7de}.e{fill:none;stroke:#57606a;stroke-opacity:.28;stroke-width:.6}\
    @media(prefers-color-scheme:dark){text{fill:#9198a1}rect{fill:#0d1117;stroke:#3d444d}.e{stroke:#9198a1}}";

/// Two snapshots of a square world of this side, each with a caption below.
pub(crate) fn svg(side: f32, panels: [(&str, &Snapshot); 2]) -> std::result::Result<String, core::fmt::Error> {
    let (width, height) = (2.0 * PANEL + GAP, PANEL + CAPTION);
    let mut svg = String::new();
    writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">"#)?;
    let [(before, _), (after, _)] = panels;
    writeln!(svg, "<title>A flock. Left: {before}. Right: {after}.</title>\n<style>{STYLE}</style>")?;
    for ((caption, snapshot), left) in panels.into_iter().zip([0.0, PANEL + GAP]) {
        // A nested svg cuts off what flies across the border.
        writeln!(svg, r#"<svg x="{left}" width="{PANEL}" height="{PANEL}">"#)?;
        let inner = PANEL - 1.0;
        writeln!(svg, r#"<rect x=".5" y=".5" width="{inner}" height="{inner}" rx="8"/>"#)?;
        edges(&mut svg, snapshot, PANEL / side)?;
        agents(&mut svg, snapshot, PANEL / side)?;
        let (middle, baseline) = (left + PANEL / 2.0, PANEL + 0.75 * CAPTION);
        writeln!(svg, "</svg>\n<text x=\"{middle}\" y=\"{baseline}\">{caption}</text>")?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

/// A position in pixels; the world's second axis points upward.
fn pixel(position: Vec2, scale: f32) -> Vec2 {
    Vec2::new(scale * position.x, PANEL - scale * position.y)
}

/// All edges as one path, those between two agents that see each other once.
fn edges(svg: &mut String, snapshot: &Snapshot, scale: f32) -> Result {
    let mut drawn = BTreeSet::new();
    write!(svg, r#"<path class="e" d=""#)?;
    for (position, way) in &snapshot.edges {
        let [from, to] = [*position, *position + *way].map(|end| pixel(end, scale).round().as_ivec2());
        let ends = [from.to_array(), to.to_array()];
        if from != to && drawn.insert([ends[0].min(ends[1]), ends[0].max(ends[1])]) {
            let way = to - from;
            write!(svg, "M{} {}l{} {}", from.x, from.y, way.x, way.y)?;
        }
    }
    writeln!(svg, r#""/>"#)
}

/// The arrowheads, those of one color as one path.
fn agents(svg: &mut String, snapshot: &Snapshot, scale: f32) -> Result {
    let color = |velocity: Vec2| (velocity.to_angle().rem_euclid(TAU) / TAU * COLORS as f32) as usize % COLORS;
    for hue in 0..COLORS {
        let mut agents = snapshot.agents.iter().filter(|(_, velocity)| color(*velocity) == hue).peekable();
        if agents.peek().is_none() {
            continue;
        }
        write!(svg, r#"<path fill="hsl({} 72% 50%)" d=""#, 360 * hue / COLORS)?;
        for (position, velocity) in agents {
            let forward = velocity.normalize_or(Vec2::X) * Vec2::new(1.0, -1.0);
            let (tip, sideways) = (pixel(*position, scale) + 7.0 * forward, 3.6 * forward.perp());
            let [left, notch, right] = [sideways - 12.0 * forward, 3.0 * forward - sideways, -3.0 * forward - sideways];
            write!(svg, "M{:.0} {:.0}", tip.x, tip.y)?;
            for corner in [left, notch, right] {
                write!(svg, "l{:.1} {:.1}", corner.x, corner.y)?;
            }
            svg.push('z');
        }
        writeln!(svg, r#""/>"#)?;
    }
    Ok(())
}
