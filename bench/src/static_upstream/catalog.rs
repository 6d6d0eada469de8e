//! What the upstreams list: a few tools to call, and the tools of real servers in any number.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Era;
use crate::world::corpus;

/// The catalog of the tools that are called.
pub(crate) const FIXTURE: &str = "fixture";
/// How many catalogs of a thousand tools there are.
pub(crate) const THOUSANDS: usize = 10;
const THOUSAND: usize = 1000;

/// A tool that is called; what it answers is in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callable {
    /// About 200 bytes, at once.
    Small,
    /// 32 KiB, at once.
    Large,
    /// A small answer, after 50 ms.
    Soon,
    /// A small answer, late.
    Slow,
    /// No answer, and no head of one.
    Held,
    /// The beginning of a stream of events, and no answer.
    HeldStream,
}

impl Callable {
    const ALL: [Self; 6] = [Self::Small, Self::Large, Self::Soon, Self::Slow, Self::Held, Self::HeldStream];

    fn ending(self) -> &'static str {
        match self {
            Self::Small => "_echo",
            Self::Large => "_blob",
            Self::Soon => "_soon",
            Self::Slow => "_slow",
            Self::Held => "_held",
            Self::HeldStream => "_held_stream",
        }
    }

    /// The name of the tool; every era has its own, so that no two upstreams of a registry list the same one.
    pub(crate) fn tool(self, era: Era) -> String {
        format!("{}{}", era.name(), self.ending())
    }

    pub(super) fn of(tool: &str) -> Self {
        Self::ALL.into_iter().find(|callable| tool.ends_with(callable.ending())).unwrap_or(Self::Small)
    }
}

/// The catalog of one server of the corpus.
pub(crate) fn server(number: usize) -> String {
    format!("server_{number}")
}

/// One of the catalogs of a thousand tools.
pub(crate) fn thousand(number: usize) -> String {
    format!("thousand_{number}")
}

/// The fixture's tools for an era.
pub(super) fn fixture(era: Era) -> Vec<Value> {
    let tool = |callable: Callable| {
        json!({
            "name": callable.tool(era),
            "description": "Answers always the same.",
            "inputSchema": {
                "type": "object",
                "properties": { "text": { "type": "string", "description": "Ignored." } },
                "required": ["text"],
            },
        })
    };
    Callable::ALL.into_iter().map(tool).collect()
}

/// Every catalog but the fixture, by name.
pub(super) fn all() -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
    let servers = corpus::servers()?;
    let pool: Vec<Value> = servers.iter().flatten().cloned().collect();
    let mut catalogs: BTreeMap<String, Vec<Value>> =
        servers.into_iter().enumerate().map(|(at, tools)| (server(at), tools)).collect();
    let mut source = pool.iter().cycle();
    for number in 0..THOUSANDS {
        let tools = corpus::renamed(&mut source, THOUSAND, |name, at| format!("{name}_{number}_{at}"));
        catalogs.insert(thousand(number), tools);
    }
    Ok(catalogs)
}

/// The name of some tool in the middle of a catalog.
pub(crate) fn a_tool_of(catalog: &str) -> anyhow::Result<String> {
    let catalogs = all()?;
    let tools = catalogs.get(catalog).map(Vec::as_slice).unwrap_or_default();
    let tool = tools.get(tools.len() / 2).and_then(|tool| tool["name"].as_str());
    tool.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("catalog `{catalog}` has no tools"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn catalogs_have_their_size_and_no_tool_twice() {
        let catalogs = all().unwrap();
        let sizes = |prefix: &str| {
            let of_kind = catalogs.iter().filter(|(name, _)| name.starts_with(prefix));
            of_kind.map(|(_, tools)| tools.len()).sum::<usize>()
        };
        assert_eq!((sizes("server_"), sizes("thousand_")), (527, 10_000));
        let generated = catalogs.iter().filter(|(name, _)| name.starts_with("thousand_"));
        let names: BTreeSet<&str> =
            generated.flat_map(|(_, tools)| tools).filter_map(|tool| tool["name"].as_str()).collect();
        assert_eq!(names.len(), 10_000);
    }

    #[test]
    fn calls_are_told_by_their_tool() {
        for callable in Callable::ALL {
            assert_eq!(Callable::of(&callable.tool(Era::Sessions)), callable);
        }
        assert_eq!(Callable::of("bing_search"), Callable::Small);
    }
}
