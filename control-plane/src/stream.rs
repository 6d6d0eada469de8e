//! The sync stream: one task per node that is told of every newer state.
//!
//! Owns the gRPC side of `toolplane.sync.v1.SyncService`. What to say is decided by [`session`], which is pure;
//! what is known of nodes is kept by [`nodes`], and what is sent is encoded by [`frames`], once for all nodes. Never
//! builds a snapshot and waits neither for a slow node nor for the database: only the newest state is ever on its way.

mod bounds;
pub mod fleet;
mod frames;
mod inbox;
pub mod nodes;
mod records;
mod reply;
pub mod session;

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Response, Status, Streaming};
use toolplane_proto::sync;
use toolplane_registry::Version;

use self::frames::{Frames, Shelf};
use self::nodes::Nodes;
use self::reply::Ticket;
use self::session::{Action, Session};
use crate::admin::auth::Identity;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::service::Activity;
use crate::snapshots;
use crate::standing::{self, Pass};

pub use self::reply::Server;

/// Serves the sync stream.
#[derive(Debug, Clone)]
pub struct Service {
    snapshots: snapshots::Handle,
    nodes: Nodes,
    clock: Clock,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    metrics: Metrics,
    shelf: Shelf,
}

/// How long a node that holds a later version than is known here waits for the database to be reread.
const REREAD_DEADLINE: Duration = Duration::from_secs(5);

type Outbox = mpsc::Sender<Result<Frames, Status>>;

impl Service {
    /// A service whose streams end when the token is cancelled.
    pub fn new(
        snapshots: snapshots::Handle,
        nodes: Nodes,
        clock: Clock,
        (tasks, shutdown): (TaskTracker, CancellationToken),
        metrics: Metrics,
    ) -> Self {
        Self { snapshots, nodes, clock, tasks, shutdown, metrics, shelf: Shelf::default() }
    }

    /// One node's stream, from its Hello to its end.
    async fn serve(
        self,
        mut inbox: Streaming<sync::SubscribeRequest>,
        outbox: Outbox,
        (pass, peer): (Option<Pass>, Option<SocketAddr>),
    ) {
        let result = tokio::select! {
            // Nothing is sent to whoever was shut out, also where it waits for room.
            biased;
            () = standing::lapsed(pass.as_ref()) => Err(standing::refusal()),
            result = self.converse(&mut inbox, &outbox, peer) => result,
        };
        if let Err(status) = result {
            if !matches!(status.code(), Code::Unavailable | Code::Cancelled) {
                let code = status.code();
                tracing::warn!(%code, "a stream was ended, because {}", status.message());
            }
            self.shelf.sweep();
            // The node may be gone already.
            drop(outbox.send(Err(status)).await);
        }
    }

    async fn converse(
        &self,
        inbox: &mut Streaming<sync::SubscribeRequest>,
        outbox: &Outbox,
        peer: Option<SocketAddr>,
    ) -> Result<(), Status> {
        let hello = self.shutdown.run_until_cancelled(inbox::hello(inbox)).await;
        let hello = hello.unwrap_or_else(|| Err(stopping()))?;
        let mut session = Session::open(&hello)?;
        let mut reach = self.snapshots.reach_of_database();
        if !*reach.borrow() {
            return Err(without_database());
        }
        let held = hello.held.clone().map_or_else(Version::none, Version::from);
        let ruled_out = self.snapshots.rule_out_restore(&held, self.clock.now(), REREAD_DEADLINE).await;
        ruled_out.map_err(|error| {
            if let snapshots::Error::Implausible(_) = error {
                tracing::warn!(node.id = %hello.node_id, "refused node `{}`: {error}", hello.node_id);
                return Status::failed_precondition(format!("{error}: start the node without its last-known-good, or the control plane again if the database was restored twice"));
            }
            tracing::warn!(node.id = %hello.node_id, %error, "cannot tell whether `{held}` is of this store");
            without_database()
        })?;
        let _open = self.metrics.stream();
        let presence = self.nodes.connect(&hello, peer);
        tracing::info!(node.id = %hello.node_id, node.build = %hello.build, "node `{}` connected", hello.node_id);
        let mut newest = self.snapshots.subscribe();
        newest.mark_changed();
        let ended = loop {
            let action = tokio::select! {
                // Nothing is sent where the stream has to end, and an answer is followed by the newest there is.
                biased;
                () = self.shutdown.cancelled() => break Err(stopping()),
                () = snapshots::lost(&mut reach) => break Err(without_database()),
                changed = newest.changed() => {
                    if changed.is_err() {
                        break Err(stopping());
                    }
                    session.published(&newest.borrow_and_update())
                }
                message = inbox.next() => match message {
                    None => break Ok(()),
                    Some(Err(status)) => break Err(inbox::unreadable(&status)),
                    Some(Ok(request)) => match session.received(request) {
                        Ok(action) => action,
                        Err(status) => break Err(status),
                    },
                },
            };
            if let Err(status) = self.perform(action, &presence, outbox).await {
                break Err(status);
            }
        };
        presence.disconnect();
        drop((session, newest));
        self.shelf.sweep();
        tracing::info!(node.id = %hello.node_id, "node `{}` disconnected", hello.node_id);
        ended
    }

    async fn perform(
        &self,
        action: Action,
        presence: &nodes::Presence,
        outbox: &Outbox,
    ) -> Result<(), Status> {
        let update = match action {
            Action::Nothing => None,
            Action::Send(update) => Some(update),
            Action::Acked { version, digest, persisted, next } => {
                fail::fail_point!("control-plane.ack.received");
                presence.acked(version, digest, persisted);
                self.shelf.sweep();
                next
            }
            Action::Nacked { held, rejections, refused, next } => {
                self.metrics.nack(&rejections);
                presence.nacked(held, rejections, refused);
                next
            }
        };
        let Some(update) = update else { return Ok(()) };
        let frames = self.shelf.frames(&update)?;
        self.metrics.update(update.bare.full, || frames.len());
        fail::fail_point!("control-plane.send.before");
        let sent = outbox.send(Ok(frames)).await;
        fail::fail_point!("control-plane.send.after");
        sent.map_err(|_| Status::cancelled("the node went away"))
    }
}

fn stopping() -> Status {
    Status::unavailable("the control plane is stopping")
}

/// Another control plane may have committed, which nodes of this one would never hear of.
fn without_database() -> Status {
    Status::unavailable("the control plane cannot read its database")
}

#[tonic::async_trait]
impl sync::sync_service_server::SyncService for Service {
    /// What is said goes past tonic's encoder: see [`reply`].
    type SubscribeStream = futures::stream::Pending<Result<sync::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<sync::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        // One update on its way and one end of stream: what is newer waits in the watch channel, not here.
        let (outbox, outgoing) = mpsc::channel(2);
        // A mount without a check of tokens has none that could be lost.
        let pass = request.extensions().get::<Identity>().map(|identity| identity.pass.clone());
        let peer = request.extensions().get::<Activity>().and_then(Activity::peer);
        self.tasks.spawn(self.clone().serve(request.into_inner(), outbox, (pass, peer)));
        let mut response = Response::new(futures::stream::pending());
        response.extensions_mut().insert(Ticket::new(outgoing));
        Ok(response)
    }
}
