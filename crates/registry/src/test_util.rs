//! Short ways to write down tools and domains in tests.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "test fixtures: a bad literal should fail the test"
)]

use std::sync::Arc;

use crate::snapshot::{DomainSnapshot, Endpoint};
use crate::{Domain, Group, RawJson, Tool, ToolName};

/// A tool with an empty object schema and a description made of its name.
pub fn a_tool(name: &str) -> Tool {
    Tool {
        original_name: ToolName::parse(name).unwrap(),
        group: Group::infer(&Domain::parse("-").unwrap(), &ToolName::parse(name).unwrap()),
        description: format!("Does {name}."),
        input_schema: RawJson::parse(r#"{"type":"object","properties":{}}"#).unwrap(),
        output_schema: None,
        annotations: None,
        meta: None,
    }
}

/// A domain with those tools; groups are inferred.
pub fn a_domain(name: &str, tools: Vec<Tool>) -> DomainSnapshot {
    let domain = Domain::parse(name).unwrap();
    let tools = tools
        .into_iter()
        .map(|tool| Arc::new(Tool { group: Group::infer(&domain, &tool.original_name), ..tool }))
        .collect();
    DomainSnapshot::new(domain, String::new(), Endpoint::plain("http://127.0.0.1:9/mcp"), tools)
}
