//! Who meets where: the rows that are reduced to one.

use bevy_ecs::component::ComponentId;
use connectome_components::{Adjacency, Graph, Topology};

use super::rows::Cut;
use crate::kernels::{SparseRow, for_each_ahead};

/// Which rows meet in one row of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// In a node the nodes from which edges come to it, each once for each edge.
    Neighbours,
    /// In a node the edges that come to it.
    Edges,
    /// In a subgraph its nodes.
    Members,
}

impl Relation {
    /// What the rows that meet carry, and what the rows in which they meet do.
    pub(crate) fn domains(self, rows: Graph) -> [ComponentId; 2] {
        match self {
            Self::Neighbours => [rows.nodes, rows.nodes],
            Self::Edges => [rows.edges, rows.nodes],
            Self::Members => [rows.nodes, rows.subgraphs],
        }
    }

    /// How the work on the rows in which others meet is divided.
    pub(crate) fn cut(self) -> Cut {
        match self {
            Self::Neighbours | Self::Edges => Cut::Incoming,
            Self::Members => Cut::Members,
        }
    }

    /// How the work on the rows that meet is divided.
    pub(crate) fn cut_back(self) -> Cut {
        match self {
            Self::Neighbours => Cut::Outgoing,
            Self::Edges | Self::Members => Cut::Even,
        }
    }

    /// The rows that meet in `row`, in their order.
    #[inline(always)]
    pub(crate) fn meeting(self, topology: &Topology, row: usize) -> &[u32] {
        let (adjacency, rows) = match self {
            Self::Neighbours => (&topology.incoming, &topology.incoming.neighbors),
            Self::Edges => (&topology.incoming, &topology.incoming.edges),
            Self::Members => (&topology.members, &topology.members.neighbors),
        };
        &rows[adjacency.entries(row)]
    }

    /// The rows in which `row` meets others, in their order.
    #[inline(always)]
    pub(crate) fn meeting_points(self, topology: &Topology, row: usize) -> &[u32] {
        match self {
            Self::Neighbours => &topology.outgoing.neighbors[topology.outgoing.entries(row)],
            Self::Edges => match &topology.endpoints[row] {
                [_, Topology::NO_ROW] => &[],
                [_, target] => core::slice::from_ref(target),
            },
            Self::Members => &topology.membership.neighbors[topology.membership.entries(row)],
        }
    }

    /// What carries the numbers that belong to a *link*, by which one row comes to meet others: the edges, or the members
    /// themselves.
    pub(crate) fn links(self, rows: Graph) -> ComponentId {
        match self {
            Self::Neighbours | Self::Edges => rows.edges,
            Self::Members => rows.nodes,
        }
    }

    /// For each row in which others meet those that do, and the link of each.
    #[inline(always)]
    pub(crate) fn adjacency(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbours | Self::Edges => &topology.incoming,
            Self::Members => &topology.members,
        }
    }

    /// For each row that meets others those in which it does, and the link of each; edges are links themselves.
    #[inline(always)]
    pub(crate) fn adjacency_back(self, topology: &Topology) -> &Adjacency {
        match self {
            Self::Neighbours | Self::Edges => &topology.outgoing,
            Self::Members => &topology.membership,
        }
    }

    /// The row that a link brings and the row it brings it to; none for dangling edges and for nodes of no subgraph.
    #[inline(always)]
    pub(crate) fn ends(self, topology: &Topology, link: usize) -> Option<[usize; 2]> {
        match self {
            Self::Neighbours => match topology.endpoints[link] {
                [_, Topology::NO_ROW] => None,
                [source, target] => Some([source as usize, target as usize]),
            },
            Self::Edges | Self::Members => {
                self.meeting_points(topology, link).first().map(|place| [link, *place as usize])
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
