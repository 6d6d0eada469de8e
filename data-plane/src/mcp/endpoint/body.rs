//! The body of a request: all of it, within its limit and its time.

use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;

use super::Denial;

/// How long a client may take to send a body, so that nobody holds memory by sending slowly.
const BODY_DEADLINE: Duration = Duration::from_mins(1);

/// Reads it.
pub(super) async fn read<B>(body: B, limit: usize) -> Result<Bytes, Denial>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let read = tokio::time::timeout(BODY_DEADLINE, collect(body, limit)).await;
    read.unwrap_or(Err(Denial::Http(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")))
}

/// All of a body. What comes in one piece, as nearly everything does, is not copied.
async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, Denial>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Denial::Http(StatusCode::BAD_REQUEST, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(whole.len()) + data.len() > limit {
            let reason = "the body is larger than this node accepts";
            return Err(Denial::Http(StatusCode::PAYLOAD_TOO_LARGE, reason));
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}
