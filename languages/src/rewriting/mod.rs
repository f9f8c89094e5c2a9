//! Rewriting: every node of a graph says at once what becomes of it, in slots.
//!
//! **Slots.** Each node v of a source owns K slots (v, k), the first R of which are its *roles*, which other nodes may refer
//! to. A slot has a label and, in order, one address for each child:
//!
//! | label | what the slot stands for |
//! | --- | --- |
//! | `Null` | nothing |
//! | `Keep` | a node with the label of v, whatever it is, over the addressed children |
//! | `Forward` | what its one address denotes |
//! | `Vocabulary(l)` | a node with the label l over the addressed children |
//!
//! | address at v | what it denotes |
//! | --- | --- |
//! | `Child { child: j, role: r }` | slot r of the j-th child of v |
//! | `Part { child: j, role: r, part: i }` | the i-th child of what slot r of the j-th child of v stands for |
//! | `Own(k)` | slot k of v |
//! | `Node { node: u, role: r }` | slot r of any node u of the source |
//!
//! The answer is what slot `result` of the root stands for. So x + 0 -> x is a `Forward` at the sum; a derivative is a second
//! role beside the copy of its term; a new node is a slot with a label of the vocabulary; copies and sharing are several
//! addresses of one thing; what nobody refers to is deleted.
//!
//! **Decoding** resolves slots from the answer down, depth first, with a mark for those under way: a slot that needs itself
//! is an error, not a loop. Addresses other than `Node` reach children or slots of the same node, so only slots of one node
//! can form cycles among them. Terms are hash-consed, which makes answers equal if and only if they are the same term. A
//! slot is resolved once: O(N K) addresses.
//!
//! **Targets** for learning come from a [`TargetBuilder`]. It is given, from the leaves up, what each slot is to be, as a
//! [`Step`]: forward a term that exists, or make a new node over terms that exist. It finds *all* addresses that denote
//! each of these terms, because several often do, and a loss is -log of the sum of their probabilities. Every choice among
//! them decodes to the same answer: an own slot is offered only to slots that are set after it.
//!
//! **Worlds.** A rewrite is carried out in a running world by [`GraphEdits`], plain data: nodes to spawn, despawn and relabel,
//! edges to spawn, despawn and rewire. Terms and any other graph share them. [`EntityDag::rewrite`] finds the edits that make
//! the terms of a world what slots say, and [`rewrite_terms`] is a system of it; for other graphs a system of yours writes
//! edits down, out of what a model predicts for each node, and [`commit_edits`] carries them out at the end of a step, all or
//! none. Both count what they do in [`CommittedEdits`]. One pass is one tick;
//! [`run_until_settled`] goes on until a tick changes nothing. A [`Snapshot`](connectome_systems::snapshot::Snapshot) that was taken
//! before undoes it all.
//!
//! **Sequences**, such as words, need no addresses: the result is what the slots make in the order of nodes and slots, which
//! [`Rewrite::concatenate`] puts together. [`align_sequences`] finds their targets, by costs that [`EditCosts`] learns from all pairs.
//!
//! Steps of a rule engine are in [`mathematics`](crate::mathematics). From a pair (source, target) alone [`align`] finds them.

mod alignment;
mod commit;
mod decode;
mod distance;
mod edits;
mod entities;
mod sequence;
mod slots;
mod targets;

pub use alignment::{AlignmentError, align};
pub use commit::{EditError, SettleError, Settled, commit_edits, rewrite_terms, run_until_settled};
pub use decode::InvalidRewrite;
pub use distance::{TreeEditDistance, tree_edit_distance};
pub use edits::{CommittedEdits, EditCounts, EditNode, GraphEdits};
pub use entities::{EntityDag, EntityDagError, EntityRewrite};
pub use sequence::{EditCosts, align_sequences};
pub use slots::{Rewrite, Slot, SlotAddress, SlotCountError, SlotLabel, SlotLayout};
pub use targets::{NoAddress, RewriteTarget, SlotTarget, Step, TargetBuilder};
