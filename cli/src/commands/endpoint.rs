//! One call of a meta-tool through a node, as any MCP client makes it.

use std::io;
use std::time::Duration;

use rmcp::model::{CallToolResult, JsonObject};

use super::headers;
use crate::args::{DataDirArg, Endpoint};
use crate::env::{self, Variables};
use crate::exit::Failure;
use crate::mcp_client::McpClient;
use crate::settings::{self, DataDir};

/// Calls a meta-tool of the node that was named, or of the gateway of the data folder.
pub(super) async fn call(
    endpoint: &Endpoint,
    data_dir: &DataDirArg,
    meta_tool: &str,
    request: JsonObject,
    variables: &Variables,
) -> Result<CallToolResult, Failure> {
    let Endpoint { node, header_env, header_file, timeout } = endpoint;
    let headers = headers::read(header_env, header_file, variables)?;
    let dir = settings::read(variables, |reader| DataDir::read(reader, data_dir.data_dir.as_deref()))?;
    let url = match node.as_deref().or_else(|| variables.get(&env::NODE_URL)) {
        Some(url) => endpoint_of(url),
        None => local_node(&dir)?,
    };
    let client = McpClient::connect(&url, &headers, Duration::from_secs(*timeout)).await?;
    let result = client.call(meta_tool, request).await;
    client.close().await;
    result
}

/// Whoever names a node alone means its MCP endpoint.
fn endpoint_of(url: &str) -> String {
    let url = url.trim();
    match url.trim_end_matches('/').split_once("://") {
        Some((scheme, host)) if !host.contains(['/', '?', '#']) => format!("{scheme}://{host}/mcp"),
        _ => url.to_owned(),
    }
}

/// The gateway of the data folder writes down where it listens.
fn local_node(dir: &DataDir) -> Result<String, Failure> {
    match std::fs::read_to_string(dir.node_url()) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::unreachable(format!(
            "no gateway runs in the data folder `{}`",
            dir.path().display()
        ))
        .hint("start one with `toolplane standalone`, or name a node with `--node URL`")),
        Err(error) => Err(Failure::failed(format!("`{}` cannot be read: {error}", dir.node_url().display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_alone_is_its_mcp_endpoint() {
        for (named, meant) in [
            ("http://node:8080", "http://node:8080/mcp"),
            (" https://node/ ", "https://node/mcp"),
            ("http://node/mcp", "http://node/mcp"),
            ("http://node/gateway/mcp/", "http://node/gateway/mcp/"),
            ("node:8080", "node:8080"),
        ] {
            assert_eq!(endpoint_of(named), meant);
        }
    }
}
