//! Experts are skipped, frozen, added, removed and replaced in a running world.

use super::*;

/// The parameters of an expert.
fn of_expert(world: &World, mixture: Entity, index: usize) -> Vec<(String, Vec<f32>)> {
    let (world, model) = expert_world(world, mixture, index).unwrap();
    values(world, model)
}

/// Sets the bias of the gate, so that the choice is known.
fn bias(world: &mut World, mixture: Entity, bias: &[f32]) {
    let gate = component(world, mixture).gate;
    for entity in world.get::<Model>(gate).unwrap().parameters.clone() {
        let parameter = world.get::<Parameter>(entity).unwrap().clone();
        let values = if parameter.name.ends_with("bias") { bias.to_vec() } else { vec![0.0; parameter.value.width()] };
        parameter.value.set(world, entity, &values).unwrap();
    }
}

fn trained(top_k: usize) -> (Corpus, Entity) {
    let mut corpus = Corpus::new(20, Rows::Subgraphs, 11);
    let builder = corpus.builder(3, Corpus::adam()).top_k(top_k);
    let mixture = corpus.spawn(builder);
    (0..3).for_each(|_| corpus.scene.world.train(mixture).unwrap());
    (corpus, mixture)
}

#[test]
fn an_expert_without_rows_is_as_if_there_were_no_step() {
    let (mut corpus, mixture) = trained(1);
    let world = &mut corpus.scene.world;
    bias(world, mixture, &[9.0, 0.0, 1.0]);
    let before = state_of(world, mixture);
    world.train(mixture).unwrap();
    let after = state_of(world, mixture);
    assert_eq!(component(world, mixture).experts.iter().map(|expert| expert.rows).collect::<Vec<_>>(), [20, 0, 0]);
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1..], after[1..], "moments decay as little as weights");
}

/// Parameters, moments and training state of each expert.
fn state_of(world: &World, mixture: Entity) -> Vec<connectome_systems::ModelState> {
    let count = component(world, mixture).experts.len();
    let of = |index| {
        let (world, model) = expert_world(world, mixture, index).unwrap();
        connectome_systems::ModelState::of(world, model).unwrap()
    };
    (0..count).map(of).collect()
}

#[test]
fn a_frozen_expert_is_used_but_not_trained() {
    let (mut corpus, mixture) = trained(3);
    let world = &mut corpus.scene.world;
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().experts[1].is_frozen = true;
    let before = state_of(world, mixture);
    let gate = values(world, component(world, mixture).gate);
    world.train(mixture).unwrap();
    let after = state_of(world, mixture);
    assert_eq!([0, 1, 2].map(|index| before[index] == after[index]), [false, true, false]);
    assert_eq!(component(world, mixture).experts[1].rows, 20);
    assert_ne!(gate, values(world, component(world, mixture).gate));
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().experts[1].is_frozen = false;
    world.train(mixture).unwrap();
    assert_ne!(after[1], state_of(world, mixture)[1]);
}

#[test]
fn an_added_expert_leaves_the_others_and_the_rest_of_the_gate() {
    let (mut corpus, mixture) = trained(1);
    let expert = corpus.expert(Corpus::adam()).name("late");
    let world = &mut corpus.scene.world;
    bias(world, mixture, &[0.0, 9.0, 1.0]);
    world.infer(mixture).unwrap();
    let before = (output(world, mixture), state_of(world, mixture));
    assert_eq!(add_expert(world, mixture, expert).unwrap(), 3);
    // The gate's weights are random for the new one; with this bias it is not chosen.
    let gate = component(world, mixture).gate;
    let weights = values(world, gate);
    let kept: Vec<f32> = weights.last().unwrap().1[..3].to_vec();
    assert_eq!(kept, [0.0, 9.0, 1.0]);
    world.infer(mixture).unwrap();
    assert_eq!(component(world, mixture).weights.width(), 4);
    assert_eq!(state_of(world, mixture)[..3], before.1);
    let probability = |others: f32| 9f32.exp() / (9f32.exp() + 1.0 + 1f32.exp() + others);
    // Of the single expert that is chosen the weight is a probability, which one more expert lowers.
    let scale = probability(1.0) / probability(0.0);
    for (found, expected) in output(world, mixture).iter().zip(&before.0) {
        assert!((found - expected).abs() < 0.01 * expected.abs() * scale.max(1.0) + 1e-3, "{found} {expected}");
    }
    assert_eq!(component(world, mixture).experts[3].name, "late");
    world.train(mixture).unwrap();
}

