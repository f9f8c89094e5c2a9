//! Learns vectors of molecules by which a memory finds similar ones.
//!
//! ```sh
//! cargo run --release --example similar
//! ```
//!
//! A network reads each molecule into a vector, and learns that molecules which few edits part are near to each other: by
//! InfoNCE on pairs of near ones, among 420 molecules whose exact edit distances are known. Then the memory stores all 560
//! by their learned vectors, and is asked for the ten that are most similar to each of the other 140, of which the
//! network has seen nothing. Any molecule at the distance of the tenth counts.

use bevy_ecs::prelude::*;
use connectome::{
    import::{ImportOptions, LabeledGraphs, import_labeled},
    memory::{GraphMemory, GraphVector, NewGraph, Query},
    prelude::*,
    systems::{
        Head, Workers,
        algorithms::LabeledGraph,
        batch::{Batch, Extract},
        layers::{JumpingMode, Mlp},
        operators::InfoNce,
        random::{Philox, RandomStream},
        update_topology,
    },
};
use std::{error::Error, path::Path};

const MOLECULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/aids700nef.npz");
const STEPS: u64 = 3000;
/// Pairs in a step.
const PAIRS: usize = 64;
/// How many of the nearest may be the other one of a pair.
const NEAR: usize = 20;
const WIDTH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let read = import_labeled(Path::new(MOLECULES), &ImportOptions::default())?;
    let LabeledGraphs { graphs, distances: Some(distances), .. } = read else {
        return Err(format!("{MOLECULES} has no distances").into());
    };
    let distance = |one: usize, other: usize| distances.values[one * distances.width + other];
    let (asked, learned): (Vec<usize>, Vec<usize>) = (0..graphs.len()).partition(|graph| graph % 4 == 3);
    let nearest = |of: usize, among: &[usize]| -> Vec<usize> {
        let mut others: Vec<usize> = among.iter().copied().filter(|other| *other != of).collect();
        others.sort_by(|one, other| distance(of, *one).total_cmp(&distance(of, *other)));
        others
    };
    let near: Vec<Vec<usize>> = learned.iter().map(|graph| nearest(*graph, &learned)[..NEAR].to_vec()).collect();

    let mut reader = Reader::new(&graphs)?;
    for step in 0..STEPS {
        let mut random = RandomStream::new(Philox::new(0, 0, step));
        let mut below = |count: usize| random.below(count as u64) as usize;
        let mut pairs = Vec::new();
        // No molecule is in two pairs: it would be pushed away from itself.
        while pairs.len() < 2 * PAIRS {
            let first = below(learned.len());
            let pair = [learned[first], near[first][below(NEAR)]];
            if !pair.iter().any(|graph| pairs.contains(graph)) {
                pairs.extend(pair);
            }
        }
        reader.learn(&pairs)?;
    }

    let folder = tempfile::tempdir()?;
    let [counted, trained] = ["counted", "trained"].map(|name| GraphMemory::create(&folder.path().join(name)));
    let (mut counted, mut trained) = (counted?, trained?);
    let vectors = reader.vectors(graphs.len())?;
    counted.put_many(graphs.iter().cloned().map(NewGraph::from))?;
    let with_vector = |(graph, vector): (&LabeledGraph, &GraphVector)| NewGraph {
        vector: Some(*vector),
        ..NewGraph::from(graph.clone())
    };
    trained.put_many(graphs.iter().zip(&vectors).map(with_vector))?;
    println!("{} molecules learned of, {} asked for; of the ten most similar were found", learned.len(), asked.len());
    let all: Vec<usize> = (0..graphs.len()).collect();
    for (name, memory, is_learned) in [("counts", &counted, false), ("learned vectors", &trained, true)] {
        let mut found = [0; 2];
        for graph in &asked {
            let tenth = distance(*graph, nearest(*graph, &all)[9]);
            for (found, shortlist) in found.iter_mut().zip([0, 80]) {
                let vector = is_learned.then(|| vectors[*graph]);
                // Itself is found, too.
                let query = Query { count: 11, shortlist, vector, ..Query::default() };
                let others = memory.find(&graphs[*graph], &query)?.matches;
                let others = others.iter().map(|found| found.id as usize).filter(|other| other != graph).take(10);
                *found += others.filter(|other| distance(*graph, *other) <= tenth).count();
            }
        }
        let [alone, refined] = found.map(|found| 10.0 * f64::from(found as u32) / asked.len() as f64);
        println!("  by {name:<15} {alone:5.1} %, refined by edit distances {refined:5.1} %");
    }
    Ok(())
}

