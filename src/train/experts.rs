//! Who computes what in a mixture of experts.

use bevy_ecs::{entity::Entity, world::World};

use crate::components::{Field, FieldError, MixtureOfExperts, Split};
use crate::output::Measures;
use crate::output::measures::{LOAD, SPECIALIZATION};
use crate::scene::SceneFile;

/// Sets how sharply experts compete in an epoch, counted from 0: the scene says how sharply in the last one, before it less in
/// proportion.
pub(super) fn sharpen(world: &mut World, model: Entity, scene: &SceneFile, epoch: u64) {
    let competition = scene.mixture.as_ref().and_then(|mixture| mixture.competition);
    if let (Some(last), Some(mut mixture)) = (competition, world.get_mut::<MixtureOfExperts>(model)) {
        let epochs = scene.training.epochs.max(1);
        mixture.competition = Some((f64::from(last) * ((epoch + 1) as f64 / epochs as f64).min(1.0)) as f32);
    }
}

/// How experts were used in a pass, for each split.
pub(super) struct ExpertUse {
    splits: Field<Split>,
    sums: [Sums; 4],
    /// The names of the loads.
    names: Vec<String>,
}

#[derive(Clone, Default)]
struct Sums {
    rows: f64,
    /// The weights of each expert.
    weights: Vec<f64>,
    /// The entropies of the weights.
    entropy: f64,
}

impl ExpertUse {
    /// None unless the model is a mixture.
    pub fn of(world: &mut World, model: Entity) -> Result<Option<Self>, FieldError> {
        let Some(mixture) = world.get::<MixtureOfExperts>(model) else { return Ok(None) };
        let (domain, experts) = (mixture.weights.domain(), mixture.experts.len());
        let sums = Sums { weights: vec![0.0; experts], ..Sums::default() };
        let names = (0..experts).map(|expert| format!("{LOAD}{expert}")).collect();
        let splits = Field::of_component(world, domain)?;
        Ok(Some(Self { splits, sums: std::array::from_fn(|_| sums.clone()), names }))
    }

    pub fn clear(&mut self) {
        for sums in &mut self.sums {
            (sums.rows, sums.entropy) = (0.0, 0.0);
            sums.weights.fill(0.0);
        }
    }

    /// Adds the rows that are in the world, of which the first `most` count.
    pub fn add(&mut self, world: &World, model: Entity, most: usize) {
        let Some(mixture) = world.get::<MixtureOfExperts>(model) else { return };
        let (weights, splits) = (mixture.weights.matrix(world), self.splits.matrix(world));
        for (weights, split) in weights.rows().zip(splits.rows()).take(most) {
            let sums = &mut self.sums[split[0] as usize];
            let whole: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            sums.rows += 1.0;
            for (sum, weight) in sums.weights.iter_mut().zip(weights) {
                // Of a single expert the weight is a probability, but it computes the whole row.
                let share = f64::from(*weight) / whole;
                *sum += share;
                sums.entropy += entropy(share);
            }
        }
    }

    /// Writes what was found on some splits over the measures from `index` on; see [`Measures::place`].
    ///
    /// The specialization is the mutual information of row and expert, `(H(mean of the weights) - mean of H(weights)) / ln E`: 1 if
    /// each row has one expert and all are used alike, 0 if all rows have the same weights.
    pub fn write(&self, measures: &mut Measures, mut index: usize, splits: &[Split]) -> usize {
        for split in splits {
            let Sums { rows, weights, entropy: of_rows } = &self.sums[*split as usize];
            if *rows == 0.0 {
                continue;
            }
            let loads = weights.iter().map(|weight| weight / rows);
            for (name, load) in self.names.iter().zip(loads.clone()) {
                index = measures.place(index, *split, [name, "", ""], load);
            }
            if weights.len() > 1 {
                let information = loads.map(entropy).sum::<f64>() - of_rows / rows;
                let most = (weights.len() as f64).ln();
                index = measures.place(index, *split, [SPECIALIZATION, "", ""], (information / most).max(0.0));
            }
        }
        index
    }
}

/// A term of an entropy.
fn entropy(share: f64) -> f64 {
    if share > 0.0 { -share * share.ln() } else { 0.0 }
}
