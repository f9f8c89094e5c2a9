//! The buffers of a batch's values, one for each pair of fields.

use bevy_ecs::{component::ComponentId, world::World};
use connectome_components::{ClassLabel, EdgeKind, Field, Graph, Split};
use core::ops::Range;

use super::BatchError;
use crate::parallel::{Blocks, RowsMut, Workers};

/// The domain of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Nodes.
    Nodes,
    /// Edges.
    Edges,
    /// Subgraphs.
    Subgraphs,
}

impl Domain {
    /// The domain of a component's carriers.
    pub(super) fn of(graph: &Graph, marker: ComponentId) -> Option<Self> {
        [Self::Nodes, Self::Edges, Self::Subgraphs].into_iter().find(|domain| domain.marker(graph) == marker)
    }

    fn marker(self, graph: &Graph) -> ComponentId {
        match self {
            Self::Nodes => graph.nodes,
            Self::Edges => graph.edges,
            Self::Subgraphs => graph.subgraphs,
        }
    }

    /// The one of nodes, edges and subgraphs that is meant.
    pub(super) fn of_kinds<T>(self, [nodes, edges, subgraphs]: [T; 3]) -> T {
        match self {
            Self::Nodes => nodes,
            Self::Edges => edges,
            Self::Subgraphs => subgraphs,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Edges => "edges",
            Self::Subgraphs => "subgraphs",
        }
    }
}

/// The values copied from `from` to `to`, `[rows, width]`.
#[derive(Clone, Debug)]
pub struct Buffer<T> {
    pub(super) domain: Domain,
    pub(super) from: Field<T>,
    pub(super) to: Field<T>,
    pub(super) data: Vec<T>,
    /// Whether the values stay in the corpus until the batch is loaded.
    pub(super) is_left: bool,
}

impl<T: Copy + Send + Sync + 'static> Buffer<T> {
    /// Copies rows of the corpus; returns whether it has `count` rows.
    fn fill(&mut self, corpus: &World, rows: &[u32], count: usize) -> bool {
        self.data.clear();
        let column = self.from.matrix(corpus);
        if column.row_count() != count {
            return false;
        }
        if self.is_left {
            return true;
        }
        self.data.reserve(rows.len() * self.from.width());
        for row in rows {
            self.data.extend_from_slice(column.row(*row as usize));
        }
        true
    }

    /// Writes all rows; returns whether the field has as many. `corpus` and its rows are where values were left.
    fn write(&self, world: &mut World, workers: &Workers, corpus: Option<(&World, &[u32])>) -> bool {
        let width = self.to.width();
        match corpus.filter(|_| self.is_left) {
            None => self.write_blocks(world, workers, self.data.len(), |rows, output| {
                output.copy_from_slice(&self.data[rows.start * width..rows.end * width]);
            }),
            Some((corpus, from)) => {
                let column = self.from.matrix(corpus);
                self.write_blocks(world, workers, from.len() * width, |rows, output| {
                    for (row, output) in from[rows].iter().zip(output.chunks_exact_mut(width)) {
                        output.copy_from_slice(column.row(*row as usize));
                    }
                })
            }
        }
    }

    /// Writes `count` values, `write(rows, output)` those of some rows; returns whether there are as many.
    fn write_blocks(
        &self,
        world: &mut World,
        workers: &Workers,
        count: usize,
        write: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) -> bool {
        let (width, mut written) = (self.to.width(), 0);
        for (_, chunk) in self.to.matrix_mut(world).chunks_mut() {
            let first = written / width;
            written += chunk.len();
            if written > count {
                return false;
            }
            let blocks = Blocks::of_width(chunk.len() / width, width);
            workers.for_each_block(blocks, width, RowsMut::new(chunk, width), |rows, output| {
                write(first + rows.start..first + rows.end, output.data);
            });
        }
        written == count
    }

    /// Sets all values; returns how many there are.
    pub(super) fn set(&mut self, data: Vec<T>) -> usize {
        self.data = data;
        self.data.len()
    }

    fn check(&self, world: &World, graph: &Graph) -> Result<(), BatchError> {
        if !self.to.is_of(world) {
            return Err(BatchError::OtherWorld);
        }
        if self.to.domain() != self.domain.marker(graph) {
            return Err(BatchError::OtherRows { name: self.to.name(world), domain: self.domain.name() });
        }
        Ok(())
    }

    fn copies_as(&self, other: &Self) -> bool {
        (self.domain, self.from, self.to, self.is_left) == (other.domain, other.from, other.to, other.is_left)
    }
}

