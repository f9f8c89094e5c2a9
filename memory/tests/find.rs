//! Answers are those of the edit distances of all graphs of the shortlist, ranked by distance and identifier, for any
//! number of workers.

use connectome_memory::{
    GraphMemory, GraphVector, MAX_COMPARED_NODES, Match, MemoryError, MemoryService, NewGraph, Query,
};
use connectome_systems::{
    Workers,
    algorithms::{
        LabeledGraph,
        edit_distance::{EditCosts, OperationCosts, SearchBudget, edit_distance},
    },
};

use crate::common::{graph, memory, new, renumbered};

const EXACT: SearchBudget = SearchBudget::EXACT;

/// All graphs of a memory, ranked by their exact distances.
fn ranked(memory: &GraphMemory, graph: &LabeledGraph) -> Vec<(f64, u64)> {
    let distance = |id: &u64| {
        let other = memory.get(*id).unwrap().graph;
        let found = edit_distance(graph, &other, &EditCosts::default(), EXACT, &Workers::single()).unwrap();
        (found.distance().unwrap(), *id)
    };
    let mut all: Vec<(f64, u64)> = memory.ids().iter().map(distance).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    all
}

#[test]
fn the_nearest_are_those_of_all_distances() {
    let (_folder, memory) = memory(0..60);
    let memory = memory.with_workers(Workers::new(2).unwrap());
    for seed in 100..112 {
        let graph = graph(seed, 7, 1);
        let all = ranked(&memory, &graph);
        for count in [1, 5, 60] {
            let query = Query { count, shortlist: 60, budget: EXACT, ..Query::default() };
            let found = memory.find(&graph, &query).unwrap().matches;
            let found: Vec<(f64, u64)> = found.iter().map(|found| (found.distance().unwrap(), found.id)).collect();
            assert_eq!(found, all[..count], "seed {seed}");
        }
    }
}

#[test]
fn workers_change_nothing() {
    let (_folder, memory) = memory(0..200);
    let query = Query { budget: SearchBudget { expansions: Some(20), time: None }, ..Query::default() };
    let answers = |memory: &GraphMemory| {
        (0..10).map(|seed| memory.find(&graph(seed, 12, 5), &query).unwrap()).collect::<Vec<_>>()
    };
    let one = answers(&memory);
    assert!(one.iter().flat_map(|answer| &answer.matches).any(|found| found.distance().is_none()), "all are exact");
    assert_eq!(answers(&memory.with_workers(Workers::new(3).unwrap())), one);
}

#[test]
fn without_a_shortlist_vectors_rank() {
    let (_folder, memory) = memory(0..100);
    let query = Query { count: 7, shortlist: 0, ..Query::default() };
    let graph = graph(3, 8, 2);
    let vector = GraphVector::of(&graph);
    let mut all: Vec<(u32, u64)> = memory
        .ids()
        .iter()
        .map(|id| (vector.distance(&GraphVector::of(&memory.get(*id).unwrap().graph)), *id))
        .collect();
    all.sort_unstable();
    let expected: Vec<Match> =
        all[..7].iter().map(|(distance, id)| Match { id: *id, vector_distance: *distance, bounds: None }).collect();
    assert_eq!(memory.find(&graph, &query).unwrap().matches, expected);
    assert_eq!(memory.find(&graph, &Query { count: 0, ..query }).unwrap().matches, []);
}

/// A direction in the plane.
fn direction(degrees: f32) -> GraphVector {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    GraphVector::from_embedding(&[7.0 * cosine, 7.0 * sine]).unwrap()
}

#[test]
fn vectors_that_are_given_rank_and_are_kept() {
    let (_folder, path) = crate::common::folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    let with = |seed, degrees| NewGraph { vector: Some(direction(degrees)), ..new(seed) };
    memory.put_many((0..12).map(|seed| with(seed, 30.0 * seed as f32))).unwrap();
    let query = Query { count: 3, shortlist: 0, vector: Some(direction(95.0)), ..Query::default() };
    let nearest = |memory: &GraphMemory| {
        let found = memory.find(&graph(50, 5, 1), &query).unwrap().matches;
        found.iter().map(|found| found.id).collect::<Vec<_>>()
    };
    assert_eq!(nearest(&memory), [3, 4, 2]);
    // Others are not comparable.
    let given = MemoryError::Vectors { given: true };
    assert_eq!(memory.put(new(20)).unwrap_err(), given);
    assert_eq!(memory.find(&graph(50, 5, 1), &Query::default()).unwrap_err(), given);
    assert_eq!(memory.put_many([with(20, 5.0), new(21)]).unwrap_err(), given);
    // A copy keeps the vector of the first.
    let copy = NewGraph { graph: renumbered(&new(3).graph, 1), ..with(3, 200.0) };
    memory.put(copy).unwrap();
    memory.mark_used(&[2]).unwrap();
    memory.consolidate(100).unwrap();
    assert_eq!(memory.check().unwrap(), [""; 0]);
    drop(memory);
    let mut memory = GraphMemory::open(&path).unwrap();
    assert_eq!((memory.len(), nearest(&memory), memory.check().unwrap()), (12, vec![3, 4, 2], Vec::new()));
    // In a group each request is refused for itself.
    let service = MemoryService::start(memory, 8, false).unwrap();
    let handle = service.handle();
    let [first, second, third] =
        [vec![with(30, 1.0)], vec![new(31)], vec![with(32, 2.0)]].map(|new| handle.put(new).unwrap());
    assert_eq!((first.wait().is_ok(), second.wait().unwrap_err(), third.wait().is_ok()), (true, given, true));
    assert_eq!(service.close().unwrap().len(), 14);

    let (_folder, mut computed) = crate::common::memory(0..3);
    assert_eq!(computed.find(&graph(1, 5, 1), &query).unwrap_err(), MemoryError::Vectors { given: false });
    assert_eq!(computed.put(with(9, 1.0)).unwrap_err(), MemoryError::Vectors { given: false });
}

