//! The backward pass of a program.

use connectome_components::Matrix;
use core::ops::Range;

use super::{
    Footprint, GraphIndex, Operation, Operator, Partition, Program, Run, Shape, Step, Value, ValueKind, kernel,
};
use crate::error::BuildError;

/// The operations of a backward pass, and of each input that requires one the gradient with respect to it.
type BackwardPass = (Vec<Operation>, Vec<(Value, Value)>);

/// Records the operations that compute the gradients of the loss with respect to all parameters, and to the inputs that
/// require one, last to first. Returns those, and the gradients with respect to the inputs.
///
/// Each head's gradient with respect to its output is written by its loss.
pub(super) fn differentiate(program: &mut Program) -> Result<BackwardPass, BuildError> {
    let forward = core::mem::take(&mut program.operations);
    let parameters = vec![Written::default(); program.parameters.len()];
    let (gradients, is_term) = (vec![None; program.values.len()], vec![false; program.values.len()]);
    let (operations, graph) = (Vec::new(), GraphIndex(0));
    let mut tape = Tape { program, operations, gradients, is_term, parameters, graph, layer: 0, recorded: 0 };
    let result = tape.unroll(&forward);
    let (backward, gradients) = (core::mem::take(&mut tape.operations), core::mem::take(&mut tape.gradients));
    program.operations = forward;
    result?;
    let inputs = program.inputs.iter().filter_map(|input| Some((input.value, gradients[input.value.id()]?)));
    Ok((backward, inputs.collect()))
}

/// Records the backward pass: what [`Operator::differentiate`] is given.
pub struct Tape<'a> {
    program: &'a mut Program,
    operations: Vec<Operation>,
    /// The sum so far of the gradient with respect to each value.
    gradients: Vec<Option<Value>>,
    /// Whether each value is a gradient, or a term of one, already.
    is_term: Vec<bool>,
    parameters: Vec<Written>,
    graph: GraphIndex,
    layer: usize,
    recorded: usize,
}

/// What is written already of the gradient with respect to a parameter.
#[derive(Clone, Debug, Default)]
struct Written {
    /// The ranges of its elements.
    ranges: Vec<Range<usize>>,
    /// The latest value that holds them.
    latest: Option<Value>,
}

