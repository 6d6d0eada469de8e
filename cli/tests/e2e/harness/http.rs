//! Plain HTTP: probes and the registration endpoints.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, TOKEN};

/// Waits until a node says that it is ready.
pub(crate) async fn ready(url: &str) {
    until("the node is ready", async || {
        http(url, "GET", "/readyz", None).await.is_some_and(|(code, _)| code == 200)
    })
    .await;
}

/// Asks again until it is so: for what no event tells.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if condition().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// One request with the registration token; `None` where nobody answers to the end.
pub(crate) async fn http(url: &str, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http url");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Registers an upstream through a node.
pub(crate) async fn register(url: &str, domain: &str, upstream: &str) -> Option<(u16, Value)> {
    http(url, "POST", "/registry/servers", Some(json!({"domain": domain, "url": upstream}))).await
}

/// The domains that a node lists, sorted.
pub(crate) async fn registered(url: &str) -> Vec<String> {
    let (code, body) = http(url, "GET", "/registry/servers", None).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    let servers = body["servers"].as_array().expect("servers").iter();
    let mut domains: Vec<String> =
        servers.map(|one| one["domain"].as_str().expect("a domain").to_owned()).collect();
    domains.sort();
    domains
}