#[test]
fn embeddings_are_directions() {
    let vector = |embedding: &[f32]| GraphVector::from_embedding(embedding);
    assert_eq!(vector(&[3.0, -1.0, 0.5]), vector(&[6.0, -2.0, 1.0]));
    assert_eq!(vector(&[0.0; 128]).unwrap().values(), &[128; 128]);
    let [one, near, far] = [[1.0, 0.0, 0.1], [1.0, 0.1, 0.0], [-1.0, 0.0, -0.1]].map(|it| vector(&it).unwrap());
    assert!(one.distance(&near) < one.distance(&far));
    for wrong in [vec![], vec![0.0; 129], vec![1.0, f32::NAN], vec![f32::INFINITY]] {
        assert_eq!(vector(&wrong), Err(MemoryError::Embedding { width: wrong.len() }));
    }
}

#[test]
fn large_graphs_are_ranked_by_their_vectors() {
    let (_folder, mut memory) = memory(0..3);
    let large = graph(1, MAX_COMPARED_NODES as u32 + 1, 9);
    let id = memory.put(large.clone().into()).unwrap().ids[0];
    let found = memory.find(&large, &Query::default()).unwrap().matches;
    // A copy is known to be at distance 0, others are not compared.
    assert_eq!(found[0], Match { id, vector_distance: 0, bounds: Some([0.0, 0.0]) });
    assert_eq!(found[1].bounds, None);
    // Beside small ones it comes last.
    let found = memory.find(&graph(1, 5, 0), &Query::default()).unwrap().matches;
    assert_eq!((found.len(), found[3].id, found[3].bounds), (4, id, None));
    assert!(found[..3].iter().all(|found| found.distance().is_some()));
}

#[test]
fn graphs_that_costs_do_not_cover_are_an_error() {
    let (_folder, memory) = memory(0..3);
    let table = OperationCosts::Table { insertion: vec![1.0], deletion: vec![1.0], substitution: vec![vec![0.0]] };
    let costs = EditCosts::new(table, OperationCosts::UNIT).unwrap();
    let error = memory.find(&graph(2, 5, 0), &Query { costs, ..Query::default() }).unwrap_err();
    assert!(matches!(error, MemoryError::Edit(_)), "{error}");
}

#[test]
fn an_empty_memory_answers() {
    let (_folder, memory) = memory(0..0);
    assert_eq!(memory.find(&graph(0, 5, 0), &Query::default()).unwrap().matches, []);
    assert_eq!(memory.find_copies(&LabeledGraph::default()).unwrap(), []);
}

/// The figures of the documentation: the fastest of many, since other processes interrupt the others.
#[test]
#[ignore = "takes half a minute"]
fn time_of_a_query_among_100_000() {
    let (_folder, path) = crate::common::folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    let stored = |seed: u64| graph(seed, 10 + seed as u32 % 20, seed as u32 % 5);
    (0..10).for_each(|part| {
        _ = memory.put_many((part * 10_000..(part + 1) * 10_000).map(|seed| stored(seed).into())).unwrap()
    });
    for (name, rounds, query) in [
        ("vectors alone", 300, Query { shortlist: 0, ..Query::default() }),
        ("a shortlist of 80", 20, Query::default()),
    ] {
        let mut times: Vec<f64> = (0..rounds)
            .map(|round| {
                let graph = stored(1_000_000 + round);
                let start = std::time::Instant::now();
                memory.find(&graph, &query).unwrap();
                1e3 * start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name}: fastest {:.2} ms, median {:.2} ms", times[0], times[times.len() / 2]);
    }
}
