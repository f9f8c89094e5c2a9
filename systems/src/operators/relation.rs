//! Who meets where: the rows that are reduced to one.

use connectome_components::{Adjacency, Topology};

use crate::{
    kernels::{SparseRow, for_each_ahead},
    program::{Domain, Footprint, GraphIndex, Partition},
};

/// Which rows meet in one row of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// In a node the nodes from which edges come to it, each once for each edge.
    Neighbors,
    /// In a node the edges that come to it.
    Edges,
    /// In a subgraph its nodes.
    Members,
}

impl Relation {
    /// The rows that are aggregated, and those to which they are.
    pub(crate) fn domains(self, graph: GraphIndex) -> [Domain; 2] {
        match self {
            Self::Neighbors => [Domain::Nodes, Domain::Nodes],
            Self::Edges => [Domain::Edges(graph), Domain::Nodes],
            Self::Members => [Domain::Nodes, Domain::Subgraphs(graph)],
        }
    }

    /// On which of the rows that are aggregated a row depends.
    pub(crate) fn footprint(self) -> Footprint {
        match self {
            Self::Neighbors => Footprint::Incoming,
            Self::Edges => Footprint::IncomingEdges,
            Self::Members => Footprint::Members,
        }
    }

    /// On which of the rows to which it is aggregated the gradient of a row depends.
    pub(crate) fn footprint_back(self) -> Footprint {
        match self {
            Self::Neighbors => Footprint::Outgoing,
            Self::Edges => Footprint::Endpoints,
            Self::Members => Footprint::Membership,
        }
    }

    /// How the work on the rows to which others are aggregated is divided.
    pub(crate) fn partition(self) -> Partition {
        match self {
            Self::Neighbors | Self::Edges => Partition::Incoming,
            Self::Members => Partition::Members,
        }
    }

    /// How the work on the rows that are aggregated is divided.
    pub(crate) fn partition_back(self) -> Partition {
        match self {
            Self::Neighbors => Partition::Outgoing,
            Self::Edges | Self::Members => Partition::Uniform,
        }
    }

    /// The rows that meet in `row`, in their order.
    #[inline(always)]
    pub(crate) fn sources_of(self, topology: &Topology, row: usize) -> &[u32] {
        let (adjacency, rows) = match self {
            Self::Neighbors => (&topology.incoming, &topology.incoming.neighbors),
            Self::Edges => (&topology.incoming, &topology.incoming.edges),
            Self::Members => (&topology.members, &topology.members.neighbors),
        };
        &rows[adjacency.entries(row)]
    }

    /// The rows in which `row` meets others, in their order.
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

    /// The rows of what belongs to a *link*, by which one row is aggregated to another: the edges, or the members themselves.
    pub(crate) fn links(self, graph: GraphIndex) -> Domain {
        match self {
            Self::Neighbors | Self::Edges => Domain::Edges(graph),
            Self::Members => Domain::Nodes,
        }
    }

    /// For each row in which others meet those that do, and the link of each.
    #[inline(always)]
    pub(crate) fn adjacency(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbors | Self::Edges => &topology.incoming,
            Self::Members => &topology.members,
        }
    }

    /// For each row that meets others those in which it does, and the link of each; edges are links themselves.
    #[inline(always)]
    pub(crate) fn adjacency_back(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbors | Self::Edges => &topology.outgoing,
            Self::Members => &topology.membership,
        }
    }

    /// The row that a link brings and the row it brings it to; none for dangling edges and for nodes of no subgraph.
    #[inline(always)]
    pub(crate) fn ends(self, topology: &Topology, link: usize) -> Option<[usize; 2]> {
        match self {
            Self::Neighbors => match topology.endpoints[link] {
                [_, Topology::NO_ROW] => None,
                [source, target] => Some([source as usize, target as usize]),
            },
            Self::Edges | Self::Members => self.targets_of(topology, link).first().map(|place| [link, *place as usize]),
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
