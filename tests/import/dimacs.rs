//! Graphs of the DIMACS challenges, and texts that gzip has packed.

use std::io::Write;

use connectome::import::{ImportOptions, Imported, import};
use flate2::{Compression, write::GzEncoder};

use super::{check_error, check_round_trip, check_scene, read};

pub const TEXT: &str = "c a comment\np edge 4 4\ne 2 1\ne 3 1\n\ne 3 2\ne 2 4\n";

pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("it is packed");
    packed.finish().expect("it is packed")
}

fn read_bytes(name: &str, bytes: &[u8]) -> Result<Imported, String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), bytes).expect("it is written");
    import(&folder.path().join(name), &ImportOptions::default()).map_err(|error| error.to_string())
}

/// Imports a graph that may be damaged.
pub fn try_bytes(bytes: &[u8]) {
    match read_bytes("g.clq.gz", bytes) {
        Ok(imported) => check_round_trip(&imported.data),
        Err(error) => assert!(error.contains("help: ")),
    }
}

fn text(text: &str) -> Imported {
    read("g.clq", &[("g.clq", text)], &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn edges_join_both_ways_and_nodes_keep_their_numbers() {
    let imported = text(TEXT);
    assert_eq!(imported.data.names, ["1", "2", "3", "4"]);
    assert_eq!(imported.data.edges, [[1, 0], [2, 0], [2, 1], [1, 3], [0, 1], [0, 2], [1, 2], [3, 1]]);
    assert_eq!(imported.notes, [""; 0]);
    check_round_trip(&imported.data);
    check_scene("clique", &imported);
}

#[test]
fn files_may_list_both_directions_and_what_is_not_read() {
    for other in ["p col 2 1\ne 1 2\ne 2 1\n", "p edge 2 2\ne 1 2\ne 2 1\n", "p  edge\t2 1 \r\ne 2 1\r\n"] {
        let mut edges = text(other).data.edges;
        edges.sort_unstable();
        assert_eq!(edges, [[0, 1], [1, 0]], "{other:?}");
    }
    assert_eq!(text("p edge 2 0\nn 1 5\nx A 1\n").notes, ["2 lines on weights and places of nodes are not read"]);
    assert_eq!(text("p edge 0 0\n").data.nodes, 0);
}

#[test]
fn edges_count_once_and_counts_of_either_direction_are_told() {
    let imported = text("p edge 2 3\ne 1 2\ne 1 2\ne 2 1\n");
    assert_eq!(imported.data.edges, [[0, 1], [1, 0]]);
    assert_eq!(imported.notes, ["2 lines repeat an edge, which counts once"]);
    for count in [6, 7] {
        let imported =
            text(&format!("p col 3 {count}\ne 1 2\ne 2 3\ne 1 3\n{}", if count == 7 { "e 1 1\n" } else { "" }));
        assert_eq!(imported.data.edges.len(), count);
        assert!(imported.notes[0].contains("counts either direction"), "{:?}", imported.notes);
    }
}

#[test]
fn comments_may_be_in_any_encoding() {
    let imported = read_bytes("g.col", b"c Universit\xe9\nc\xe9\np col 2 1\ne 1 2\n");
    assert!(imported.is_err_and(|error| error.contains("g.col:2:2: byte 0xe9")));
    let imported = read_bytes("g.col", b"c Universit\xe9\r\nc\r\np col 2 1\r\ne 1 2\r\n").expect("it is in order");
    assert_eq!(imported.data.edges, [[0, 1], [1, 0]]);
    // The first bytes tell the format where the name does not.
    let imported = read_bytes("graph", b"c a comment\np col 2 1\ne 1 2\n").expect("it is in order");
    assert_eq!(imported.data.edges, [[0, 1], [1, 0]]);
}

#[test]
fn mistakes_are_shown() {
    let bad = |text: &str, message: &str, help: &str| {
        check_error("g.clq", &[("g.clq", text)], &ImportOptions::default(), "g.clq", message, help);
    };
    bad("c nothing\n", "no line of the problem", "p edge NODES EDGES");
    bad("§e 1 2\np edge 2 1\n", "before the line of the problem", "p edge");
    bad("p edge 2 1\n§p edge 2 1\n", "a second time", "take this line out");
    bad("§p sp 2 1\n", "\"sp\" is another kind", "p edge");
    bad("§p edge 2\n", "does not tell", "p edge");
    bad("p edge §-2 0\n", "\"-2\" is no number", "p edge");
    bad("§p edge 4294967295 0\n", "4294967295 rows of 16 numbers are too large", "smaller");
    bad("p edge 3 1\ne 1 §4\n", "there is no node 4", "from 1 to 3");
    bad("p edge 3 1\ne §0 1\n", "there is no node 0", "from 1 to 3");
    bad("p edge 3 1\n\n§e 1\n", "does not name two nodes", "e NODE NODE");
    bad("p edge 3 1\n§e 1 2 3\n", "does not name two nodes", "e NODE NODE");
    bad("p edge 3 1\n§a 1 2 3\n", "\"a\" is no kind of line", "begin it with");
    bad("c\n§p edge 3 3\ne 1 2\ne 2 3\n", "says 3 edges, but the file lists 2", "write 2");
    bad("c\n§p edge 3 1\ne 1 2\ne 2 3\n", "says 1 edges, but the file lists 2", "write 2");
}

#[test]
fn packed_texts_are_unpacked() {
    let packed = read_bytes("g.CLQ.gz", &pack(TEXT.as_bytes())).expect("it is in order");
    assert_eq!(packed, text(TEXT));
    // What is packed tells itself, whatever the name says.
    assert_eq!(read_bytes("g.col", &pack(TEXT.as_bytes())), Ok(packed));
    let table = read_bytes("e.csv.gz", &pack(b"source,target\nAnn,Bob\n")).expect("it is in order");
    assert_eq!(table.data.names, ["Ann", "Bob"]);
    let cut = pack(TEXT.as_bytes());
    let error = read_bytes("g.clq.gz", &cut[..cut.len() - 9]).expect_err("it is cut");
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    // One part packed once and written over and over: 16 GiB of comments.
    let block = pack(&b"c\n".repeat(1 << 20));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.clq.gz");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    (0..8 << 10).for_each(|_| file.write_all(&block).expect("it is written"));
    file.flush().expect("it is written");
    drop(file);
    let error = import(&path, &ImportOptions::default()).expect_err("it is too large");
    assert!(error.message.contains("too large for this machine"), "{error}");
}
