//! Jumping knowledge.

use connectome_components::Signal;
use serde::{Deserialize, Serialize};

use super::{BuildError, Layer, LayerBuilder, sequence::in_sequence};
use crate::stages::{concatenate, maximum};

/// `Y[i] = J(H_1[i], ..., H_K[i])` where block `k` computes `H_k` from `H_(k-1)`, beginning with `H_0 = X`, and `J` puts
/// them side by side or takes the largest number of each column (Xu et al., "Representation learning on graphs with
/// jumping knowledge networks", ICML 2018, section 4.1): each node reads as far as suits it.
///
/// `X` is whatever the first block takes, `H_k` `[N, F_k]` on the same rows, `Y` `[N, F_1 + ... + F_K]`, or `[N, F]` where
/// the maximum is taken of blocks of one width. Parameters of layer `i` of block `k` are called `blocks.k.i.*`, counted
/// from 0. Costs `N` numbers moved for each width beside the blocks. Where several are largest, the first one's block is
/// given the gradient. Border: rows meet only where the blocks make them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JumpingKnowledge<L> {
    /// How the blocks' outputs become one.
    #[serde(default)]
    pub mode: JumpingMode,
    /// Layers, block by block.
    pub blocks: Vec<Vec<L>>,
}

/// How what several blocks computed becomes one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JumpingMode {
    /// Side by side.
    #[default]
    Concatenate,
    /// The largest number of each column.
    Max,
}

impl<L: Layer> JumpingKnowledge<L> {
    /// Brings together what these blocks compute, one after the other.
    pub fn new(mode: JumpingMode, blocks: impl Into<Vec<Vec<L>>>) -> Self {
        Self { mode, blocks: blocks.into() }
    }
}

impl<L: Layer> Layer for JumpingKnowledge<L> {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let Some(last) = self.blocks.len().checked_sub(1) else {
            return Err(layer.refuse("brings together no blocks; give at least one"));
        };
        let mut signal = input;
        let mut outputs = Vec::new();
        for (place, block) in self.blocks.iter().enumerate() {
            signal = in_sequence(layer, &format!("blocks.{place}"), block, signal)?;
            if place < last {
                // The next block releases it, and it is still to be read.
                layer.hold(signal);
            }
            match (self.mode, outputs.as_slice()) {
                (JumpingMode::Max, [best]) => {
                    let best: Signal = *best;
                    let larger = maximum(layer, [best, signal])?;
                    layer.release(best);
                    layer.release(signal);
                    outputs = vec![larger];
                }
                _ => outputs.push(signal),
            }
        }
        match outputs.as_slice() {
            [only] => Ok(*only),
            several => {
                layer.last_stage();
                let output = concatenate(layer, several)?;
                several.iter().for_each(|signal| layer.release(*signal));
                Ok(output)
            }
        }
    }
}
