//! Finding out how an upstream speaks.
//!
//! Only the control plane does this, when it lists tools; nodes are told. The stateless revision is asked for
//! first, by the one method that every server of it has; whatever is no proper answer leads to the handshake.

use std::sync::Arc;
use std::time::Duration;

use super::Target;
use super::era;
use super::message;
use super::session::{Lease, Sessions};
use super::stateless::{self, Discovery};
use super::transport::{Peer, Transport};
use crate::Error;

/// The share of the deadline that a server may take to say nothing.
const SHARE: u32 = 3;

/// How to go on talking.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) lease: Lease,
    pub(super) server_name: Option<String>,
}

pub(super) async fn find(
    sessions: &Sessions,
    transport: &Arc<Transport>,
    target: &Target,
    deadline: Duration,
) -> Result<Found, Error> {
    let peer = Peer::new(target);
    let discovered = tokio::time::timeout(deadline / SHARE, discover(transport, &peer)).await;
    let refusal = match discovered {
        Ok(Ok(Some(Discovery { speaks_ours: true, server_name }))) => {
            return Ok(Found { lease: sessions.stateless(target), server_name });
        }
        Ok(Err(error)) if !error.was_sent() => return Err(error),
        // What is said of versions says more than the failure of a handshake that is not offered.
        Ok(Err(error @ Error::Rpc { code: era::UNSUPPORTED_VERSION, .. })) => Some(error),
        Ok(Ok(Some(_))) => {
            Some(Error::Protocol("it speaks no protocol version that is known here".to_owned()))
        }
        Ok(Ok(None) | Err(_)) | Err(_) => None,
    };
    match sessions.fresh(target).await {
        Ok(lease) => {
            let server_name = lease.server_name().map(ToOwned::to_owned);
            Ok(Found { lease, server_name })
        }
        Err(Error::Status(400 | 404 | 405)) if transport.is_old_transport(&peer).await => {
            Err(Error::OldTransport)
        }
        Err(error) => Err(refusal.unwrap_or(error)),
    }
}

/// Asks for the stateless revision, and once more where the refusal itself says that it is spoken.
async fn discover(transport: &Transport, peer: &Peer) -> Result<Option<Discovery>, Error> {
    match ask(transport, peer).await {
        Err(error) if era::lists_stateless(&error) == Some(true) => ask(transport, peer).await,
        answer => answer,
    }
}

/// What the stateless revision answers; `None` where the answer is not one of its own.
async fn ask(transport: &Transport, peer: &Peer) -> Result<Option<Discovery>, Error> {
    const METHOD: &str = "server/discover";
    let peer = peer.clone().stateless().mirroring(|headers| stateless::mirror(headers, METHOD, None));
    let id = transport.next_id();
    let params = serde_json::json!({ "_meta": stateless::stamp(None) });
    let reply = transport.request(&peer, id, message::write(Some(id), METHOD, Some(&params))?).await?;
    Ok(stateless::parse_discovery(&reply.result))
}
