//! The guided walk: what a client asks, what the gateway answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::Toolbox;
use crate::exit::Failure;
use crate::mcp_client::{self, McpClient};
use crate::output;

const TIMEOUT: Duration = Duration::from_secs(30);

/// One question: why it is asked, the meta-tool, its arguments.
type Question = (&'static str, &'static str, Value);

/// Asks and prints.
pub(super) async fn through<'a>(
    url: &str,
    servers: impl Iterator<Item = (&'a dyn Toolbox, &'a str)>,
) -> Result<(), Failure> {
    output::text("Three MCP servers are running:\n")?;
    for (toolbox, url) in servers {
        output::text(&format!("  {:<6} {:<33} {}", toolbox.domain(), url, toolbox.description()))?;
    }
    output::text(&format!("\nOne gateway stands in front of them: {url}"))?;
    output::text("A client that connects there sees four tools, however many stand behind them.")?;
    let client = McpClient::connect(url, &BTreeMap::new(), TIMEOUT).await?;
    for (step, question) in questions().into_iter().enumerate() {
        ask(&client, step + 1, question).await?;
    }
    client.close().await;
    Ok(())
}

fn questions() -> [Question; 6] {
    [
        ("What is there?", "discover_tools", json!({})),
        (
            "What does the CRM offer, in short?",
            "discover_tools",
            json!({"domain": "crm", "format": "signatures"}),
        ),
        ("Which tools convert something?", "discover_tools", json!({"query": "convert"})),
        ("How is one of them called?", "get_tool_schema", json!({"tool_name": "convert_length"})),
        (
            "Call it.",
            "execute_tool",
            json!({"tool_name": "convert_length", "arguments": {"value": 26.2, "from": "mi", "to": "km"}}),
        ),
        (
            "A misspelled name gets a suggestion, not a riddle.",
            "execute_tool",
            json!({"tool_name": "crm_contact_search"}),
        ),
    ]
}

async fn ask(client: &McpClient, step: usize, (why, meta_tool, arguments): Question) -> Result<(), Failure> {
    output::text(&format!("\n{step}. {why}\n\n   → {meta_tool} {arguments}"))?;
    let Value::Object(arguments) = arguments else { return Ok(()) };
    let result = client.call(meta_tool, arguments).await?;
    let answer = match mcp_client::document(&result) {
        Some(document) => readable(&document, ""),
        None => mcp_client::first_text(&result).to_owned(),
    };
    let indented: Vec<String> =
        answer.lines().map(|line| format!("   ← {line}").trim_end().to_owned()).collect();
    output::text(&indented.join("\n"))
}

/// JSON with as much on a line as fits.
fn readable(value: &Value, indent: &str) -> String {
    const WIDTH: usize = 100;
    let line = value.to_string();
    let deeper = format!("{indent}  ");
    let (open, items, close): (_, Vec<String>, _) = match value {
        _ if line.len() + indent.len() <= WIDTH => return line,
        Value::Array(items) => ('[', items.iter().map(|item| readable(item, &deeper)).collect(), ']'),
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", json!(key), readable(value, &deeper));
            ('{', fields.iter().map(field).collect(), '}')
        }
        _ => return line,
    };
    format!("{open}\n{deeper}{}\n{indent}{close}", items.join(&format!(",\n{deeper}")))
}

/// How somebody connects a client of their own.
pub(super) fn how_to_connect(url: &str) -> String {
    let call = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "discover_tools", "arguments": {"domain": "todo"}},
    });
    format!(
        r#"
The gateway keeps serving at {url} until Ctrl-C. To connect a client of your own:

  Claude Code:
    claude mcp add --transport http toolplane {url}

  Claude Desktop and others that read a JSON file:
    {{"mcpServers": {{"toolplane": {{"command": "npx", "args": ["-y", "mcp-remote", "{url}"]}}}}}}

  curl:
    curl -s {url} -H 'content-type: application/json' \
      -H 'accept: application/json, text/event-stream' \
      -d '{call}'
"#
    )
}