/// A buffer of any type that a field of a batch may hold.
#[derive(Clone, Debug)]
pub enum AnyBuffer {
    Values(Buffer<f32>),
    Indices(Buffer<u32>),
    Labels(Buffer<ClassLabel>),
    Kinds(Buffer<EdgeKind>),
    Splits(Buffer<Split>),
}

/// Evaluates `$body` for a buffer of any element type.
macro_rules! with {
    ($any:expr, $buffer:ident => $body:expr) => {
        match $any {
            AnyBuffer::Values($buffer) => $body,
            AnyBuffer::Indices($buffer) => $body,
            AnyBuffer::Labels($buffer) => $body,
            AnyBuffer::Kinds($buffer) => $body,
            AnyBuffer::Splits($buffer) => $body,
        }
    };
}

impl AnyBuffer {
    pub(super) fn domain(&self) -> Domain {
        with!(self, buffer => buffer.domain)
    }

    pub(super) fn width(&self) -> usize {
        with!(self, buffer => buffer.to.width())
    }

    /// Whether its values stay in the corpus.
    pub(super) fn is_left(&self) -> bool {
        with!(self, buffer => buffer.is_left)
    }

    /// Leaves numbers in the corpus until the batch is loaded; what is smaller is copied all the same.
    pub(super) fn leave(&mut self) {
        match self {
            Self::Values(buffer) => buffer.is_left = true,
            Self::Indices(buffer) => buffer.is_left = true,
            Self::Labels(_) | Self::Kinds(_) | Self::Splits(_) => {}
        }
    }

    pub(super) fn is_from(&self, corpus: &World) -> bool {
        with!(self, buffer => buffer.from.is_of(corpus))
    }

    pub(super) fn clear(&mut self) {
        with!(self, buffer => buffer.data.clear());
    }

    pub(super) fn fill(&mut self, corpus: &World, rows: &[u32], count: usize) -> bool {
        with!(self, buffer => buffer.fill(corpus, rows, count))
    }

    pub(super) fn write(&self, world: &mut World, workers: &Workers, corpus: Option<(&World, &[u32])>) -> bool {
        with!(self, buffer => buffer.write(world, workers, corpus))
    }

    /// Checks that the buffer may be written into fields of `graph`.
    pub(super) fn check(&self, world: &World, graph: &Graph) -> Result<(), BatchError> {
        with!(self, buffer => buffer.check(world, graph))
    }

    /// Whether both are for the same pair of fields.
    pub(super) fn copies_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Values(one), Self::Values(two)) => one.copies_as(two),
            (Self::Indices(one), Self::Indices(two)) => one.copies_as(two),
            (Self::Labels(one), Self::Labels(two)) => one.copies_as(two),
            (Self::Kinds(one), Self::Kinds(two)) => one.copies_as(two),
            (Self::Splits(one), Self::Splits(two)) => one.copies_as(two),
            _ => false,
        }
    }
}

/// An element of a field that batches can carry: `f32`, `u32`, [`ClassLabel`], [`EdgeKind`] or [`Split`].
pub trait BatchElement: Copy + Send + Sync + sealed::Wrap + 'static {}

pub(super) mod sealed {
    use super::{AnyBuffer, Buffer, ClassLabel, EdgeKind, Split};

    /// Conversions to and from [`AnyBuffer`].
    pub trait Wrap: Sized {
        /// Erases the type.
        fn wrap(buffer: Buffer<Self>) -> AnyBuffer;
        /// The buffer, if it has this type.
        fn unwrap(buffer: &AnyBuffer) -> Option<&Buffer<Self>>;
    }

    macro_rules! content {
        ($type:ty, $variant:ident) => {
            impl super::BatchElement for $type {}
            impl Wrap for $type {
                fn wrap(buffer: Buffer<Self>) -> AnyBuffer {
                    AnyBuffer::$variant(buffer)
                }
                fn unwrap(buffer: &AnyBuffer) -> Option<&Buffer<Self>> {
                    if let AnyBuffer::$variant(buffer) = buffer { Some(buffer) } else { None }
                }
            }
        };
    }
    content!(f32, Values);
    content!(u32, Indices);
    content!(ClassLabel, Labels);
    content!(EdgeKind, Kinds);
    content!(Split, Splits);
}
