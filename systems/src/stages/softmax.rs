//! Scores made into shares of 1.

use bevy_ecs::system::BoxedSystem;
use connectome_components::{Field, Signal, Topology};

use super::{
    attend::Attention,
    heads::HeadWeights,
    relation::Relation,
    rows::{Cut, write_rows},
};
use crate::{
    Phase,
    kernels::exp,
    layers::{BuildError, LayerBuilder},
};

/// `w[l, h] = exp(s[l, h]) / sum of exp(s[k, h])` over the links `k` that lead where `l` leads, for each head by itself;
/// zeros for links that lead nowhere.
///
/// With scores of the nodes for themselves, these count among those of the links that lead to them, and the graph's own
/// self-loops get no share. The largest score is taken off before, so no exponential overflows. Costs `2 (E + N) H`
/// exponentials.
///
/// # Errors
/// If scores are sparse, or not on the rows where they belong.
pub fn softmax(layer: &mut LayerBuilder, scores: Attention, relation: Relation) -> Result<Attention, BuildError> {
    let fields = scores.fields(layer, relation)?;
    let (heads, learns) = (fields.others.width(), scores.learns());
    let [_, place] = relation.domains(layer.rows());
    let statistics = layer.signal(place, 2 * heads, false)?;
    let system = statistics_of(layer, relation, fields, statistics.value());
    layer.forward(Phase::Message, system);
    let others = layer.signal(fields.others.on(), heads, learns)?;
    let system = shares(layer, relation, fields, statistics.value(), others.value());
    layer.forward(Phase::Message, system);
    let own = match fields.own {
        Some(field) => Some(own_shares(layer, field, statistics, learns)?),
        None => None,
    };
    layer.release(statistics);
    let shares = Attention { others, own };
    let outputs: Vec<Signal> = [others].into_iter().chain(own).collect();
    layer.on_backward_of(&outputs, &outputs, move |layer, gradients| {
        softmax_backward(layer, scores, shares, relation, gradients)
    });
    Ok(shares)
}

/// Whether a link takes part: with self-loops added, those that the graph has do not.
#[inline(always)]
fn counts(topology: &Topology, link: usize, adds_own: bool) -> bool {
    !adds_own || topology.ends[link][0] != topology.ends[link][1]
}

/// For each row the largest score of each head, and one over the sum of the exponentials of what they are less.
fn statistics_of(layer: &mut LayerBuilder, relation: Relation, scores: HeadWeights, output: Field) -> BoxedSystem {
    let HeadWeights { others, own } = scores;
    write_rows(
        layer,
        "softmax_statistics",
        relation.cut(),
        [others, own.unwrap_or(others)],
        output,
        #[inline(always)]
        move |topology, [others, own_scores], rows, output| {
            let heads = others.width();
            for (row, output) in rows.zip(output.chunks_exact_mut(2 * heads)) {
                let (largest, sums) = output.split_at_mut(heads);
                let [_, links] = relation.linked(topology, row);
                let links = links.iter().map(|link| *link as usize);
                let scores = links.filter(|link| counts(topology, *link, own.is_some())).map(|link| others.row(link));
                let scores = scores.chain(own.map(|_| own_scores.row(row)));
                largest.fill(f32::NEG_INFINITY);
                for scores in scores.clone() {
                    largest.iter_mut().zip(scores).for_each(|(largest, score)| *largest = largest.max(*score));
                }
                sums.fill(0.0);
                for scores in scores {
                    let terms = scores.iter().zip(&*largest);
                    sums.iter_mut().zip(terms).for_each(|(sum, (score, largest))| *sum += exp(score - largest));
                }
                sums.iter_mut().for_each(|sum| *sum = 1.0 / *sum);
            }
        },
    )
}

/// `exp(score - largest) / sum`.
#[inline(always)]
fn share(scores: &[f32], statistics: &[f32], output: &mut [f32]) {
    let (largest, shares) = statistics.split_at(scores.len());
    for (output, ((score, largest), share)) in output.iter_mut().zip(scores.iter().zip(largest).zip(shares)) {
        *output = exp(score - largest) * share;
    }
}

