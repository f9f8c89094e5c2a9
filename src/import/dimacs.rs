//! Graphs of the second DIMACS challenge, on cliques and colorings.
//!
//! | line | meaning |
//! | --- | --- |
//! | `c …` | a comment |
//! | `p edge N M` or `p col N M` | the graph has `N` nodes and `M` edges |
//! | `e I J` | an undirected edge; nodes are counted from 1 |
//!
//! Graphs are simple, so an edge that is listed again, or in the other direction, counts once.
//!
//! Lines on weights and places of nodes (`n`, `d`, `v`, `x`) are passed over.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use super::Imported;
use super::draft::Draft;
use super::error::ImportError;
use super::text::{TextFile, fits};
use crate::suggest::quote;

/// What the line of the problem looks like.
const PROBLEM: &str = "p edge NODES EDGES";

/// What the line of the problem may call graphs.
pub(super) const KINDS: [&str; 4] = ["edge", "edges", "col", "clq"];

/// What the line of the problem says, and where it stands.
struct Problem {
    offset: usize,
    nodes: u32,
    edges: usize,
}

/// Reads a graph; its nodes are called by their numbers in the file.
pub(super) fn read(path: &Path) -> Result<Imported, ImportError> {
    let file = TextFile::read_with_comments(path, is_comment)?;
    let (mut problem, mut edges, mut passed) = (None, Vec::new(), 0_usize);
    for line in file.text.lines() {
        let line = Line { file: &file, text: line };
        let mut words = line.text.split_whitespace();
        let Some(kind) = words.next() else { continue };
        let words: Vec<&str> = words.take(4).collect();
        match (kind, &problem) {
            ("c", _) => {}
            ("p", None) => problem = Some(line.problem(&words)?),
            ("p", Some(_)) => return Err(line.error(0, "the problem is told a second time", "take this line out")),
            ("e", Some(Problem { nodes, .. })) => edges.push(line.edge(&words, *nodes)?),
            ("e", None) => {
                let help = format!("write \"{PROBLEM}\" before the first edge");
                return Err(line.error(0, "the edge stands before the line of the problem", help));
            }
            ("n" | "d" | "v" | "x", _) => passed += 1,
            _ => {
                let message = format!("{} is no kind of line", quote(kind));
                return Err(line.error(0, message, format!("begin it with c, e, or \"{PROBLEM}\"")));
            }
        }
    }
    let Some(problem) = problem else {
        let help = format!("write \"{PROBLEM}\" before the edges");
        return Err(file.error_of_file("the file has no line of the problem", help));
    };
    let mut notes = check_count(&file, &problem, &mut edges)?;
    if passed > 0 {
        notes.push(format!("{passed} lines on weights and places of nodes are not read"));
    }
    let names = (1..=problem.nodes).map(|node| node.to_string()).collect();
    let mut draft = Draft { names, edges, notes, ..Draft::default() };
    draft.add_reverse_edges(|_| true);
    Ok(draft.finish())
}

fn is_comment(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start(), [b'c'] | [b'c', b' ' | b'\t' | b'\r', ..])
}

/// Keeps each edge once, and checks that there are as many as were said. Some files count lines, some pairs of nodes, and
/// some the entries of the adjacency matrix.
fn check_count(file: &TextFile, problem: &Problem, edges: &mut Vec<[u32; 2]>) -> Result<Vec<String>, ImportError> {
    let listed = edges.len();
    let mut known = HashSet::new();
    edges.retain(|&[one, other]| known.insert([one.min(other), one.max(other)]));
    let loops = edges.iter().filter(|[one, other]| one == other).count();
    let mut notes = Vec::new();
    if edges.len() < listed {
        notes.push(format!("{} lines repeat an edge, which counts once", listed - edges.len()));
    }
    let pairs = edges.len();
    match problem.edges {
        count if count == listed || count == pairs => {}
        count if count == 2 * pairs || count == 2 * pairs - loops => {
            notes.push(format!("the file says {count} edges and counts either direction: there are {pairs}"));
        }
        count => {
            let message = format!("the line says {count} edges, but the file lists {listed}");
            return Err(file.error(problem.offset, message, format!("write {listed}, or complete the file")));
        }
    }
    Ok(notes)
}

struct Line<'a> {
    file: &'a TextFile,
    text: &'a str,
}

impl Line<'_> {
    fn offset(&self) -> usize {
        self.text.as_ptr() as usize - self.file.text.as_ptr() as usize
    }

    /// An error about the place in the line.
    fn error(&self, place: usize, message: impl Into<String>, help: impl Into<String>) -> ImportError {
        self.file.error(self.offset() + place, message, help)
    }

    fn number<T: FromStr>(&self, word: &str, help: &str) -> Result<T, ImportError> {
        let place = word.as_ptr() as usize - self.text.as_ptr() as usize;
        word.parse().map_err(|_| self.error(place, format!("{} is no number of nodes or edges", quote(word)), help))
    }

    fn problem(&self, words: &[&str]) -> Result<Problem, ImportError> {
        let help = format!("write \"{PROBLEM}\"");
        let [kind, nodes, edges] = words else {
            return Err(self.error(0, "the line does not tell the problem, the nodes and the edges", help));
        };
        if !KINDS.contains(kind) {
            let message = format!("{} is another kind of problem", quote(kind));
            return Err(self.error(0, message, format!("graphs are told by \"{PROBLEM}\"")));
        }
        let problem =
            Problem { offset: self.offset(), nodes: self.number(nodes, &help)?, edges: self.number(edges, &help)? };
        fits(problem.nodes as usize, 16).map_err(|message| {
            self.error(0, format!("there are {} nodes: {message}", problem.nodes), "use a smaller graph")
        })?;
        Ok(problem)
    }

    fn edge(&self, words: &[&str], nodes: u32) -> Result<[u32; 2], ImportError> {
        let [source, target] = words else {
            return Err(self.error(0, "the edge does not name two nodes", "write \"e NODE NODE\""));
        };
        let end = |word: &str| {
            let help = format!("name a node by a number from 1 to {nodes}");
            match self.number::<u32>(word, &help)? {
                number if (1..=nodes).contains(&number) => Ok(number - 1),
                number => {
                    let place = word.as_ptr() as usize - self.text.as_ptr() as usize;
                    Err(self.error(place, format!("there is no node {number}"), help))
                }
            }
        };
        Ok([end(source)?, end(target)?])
    }
}
