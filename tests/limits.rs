//! No scene and no file takes memory or time that is not there: each ends in order, with a result or an error, however
//! little address space its process has.
//!
//! A failure prints the scene, the limit, and how the process ended: by a signal if there is no code.
#![cfg(target_os = "linux")]

use std::{fs, io::Write, path::Path, process::Command};

/// Kilobytes of address space.
const LIMITS: [u64; 2] = [300 << 10, 1 << 20];

/// A scene of two nodes with this model.
fn scene(model: &str) -> String {
    format!(
        r#"(name: "s", graph: Inline(
            nodes: [(name: "a", label: 0, split: Train), (name: "b", label: 1, split: Test)],
            edges: [(source: "a", target: "b")],
        ), features: Identity, model: [{model}], optimizer: Adam(learning_rate: 0.01), training: (epochs: 1))"#
    )
}

/// The end of a command that has so many kilobytes of address space: its code, and what it says.
fn end(arguments: &[&str], limit: u64) -> (Option<i32>, String) {
    let limited = ["-c", "ulimit -v \"$0\" && exec \"$@\"", &limit.to_string(), env!("CARGO_BIN_EXE_connectome")]
        .map(str::to_owned);
    let output = Command::new("sh").args(limited).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn scenes_end_in_order_whatever_their_counts_are() {
    let folder = tempfile::tempdir().unwrap();
    let list = |thing: &str, count: usize| vec![thing; count].join(", ");
    let nested = |layer: &str| (0..20).fold(layer.to_owned(), |layers, _| format!("Residual(layers: [{layers}])"));
    let copies = format!("JumpingKnowledge(blocks: [{}])", list("[]", 1000));
    // Whether each can be trained with so much memory; none says that it may.
    let scenes = [
        ("Linear(width: 2), Appnp(hops: 4000000000)".to_owned(), Some(false)),
        ("SgConv(width: 2, hops: 130000)".to_owned(), None),
        ("Linear(width: 2), Appnp(hops: 5000)".to_owned(), Some(true)),
        ("Linear(width: 2), Gcnii(layers: 1000000000)".to_owned(), Some(false)),
        ("Linear(width: 2), Gcnii(layers: 4000)".to_owned(), None),
        ("Linear(width: 2), Gcnii(layers: 500)".to_owned(), Some(true)),
        ("GatedGraphConv(width: 2, layers: 1000000000)".to_owned(), Some(false)),
        ("GatedGraphConv(width: 2, layers: 20000)".to_owned(), Some(false)),
        (format!("Mlp(widths: [{}])", list("2", 200_000)), Some(false)),
        (list("Relu", 100_000) + ", GcnConv(width: 2)", None),
        (format!("Linear(width: 2), {}", list("Gelu", 60_000)), Some(false)),
        (format!("Linear(width: 2), {}", list("Gelu", 5_000)), Some(true)),
        (list(&copies, 10), Some(false)),
        (nested("Gcnii(layers: 100000)"), Some(false)),
        (nested("Gcnii(layers: 20)"), Some(true)),
        ("GatConv(width: 2, heads: 1000000000), Linear(width: 2)".to_owned(), Some(false)),
        ("Embedding(width: 2), Linear(width: 18446744073709551615)".to_owned(), Some(false)),
        ("Linear(width: 10000000), Linear(width: 2)".to_owned(), None),
    ];
    for (number, (model, fits)) in scenes.iter().enumerate() {
        let file = folder.path().join(format!("{number}.ron"));
        fs::write(&file, scene(model)).unwrap();
        for limit in LIMITS {
            for command in ["train", "inspect"] {
                let (code, error) = end(&[command, file.to_str().unwrap()], limit);
                let model: String = model.chars().take(80).collect();
                let expected = match fits {
                    Some(fits) => code == Some(if *fits { 0 } else { 2 }),
                    None => matches!(code, Some(0 | 2)),
                };
                assert!(expected, "{command} {model} with {limit} kB: {code:?}, {error}");
                assert!(code == Some(0) || error.contains("help: "), "{error}");
            }
        }
    }
}

/// An array file with the header of one of this shape, and so many bytes.
fn array(shape: &str, bytes: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((header.len() as u16).to_le_bytes());
    array.extend(header.as_bytes());
    array.resize(array.len() + bytes, 0);
    array
}

fn archive(file: &Path, arrays: &[(&str, Vec<u8>)]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(file).unwrap());
    for (name, array) in arrays {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(array).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn headers_of_arrays_are_held_against_their_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (number, shape) in
        ["(3, 100000000)", "(3, 1000000000000)", "(9223372036854775808, 2)", "(18446744073709551616, 2)"]
            .iter()
            .enumerate()
    {
        let (npz, ron) = (path(&format!("{number}.npz")), path(&format!("{number}.ron")));
        archive(&npz, &[("x", array(shape, 1024)), ("edge_index", array("(2, 0)", 0))]);
        let text = format!(
            r#"(name: "s", graph: Npz("{number}.npz"), features: Given, model: [GcnConv(width: 2)],
                optimizer: Adam(learning_rate: 0.01), training: (epochs: 1))"#
        );
        fs::write(&ron, text).unwrap();
        let output = path("out.npz");
        for limit in LIMITS {
            for arguments in [
                vec!["train", ron.to_str().unwrap()],
                vec!["import", npz.to_str().unwrap(), "--output", output.to_str().unwrap()],
            ] {
                let (code, error) = end(&arguments, limit);
                assert_eq!(code, Some(2), "{arguments:?} of {shape} with {limit} kB: {error}");
            }
        }
    }
    let (weights, scene_file) = (path("weights.safetensors"), path("scene.ron"));
    fs::write(&scene_file, scene("GcnConv(width: 2)")).unwrap();
    for length in [u64::MAX, 1 << 63, 1 << 32, 2] {
        let header =
            r#"{"layers.0.bias": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}"#;
        let length = if length == 2 { header.len() as u64 } else { length };
        fs::write(&weights, [&length.to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat()).unwrap();
        for limit in LIMITS {
            let arguments = ["evaluate", scene_file.to_str().unwrap(), "--weights", weights.to_str().unwrap()];
            let (code, error) = end(&arguments, limit);
            assert_eq!(code, Some(2), "a header of {length} bytes with {limit} kB: {error}");
        }
    }
}

#[test]
fn columns_are_counted_before_they_are_collected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let entries: String = (0..100_000).map(|entry| format!("c{entry}: 1, ")).collect();
    let one_each: String = (0..70_000).map(|edge| format!("a b {{c{edge}: 1}}\n")).collect();
    let graph = r#"<graph edgedefault="directed"><node id="a"/></graph></graphml>"#;
    let files = [
        ("commas.csv", "a,".repeat(1_000_000), "1:1: the line has 1000001 columns"),
        ("blanks.csv", format!("a b\n{}", "a ".repeat(1_000_000)), "2:1: the line has 1000000 columns"),
        ("entries.csv", format!("a b {{{entries}}}\n"), "1:5: the dictionary has more than"),
        ("dictionaries.csv", one_each, "65537:5: the dictionaries have more than"),
        ("keys.graphml", format!("<graphml>\n{}{graph}", r#"<key id="a"/>"#.repeat(70_000)), "keys"),
        ("attributes.graphml", format!("<graphml\n{}>{graph}", r#" a="""#.repeat(300_000)), "attributes"),
    ];
    for (name, text, message) in files {
        fs::write(path(name), text).unwrap();
        for limit in LIMITS {
            let (code, error) = end(&["import", &path(name), "--output", &path("out.npz")], limit);
            assert_eq!(code, Some(2), "{name} with {limit} kB: {error}");
            assert!(error.contains(name) && error.contains(message) && error.contains("65536"), "{error}");
        }
    }
}
