//! What a model chooses among in functions where a variable may be misused.

use core::fmt::Debug;
use std::sync::Arc;

use connectome_components::Split;

use super::GraphData;

/// Functions with and without a misused variable, beside their graphs in a [`GraphData`].
#[derive(Clone, Debug)]
pub struct MisuseData {
    /// The choices that are measured, in the order of their graphs, which come after those to learn from.
    pub measured: Vec<(MisuseChoice, Split)>,
    /// Where the graphs of each epoch come from.
    pub source: Arc<dyn EpochGraphs>,
}

/// Graphs to learn from that are drawn anew in each epoch.
pub trait EpochGraphs: Debug + Send + Sync {
    /// The graphs of an epoch, which follow from it and the seed: those to learn from, then those that are measured, which are
    /// always the same. There are as many in each epoch, with features of the same widths.
    fn graphs(&self, seed: u64, epoch: u64) -> GraphData;

    /// A hash of all that they are drawn from.
    fn fingerprint(&self) -> u128;
}

/// What a model chooses among in a function: that another variable is meant in the place of a load, or that none is misused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MisuseChoice {
    /// Number of nodes of the graph; those of the hypotheses and then that of no misuse are the last.
    pub nodes: usize,
    /// For each hypothesis the load and the candidate that is meant there.
    pub hypotheses: Vec<[u32; 2]>,
    /// Which of them is right; none without a misuse.
    pub right: Option<usize>,
}

/// What a model says of a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MisuseVerdict {
    /// The load where a variable is misused with the greatest probability, and that probability.
    pub place: (u32, f64),
    /// The candidate that is meant there, and its probability if the place is right.
    pub repair: (u32, f64),
    /// The probability that none is misused.
    pub none: f64,
}

impl MisuseVerdict {
    /// Whether a variable is misused, wherever it is: the probability that none is, is below the threshold.
    pub fn is_misuse(&self, threshold: f64) -> bool {
        self.none < threshold
    }
}

/// Graphs follow from the choices and the seed.
impl PartialEq for MisuseData {
    fn eq(&self, other: &Self) -> bool {
        (&self.measured, self.source.fingerprint()) == (&other.measured, other.source.fingerprint())
    }
}

impl MisuseChoice {
    /// The scores of the hypotheses, and then that of no misuse, among those of all nodes.
    pub fn scores<'a>(&self, of_nodes: &'a [f32]) -> &'a [f32] {
        &of_nodes[self.nodes.saturating_sub(self.hypotheses.len() + 1).min(of_nodes.len())..]
    }

    /// `-ln` of the probability of the right answer.
    pub fn loss(&self, scores: &[f32]) -> f64 {
        let right = scores[self.right.unwrap_or(self.hypotheses.len())];
        log_sum(scores) - f64::from(right)
    }

    /// What the scores say; of equally likely answers the first.
    pub fn verdict(&self, scores: &[f32]) -> MisuseVerdict {
        let total = log_sum(scores);
        let probability = |index: usize| (f64::from(scores[index]) - total).exp();
        let (mut place, mut best) = ((0, f64::NEG_INFINITY), 0..0);
        let mut start = 0;
        while let Some([load, _]) = self.hypotheses.get(start) {
            let end = start + self.hypotheses[start..].iter().take_while(|[other, _]| other == load).count();
            let sum: f64 = (start..end).map(probability).sum();
            if sum > place.1 {
                (place, best) = ((*load, sum), start..end);
            }
            start = end;
        }
        let repair = self.repair(scores, best);
        MisuseVerdict { place, repair, none: probability(self.hypotheses.len()) }
    }

    /// The candidate that is meant in the right place, if there is one, and whether it is the right one.
    pub fn repairs_right_place(&self, scores: &[f32]) -> Option<bool> {
        let [load, candidate] = self.hypotheses[self.right?];
        let start = self.hypotheses.partition_point(|[other, _]| *other < load);
        let end = self.hypotheses.partition_point(|[other, _]| *other <= load);
        Some(self.repair(scores, start..end).0 == candidate)
    }

    fn repair(&self, scores: &[f32], place: core::ops::Range<usize>) -> (u32, f64) {
        let all = log_sum(&scores[place.clone()]);
        let likelier = |best: usize, other: usize| if scores[other] > scores[best] { other } else { best };
        match place.reduce(likelier) {
            Some(best) => (self.hypotheses[best][1], (f64::from(scores[best]) - all).exp()),
            None => (0, 0.0),
        }
    }
}

/// The logarithm of the sum of exponentials.
fn log_sum(scores: &[f32]) -> f64 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
    f64::from(most) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two loads, of which the first could be one of two others.
    fn choice(right: Option<usize>) -> MisuseChoice {
        MisuseChoice { nodes: 6, hypotheses: vec![[0, 1], [0, 2], [1, 0]], right }
    }

    #[test]
    fn a_place_is_as_likely_as_all_its_hypotheses_together() {
        let scores = [9.0, 9.0, 3f32.ln(), 2f32.ln(), 4f32.ln(), 0.0];
        let choice = choice(Some(1));
        let scores = choice.scores(&scores);
        let verdict = choice.verdict(scores);
        let near = |found: f64, expected: f64| (found - expected).abs() < 1e-6;
        assert!(verdict.place.0 == 0 && near(verdict.place.1, 0.5), "{verdict:?}");
        assert!(verdict.repair.0 == 1 && near(verdict.repair.1, 0.6), "{verdict:?}");
        assert!(near(verdict.none, 0.1) && verdict.is_misuse(0.2) && !verdict.is_misuse(0.05), "{verdict:?}");
        assert!(near(choice.loss(scores), 5f64.ln()));
        assert_eq!(choice.repairs_right_place(scores), Some(false));
    }

    #[test]
    fn scores_of_any_size_and_none_at_all_are_judged() {
        let choice = choice(None);
        let verdict = choice.verdict(&[-1e30, 1e30, 0.0, 0.0]);
        assert_eq!((verdict.place, verdict.repair, verdict.none), ((0, 1.0), (2, 1.0), 0.0));
        assert_eq!(choice.repairs_right_place(&[0.0; 4]), None);
        let verdict = MisuseChoice { nodes: 1, ..MisuseChoice::default() }.verdict(&[0.0]);
        assert!(!verdict.is_misuse(1.0) && verdict.none == 1.0);
        assert!(!choice.verdict(&[f32::NAN; 4]).is_misuse(0.5));
    }
}
