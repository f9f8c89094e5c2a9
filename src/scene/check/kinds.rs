//! Whether the kinds of nodes and the relations of a scene make sense.

use connectome_systems::layers::Layer;

use crate::data::RowKind;
use crate::scene::description::{GraphSource, NodeFeatures, NodeOrder, SceneFile};
use crate::scene::error::Fault;
use crate::scene::layer::LayerDescription;
use crate::scene::locate::Step::{self, Field, Index, Ranked};
use crate::suggest::{nearest, quote};

/// Checks all that needs no graph; adds everything that is wrong.
pub(super) fn check_kinds(scene: &SceneFile, faults: &mut Vec<Fault>) {
    if !scene.has_kinds() {
        return check_absence(scene, faults);
    }
    check_completeness(scene, faults);
    check_names(scene, faults);
    check_relations(scene, faults);
    check_features(scene, faults);
    check_heads(scene, faults);
    check_settings(scene, faults);
}

/// Checks that nothing in a scene without kinds asks for them.
fn check_absence(scene: &SceneFile, faults: &mut Vec<Fault>) {
    let wanted = "write `kind`, `nodes` and `relations` in the scene";
    for (number, head) in scene.heads.iter().enumerate().filter(|(_, head)| !head.nodes.is_empty()) {
        let message = format!("the head {} reads a kind of nodes, but the scene names none", quote(&head.name));
        let path = [Field("heads"), Index(number), Field("nodes")];
        faults.push(Fault::new(path, message, format!("{wanted}, or remove it")));
    }
    let of_heads = scene.heads.iter().enumerate();
    let of_heads =
        of_heads.map(|(head, described)| (vec![Field("heads"), Index(head), Field("layers")], &described.layers[..]));
    let mut all: Vec<(Vec<Step<'static>>, &[LayerDescription])> = vec![(vec![Field("model")], &scene.model)];
    all.extend(of_heads);
    for (path, layers) in all {
        for (number, layer) in layers.iter().enumerate().filter(|(_, layer)| layer.reads_all_kinds()) {
            let message = format!("{} passes messages along relations, but the scene names none", layer.name());
            let help = format!("{wanted}, or take a convolution of one graph, such as SageConv");
            faults.push(Fault::new([&path[..], &[Index(number)]].concat(), message, help));
        }
    }
}

/// Checks that there are kinds, relations, and a kind of the task.
fn check_completeness(scene: &SceneFile, faults: &mut Vec<Fault>) {
    let known = || format!("the kinds are {}", scene.nodes.keys().cloned().collect::<Vec<_>>().join(", "));
    if scene.nodes.is_empty() {
        let place = if scene.kind.is_some() { "kind" } else { "relations" };
        let help = "write each kind with what is read of it, such as `nodes: {\"package\": (), \"source\": ()}`";
        return faults.push(Fault::new([Field(place)], "the scene does not name its kinds of nodes", help));
    }
    if scene.relations.is_empty() {
        let message = "the scene has kinds of nodes, but no relations along which messages could pass";
        let help = "write, for example, `relations: [(name: \"depends\", source: \"package\", target: \"package\")]`";
        faults.push(Fault::new([Field("nodes")], message, help));
    }
    match &scene.kind {
        None => {
            let message = "the scene does not say which kind of nodes the task is about";
            faults.push(Fault::new([Field("nodes")], message, format!("write `kind: …` before it; {}", known())));
        }
        Some(kind) if !scene.nodes.contains_key(kind) => {
            let message = format!("the task is about nodes of the kind {}, which is not among `nodes`", quote(kind));
            faults.push(Fault::new([Field("kind")], message, suggestion(scene, kind)));
        }
        Some(_) => {}
    }
}

/// What else the name of a kind may have meant, and the kinds that there are.
fn suggestion(scene: &SceneFile, kind: &str) -> String {
    let names: Vec<&str> = scene.nodes.keys().map(String::as_str).collect();
    let known = format!("the kinds are {}", names.join(", "));
    match nearest(kind, names.iter().copied()) {
        Some(near) => format!("did you mean {}? {known}", quote(near)),
        None => known,
    }
}

/// Checks that names are such that arrays and parameters can be called by them.
fn check_names(scene: &SceneFile, faults: &mut Vec<Fault>) {
    let kinds = scene.nodes.keys().enumerate().map(|(rank, name)| (vec![Field("nodes"), Ranked(rank)], name, "kind"));
    let relations = relation_names(scene).map(|(path, name)| (path, name, "relation"));
    for (path, name, what) in kinds.chain(relations) {
        if name.is_empty() || name.contains(['.', '/']) {
            let message = format!("{} is no name for a {what}: arrays and parameters are named by it", quote(name));
            faults.push(Fault::new(path, message, "write a name without dots and slashes"));
        }
    }
    let names: Vec<(Vec<Step<'static>>, &String)> = relation_names(scene).collect();
    for (place, (path, name)) in names.iter().enumerate() {
        if names[..place].iter().any(|(_, other)| other == name) {
            let message = format!("two relations have the name {}", quote(name));
            faults.push(Fault::new(path.clone(), message, "give each relation, and each reverse, a name of its own"));
        }
    }
}

/// The names of all relations, reverse ones as well, and where they stand.
fn relation_names(scene: &SceneFile) -> impl Iterator<Item = (Vec<Step<'static>>, &String)> {
    scene.relations.iter().enumerate().flat_map(|(number, relation)| {
        let path = move |field| vec![Field("relations"), Index(number), Field(field)];
        let reverse = relation.reverse.as_ref().map(|name| (path("reverse"), name));
        [(path("name"), &relation.name)].into_iter().chain(reverse)
    })
}

/// Checks that relations connect kinds that there are, and each kind.
fn check_relations(scene: &SceneFile, faults: &mut Vec<Fault>) {
    for (number, relation) in scene.relations.iter().enumerate().filter(|_| !scene.nodes.is_empty()) {
        for (field, kind) in [("source", &relation.source), ("target", &relation.target)] {
            if !scene.nodes.contains_key(kind) {
                let (name, kind_name) = (quote(&relation.name), quote(kind));
                let message = format!(
                    "the {field}s of the relation {name} are of the kind {kind_name}, which is not among `nodes`"
                );
                let path = [Field("relations"), Index(number), Field(field)];
                faults.push(Fault::new(path, message, suggestion(scene, kind)));
            }
        }
    }
    let connected = |kind: &String| scene.relations.iter().any(|of| of.source == *kind || of.target == *kind);
    let are_known =
        scene.relations.iter().all(|of| scene.nodes.contains_key(&of.source) && scene.nodes.contains_key(&of.target));
    let is_told = !scene.relations.is_empty() && are_known;
    for (rank, (kind, _)) in scene.nodes.iter().enumerate().filter(|_| is_told) {
        if !connected(kind) && Some(kind) != scene.kind.as_ref() {
            let message = format!("no relation begins or ends in nodes of the kind {}", quote(kind));
            faults.push(Fault::new([Field("nodes"), Ranked(rank)], message, "add a relation, or remove the kind"));
        }
    }
}

fn check_features(scene: &SceneFile, faults: &mut Vec<Fault>) {
    if scene.features != NodeFeatures::Given {
        let message = "what is done to features is said for each kind of nodes";
        let help = format!("write it there, as in `\"package\": (features: {:?})`, and remove this", scene.features);
        faults.push(Fault::new([Field("features")], message, help));
    }
    for (rank, (name, _)) in
        scene.nodes.iter().enumerate().filter(|(_, (_, described))| described.features == NodeFeatures::Degree)
    {
        let message = format!("nodes of the kind {} have a degree in each relation, not one", quote(name));
        let path = [Field("nodes"), Ranked(rank), Field("features")];
        faults.push(Fault::new(path, message, "write Given, RowNormalized, Identity or Ones"));
    }
}

/// Checks that heads are about nodes of one kind that there is.
fn check_heads(scene: &SceneFile, faults: &mut Vec<Fault>) {
    for head in scene.all_heads() {
        let message = match head.task.rows() {
            _ if head.task.links().is_some() => "links between nodes of several kinds are not predicted yet",
            RowKind::Edges => "edges of relations are not predicted yet",
            RowKind::Graphs => "graphs with several kinds of nodes are not predicted yet",
            RowKind::Nodes => continue,
        };
        let help = "write a task about nodes, such as NodeClassification";
        faults.push(Fault::new(head.task_field(&[]), message, help));
    }
    for (number, head) in scene.heads.iter().enumerate() {
        let path = [Field("heads"), Index(number), Field("nodes")];
        for (place, kind) in head.nodes.iter().enumerate() {
            let path = [&path[..], &[Index(place)]].concat();
            if !scene.nodes.contains_key(kind) && !scene.nodes.is_empty() {
                let (name, kind_name) = (quote(&head.name), quote(kind));
                let message =
                    format!("the head {name} reads nodes of the kind {kind_name}, which is not among `nodes`");
                faults.push(Fault::new(path, message, suggestion(scene, kind)));
            } else if place > 0 {
                let message = format!("the head {} is about nodes, which are of one kind", quote(&head.name));
                faults.push(Fault::new(path, message, "keep one kind, and write a head for each other one"));
            }
        }
    }
}

/// Checks that the rest of the scene is possible with kinds.
fn check_settings(scene: &SceneFile, faults: &mut Vec<Fault>) {
    let mut refuse = |path: &[Step<'static>], message: &str, help: &str| {
        faults.push(Fault::new(path, message, help));
    };
    if !matches!(scene.graph, GraphSource::Npz(_) | GraphSource::Inline { .. }) {
        refuse(&[Field("graph")], "these graphs have no kinds of nodes", "remove `kind`, `nodes` and `relations`");
    }
    if scene.order != NodeOrder::Given {
        refuse(&[Field("order")], "nodes of several kinds lie in the order of the file", "write `order: Given`");
    }
    if scene.mixture.is_some() {
        let help = "remove the mixture, or `kind`, `nodes` and `relations`";
        refuse(&[Field("mixture")], "experts do not read several kinds of nodes yet", help);
    }
    let training = &scene.training;
    let batches = [
        ("batch_size", training.batch_size.is_some()),
        ("fan_outs", !training.fan_outs.is_empty()),
        ("steps_per_epoch", training.steps_per_epoch.is_some()),
        ("accumulation_steps", training.accumulation_steps > 1),
    ];
    for (setting, is_set) in batches {
        if is_set {
            let message = "a graph with several kinds of nodes is trained as a whole, without batches";
            refuse(&[Field("training"), Field(setting)], message, &format!("remove {setting}"));
        }
    }
}
