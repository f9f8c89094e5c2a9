//! What does not fit is an error, and a faulty step changes nothing.

use super::*;

#[track_caller]
fn refuse(change: impl FnOnce(&Corpus) -> MixtureBuilder, expected: &str) {
    let mut corpus = Corpus::new(4, Rows::Subgraphs, 1);
    let builder = change(&corpus);
    let error = corpus.scene.world.spawn_mixture(builder).unwrap_err().to_string();
    assert_eq!(error, expected);
    // Nothing is left behind.
    let builder = corpus.builder(2, Corpus::adam());
    let mixture = corpus.spawn(builder);
    corpus.scene.world.train(mixture).unwrap();
}

#[test]
fn mixtures_that_do_not_fit_are_refused() {
    let adam = Corpus::adam();
    let empty = |corpus: &Corpus| MixtureBuilder::new(corpus.gate(adam), corpus.model(adam));
    refuse(empty, "the mixture has no experts; add at least one by `expert`");
    refuse(
        |corpus| corpus.builder(2, adam).top_k(3),
        "each row is computed by 3 of 2 experts; set `top_k` from 1 to 2",
    );
    refuse(
        |corpus| corpus.builder(2, adam).top_k(0),
        "each row is computed by 0 of 2 experts; set `top_k` from 1 to 2",
    );
    refuse(
        |corpus| corpus.builder(1, adam).expert(corpus.expert(adam).layer(Linear::new(3)).name("wide")),
        "expert `wide` outputs 3 values and others 2; give all experts the same last width",
    );
    refuse(
        |corpus| corpus.builder(1, adam).expert(corpus.expert(adam).loss(Loss::Huber { delta: 1.0 })),
        "expert `expert` has a head, a loss or targets of its own; give them to the model of the mixture",
    );
    refuse(
        |corpus| {
            let nodes = ModelBuilder::new(corpus.scene.graph).input(corpus.input).layer(Linear::new(2)).name("nodes");
            corpus.builder(1, adam).expert(nodes)
        },
        "expert `nodes` predicts nodes and others subgraphs; end all experts on the same rows",
    );
    refuse(
        |corpus| empty(corpus).expert(ModelBuilder::new(corpus.scene.graph).layer(Readout::Sum)),
        "expert `model` has an input that cannot be copied into its world; give it fields by `input` and `edge_input`, \
         or components that are `Pod`",
    );
    refuse(
        |corpus| empty(corpus).expert(corpus.expert(adam).input_gradient(corpus.input, corpus.input)),
        "expert `expert` has gradients of inputs, which are copies; remove `input_gradient`",
    );
    refuse(
        |corpus| {
            MixtureBuilder::new(corpus.gate(adam).loss(Loss::CrossEntropy), corpus.model(adam))
                .expert(corpus.expert(adam))
        },
        "the gate has a head, a loss or targets; set `loss_weights` of the mixture instead",
    );
    refuse(|corpus| corpus.builder(2, adam).noise(-1.0), "the noise is -1; set `noise` to a finite number from 0 on");
    refuse(
        |corpus| empty(corpus).expert(corpus.expert(adam).layer(Linear::new(0))),
        "expert `expert`: layer 5 has width 0; a layer is at least 1 wide",
    );
}

#[test]
fn a_gate_of_another_graph_is_refused() {
    let mut corpus = Corpus::new(4, Rows::Subgraphs, 1);
    let other = Graph::of::<Split, connectome_components::Edge>(&mut corpus.scene.world);
    let adam = Corpus::adam();
    let expert = ModelBuilder::new(other).input(corpus.input).layer(Readout::Sum).optimizer(adam);
    let builder = corpus.builder(1, adam).expert(expert);
    let error = corpus.scene.world.spawn_mixture(builder).unwrap_err().to_string();
    assert_eq!(
        error,
        "expert `model` is on a graph of other nodes or subgraphs than the gate; give it one over the same"
    );
    let model = ModelBuilder::new(other).optimizer(adam);
    let builder = MixtureBuilder::new(corpus.gate(adam), model).expert(corpus.expert(adam));
    let error = corpus.scene.world.spawn_mixture(builder).unwrap_err().to_string();
    assert_eq!(error, "the model of the mixture is on another graph than the gate; give it the same");
}

#[test]
fn experts_of_nodes_that_read_subgraphs_are_refused() {
    let mut corpus = Corpus::new(4, Rows::Nodes, 1);
    let adam = Corpus::adam();
    let builder = corpus.builder(1, adam).expert(corpus.expert(adam).layer(GraphNorm::default()).name("normalized"));
    let error = corpus.scene.world.spawn_mixture(builder).unwrap_err().to_string();
    assert_eq!(
        error,
        "expert `normalized` reads subgraphs, to which nodes that are chosen one by one do not belong; let the gate choose \
         for subgraphs"
    );
}

