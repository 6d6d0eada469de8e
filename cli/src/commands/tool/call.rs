//! `toolplane tool call`: one call through a node.

use std::io::{self, Read as _};

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::Value;

use super::did_you_mean;
use crate::args::CallTool;
use crate::commands::endpoint;
use crate::env::Variables;
use crate::exit::Failure;
use crate::mcp_client;
use crate::output::{self, Format};

pub(crate) async fn run(args: CallTool, variables: &Variables) -> Result<(), Failure> {
    let CallTool { name, arguments, endpoint, output, data_dir } = args;
    let mut request = JsonObject::new();
    request.insert("tool_name".to_owned(), name.into());
    request.insert("arguments".to_owned(), arguments_of(&arguments)?.into());
    show(&endpoint::call(&endpoint, &data_dir, "execute_tool", request, variables).await?, output)
}

fn arguments_of(text: &str) -> Result<JsonObject, Failure> {
    let mut stdin = String::new();
    let text = if text == "-" {
        io::stdin()
            .read_to_string(&mut stdin)
            .map_err(|error| Failure::usage(format!("the arguments cannot be read: {error}")))?;
        stdin.as_str()
    } else {
        text
    };
    serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("the arguments are no JSON object: {error}")))
}

fn show(result: &CallToolResult, output: Format) -> Result<(), Failure> {
    let outcome = failure(result);
    match (output, &outcome) {
        (Format::Json, _) => output::json(result)?,
        (Format::Table, None) => output::text(&text(result))?,
        // Told as an error.
        (Format::Table, Some(_)) => {}
    }
    outcome.map_or(Ok(()), Err)
}

/// Coded errors are errors whether or not the node flags them.
fn failure(result: &CallToolResult) -> Option<Failure> {
    let document = mcp_client::document(result);
    let field =
        |name: &str| document.as_ref().and_then(|document| document.get(name)).and_then(Value::as_str);
    let coded = field("error").zip(field("code"));
    if coded.is_none() && result.is_error != Some(true) {
        return None;
    }
    let details = document.as_ref().and_then(|document| document.get("details"));
    let suggestions = details.and_then(|details| details.get("suggestions")).and_then(Value::as_array);
    let suggestions: Vec<String> =
        suggestions.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut failure = match coded {
        Some((message, code)) => {
            // Said as a hint below.
            let end = message.find(" Did you mean ").filter(|_| !suggestions.is_empty());
            let message = end.and_then(|end| message.get(..end)).unwrap_or(message);
            Failure::failed(format!("{message} ({code})"))
        }
        None => Failure::failed(format!("the tool reported an error: {}", text(result))),
    };
    if !suggestions.is_empty() {
        failure = failure.hint(did_you_mean(&suggestions));
    }
    if let Some(signature) = details.and_then(|details| details.get("signature")).and_then(Value::as_str) {
        failure = failure.hint(format!("it is called as {signature}"));
    }
    Some(failure)
}

/// The tool's own text out of the envelope, and a word about blocks that are no text.
fn text(result: &CallToolResult) -> String {
    let envelope = mcp_client::document(result);
    let mut out = match envelope.as_ref().and_then(|document| document.get("result")) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => mcp_client::first_text(result).to_owned(),
    };
    if out.is_empty()
        && let Some(structured) = &result.structured_content
    {
        out = serde_json::to_string_pretty(structured).unwrap_or_default();
    }
    for block in result.content.iter().skip(1) {
        let kind = match block {
            ContentBlock::Text(block) => {
                out.extend(["\n", &block.text]);
                continue;
            }
            ContentBlock::Image(_) => "an image",
            ContentBlock::Audio(_) => "a sound",
            ContentBlock::Resource(_) => "a resource",
            _ => "a link",
        };
        out.extend(["\n(", kind, "; `--output json` shows it)"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> CallToolResult {
        CallToolResult::success(vec![ContentBlock::text(text)])
    }

    #[test]
    fn the_envelope_is_taken_off() {
        assert_eq!(text(&result(r#"{"tool": "a", "result": "two\nlines"}"#)), "two\nlines");
        assert!(failure(&result(r#"{"tool": "a", "result": "x"}"#)).is_none());
    }

    #[test]
    fn coded_errors_fail_with_hints_even_where_they_are_not_flagged() {
        let unknown = r#"{"error": "no tool `serch` Did you mean 'search'?", "code": "tool_not_found", "details": {"suggestions": ["search"]}}"#;
        let failure = failure(&result(unknown)).unwrap();
        assert_eq!(failure.messages, ["no tool `serch` (tool_not_found)"]);
        assert_eq!(failure.hints, ["did you mean search?"]);
    }

    #[test]
    fn arguments_are_an_object() {
        assert!(arguments_of("[1]").is_err());
        assert!(arguments_of("{").is_err());
        assert_eq!(arguments_of(r#"{"a": 1}"#).unwrap().len(), 1);
    }
}
