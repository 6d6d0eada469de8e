//! The few HTTP requests that measuring needs, over a connection each.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Whether `/readyz` says 200; `false` also where nobody answers yet.
pub(crate) async fn is_ready(url: &str) -> bool {
    send(url, "GET", "/readyz", "").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The answer to a call of a meta-tool, as it came.
pub(crate) async fn meta_tool(url: &str, name: &str, arguments: &str) -> anyhow::Result<String> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    send(url, "POST", "/mcp", &body).await
}

/// The answer to a GET, as it came.
pub(crate) async fn get(url: &str, path: &str) -> anyhow::Result<String> {
    send(url, "GET", path, "").await
}

/// A POST that is on its way. Dropped, it is given up.
pub(crate) async fn begin(
    url: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: &str,
) -> anyhow::Result<TcpStream> {
    let authority = url.strip_prefix("http://").context("not an http url")?;
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all([&head, "\r\n", body].concat().as_bytes()).await?;
    Ok(stream)
}

async fn send(url: &str, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
    let rest = url.strip_prefix("http://").context("not an http url")?;
    let authority = rest.split('/').next().unwrap_or(rest);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
