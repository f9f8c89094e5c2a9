//! Pooling, pointers and contrastive losses against the reference.

use super::{
    Comparison, Result,
    case::Case,
    common::{Given, Matrices, STANDSTILL, Scene, Trial, parameter_gradients},
    layers,
};
use bevy_ecs::entity::Entity;
use connectome_components::{Field, Metrics, Model, Split};
use connectome_systems::{
    Head, ModelBuilder, Train,
    layers::{BiaffinePointer, BuildError, DiffPool, Layer, QueryPool, Set2Set, TopKPooling},
    operators::{
        self, InfoNce, MemberAssignment, PointerCrossEntropy, Reduction, Relation, link_loss, pool_clusters, reduce,
        square_norm, unpool_clusters,
    },
    program::{Operator, Program, Value},
    run, spawn_top,
};
use ndarray::{Array2, Axis, concatenate};

/// What a case is about; none if it is about something else.
pub fn check(case: &Case) -> Option<fn(&Case, &mut Comparison) -> Result<()>> {
    Some(match case.meta.case.as_str() {
        "diff_pool" => diff_pool,
        "query_pool_softmax" | "query_pool_sinkhorn" => query_pool,
        "top_k_pool" => top_k_pool,
        "set2set" => |case, comparison| layers::check(case, Box::new(Set2Set::new(steps(case)?)), comparison),
        "pointer_biaffine" => pointer,
        "loss_info_nce" => info_nce,
        _ => return None,
    })
}

fn steps(case: &Case) -> Result<usize> {
    Ok(usize::try_from(case.integers("steps")?.sum())?)
}

/// The case with the dense adjacency `A` as edges from `j` to `i` of the weight `A_ij`, all nodes in one graph, and
/// rows of pooled features and edges side by side.
fn with_edges(case: &Case, more: &[(&str, f64)]) -> Result<Case> {
    let adjacency = case.matrix("adjacency")?;
    let nodes = adjacency.nrows();
    let ends = Array2::from_shape_fn((2, nodes * nodes), |(end, edge)| {
        (if end == 0 { edge % nodes } else { edge / nodes }) as i64
    });
    let flat = |name: &str| -> Result<Array2<f64>> {
        let values = case.matrix(name)?;
        Ok(Array2::from_shape_vec((values.len(), 1), values.iter().copied().collect())?)
    };
    let rows = |features: &str, edges: &str| -> Result<Array2<f64>> {
        let both = concatenate(Axis(1), &[case.matrix(features)?.view(), case.matrix(edges)?.view()])?;
        Ok(Array2::from_shape_vec((1, both.len()), both.iter().copied().collect())?)
    };
    let mut changed = case.clone();
    changed.insert("edge_index", &ends)?;
    changed.insert("batch", &Array2::<i64>::zeros((nodes, 1)))?;
    changed.insert("edge_attr", &flat("adjacency")?)?;
    changed.insert("grad.edge_attr", &flat("grad.adjacency")?)?;
    let (mut out, mut cotangent) = (rows("out", "out_adjacency")?, rows("cotangent", "cotangent_adjacency")?);
    for (name, weight) in more {
        out = concatenate(Axis(1), &[out.view(), Array2::from_elem((1, 1), case.floats(name)?.sum()).view()])?;
        cotangent = concatenate(Axis(1), &[cotangent.view(), Array2::from_elem((1, 1), *weight).view()])?;
    }
    changed.insert("out", &out)?;
    changed.insert("cotangent", &cotangent)?;
    Ok(changed)
}

/// The coarse graph, and both losses.
struct WithLosses(DiffPool);

impl Layer for WithLosses {
    fn build(&self, input: Value, program: &mut Program) -> std::result::Result<Value, BuildError> {
        let clusters = self.0.build(input, program)?;
        let assignment = self.0.assignment(program, input)?;
        let products = pool_clusters(program, assignment, assignment)?;
        let weights = program.edge_features()?;
        let squares = square_norm(program, weights)?;
        let squares = reduce(program, squares, Relation::Edges, Reduction::Sum)?;
        let squares = reduce(program, squares, Relation::Members, Reduction::Sum)?;
        let link = link_loss(program, [clusters, products, squares])?;
        let entropy = operators::assignment_entropy(program, assignment)?;
        let entropy = reduce(program, entropy, Relation::Members, Reduction::Mean)?;
        operators::concatenate(program, &[clusters, link, entropy])
    }
}

