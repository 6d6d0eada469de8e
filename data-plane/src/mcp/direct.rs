//! The tools of upstreams under their own names, beside the meta-tools: a conformance suite calls tools by name, and
//! in this way reaches an upstream through a node.
//!
//! For tests alone: in a build without debug assertions nothing switches it on. Owns how such a tool is listed and what
//! its result looks like. Finding the tool, checking its arguments and calling it are up to `execute_tool`.

use rmcp::model::Tool;
use serde::Serialize;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, View};
use toolplane_upstream::client::ToolResult;

use super::reply::Reply;
use crate::options::{Exposure, Options};

/// A tool as its upstream described it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a RawJson>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawJson>,
}

/// Whether upstream tools can be called by name.
pub(super) fn is_on(options: &Options) -> bool {
    cfg!(debug_assertions) && options.exposure == Exposure::Direct
}

/// What a caller sees, for `tools/list`. A tool that `rmcp` cannot read is left out.
pub(super) fn tools(view: &View) -> impl Iterator<Item = Tool> {
    view.entries().iter().filter_map(definition)
}

/// A result as the upstream sent it.
pub(super) fn reply(result: ToolResult) -> Reply {
    let ToolResult { content, structured_content, is_error, meta, extra } = result;
    let mut reply = Reply::blocks(content);
    reply.structured = structured_content;
    reply.is_error = is_error;
    reply.meta = meta;
    reply.extra = extra.into_iter().collect();
    reply
}

fn definition(entry: &Entry) -> Option<Tool> {
    let tool = entry.tool();
    let definition = Definition {
        name: entry.name(),
        description: &tool.description,
        input_schema: &tool.input_schema,
        output_schema: tool.output_schema.as_ref(),
        annotations: tool.annotations.as_ref(),
        meta: tool.meta.as_ref(),
    };
    serde_json::from_str(&serde_json::to_string(&definition).ok()?).ok()
}
