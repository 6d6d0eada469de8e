//! What the upstream offers and how it answers: state in, answer out.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::fault::Fault;

const KNOWN_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Everything tests can change.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) tools: Vec<String>,
    pub(super) results: HashMap<String, String>,
    pub(super) stateful: bool,
    pub(super) sse: bool,
    pub(super) preamble: String,
    pub(super) page_size: usize,
    pub(super) endless: bool,
    pub(super) token: Option<String>,
    /// By method, with how often they still apply; absent means always.
    pub(super) faults: HashMap<String, (Fault, Option<usize>)>,
    pub(super) sessions: HashSet<String>,
    pub(super) era: Era,
    /// Sizes of the pieces in which a body is sent, over and over; none: at once.
    pub(super) pieces: Vec<usize>,
    /// Tools that answer with what the call before them left in their session.
    pub(super) remembering: HashSet<String>,
    memory: HashMap<String, String>,
    issued: usize,
}

/// Which revisions an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Era {
    /// Those with a handshake, up to 2025-11-25.
    #[default]
    Handshake,
    /// 2026-07-28 and nothing else.
    Stateless,
    /// All of them.
    Both,
    /// The transport before streamable HTTP: a GET opens an event stream, a POST to it is not allowed.
    OldTransport,
}

/// A JSON-RPC message as far as the upstream looks at it.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) error: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            results: HashMap::new(),
            stateful: true,
            sse: false,
            preamble: String::new(),
            page_size: usize::MAX,
            endless: false,
            token: None,
            faults: HashMap::new(),
            sessions: HashSet::new(),
            era: Era::default(),
            pieces: Vec::new(),
            remembering: HashSet::new(),
            memory: HashMap::new(),
            issued: 0,
        }
    }
}

impl Message {
    pub(super) fn params(&self) -> &str {
        self.params.as_ref().or(self.error.as_ref()).map_or("null", |params| params.get())
    }
}

impl Script {
    /// The fault due for a method, used up by asking.
    pub(super) fn take_fault(&mut self, method: &str) -> Option<Fault> {
        let (fault, left) = self.faults.get_mut(method)?;
        let fault = fault.clone();
        match left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(fault)
    }

    /// Whether a fault of that kind is due for a method.
    pub(super) fn is_due(&self, method: &str, kind: impl Fn(&Fault) -> bool) -> bool {
        self.faults.get(method).is_some_and(|(fault, left)| *left != Some(0) && kind(fault))
    }

    /// What comes before the reply to a request with these parameters.
    pub(super) fn preamble(&self, params: &str) -> String {
        #[derive(Deserialize)]
        struct Params {
            #[serde(default, rename = "_meta")]
            meta: Value,
        }
        let meta = serde_json::from_str(params).map_or(Value::Null, |Params { meta }| meta);
        self.preamble.replace("{token}", &meta.get("progressToken").unwrap_or(&Value::Null).to_string())
    }

    pub(super) fn open_session(&mut self) -> String {
        self.issued += 1;
        let id = format!("session-{}", self.issued);
        self.sessions.insert(id.clone());
        id
    }

    /// The `result` or `error` member of the answer.
    pub(super) fn answer(&mut self, method: &str, params: &str, session: &str) -> String {
        match method {
            "initialize" => Self::initialize(params),
            "ping" => r#""result":{}"#.to_owned(),
            "server/discover" if self.era != Era::Handshake => Self::discover(),
            "tools/list" => self.list(params),
            "tools/call" => self.call(params, session),
            _ => error(-32601, "no such method"),
        }
    }

    fn initialize(params: &str) -> String {
        let params: Value = serde_json::from_str(params).unwrap();
        let wanted = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let version = if KNOWN_VERSIONS.contains(&wanted) { wanted } else { "2025-11-25" };
        let result = json!({
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "fake-upstream", "version": "1"},
        });
        format!(r#""result":{result}"#)
    }

    fn discover() -> String {
        let result = json!({
            "supportedVersions": [super::stateless::VERSION],
            "capabilities": {"tools": {}},
            "resultType": "complete",
            "ttlMs": 1000,
            "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "fake-upstream", "version": "1"}},
        });
        format!(r#""result":{result}"#)
    }

    fn list(&self, params: &str) -> String {
        let params: Value = serde_json::from_str(params).unwrap();
        let cursor = params.get("cursor").and_then(Value::as_str).unwrap_or("0");
        let Ok(start) = cursor.parse::<usize>() else { return error(-32602, "unknown cursor") };
        let page: Vec<&str> =
            self.tools.iter().skip(start).take(self.page_size).map(String::as_str).collect();
        let end = start + page.len();
        if self.endless {
            return r#""result":{"tools":[],"nextCursor":"0"}"#.to_owned();
        }
        let next = if end < self.tools.len() { format!(r#","nextCursor":"{end}""#) } else { String::new() };
        let hints = if self.era == Era::Stateless { r#","ttlMs":1000,"cacheScope":"private""# } else { "" };
        format!(r#""result":{{"tools":[{}]{next}{hints}}}"#, page.join(","))
    }

    fn call(&mut self, params: &str, session: &str) -> String {
        let Ok(CallParams { name, arguments }) = serde_json::from_str(params) else {
            return error(-32602, "malformed parameters");
        };
        let quoted = json!(name).to_string();
        let is_listed = self.tools.iter().any(|tool| {
            let tool: Value = serde_json::from_str(tool).unwrap();
            tool.get("name").and_then(Value::as_str) == Some(&name)
        });
        if let Some(result) = self.results.get(&name) {
            return format!(r#""result":{result}"#);
        }
        if !is_listed {
            return error(-32602, "unknown tool");
        }
        let arguments = arguments.map_or("null", RawValue::get);
        if self.remembering.contains(&name) {
            let before = self.memory.insert(session.to_owned(), arguments.to_owned());
            let text = json!(format!(r#"{{"before":{}}}"#, before.as_deref().unwrap_or("null")));
            return format!(r#""result":{{"content":[{{"type":"text","text":{text}}}]}}"#);
        }
        let text = json!(format!(r#"{{"tool":{quoted},"arguments":{arguments}}}"#));
        format!(r#""result":{{"content":[{{"type":"text","text":{text}}}],"isError":false}}"#)
    }
}

fn error(code: i64, message: &str) -> String {
    format!(r#""error":{{"code":{code},"message":"{message}"}}"#)
}
