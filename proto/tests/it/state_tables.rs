//! The state tables of docs/PROTOCOL.md are those of the state machines, row by row.

use std::path::Path;

const PAGE: &str = "docs/PROTOCOL.md";
const MACHINES: [&str; 4] = [
    "control-plane/src/rollout.rs",
    "control-plane/src/stream/inbox.rs",
    "control-plane/src/stream/session.rs",
    "data-plane/src/sync/session.rs",
];

#[test]
fn the_page_and_the_state_machines_have_the_same_tables() {
    let page = read(PAGE);
    let documented = tables(page.lines());
    for machine in MACHINES {
        let source = read(machine);
        let tables = tables(source.lines().filter_map(|line| line.strip_prefix("//!")));
        let [table] = tables.as_slice() else { panic!("{machine} has {} tables, not one", tables.len()) };
        assert!(documented.contains(table), "{PAGE} lacks this table of {machine}:\n{}", table.join("\n"));
    }
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect(path)
}

/// Runs of lines that are rows of a table.
fn tables<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut tables = vec![Vec::new()];
    for line in lines.map(str::trim) {
        match tables.last_mut() {
            Some(table) if line.starts_with('|') => table.push(line),
            Some(table) if !table.is_empty() => tables.push(Vec::new()),
            _ => {}
        }
    }
    tables.retain(|table| !table.is_empty());
    tables
}
