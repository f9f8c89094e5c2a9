//! A graph by the places of its nodes in a degeneracy order, and the neighborhoods in it as sets of bits.

use super::{bits::Bits, degeneracy::Degeneracy};
use crate::{
    algorithms::{SimpleGraph, ordering::places},
    parallel::Workers,
};

/// A graph whose nodes are named by their places in a degeneracy order.
pub(super) struct Ordered {
    /// The node at each place.
    pub order: Vec<u32>,
    /// The neighbors of place `i` are `neighbors[offsets[i]..offsets[i + 1]]`; `[N + 1]`.
    offsets: Vec<usize>,
    /// Where those of each place begin that come before it; `[N]`.
    middles: Vec<usize>,
    /// Of each place first the neighbors that come later, then those that come earlier.
    neighbors: Vec<u32>,
}

/// Nodes whose neighbors are looked up by one worker at a time.
const BLOCK: usize = 2048;

impl Ordered {
    pub fn new(graph: &SimpleGraph, found: Degeneracy, workers: &Workers) -> Self {
        let order = found.order;
        let places = places(&order);
        let nodes = order.len();
        let parts = workers.map(nodes.div_ceil(BLOCK), |block| {
            let places_of_block = block * BLOCK..nodes.min((block + 1) * BLOCK);
            let size = order[places_of_block.clone()].iter().map(|node| graph.degree(*node)).sum();
            let (mut neighbors, mut laters) = (Vec::with_capacity(size), Vec::with_capacity(BLOCK));
            for (place, node) in places_of_block.clone().zip(&order[places_of_block]) {
                let start = neighbors.len();
                let all = graph.neighbors(*node).iter().map(|neighbor| places[*neighbor as usize]);
                neighbors.extend(all);
                // Whoever comes later changes places with the first that does not, so that these stay sorted by their nodes.
                let mut later = 0;
                let own = &mut neighbors[start..];
                for here in 0..own.len() {
                    let is_later = own[here] as usize > place;
                    own.swap(later, here);
                    later += usize::from(is_later);
                }
                laters.push((later, own.len()));
            }
            (neighbors, laters)
        });
        let mut neighbors = Vec::with_capacity(2 * graph.edge_count());
        let (mut offsets, mut middles) = (Vec::with_capacity(nodes + 1), Vec::with_capacity(nodes));
        offsets.push(0);
        let mut start = 0;
        for (part, laters) in parts {
            neighbors.extend_from_slice(&part);
            for (later, all) in laters {
                middles.push(start + later);
                start += all;
                offsets.push(start);
            }
        }
        Self { order, offsets, middles, neighbors }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The neighbors that come after `place`, by rising numbers of their nodes: no more than the degeneracy.
    #[inline(always)]
    pub fn later(&self, place: usize) -> &[u32] {
        &self.neighbors[self.offsets[place]..self.middles[place]]
    }

    /// The neighbors that come before it.
    #[inline(always)]
    pub fn earlier(&self, place: usize) -> &[u32] {
        &self.neighbors[self.middles[place]..self.offsets[place + 1]]
    }
}

/// Which number each place has among the later neighbors of a root, plus one; 0 where it is none of them.
pub(super) struct Numbers(Vec<u32>);

impl Numbers {
    pub fn new(graph: &Ordered) -> Self {
        Self(vec![0; graph.len()])
    }

    /// Numbers `members` while `work` is done.
    #[inline(always)]
    fn with(&mut self, members: &[u32], work: impl FnOnce(&[u32])) {
        for (number, member) in (1..).zip(members) {
            self.0[*member as usize] = number;
        }
        work(&self.0);
        for member in members {
            self.0[*member as usize] = 0;
        }
    }
}

/// Writes to `rows` who among the later neighbors of `root` is joined to whom: a row for each, over their numbers.
#[inline(always)]
pub(super) fn read_later<B: Bits>(graph: &Ordered, root: usize, numbers: &mut Numbers, rows: &mut Vec<B>) {
    let members = graph.later(root);
    rows.clear();
    rows.resize(members.len(), B::empty(members.len()));
    numbers.with(
        members,
        #[inline(always)]
        |numbers| add_inner(graph, members, numbers, rows),
    );
}

/// The same, followed by a row for each earlier neighbor of the root that is joined to some of its later ones. Returns false
/// if one is joined to all of them, and leaves the rows as they may be.
#[inline(always)]
pub(super) fn read_all<B: Bits>(graph: &Ordered, root: usize, numbers: &mut Numbers, rows: &mut Vec<B>) -> bool {
    let members = graph.later(root);
    rows.clear();
    rows.resize(members.len(), B::empty(members.len()));
    let mut is_open = true;
    numbers.with(
        members,
        #[inline(always)]
        |numbers| {
            // A common neighbor of both comes after the earlier one too.
            for earlier in graph.earlier(root) {
                let mut row = B::empty(members.len());
                let mut found = 0;
                for later in graph.later(*earlier as usize) {
                    let number = numbers[*later as usize];
                    if number != 0 {
                        row.insert(number as usize - 1);
                        found += 1;
                    }
                }
                if found == members.len() {
                    is_open = false;
                    return;
                }
                if found != 0 {
                    rows.push(row);
                }
            }
            add_inner(graph, members, numbers, rows);
        },
    );
    is_open
}

#[inline(always)]
fn add_inner<B: Bits>(graph: &Ordered, members: &[u32], numbers: &[u32], rows: &mut [B]) {
    for (one, member) in members.iter().enumerate() {
        for later in graph.later(*member as usize) {
            let number = numbers[*later as usize] as usize;
            if number != 0 {
                rows[one].insert(number - 1);
                rows[number - 1].insert(one);
            }
        }
    }
}
