//! Whatever happens to a source, reading it ends, with data that can be written and read again or an error.

use connectome::import::ImportOptions;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{check_round_trip, read};

const EDGES: &str = "source,target,weight,since\nAnn,Bob,0.5,1\nBob,\"Cid, Jr.\",1,2\nAnn,Ann,2,3\n";
const NODES: &str = "name,age,label,split\nAnn,1,red,train\n\"Cid, Jr.\",2,blue,val\nDan,3,,\nBob,4,red,test\n";

/// Pieces that parsers stumble over.
const PIECES: [&str; 20] = [
    "\"",
    ",",
    ";",
    "\n",
    "\r",
    "\t",
    "#",
    "<",
    ">",
    "&",
    "&#0;",
    "]]>",
    "<!--",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "é",
    "\u{feff}",
    "\0",
    "-1",
    "99999999999999999999",
    "NaN",
];

/// Where a character of the text starts.
fn boundary(text: &str, index: Index) -> usize {
    let at = index.index(text.len() + 1);
    (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// The text with pieces in the place of some of its parts.
fn patch(text: &str, patches: &[(Index, Index, &str)]) -> String {
    let mut text = text.to_owned();
    for (start, length, piece) in patches {
        let start = boundary(&text, *start);
        let end = boundary(&text, *length).clamp(start, text.len().min(start + 9));
        let end = (start..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(start);
        text.replace_range(start..end, piece);
    }
    text
}

fn patches() -> impl Strategy<Value = Vec<(Index, Index, &'static str)>> {
    vec((any::<Index>(), any::<Index>(), prop::sample::select(&PIECES[..])), 1..5)
}

/// Imports and shows what comes of it.
fn try_read(source: &str, files: &[(&str, &str)], nodes: Option<&str>) {
    let options =
        ImportOptions { nodes: nodes.map(Into::into), undirected: source == "e.csv", ..ImportOptions::default() };
    match read(source, files, &options) {
        Ok(imported) => check_round_trip(&imported.data),
        Err(error) => assert!(!error.to_string().is_empty() && !error.help.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn patched_tables_are_read_or_refused(edges in patches(), nodes in patches(), which in 0..3) {
        let edges = if which == 1 { EDGES.to_owned() } else { patch(EDGES, &edges) };
        let nodes = if which == 0 { NODES.to_owned() } else { patch(NODES, &nodes) };
        try_read("e.csv", &[("e.csv", &edges), ("n.csv", &nodes)], Some("n.csv"));
        try_read("e.csv", &[("e.csv", &edges)], None);
    }

    #[test]
    fn patched_graphml_is_read_or_refused(patches in patches()) {
        try_read("g.graphml", &[("g.graphml", &patch(super::graphml::TEXT, &patches))], None);
    }

    #[test]
    fn patched_dimacs_files_are_read_or_refused(patches in patches()) {
        try_read("g.clq", &[("g.clq", &patch(super::dimacs::TEXT, &patches))], None);
    }

    #[test]
    fn damaged_packed_texts_are_read_or_refused(damage in vec((any::<Index>(), any::<u8>()), 1..4), cut in any::<Index>()) {
        let mut bytes = super::dimacs::pack(super::dimacs::TEXT.as_bytes());
        damage.iter().for_each(|(place, byte)| *place.get_mut(&mut bytes) = *byte);
        bytes.truncate(cut.index(bytes.len() + 1));
        super::dimacs::try_bytes(&bytes);
    }

    #[test]
    fn patched_folders_are_read_or_refused(patches in patches(), file in any::<Index>()) {
        let mut files = super::tu_dataset::FILES;
        let (_, text) = &mut files[file.index(8)];
        let patched = patch(text, &patches);
        *text = &patched;
        try_read("", &files, None);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|.*|[0-9, \n]*") {
        for name in ["a.csv", "a.graphml", "a.clq", "a.npz"] {
            try_read(name, &[(name, &text)], None);
        }
        try_read("", &[("T_A.txt", &text), ("T_graph_indicator.txt", &text)], None);
    }
}

#[test]
fn deep_nesting_and_long_lines_are_read_or_refused() {
    let deep = "<a>".repeat(200_000);
    try_read("a.graphml", &[("a.graphml", &deep)], None);
    try_read("a.graphml", &[("a.graphml", &format!("<graphml><graph><node id='a'>{deep}"))], None);
    let attributes: String = (0..50_000).map(|number| format!(" a{number}=''")).collect();
    try_read("a.graphml", &[("a.graphml", &format!("<graphml><graph{attributes}/></graphml>"))], None);
    try_read("a.csv", &[("a.csv", &",".repeat(200_000))], None);
    try_read("a.csv", &[("a.csv", &format!("a,b\n\"{}", "x\n".repeat(200_000)))], None);
}

#[test]
fn many_keys_and_nodes_take_no_more_than_their_sum() {
    let keys: String = (0..20_000).map(|key| format!("<key id='{key}' for='node' attr.type='string'/>")).collect();
    let nodes: String = (0..20_000).map(|node| format!("<node id='{node}'/>")).collect();
    try_read("a.graphml", &[("a.graphml", &format!("<graphml>{keys}<graph>{nodes}</graph></graphml>"))], None);
    // As features with defaults they would be far larger than the file.
    let keys: String = (0..300_000)
        .map(|key| format!("<key id='{key}' for='node' attr.type='int'><default>1</default></key>"))
        .collect();
    let nodes: String = (0..300_000).map(|node| format!("<node id='{node}'/>")).collect();
    try_read("a.graphml", &[("a.graphml", &format!("<graphml>{keys}<graph>{nodes}</graph></graphml>"))], None);
}
