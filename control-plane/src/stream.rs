//! The sync stream: one task per node that is told of every newer state.
//!
//! Owns the gRPC side of `toolplane.sync.v1.SyncService`. What to say is decided by [`session`], which is pure;
//! what is known of nodes is kept by [`nodes`]. Never builds a snapshot and never waits for a slow node: only
//! the newest state is ever on its way.

pub mod fleet;
pub mod nodes;
pub mod session;

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use toolplane_proto::sync;
use toolplane_registry::Version;

use self::nodes::Nodes;
use self::session::{Action, Session};
use crate::clock::Clock;
use crate::snapshots;

/// Serves the sync stream.
#[derive(Debug, Clone)]
pub struct Service {
    snapshots: snapshots::Handle,
    nodes: Nodes,
    clock: Clock,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// How long a node that holds a later version than is known here waits for the database to be reread.
const REREAD_DEADLINE: Duration = Duration::from_secs(5);

type Outbox = mpsc::Sender<Result<sync::SubscribeResponse, Status>>;

impl Service {
    /// A service whose streams end when the token is cancelled.
    pub fn new(
        snapshots: snapshots::Handle,
        nodes: Nodes,
        clock: Clock,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self { snapshots, nodes, clock, tasks, shutdown }
    }

    /// One node's stream, from its Hello to its end.
    async fn serve(self, mut inbox: Streaming<sync::SubscribeRequest>, outbox: Outbox) {
        let result = self.converse(&mut inbox, &outbox).await;
        if let Err(status) = result {
            // The node may be gone already.
            drop(outbox.send(Err(status)).await);
        }
    }

    async fn converse(
        &self,
        inbox: &mut Streaming<sync::SubscribeRequest>,
        outbox: &Outbox,
    ) -> Result<(), Status> {
        let first = self.shutdown.run_until_cancelled(inbox.next()).await.flatten();
        let first = first.ok_or_else(|| Status::cancelled("no Hello was sent"))??;
        let Some(sync::subscribe_request::Message::Hello(hello)) = first.message else {
            return Err(Status::failed_precondition("the first message of a stream must be Hello"));
        };
        let mut session = Session::open(&hello)?;
        let held = hello.held.clone().map_or_else(Version::none, Version::from);
        let ruled_out = self.snapshots.rule_out_restore(&held, self.clock.now(), REREAD_DEADLINE).await;
        ruled_out.map_err(|error| {
            tracing::warn!(node.id = %hello.node_id, %error, "cannot tell whether `{held}` is of this store");
            Status::unavailable("the control plane cannot read its database")
        })?;
        let presence = self.nodes.connect(&hello).await;
        tracing::info!(node.id = %hello.node_id, node.build = %hello.build, "node `{}` connected", hello.node_id);
        let mut newest = self.snapshots.subscribe();
        newest.mark_changed();
        let ended = loop {
            let action = tokio::select! {
                () = self.shutdown.cancelled() => break Err(Status::unavailable("the control plane is stopping")),
                message = inbox.next() => match message {
                    // Ended or broken: a node that goes away says no more than that.
                    None | Some(Err(_)) => break Ok(()),
                    Some(Ok(request)) => match session.received(request) {
                        Ok(action) => action,
                        Err(status) => break Err(status),
                    },
                },
                changed = newest.changed() => {
                    if changed.is_err() {
                        break Err(Status::unavailable("the control plane is stopping"));
                    }
                    let snapshot = std::sync::Arc::clone(&newest.borrow_and_update().snapshot);
                    session.newer(snapshot)
                }
            };
            if let Err(status) = self.perform(action, &presence, outbox).await {
                break Err(status);
            }
        };
        presence.disconnect().await;
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
                presence.acked(version, digest, persisted).await;
                next
            }
            Action::Nacked { held, rejections, refused, next } => {
                presence.nacked(held, rejections, refused).await;
                next
            }
        };
        let Some(update) = update else { return Ok(()) };
        let message = Some(sync::subscribe_response::Message::Update(*update));
        let sent = outbox.send(Ok(sync::SubscribeResponse { message })).await;
        sent.map_err(|_| Status::cancelled("the node went away"))
    }
}

#[tonic::async_trait]
impl sync::sync_service_server::SyncService for Service {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<sync::SubscribeResponse, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<sync::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        // One update on its way and one end of stream: what is newer waits in the watch channel, not here.
        let (outbox, outgoing) = mpsc::channel(2);
        self.tasks.spawn(self.clone().serve(request.into_inner(), outbox));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}
