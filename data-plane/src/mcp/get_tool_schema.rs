//! `get_tool_schema`: everything needed to call one tool.

use serde::Serialize;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, View, suggest};

use super::error::Error;
use super::kept;
use super::reply::Reply;
use super::text::to_text;
use crate::caller::Caller;
use crate::hooks::visibility::{Scope, Seen};
use crate::live::Served;

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    domain: &'a str,
    group: &'a str,
    description: &'a str,
    parameters: &'a RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a RawJson>,
}

/// Answers for one tool, if the caller sees it.
pub(crate) async fn answer(caller: &Caller, served: &Served, name: &str) -> Result<Reply, Error> {
    kept::schema(&*look(caller, served, name).await?, name)
}

/// A view in which the tool is found, or in which all suggestions are.
pub(crate) async fn look<'s>(caller: &Caller, served: &'s Served, name: &str) -> Result<Seen<'s>, Error> {
    Ok(caller.view(served, Scope::Name(name)).await?)
}

/// Answers from what the caller sees; schemas are given as the upstream sent them.
pub(crate) fn schema(view: &View, name: &str) -> Result<String, Error> {
    let entry = find(view, name)?;
    let tool = entry.tool();
    Ok(to_text(&Schema {
        name: entry.name(),
        domain: entry.domain().domain().as_str(),
        group: tool.group.as_str(),
        description: &tool.description,
        parameters: &tool.input_schema,
        output: tool.output_schema.as_ref(),
        annotations: tool.annotations.as_ref(),
    }))
}

/// Finds a tool by published name or alias, or says what the caller may have meant.
pub(crate) fn find<'v>(view: &'v View, name: &str) -> Result<&'v Entry, Error> {
    view.get(name).ok_or_else(|| Error::ToolNotFound {
        name: name.to_owned(),
        suggestions: suggest::similar(view, name),
    })
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::Builder;
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Tool, Version};

    use super::*;

    #[test]
    fn schemas_come_as_sent_and_optional_parts_only_where_there_are_any() {
        let rich = Tool {
            input_schema: RawJson::parse(r#"{"z":1e400,"type":"object"}"#).unwrap(),
            output_schema: Some(RawJson::parse(r#"{"type":"object"}"#).unwrap()),
            annotations: Some(RawJson::parse(r#"{"readOnlyHint":true}"#).unwrap()),
            ..a_tool("a_b_rich")
        };
        let snapshot =
            Builder::new(Version::new("s", 1)).domain(a_domain("a", vec![rich, a_tool("plain")])).build();
        let snapshot = snapshot.unwrap();
        assert_eq!(
            schema(snapshot.all(), "a_b_rich").unwrap(),
            r#"{"name": "a_b_rich", "domain": "a", "group": "b", "description": "Does a_b_rich.", "parameters": {"z": 1e400, "type": "object"}, "output": {"type": "object"}, "annotations": {"readOnlyHint": true}}"#
        );
        assert!(!schema(snapshot.all(), "a_plain").unwrap().contains("output"));
        assert_eq!(schema(snapshot.all(), "nope").unwrap_err().code(), "tool_not_found");
    }
}
