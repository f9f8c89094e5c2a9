//! Draws a dungeon: in letters, and before and after as an SVG.

use std::{
    collections::BTreeMap,
    fmt::{Result, Write},
};

use super::{
    Place, Room,
    map::{KINDS, beside},
};

type Rooms = BTreeMap<Place, Room>;

/// The pixels from a room to the next, the side of a room, and the height of a caption.
const STEP: i32 = 16;
const SIDE: i32 = 10;
const CAPTION: i32 = 26;

/// The picture follows the reader's choice of a light or dark page.
const STYLE: &str = "text{font:15px system-ui,sans-serif;text-anchor:middle;fill:#57606a}\
    .k0{fill:#1b7cb8}.k1{fill:#d95f02}.k2{fill:#2a8f3c}.n{stroke:#c0392b;stroke-width:1.6}\
    .c{fill:none;stroke:#8c959f;stroke-width:3}.w{fill:none;stroke:#57606a;stroke-width:1.4}\
    @media(prefers-color-scheme:dark){text{fill:#9198a1}.c{stroke:#57606a}.w{stroke:#9198a1}}";

fn kind(room: &Room) -> usize {
    room.kind.iter().position(|kind| *kind == 1.0).unwrap_or(0)
}

/// One more than the greatest column and row.
fn size(rooms: &Rooms) -> [i32; 2] {
    [0, 1].map(|axis| rooms.keys().map(|place| place.at[axis] + 1).max().unwrap_or(0))
}

/// A dungeon from above: rooms by their kinds, and corridors between them.
pub(crate) fn lines(rooms: &Rooms) -> Vec<String> {
    let [width, height] = size(rooms).map(|length| 2 * length as usize);
    let mut letters = vec![vec![' '; width]; height];
    for (place, room) in rooms {
        let [x, y] = place.at.map(|at| 2 * at as usize);
        letters[y][x] = ['●', '■', '◆'][kind(room)];
        for (side, line) in ['─', '│'].into_iter().enumerate().filter(|(side, _)| room.doors[*side] == 1.0) {
            letters[y + side][x + 1 - side] = line;
        }
    }
    letters.into_iter().map(|line| line.into_iter().collect()).collect()
}

/// A dungeon before and after; what is new has a frame.
pub(crate) fn svg([before, after]: [&Rooms; 2]) -> std::result::Result<String, core::fmt::Error> {
    let [width, height] = size(after).map(|length| STEP * length + STEP);
    let mut svg = String::new();
    let whole = [2 * width + STEP, height + CAPTION];
    writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img">"#, whole[0], whole[1])?;
    writeln!(svg, "<title>A dungeon with a hole, and mended.</title>\n<style>{STYLE}</style>")?;
    for (rooms, caption, left) in [(before, "before", 0), (after, "mended, tick by tick", width + STEP)] {
        writeln!(svg, r#"<g transform="translate({left} 0)">"#)?;
        panel(&mut svg, rooms, before)?;
        let [middle, baseline] = [width / 2, height + CAPTION * 3 / 4];
        writeln!(svg, "<text x=\"{middle}\" y=\"{baseline}\">{caption}</text>\n</g>")?;
    }
    writeln!(svg, "</svg>")?;
    Ok(svg)
}

fn panel(svg: &mut String, rooms: &Rooms, before: &Rooms) -> Result {
    let middle = |at: [i32; 2]| at.map(|at| STEP * at + STEP);
    let [mut corridors, mut walls] = [String::new(), String::new()];
    for (place, room) in rooms {
        let [x, y] = middle(place.at);
        for side in 0..4 {
            let [right, down] = beside([0, 0], side);
            if room.doors[side] == 1.0 {
                write!(corridors, "M{x} {y}l{} {}", STEP * right / 2, STEP * down / 2)?;
            }
            if room.walls[side] == 1.0 {
                let [x, y] = [x + STEP * right / 2, y + STEP * down / 2];
                let [along, across] = [STEP * down / 2, STEP * right / 2].map(i32::abs);
                write!(walls, "M{} {}l{} {}", x - along, y - across, 2 * along, 2 * across)?;
            }
        }
    }
    writeln!(svg, "<path class=\"c\" d=\"{corridors}\"/><path class=\"w\" d=\"{walls}\"/>")?;
    // All rooms of one kind as one path.
    for (number, is_new) in (0..KINDS).flat_map(|number| [(number, false), (number, true)]) {
        let of_kind = |(place, room): &(&Place, &Room)| kind(room) == number && before.contains_key(place) != is_new;
        write!(svg, r#"<path class="k{number}{}" d=""#, if is_new { " n" } else { "" })?;
        for (place, _) in rooms.iter().filter(of_kind) {
            let [x, y] = middle(place.at).map(|at| at - SIDE / 2);
            write!(svg, "M{x} {y}h{SIDE}v{SIDE}h-{SIDE}z")?;
        }
        writeln!(svg, "\"/>")?;
    }
    Ok(())
}