fn diff_pool(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let clusters = case.matrix("assignment")?.ncols();
    let layer = DiffPool { edge_features: true, ..DiffPool::new(clusters) };
    layers::check(&with_edges(case, &[("link", 0.3), ("entropy", 0.2)])?, Box::new(WithLosses(layer)), comparison)
}

/// Pools, and takes back.
struct Unpooled(QueryPool);

impl Layer for Unpooled {
    fn build(&self, input: Value, program: &mut Program) -> std::result::Result<Value, BuildError> {
        let assignment = self.0.assignment(program, input)?;
        let clusters = pool_clusters(program, assignment, input)?;
        unpool_clusters(program, assignment, clusters)
    }
}

fn query_pool(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let layer = QueryPool { edge_features: true, ..QueryPool::new(case.matrix("assignment")?.nrows()) };
    let layer = match case.meta.case.as_str() {
        "query_pool_sinkhorn" => layer.with_assignment(MemberAssignment::Sinkhorn { epsilon: 0.5, rounds: 20 }),
        _ => layer,
    };
    layers::check(&with_edges(case, &[])?, Box::new(layer.clone()), comparison)?;
    let x = case.matrix("x")?;
    let mut scene = Scene::new(x.nrows(), &[]);
    scene.divide(1, |_| 0);
    let parameters = [("query".to_owned(), case.matrix("param.query")?.reversed_axes())].into();
    let given = Given { input: x.clone(), parameters, ..Given::default() };
    let trial = Trial::build(&mut scene, &given, |model| model.layer(Unpooled(layer)), &Array2::zeros(x.dim()))?;
    comparison.compare("unpooled", &trial.run(&mut scene)?.output, &case.matrix("unpooled")?);
    Ok(())
}

fn top_k_pool(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let mut changed = case.clone();
    changed.insert("out", &case.matrix("unpooled")?)?;
    layers::check(&changed, Box::new(TopKPooling::new(0.5)), comparison)?;
    let scores = case.matrix("score")?.reversed_axes();
    let mut scene = Scene::new(scores.nrows(), &case.links(scores.nrows())?);
    let graphs = case.integers("batch")?;
    let count = graphs.iter().max().map_or(0, |last| *last as usize + 1);
    scene.divide(count, |node| graphs[[node]] as usize);
    let field = scene.field("scores", &scores)?;
    connectome_systems::update_topology(&mut scene.world, scene.graph, &mut Default::default());
    let (mut kept, mut edges) = (Vec::new(), Vec::new());
    for subgraph in scene.subgraphs.clone() {
        let begin = kept.len();
        let (coarse, nodes) = spawn_top::<Pooled, Pooled>(&mut scene.world, (scene.graph, subgraph), field, 0.5, None)?;
        kept.extend(nodes.iter().filter_map(|node| scene.nodes.iter().position(|known| known == node)));
        for edge in &coarse.edges {
            let edge = scene.world.get::<connectome_components::Edge>(*edge).copied().ok_or("an edge is missing")?;
            let place = |end: Entity| coarse.nodes.iter().position(|node| *node == end).map(|place| begin + place);
            edges.push([edge.source, edge.target].map(place));
        }
    }
    let expected: Vec<usize> = case.integers("kept")?.iter().map(|node| *node as usize).collect();
    if kept != expected {
        return Err(format!("keeps {kept:?} and not {expected:?}").into());
    }
    let ends = case.integers("out_edge_index")?;
    let mut expected: Vec<_> =
        (0..ends.shape()[1]).map(|edge| [0, 1].map(|end| Some(ends[[end, edge]] as usize))).collect();
    expected.sort_unstable();
    edges.sort_unstable();
    if edges != expected { Err(format!("keeps the edges {edges:?} and not {expected:?}").into()) } else { Ok(()) }
}

/// What makes an entity a node or an edge of a coarse graph.
#[derive(bevy_ecs::component::Component, Default)]
struct Pooled;

