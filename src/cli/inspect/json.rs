//! What `inspect` shows, as one JSON document; `docs/inspect.md` describes it.

use connectome::components::Split;
use connectome::data::RowKind;
use connectome::scene::{HeadDescription, LayerDescription, Memory, options};
use connectome::systems::program::{Column, Operation, ParameterDescription, Pass, Plan, RowCounts, Run, Shape, Value};
use connectome::systems::{GraphSystems, SystemDescription};
use serde::Serialize;
use std::error::Error;

use super::Inspected;
use super::kinds::{KindSize, RelationSize};
use super::parts::Part;

#[derive(Serialize)]
pub struct Document {
    scene: String,
    graph: GraphSize,
    memory: Purposes,
    #[serde(flatten)]
    model: ModelText,
    heads: Vec<HeadText>,
    mixture: Option<MixtureText>,
}

#[derive(Serialize)]
struct MixtureText {
    /// As a scene writes it.
    choice: String,
    gate: ModelText,
    experts: Vec<ExpertText>,
}

#[derive(Serialize)]
struct ExpertText {
    /// The numbers of those that are built alike.
    numbers: Vec<usize>,
    #[serde(flatten)]
    model: ModelText,
}

#[derive(Serialize)]
struct ModelText {
    /// As a scene writes them.
    layers: Vec<String>,
    parameters: Vec<ParameterSize>,
    columns: Columns,
    training: Option<PlanText>,
    inference: Option<PlanText>,
}

#[derive(Serialize)]
struct GraphSize {
    graphs: Option<usize>,
    nodes: usize,
    edges: usize,
    weighted: bool,
    feature_width: usize,
    stored_features: usize,
    predicted: Vec<Predicted>,
    splits: Splits,
    kinds: Option<Vec<KindSize>>,
    relations: Option<Vec<RelationSize>>,
}

