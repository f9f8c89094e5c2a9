//! The columns that a layer's signals lie in.

use bevy_ecs::component::ComponentId;
use connectome_components::{Field, Signal};

use super::{BuildError, Constant, LayerBuilder, Mode};

/// As many bytes as so many numbers: when a row of a column was added and when it was changed, which bevy_ecs keeps.
const TICKS: usize = 2;

impl LayerBuilder<'_> {
    /// The field of a dense signal.
    ///
    /// # Errors
    /// If the signal is sparse.
    pub fn dense(&self, signal: Signal) -> Result<Field, BuildError> {
        match signal {
            Signal::Dense { value, .. } => Ok(value),
            Signal::Sparse { .. } => Err(BuildError::Sparse { layer: self.index }),
        }
    }

    /// A column for what a stage computes, `[N, width]` on the rows of component `on`. Other signals may have used it
    /// before, so every number is to be written.
    ///
    /// `learns` says whether the gradient by it is of use: whether an input of the stage learns, or the stage has
    /// parameters.
    ///
    /// # Errors
    /// If the field cannot be registered, as for width 0.
    pub fn signal(&mut self, on: ComponentId, width: usize, learns: bool) -> Result<Signal, BuildError> {
        let learns = learns && self.mode == Mode::Training;
        if let Some(value) = self.destination.take_if(|field| field.width() == width && field.domain() == on) {
            return Ok(Signal::Dense { value, learns });
        }
        let value = self.take(on, width)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.created.push(value);
        }
        Ok(Signal::Dense { value, learns })
    }

    /// A column for what is to stay as it is until its inputs change; the one that another schedule has for it, if any.
    pub(crate) fn constant(&mut self, constant: Constant) -> Result<Signal, BuildError> {
        let value = match self.parts.columns.constant(&constant) {
            Some(value) => value,
            None => {
                let value = self.take(constant.input.domain(), constant.input.width())?;
                self.parts.columns.set_constant(value, constant);
                value
            }
        };
        Ok(Signal::Dense { value, learns: false })
    }

    /// Whether no system of the model changes a signal: the model's input, if it is no state, and what follows from it
    /// alone.
    pub(crate) fn is_constant(&self, signal: Signal) -> bool {
        let value = signal.value();
        !signal.learns() && (self.parts.input == Some(value) || self.parts.columns.is_constant(value))
    }

    pub(super) fn take(&mut self, on: ComponentId, width: usize) -> Result<Field, BuildError> {
        if width == 0 {
            return Err(self.refuse_setting("width", "has width 0; a layer is at least 1 wide"));
        }
        if let Some(field) = self.parts.columns.take_free(on, width) {
            return Ok(field);
        }
        let (graph, room) = (self.parts.rows, self.parts.room);
        let rows = room.map_or(0, |room| match on {
            on if on == graph.nodes => room.nodes,
            on if on == graph.edges => room.edges,
            _ => room.subgraphs,
        });
        self.charge(rows, width.saturating_add(TICKS))?;
        let name = format!("columns.{}", self.parts.columns.len());
        Ok(self.parts.columns.take_new(self.world, &name, on, width)?)
    }

    /// Keeps a signal for a stage that comes after others which would release it, as the far end of a residual
    /// connection. Each `hold` is ended by a [`LayerBuilder::release`].
    pub fn hold(&mut self, signal: Signal) {
        self.parts.columns.hold(signal.value());
    }

    /// Says that no forward system added from now on reads `signal`, so that its column may be used again.
    ///
    /// A layer releases all that it computed, except its output, when it is done.
    pub fn release(&mut self, signal: Signal) {
        let field = signal.value();
        if let Some(frame) = self.frames.last_mut() {
            if frame.input == Some(field) {
                frame.input = None;
            } else if let Some(place) = frame.created.iter().position(|created| *created == field) {
                frame.created.swap_remove(place);
            }
        }
        self.parts.columns.release(field);
    }

    /// Takes room for so many numbers.
    pub(super) fn charge(&mut self, rows: usize, width: usize) -> Result<(), BuildError> {
        let bytes = rows.checked_mul(width).and_then(|numbers| numbers.checked_mul(size_of::<f32>()));
        let parts = &mut self.parts;
        parts.taken = parts.taken.zip(bytes).and_then(|(taken, bytes)| taken.checked_add(bytes));
        match (parts.room, parts.taken) {
            (None, _) => Ok(()),
            (Some(room), Some(taken)) if taken <= room.bytes => Ok(()),
            (Some(_), needed) => Err(BuildError::TooLarge { layer: self.index, needed }),
        }
    }
}
