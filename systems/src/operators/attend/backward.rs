//! The way back of attention: what each row that is read has of the gradient.

use connectome_components::{Field, Signal};

use super::recipe::Parts;
use crate::{
    kernels::{Link, Score, Tile, add_rows},
    layers::{BuildError, LayerBuilder},
    stages::{
        relation::Relation,
        rows::{Cut, sum_rows, write_row_pairs, write_rows},
    },
};

const NAME: &str = "attend_backward";

impl Parts {
    /// Adds the systems that take the gradients by what attention reads from those by its output, with the states of its
    /// rows.
    pub(super) fn backward(&self, layer: &mut LayerBuilder, states: Field, gradient: Field) -> Result<(), BuildError> {
        let [values, sources, targets, edges, own_edges, vectors, masks, own_masks] = self.fields;
        let inputs = [values, sources, targets, edges, own_edges, vectors, masks, own_masks, states, gradient];
        self.by_targets(layer, inputs)?;
        self.by_links(layer, inputs, Some(self.recipe.relation), self.edges)?;
        self.by_links(layer, inputs, None, self.own_edges)?;
        self.by_sources(layer, inputs)
    }

    fn by_targets(&self, layer: &mut LayerBuilder, inputs: [Field; 10]) -> Result<(), BuildError> {
        let recipe = self.recipe;
        let Some(targets) = self.targets else { return Ok(()) };
        let Some(target) = layer.gradient_of(targets)? else { return Ok(()) };
        let width = targets.width();
        let system = write_rows(
            layer,
            NAME,
            recipe.relation.cut(),
            inputs,
            target,
            #[inline(always)]
            move |topology, matrices, rows, target| {
                let attending = recipe.of(matrices);
                let mut tile = Tile::new(recipe.heads);
                for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                    target.fill(0.0);
                    recipe.for_each_tile(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |source| attending.prefetch_source(source),
                        #[inline(always)]
                        |tile| {
                            attending.differentiate(tile, matrices[8], matrices[9]);
                            attending.add_by_target(tile.all(), target);
                        },
                    );
                }
            },
        );
        layer.backward(system);
        Ok(())
    }

    /// The gradient by what links add to the scores, or without a relation by what the loops do that are added.
    fn by_links(
        &self,
        layer: &mut LayerBuilder,
        inputs: [Field; 10],
        relation: Option<Relation>,
        links: Option<Signal>,
    ) -> Result<(), BuildError> {
        let recipe = self.recipe;
        let Some(links) = links else { return Ok(()) };
        let Some(target) = layer.gradient_of(links)? else { return Ok(()) };
        let width = links.width();
        let system = write_rows(
            layer,
            NAME,
            Cut::Even,
            inputs,
            target,
            #[inline(always)]
            move |topology, matrices, rows, output| {
                let attending = recipe.of(matrices);
                let link = |row: usize| match relation {
                    None => Some(Link { target: row as u32, source: row as u32, edge: None }),
                    Some(relation) => {
                        let [source, target] = relation.ends(topology, row)?.map(|row| row as u32);
                        recipe.counts(target, source).then_some(Link { target, source, edge: Some(row as u32) })
                    }
                };
                output.fill(0.0);
                Tile::new(recipe.heads).for_each(
                    rows.len(),
                    #[inline(always)]
                    |number| link(rows.start + number),
                    #[inline(always)]
                    |tile| {
                        attending.differentiate(tile, matrices[8], matrices[9]);
                        for (link, part) in tile.each_link(recipe.heads) {
                            let place = link.edge.unwrap_or(link.target) as usize - rows.start;
                            let output = &mut output[place * width..(place + 1) * width];
                            attending.add_by_source(part, output);
                            if let Score::ScaledDot { .. } = recipe.score {
                                attending.add_by_values(part, matrices[9], output);
                            }
                        }
                    },
                );
            },
        );
        layer.backward(system);
        Ok(())
    }

    fn by_sources(&self, layer: &mut LayerBuilder, inputs: [Field; 10]) -> Result<(), BuildError> {
        let recipe = self.recipe;
        let by_vectors = match &self.vectors {
            Some(vectors) => layer.gradient_of_parameter(vectors, 0..vectors.shape[0])?,
            None => None,
        };
        let by_values = layer.gradient_of(self.values)?;
        let by_sources = match self.sources {
            Some(sources) => layer.gradient_of(sources)?,
            None => None,
        };
        if by_values.or(by_sources).or(by_vectors).is_none() {
            return Ok(());
        }
        // The vectors have a part of their gradient in each row; room is needed as well for what nobody asks for.
        let second = self.sources.unwrap_or(self.values);
        let mut room = Vec::new();
        let mut outputs = [by_values, by_sources];
        for (output, like) in outputs.iter_mut().zip([self.values, second]) {
            if output.is_none() {
                let signal = layer.signal(like.value().domain(), like.width(), false)?;
                room.push(signal);
                *output = Some(signal.value());
            }
        }
        let [Some(first), Some(last)] = outputs else { return Ok(()) };
        let widths = [self.values.width(), second.width()];
        let system = write_row_pairs(
            layer,
            NAME,
            recipe.relation.cut_back(),
            inputs,
            [first, last],
            #[inline(always)]
            move |topology, matrices, rows, [values, sources]| {
                let attending = recipe.of(matrices);
                let mut tile = Tile::new(recipe.heads);
                let outputs = values.chunks_exact_mut(widths[0]).zip(sources.chunks_exact_mut(widths[1]));
                for (row, (value, source)) in rows.zip(outputs) {
                    value.fill(0.0);
                    source.fill(0.0);
                    recipe.for_each_tile_back(
                        topology,
                        row,
                        &mut tile,
                        #[inline(always)]
                        |target| attending.prefetch_target(matrices[8], matrices[9], target),
                        #[inline(always)]
                        |tile| {
                            attending.differentiate(tile, matrices[8], matrices[9]);
                            attending.add_by_values(tile.all(), matrices[9], value);
                            match recipe.score {
                                Score::Additive { .. } => {
                                    attending.add_by_source(tile.all(), value);
                                    attending.add_by_vectors(tile.all(), source);
                                }
                                _ => attending.add_by_source(tile.all(), source),
                            }
                        },
                    );
                }
            },
        );
        layer.backward(system);
        if let Some(total) = by_vectors {
            let sum = sum_rows(
                layer,
                "vectors_gradient",
                [last],
                total,
                0..widths[0],
                #[inline(always)]
                |[parts], rows, sum| {
                    sum.fill(0.0);
                    add_rows(parts.slice(rows), sum);
                },
            );
            layer.backward(sum);
        }
        room.into_iter().for_each(|signal| layer.release(signal));
        Ok(())
    }
}
