//! A small MCP server over streamable HTTP, made from a box of tools.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;

/// Tools that belong together, and what they do.
pub(super) trait Toolbox: Send + Sync {
    /// The domain under which the gateway offers them.
    fn domain(&self) -> &'static str;
    /// What they are for.
    fn description(&self) -> &'static str;
    /// The tools.
    fn tools(&self) -> Vec<Tool>;
    /// Calls one; the error is for the caller to read.
    fn call(&self, tool: &str, arguments: &JsonObject) -> Result<Value, String>;
}

/// Running servers.
pub(super) struct Servers {
    running: Vec<(Arc<dyn Toolbox>, String)>,
    tasks: JoinSet<std::io::Result<()>>,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Handler(Arc<dyn Toolbox>);

// ---- Servers ----

impl Servers {
    /// Starts one server per box, each on a free port of this machine.
    pub(super) async fn start(boxes: Vec<Box<dyn Toolbox>>) -> Result<Self, Failure> {
        let mut servers = Self { running: Vec::new(), tasks: JoinSet::new(), stop: CancellationToken::new() };
        for toolbox in boxes {
            servers
                .serve(Arc::from(toolbox))
                .await
                .map_err(|error| Failure::failed(format!("a demo server cannot be started: {error}")))?;
        }
        Ok(servers)
    }

    /// The boxes and the addresses of their servers.
    pub(super) fn list(&self) -> impl Iterator<Item = (&dyn Toolbox, &str)> {
        self.running.iter().map(|(toolbox, url)| (toolbox.as_ref(), url.as_str()))
    }

    /// Stops them all.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    async fn serve(&mut self, toolbox: Arc<dyn Toolbox>) -> std::io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let handler = Handler(Arc::clone(&toolbox));
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_cancellation_token(self.stop.child_token());
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(NeverSessionManager::default()),
            config,
        );
        let app = axum::Router::new().route_service("/mcp", service);
        let stop = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stop).await });
        self.running.push((toolbox, url));
        Ok(())
    }
}

// ---- Handler ----

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = match self.0.call(&request.name, &request.arguments.unwrap_or_default()) {
            Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
            Err(reason) => CallToolResult::error(vec![ContentBlock::text(reason)]),
        };
        Ok(result.into())
    }
}

// ---- for the boxes ----

/// A tool with parameters `(name, type, description, required)`.
pub(super) fn tool(
    name: &'static str,
    description: &'static str,
    parameters: &[(&str, &str, &str, bool)],
) -> Tool {
    let (mut properties, mut required) = (JsonObject::new(), Vec::new());
    for (name, kind, description, is_required) in parameters {
        properties.insert((*name).to_owned(), json!({"type": kind, "description": description}));
        if *is_required {
            required.push(*name);
        }
    }
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("required".to_owned(), json!(required));
    Tool::new(name, description, Arc::new(schema))
}

/// A text among the arguments.
pub(super) fn text<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str, String> {
    arguments.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is missing"))
}

/// A number among the arguments.
pub(super) fn number(arguments: &JsonObject, name: &str) -> Result<f64, String> {
    arguments.get(name).and_then(Value::as_f64).ok_or_else(|| format!("`{name}` is missing"))
}
