//! What a model would be, without a world.

use connectome_components::Normalization;

use super::{ModelBuilder, builder::Input};
use crate::{
    error::BuildError,
    program::{Column, Domain, GraphIndex, Layout, Mode, Pass, Plan, Program, RowCounts},
};

/// How much memory a model may take, and on how many rows it will work: so that one which is too large for the machine
/// is refused before any of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// The rows of the graph.
    pub rows: RowCounts,
    /// Bytes for columns and parameters.
    pub bytes: usize,
}

/// A model that is planned and not built: its operations, shapes, memory and cost.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// What its layers recorded.
    pub program: Program,
    /// To train, if it learns.
    pub training: Option<Plan>,
    /// To infer and to measure.
    pub inference: Plan,
    /// The columns of both.
    pub layout: Layout,
    /// For each number of a parameter that is learned, the numbers that the optimizer keeps.
    moments: Option<usize>,
    accumulates: bool,
}

impl DryRun {
    pub(super) fn new(builder: &ModelBuilder, program: Program) -> Result<Self, BuildError> {
        let mut layout = Layout::default();
        let learns = builder.learning.is_some();
        let training = learns.then(|| Plan::new(&program, Mode::Training, &mut layout)).transpose()?;
        let inference = Plan::new(&program, Mode::Inference, &mut layout)?;
        let moments = builder.learning.map(|learning| learning.optimizer.moments());
        Ok(Self { program, training, inference, layout, moments, accumulates: builder.accumulation.is_some() })
    }

    /// The same model without learning, and with the columns that this takes.
    ///
    /// # Errors
    /// None that planning the model has not found before.
    pub fn for_inference(&self) -> Result<Self, BuildError> {
        let mut layout = Layout::default();
        let inference = Plan::new(&self.program, Mode::Inference, &mut layout)?;
        let program = self.program.clone();
        Ok(Self { program, training: None, inference, layout, moments: None, accumulates: false })
    }

    /// Numbers that the schedules' systems sum up in.
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

    /// [`Infer`](super::Infer), and [`Evaluate`](super::Evaluate) if it learns.
    fn inference_schedules(&self) -> usize {
        1 + usize::from(self.training.is_some())
    }

    /// Whether each plan computes its output, into the column of the head.
    pub(super) fn computes_output(&self) -> bool {
        let computes = |plan: &Plan| match plan.output(0).and_then(|output| plan.column(output)) {
            Some(Column::Layout(column)) => self.layout.is_of_head(column),
            _ => false,
        };
        self.training.iter().chain([&self.inference]).all(computes)
    }

    /// Numbers of all parameters and buffers.
    pub fn parameter_count(&self) -> usize {
        self.program.parameters().iter().map(|parameter| parameter.size()).fold(0, usize::saturating_add)
    }

    /// Of these, those that are learned.
    pub fn learned_count(&self) -> usize {
        let learned = self.program.parameters().iter().filter(|parameter| parameter.is_learned);
        learned.map(|parameter| parameter.size()).fold(0, usize::saturating_add)
    }

    /// Numbers that are kept for parameters: values and, if the model learns, gradients, moments and sums of gradients.
    pub fn stored_count(&self) -> usize {
        let copies = self.moments.map_or(0, |moments| 1 + moments + usize::from(self.accumulates));
        self.parameter_count().saturating_add(copies.saturating_mul(self.learned_count()))
    }

    /// Bytes of columns and parameters on so many rows; none if they are more than can be counted.
    pub fn bytes(&self, rows: &RowCounts) -> Option<usize> {
        let parameters = self.stored_count().checked_mul(size_of::<f32>())?;
        self.layout.bytes(rows)?.checked_add(parameters)
    }

    /// The coefficients that operations on the model's own graph read.
    pub fn normalizations(&self) -> Vec<Normalization> {
        let mut normalizations = Vec::new();
        for operation in self.program.operations().iter().filter(|operation| operation.graph == GraphIndex(0)) {
            let asked = operation.operator.normalization().filter(|asked| !normalizations.contains(asked));
            normalizations.extend(asked);
        }
        normalizations
    }

    /// The rows and the width of the output of each head.
    pub fn outputs(&self) -> impl Iterator<Item = (Domain, usize)> {
        let outputs = (0..self.program.heads().len()).filter_map(|head| self.inference.output(head));
        outputs.map(|output| (output.domain(), output.width()))
    }

    /// Whether it fits.
    ///
    /// # Errors
    /// If it takes more memory: the layer with which it does.
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
        let beyond = bytes.iter().find(|(_, bytes)| {
            total = total.saturating_add(*bytes);
            total > budget.bytes
        });
        let layer = beyond.or(bytes.last()).map_or(0, |(layer, _)| *layer);
        Err(BuildError::TooLarge { layer, needed })
    }
}

impl ModelBuilder {
    /// Records the program of the model without a world. Fields that it is given count as those of nodes, or of edges for
    /// features of edges.
    ///
    /// # Errors
    /// If a layer cannot take its input, or there are too many operations.
    pub fn record(&self) -> Result<Program, BuildError> {
        let edges = self.edges.as_ref().and_then(Input::given).map(|features| features.values());
        self.program(|field| Ok(if Some(field) == edges { Domain::Edges(GraphIndex(0)) } else { Domain::Nodes }))
    }

    /// Plans the model without a world. Fields that it is given count as those of nodes, or of edges for features of edges.
    ///
    /// Cost: that of recording and planning; no memory for numbers.
    ///
    /// # Errors
    /// If a layer cannot take its input, or there are too many operations.
    pub fn dry_run(&self) -> Result<DryRun, BuildError> {
        DryRun::new(self, self.record()?)
    }
}
