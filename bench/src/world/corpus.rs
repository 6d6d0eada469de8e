//! The tools of `tests/corpus`, as their authors wrote them, and under new names where more are needed.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/livemcp_tools.json");

/// The tools of each server: 527 in 70.
pub(crate) fn servers() -> anyhow::Result<Vec<Vec<Value>>> {
    let text = std::fs::read_to_string(Path::new(CORPUS)).context("the tool corpus cannot be read")?;
    let corpus: Value = serde_json::from_str(&text)?;
    let servers = corpus["servers"].as_array().context("no servers in the corpus")?;
    servers
        .iter()
        .map(|server| server["tools"].as_array().cloned().context("a server without a list of tools"))
        .collect()
}

/// The next tools of a source, under names made from theirs and their position.
pub(crate) fn renamed<'a>(
    source: &mut impl Iterator<Item = &'a Value>,
    count: usize,
    name: impl Fn(&str, usize) -> String,
) -> Vec<Value> {
    let tools = (0..count).filter_map(|at| {
        let mut tool = source.next()?.clone();
        tool["name"] = name(tool["name"].as_str()?, at).into();
        Some(tool)
    });
    tools.collect()
}
