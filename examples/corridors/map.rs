//! Dungeons as they are drawn: which rooms there are, of which kinds, and where walls stand.

use connectome::systems::random::{Philox, RandomStream};
use std::collections::BTreeSet;

use super::Room;

/// Kinds of rooms.
pub(crate) const KINDS: usize = 3;

/// The place beside one: to the east, south, west and north, as columns and rows.
pub(crate) fn beside([x, y]: [i32; 2], side: usize) -> [i32; 2] {
    let [right, down] = [[1, 0], [0, 1], [-1, 0], [0, -1]][side];
    [x + right, y + down]
}

pub(crate) fn opposite(side: usize) -> usize {
    (side + 2) % 4
}

/// A dungeon of some width and height without one of its corners.
pub(crate) struct Map {
    size: [i32; 2],
    corner: [i32; 2],
    /// By how many kinds a room differs from that to the west and from that to the north, and the first kind.
    pattern: [i32; 3],
    lost: BTreeSet<[i32; 2]>,
}

impl Map {
    /// A dungeon of about this size, and what is lost of it: places that touch each other, without the outer walls.
    pub(crate) fn draw(number: u32, [width, height]: [i32; 2]) -> Self {
        let mut random = RandomStream::new(Philox::new(3, 0, number.into()));
        let mut below = |count: i32| random.below(count.max(1) as u64) as i32;
        let size = [width + below(3) - 1, height + below(3) - 1];
        let corner = [below(width / 2), below(height / 2)];
        let pattern = [1 + below(2), 1 + below(2), below(KINDS as i32)];
        let mut map = Self { size, corner, pattern, lost: BTreeSet::new() };
        let is_inner = |at: &[i32; 2]| (0..4).all(|side| map.has_room(beside(*at, side)));
        let mut inner: Vec<[i32; 2]> = map.places().filter(is_inner).collect();
        let count = (2 + below(inner.len() as i32 / 2)) as usize;
        while map.lost.len() < count {
            let touches = |at: [i32; 2]| map.lost.is_empty() || (0..4).any(|side| map.is_lost(beside(at, side)));
            let border: Vec<usize> = (0..inner.len()).filter(|index| touches(inner[*index])).collect();
            if border.is_empty() {
                break;
            }
            let next = inner.swap_remove(border[below(border.len() as i32) as usize]);
            map.lost.insert(next);
            // What is cut off from all others can know nothing of the pattern.
            if !map.is_connected() {
                map.lost.remove(&next);
            }
        }
        map
    }

    /// Whether corridors join all rooms that are left.
    fn is_connected(&self) -> bool {
        let left: Vec<[i32; 2]> = self.places().filter(|at| !self.is_lost(*at)).collect();
        let mut found: BTreeSet<[i32; 2]> = left.first().copied().into_iter().collect();
        let mut path: Vec<[i32; 2]> = found.iter().copied().collect();
        while let Some(at) = path.pop() {
            let doors = (0..4).filter(|side| self.behind(at, *side).is_some());
            let others = doors.map(|side| beside(at, side)).filter(|other| !self.is_lost(*other));
            path.extend(others.filter(|other| found.insert(*other)));
        }
        found.len() == left.len()
    }

    /// The places of all rooms, row by row.
    pub(crate) fn places(&self) -> impl Iterator<Item = [i32; 2]> {
        let [width, height] = self.size;
        let all = (0..height).flat_map(move |y| (0..width).map(move |x| [x, y]));
        all.filter(|at| self.has_room(*at))
    }

    pub(crate) fn is_lost(&self, at: [i32; 2]) -> bool {
        self.lost.contains(&at)
    }

    fn has_room(&self, at: [i32; 2]) -> bool {
        (0..2).all(|axis| (0..self.size[axis]).contains(&at[axis])) && (0..2).any(|axis| at[axis] >= self.corner[axis])
    }

    fn kind(&self, [x, y]: [i32; 2]) -> usize {
        let [east, south, first] = self.pattern;
        (east * x + south * y + first).rem_euclid(KINDS as i32) as usize
    }

    /// The kind of the room behind a side; none behind a wall. To the east of rooms of the last kind there is one.
    pub(crate) fn behind(&self, at: [i32; 2], side: usize) -> Option<usize> {
        let other = beside(at, side);
        let has_wall = match side {
            0 => self.kind(at) == KINDS - 1,
            2 => self.kind(other) == KINDS - 1,
            _ => false,
        };
        (self.has_room(other) && !has_wall).then(|| self.kind(other))
    }

    /// A room as it was.
    pub(crate) fn room(&self, at: [i32; 2]) -> Room {
        let mut room = Room::of_kind(self.kind(at));
        for side in 0..4 {
            let parts = if self.behind(at, side).is_some() { &mut room.doors } else { &mut room.walls };
            parts[side] = 1.0;
        }
        room
    }
}
