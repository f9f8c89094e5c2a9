//! User-defined losses, which are operators.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    ColumnSet, Columns, Fault, Field, LearningFault, Metrics, Split, SplitMetrics, Topology, TrainingState,
};
use std::sync::Arc;

use super::{LossError, LossHead, targets::same_shape};
use crate::{
    parallel::Workers,
    phases::model_query,
    program::{Alone, Domain, Operator, Shape, Value},
};

/// The fields that the operator of a loss reads and writes, besides the output.
#[derive(Clone, Copy)]
pub(crate) struct OperatorFields {
    /// The graph of the output.
    pub(crate) graph: Entity,
    /// The domain of the output.
    pub(crate) domain: Domain,
    /// As wide as the output.
    pub(crate) targets: Field,
    /// As wide as the output.
    pub(crate) gradient: Field,
    /// A single value.
    pub(crate) loss: Field,
}

/// The system of a loss that is an operator: it reads the output, the targets and, if there are any, the row weights,
/// and writes the gradient and the loss. All rows are training rows.
pub(crate) fn operator_system(
    world: &mut World,
    operator: Arc<dyn Operator>,
    head: &LossHead,
    fields: OperatorFields,
) -> Result<BoxedSystem, LossError> {
    head.check(world)?;
    same_shape(world, fields.targets, head.output)?;
    let inputs: Vec<Field> = [head.output, fields.targets].into_iter().chain(head.row_weights).collect();
    check_shapes(&*operator, fields.domain, &inputs)?;
    let mut set = ColumnSet::default();
    let operation = Alone::new(operator, fields.domain, &inputs, &[fields.gradient, fields.loss], &mut set);
    let state = (
        set,
        ParamBuilder::query::<&Topology>(),
        model_query::<(&TrainingState, &mut Metrics, &mut LearningFault)>(world, head.model),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<f32>>(),
    )
        .build_state(world);
    let (model, index, is_first, weight) = (head.model, head.index, head.is_first, head.weight);
    let system = state.build_system(
        move |mut columns: Columns,
              topologies: Query<&Topology>,
              mut models: Query<(&TrainingState, &mut Metrics, &mut LearningFault)>,
              workers: Res<Workers>,
              mut scratch: Local<Vec<f32>>| {
            let (Ok(topology), Ok((state, mut metrics, mut fault))) =
                (topologies.get(fields.graph), models.get_mut(model))
            else {
                return;
            };
            if is_first {
                fault.0 = None;
            }
            operation.run(&mut columns, topology, &workers, (state.seed, state.micro_step()), &mut scratch);
            let gradient = operation.output(0);
            let (read, [gradient, ..]) = columns.split_mut(&[gradient]);
            let loss = read.matrix(operation.output(1)).rows().next().map_or(f32::NAN, |row| row[0]);
            let rows = gradient.as_ref().map_or(0, |gradient| gradient.as_matrix().row_count());
            if weight != 1.0 {
                let rows = gradient.into_iter().flat_map(|gradient| gradient.rows_mut());
                rows.flatten().for_each(|value| *value *= weight);
            }
            let metrics = metrics.head_mut(index);
            metrics.clear();
            if rows == 0 {
                return fault.note(Fault::NoRows { head: index });
            }
            if !loss.is_finite() {
                fault.note(Fault::TotalLoss { head: index, loss });
            }
            let (count, weight) = (rows as u64, rows as f64);
            let loss_sum = weight * f64::from(loss);
            metrics.splits[Split::Train as usize] = SplitMetrics { count, weight, loss_sum, ..SplitMetrics::default() };
        },
    );
    Ok(Box::new(system.with_name(head.name("operator_loss"))))
}

/// Checks that an operator computes a gradient and a loss of such inputs.
fn check_shapes(operator: &dyn Operator, domain: Domain, inputs: &[Field]) -> Result<(), LossError> {
    let name = operator.name();
    let values: Vec<Value> = inputs.iter().map(|input| Value::of_shape(Shape::new(domain, input.width()))).collect();
    let found = operator.shapes(&values).map_err(|reason| LossError::Operator { name, reason })?;
    let expected = [values[0].shape(), Shape::new(Domain::Single, 1)];
    if found == expected {
        return Ok(());
    }
    let found = found.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and ");
    let [gradient, loss] = expected;
    let reason = format!("writes {found}; write the gradient {gradient} and the loss {loss}");
    Err(LossError::Operator { name, reason })
}
