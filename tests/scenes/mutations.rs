//! Whatever happens to a scene or a graph file, reading it ends, with a scene or an error that can be shown.

use connectome::scene::{SceneFile, Step, locate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::COUPLE;
use super::graph_files::{Arrays, load};
use super::graph_sets;

/// Pieces that parsers stumble over.
const PIECES: [&str; 16] =
    ["(", ")", "[", "{", "\"", "'", "r#\"", "/*", "*/", "//", "\\", "é", "\n", "#![", "99999999999999999999", "b'"];

/// Reads the text and shows what comes of it.
fn read(text: &str) {
    if let Err(error) = SceneFile::parse(text, "x.ron") {
        assert!(error.to_string().starts_with("x.ron:"));
        assert!(error.position.line >= 1 && error.position.column >= 1);
    }
    let path = [Step::Field("graph"), Step::Field("edges"), Step::Index(0), Step::Field("weight")];
    for length in 0..=path.len() {
        locate(text, &path[..length]);
    }
}

/// Where a character of the text starts.
fn boundary(text: &str, index: Index) -> usize {
    let at = index.index(text.len() + 1);
    (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cut_scenes_are_read_or_refused(end in any::<Index>()) {
        read(&COUPLE[..boundary(COUPLE, end)]);
    }

    #[test]
    fn patched_scenes_are_read_or_refused(
        patches in vec((any::<Index>(), any::<Index>(), prop::sample::select(&PIECES[..])), 1..6),
    ) {
        let mut text = COUPLE.to_owned();
        for (start, length, piece) in patches {
            let start = boundary(&text, start);
            let end = boundary(&text, length).clamp(start, text.len().min(start + 9));
            let end = (start..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(start);
            text.replace_range(start..end, piece);
        }
        read(&text);
    }

    #[test]
    fn scenes_with_flipped_bytes_are_read_or_refused(flips in vec((any::<Index>(), any::<u8>()), 1..9)) {
        let mut bytes = COUPLE.as_bytes().to_vec();
        for (at, byte) in flips {
            *at.get_mut(&mut bytes) = byte;
        }
        read(&String::from_utf8_lossy(&bytes));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.ron");
        std::fs::write(&path, &bytes).expect("the scene is written");
        let _ = SceneFile::load(&path).map_err(|error| error.to_string());
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        read(&text);
    }

    #[test]
    fn graph_files_with_flipped_bytes_are_read_or_refused(
        flips in vec((any::<Index>(), any::<u8>()), 1..4),
        end in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = Arrays::small().bytes();
        for (at, byte) in flips {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        let _ = load(&bytes).map_err(|error| error.to_string());
    }

    // The zip knows by a checksum that it was damaged; what was wrong before it was zipped gets through.
    #[test]
    fn arrays_with_flipped_bytes_are_read_or_refused(
        flips in vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..4),
        set in any::<bool>(),
    ) {
        let mut arrays = if set { graph_sets::small() } else { Arrays::small() };
        for (array, at, byte) in flips {
            let (_, bytes) = array.get_mut(arrays.contents());
            *at.get_mut(bytes) = byte;
        }
        let result = if set { graph_sets::load(&arrays) } else { load(&arrays.bytes()) };
        let _ = result.map_err(|error| error.to_string());
    }
}

#[test]
fn deep_nesting_is_refused() {
    for bracket in ["(", "[", "{", "Inline(", "/*", "Npz(", "(graph: ", "(name: \"\", graph: Inline(nodes: [("] {
        let text = bracket.repeat(100_000);
        read(&text);
        let path = [Step::Index(0); 1000];
        locate(&text, &path);
    }
}
