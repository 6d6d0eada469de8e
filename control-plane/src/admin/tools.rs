//! `ToolService`: what was admitted, and what was refused and why.

use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, tool_service_server::ToolService};
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, Rejection, search, signature};

use super::page;
use crate::registrar::Registrar;
use crate::snapshots::Published;

#[derive(Debug)]
pub(super) struct Service {
    registrar: Registrar,
}

impl Service {
    pub(super) fn new(registrar: Registrar) -> Self {
        Self { registrar }
    }
}

fn admitted(entry: &Entry) -> admin::Tool {
    let tool = entry.tool();
    let text =
        |json: &Option<RawJson>| json.as_ref().map(|json| json.as_str().to_owned()).unwrap_or_default();
    admin::Tool {
        name: entry.name().to_owned(),
        domain: entry.domain().domain().to_string(),
        original_name: tool.original_name.to_string(),
        group: tool.group.to_string(),
        description: tool.description.clone(),
        input_schema: tool.input_schema.as_str().to_owned(),
        output_schema: text(&tool.output_schema),
        annotations: text(&tool.annotations),
        signature: signature::render(entry.name(), tool),
        rejection: None,
    }
}

fn refused(domain: &str, rejection: &Rejection) -> admin::Tool {
    admin::Tool { domain: domain.to_owned(), rejection: Some(rejection.into()), ..admin::Tool::default() }
}

fn collect(published: &Published, request: &admin::ListToolsRequest) -> Vec<admin::Tool> {
    let wanted = |domain: &str| request.domain.is_empty() || request.domain == domain;
    let view = published.snapshot.all();
    let entries: Vec<&Entry> = if request.query.trim().is_empty() {
        view.entries().iter().collect()
    } else {
        search::find(view, &request.query, &search::ByName)
    };
    let mut tools: Vec<admin::Tool> =
        entries.into_iter().filter(|entry| wanted(entry.domain().domain().as_str())).map(admitted).collect();
    if request.show_refused {
        for (domain, outcome) in published.admitted.iter().filter(|(domain, _)| wanted(domain.as_str())) {
            tools.extend(outcome.rejections().map(|rejection| refused(domain.as_str(), rejection)));
        }
    }
    tools
}

#[tonic::async_trait]
impl ToolService for Service {
    async fn list_tools(
        &self,
        request: Request<admin::ListToolsRequest>,
    ) -> Result<Response<admin::ListToolsResponse>, Status> {
        let request = request.into_inner();
        let tools = collect(&self.registrar.current(), &request);
        let total_size = u32::try_from(tools.len()).unwrap_or(u32::MAX);
        // Refused tools have no name, so the token is a position.
        let numbered = tools.into_iter().enumerate();
        let size = page::size(request.page_size)?;
        let (page, next_page_token) =
            page::cut(numbered, &request.page_token, size, |(position, _)| format!("{position:010}"));
        let tools = page.into_iter().map(|(_, tool)| tool).collect();
        Ok(Response::new(admin::ListToolsResponse { tools, next_page_token, total_size }))
    }

    async fn get_tool(
        &self,
        request: Request<admin::GetToolRequest>,
    ) -> Result<Response<admin::Tool>, Status> {
        let name = request.into_inner().name;
        let published = self.registrar.current();
        let entry = published.snapshot.all().get(&name);
        let entry = entry.ok_or_else(|| Status::not_found(format!("there is no tool `{name}`")))?;
        Ok(Response::new(admitted(entry)))
    }
}
