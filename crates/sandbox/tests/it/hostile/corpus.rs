//! The programs: `tests/hostile/*.py`.
//!
//! A line `## name: ending …` begins one and names the endings that contain it; `«text×n»` stands for a text n times, `␀`
//! for the character that ends strings elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// A program that means harm.
pub(crate) struct Hostile {
    /// The file that it is from.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// How it may end: a code, or the limit where that is the code.
    pub(crate) endings: Vec<String>,
    pub(crate) source: String,
}

/// All of them.
pub(crate) fn corpus() -> Vec<Hostile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut programs = Vec::new();
    for file in files {
        let kind = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("text");
        for part in text.split("## ").skip(1) {
            let (head, source) = part.split_once('\n').expect("a source");
            let (name, endings) = head.split_once(": ").unwrap_or_else(|| panic!("{head}"));
            programs.push(Hostile {
                kind: kind.clone(),
                name: name.replace('_', " "),
                endings: endings.split_whitespace().map(str::to_owned).collect(),
                source: expand(source),
            });
        }
    }
    programs
}

fn expand(source: &str) -> String {
    let mut expanded = String::new();
    let mut parts = source.split('«');
    expanded.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (repeat, rest) = part.split_once('»').expect("an end");
        let (text, times) = repeat.rsplit_once('×').expect("a number of times");
        expanded.push_str(&text.repeat(times.parse().expect("a number")));
        expanded.push_str(rest);
    }
    expanded.replace('␀', "\0")
}
