//! What is stored stays as it was, is counted, merged, used and forgotten, before and after the file is opened again.

use connectome_memory::{Episode, GraphMemory, MAX_METADATA, MAX_NODES, MemoryError, NewGraph};
use connectome_systems::algorithms::LabeledGraph;

use crate::common::{folder, graph, memory, new, renumbered};

/// All that can be asked of a memory without a query.
fn contents(memory: &GraphMemory) -> impl PartialEq + std::fmt::Debug + use<> {
    let names = (memory.label_names().to_vec(), memory.edge_label_names().to_vec());
    let graphs = memory.get_many(memory.ids()).unwrap();
    (memory.version(), memory.capacity(), names, graphs, memory.episodes(), memory.sample(7, 1, 9))
}

#[test]
fn an_opened_memory_is_what_was_closed() {
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    memory.put_many((0..30).map(new)).unwrap();
    memory.put(NewGraph::from(LabeledGraph::default())).unwrap();
    memory.put_many((5..8).map(|seed| renumbered(&new(seed).graph, 1).into())).unwrap();
    memory.mark_used(&[3, 3, 9, 1000]).unwrap();
    memory.forget(&[0, 12]).unwrap();
    memory.consolidate(20).unwrap();
    memory.set_capacity(Some(31)).unwrap();
    memory.set_label_names(vec!["C".into(), "N".into()], vec!["single".into()]).unwrap();
    let before = contents(&memory);
    drop(memory);
    let mut memory = GraphMemory::open(&path).unwrap();
    assert_eq!(contents(&memory), before);
    assert_eq!(memory.get(4).unwrap().graph, new(4).graph);
    assert_eq!(memory.get(4).unwrap().metadata["seed"], "4");
    // What is not done yet goes on from where it was.
    assert_eq!(memory.consolidate(100).unwrap().remaining, 0);
    assert_eq!(memory.check().unwrap(), Vec::<String>::new());
}

#[test]
fn any_isomorphic_graph_is_a_copy() {
    let (_folder, memory) = memory(0..300);
    for seed in 0..300 {
        let copies = memory.find_copies(&renumbered(&new(seed).graph, seed + 1)).unwrap();
        assert!(copies.contains(&seed), "{seed}: {copies:?}");
    }
    assert_eq!(memory.find_copies(&graph(5, 40, 3)).unwrap(), []);
}

#[test]
fn graphs_of_one_hash_that_differ_are_no_copies() {
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    let rings = |size: u32| {
        let edge = |node: u32| ([node, node / size * size + (node + 1) % size], 0);
        LabeledGraph::new(vec![0; 12], (0..12).map(edge))
    };
    let ids = memory.put_many([12, 6, 4, 3].map(|size| rings(size).into())).unwrap().ids;
    for (id, size) in ids.iter().zip([12, 6, 4, 3]) {
        assert_eq!(memory.find_copies(&renumbered(&rings(size), 3)).unwrap(), [*id]);
    }
    memory.consolidate(10).unwrap();
    assert_eq!(memory.len(), 4);
}

