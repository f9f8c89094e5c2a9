//! Jumping knowledge.

use serde::{Deserialize, Serialize};

use super::{Layer, sequence::in_sequence};
use crate::{
    error::BuildError,
    operators::{concatenate, maximum},
    program::{Program, Value},
};

/// `Y[i] = J(H_1[i], ..., H_K[i])` where block `k` computes `H_k` from `H_(k-1)`, starting from `H_0 = X`, and `J`
/// concatenates them or takes their elementwise maximum (Xu et al., "Representation learning on graphs with
/// jumping knowledge networks", ICML 2018, section 4.1).
///
/// `X` is any input of the first block, `H_k` `[N, F_k]` on the same rows, `Y` `[N, F_1 + ... + F_K]`, or `[N, F]` for
/// the maximum, whose blocks have equal widths. Parameters of layer `i` of block `k` are called `blocks.k.i.*`, both
/// from 0. Costs a copy of each block's output besides the blocks. If several blocks tie for the maximum, the first one
/// receives the gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JumpingKnowledge<L> {
    /// The combination of the blocks' outputs.
    #[serde(default)]
    pub mode: JumpingMode,
    /// Layers, block by block.
    pub blocks: Vec<Vec<L>>,
}

/// The combination of the outputs of several blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JumpingMode {
    /// Concatenation.
    #[default]
    Concatenate,
    /// Elementwise maximum.
    Max,
}

impl<L: Layer> JumpingKnowledge<L> {
    /// Combines the outputs of these blocks, each of which reads the output of the previous one.
    pub fn new(mode: JumpingMode, blocks: impl Into<Vec<Vec<L>>>) -> Self {
        Self { mode, blocks: blocks.into() }
    }
}

impl<L: Layer> Layer for JumpingKnowledge<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        if self.blocks.is_empty() {
            return Err(program.error("has no blocks; give at least one"));
        }
        let mut value = input;
        let mut outputs = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            value = in_sequence(program, &format!("blocks.{index}"), block, value)?;
            match (self.mode, outputs.as_mut_slice()) {
                (JumpingMode::Max, [best]) => *best = maximum(program, [*best, value])?,
                _ => outputs.push(value),
            }
        }
        match outputs.as_slice() {
            [only] => Ok(*only),
            several => concatenate(program, several),
        }
    }
}
