//! Values: the matrices that operations read and write, before any of them has a column.

use connectome_components::{KeyOrder, Topology};
use core::{
    fmt,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// Which rows a value has: one for each entity of a kind, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// The nodes of a kind.
    Nodes(KindIndex),
    /// The edges of a graph.
    Edges(GraphIndex),
    /// The subgraphs of a graph.
    Subgraphs(GraphIndex),
    /// A single row: a parameter, or what is computed over all rows.
    Single,
}

impl Domain {
    /// The nodes of the model's own kind.
    pub const NODES: Self = Self::Nodes(KindIndex::OWN);

    /// The order of its keys in a topology that has its rows, nodes as its nodes; none if the rows are in this order.
    pub(crate) fn order(self, topology: &Topology) -> Option<&KeyOrder> {
        let order = match self {
            Self::Nodes(_) => &topology.node_order,
            Self::Edges(_) => &topology.edge_order,
            Self::Subgraphs(_) => &topology.subgraph_order,
            Self::Single => return None,
        };
        order.is_permuted.then_some(order)
    }
}

/// A kind of nodes of a program; 0 is the model's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindIndex(pub u32);

impl KindIndex {
    /// The model's own kind.
    pub const OWN: Self = Self(0);
}

/// A graph of a program; 0 is the model's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GraphIndex(pub u32);

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, graph) = match self {
            Self::Nodes(KindIndex::OWN) => ("nodes", GraphIndex(0)),
            Self::Nodes(KindIndex(kind)) => return write!(formatter, "nodes of kind {kind}"),
            Self::Edges(graph) => ("edges", *graph),
            Self::Subgraphs(graph) => ("subgraphs", *graph),
            Self::Single => ("1", GraphIndex(0)),
        };
        match graph {
            GraphIndex(0) => formatter.write_str(name),
            GraphIndex(graph) => write!(formatter, "{name} of graph {graph}"),
        }
    }
}

/// The rows and the width of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The rows.
    pub domain: Domain,
    /// Elements of a row.
    pub width: usize,
}

impl Shape {
    /// `[rows of domain, width]`.
    pub fn new(domain: Domain, width: usize) -> Self {
        Self { domain, width }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}, {}]", self.domain, self.width)
    }
}

/// What tells the values of one program from those of another: a number that is counted up within the process. Nothing
/// that is computed, written or shown depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramId(u64);

impl ProgramId {
    /// That of no program.
    const NONE: Self = Self(0);
}

impl Default for ProgramId {
    /// A number that no other program has.
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A matrix of a [`Program`](super::Program): what one operation hands to another. A handle without data.
///
/// A value is written once, by one operation, or given from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    pub(super) id: u32,
    pub(super) program: ProgramId,
    pub(super) shape: Shape,
    pub(super) sparse: bool,
    pub(super) requires_gradient: bool,
}

impl Value {
    /// A value of this shape in no program, for an operator to say what it makes of such.
    pub(crate) fn of_shape(shape: Shape) -> Self {
        Self { id: u32::MAX, program: ProgramId::NONE, shape, sparse: false, requires_gradient: false }
    }

    /// Its index in the program.
    pub fn id(&self) -> usize {
        self.id as usize
    }

    /// Rows and width.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Which rows it has.
    pub fn domain(&self) -> Domain {
        self.shape.domain
    }

    /// Elements of a row, stored or not.
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// Whether only some elements of each row are stored, as for bags of words. A sparse value has no gradient.
    pub fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// Whether the gradient of the loss with respect to it is of use: for itself, or for what it was computed from.
    pub fn requires_gradient(&self) -> bool {
        self.requires_gradient
    }

    /// The same value, through which no gradient flows back.
    pub fn detached(self) -> Self {
        Self { requires_gradient: false, ..self }
    }
}

/// A parameter of a program `[rows, columns]`, or some of its rows.
///
/// The linear map of several inputs side by side is the sum of a map of each, by its own rows of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    pub(super) value: Value,
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Weight {
    /// All elements of the parameter, in a single row.
    pub fn value(&self) -> Value {
        self.value
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Some of its rows; fewer or none if it has not so many.
    pub fn rows(&self, rows: Range<usize>) -> Self {
        let (start, end) = (rows.start.min(self.rows), rows.end.min(self.rows));
        Self { start: self.start + start, rows: end.saturating_sub(start), ..*self }
    }

    /// The range of its elements among those of the whole parameter.
    pub fn range(&self) -> Range<usize> {
        self.start * self.columns..(self.start + self.rows) * self.columns
    }

    /// Whether it is learned.
    pub fn requires_gradient(&self) -> bool {
        self.value.requires_gradient
    }
}