#[test]
fn copies_are_merged_and_counted() {
    let (_folder, path) = folder();
    let mut memory = GraphMemory::create(&path).unwrap();
    for round in 0..3 {
        for seed in [11, 23, 47] {
            let metadata = [(format!("round {round}"), "seen".to_owned())].into();
            let graph = renumbered(&graph(seed, 9, 3), round);
            memory.put(NewGraph { graph, metadata, time: 100 - round, vector: None }).unwrap();
        }
    }
    memory.mark_used(&[1, 4, 7]).unwrap();
    let mut merged = Vec::new();
    let mut steps = 0;
    loop {
        let step = memory.consolidate(2).unwrap();
        merged.extend(step.merged);
        steps += 1;
        // Whatever was merged so far, the memory is whole.
        assert_eq!(memory.check().unwrap(), Vec::<String>::new());
        if step.remaining == 0 {
            break;
        }
    }
    assert_eq!((steps, merged), (5, vec![[3, 0], [4, 1], [5, 2], [6, 0], [7, 1], [8, 2]]));
    let found = memory.get(1).unwrap();
    assert_eq!((found.entry.count, found.entry.uses), (3, 3));
    let episode = |number: u64, time: u64| Episode { number, time };
    assert_eq!(found.entry.episodes, [episode(1, 100), episode(4, 99), episode(7, 98)]);
    assert_eq!(found.metadata.keys().collect::<Vec<_>>(), ["round 0", "round 1", "round 2"]);
    assert_eq!(memory.get(4), Err(MemoryError::Unknown { id: 4 }));
    let order: Vec<(u64, u64)> = memory.episodes().iter().map(|(episode, id)| (episode.number, *id)).collect();
    assert_eq!(order, [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2), (6, 0), (7, 1), (8, 2)]);
    // A later copy is merged, too.
    memory.put(renumbered(&graph(23, 9, 3), 8).into()).unwrap();
    assert_eq!(memory.consolidate(64).unwrap().merged, [[9, 1]]);
}

#[test]
fn the_least_used_are_forgotten() {
    let (_folder, mut memory) = memory(0..6);
    memory.mark_used(&[0, 1, 4]).unwrap();
    memory.mark_used(&[1]).unwrap();
    // 2, 3 and 5 were not used; 0 and 4 once, at the same time; 1 twice.
    assert_eq!(memory.set_capacity(Some(4)).unwrap().forgotten, [2, 3]);
    assert_eq!(memory.put(new(6)).unwrap().forgotten, [5]);
    // The new one is not used either, but what is being stored stays.
    assert_eq!(memory.put(new(7)).unwrap().forgotten, [6]);
    assert_eq!(memory.put_many([new(8), new(9)]).unwrap().forgotten, [7, 0]);
    assert_eq!(memory.ids(), [1, 4, 8, 9]);
    // More than there is room for: the last remain.
    assert_eq!(memory.put_many((10..16).map(new)).unwrap().forgotten, [8, 9, 4, 1, 10, 11]);
    assert_eq!(memory.ids(), [12, 13, 14, 15]);
    assert_eq!(memory.set_capacity(Some(0)), Err(MemoryError::Capacity));
    memory.set_capacity(None).unwrap();
    memory.put_many((16..40).map(new)).unwrap();
    assert_eq!(memory.len(), 28);
}

#[test]
fn what_is_refused_changes_nothing() {
    let (_folder, mut memory) = memory(0..4);
    let before = contents(&memory);
    let large = LabeledGraph::new(vec![0; 10_000_000], []);
    let error = memory.put_many([new(1), large.into()]).unwrap_err();
    assert_eq!(error, MemoryError::TooLarge { what: "nodes", count: 10_000_000, max: MAX_NODES });
    let metadata = [("text".to_owned(), "x".repeat(MAX_METADATA))].into();
    assert!(matches!(memory.put(NewGraph { metadata, ..new(1) }), Err(MemoryError::TooLarge { .. })));
    assert_eq!(memory.forget(&[1, 99]), Err(MemoryError::Unknown { id: 99 }));
    assert_eq!(contents(&memory), before);
}

#[test]
fn batches_are_drawn_by_seed_and_step() {
    let (_folder, mut memory) = memory(0..50);
    let batch = memory.sample(3, 0, 200);
    assert_eq!(memory.sample(3, 0, 200), batch);
    assert_ne!(memory.sample(3, 1, 200), batch);
    assert_ne!(memory.sample(4, 0, 200), batch);
    assert!((0..50).filter(|id| batch.contains(id)).count() > 40);
    memory.forget(&(1..50).collect::<Vec<_>>()).unwrap();
    assert_eq!(memory.sample(3, 0, 3), [0, 0, 0]);
    memory.forget(&[0]).unwrap();
    assert_eq!(memory.sample(3, 0, 3), []);
}