impl Tape<'_> {
    fn unroll(&mut self, forward: &[Operation]) -> Result<(), BuildError> {
        for head in 0..self.program.heads.len() {
            let output = self.program.heads[head].output;
            if !output.requires_gradient() {
                continue;
            }
            let seed = self.value(ValueKind::HeadGradient(head), output.shape());
            self.add_term(output, seed)?;
        }
        for operation in forward.iter().rev() {
            (self.graph, self.layer, self.recorded) = (operation.graph, operation.layer, operation.recorded);
            let gradients: Vec<Option<Value>> =
                operation.outputs.iter().map(|output| self.gradients[output.id()].take()).collect();
            if gradients.iter().any(Option::is_some) {
                operation.operator.differentiate_outputs(operation, &gradients, self)?;
            }
        }
        // Of parameters that are read as any other value is.
        for parameter in 0..self.program.parameters.len() {
            let value = self.program.parameters[parameter].weight.value();
            self.layer = self.program.parameters[parameter].layer;
            if let Some(gradient) = self.gradients[value.id()].take() {
                let range = 0..value.width();
                self.weight_gradient(value, range.clone(), copy_range(range), &[gradient])?;
            }
        }
        Ok(())
    }

    /// The error that the layer of the present operation cannot learn: what it does wrong and, after a semicolon, what to
    /// do.
    pub fn error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.layer, path: String::new(), setting: None, reason: reason.into() }
    }

    /// Records an operation whose only output is the gradient with respect to `of`, or one of the terms of it: where several
    /// operations read a value its gradient is their sum. Nothing is recorded if nobody needs it.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn gradient(&mut self, of: Value, operator: impl Operator, inputs: &[Value]) -> Result<(), BuildError> {
        self.gradients_of(&[of], operator, inputs)
    }

    /// As [`Tape::gradient`], by an operation that has an output for each of several values.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn gradients_of(&mut self, of: &[Value], operator: impl Operator, inputs: &[Value]) -> Result<(), BuildError> {
        if !of.iter().any(Value::requires_gradient) {
            return Ok(());
        }
        self.program.require(self.layer, operator.name(), of)?;
        let total = match of {
            [only] if operator.accumulates() => self.gradients[only.id()],
            _ => None,
        };
        let kind = |value: &Value| ValueKind::Computed { indices: None, stored: value.width() };
        let outputs: Vec<Value> = of.iter().map(|value| self.value(kind(value), value.shape())).collect();
        self.push(operator, inputs, outputs.clone(), total, total.is_some())?;
        if let (&[of], &[sum], Some(_)) = (of, &outputs[..], total) {
            self.set_gradient(of, sum);
            return Ok(());
        }
        of.iter().zip(outputs).try_for_each(|(of, term)| self.add_term(*of, term))
    }

    /// Makes `term`, which an operation of the backward pass computes, the gradient with respect to `of`, or one of the terms
    /// of it. Does nothing if nobody needs that.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn add_term(&mut self, of: Value, term: Value) -> Result<(), BuildError> {
        if !of.requires_gradient() {
            return Ok(());
        }
        self.program.require(self.layer, "add_term", &[of, term])?;
        let total = self.gradients[of.id()];
        if total.is_none() && !self.is_term[term.id()] {
            self.set_gradient(of, term);
            return Ok(());
        }
        // Each gradient is a value of its own, for it may be changed in place.
        let kind = ValueKind::Computed { indices: None, stored: of.width() };
        let sum = self.value(kind, of.shape());
        self.push(copy_range(0..of.width()), &[term], vec![sum], total, total.is_some())?;
        self.set_gradient(of, sum);
        Ok(())
    }

    fn set_gradient(&mut self, of: Value, gradient: Value) {
        self.gradients[of.id()] = Some(gradient);
        self.is_term[gradient.id()] = true;
    }

    /// Records an operation whose only output is the gradient with respect to a range of a parameter, in a single row as
    /// long as that of the whole parameter, of which it writes just that range. Nothing is recorded if the parameter is not
    /// learned.
    ///
    /// # Errors
    /// If there are too many operations, a value is one of another program, or `of` is no parameter and the range is not
    /// all of it.
    pub fn weight_gradient(
        &mut self,
        of: Value,
        range: Range<usize>,
        operator: impl Operator,
        inputs: &[Value],
    ) -> Result<(), BuildError> {
        if !of.requires_gradient() {
            return Ok(());
        }
        self.program.require(self.layer, operator.name(), &[of])?;
        let shape = of.shape();
        let ValueKind::Parameter(parameter) = self.program.values[of.id()] else {
            if range == (0..shape.width) {
                return self.gradient(of, operator, inputs);
            }
            return Err(self.error("reads some rows of weights that are computed; read all of them"));
        };
        let kind = ValueKind::ParameterGradient(parameter);
        let Written { ranges: written, mut latest } = self.parameters[parameter].clone();
        let gaps = gaps(&range, &written);
        let adds = gaps != [range.clone()];
        if adds {
            // What the last step has left there is not to be added to.
            for gap in &gaps {
                let cleared = self.value(kind, shape);
                self.push(clear(gap.clone()), &[], vec![cleared], latest, false)?;
                latest = Some(cleared);
            }
        }
        let value = if adds && !operator.accumulates() {
            let term = self.value(ValueKind::Computed { indices: None, stored: shape.width }, shape);
            self.push(operator, inputs, vec![term], None, false)?;
            let sum = self.value(kind, shape);
            self.push(copy_range(range), &[term], vec![sum], latest, true)?;
            sum
        } else {
            let value = self.value(kind, shape);
            self.push(operator, inputs, vec![value], latest, adds)?;
            value
        };
        let written = &mut self.parameters[parameter];
        written.ranges.extend(gaps);
        written.latest = Some(value);
        Ok(())
    }

    /// Records an operation that changes a gradient in place, by its only output, and returns it as it is then. The gradients
    /// that [`Operator::differentiate`] is given may be changed.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn update(&mut self, gradient: Value, operator: impl Operator, inputs: &[Value]) -> Result<Value, BuildError> {
        let kind = ValueKind::Computed { indices: None, stored: gradient.width() };
        let output = self.value(kind, gradient.shape());
        self.push(operator, inputs, vec![output], Some(gradient), false)?;
        Ok(output)
    }

    /// Records an operation of the backward pass that computes something which is no gradient, of this shape.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn compute(&mut self, operator: impl Operator, inputs: &[Value], shape: Shape) -> Result<Value, BuildError> {
        let output = self.value(ValueKind::Computed { indices: None, stored: shape.width }, shape);
        self.push(operator, inputs, vec![output], None, false)?;
        Ok(output)
    }

    /// As [`Tape::compute`], by an operation with two outputs.
    ///
    /// # Errors
    /// If there are too many operations, or a value is one of another program.
    pub fn compute_pair(
        &mut self,
        operator: impl Operator,
        inputs: &[Value],
        shapes: [Shape; 2],
    ) -> Result<[Value; 2], BuildError> {
        let outputs = shapes.map(|shape| self.value(ValueKind::Computed { indices: None, stored: shape.width }, shape));
        self.push(operator, inputs, outputs.to_vec(), None, false)?;
        Ok(outputs)
    }

    fn value(&mut self, kind: ValueKind, shape: Shape) -> Value {
        self.gradients.push(None);
        self.is_term.push(false);
        self.program.add_value(kind, shape, false)
    }

    fn push(
        &mut self,
        operator: impl Operator,
        inputs: &[Value],
        outputs: Vec<Value>,
        in_place_of: Option<Value>,
        accumulates: bool,
    ) -> Result<(), BuildError> {
        let most = self.program.limits.operations;
        if self.operations.len() >= most {
            return Err(BuildError::TooManyOperations { layer: self.layer, path: String::new(), most });
        }
        self.program.require(self.layer, operator.name(), inputs)?;
        self.program.require(self.layer, operator.name(), in_place_of.as_slice())?;
        let graph = self.program.graph_of(self.graph, &operator, inputs, &outputs);
        self.operations.push(Operation {
            operator: std::sync::Arc::new(operator),
            inputs: inputs.to_vec(),
            outputs,
            in_place_of,
            accumulates,
            run: Run::Always,
            parts: None,
            graph,
            layer: self.layer,
            recorded: self.recorded,
        });
        Ok(())
    }
}

