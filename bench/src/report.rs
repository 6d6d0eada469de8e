//! Tables, and the file that keeps them.
//!
//! A section stands between two markers of its own and replaces its predecessor there; whatever else the file says
//! stays.

use std::path::Path;

use anyhow::Context as _;

/// What was measured, how, and what came out.
#[derive(Debug)]
pub(crate) struct Section {
    /// Names it in the file: `sync/latency`.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    /// How the figures came about.
    pub(crate) method: String,
    pub(crate) table: Table,
}

/// Rows under a header.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        eprintln!("  {}", cells.join(" | "));
        self.rows.push(cells);
    }

    fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&self.header]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
        };
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{}{rows}", line(&self.header), line(&rule))
    }
}

impl Section {
    /// The section as it is kept.
    pub(crate) fn text(&self, facts: &str) -> String {
        let Self { id: _, title, method, table } = self;
        format!("## {title}\n\n{method}\n\n{}\n{facts}\n", table.text())
    }
}

/// Prints a section and puts it in its place in the file.
pub(crate) fn publish(path: &Path, section: &Section, facts: &str) -> anyhow::Result<()> {
    println!("{}", section.text(facts));
    keep(path, section, facts)
}

fn keep(path: &Path, section: &Section, facts: &str) -> anyhow::Result<()> {
    let held = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let sections = held.find(FIRST).and_then(|at| held.get(at..)).unwrap_or_default();
    let text = replace(&format!("{HEAD}\n{sections}"), section.id, &section.text(facts));
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// How to read the file; the part above the first section, which is written anew each time.
const HEAD: &str = include_str!("report/head.md");
const FIRST: &str = "<!-- begin ";

fn replace(held: &str, id: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- begin {id} -->\n"), format!("<!-- end {id} -->\n"));
    let between = held
        .split_once(&begin)
        .and_then(|(before, rest)| rest.split_once(&end).map(|(_, after)| (before, after)));
    match between {
        Some((before, after)) => format!("{before}{begin}{text}{end}{after}"),
        None => format!("{held}\n{begin}{text}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_its_predecessor_and_nothing_else() {
        let first = replace(&replace("# head\n", "a", "one\n"), "b", "two\n");
        let second = replace(&first, "a", "three\n");
        assert_eq!(second, first.replace("one", "three"));
        assert!(second.starts_with("# head\n") && second.contains("two"));
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["what", "p50"]);
        table.row(vec!["a".to_owned(), "12 ms".to_owned()]);
        assert_eq!(table.text(), "| what | p50   |\n| ---- | ----- |\n| a    | 12 ms |\n");
    }
}
