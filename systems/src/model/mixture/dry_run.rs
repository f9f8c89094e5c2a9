//! Dry runs: planning the parts of a mixture without a world.

use super::{
    MixtureBuilder,
    builder::{check_competition, check_noise, check_top_k, complete, gate_builder, unfit_gate},
    member::{other_rows, same_rows, same_width, unfit},
};
use crate::{
    error::{BuildError, MixtureError},
    model::{DryRun, ModelBuilder, input::Input},
    program::Domain,
};

/// A model of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixturePart {
    /// The one that chooses experts.
    Gate,
    /// The expert of this index.
    Expert(usize),
    /// The one that reads what the experts predict together.
    Model,
}

impl MixtureBuilder {
    /// Plans the models of the mixture without a world, in the order in which they compute: the gate, the experts, and the
    /// model that reads what these predict.
    ///
    /// # Errors
    /// Those of [`MixtureBuilder::build`] that can be known without a world, with the part that is refused.
    pub fn dry_run(&self) -> Result<Vec<(MixturePart, DryRun)>, (MixturePart, BuildError)> {
        use MixturePart::{Expert, Gate, Model};
        let Self { gate, model, experts, top_k, noise, competition, .. } = self.clone().with_shared_inputs();
        check_top_k(top_k, experts.len())
            .and_then(|_| check_noise(noise))
            .and_then(|()| check_competition(competition))
            .map_err(|error| (Gate, error))?;
        let plan = |part: MixturePart, builder: &ModelBuilder| -> Result<(DryRun, (Domain, usize)), _> {
            let planned = builder.dry_run().map_err(|error| (part, error))?;
            let output = planned.outputs().next().ok_or((part, BuildError::Empty))?;
            Ok((planned, output))
        };
        let (planned, (rows, _)) = plan(Gate, &gate_builder(&gate, experts.len()))?;
        if !is_row(rows) {
            return Err((Gate, unfit_gate()));
        }
        let mut parts = vec![(Gate, planned)];
        let mut first = None;
        for (index, expert) in experts.into_iter().enumerate() {
            let expert = expert.trained_from_outside();
            let (planned, (domain, width)) = plan(Expert(index), &expert)?;
            let is_of_nodes = domain == Domain::NODES;
            let (expected_domain, expected_width) = *first.get_or_insert((domain, width));
            let fits = if is_row(domain) && (is_of_nodes || rows != Domain::NODES) {
                same_width(&expert.name, width, expected_width)
                    .and_then(|()| same_rows(&expert.name, is_of_nodes, expected_domain == Domain::NODES))
            } else {
                Err(unfit(&expert.name, other_rows(rows != Domain::NODES)))
            };
            fits.map_err(|error| (Expert(index), error))?;
            parts.push((Expert(index), planned));
        }
        let (domain, width) = first.ok_or((Model, MixtureError::NoExperts.into()))?;
        let mut model = complete(model);
        model.input = Input::Predicted { domain, width };
        parts.push((Model, model.dry_run().map_err(|error| (Model, error))?));
        Ok(parts)
    }
}

fn is_row(domain: Domain) -> bool {
    matches!(domain, Domain::NODES | Domain::Subgraphs(_))
}
