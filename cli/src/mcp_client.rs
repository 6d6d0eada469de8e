//! An MCP client for a node's endpoint: what `tool call` and the demo speak.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, JsonObject};
use rmcp::service::{RoleClient, RunningService, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::exit::Failure;

/// A session with a node.
#[derive(Debug)]
pub(crate) struct McpClient {
    session: RunningService<RoleClient, ()>,
    timeout: Duration,
}

impl McpClient {
    /// Connects to an MCP endpoint.
    pub(crate) async fn connect(
        url: &str,
        headers: &BTreeMap<String, String>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        // The HTTP client asks for a process-wide TLS provider; a second installation changes nothing.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut custom = HashMap::new();
        for (name, value) in headers {
            let wrong = |_| Failure::usage(format!("header `{name}` cannot be sent"));
            let name = HeaderName::try_from(name)
                .map_err(|_| Failure::usage(format!("`{name}` is no header name")))?;
            let mut value = HeaderValue::try_from(value).map_err(wrong)?;
            value.set_sensitive(true);
            custom.insert(name, value);
        }
        let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(custom);
        let serving = ().serve(StreamableHttpClientTransport::from_config(config));
        let session = tokio::time::timeout(timeout, serving)
            .await
            .map_err(|_| Failure::failed(format!("the node at `{url}` did not answer in time")))?;
        let session = match session {
            Ok(session) => session,
            Err(error) => {
                let failure = if is_refused(url).await {
                    Failure::unreachable(format!("no node answers at `{url}`: the connection is refused"))
                } else {
                    Failure::failed(format!("the node at `{url}` cannot be spoken to: {error}"))
                };
                return Err(
                    failure.hint("start one with `toolplane standalone`, or name one with `--node URL`")
                );
            }
        };
        Ok(Self { session, timeout })
    }

    /// Calls one of the node's meta-tools.
    pub(crate) async fn call(
        &self,
        meta_tool: &str,
        arguments: JsonObject,
    ) -> Result<CallToolResult, Failure> {
        let request = CallToolRequestParams::new(meta_tool.to_owned()).with_arguments(arguments);
        tokio::time::timeout(self.timeout, self.session.call_tool(request))
            .await
            .map_err(|_| Failure::failed("the call did not end in time"))?
            .map_err(|error| Failure::failed(format!("the call failed: {error}")))
    }

    /// Ends the session.
    pub(crate) async fn close(self) {
        // A session that fails to end is at its end all the same.
        drop(self.session.cancel().await);
    }
}

/// Whether nobody listens there. The error of a session does not hand out its cause.
async fn is_refused(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let connected = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The JSON document that a meta-tool answers with, in its first text block.
pub(crate) fn document(result: &CallToolResult) -> Option<Value> {
    match result.content.first() {
        Some(ContentBlock::Text(block)) => serde_json::from_str(&block.text).ok(),
        _ => None,
    }
}

/// The first text block; empty where there is none.
pub(crate) fn first_text(result: &CallToolResult) -> &str {
    match result.content.first() {
        Some(ContentBlock::Text(block)) => &block.text,
        _ => "",
    }
}
