//! A memory on a thread of its own answers as the memory itself does, whoever asks, and never makes a world wait.

use bevy_ecs::prelude::*;
use connectome_memory::{
    Answer, GraphMemory, MemoryAnswer, MemoryError, MemoryRequest, MemoryService, NewGraph, Query, ask_memory,
};
use connectome_systems::{
    Workers, algorithms::LabeledGraph, algorithms::edit_distance::labeled_graph, update_topology,
};
use std::collections::BTreeMap;

use crate::common::{folder, graph, memory, new, renumbered};

fn query() -> Query {
    Query { count: 5, shortlist: 12, ..Query::default() }
}

/// Stores the graphs of each version at once, and compares the answers to each version.
fn check_answers(stored: &BTreeMap<u64, (u64, NewGraph)>, answers: &[(LabeledGraph, Answer)]) {
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    let versions: Vec<u64> = stored.values().map(|(version, _)| *version).collect();
    let last = versions.iter().copied().max().unwrap();
    assert!(versions.is_sorted(), "graphs have numbers in the order in which they were stored");
    for version in memory.version()..=last {
        if version > memory.version() {
            let new = stored.values().filter(|(other, _)| *other == version).map(|(_, new)| new.clone());
            assert_eq!(memory.put_many(new).unwrap().version, version);
        }
        for (graph, answer) in answers.iter().filter(|(_, answer)| answer.version == version) {
            assert_eq!(&memory.find(graph, &query()).unwrap(), answer);
        }
    }
}

#[test]
fn a_handle_answers_as_the_memory_does() {
    let (_folder, path) = folder();
    let service = MemoryService::start(GraphMemory::create(&path).unwrap(), 8, false).unwrap();
    let mut stored = BTreeMap::new();
    let mut answers = Vec::new();
    for seed in 0..40 {
        let handle = service.handle();
        let change = handle.put(vec![new(seed)]).unwrap().wait().unwrap();
        stored.insert(change.ids[0], (change.version, new(seed)));
        let asked = graph(seed + 500, 6, 1);
        answers.push((asked.clone(), handle.find(asked, query()).unwrap().wait().unwrap()));
    }
    check_answers(&stored, &answers);
    let handle = service.handle();
    assert_eq!(handle.find_copies(renumbered(&new(7).graph, 1)).unwrap().wait(), service_copies(&stored, 7));
    assert_eq!(service.close().unwrap().len(), 40);
    assert_eq!(handle.put(vec![new(1)]).err(), Some(MemoryError::Closed));
}

fn service_copies(stored: &BTreeMap<u64, (u64, NewGraph)>, seed: u64) -> Result<Vec<u64>, MemoryError> {
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path)?;
    memory.put_many(stored.values().map(|(_, new)| new.clone()))?;
    memory.find_copies(&new(seed).graph)
}

#[test]
fn a_full_queue_and_a_refused_graph_are_told() {
    let (_folder, memory) = memory(0..2000);
    let service = MemoryService::start(memory, 2, false).unwrap();
    let handle = service.handle();
    let thorough = Query { count: 50, shortlist: 400, ..Query::default() };
    let mut busy = 0;
    let mut pending = Vec::new();
    for seed in 0..50 {
        match handle.find(graph(seed, 10, 3), thorough.clone()) {
            Ok(asked) => pending.push(asked),
            Err(error) => {
                assert_eq!(error, MemoryError::Busy);
                busy += 1;
            }
        }
    }
    assert!(busy > 0, "fifty requests found room in a queue for two");
    pending.into_iter().for_each(|asked| _ = asked.wait().unwrap());
    // A graph that is refused concerns its own request alone.
    let large = LabeledGraph::new(vec![0; connectome_memory::MAX_NODES + 1], []);
    let [refused, accepted] = [large, graph(1, 5, 0)].map(|graph| {
        loop {
            match handle.put(vec![graph.clone().into()]) {
                Err(MemoryError::Busy) => std::thread::yield_now(),
                asked => break asked.unwrap(),
            }
        }
    });
    assert!(matches!(refused.wait(), Err(MemoryError::TooLarge { .. })));
    assert_eq!(accepted.wait().unwrap().ids, [2000]);
}