/// A network that reads molecules, and those molecules.
struct Reader {
    corpus: World,
    molecules: Vec<Entity>,
    extract: Extract,
    batch: Batch,
    world: World,
    graph: Entity,
    model: Entity,
}

impl Reader {
    fn new(graphs: &[LabeledGraph]) -> Result<Self, Box<dyn Error>> {
        let labels = graphs.iter().flat_map(|graph| graph.labels()).max().map_or(0, |label| *label as usize + 1);
        let (mut corpus, mut molecules) = (World::new(), Vec::new());
        let examples = Graph::spawn(&mut corpus);
        let mut atoms = Vec::new();
        for graph in graphs {
            let molecule = corpus.spawn(Subgraph).id();
            let first = atoms.len();
            atoms.extend(
                graph.labels().iter().map(|label| (corpus.spawn((GraphNode, InSubgraph(molecule))).id(), *label)),
            );
            for ([one, other], _) in graph.labeled_edges() {
                let [one, other] = [one, other].map(|atom| atoms[first + atom as usize].0);
                corpus.spawn_batch([Edge { source: one, target: other }, Edge { source: other, target: one }]);
            }
            molecules.push(molecule);
        }
        let nodes = corpus.register_component::<GraphNode>();
        let from = Field::<f32>::register(&mut corpus, "atom", nodes, labels)?;
        update_topology(&mut corpus, examples, &mut Default::default());
        for (atom, label) in atoms {
            let mut row = vec![0.0; labels];
            row[label as usize] = 1.0;
            from.set(&mut corpus, atom, &row)?;
        }

        let mut world = World::new();
        world.insert_resource(Workers::new(0)?);
        let graph = Graph::spawn(&mut world);
        let nodes = world.register_component::<GraphNode>();
        let input = Field::<f32>::register(&mut world, "input", nodes, labels)?;
        // What is around each atom, near and far.
        let around = || vec![GinConv::new(Mlp::new([WIDTH, WIDTH]))];
        let model = ModelBuilder::new(graph)
            .input(input)
            .layer(JumpingKnowledge::new(JumpingMode::Concatenate, [vec![], around(), around(), around()]))
            .layer(Readout::Sum)
            .layer(Linear::new(128))
            .head(Head::new("vector").operator_loss(InfoNce { temperature: 0.03 }))
            .optimizer(Optimizer::adam(0.001));
        let model = world.spawn_model(model)?;
        let mut extract = Extract::new(&corpus, examples)?;
        extract.copy(&corpus, from, input)?;
        extract.update(&mut corpus);
        Ok(Self { corpus, molecules, extract, batch: Batch::default(), world, graph, model })
    }

    fn load(&mut self, molecules: &[usize]) -> Result<(), Box<dyn Error>> {
        let asked: Vec<Entity> = molecules.iter().map(|molecule| self.molecules[*molecule]).collect();
        self.extract.subgraphs(&self.corpus, &asked, &mut self.batch)?;
        Ok(self.batch.load(&mut self.world, self.graph)?)
    }

    /// A step on pairs of molecules that follow each other.
    fn learn(&mut self, pairs: &[usize]) -> Result<(), Box<dyn Error>> {
        self.load(pairs)?;
        self.world.train(self.model)?;
        self.world.clear_trackers();
        Ok(())
    }

    /// The vectors of the first molecules.
    fn vectors(&mut self, count: usize) -> Result<Vec<GraphVector>, Box<dyn Error>> {
        self.load(&(0..count).collect::<Vec<_>>())?;
        self.world.infer(self.model)?;
        let output = self.world.get::<Model>(self.model).ok_or("the model is gone")?.output;
        Ok(output.matrix(&self.world).rows().map(GraphVector::from_embedding).collect::<Result<_, _>>()?)
    }
}
