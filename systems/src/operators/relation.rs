//! Relations: which rows are aggregated to which.

use connectome_components::{Adjacency, Topology};

use crate::{
    kernels::{SparseRow, for_each_ahead},
    program::{Domain, Footprint, Partition, Program},
};

/// Which rows are aggregated to one row of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// To a node the sources of its incoming edges, once for each edge.
    Neighbors,
    /// To a node its incoming edges.
    Edges,
    /// To a subgraph its nodes.
    Members,
}

impl Relation {
    /// The domains of the aggregated rows and of the result, in the present graph of a program.
    pub(crate) fn domains(self, program: &Program) -> [Domain; 2] {
        match self {
            Self::Neighbors => [program.sources(), program.nodes()],
            Self::Edges => [program.edges(), program.nodes()],
            Self::Members => [program.nodes(), program.subgraphs()],
        }
    }

    /// On which aggregated rows a row of the result depends.
    pub(crate) fn footprint(self) -> Footprint {
        match self {
            Self::Neighbors => Footprint::Incoming,
            Self::Edges => Footprint::IncomingEdges,
            Self::Members => Footprint::Members,
        }
    }

    /// On which rows of the result the gradient of an aggregated row depends.
    pub(crate) fn footprint_back(self) -> Footprint {
        match self {
            Self::Neighbors => Footprint::Outgoing,
            Self::Edges => Footprint::Target,
            Self::Members => Footprint::Membership,
        }
    }

    /// How the work on the rows of the result is divided.
    pub(crate) fn partition(self) -> Partition {
        match self {
            Self::Neighbors | Self::Edges => Partition::Incoming,
            Self::Members => Partition::Members,
        }
    }

    /// How the work on the aggregated rows is divided.
    pub(crate) fn partition_back(self) -> Partition {
        match self {
            Self::Neighbors => Partition::Outgoing,
            Self::Edges | Self::Members => Partition::Uniform,
        }
    }

    /// The rows that are aggregated to `row`, in order.
    #[inline(always)]
    pub(crate) fn sources_of(self, topology: &Topology, row: usize) -> &[u32] {
        let (adjacency, rows) = match self {
            Self::Neighbors => (&topology.incoming, &topology.incoming.neighbors),
            Self::Edges => (&topology.incoming, &topology.incoming.edges),
            Self::Members => (&topology.members, &topology.members.neighbors),
        };
        &rows[adjacency.entries(row)]
    }

    /// The rows to which `row` is aggregated, in order.
    #[inline(always)]
    pub(crate) fn targets_of(self, topology: &Topology, row: usize) -> &[u32] {
        match self {
            Self::Neighbors => &topology.outgoing.neighbors[topology.outgoing.entries(row)],
            Self::Edges => match &topology.endpoints[row] {
                [_, Topology::NO_ROW] => &[],
                [_, target] => core::slice::from_ref(target),
            },
            Self::Members => &topology.membership.neighbors[topology.membership.entries(row)],
        }
    }

    /// The domain of the *links*, by each of which one row is aggregated to another: the edges, or the members
    /// themselves.
    pub(crate) fn links(self, program: &Program) -> Domain {
        match self {
            Self::Neighbors | Self::Edges => program.edges(),
            Self::Members => program.nodes(),
        }
    }

    /// For each row of the result the rows aggregated to it, and their links.
    #[inline(always)]
    pub(crate) fn adjacency(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbors | Self::Edges => &topology.incoming,
            Self::Members => &topology.members,
        }
    }

    /// For each aggregated row the rows to which it is aggregated, and their links; edges are links themselves.
    #[inline(always)]
    pub(crate) fn adjacency_back(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbors | Self::Edges => &topology.outgoing,
            Self::Members => &topology.membership,
        }
    }

    /// The source and the target row of a link; none for dangling edges and for nodes in no subgraph.
    #[inline(always)]
    pub(crate) fn ends(self, topology: &Topology, link: usize) -> Option<[usize; 2]> {
        match self {
            Self::Neighbors => match topology.endpoints[link] {
                [_, Topology::NO_ROW] => None,
                [source, target] => Some([source as usize, target as usize]),
            },
            Self::Edges | Self::Members => {
                self.targets_of(topology, link).first().map(|target| [link, *target as usize])
            }
        }
    }
}

/// Rows that all have one coefficient.
pub(crate) struct Uniform<'a> {
    pub(crate) rows: &'a [u32],
    pub(crate) coefficient: f32,
}

impl SparseRow for Uniform<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        for_each_ahead(
            self.rows,
            0..self.rows.len(),
            self.rows.iter(),
            #[inline(always)]
            |row, _, soon| add(row, self.coefficient, soon),
        );
    }
}
