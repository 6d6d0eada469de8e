//! Why an upstream could not be listed or called.
//!
//! Owns the failure kinds and what they mean for a caller. No text here ever holds a credential, a query string
//! or words of the upstream: the upstream's own message travels in a field of its own.

use toolplane_registry::{ErrorCode, RawJson, Rejection};

/// Why a request to an upstream failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The url guard refused the address; nothing was sent.
    #[error("refused by the url guard: {0}")]
    Refused(Rejection),
    /// No connection came about; nothing was sent.
    #[error("cannot connect to the upstream: {0}")]
    Connect(String),
    /// No secure connection came about; nothing was sent.
    #[error("cannot connect to the upstream securely: {0}")]
    Tls(String),
    /// The deadline passed.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// The connection broke after the request was sent.
    #[error("the connection to the upstream broke: {0}")]
    Interrupted(String),
    /// The upstream wants (other) credentials: it answered 401 or 403.
    #[error("the upstream refused the credentials with status {0}")]
    Unauthorized(u16),
    /// The upstream answered with a status that is not success.
    #[error("the upstream answered with status {}{}", .0, hint(*.0))]
    Status(u16),
    /// The upstream speaks only the transport that came before streamable HTTP; nothing was called.
    #[error(
        "the upstream speaks the older HTTP+SSE transport (2024-11-05), which is not supported; \
         register its streamable HTTP address, or update it"
    )]
    OldTransport,
    /// The upstream sent more than the limit.
    #[error("the upstream sent more than {limit} {unit}")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
        /// What was counted.
        unit: &'static str,
    },
    /// Whoever called has no room for the reply now; the call has run.
    #[error("there is no room for the upstream's reply")]
    NoRoom,
    /// What the upstream sent is not what the protocol asks for.
    #[error("the upstream broke the protocol: {0}")]
    Protocol(String),
    /// The upstream answered with a JSON-RPC error.
    #[error("the upstream answered with error {code}")]
    Rpc {
        /// The JSON-RPC error code.
        code: i64,
        /// The upstream's words; hostile text until somebody has cleaned it.
        message: String,
        /// The upstream's `data`.
        data: Option<RawJson>,
    },
    /// What the upstream is to be shown cannot be had; nothing was sent.
    #[error("the credentials for the upstream cannot be had: {0}")]
    Credentials(String),
    /// The HTTP client cannot be built.
    #[error("cannot set up the connector: {0}")]
    Setup(String),
}

impl Error {
    /// The kind of failure, for edges.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => ErrorCode::InvalidInput,
            Self::Timeout => ErrorCode::Timeout,
            Self::Setup(_) => ErrorCode::Internal,
            Self::NoRoom | Self::Credentials(_) => ErrorCode::Unavailable,
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Interrupted(_)
            | Self::Unauthorized(_)
            | Self::Status(_)
            | Self::OldTransport
            | Self::TooLarge { .. }
            | Self::Protocol(_)
            | Self::Rpc { .. } => ErrorCode::UpstreamFailed,
        }
    }

    /// Whether the call may have reached the upstream. `false` is certain, `true` is not.
    pub fn was_sent(&self) -> bool {
        !matches!(
            self,
            Self::Refused(_)
                | Self::Connect(_)
                | Self::Tls(_)
                | Self::Unauthorized(_)
                | Self::OldTransport
                | Self::Credentials(_)
                | Self::Setup(_)
        )
    }

    /// Whether the upstream answered at all, if only to refuse or to break the protocol.
    pub fn has_answered(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized(_)
                | Self::Status(_)
                | Self::OldTransport
                | Self::TooLarge { .. }
                | Self::NoRoom
                | Self::Protocol(_)
                | Self::Rpc { .. }
        )
    }

    /// Whether the same request may succeed a little later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout | Self::Interrupted(_) | Self::NoRoom | Self::Credentials(_) => {
                true
            }
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// What an operator may do about a status.
fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => " (a redirect, which is not followed: register the address that it leads to)",
        404 => " (is this the address of its MCP endpoint?)",
        _ => "",
    }
}
