//! How a layer says what its way back is, and how it is gone.

use connectome_components::{Field, Parameter, Signal};
use core::ops::Range;

use super::{BuildError, LayerBuilder, Mode, tape::Step};
use crate::stages;

impl LayerBuilder<'_> {
    /// Says what a stage does on the way back: with the gradient by its `output`, it adds the systems that compute the
    /// gradients by its inputs ([`LayerBuilder::gradient_of`]) and parameters
    /// ([`LayerBuilder::gradient_of_parameter`]). They may overwrite the gradient that they are given.
    ///
    /// `keeps` are the signals of the forward pass that they read. Nothing happens if the output does not learn.
    pub fn on_backward(
        &mut self,
        output: Signal,
        keeps: &[Signal],
        backward: impl FnOnce(&mut LayerBuilder, Field) -> Result<(), BuildError> + 'static,
    ) {
        self.on_backward_of(&[output], keeps, move |layer, gradients| match gradients {
            [Some(gradient)] => backward(layer, *gradient),
            _ => Ok(()),
        });
    }

    /// As [`LayerBuilder::on_backward`] for a stage with several outputs, of which some may have no gradient, or with
    /// none, as a loss has.
    pub fn on_backward_of(
        &mut self,
        outputs: &[Signal],
        keeps: &[Signal],
        backward: impl FnOnce(&mut LayerBuilder, &[Option<Field>]) -> Result<(), BuildError> + 'static,
    ) {
        let learns = outputs.is_empty() || outputs.iter().any(Signal::learns);
        if self.mode == Mode::Inference || !learns {
            return;
        }
        keeps.iter().for_each(|signal| self.parts.columns.hold(signal.value()));
        let keeps = keeps.iter().map(Signal::value).collect();
        let outputs = outputs.iter().map(Signal::value).collect();
        let graph = (self.parts.graph, self.parts.rows);
        self.tape.0.push(Step { layer: self.index, graph, outputs, keeps, backward: Box::new(backward) });
    }

    /// The field for the gradient of the loss by `signal`, which the caller's system is to write in full. None if
    /// nobody asks for it. To be called on the way back.
    ///
    /// Where several stages read one signal each is given a field of its own, and their sum is taken.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn gradient_of(&mut self, signal: Signal) -> Result<Option<Field>, BuildError> {
        let Signal::Dense { value, learns: true } = signal else { return Ok(None) };
        if let Some(total) = self.gradients.of(value) {
            let part = self.take(value.domain(), value.width())?;
            self.sums.push((part, total));
            return Ok(Some(part));
        }
        let wanted = self.parts.wanted.iter().find(|(known, _)| *known == value).map(|(_, gradient)| *gradient);
        let gradient = match wanted {
            Some(gradient) => gradient,
            None => self.take(value.domain(), value.width())?,
        };
        self.gradients.insert(value, gradient);
        Ok(Some(gradient))
    }

    /// As [`LayerBuilder::gradient_of`], for a system that can also add to what stands in the field, and is to if the flag
    /// is set: so no sum is needed where several stages read one signal.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn gradient_onto(&mut self, signal: Signal) -> Result<Option<(Field, bool)>, BuildError> {
        let total = self.gradients.of(signal.value()).filter(|_| signal.learns());
        if let Some(total) = total {
            return Ok(Some((total, true)));
        }
        Ok(self.gradient_of(signal)?.map(|field| (field, false)))
    }

    /// The field for the gradient of the loss by some rows of a parameter, in which the caller's system is to write just
    /// these rows. None if the parameter does not learn. To be called on the way back.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn gradient_of_parameter(
        &mut self,
        parameter: &Parameter,
        rows: Range<usize>,
    ) -> Result<Option<Field>, BuildError> {
        let Some(total) = parameter.gradient else { return Ok(None) };
        let numbers = rows.start * parameter.shape[1]..rows.end * parameter.shape[1];
        if !self.written.contains(&(total, numbers.clone())) {
            self.written.push((total, numbers));
            return Ok(Some(total));
        }
        let owner = self.parts.parameters.iter().find(|(_, known)| known.name == parameter.name);
        let Some((owner, _)) = owner else { return Ok(None) };
        let part = match self.parts.shared.iter().find(|(known, _)| *known == total) {
            Some((_, part)) => *part,
            None => {
                let name = format!("{}.part", parameter.name);
                let part = Field::register_on(self.world, *owner, &name, total.width())?;
                self.parts.shared.push((total, part));
                part
            }
        };
        self.parameter_sums.push((part, total, numbers));
        Ok(Some(part))
    }

    /// Goes through the tape backward, once the gradient by the model's output has been asked for.
    pub(crate) fn unroll(&mut self) -> Result<(), BuildError> {
        let mut systems = 0;
        let own = (self.parts.graph, self.parts.rows);
        while let Some(Step { layer, graph, outputs, keeps, backward }) = self.tape.0.pop() {
            self.systems = if layer == self.index { systems } else { 0 };
            self.index = layer;
            (self.parts.graph, self.parts.rows) = graph;
            let gradients: Vec<Option<Field>> = outputs.iter().map(|output| self.gradients.remove(*output)).collect();
            if outputs.is_empty() || gradients.iter().any(Option::is_some) {
                backward(self, &gradients)?;
                for (part, total) in core::mem::take(&mut self.sums) {
                    stages::add_gradient(self, part, total);
                    self.parts.columns.release(part);
                }
                for (part, total, numbers) in core::mem::take(&mut self.parameter_sums) {
                    stages::add_parameter_gradient(self, part, total, numbers);
                }
            }
            keeps.iter().chain(gradients.iter().flatten()).for_each(|field| self.parts.columns.release(*field));
            systems = self.systems;
        }
        (self.parts.graph, self.parts.rows) = own;
        Ok(())
    }
}
