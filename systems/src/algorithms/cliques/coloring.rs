//! Upper bounds on the size of cliques by partial colorings.

use super::bits::Bits;

/// A set of candidates that contains no clique of more nodes than it has colors.
///
/// Most of them have a color: a clique has at most one node of a color, because these are not adjacent. The others are
/// added without a color of their own, together with some classes that are part of a contradiction: a clique that
/// contains such a node has no node of one of these classes, so it has at most one node for each class still.
pub(super) struct Coloring<B> {
    /// The nodes of each color, without the classes of contradictions.
    classes: Vec<B>,
    /// For each class the nodes that are adjacent to the units so far.
    reduced: Vec<B>,
    /// Whether a single node of the class is left, which is a unit.
    is_unit: Vec<bool>,
    /// Nodes that are in a clique with the first of them and a node of each class, each with its class.
    units: Vec<(u32, u32)>,
    /// Whether a contradiction follows from a unit.
    is_reason: Vec<bool>,
}

impl<B> Default for Coloring<B> {
    fn default() -> Self {
        let (classes, reduced, is_unit, units, is_reason) = Default::default();
        Self { classes, reduced, is_unit, units, is_reason }
    }
}

/// The class of the first unit.
const NO_CLASS: u32 = u32::MAX;

impl<B: Bits> Coloring<B> {
    pub fn clear(&mut self) {
        self.classes.clear();
    }

    /// Adds nodes with a further color; no two of them are adjacent.
    #[inline(always)]
    pub fn push(&mut self, class: B) {
        self.classes.push(class);
    }

    /// Adds `member` without a further color, if it finds out how: if a color is free for it, or becomes free when the
    /// only neighbor with that color takes another one, or if there is a contradiction.
    ///
    /// `rows` are the neighbors of each node.
    #[inline(always)]
    pub fn absorb(&mut self, rows: &[B], member: usize) -> bool {
        self.reduced.clear();
        self.is_unit.clear();
        self.units.clear();
        self.units.push((member as u32, NO_CLASS));
        for one in 0..self.classes.len() {
            let conflicts = self.classes[one].intersection(&rows[member]);
            let is_unit = conflicts.count() <= 1;
            if is_unit {
                let Some(conflict) = conflicts.first() else {
                    self.classes[one].insert(member);
                    return true;
                };
                for other in one + 1..self.classes.len() {
                    if self.classes[other].is_disjoint(&rows[conflict]) {
                        self.classes[one].remove(conflict);
                        self.classes[one].insert(member);
                        self.classes[other].insert(conflict);
                        return true;
                    }
                }
                self.units.push((conflict as u32, one as u32));
            }
            self.reduced.push(conflicts);
            self.is_unit.push(is_unit);
        }
        self.propagate(rows)
    }

    /// Looks for a class without a node that is adjacent to all units, by unit propagation. If there is one, it removes
    /// that class and those that its contradiction follows from.
    #[inline(always)]
    fn propagate(&mut self, rows: &[B]) -> bool {
        // The first one was propagated when the classes were reduced.
        let mut next = 1;
        while let Some(&(unit, of)) = self.units.get(next) {
            next += 1;
            for class in 0..self.classes.len() {
                if class as u32 == of {
                    continue;
                }
                let rest = self.reduced[class].intersection(&rows[unit as usize]);
                if rest.count() <= 1 {
                    let Some(last) = rest.first() else {
                        self.remove_contradiction(rows, class, next);
                        return true;
                    };
                    if !self.is_unit[class] {
                        self.is_unit[class] = true;
                        self.units.push((last as u32, class as u32));
                    }
                }
                self.reduced[class] = rest;
            }
        }
        false
    }

    /// Removes `class`, none of whose nodes is adjacent to all of the first `count` units, and the classes of the units
    /// that this follows from.
    #[inline(always)]
    fn remove_contradiction(&mut self, rows: &[B], class: usize, count: usize) {
        self.is_reason.clear();
        self.is_reason.resize(count, false);
        self.find_reasons(rows, self.classes[class].clone(), count);
        self.classes[class] = B::empty(rows.len());
        for index in (1..count).rev() {
            if self.is_reason[index] {
                let (unit, class) = self.units[index];
                let mut others = core::mem::replace(&mut self.classes[class as usize], B::empty(rows.len()));
                others.remove(unit as usize);
                self.find_reasons(rows, others, index);
            }
        }
        self.classes.retain(|class| !class.is_empty());
    }

    /// Marks some of the first `count` units, so that each of `members` is not adjacent to one of them.
    #[inline(always)]
    fn find_reasons(&mut self, rows: &[B], mut members: B, count: usize) {
        for index in 0..count {
            let (unit, _) = self.units[index];
            let adjacent = members.intersection(&rows[unit as usize]);
            self.is_reason[index] |= adjacent.count() < members.count();
            members = adjacent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The size of the largest clique of `candidates`, each of which is adjacent to `rows` of itself.
    fn clique_number(rows: &[[u64; 1]], mut candidates: [u64; 1]) -> usize {
        let Some(first) = candidates.pop_first() else { return 0 };
        let with = 1 + clique_number(rows, candidates.intersection(&rows[first]));
        with.max(clique_number(rows, candidates))
    }

    proptest! {
        #[test]
        fn no_clique_has_more_nodes_than_colors(
            nodes in 1..=20_usize,
            absent in proptest::collection::vec([0..20_usize, 0..20_usize], 0..100),
            colors in 0..8_usize,
        ) {
            let mut rows = vec![<[u64; 1]>::full(nodes); nodes];
            (0..nodes).for_each(|node| rows[node].remove(node));
            for [one, other] in absent.into_iter().filter(|pair| pair.iter().all(|node| *node < nodes)) {
                rows[one].remove(other);
                rows[other].remove(one);
            }
            let mut coloring = Coloring::default();
            let (mut rest, mut added) = (<[u64; 1]>::full(nodes), <[u64; 1]>::empty(nodes));
            for _ in 0..colors {
                let (mut class, mut free) = (<[u64; 1]>::empty(nodes), rest);
                while let Some(member) = free.pop_first() {
                    class.insert(member);
                    free.subtract(&rows[member]);
                }
                rest.subtract(&class);
                added.add(&class);
                coloring.push(class);
            }
            rest.for_each(|member| {
                if coloring.absorb(&rows, member) {
                    added.insert(member);
                }
            });
            prop_assert!(clique_number(&rows, added) <= colors);
        }
    }
}
