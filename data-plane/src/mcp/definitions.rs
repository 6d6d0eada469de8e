//! The meta-tools as clients see them in `tools/list`: always the same, in the same order. The one that depends on the
//! caller is in `code_tool`.

use std::sync::LazyLock;

use rmcp::model::Tool;
use serde_json::{Value, json};

/// Names of the meta-tools, in the order in which they are listed.
pub(crate) const DISCOVER_TOOLS: &str = "discover_tools";
pub(crate) const GET_TOOL_SCHEMA: &str = "get_tool_schema";
pub(crate) const EXECUTE_TOOL: &str = "execute_tool";
pub(crate) const EXECUTE_CODE: &str = "execute_code";
pub(crate) const REFRESH_REGISTRY: &str = "refresh_registry";

/// Where clients of the 2026-07-28 revision repeat which tool is to run, so that a load balancer can route by it
/// without reading the body.
pub(crate) const TOOL_HEADER: &str = "mcp-param-tool";

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| tools(true));

/// All meta-tools as calls are checked against them: what is in [`TOOL_HEADER`] has to be right.
pub(crate) fn checked() -> &'static [Tool] {
    &TOOLS
}

/// All meta-tools as they are listed; whether callers are asked for [`TOOL_HEADER`].
#[expect(clippy::expect_used, reason = "constants; a test reads them")]
pub(crate) fn tools(asks_for_header: bool) -> Vec<Tool> {
    let mut execute_tool = execute_tool();
    if asks_for_header && let Some(name) = execute_tool.pointer_mut("/inputSchema/properties/tool_name") {
        name["x-mcp-header"] = "Tool".into();
    }
    let all = json!([discover_tools(), get_tool_schema(), execute_tool, refresh_registry()]);
    serde_json::from_value(all).expect("the definitions are tools")
}

/// The name as a constant, where it is one of ours.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    let names = [DISCOVER_TOOLS, GET_TOOL_SCHEMA, EXECUTE_TOOL, REFRESH_REGISTRY, EXECUTE_CODE];
    names.into_iter().find(|known| *known == name)
}

fn discover_tools() -> Value {
    json!({
        "name": DISCOVER_TOOLS,
        "title": "Discover tools",
        "description": "Finds tools. Without arguments: the domains, with their groups and tool counts. \
            With `domain`, or `domain` and `group`: the tools there. With `query`: the tools in whose name \
            or description every word of it occurs; this wins over the others. `format=\"signatures\"` \
            gives one line per tool with its parameters instead of JSON.",
        "inputSchema": discover_input(),
        "outputSchema": text_output(),
        "annotations": { "readOnlyHint": true, "openWorldHint": true },
        "_meta": always_load(),
    })
}

fn get_tool_schema() -> Value {
    json!({
        "name": GET_TOOL_SCHEMA,
        "title": "Get tool schema",
        "description": "Shows one tool in full: description, JSON schema of its parameters and, where it has \
            one, of its output.",
        "inputSchema": {
            "type": "object",
            "properties": { "tool_name": { "type": "string", "description": "As discover_tools spells it." } },
            "required": ["tool_name"],
            "additionalProperties": false,
        },
        "outputSchema": text_output(),
        "annotations": { "readOnlyHint": true, "openWorldHint": false },
        "_meta": always_load(),
    })
}

fn execute_tool() -> Value {
    json!({
        "name": EXECUTE_TOOL,
        "title": "Execute tool",
        "description": "Runs a tool that discover_tools found and returns what it answers. Arguments are \
            checked against the tool's schema before anything is sent.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "tool_name": { "type": "string", "description": "As discover_tools spells it." },
                "arguments": {
                    "anyOf": [{ "type": "object", "additionalProperties": true }, { "type": "null" }],
                    "default": null,
                    "description": "The tool's own arguments, by name.",
                },
            },
            "required": ["tool_name"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": false, "openWorldHint": true },
        "_meta": always_load(),
    })
}

fn refresh_registry() -> Value {
    json!({
        "name": REFRESH_REGISTRY,
        "title": "Refresh registry",
        "description": "Asks every server for its tools again and says what was added or removed. Only \
            needed where a tool that should be there is missing.",
        "inputSchema": { "type": "object", "properties": {}, "additionalProperties": false },
        "outputSchema": text_output(),
        "annotations": { "readOnlyHint": false, "openWorldHint": false },
        "_meta": always_load(),
    })
}

/// Hosts that load tools on demand must not hide these: everything else is found through them.
pub(super) fn always_load() -> Value {
    json!({ "anthropic/alwaysLoad": true })
}

/// The text of the reply once more, for clients that read structured content.
fn text_output() -> Value {
    json!({ "type": "object", "properties": { "result": { "type": "string" } }, "required": ["result"] })
}

fn discover_input() -> Value {
    let text = |description: &str| json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "default": null, "description": description });
    json!({
        "type": "object",
        "properties": {
            "domain": text("Only tools of this domain."),
            "group": text("Only tools of this group of the domain."),
            "query": text("Words to look for in all domains."),
            "format": { "type": "string", "enum": ["schema", "signatures"], "default": "schema" },
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_tools_in_a_fixed_order() {
        for asks_for_header in [true, false] {
            let tools = tools(asks_for_header);
            let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
            assert_eq!(names, [DISCOVER_TOOLS, GET_TOOL_SCHEMA, EXECUTE_TOOL, REFRESH_REGISTRY]);
            for tool in &tools {
                assert!(tool.annotations.is_some() && tool.meta.is_some() && tool.description.is_some());
            }
            let schemas = serde_json::to_string(&tools).unwrap();
            assert_eq!(schemas.matches(r#""x-mcp-header":"Tool""#).count(), usize::from(asks_for_header));
        }
    }
}
