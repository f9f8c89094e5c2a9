//! Graphs and metadata as bytes.
//!
//! Numbers are in LEB128: seven bits a byte, the lowest first. Edges are in ascending order, so that differences are
//! small; labels that are all equal are written once.

use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};
use std::collections::BTreeMap;

/// The maximum number of nodes of a stored graph.
pub const MAX_NODES: usize = 1_000_000;

/// The maximum number of edges of a stored graph.
pub const MAX_EDGES: usize = 10_000_000;

/// What a graph is accompanied by, such as its source.
pub type Metadata = BTreeMap<String, String>;

/// The bytes are not what this module writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends a number.
pub(crate) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads what was written, front to back.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub fn small(&mut self) -> Result<u32, Malformed> {
        self.number()?.try_into().map_err(|_| Malformed)
    }

    /// A count of things of which there are at most `max`.
    pub fn count(&mut self, max: usize) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= max).ok_or(Malformed)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<String, Malformed> {
        let length = self.count(self.0.len())?;
        String::from_utf8(self.bytes(length)?.to_vec()).map_err(|_| Malformed)
    }

    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends a text.
pub(crate) fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

/// Appends labels: 0 and the only one, or 1 and all. [`LabeledGraph::NO_LABEL`] is written as 0, to be short.
fn write_labels(bytes: &mut Vec<u8>, labels: &[u32]) {
    let write = |bytes: &mut Vec<u8>, label: u32| write_number(bytes, label.wrapping_add(1).into());
    match labels {
        [] => {}
        [first, rest @ ..] if rest.iter().all(|label| label == first) => {
            bytes.push(0);
            write(bytes, *first);
        }
        labels => {
            bytes.push(1);
            labels.iter().for_each(|label| write(bytes, *label));
        }
    }
}

fn read_labels(reader: &mut Reader, count: usize) -> Result<Vec<u32>, Malformed> {
    let read = |reader: &mut Reader| Ok(reader.small()?.wrapping_sub(1));
    match count {
        0 => Ok(Vec::new()),
        _ => match reader.bytes(1)? {
            [0] => Ok(vec![read(reader)?; count]),
            [1] if count <= reader.0.len() => (0..count).map(|_| read(reader)).collect(),
            _ => Err(Malformed),
        },
    }
}

/// Appends a graph.
pub(crate) fn write_graph(bytes: &mut Vec<u8>, graph: &LabeledGraph) {
    write_number(bytes, graph.node_count() as u64);
    write_number(bytes, graph.graph().edge_count() as u64);
    write_labels(bytes, graph.labels());
    let edge_labels: Vec<u32> = graph.labeled_edges().map(|(_, label)| label).collect();
    write_labels(bytes, &edge_labels);
    // The lower node counts from that of the edge before; the higher from the higher one of that edge if they share the
    // lower, else from the lower node.
    let [mut lower, mut higher] = [0, 0];
    for [one, other] in graph.edges() {
        write_number(bytes, (one - lower).into());
        let from = if one == lower { higher.max(one) } else { one };
        write_number(bytes, (other - from - 1).into());
        [lower, higher] = [one, other];
    }
}

pub(crate) fn read_graph(reader: &mut Reader) -> Result<LabeledGraph, Malformed> {
    let (nodes, edges) = (reader.count(MAX_NODES)?, reader.count(MAX_EDGES)?);
    let labels = read_labels(reader, nodes)?;
    // Each edge takes two bytes or more.
    if edges > reader.0.len() / 2 {
        return Err(Malformed);
    }
    let edge_labels = read_labels(reader, edges)?;
    let [mut lower, mut higher] = [0_u32, 0_u32];
    let mut list = Vec::with_capacity(edges);
    for label in edge_labels {
        let one = lower.checked_add(reader.small()?).ok_or(Malformed)?;
        let from = if one == lower { higher.max(one) } else { one };
        let other = from.checked_add(reader.small()?).and_then(|other| other.checked_add(1)).ok_or(Malformed)?;
        if other as usize >= nodes {
            return Err(Malformed);
        }
        list.push(([one, other], label));
        [lower, higher] = [one, other];
    }
    Ok(LabeledGraph::new(labels, list))
}

/// Appends metadata.
pub(crate) fn write_metadata(bytes: &mut Vec<u8>, metadata: &Metadata) {
    write_number(bytes, metadata.len() as u64);
    for (key, value) in metadata {
        write_text(bytes, key);
        write_text(bytes, value);
    }
}

pub(crate) fn read_metadata(reader: &mut Reader) -> Result<Metadata, Malformed> {
    // Each takes two bytes or more.
    let count = reader.count(reader.0.len() / 2)?;
    (0..count).map(|_| Ok((reader.text()?, reader.text()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graphs() -> impl Strategy<Value = LabeledGraph> {
        let label = prop_oneof![Just(0), Just(7), Just(LabeledGraph::NO_LABEL), any::<u32>()];
        let edges = prop::collection::vec(((0..40_u32, 0..40_u32), label.clone()), 0..80);
        (prop::collection::vec(label, 0..40), edges).prop_map(|(labels, edges)| {
            LabeledGraph::new(labels, edges.into_iter().map(|((one, other), label)| ([one, other], label)))
        })
    }

    proptest! {
        #[test]
        fn graphs_are_read_as_written(graph in graphs(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            write_graph(&mut bytes, &graph);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(read_graph(&mut reader), Ok(graph));
            prop_assert_eq!(reader.end(), Ok(()));
            let part = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(read_graph(&mut Reader(part)), Err(Malformed));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_graph(&mut Reader(&bytes));
            let _ = read_metadata(&mut Reader(&bytes));
        }
    }

    #[test]
    fn metadata_are_read_as_written() {
        let metadata: Metadata = [("source", "a.graphml"), ("", "ü")].map(|(k, v)| (k.into(), v.into())).into();
        let mut bytes = Vec::new();
        write_metadata(&mut bytes, &metadata);
        assert_eq!(read_metadata(&mut Reader(&bytes)), Ok(metadata));
    }

    #[test]
    fn a_claimed_size_takes_no_memory() {
        let mut bytes = Vec::new();
        [MAX_NODES as u64, 0, 0, 0].into_iter().for_each(|number| write_number(&mut bytes, number));
        assert!(read_graph(&mut Reader(&bytes)).is_ok_and(|graph| graph.node_count() == MAX_NODES));
        bytes.clear();
        [1, MAX_EDGES as u64, 0, 0].into_iter().for_each(|number| write_number(&mut bytes, number));
        assert_eq!(read_graph(&mut Reader(&bytes)), Err(Malformed));
    }
}
