//! Requests as far as the upstream looks at them, and honest answers.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::HONEST;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    /// The JSON-RPC method; empty where there is none.
    pub(super) method: String,
    /// The id as it was sent; empty where there is none.
    pub(super) id: String,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    method: String,
    id: Option<Box<RawValue>>,
}

impl Request {
    /// The next request; none where the connection ends first.
    pub(super) async fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut received = Vec::new();
        let head_len = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            read_more(stream, &mut received).await?;
        };
        let head = String::from_utf8_lossy(received.get(..head_len)?).to_ascii_lowercase();
        let body_len: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |value| value.trim().parse().unwrap());
        while received.len() < head_len + body_len {
            read_more(stream, &mut received).await?;
        }
        let message = serde_json::from_slice::<Message>(received.get(head_len..)?);
        let Message { method, id } = message.unwrap_or(Message { method: String::new(), id: None });
        Some(Self { method, id: id.map_or_else(String::new, |id| id.get().to_owned()) })
    }

    /// What a decent upstream says.
    pub(super) fn honest_answer(&self) -> String {
        let result = match self.method.as_str() {
            "" => return "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned(),
            _ if self.id.is_empty() => return "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "initialize" => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}"#
                    .to_owned()
            }
            _ => format!(r#"{{"content":[{{"type":"text","text":"{HONEST}"}}]}}"#),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        format!("{head}{}\r\n\r\n{body}", body.len())
    }
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(received).await.ok()?;
    (read > 0).then_some(())
}
