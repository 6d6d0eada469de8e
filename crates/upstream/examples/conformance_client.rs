//! The client under test of the MCP conformance suite: `conformance_client URL`.
//!
//! Does with this crate what the gateway does with an upstream: lists its tools, admits them, and calls those that were
//! admitted. Which calls a scenario wants, the suite says in the environment. Decides nothing about conformance: the
//! suite watches from the other side.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolplane_registry::ingest::{self, Rules};
use toolplane_registry::{Domain, RawJson, Tool};
use toolplane_upstream::client::{Answer, InputRequired, Target, ToolCall};
use toolplane_upstream::connector::{Connector, Options};
use toolplane_upstream::{Client, Error as CallError};

type Failure = Box<dyn Error>;

/// Every scenario but one is over long before, and that one waits for an answer that nobody gives.
const AMPLE: Duration = Duration::from_secs(10);
/// More rounds no scenario asks for.
const MAX_ROUNDS: usize = 4;
/// A tool that wants to see the schema of the first one.
const SCHEMA_ECHO: &str = "json_schema_echo";

/// What a scenario hands over beside the address.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    /// The calls that it wants; absent: one of every tool.
    tool_calls: Option<Vec<WantedCall>>,
}

#[derive(Debug, Deserialize)]
struct WantedCall {
    name: String,
    arguments: Value,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().next_back().ok_or("no address")?;
    let client = Client::new(Connector::new(Options::default())?);
    let outcome = talk(&client, Target::plain(url), context()?).await;
    client.close().await;
    outcome
}

#[expect(clippy::disallowed_methods, reason = "how the suite speaks to its clients")]
fn context() -> Result<Context, Failure> {
    match std::env::var("MCP_CONFORMANCE_CONTEXT") {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(_) => Ok(Context::default()),
    }
}

async fn talk(client: &Client, target: Target, context: Context) -> Result<(), Failure> {
    let listing = client.list_tools(&target, AMPLE).await?;
    let target = Target { protocol: listing.protocol, ..target };
    let tools = ingest::admit(&Domain::parse("suite")?, &listing.tools, &Rules::default()).tools;
    let wanted = context.tool_calls.unwrap_or_else(|| {
        let call = |tool: &Tool| WantedCall {
            name: tool.original_name.to_string(),
            arguments: arguments(tool, &tools),
        };
        tools.iter().map(|tool| call(tool)).collect()
    });
    for WantedCall { name, arguments } in wanted {
        let tool = tools.iter().find(|tool| tool.original_name.as_str() == name);
        let tool = tool.ok_or_else(|| format!("`{name}` was not admitted"))?;
        let call = ToolCall {
            name,
            arguments: Some(RawJson::from(&arguments)),
            input_schema: Some(tool.input_schema.clone()),
            capabilities: Some(RawJson::from(&json!({ "elicitation": {} }))),
            ..ToolCall::default()
        };
        run(client, &target, call).await?;
    }
    Ok(())
}

/// Calls a tool and answers what it asks, as a caller of the gateway would.
async fn run(client: &Client, target: &Target, mut call: ToolCall) -> Result<(), CallError> {
    for _ in 0..MAX_ROUNDS {
        let Answer::InputRequired(InputRequired { request_state, members }) =
            client.call_tool(target, &call, AMPLE).await?
        else {
            return Ok(());
        };
        call.request_state = request_state;
        call.input_responses = Some(RawJson::from(&answers(&members)));
    }
    Err(CallError::Protocol(format!("`{}` never stops asking", call.name)))
}

/// A yes to every question.
fn answers(members: &[(String, RawJson)]) -> Value {
    let asked = members.iter().find(|(key, _)| key == "inputRequests");
    let asked = asked.and_then(|(_, raw)| raw.to_value().ok()).unwrap_or_default();
    let yes = json!({ "action": "accept", "content": { "confirmed": true } });
    asked
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| (key.clone(), yes.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// Arguments that a tool takes: those that it requires, each the simplest of its type.
fn arguments(tool: &Tool, tools: &[Arc<Tool>]) -> Value {
    if tool.original_name.as_str() == SCHEMA_ECHO {
        let schema = tools.first().and_then(|first| first.input_schema.to_value().ok());
        return json!({ "schema": schema });
    }
    let schema = tool.input_schema.to_value().unwrap_or_default();
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let simplest = |name: &str| {
        let kind = schema.get("properties").and_then(|all| all.get(name)?.get("type")?.as_str());
        match kind.unwrap_or_default() {
            "number" | "integer" => json!(1),
            "boolean" => json!(true),
            "array" => json!([]),
            "object" => json!({}),
            "null" => Value::Null,
            _ => json!("x"),
        }
    };
    required
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), simplest(name)))
        .collect::<Map<_, _>>()
        .into()
}
