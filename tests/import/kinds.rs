//! Tables with kinds of nodes and relations.

use connectome::data::{DenseRows, Features, GraphKinds};
use connectome::import::{ImportOptions, Imported};
use connectome::scene::NodeFeatures;
use connectome::task::{Regression, Task};
use connectome_components::Split;

use super::{check_error, check_scene, check_training, read};

const NODES: &str = "name,kind,label,split,size,words,age\n\
    libc,package,library,train,1.5,,\n\
    Ann,maintainer,,,,,\n\
    glibc,source,,,,3,\n\
    bash,package,program,val,2.5,,\n\
    vim,package,program,test,0.5,,\n\
    bsd,source,,,,4,\n";
const EDGES: &str = "source,target,relation,weight,since\n\
    bash,libc,depends,1,2001\n\
    vim,libc,depends,2,2002\n\
    glibc,libc,builds,1,\n\
    bsd,vim,builds,1,\n\
    Ann,glibc,maintains,1,\n";

fn options() -> ImportOptions {
    ImportOptions { nodes: Some("n.csv".into()), kinds: true, ..ImportOptions::default() }
}

#[track_caller]
fn tables(edges: &str, nodes: &str) -> Imported {
    read("e.csv", &[("e.csv", edges), ("n.csv", nodes)], &options()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn words_are_kinds_and_relations() {
    let imported = tables(EDGES, NODES);
    let data = &imported.data;
    assert_eq!((&data.names[..], data.classes), (&["libc".to_owned(), "bash".into(), "vim".into()][..], 2));
    assert_eq!(
        (&data.labels[..], &data.class_names[..]),
        (&[0, 1, 1][..], &["library".to_owned(), "program".into()][..])
    );
    assert_eq!(data.splits, [Split::Train, Split::Validation, Split::Test]);
    // Each kind has the columns in which it has values.
    assert_eq!(data.features, Features::Dense { width: 1, values: vec![1.5, 2.5, 0.5] });
    let GraphKinds { own, others, relations } = &**data.kinds.as_ref().unwrap();
    assert_eq!(
        (&**own, others.iter().map(|kind| &*kind.name).collect::<Vec<_>>()),
        ("package", vec!["maintainer", "source"])
    );
    assert_eq!(others[1].nodes.features, Features::Dense { width: 1, values: vec![3.0, 4.0] });
    assert_eq!((others[0].nodes.features.width(), others[0].nodes.nodes), (0, 1));
    let shown: Vec<_> =
        relations.iter().map(|of| (&*of.name, of.ends, of.reverse.as_deref().unwrap(), of.edges.len())).collect();
    let expected = [
        ("depends", [0, 0], "depends_back", 2),
        ("builds", [2, 0], "builds_back", 2),
        ("maintains", [1, 2], "maintains_back", 1),
    ];
    assert_eq!(shown, expected);
    assert_eq!(relations[1].edges, [[0, 0], [1, 2]]);
    assert_eq!((&relations[0].weights, &relations[1].weights), (&Some(vec![1.0, 2.0]), &None));
    assert_eq!(relations[0].features, Some(DenseRows { width: 1, values: vec![2001.0, 2002.0] }));
    assert_eq!(relations[1].features, None);
    assert_eq!(imported.notes, [""; 0]);
    let (scene, read) = check_scene("debian", &imported);
    assert_eq!((scene.kind.as_deref(), scene.nodes["maintainer"].features), (Some("package"), NodeFeatures::Identity));
    assert_eq!(read.kinds.as_ref().unwrap().relations, *relations);
    assert_eq!((&read.labels, &read.features, &read.class_names), (&data.labels, &data.features, &data.class_names));
    check_training(&imported);
}

#[test]
fn without_being_asked_for_they_are_features() {
    let files = [("e.csv", EDGES), ("n.csv", NODES)];
    let imported = read("e.csv", &files, &ImportOptions { kinds: false, ..options() }).unwrap();
    assert!(imported.data.kinds.is_none());
    assert!(
        imported.notes.iter().any(|note| note.contains("to read them as kinds and relations")),
        "{:?}",
        imported.notes
    );
}

#[test]
fn targets_may_be_those_of_a_kind() {
    let nodes = "id,node_type,target\na,x,\nb,y,0.5\nc,y,1.5\nd,y,\ne,y,1\nf,y,2\ng,y,3\n";
    let imported = tables("src,dst,edge_type,split,label\na,b,r,train,1\nb,a,r_back,,\nc,d,s,,\n", nodes);
    assert_eq!(imported.data.kinds.as_ref().unwrap().own, "y");
    assert_eq!(imported.data.targets.as_ref().unwrap().values, [0.5, 1.5, 0.0, 1.0, 2.0, 3.0]);
    assert!(imported.notes[0].contains("\"split\", \"label\" of edges is left out"), "{:?}", imported.notes);
    let relations = &imported.data.kinds.as_ref().unwrap().relations;
    let reverses: Vec<_> = relations.iter().map(|relation| relation.reverse.as_deref().unwrap()).collect();
    assert_eq!(reverses, ["r_back_", "r_back_back", "s_back"]);
    let (scene, _) = check_scene("ages", &imported);
    assert_eq!(scene.task, Some(Task::NodeRegression(Regression::default())));
}

#[test]
fn what_makes_no_sense_is_shown_where_it_stands() {
    let check = |edges: &str, nodes: &str, file: &str, message: &str, help: &str| {
        check_error("e.csv", &[("e.csv", edges), ("n.csv", nodes)], &options(), file, message, help);
    };
    let two = format!("{EDGES}bash,Ann,§depends,1,\n");
    let message = "an edge of the relation \"depends\" leads from \"package\" to \"maintainer\", but that of line 2 from \"package\" to \"package\"";
    check(&two, NODES, "e.csv", message, "a relation of their own");
    check(&EDGES.replace("bsd,vim", "bsd,§emacs"), NODES, "e.csv", "the table of nodes has no \"emacs\"", "add a node");
    check(&EDGES.replace("Ann,glibc", "§Anna,glibc"), NODES, "e.csv", "has no \"Anna\"", "did you mean \"Ann\"?");
    check(&EDGES.replace("glibc,libc,builds", "glibc,libc,§"), NODES, "e.csv", "the line has no relation", "as a word");
    check(
        &EDGES.replace("glibc,libc,builds", "glibc,libc,§a.b"),
        NODES,
        "e.csv",
        "no name for a relation",
        "without dots",
    );
    check(EDGES, &NODES.replace("Ann,maintainer", "Ann,§"), "n.csv", "the line has no kind", "as a word");
    check(EDGES, &NODES.replace("Ann,maintainer", "Ann,§a/b"), "n.csv", "no name for a kind", "without dots");
    check(
        EDGES,
        &NODES.replace("bsd,source", "§glibc,source"),
        "n.csv",
        "is named \"glibc\" like node 2",
        "of its own",
    );
    check(EDGES, &NODES.replace("bsd,source,,", "bsd,source,,§train"), "n.csv", "but has no label", "leave the split");
    check(EDGES, &NODES.replace(",2.5,", ",§big,"), "n.csv", "\"big\" is no number", "size");
    check(&EDGES.replace("relation", "color"), NODES, "e.csv", "no column tells the relations", "call it");
    check(EDGES, &NODES.replace("kind", "color"), "n.csv", "no column tells the kinds", "call it \"kind\"");
    let unknown =
        NODES.replace("library", "").replace("program", "").replace("train", "").replace("val", "").replace("test", "");
    check(EDGES, &unknown, "n.csv", "nothing is known of nodes", "label or target");
    let many = (0..300).fold("name,kind,label\n".to_owned(), |table, node| {
        table + &format!("n{node},{}k{node},a\n", if node == 256 { "§" } else { "" })
    });
    check(EDGES, &many, "n.csv", "more than 256 different words as kind", "group them");
    let directed = ImportOptions { undirected: true, ..options() };
    check_error("e.csv", &[("e.csv", EDGES), ("n.csv", NODES)], &directed, "e.csv", "not undirected", "go back along");
    let alone = ImportOptions { nodes: None, ..options() };
    check_error("e.csv", &[("e.csv", EDGES)], &alone, "e.csv", "from a table of nodes", "name that table");
}
