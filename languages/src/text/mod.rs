//! Text as graphs, and words with their inflected forms.
//!
//! | relation | from | to |
//! | --- | --- | --- |
//! | `next` | a character | the following one |
//! | `window` | a character | each other at most `w` apart, by its place beside it |
//! | `tag` | the node of a tag | every character, and back |

mod alphabet;
mod graph;
mod inflection;

pub use alphabet::Alphabet;
pub use graph::{TextGraph, TextOptions, TextUnit};
pub use inflection::{Inflection, MAX_CHARACTERS, MAX_TAGS};
