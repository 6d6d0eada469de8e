//! The few HTTP requests that measuring needs, over a connection each.

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Whether `/readyz` says 200; `false` also where nobody answers yet.
pub(crate) async fn is_ready(url: &str) -> bool {
    is_fine(url, "/readyz").await
}

/// Whether a path is answered with 200.
pub(crate) async fn is_fine(url: &str, path: &str) -> bool {
    get(url, path).await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The answer to a call of a meta-tool, as it came.
pub(crate) async fn meta_tool(url: &str, name: &str, arguments: &str) -> anyhow::Result<String> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    send(url, "POST", "/mcp", "", &body).await
}

/// The answer to a GET, as it came.
pub(crate) async fn get(url: &str, path: &str) -> anyhow::Result<String> {
    send(url, "GET", path, "", "").await
}

/// The same with an `authorization`.
pub(crate) async fn get_as(url: &str, path: &str, authorization: &str) -> anyhow::Result<String> {
    send(url, "GET", path, &format!("authorization: {authorization}\r\n"), "").await
}

/// The answer to a POST with an `authorization`, as it came.
pub(crate) async fn post(url: &str, path: &str, authorization: &str, body: &str) -> anyhow::Result<String> {
    send(url, "POST", path, &format!("authorization: {authorization}\r\n"), body).await
}

async fn send(url: &str, method: &str, path: &str, headers: &str, body: &str) -> anyhow::Result<String> {
    let headers = format!("connection: close\r\n{headers}");
    let mut stream = begin(url, method, path, &headers, body).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Sends a request on a connection of its own, whose answer is yet to be read; header lines end each with CR LF.
pub(crate) async fn begin(
    url: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> anyhow::Result<TcpStream> {
    let rest = url.strip_prefix("http://").context("not an http url")?;
    let authority = rest.split('/').next().unwrap_or(rest);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{headers}content-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}
