//! The places of children in an ordered tree.

use connectome_components::Matrix;

/// The places of children in the states of a node, which are side by side.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    /// Number of places.
    pub arity: usize,
    /// The width of a state.
    pub width: usize,
    /// The state of a missing child; zeros without.
    pub missing: Option<&'a [f32]>,
}

impl Slots<'_> {
    /// The place of the child at the end of an edge, if it has one.
    #[inline(always)]
    fn of(&self, edge: u32, places: &Matrix) -> Option<usize> {
        let place = places.row(edge as usize)[0];
        let slot = place as usize;
        (slot < self.arity && slot as f32 == place).then_some(slot)
    }

    /// Whether one of these edges leads from a child at this place.
    #[inline(always)]
    pub fn has_child(&self, slot: usize, edges: &[u32], places: &Matrix) -> bool {
        edges.iter().any(|edge| self.of(*edge, places) == Some(slot))
    }

    /// Writes the states of the children of a node; `states` begins with the row `first`.
    #[inline(always)]
    pub fn fill(
        &self,
        (children, edges): (&[u32], &[u32]),
        places: &Matrix,
        (states, first): (&Matrix, usize),
        output: &mut [f32],
    ) {
        output.fill(0.0);
        for (child, edge) in children.iter().zip(edges) {
            let Some(slot) = self.of(*edge, places) else { continue };
            let sum = output[slot * self.width..(slot + 1) * self.width].iter_mut();
            sum.zip(states.row(*child as usize - first)).for_each(|(sum, state)| *sum += state);
        }
        let Some(missing) = self.missing else { return };
        for (slot, output) in output.chunks_exact_mut(self.width).enumerate() {
            if !self.has_child(slot, edges, places) {
                output.copy_from_slice(missing);
            }
        }
    }

    /// Adds the gradients with respect to a node as a child of each of its parents; `gradients` begins with the row `first`.
    #[inline(always)]
    pub fn add_gradients(
        &self,
        (parents, edges): (&[u32], &[u32]),
        places: &Matrix,
        (gradients, first): (&Matrix, usize),
        output: &mut [f32],
    ) {
        for (parent, edge) in parents.iter().zip(edges) {
            let Some(slot) = self.of(*edge, places) else { continue };
            let terms = gradients.part(*parent as usize - first, slot * self.width..(slot + 1) * self.width);
            output.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
    }
}
