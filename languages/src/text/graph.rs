//! Graphs of characters.

use unicode_segmentation::UnicodeSegmentation;

use crate::{
    LanguageGraph, Relation, SourceError, Span,
    source::{MAX_EDGES, check_length},
};

/// What the nodes of a text are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextUnit {
    /// Unicode scalar values, such as `e` and the accent above it.
    #[default]
    ScalarValue,
    /// Extended grapheme clusters, which readers take for one character: letters with their accents, flags, families of
    /// emoji (Unicode Standard Annex #29).
    GraphemeCluster,
}

/// How a text becomes a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// What the nodes are.
    pub unit: TextUnit,
    /// So many characters before and after each send messages to it; none if 0.
    pub window: usize,
    /// Each is a node that is joined with every character, such as the tags of an inflected form.
    pub tags: Vec<String>,
}

/// A text as a graph: a chain of its characters, with windows and tags if they are asked for.
///
/// The label of a node is the character itself, that of a tag `tag NAME`, which is never one character. Messages flow along
/// the text by `next`; a window adds edges both ways, whose position is the place of the source beside the target: of
/// `window` `w` those before have `0..w` from the left to the right, those after `w..2w`.
///
/// ```
/// use connectome_languages::text::{TextGraph, TextOptions, TextUnit};
///
/// let clusters = TextOptions { unit: TextUnit::GraphemeCluster, ..TextOptions::default() };
/// let graph = TextGraph::new("ne\u{301}e 👩‍👧", &clusters)?;
/// assert_eq!((graph.character_count(), graph.graph().label(1)), (5, Some("e\u{301}")));
/// assert_eq!(graph.text(), "ne\u{301}e 👩‍👧");
/// # Ok::<(), connectome_languages::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextGraph {
    graph: LanguageGraph,
    characters: u32,
}

impl TextGraph {
    /// The relation of a character to the next.
    pub const NEXT: u32 = 0;
    /// The relation of characters that are near.
    pub const WINDOW: u32 = 1;
    /// The relation between a tag and every character.
    pub const TAG: u32 = 2;
    /// The relations, by their numbers.
    pub const RELATIONS: &'static [Relation] =
        &[Relation::unordered("next"), Relation::ordered("window"), Relation::unordered("tag")];

    /// The graph of a text.
    ///
    /// Costs `O(N (1 + window + tags))`. Border: an empty text has no characters, but its tags.
    ///
    /// # Errors
    /// If the text or its graph is too large.
    pub fn new(text: &str, options: &TextOptions) -> Result<Self, SourceError> {
        check_length(text)?;
        let mut graph = LanguageGraph::new(Self::RELATIONS);
        let mut add = |(start, character): (usize, &str)| {
            let span = Span { start: start as u32, end: (start + character.len()) as u32 };
            graph.add_node(character, Some(span));
        };
        match options.unit {
            TextUnit::ScalarValue => {
                text.char_indices().for_each(|(start, one)| add((start, &text[start..start + one.len_utf8()])));
            }
            TextUnit::GraphemeCluster => text.grapheme_indices(true).for_each(add),
        }
        let characters = graph.labels().len() as u32;
        let window = options.window.min(characters.saturating_sub(1) as usize);
        let per_character = 2 * (window + options.tags.len()) + 1;
        let edges = per_character.saturating_mul(characters as usize);
        if edges > MAX_EDGES {
            return Err(SourceError::TooManyEdges { edges });
        }
        for node in 1..characters {
            graph.connect([node - 1, node], Self::NEXT, 0);
        }
        let window = window as u32;
        for node in 0..characters {
            let before = node.saturating_sub(window)..node;
            let after = node + 1..(node + 1 + window).min(characters);
            for source in before.chain(after) {
                // From the leftmost of the window on, without the node itself.
                let position = source + window - node - u32::from(source > node);
                graph.connect([source, node], Self::WINDOW, position);
            }
        }
        for tag in &options.tags {
            let hub = graph.add_node(&format!("tag {tag}"), None);
            for node in 0..characters {
                graph.connect([hub, node], Self::TAG, 0);
                graph.connect([node, hub], Self::TAG, 0);
            }
        }
        Ok(Self { graph, characters })
    }

    /// The graph: the characters in their order, then the tags.
    pub fn graph(&self) -> &LanguageGraph {
        &self.graph
    }

    /// The graph alone.
    pub fn into_graph(self) -> LanguageGraph {
        self.graph
    }

    /// Number of characters; the nodes after them are tags.
    pub fn character_count(&self) -> u32 {
        self.characters
    }

    /// The text, byte by byte, out of the labels of the characters.
    pub fn text(&self) -> String {
        (0..self.characters).filter_map(|node| self.graph.label(node)).collect()
    }
}
