//! Dry runs: planning a model without a world.

use connectome_components::{Direction, Normalization};

use super::ModelBuilder;
use crate::{
    error::BuildError,
    program::{Column, Domain, GraphIndex, Layout, Mode, Pass, Plan, Program, RowCounts},
};

/// The memory that a model may use, and the number of rows that it is for: to reject a model that is too large before
/// any memory is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// The number of rows of the graph.
    pub rows: RowCounts,
    /// Bytes for buffers and parameters.
    pub bytes: usize,
}

/// A model that is planned but not built: its operations, shapes, memory and cost.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The operations that its layers recorded.
    pub program: Program,
    /// The plan of training, if it has an optimizer.
    pub training: Option<Plan>,
    /// The plan of inference and evaluation.
    pub inference: Plan,
    /// The buffers of both plans.
    pub layout: Layout,
    /// Number of moments of the optimizer for each trainable weight.
    moments: Option<usize>,
    accumulates: bool,
}

impl DryRun {
    pub(super) fn new(builder: &ModelBuilder, program: Program) -> Result<Self, BuildError> {
        let mut layout = Layout::default();
        let has_optimizer = builder.optimizer.is_some();
        let training = has_optimizer.then(|| Plan::new(&program, Mode::Training, &mut layout)).transpose()?;
        let inference = Plan::new(&program, Mode::Inference, &mut layout)?;
        let moments = builder.optimizer.map(|optimizer| optimizer.moments());
        Ok(Self { program, training, inference, layout, moments, accumulates: builder.accumulation.is_some() })
    }

    /// The same model without training, with the buffers that inference needs.
    ///
    /// # Errors
    /// If the model cannot be planned, which the dry run has excluded.
    pub fn for_inference(&self) -> Result<Self, BuildError> {
        let mut layout = Layout::default();
        let inference = Plan::new(&self.program, Mode::Inference, &mut layout)?;
        let program = self.program.clone();
        Ok(Self { program, training: None, inference, layout, moments: None, accumulates: false })
    }

    /// Number of `f32`s of the scratch buffers of the schedules' systems.
    pub fn scratch(&self, rows: &RowCounts) -> usize {
        let training = self.training.iter();
        let training = training.flat_map(|plan| [Pass::Forward, Pass::Backward].map(|pass| plan.scratch(pass, rows)));
        self.inference_schedules() * self.inference.scratch(Pass::Forward, rows) + training.sum::<usize>()
    }

    /// Bytes of the plans and of the systems that run them.
    pub fn program_bytes(&self) -> usize {
        let training = self.training.iter().map(|plan| {
            let passes = [Pass::Forward, Pass::Backward].map(|pass| plan.emitted_bytes(pass));
            plan.bytes() + passes.iter().sum::<usize>()
        });
        let inference = self.inference_schedules() * self.inference.emitted_bytes(Pass::Forward);
        training.sum::<usize>() + self.inference.bytes() + inference
    }

    /// Number of schedules with the inference plan: [`Infer`](super::Infer), and with an optimizer
    /// [`Evaluate`](super::Evaluate).
    fn inference_schedules(&self) -> usize {
        1 + usize::from(self.training.is_some())
    }

    /// Whether the output of each plan is computed into the buffer of the head.
    pub(super) fn computes_output(&self) -> bool {
        let computes = |plan: &Plan| match plan.output(0).and_then(|output| plan.column(output)) {
            Some(Column::Layout(column)) => self.layout.is_of_head(column),
            _ => false,
        };
        self.training.iter().chain([&self.inference]).all(computes)
    }

    /// Number of values of all parameters and buffers.
    pub fn parameter_count(&self) -> usize {
        self.program.parameters().iter().map(|parameter| parameter.size()).fold(0, usize::saturating_add)
    }

    /// Number of values of trainable parameters.
    pub fn learned_count(&self) -> usize {
        let learned = self.program.parameters().iter().filter(|parameter| parameter.is_learned);
        learned.map(|parameter| parameter.size()).fold(0, usize::saturating_add)
    }

    /// Number of values stored for parameters and buffers: the values and, in training, gradients, moments and
    /// accumulated gradients.
    pub fn stored_count(&self) -> usize {
        let copies = self.moments.map_or(0, |moments| 1 + moments + usize::from(self.accumulates));
        self.parameter_count().saturating_add(copies.saturating_mul(self.learned_count()))
    }

    /// Bytes of buffers and parameters for this number of rows; none if the count overflows.
    pub fn bytes(&self, rows: &RowCounts) -> Option<usize> {
        let parameters = self.stored_count().checked_mul(size_of::<f32>())?;
        self.layout.bytes(rows)?.checked_add(parameters)
    }

    /// The normalizations whose coefficients operations on the model's graph read.
    pub fn normalizations(&self) -> Vec<Normalization> {
        let mut normalizations = Vec::new();
        for operation in self.program.operations().iter().filter(|operation| operation.graph == GraphIndex(0)) {
            let required = operation.operator.normalization();
            normalizations.extend(required.filter(|required| !normalizations.contains(required)));
        }
        normalizations
    }

    /// The number of directions in which operations pass through the levels of the model's graph.
    pub fn directions(&self) -> usize {
        let operations = self.program.operations().iter().filter(|operation| operation.graph == GraphIndex(0));
        let directions: Vec<Direction> = operations.filter_map(|operation| operation.operator.direction()).collect();
        [Direction::Forward, Direction::Reverse].iter().filter(|direction| directions.contains(direction)).count()
    }

    /// The domain and the width of the output of each head.
    pub fn outputs(&self) -> impl Iterator<Item = (Domain, usize)> {
        let outputs = (0..self.program.heads().len()).filter_map(|head| self.inference.output(head));
        outputs.map(|output| (output.domain(), output.width()))
    }

    /// Checks that the model fits a memory budget.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] with the layer that exceeds the budget.
    pub fn check(&self, budget: &MemoryBudget) -> Result<(), BuildError> {
        let needed = self.bytes(&budget.rows);
        if needed.is_some_and(|needed| needed <= budget.bytes) {
            return Ok(());
        }
        let copies = self.stored_count() / self.parameter_count().max(1);
        let parameter_bytes = |size: usize| size.saturating_mul(copies).saturating_mul(size_of::<f32>());
        let parameters = self.program.parameters().iter();
        let parameters = parameters.map(|parameter| (parameter.layer, parameter_bytes(parameter.size())));
        let mut bytes: Vec<(usize, usize)> = self.layout.bytes_by_layer(&budget.rows).chain(parameters).collect();
        bytes.sort_unstable();
        let mut total = 0usize;
        let exceeding = bytes.iter().find(|(_, bytes)| {
            total = total.saturating_add(*bytes);
            total > budget.bytes
        });
        let layer = exceeding.or(bytes.last()).map_or(0, |(layer, _)| *layer);
        Err(BuildError::TooLarge { layer, path: String::new(), needed })
    }
}

impl ModelBuilder {
    /// Plans the model without a world. Existing fields count as fields of nodes, or of edges for edge features.
    ///
    /// Costs recording and planning, but no memory for values.
    ///
    /// # Errors
    /// If a layer does not fit its input, or the [limits](Self::limits) are exceeded.
    pub fn dry_run(&self) -> Result<DryRun, BuildError> {
        DryRun::new(self, self.record()?)
    }
}
