//! The requests that are sent: the same question to an upstream itself and to a gateway in front of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::load::Prepared;
use crate::static_upstream::Era;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The upstream, or whatever passes a request on as it came.
    Upstream,
    /// A gateway, by its meta-tools.
    Gateway,
}

/// The argument of most calls.
const ORDINARY: &str = "what a client might want to know";

/// A call of a tool, as whoever is asked wants it.
pub(crate) fn execute(asked: Asked, era: Era, tool: &str) -> Prepared {
    match asked {
        Asked::Upstream => execute_as(era, tool),
        Asked::Gateway => execute_named(era, tool, ORDINARY),
    }
}

/// A call of a tool by another name.
pub(crate) fn execute_as(era: Era, name: &str) -> Prepared {
    request(era, name, &arguments(ORDINARY), None)
}

/// A call of a tool whose argument names the call.
pub(crate) fn execute_named(era: Era, tool: &str, name: &str) -> Prepared {
    request(era, "execute_tool", &json!({ "tool_name": tool, "arguments": arguments(name) }), Some(tool))
}

fn arguments(text: &str) -> Value {
    json!({ "text": text })
}

/// A call of one of the gateway's own tools.
pub(crate) fn meta_tool(era: Era, name: &str, arguments: &Value) -> Prepared {
    request(era, name, arguments, None)
}

fn request(era: Era, name: &str, arguments: &Value, executed: Option<&str>) -> Prepared {
    let mut params = json!({ "name": name, "arguments": arguments });
    let mut headers = BTreeMap::new();
    let mut say = |name: &str, value: &str| headers.insert(name.to_owned(), value.to_owned());
    if era == Era::Stateless {
        say("mcp-protocol-version", "2026-07-28");
        say("mcp-method", "tools/call");
        say("mcp-name", name);
        if let Some(executed) = executed {
            say("mcp-param-tool", executed);
        }
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
    } else {
        say("mcp-protocol-version", "2025-06-18");
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    Prepared { headers, body: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_repeat_the_body_where_the_revision_wants_it() {
        let stateless = execute(Asked::Gateway, Era::Stateless, "stateless_echo");
        let body: Value = serde_json::from_str(&stateless.body).unwrap();
        assert_eq!(stateless.headers["mcp-name"], body["params"]["name"].as_str().unwrap());
        assert_eq!(stateless.headers["mcp-param-tool"], body["params"]["arguments"]["tool_name"]);
        let version = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        assert_eq!(stateless.headers["mcp-protocol-version"], version.as_str().unwrap());
        let handshake = execute(Asked::Upstream, Era::Handshake, "handshake_echo");
        assert!(!handshake.headers.contains_key("mcp-method") && !handshake.body.contains("_meta"));
    }
}