#[derive(Serialize)]
struct Predicted {
    rows: &'static str,
    kind: Option<String>,
    name: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct Splits {
    train: usize,
    validation: usize,
    test: usize,
}

#[derive(Serialize)]
struct Purposes {
    training: Bytes,
    inference: Bytes,
}

#[derive(Serialize)]
struct Bytes {
    peak: usize,
    node: usize,
    edge: usize,
    parameter: usize,
    resting_node: Option<usize>,
    resting_edge: Option<usize>,
}

#[derive(Serialize)]
struct HeadText {
    name: String,
    nodes: Option<String>,
    task: String,
    layers: Vec<String>,
}

#[derive(Serialize)]
struct ParameterSize {
    name: String,
    shape: [usize; 2],
    learned: bool,
}

#[derive(Serialize)]
struct Columns {
    /// None if they are more than can be counted.
    bytes: Option<usize>,
    shapes: Vec<ShapeText>,
}

#[derive(Serialize)]
struct ShapeText {
    domain: String,
    width: usize,
}

impl From<Shape> for ShapeText {
    fn from(Shape { domain, width }: Shape) -> Self {
        Self { domain: domain.to_string(), width }
    }
}

#[derive(Serialize)]
struct PlanText {
    forward: PassText,
    backward: PassText,
    phases: Vec<PhaseText>,
}

#[derive(Serialize)]
struct PassText {
    operations: Vec<OperationText>,
    /// Indices of operations that could run beside each other.
    levels: Vec<Vec<usize>>,
}

#[derive(Serialize)]
struct OperationText {
    layer: usize,
    graph: u32,
    operator: &'static str,
    /// What is done in one pass over the rows.
    fused: Vec<String>,
    reads: Vec<ValueText>,
    writes: Vec<ValueText>,
    in_place_of: Option<ValueText>,
    accumulates: bool,
    on_change: bool,
    first_on_change: bool,
    multiplications: usize,
    bytes_moved: usize,
}

#[derive(Serialize)]
struct ValueText {
    name: String,
    #[serde(flatten)]
    shape: ShapeText,
    sparse: bool,
    kind: &'static str,
    /// The index of the input, the parameter or the column.
    index: Option<usize>,
}

#[derive(Serialize)]
struct PhaseText {
    phase: Option<String>,
    systems: Vec<SystemText>,
}

#[derive(Serialize)]
struct SystemText {
    name: String,
    reads: Vec<String>,
    writes: Vec<String>,
}

impl Document {
    /// Of a scene and the models that it consists of; `purposes` are those whose plans are shown, to train and to infer.
    pub fn new(inspected: &Inspected, parts: &[Part], purposes: [bool; 2]) -> Result<Self, Box<dyn Error>> {
        let Inspected { scene, data, memory, rows } = inspected;
        let predicted = scene.predicted(data).into_iter().map(|column| Predicted {
            rows: match column.rows {
                RowKind::Nodes => "nodes",
                RowKind::Edges => "edges",
                RowKind::Graphs => "graphs",
            },
            kind: column.kind,
            name: column.name,
            count: column.count,
        });
        let [train, validation, test] =
            [Split::Train, Split::Validation, Split::Test].map(|split| inspected.count(split));
        let head = |head: &HeadDescription| -> Result<HeadText, ron::Error> {
            let (name, task) = (head.name.clone(), options().to_string(&head.task)?);
            Ok(HeadText { name, nodes: head.nodes.first().cloned(), task, layers: texts(&head.layers)? })
        };
        let (mut gate, mut experts, mut model) = (None, Vec::new(), None);
        for part in parts {
            let text = ModelText::new(part, rows, purposes)?;
            match part {
                Part { experts: numbers, .. } if !numbers.is_empty() => {
                    experts.push(ExpertText { numbers: numbers.clone(), model: text });
                }
                Part { title, .. } if title.is_empty() => model = Some(text),
                _ => gate = Some(text),
            }
        }
        let choice = scene.mixture.as_ref().map(|mixture| options().to_string(&mixture.gate)).transpose()?;
        let mixture = choice.zip(gate).map(|(choice, gate)| MixtureText { choice, gate, experts });
        Ok(Self {
            scene: scene.name.clone(),
            graph: GraphSize {
                graphs: data.graphs.as_ref().map(|graphs| graphs.len()),
                nodes: data.nodes,
                edges: data.edges.len(),
                weighted: data.weights.is_some(),
                feature_width: data.features.width(),
                stored_features: data.features.values().len(),
                predicted: predicted.collect(),
                splits: Splits { train, validation, test },
                kinds: data.kinds.as_ref().map(|kinds| KindSize::all(data, kinds)),
                relations: data.kinds.as_ref().map(|kinds| RelationSize::all(kinds)),
            },
            memory: Purposes::of(memory),
            model: model.ok_or("the model was removed")?,
            heads: scene.heads.iter().map(head).collect::<Result<_, _>>()?,
            mixture,
        })
    }
}

/// Layers as a scene writes them.
fn texts(layers: &[LayerDescription]) -> Result<Vec<String>, ron::Error> {
    layers.iter().map(|layer| options().to_string(layer)).collect()
}

impl ModelText {
    fn new(part: &Part, rows: &RowCounts, purposes: [bool; 2]) -> Result<Self, ron::Error> {
        let [training, inference] = part.shown(purposes);
        let plan = |shown: Option<(&Plan, Vec<SystemDescription>)>| {
            shown.map(|(plan, systems)| PlanText::new(plan, rows, &systems))
        };
        let plans = part.plans;
        Ok(Self {
            layers: texts(part.layers)?,
            parameters: plans.inference().program().parameters().iter().map(ParameterSize::of).collect(),
            columns: Columns {
                bytes: plans.layout().bytes(rows),
                shapes: plans.layout().shapes().map(ShapeText::from).collect(),
            },
            training: plan(training),
            inference: plan(inference),
        })
    }
}

impl Purposes {
    fn of(memory: &Memory) -> Self {
        let [training, inference] = [memory.training, memory.inference].map(|usage| Bytes {
            peak: usage.peak,
            node: usage.node,
            edge: usage.edge,
            parameter: usage.parameter,
            resting_node: usage.resting.map(|[node, _]| node),
            resting_edge: usage.resting.map(|[_, edge]| edge),
        });
        Self { training, inference }
    }
}

impl ParameterSize {
    fn of(parameter: &ParameterDescription) -> Self {
        Self { name: parameter.name.clone(), shape: parameter.shape, learned: parameter.is_learned }
    }
}

impl PlanText {
    fn new(plan: &Plan, rows: &RowCounts, systems: &[SystemDescription]) -> Self {
        let [forward, backward] = [Pass::Forward, Pass::Backward].map(|pass| PassText::new(plan, pass, rows));
        let phases = [None].into_iter().chain(GraphSystems::ALL.map(Some));
        let phases = phases.map(|phase| PhaseText {
            phase: phase.map(|phase| format!("{phase:?}")),
            // The operations stand in the passes.
            systems: systems
                .iter()
                .filter(|system| system.phase == phase && system.layer.is_none())
                .map(|SystemDescription { name, reads, writes, .. }| SystemText {
                    name: name.clone(),
                    reads: reads.clone(),
                    writes: writes.clone(),
                })
                .collect(),
        });
        let phases = phases.filter(|phase| phase.phase.is_some() || !phase.systems.is_empty()).collect();
        Self { forward, backward, phases }
    }
}

impl PassText {
    fn new(plan: &Plan, pass: Pass, rows: &RowCounts) -> Self {
        let operations = plan.operations(pass);
        let mut levels = Vec::new();
        for (index, level) in plan.levels(pass).into_iter().enumerate() {
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(index);
        }
        Self {
            operations: operations.iter().map(|operation| OperationText::new(plan, operation, rows)).collect(),
            levels,
        }
    }
}

impl OperationText {
    fn new(plan: &Plan, operation: &Operation, rows: &RowCounts) -> Self {
        let values = |values: &[Value]| values.iter().map(|value| ValueText::new(plan, *value)).collect();
        Self {
            layer: operation.layer,
            graph: operation.graph.0,
            operator: operation.operator.name(),
            fused: operation.operator.describe().split(" + ").map(str::to_owned).collect(),
            reads: values(&operation.inputs),
            writes: values(&operation.outputs),
            in_place_of: operation.in_place_of.map(|value| ValueText::new(plan, value)),
            accumulates: operation.accumulates,
            on_change: operation.run == Run::OnChange,
            first_on_change: operation.parts.is_some(),
            multiplications: plan.multiplications(operation, rows),
            bytes_moved: plan.bytes_moved(operation, rows),
        }
    }
}

impl ValueText {
    fn new(plan: &Plan, value: Value) -> Self {
        let (kind, index) = match plan.column(value) {
            Some(Column::Input(input)) => ("input", Some(input)),
            Some(Column::Parameter(parameter)) => ("parameter", Some(parameter)),
            Some(Column::ParameterGradient(parameter)) => ("parameter_gradient", Some(parameter)),
            Some(Column::Layout(column)) => ("column", Some(column)),
            None => ("none", None),
        };
        Self { name: plan.name(value), shape: value.shape().into(), sparse: value.is_sparse(), kind, index }
    }
}