fn shares(
    layer: &mut LayerBuilder,
    relation: Relation,
    scores: HeadWeights,
    statistics: Field,
    output: Field,
) -> BoxedSystem {
    let adds_own = scores.own.is_some();
    write_rows(
        layer,
        "softmax",
        Cut::Even,
        [scores.others, statistics],
        output,
        #[inline(always)]
        move |topology, [scores, statistics], rows, output| {
            for (link, output) in rows.zip(output.chunks_exact_mut(scores.width())) {
                match relation.ends(topology, link) {
                    Some([_, place]) if counts(topology, link, adds_own) => {
                        share(scores.row(link), statistics.row(place), output);
                    }
                    _ => output.fill(0.0),
                }
            }
        },
    )
}

fn own_shares(layer: &mut LayerBuilder, scores: Field, statistics: Signal, learns: bool) -> Result<Signal, BuildError> {
    let output = layer.signal(scores.on(), scores.width(), learns)?;
    let forward = write_rows(
        layer,
        "softmax",
        Cut::Even,
        [scores, statistics.value()],
        output.value(),
        #[inline(always)]
        |_, [scores, statistics], rows, output| {
            for (row, output) in rows.zip(output.chunks_exact_mut(scores.width())) {
                share(scores.row(row), statistics.row(row), output);
            }
        },
    );
    layer.forward(Phase::Message, forward);
    Ok(output)
}

/// `gradient by s[l] = w[l] (gradient by w[l] - sum over k of w[k] gradient by w[k])`.
fn softmax_backward(
    layer: &mut LayerBuilder,
    scores: Attention,
    shares: Attention,
    relation: Relation,
    gradients: &[Option<Field>],
) -> Result<(), BuildError> {
    let pairs = |shares: Option<Signal>, place: usize| Some((shares?.value(), (*gradients.get(place)?)?));
    let (others, own) = (pairs(Some(shares.others), 0), pairs(shares.own, 1));
    let Some(any) = others.or(own) else { return Ok(()) };
    let [_, place] = relation.domains(layer.rows());
    let mean = layer.signal(place, shares.others.width(), false)?;
    let ([weights, gradient], [own_weights, own_gradient]) =
        (<[Field; 2]>::from(others.unwrap_or(any)), <[Field; 2]>::from(own.unwrap_or(any)));
    let backward = write_rows(
        layer,
        "softmax_mean_gradient",
        relation.cut(),
        [weights, gradient, own_weights, own_gradient],
        mean.value(),
        #[inline(always)]
        move |topology, [weights, gradient, own_weights, own_gradient], rows, output| {
            for (row, output) in rows.zip(output.chunks_exact_mut(weights.width())) {
                output.fill(0.0);
                let mut add = |weights: &[f32], gradient: &[f32]| {
                    let terms = weights.iter().zip(gradient);
                    output.iter_mut().zip(terms).for_each(|(sum, (weight, gradient))| *sum += weight * gradient);
                };
                if own.is_some() {
                    add(own_weights.row(row), own_gradient.row(row));
                }
                let [_, links] = relation.linked(topology, row);
                for link in links.iter().filter(|_| others.is_some()) {
                    add(weights.row(*link as usize), gradient.row(*link as usize));
                }
            }
        },
    );
    layer.backward(backward);
    for (relation, scores, shares, part) in
        [(Some(relation), Some(scores.others), Some(shares.others), others), (None, scores.own, shares.own, own)]
    {
        let (Some(scores), Some(shares)) = (scores, shares) else { continue };
        let Some(target) = layer.gradient_of(scores)? else { continue };
        let (weights, gradient) = part.unwrap_or((shares.value(), shares.value()));
        let has_gradient = part.is_some();
        let backward = write_rows(
            layer,
            "softmax_backward",
            Cut::Even,
            [weights, gradient, mean.value()],
            target,
            #[inline(always)]
            move |topology, [weights, gradient, means], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(weights.width())) {
                    let place = match relation {
                        Some(relation) => relation.ends(topology, row).map(|[_, place]| place),
                        None => Some(row),
                    };
                    let Some(place) = place else {
                        target.fill(0.0);
                        continue;
                    };
                    let terms = weights.row(row).iter().zip(gradient.row(row)).zip(means.row(place));
                    for (target, ((weight, gradient), mean)) in target.iter_mut().zip(terms) {
                        let gradient = if has_gradient { *gradient } else { 0.0 };
                        *target = weight * (gradient - mean);
                    }
                }
            },
        );
        layer.backward(backward);
    }
    layer.release(mean);
    Ok(())
}
