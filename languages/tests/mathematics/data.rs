//! The data of files, whole: too large for the repository.

use std::path::Path;

use connectome_languages::mathematics::{TermPair, Terms, Transformation};

use super::transform::{check_slots, derive, is_central_difference};

/// `CONNECTOME_MATHEMATICS=FOLDER cargo test -p connectome-languages data:: -- --ignored --nocapture` checks all files of a
/// folder that end with `.jsonl` or `.jsonl.gz`, such as `connectome generate` writes them: derivatives by x in those with
/// `derive` in their name, and simplified terms in the others.
#[test]
#[ignore = "needs a folder with data"]
fn results_and_slots_are_those_of_all_files() {
    let folder = std::env::var("CONNECTOME_MATHEMATICS").expect("CONNECTOME_MATHEMATICS names a folder");
    let mut paths: Vec<_> = Path::new(&folder).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    let mut files = 0;
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".jsonl") && !name.ends_with(".jsonl.gz") {
            continue;
        }
        let transformation = if name.contains("derive") { derive() } else { Transformation::Simplify };
        let (mut terms, mut wrong, mut compared) = (Terms::default(), 0, [0; 2]);
        let pairs = TermPair::read_file(&mut terms, path).unwrap();
        for (pair, seed) in pairs.iter().zip(0..) {
            wrong += usize::from(check_slots(&transformation, &mut terms, pair.source, seed) != pair.target);
            if name.contains("derive")
                && let Some(is_right) = is_central_difference(&terms, pair.source, pair.target)
            {
                compared[usize::from(is_right)] += 1;
            }
        }
        let [apart, near] = compared;
        println!("{name}: {wrong} of {} differ; from central differences {apart} of {}", pairs.len(), apart + near);
        // Differences of very steep functions are no derivatives.
        assert!(wrong == 0 && apart * 10_000 <= near, "{name}");
        files += 1;
    }
    assert!(files > 0, "no files in {folder}");
}