/// The parts of a range that none of the others has.
fn gaps(range: &Range<usize>, others: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut gaps = vec![range.clone()];
    for other in others {
        let around = |gap: Range<usize>| [gap.start..gap.end.min(other.start), gap.start.max(other.end)..gap.end];
        gaps = gaps.into_iter().flat_map(around).filter(|gap| !gap.is_empty()).collect();
    }
    gaps
}

/// `total = term` for this range of each row of a gradient, or `total += term`.
fn copy_range(range: Range<usize>) -> impl Operator {
    kernel("add_gradient", Footprint::Same, move |step: &mut Step<'_>| {
        let (adds, range) = (step.accumulates(), range.clone());
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            |_, [term]: [&Matrix; 1], rows, total| {
                let (width, term) = (term.width(), term.slice(rows));
                if range.len() == width {
                    add_or_copy(adds, term, total);
                    return;
                }
                for (total, term) in total.chunks_exact_mut(width).zip(term.chunks_exact(width)) {
                    add_or_copy(adds, &term[range.clone()], &mut total[range.clone()]);
                }
            },
        );
    })
    .accumulating()
}

#[inline(always)]
fn add_or_copy(adds: bool, term: &[f32], total: &mut [f32]) {
    if adds {
        total.iter_mut().zip(term).for_each(|(total, term)| *total += term);
    } else {
        total.copy_from_slice(term);
    }
}

/// `total = 0` for this range of a parameter's gradient.
fn clear(range: Range<usize>) -> impl Operator {
    kernel("clear_gradient", Footprint::Same, move |step: &mut Step<'_>| {
        step.output(0).rows_mut().for_each(|row| row[range.clone()].fill(0.0));
    })
}
