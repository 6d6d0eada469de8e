//! `toolplane tool`: finding, reading and calling tools.
//!
//! Listing asks the control plane, as an operator; calling goes through a node, as any MCP client does.

mod call;

use serde::Serialize;
use tonic::Code;
use toolplane_proto::{admin as wire, sync};
use toolplane_registry::{RawJson, suggest};

use super::upstream::counted;
use crate::args::{ListTools, ReadConnection, ToolCommand};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output::{self, Table, table};

/// A tool in the form that is printed.
#[derive(Debug, Serialize)]
struct Tool {
    name: String,
    domain: String,
    original_name: String,
    group: String,
    description: String,
    signature: String,
    input_schema: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(crate) async fn run(command: ToolCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        ToolCommand::List(args) => list(args, variables).await,
        ToolCommand::Schema { name, read } => schema(name, &read, variables).await,
        ToolCommand::Call(args) => call::run(args, variables).await,
    }
}

async fn list(args: ListTools, variables: &Variables) -> Result<(), Failure> {
    let ListTools { keywords, domain, refused, read } = args;
    let client = Client::connect(&read.connection, variables).await?;
    let request = wire::ListToolsRequest {
        domain: domain.unwrap_or_default(),
        query: keywords.join(" "),
        show_refused: refused,
        ..wire::ListToolsRequest::default()
    };
    let tools: Vec<Tool> = every_page(&client, request).await?.into_iter().map(Tool::from).collect();
    output::data(read.output, &tools, |tools| table_of(tools))
}

async fn every_page(client: &Client, request: wire::ListToolsRequest) -> Result<Vec<wire::Tool>, Failure> {
    let mut request = wire::ListToolsRequest { page_size: PAGE_SIZE, ..request };
    let mut tools = Vec::new();
    loop {
        let page = client.tools().list_tools(request.clone()).await?.into_inner();
        tools.extend(page.tools);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(tools);
        }
    }
}

async fn schema(name: String, read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    match client.tools().get_tool(wire::GetToolRequest { name: name.clone() }).await {
        Ok(tool) => output::data(read.output, &Tool::from(tool.into_inner()), Tool::details),
        Err(status) if status.code() == Code::NotFound => {
            let tools = every_page(&client, wire::ListToolsRequest::default()).await?;
            let similar = suggest::among(tools.iter().map(|tool| tool.name.as_str()), &name);
            let failure = Failure::from(status);
            Err(if similar.is_empty() { failure } else { failure.hint(did_you_mean(&similar)) })
        }
        Err(status) => Err(status.into()),
    }
}

/// The hint for a name that leads nowhere.
fn did_you_mean(similar: &[String]) -> String {
    format!("did you mean {}?", similar.join(", "))
}

/// What was refused has no name of ours: the one it was listed under, out of the subject of its rejection.
fn refused_name(rejection: &sync::Rejection, domain: &str) -> String {
    let subject = &rejection.subject;
    let of_domain = format!(" of `{domain}`");
    let name = subject.strip_prefix("tool ").and_then(|rest| rest.strip_suffix(&of_domain));
    name.map_or(subject.as_str(), |name| name.trim_matches('`')).to_owned()
}

impl From<wire::Tool> for Tool {
    fn from(tool: wire::Tool) -> Self {
        let wire::Tool {
            name,
            domain,
            original_name,
            group,
            description,
            input_schema,
            output_schema,
            annotations,
            signature,
            rejection,
        } = tool;
        let json = |text: String| RawJson::parse(&text).ok();
        let listed_as = rejection.as_ref().map(|rejection| refused_name(rejection, &domain));
        Self {
            name,
            domain,
            original_name: listed_as.filter(|_| original_name.is_empty()).unwrap_or(original_name),
            group,
            description,
            signature,
            input_schema: json(input_schema),
            output_schema: json(output_schema),
            annotations: json(annotations),
            refused: rejection.map(|rejection| rejection.reason),
        }
    }
}

impl Tool {
    fn details(&self) -> String {
        let pretty = |json: &Option<RawJson>| {
            let value = json.as_ref().and_then(|json| json.to_value().ok());
            value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_default()
        };
        let original =
            if self.original_name == self.name { String::new() } else { self.original_name.clone() };
        table::details(&[
            ("name", self.name.clone()),
            ("original name", original),
            ("domain", self.domain.clone()),
            ("group", self.group.clone()),
            ("description", self.description.clone()),
            ("signature", self.signature.clone()),
            ("refused", self.refused.clone().unwrap_or_default()),
            ("parameters", pretty(&self.input_schema)),
            ("output", pretty(&self.output_schema)),
            ("annotations", pretty(&self.annotations)),
        ])
    }
}

fn table_of(tools: &[Tool]) -> String {
    let any_refused = tools.iter().any(|tool| tool.refused.is_some());
    let last = if any_refused { "REFUSED BECAUSE, OR DESCRIPTION" } else { "DESCRIPTION" };
    let mut table = Table::new(&["TOOL", "DOMAIN", "GROUP", last]);
    for tool in tools {
        let name = if tool.name.is_empty() { &tool.original_name } else { &tool.name };
        let text = match &tool.refused {
            Some(reason) => format!("refused: {reason}"),
            None => tool.description.clone(),
        };
        table.row([name.clone(), tool.domain.clone(), tool.group.clone(), text]);
    }
    let mut text = table.render("no tools");
    if !tools.is_empty() {
        let refused = tools.iter().filter(|tool| tool.refused.is_some()).count();
        let also = if refused == 0 { String::new() } else { format!(", {refused} refused") };
        text.extend(["\n", &counted(tools.len() - refused, "tool"), &also, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> wire::Tool {
        wire::Tool {
            name: "crm_search".into(),
            domain: "crm".into(),
            original_name: "search".into(),
            group: "general".into(),
            description: "Finds contacts.".into(),
            input_schema: r#"{"type":"object","properties":{"query":{"type":"string"}}}"#.into(),
            signature: "crm_search(query: str = None) -> any".into(),
            ..wire::Tool::default()
        }
    }

    #[test]
    fn refused_tools_go_by_what_their_rejection_is_about() {
        let name = |subject: &str| {
            refused_name(&sync::Rejection { subject: subject.into(), ..Default::default() }, "crm")
        };
        assert_eq!(name("tool `a b` of `crm`"), "a b");
        assert_eq!(name("tool number 3 of `crm`"), "number 3");
        assert_eq!(name("the listing"), "the listing");
    }

    #[test]
    fn tools_are_shown_to_people() {
        let rejection = sync::Rejection {
            subject: "tool `fetch` of `crm`".into(),
            reason: "the schema is not a JSON object".into(),
            ..Default::default()
        };
        let refused =
            wire::Tool { domain: "crm".into(), rejection: Some(rejection), ..wire::Tool::default() };
        let tools = [tool(), refused].map(Tool::from);
        insta::assert_snapshot!("tool_table", table_of(&tools));
        insta::assert_snapshot!("tool_details", tools[0].details());
        insta::assert_snapshot!("tool_json", serde_json::to_string_pretty(&tools[0]).unwrap());
    }
}
