//! The results of every method, written down once.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::Era;
use super::catalog::{self, Callable};

/// What every answer of a call holds, and nothing else does.
pub(crate) const ANSWER_MARK: &str = "as-the-static-upstream-answers";
/// How long the tool takes that does not answer at once, in milliseconds.
pub(crate) const SOON_MILLIS: u64 = 50;
/// How long the slow tool takes.
pub(crate) const SLOW_SECONDS: u64 = 30;

const LARGE: usize = 32 << 10;
const STATELESS: &str = "2026-07-28";

/// Results, ready to be put behind the id of a request.
#[derive(Debug)]
pub(super) struct Answers {
    discovery: Bytes,
    small: [Bytes; 2],
    large: [Bytes; 2],
    /// By era and catalog.
    lists: BTreeMap<(bool, String), Bytes>,
    fixtures: BTreeMap<Era, Bytes>,
}

impl Answers {
    pub(super) fn new() -> anyhow::Result<Self> {
        let both = |text: &str| [false, true].map(|is_stateless| result(is_stateless, called(text), false));
        let mut lists = BTreeMap::new();
        for (name, tools) in catalog::all()? {
            for is_stateless in [false, true] {
                lists.insert((is_stateless, name.clone()), listed(is_stateless, &tools));
            }
        }
        let fixture = |era| (era, listed(era == Era::Stateless, &catalog::fixture(era)));
        Ok(Self {
            discovery: result(
                true,
                json!({
                    "supportedVersions": [STATELESS],
                    "capabilities": { "tools": {} },
                    "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "static", "version": "1" } },
                }),
                true,
            ),
            small: both(&text(120)),
            large: both(&text(LARGE)),
            lists,
            fixtures: [Era::Stateless, Era::Handshake, Era::Sessions].into_iter().map(fixture).collect(),
        })
    }

    pub(super) fn discovery(&self) -> &Bytes {
        &self.discovery
    }

    pub(super) fn list(&self, era: Era, catalog: &str) -> Option<&Bytes> {
        if catalog == catalog::FIXTURE {
            return self.fixtures.get(&era);
        }
        self.lists.get(&(era == Era::Stateless, catalog.to_owned()))
    }

    pub(super) fn call(&self, era: Era, tool: &str) -> &Bytes {
        let [handshake, stateless] = match Callable::of(tool) {
            Callable::Large => &self.large,
            _ => &self.small,
        };
        if era == Era::Stateless { stateless } else { handshake }
    }
}

/// A text of a length, of words, that ends with the mark.
fn text(length: usize) -> String {
    let words = "some words of an answer ".chars().cycle();
    words.take(length.saturating_sub(ANSWER_MARK.len())).chain(ANSWER_MARK.chars()).collect()
}

fn called(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": false })
}

fn listed(is_stateless: bool, tools: &[Value]) -> Bytes {
    result(is_stateless, json!({ "tools": tools }), true)
}

/// A result with what the stateless revision asks for on top.
fn result(is_stateless: bool, members: Value, may_be_cached: bool) -> Bytes {
    let mut whole = Map::new();
    if let Value::Object(members) = members {
        whole.extend(members);
    }
    if is_stateless {
        whole.insert("resultType".to_owned(), json!("complete"));
        if may_be_cached {
            whole.insert("ttlMs".to_owned(), json!(0));
            whole.insert("cacheScope".to_owned(), json!("public"));
        }
    }
    Bytes::from(Value::Object(whole).to_string())
}