#[test]
fn copies_are_merged_while_nobody_asks() {
    let (_folder, path) = folder();
    let service = MemoryService::start(GraphMemory::create(&path).unwrap(), 8, true).unwrap();
    let handle = service.handle();
    let graphs = (0..300).map(|seed| renumbered(&graph(seed % 3, 9, 4), seed).into()).collect();
    handle.put(graphs).unwrap().wait().unwrap();
    // Queries in between are answered, whatever is merged by then.
    let mut found = 0;
    while found < 10_000 {
        let copies = handle.find_copies(graph(1, 9, 4)).unwrap().wait().unwrap();
        assert!((1..=100).contains(&copies.len()), "{copies:?}");
        if copies.len() == 1 {
            break;
        }
        found += 1;
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut memory = service.close().unwrap();
    assert_eq!((memory.len(), memory.entry(1).unwrap().count), (3, 100));
    assert_eq!(memory.check().unwrap(), Vec::<String>::new());
}

#[test]
fn entities_are_answered_without_waiting() {
    let (_folder, path) = folder();
    let service = MemoryService::start(GraphMemory::create(&path).unwrap(), 2, false).unwrap();
    let mut world = World::new();
    let mut schedule = Schedule::default();
    schedule.add_systems(ask_memory(service.handle()));
    let agents: Vec<Entity> = (0..20).map(|seed| world.spawn(MemoryRequest::Put(vec![new(seed)])).id()).collect();
    let gone = world.spawn(MemoryRequest::Put(vec![new(20)])).id();
    schedule.run(&mut world);
    // A queue for two takes no more at once; the others stay for later runs.
    assert!(agents.iter().any(|agent| world.get::<MemoryAnswer>(*agent).is_none()));
    world.despawn(gone);
    let mut answered = |world: &mut World| {
        for _ in 0..100_000 {
            schedule.run(world);
            if agents.iter().all(|agent| world.get::<MemoryAnswer>(*agent).is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        panic!("some entities have no answer");
    };
    answered(&mut world);
    let mut stored = BTreeMap::new();
    for (agent, seed) in agents.iter().zip(0..) {
        let Some(MemoryAnswer::Changed(Ok(change))) = world.get(*agent) else { panic!("{agent}") };
        // Requests are sent in the order of entities.
        assert_eq!(change.ids, [seed]);
        stored.insert(seed, (change.version, new(seed)));
        assert!(world.get::<MemoryRequest>(*agent).is_none());
    }
    for (agent, seed) in agents.iter().zip(700..) {
        world
            .entity_mut(*agent)
            .remove::<MemoryAnswer>()
            .insert(MemoryRequest::Find(graph(seed, 5, 1), query().into()));
    }
    answered(&mut world);
    let answers = agents.iter().zip(700..).map(|(agent, seed)| match world.get(*agent) {
        Some(MemoryAnswer::Found(Ok(answer))) => (graph(seed, 5, 1), answer.clone()),
        other => panic!("{other:?}"),
    });
    check_answers(&stored, &answers.collect::<Vec<_>>());
}

#[test]
fn a_graph_of_the_world_and_a_part_of_it_are_remembered() {
    use connectome_components::{ClassLabel, Edge, EdgeKind, Graph, GraphNode};
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes: Vec<Entity> = [6, 8, 7].map(|label| world.spawn((GraphNode, ClassLabel(label))).id()).into();
    world.spawn((Edge { source: nodes[0], target: nodes[1] }, EdgeKind(2)));
    world.spawn((Edge { source: nodes[2], target: nodes[0] }, EdgeKind(1)));
    update_topology(&mut world, graph, &mut connectome_systems::Scratch::default());
    let seen = labeled_graph(&world, graph).unwrap();
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    memory.put_many([seen.clone().into(), seen.induced_subgraph(&[0, 1]).into()]).unwrap();
    assert_eq!(memory.find_copies(&LabeledGraph::new(vec![7, 6, 8], [([0, 1], 1), ([1, 2], 2)])).unwrap(), [0]);
    assert_eq!(memory.find_copies(&LabeledGraph::new(vec![8, 6], [([0, 1], 2)])).unwrap(), [1]);
}

#[cfg(feature = "tokio")]
#[test]
fn a_thousand_tasks_get_the_answers_of_the_memory() {
    use connectome_memory::AsyncGraphMemory;
    let (_folder, path) = folder();
    let memory = GraphMemory::create(&path).unwrap().with_workers(Workers::new(2).unwrap());
    let service = MemoryService::start(memory, 16, false).unwrap();
    let memory = AsyncGraphMemory::new(&service);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let results = runtime.block_on(async {
        let task = |seed: u64| {
            let memory = memory.clone();
            async move {
                let change = memory.put(vec![new(seed)]).await.unwrap();
                let asked = graph(seed + 5000, 6, 1);
                let answer = memory.find(asked.clone(), query()).await.unwrap();
                (change, seed, asked, answer)
            }
        };
        let tasks: Vec<_> = (0..1000).map(|seed| tokio::spawn(task(seed))).collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    });
    let stored: BTreeMap<u64, (u64, NewGraph)> =
        results.iter().map(|(change, seed, ..)| (change.ids[0], (change.version, new(*seed)))).collect();
    assert_eq!(stored.len(), 1000);
    let transactions = stored.values().map(|(version, _)| *version).max().unwrap();
    println!("1,000 graphs were stored in {transactions} transactions");
    let answers: Vec<_> = results.into_iter().map(|(.., asked, answer)| (asked, answer)).collect();
    check_answers(&stored, &answers);
    assert_eq!(service.close().unwrap().check().unwrap(), Vec::<String>::new());
}