fn pointer(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let (x, mask, right) = (case.matrix("x")?, case.matrix("mask")?, case.matrix("right")?);
    let candidates: Vec<[usize; 2]> =
        mask.indexed_iter().filter(|(_, is_candidate)| **is_candidate != 0.0).map(|((i, j), _)| [i, j]).collect();
    let link = |&[source, target]: &[usize; 2]| super::common::Link { source, target, weight: None };
    let mut scene = Scene::new(x.nrows(), &candidates.iter().map(link).collect::<Vec<_>>());
    let column =
        |values: &Array2<f64>| Array2::from_shape_fn((candidates.len(), 1), |(edge, _)| values[candidates[edge]]);
    let targets = scene.edge_field("right", &column(&right))?;
    let width = case.matrix("param.key")?.nrows();
    let mut parameters = Matrices::new();
    for (name, is_transposed) in [("query", true), ("key", true), ("bilinear", false), ("row", true), ("column", false)]
    {
        let matrix = case.matrix(&format!("param.{name}"))?;
        parameters.insert(name.to_owned(), if is_transposed { matrix.reversed_axes() } else { matrix });
    }
    let found = learn(&mut scene, &x, BiaffinePointer::new(width), PointerCrossEntropy, Some(targets), &parameters)?;
    comparison.compare("score", &found.output, &column(&case.matrix("score")?));
    comparison.number(case, "loss", found.loss)?;
    comparison.compare("grad.x", &found.input, &case.matrix("grad.x")?);
    for (name, gradient) in &found.parameters {
        let name = format!("grad.param.{name}");
        let expected = case.matrix(&name)?;
        let expected = if expected.dim() == gradient.dim() { expected } else { expected.reversed_axes() };
        let expected = match name.as_str() {
            // Square ones have to be turned by name.
            "grad.param.query" | "grad.param.key" if gradient.is_square() => expected.reversed_axes(),
            _ => expected,
        };
        comparison.compare_above(super::floor_of_zeros(&expected, 1.0), &name, gradient, &expected);
    }
    Ok(())
}

fn info_nce(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let (x, y) = (case.matrix("x")?, case.matrix("y")?);
    // Both views of a row follow each other.
    let in_turn = |x: Array2<f64>, y: Array2<f64>| -> Result<Array2<f64>> {
        let width = x.ncols();
        Ok(concatenate(Axis(1), &[x.view(), y.view()])?
            .as_standard_layout()
            .into_owned()
            .into_shape_with_order((2 * x.nrows(), width))?)
    };
    let mut scene = Scene::new(2 * x.nrows(), &[]);
    let loss = InfoNce { temperature: case.floats("temperature")?.sum() as f32 };
    let found = learn(&mut scene, &in_turn(x, y)?, Same, loss, None, &Matrices::new())?;
    comparison.number(case, "out", found.loss)?;
    comparison.compare("grad.x, grad.y", &found.input, &in_turn(case.matrix("grad.x")?, case.matrix("grad.y")?)?);
    Ok(())
}

/// Hands its input on.
struct Same;

impl Layer for Same {
    fn build(&self, input: Value, program: &mut Program) -> std::result::Result<Value, BuildError> {
        operators::scale(program, input, 1.0)
    }
}

/// What a step of a model with a loss of its own gives.
struct Step {
    output: Array2<f64>,
    loss: f64,
    input: Array2<f64>,
    parameters: Matrices,
}

fn learn(
    scene: &mut Scene,
    x: &Array2<f64>,
    layer: impl Layer + 'static,
    loss: impl Operator,
    targets: Option<Field>,
    parameters: &Matrices,
) -> Result<Step> {
    let input = scene.field("input", x)?;
    let into = scene.field("wanted gradient", &Array2::zeros(x.dim()))?;
    let head = Head::new("own").layer(layer).operator_loss(loss);
    let head = match targets {
        Some(targets) => head.targets(targets),
        None => head,
    };
    let model = ModelBuilder::new(scene.graph).input(input).input_gradient(input, into).head(head);
    let model = model.optimizer(STANDSTILL).build(&mut scene.world)?;
    for (entity, parameter) in scene.parameters(model) {
        let name = parameter.name.rsplit('.').next().unwrap_or_default();
        if let Some(values) = parameters.get(name) {
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            parameter.value.set(&mut scene.world, entity, &values)?;
        }
    }
    run(&mut scene.world, Train(model))?;
    let output = scene.world.get::<Model>(model).and_then(|model| model.heads.first().map(|head| head.output));
    let loss = f64::from(scene.world.get::<Metrics>(model).ok_or("there are no metrics")?.of(Split::Train).loss());
    let parameters = parameter_gradients(scene, model)?;
    let parameters = parameters
        .into_iter()
        .map(|(name, gradient)| (name.rsplit('.').next().unwrap_or_default().to_owned(), gradient));
    Ok(Step {
        output: scene.read(output.ok_or("there is no head")?)?,
        loss,
        input: scene.read(into)?,
        parameters: parameters.collect(),
    })
}
