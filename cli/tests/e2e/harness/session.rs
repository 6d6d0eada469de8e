//! An MCP client as users have one.

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock};
use rmcp::service::{RoleClient, RunningService, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};

/// An MCP session with a node.
pub(crate) struct Session(RunningService<RoleClient, ()>);

impl Session {
    pub(crate) async fn open(url: &str) -> Self {
        // Only fails where another test of this process was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self(().serve(StreamableHttpClientTransport::from_uri(url)).await.expect("a session"))
    }

    pub(crate) async fn call(&self, meta_tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = CallToolRequestParams::new(meta_tool).with_arguments(arguments);
        self.0.call_tool(request).await.expect("a result")
    }

    /// The JSON that a meta-tool answers with.
    pub(crate) async fn ask(&self, meta_tool: &'static str, arguments: Value) -> Value {
        let result = self.call(meta_tool, arguments).await;
        match result.content.first() {
            Some(ContentBlock::Text(block)) => serde_json::from_str(&block.text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// Names of the domains that are served.
    pub(crate) async fn domains(&self) -> Vec<String> {
        let summary = self.ask("discover_tools", json!({})).await;
        let domains = summary["domains"].as_array().expect("domains").iter();
        domains.map(|domain| domain["name"].as_str().expect("a name").to_owned()).collect()
    }
}