#[test]
fn a_removed_expert_takes_its_logit_along() {
    let (mut corpus, mixture) = trained(1);
    let world = &mut corpus.scene.world;
    bias(world, mixture, &[0.0, 9.0, 1.0]);
    let before = state_of(world, mixture);
    remove_expert(world, mixture, 1).unwrap();
    let gate = values(world, component(world, mixture).gate);
    assert_eq!(gate.last().unwrap().1, [0.0, 1.0]);
    assert_eq!(state_of(world, mixture), [before[0].clone(), before[2].clone()]);
    world.train(mixture).unwrap();
    let rows: Vec<usize> = component(world, mixture).experts.iter().map(|expert| expert.rows).collect();
    assert_eq!(rows, [0, 20]);
    remove_expert(world, mixture, 0).unwrap();
    assert!(remove_expert(world, mixture, 0).is_err(), "one expert stays");
    world.train(mixture).unwrap();
}

#[test]
fn a_replaced_expert_keeps_what_fits() {
    let (mut corpus, mixture) = trained(3);
    let expert = corpus.expert(Corpus::adam());
    let narrow = ModelBuilder::new(corpus.scene.graph).name("narrow").input(corpus.input);
    let narrow = narrow.layer(Linear::new(2)).layer(Readout::Sum).optimizer(Corpus::adam());
    let wide = narrow.clone().layer(Linear::new(5));
    let world = &mut corpus.scene.world;
    let before = state_of(world, mixture);
    replace_expert(world, mixture, 0, expert).unwrap();
    assert_eq!(state_of(world, mixture)[0].parameters, before[0].parameters);
    let error = replace_expert(world, mixture, 0, wide).unwrap_err().to_string();
    assert_eq!(error, "expert `narrow` outputs 5 values and others 2; give all experts the same last width");
    assert_eq!(state_of(world, mixture)[0].parameters, before[0].parameters);
    world.train(mixture).unwrap();
    replace_expert(world, mixture, 2, narrow).unwrap();
    assert_eq!(component(world, mixture).experts[2].name, "narrow");
    assert_eq!(of_expert(world, mixture, 2).len(), 2);
    (0..3).for_each(|_| world.train(mixture).unwrap());
}

#[test]
fn the_number_of_experts_of_a_row_may_change_between_steps() {
    let (mut corpus, mixture) = trained(1);
    let world = &mut corpus.scene.world;
    for (top_k, rows) in [(Some(2), 40), (None, 60), (Some(1), 20)] {
        world.get_mut::<MixtureOfExperts>(mixture).unwrap().top_k = top_k;
        world.train(mixture).unwrap();
        let found: usize = component(world, mixture).experts.iter().map(|expert| expert.rows).sum();
        assert_eq!(found, rows);
    }
}

#[test]
fn nodes_and_graphs_that_come_and_go_are_computed() {
    let (mut corpus, mixture) = trained(1);
    let world = &mut corpus.scene.world;
    let subgraph = world.spawn((Subgraph, Split::Train)).id();
    let nodes = [(); 3].map(|()| world.spawn((GraphNode, connectome_components::InSubgraph(subgraph))).id());
    world.spawn(connectome_components::Edge { source: nodes[0], target: nodes[1] });
    world.train(mixture).unwrap();
    let rows = |world: &World| component(world, mixture).experts.iter().map(|expert| expert.rows).sum::<usize>();
    assert_eq!(rows(world), 21);
    nodes.into_iter().chain([subgraph]).for_each(|entity| _ = world.despawn(entity));
    world.train(mixture).unwrap();
    assert_eq!(rows(world), 20);
    // Without any row there is nothing to learn, which is no panic.
    corpus.scene.subgraphs.iter().for_each(|subgraph| _ = world.despawn(*subgraph));
    assert!(matches!(world.train(mixture), Err(BuildError::Learning(_))));
    world.infer(mixture).unwrap();
}

#[test]
fn a_removed_mixture_takes_its_gate_along() {
    let (mut corpus, mixture) = trained(2);
    let world = &mut corpus.scene.world;
    let gate = component(world, mixture).gate;
    let schedules = world.resource::<bevy_ecs::schedule::Schedules>().iter().count();
    world.remove_model(mixture).unwrap();
    assert!(world.get_entity(gate).is_err());
    assert!(world.run_model(Infer(mixture)).is_err());
    assert!(world.resource::<bevy_ecs::schedule::Schedules>().iter().count() < schedules);
    // The fields are there for the next one.
    let builder = corpus.builder(3, Corpus::adam()).top_k(2);
    let mixture = corpus.spawn(builder);
    corpus.scene.world.train(mixture).unwrap();
}
