//! The guided walk: what a client asks, what the gateway answers.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
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
    let answer = mcp_client::first_text(&result);
    let answer = serde_json::from_str(answer).map_or_else(|_| answer.to_owned(), |raw| readable(raw, ""));
    let indented: Vec<String> =
        answer.lines().map(|line| format!("   ← {line}").trim_end().to_owned()).collect();
    output::text(&indented.join("\n"))
}

/// JSON with as much on a line as fits, otherwise as it was answered: the same members in the same order.
fn readable(raw: &RawValue, indent: &str) -> String {
    const WIDTH: usize = 100;
    let line = raw.get();
    if line.len() + indent.len() <= WIDTH && !line.contains('\n') {
        return line.to_owned();
    }
    let deeper = format!("{indent}  ");
    let (open, items, close): (_, Vec<String>, _) =
        if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(line) {
            ('[', items.into_iter().map(|item| readable(item, &deeper)).collect(), ']')
        } else if let Ok(Members(members)) = serde_json::from_str(line) {
            let member = |(key, value): (String, &RawValue)| {
                format!("{}: {}", Value::String(key), readable(value, &deeper))
            };
            ('{', members.into_iter().map(member).collect(), '}')
        } else {
            return line.to_owned();
        };
    if items.is_empty() {
        return format!("{open}{close}");
    }
    format!("{open}\n{deeper}{}\n{indent}{close}", items.join(&format!(",\n{deeper}")))
}

/// The members of an object in their order, which a map would lose.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for MembersVisitor<'a> {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_their_order_and_their_numbers() {
        let long = "x".repeat(90);
        let answer = format!(r#"{{"z": 1.50, "a": {{"y": [1e400, 2], "b": "{long}"}}, "empty": []}}"#);
        let shown = readable(serde_json::from_str(&answer).unwrap(), "");
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        let last = format!(r#""b": "{long}""#);
        assert_eq!(
            lines,
            ["{", r#""z": 1.50,"#, r#""a": {"#, r#""y": [1e400, 2],"#, &last, "},", r#""empty": []"#, "}"]
        );
        let compact = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(compact(&shown), compact(&answer));
    }
}
