//! Prefetching while a product is computed: a line now and then, because a burst of them would hold up the product.

use crate::kernels::prefetch::{LINE, prefetch_far};

/// Rows that are read soon after a product, to be prefetched while it is computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upcoming<'a> {
    /// The rows of a matrix.
    pub table: &'a [f32],
    /// Its width.
    pub width: usize,
    /// The indices of those to prefetch; none beyond the table is.
    pub rows: &'a [u32],
}

/// The lines to prefetch, spread over the steps of the inner dimension.
pub(super) struct Ahead<'a> {
    /// The rest of what comes first, and what comes then.
    stretches: [&'a [f32]; 2],
    /// What comes last.
    rows: Upcoming<'a>,
    /// Lines for each step, in units of 2^-16.
    rate: usize,
    pub place: Place,
}

/// How far the first stretch is prefetched. Loops hold a copy in registers, because what they store would wait behind the
/// stores of the product.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Lines that are due, in units of 2^-16.
    due: usize,
    /// The next element.
    next: usize,
}

impl<'a> Ahead<'a> {
    /// Spreads the lines evenly over so many steps, or leaves out the last of them if memory is too slow for that.
    #[inline(always)]
    pub fn new(stretches: [&'a [f32]; 2], rows: Upcoming<'a>, steps: usize) -> Self {
        /// About as many lines as memory gives while a step is computed.
        const MOST: usize = 2 << 16;
        let elements = stretches.map(<[f32]>::len).iter().sum::<usize>() + rows.rows.len() * rows.width;
        let rate = ((elements / LINE) << 16).div_ceil(steps.max(1)).min(MOST);
        Self { stretches, rows, rate, place: Place::default() }
    }

    /// Prefetches what is due after one more step.
    #[inline(always)]
    pub fn step(&mut self, place: &mut Place) {
        place.due += self.rate;
        while place.due >= 1 << 16 {
            place.due -= 1 << 16;
            prefetch_far(self.stretches[0], place.next);
            place.next += LINE;
            if place.next >= self.stretches[0].len() {
                self.begin_next(place);
            }
        }
    }

    #[inline(always)]
    fn begin_next(&mut self, place: &mut Place) {
        place.next = 0;
        let [first, second] = &mut self.stretches;
        *first = core::mem::take(second);
        if !first.is_empty() {
            return;
        }
        let Upcoming { table, width, rows } = self.rows;
        match rows.split_first() {
            Some((row, later)) => {
                self.rows.rows = later;
                let start = *row as usize * width;
                *first = table.get(start..start + width).unwrap_or(&[]);
            }
            None => [self.rate, place.due] = [0; 2],
        }
    }
}
