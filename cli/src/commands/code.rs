//! `toolplane code run`: one program through a node.

use std::io::{self, Read as _};
use std::path::Path;

use rmcp::model::{CallToolResult, JsonObject};
use serde_json::Value;

use crate::args::{CodeCommand, RunCode};
use crate::commands::endpoint;
use crate::env::Variables;
use crate::exit::Failure;
use crate::mcp_client;
use crate::output::{self, Format};

pub(crate) async fn run(command: CodeCommand, variables: &Variables) -> Result<(), Failure> {
    let CodeCommand::Run(args) = command;
    let RunCode { file, endpoint, output, data_dir } = args;
    let mut request = JsonObject::new();
    request.insert("code".to_owned(), source_of(&file)?.into());
    show(&endpoint::call(&endpoint, &data_dir, "execute_code", request, variables).await?, output)
}

fn source_of(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", file.display())))
}

fn show(result: &CallToolResult, output: Format) -> Result<(), Failure> {
    let failure = failure(result);
    if output == Format::Json {
        output::json(result)?;
        return failure.map_or(Ok(()), Err);
    }
    let outcome =
        result.structured_content.clone().or_else(|| mcp_client::document(result)).unwrap_or_default();
    let field = |name: &str| outcome.get(name).and_then(Value::as_str).unwrap_or_default();
    let printed = field("stdout");
    if !printed.is_empty() {
        output::text(printed)?;
        if !printed.ends_with('\n') {
            output::text("\n")?;
        }
    }
    match failure {
        None => {
            if !field("note").is_empty() {
                output::say(&format!("note: {}", field("note")));
            }
            match mcp_client::first_text(result) {
                "" => Ok(()),
                text => output::text(text),
            }
        }
        Some(failure) => {
            if !field("traceback").is_empty() {
                output::say(field("traceback"));
            }
            Err(failure)
        }
    }
}

/// Why there is no result, with what a person can do about it.
fn failure(result: &CallToolResult) -> Option<Failure> {
    let document = mcp_client::document(result).filter(|document| document.get("code").is_some());
    let is_coded = |document: &Value| document.get("error").is_some();
    let marked = result.is_error == Some(true) || document.as_ref().is_some_and(is_coded);
    if !marked {
        return None;
    }
    let Some(document) = document else {
        return Some(Failure::failed(format!("the node refused: {}", mcp_client::first_text(result))));
    };
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    let message = field("message").or_else(|| field("error")).unwrap_or_default();
    let line = document.get("line").and_then(Value::as_u64);
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let mut failure = Failure::failed(format!("{place}{message} ({})", field("code").unwrap_or_default()));
    if let Some(hint) = field("hint") {
        failure = failure.hint(hint);
    }
    let calls = document.get("calls").and_then(Value::as_array).map_or(0, Vec::len);
    if calls > 0 {
        failure = failure
            .hint(format!("{calls} call(s) of tools were made before that; `--output json` lists them"));
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use rmcp::model::ContentBlock;

    use super::*;

    #[test]
    fn a_failure_names_the_line_the_code_and_what_was_done() {
        let text = r#"{"code":"runtime_error","message":"ZeroDivisionError: division by zero","line":3,"hint":null,"calls":[{"tool":"a"}]}"#;
        let failure = failure(&CallToolResult::error(vec![ContentBlock::text(text)])).unwrap();
        assert_eq!(failure.messages, ["line 3: ZeroDivisionError: division by zero (runtime_error)"]);
        assert_eq!(failure.hints.len(), 1);
    }

    #[test]
    fn a_result_that_looks_like_an_error_is_a_result() {
        let text = r#"{"code":"runtime_error"}"#;
        assert!(failure(&CallToolResult::success(vec![ContentBlock::text(text)])).is_none());
    }
}