#[test]
fn settings_that_are_wrong_at_run_time_are_errors() {
    let mut corpus = Corpus::new(4, Rows::Subgraphs, 1);
    let builder = corpus.builder(2, Corpus::adam());
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    let before = state(world, mixture);
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().top_k = Some(5);
    let error = world.train(mixture).unwrap_err().to_string();
    assert_eq!(error, "each row is computed by 5 of 2 experts; set `top_k` from 1 to 2");
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().top_k = None;
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().noise = f32::NAN;
    assert!(world.train(mixture).unwrap_err().to_string().starts_with("the noise is NaN"));
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().noise = 0.0;
    let expert = world.get_mut::<MixtureOfExperts>(mixture).unwrap().experts.pop().unwrap();
    let error = world.infer(mixture).unwrap_err().to_string();
    assert_eq!(
        error,
        "`MixtureOfExperts::experts` has 1 entries for 2 experts; add and remove experts by `add_expert` and \
         `remove_expert`"
    );
    world.get_mut::<MixtureOfExperts>(mixture).unwrap().experts.push(expert);
    assert_eq!(before, state(world, mixture));
    world.train(mixture).unwrap();
    assert!(remove_expert(world, mixture, 7).is_err());
    assert!(expert_world(world, mixture, 7).is_err());
    let node = corpus.scene.nodes[0];
    let error = remove_expert(&mut corpus.scene.world, node, 0).unwrap_err().to_string();
    assert!(error.ends_with("is no mixture of experts; pass the entity that `spawn_mixture` returned"), "{error}");
}

/// Nodes that belong to no subgraph would silently be predicted as 0.
#[test]
fn a_gate_of_subgraphs_without_any_is_refused() {
    let mut corpus = Corpus::new(4, Rows::Members, 1);
    let builder = corpus.builder(2, Corpus::adam());
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    world.infer(mixture).unwrap();
    corpus.scene.subgraphs.iter().for_each(|subgraph| _ = world.despawn(*subgraph));
    let error = world.infer(mixture).unwrap_err().to_string();
    assert!(error.starts_with("the gate chooses for subgraphs, but graph "), "{error}");
    corpus.scene.nodes.iter().for_each(|node| _ = world.despawn(*node));
    world.infer(mixture).unwrap();
}

/// All optimizers take their steps, or none: neither weights nor moments nor running statistics change.
fn stops_all(broken: &[(&str, f32)]) {
    let mut corpus = Corpus::new(20, Rows::Subgraphs, 2);
    let normalized = corpus.expert(Corpus::adam()).layer(BatchNorm::default());
    let builder = MixtureBuilder::new(corpus.gate(Corpus::adam()), corpus.model(Corpus::adam()))
        .expert(normalized)
        .expert(corpus.expert(Corpus::adam()).name("broken"));
    let mixture = corpus.spawn(builder);
    let world = &mut corpus.scene.world;
    (0..2).for_each(|_| world.train(mixture).unwrap());
    let (own, model) = expert_world_mut(world, mixture, 1).unwrap();
    let parameters = own.get::<Model>(model).unwrap().parameters.clone();
    let mut healthy = Vec::new();
    for entity in parameters {
        let parameter = own.get::<Parameter>(entity).unwrap().clone();
        let Some((_, value)) = broken.iter().find(|(name, _)| parameter.name.ends_with(name)) else { continue };
        healthy.push((entity, parameter.value, parameter.value.get(own, entity).unwrap().to_vec()));
        parameter.value.set(own, entity, &vec![*value; parameter.value.width()]).unwrap();
    }
    assert!(healthy.len() >= broken.len());
    let bits =
        |world: &World| -> Vec<u32> { state(world, mixture).iter().flatten().map(|value| value.to_bits()).collect() };
    let before = bits(world);
    let error = world.train(mixture).unwrap_err();
    assert!(matches!(error, BuildError::Learning(_)), "{error}");
    assert_eq!(before, bits(world));
    let (own, _) = expert_world_mut(world, mixture, 1).unwrap();
    for (entity, value, values) in healthy {
        value.set(own, entity, &values).unwrap();
    }
    world.train(mixture).unwrap();
    assert_ne!(before, bits(world));
}

#[test]
fn a_loss_that_is_not_finite_because_of_one_expert_stops_all() {
    stops_all(&[("4.weight", f32::MAX)]);
}

#[test]
fn a_gradient_that_is_not_finite_in_one_expert_stops_all() {
    // The outputs are finite: what the large weights are multiplied by is 0.
    stops_all(&[
        ("2.lin_rel.weight", 0.0),
        ("2.lin_rel.bias", 0.0),
        ("2.lin_root.weight", 0.0),
        ("4.weight", 3e38),
        ("4.bias", 1e6),
    ]);
}
