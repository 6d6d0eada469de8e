//! What the documents say of hostile programs: `docs/CODE-MODE-CORPUS.md` each of them, `docs/CODE-MODE.md` the sums.
//!
//! Both are written of one run of everything, so they tell what was seen. Another machine may see one or the other stop
//! by something else that the corpus allows; the documents are true as long as they name every program once, with an
//! ending that it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::seen::Seen;

const BEGIN: &str = "<!-- hostile programs: begin -->\n";
const END: &str = "<!-- hostile programs: end -->\n";
const HEAD: &str = "| kind | program | stopped by | reported as |\n|---|---|---|---|\n";

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) stopped_by: String,
    /// The ending, and what else is known of it.
    pub(super) reported: String,
}

impl Row {
    pub(super) fn of(kind: &str, name: &str, seen: &Seen) -> Self {
        let code = format!("`{}`", seen.ending);
        let reported = match &seen.exception {
            None => code,
            Some(exception) => format!("{code}: `{exception}`"),
        };
        let stopped_by = seen.stopped_by.to_owned();
        Self { kind: kind.to_owned(), name: name.to_owned(), stopped_by, reported }
    }

    /// The word of the corpus for how it ended.
    pub(super) fn ending(&self) -> &str {
        self.reported.split('`').nth(1).unwrap_or_default()
    }
}

/// Whether this run is to write the documents.
pub(super) fn is_to_be_written() -> bool {
    std::env::var_os("UPDATE_CODE_MODE_DOC").is_some()
}

pub(super) fn write(rows: &[Row]) {
    let (before, _, after) = around_the_list();
    let mut list = HEAD.to_owned();
    for Row { kind, name, stopped_by, reported } in rows {
        writeln!(list, "| {kind} | {name} | {stopped_by} | {reported} |").expect("text");
    }
    fs::write(list_path(), format!("{before}{BEGIN}\n{list}\n{END}{after}")).expect("written");
    let (before, _, after) = split(&read(&page_path()));
    fs::write(page_path(), format!("{before}{BEGIN}\n{}\n{END}{after}", sums(rows))).expect("written");
}

/// The list as it stands.
pub(super) fn rows() -> Vec<Row> {
    let (_, list, _) = around_the_list();
    let lines = list.trim().strip_prefix(HEAD).expect("a table").lines();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [kind, name, stopped_by, reported] = cells.try_into().unwrap_or_else(|_| panic!("{line}"));
        let [kind, name, stopped_by, reported] = [kind, name, stopped_by, reported].map(str::to_owned);
        Row { kind, name, stopped_by, reported }
    };
    lines.map(row).collect()
}

/// Whether the sums are those of the list.
pub(super) fn sums_are_of(rows: &[Row]) -> bool {
    split(&read(&page_path())).1.trim() == sums(rows).trim()
}

/// How many programs each thing stopped, and of which kinds; what stopped most comes first.
fn sums(rows: &[Row]) -> String {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in rows {
        *kinds.entry(&row.stopped_by).or_default().entry(&row.kind).or_default() += 1;
    }
    let summed = kinds.into_iter().map(|(by, kinds)| (kinds.values().sum::<usize>(), by, kinds));
    let mut summed: Vec<_> = summed.collect();
    summed.sort_by_key(|(sum, by, _)| (std::cmp::Reverse(*sum), *by));
    let mut table = String::from("| stopped by | how many | of which kinds |\n|---|---|---|\n");
    for (sum, by, kinds) in summed {
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(table, "| {by} | {sum} | {} |", kinds.join(", ")).expect("text");
    }
    let of: BTreeSet<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    writeln!(table, "| all together | {} | {} kinds |", rows.len(), of.len()).expect("text");
    table
}

fn around_the_list() -> (String, String, String) {
    split(&read(&list_path()))
}

/// What stands before the table, the table, and what stands behind it.
fn split(document: &str) -> (String, String, String) {
    let (before, rest) = document.split_once(BEGIN).expect("a beginning");
    let (table, after) = rest.split_once(END).expect("an end");
    (before.to_owned(), table.to_owned(), after.to_owned())
}

fn list_path() -> PathBuf {
    docs("CODE-MODE-CORPUS.md")
}

fn page_path() -> PathBuf {
    docs("CODE-MODE.md")
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the document")
}
