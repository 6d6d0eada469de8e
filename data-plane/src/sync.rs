//! Follows the control plane: subscribe, apply, acknowledge, reconnect.
//!
//! Owns the task that keeps [`Live`] current and the last-known-good file behind it. What an update means for the
//! protocol is decided in `sync/session.rs`, what it means for the snapshot in `sync/apply.rs`.

pub(crate) mod apply;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod last_good;
mod outage;
pub(crate) mod session;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::runtime::{Handle as Runtime, RuntimeFlavor};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use toolplane_proto::PROTOCOL_VERSION;
use toolplane_proto::sync::subscribe_request::Message as ToControlPlane;
use toolplane_proto::sync::subscribe_response::Message as FromControlPlane;
use toolplane_proto::sync::{Ack, HeldDomain, Hello, Nack, SubscribeRequest, Update};
use toolplane_registry::{Rejection, Rule};

use self::last_good::LastGood;
use self::outage::{Outage, Trouble};
use self::session::Session;
use crate::channel;
use crate::control_plane::ControlPlanes;
use crate::jitter::Jitter;
use crate::live::{Live, Served};
use crate::metrics::Metrics;
use crate::options::Options;

/// Answers that may wait to be sent; each belongs to one update, so more would mean a peer that does not read.
const OUTBOX: usize = 16;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Keeps the node current.
#[derive(Debug)]
pub(crate) struct Follower {
    live: Arc<Live>,
    control_planes: ControlPlanes,
    last_good: Option<Arc<LastGood>>,
    identity: Identity,
    metrics: Metrics,
    jitter: Jitter,
}

#[derive(Debug)]
struct Identity {
    node_id: String,
    build: String,
    labels: BTreeMap<String, String>,
}

/// How a stream ended.
enum End {
    /// The node is stopping.
    Shutdown,
    /// The stream broke; whether it had delivered something first.
    Broken { delivered: bool, trouble: Trouble, reason: String },
}

impl Follower {
    pub(crate) fn new(
        options: &Options,
        live: Arc<Live>,
        control_planes: ControlPlanes,
        last_good: Option<Arc<LastGood>>,
        metrics: Metrics,
        jitter: Jitter,
    ) -> Self {
        let identity = Identity {
            node_id: options.node_id.clone(),
            build: options.build.clone(),
            labels: options.labels.clone(),
        };
        Self { live, control_planes, last_good, identity, metrics, jitter }
    }

    /// Follows until told to stop; an absent control plane is waited for.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let (mut failures, mut outage) = (0, Outage::default());
        while !shutdown.is_cancelled() {
            match self.stream(&shutdown).await {
                End::Shutdown => break,
                End::Broken { delivered, trouble, reason } => {
                    failures = match delivered {
                        _ if trouble.is_lasting() => u32::MAX,
                        true => 0,
                        false => u32::saturating_add(failures, 1),
                    };
                    if delivered {
                        outage.is_over();
                    }
                    self.tell(&mut outage, trouble, &reason);
                    self.control_planes.turn();
                }
            }
            let pause = delay(failures, self.jitter.next());
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
    }

    /// Says what is wrong, aloud where it is news.
    fn tell(&self, outage: &mut Outage, trouble: Trouble, reason: &str) {
        let address = self.control_planes.current().map(ToString::to_string).unwrap_or_default();
        let version = self.live.load().snapshot().version().to_string();
        if !outage.is_news(&address, reason) {
            tracing::debug!(%address, %reason, ?trouble, "still without the control plane");
            return;
        }
        match trouble {
            Trouble::Refused => {
                tracing::error!(%address, %reason, snapshot.version = version, "the control plane refuses this node's token");
            }
            Trouble::Incompatible => {
                tracing::error!(%address, %reason, snapshot.version = version, "the control plane does not take this node");
            }
            Trouble::Oversized => {
                tracing::error!(%address, %reason, snapshot.version = version, "an update is larger than TOOLPLANE_MAX_UPDATE_BYTES allows");
            }
            Trouble::Lost => {
                tracing::warn!(%address, %reason, snapshot.version = version, "lost the control plane");
            }
            Trouble::Absent => {
                tracing::warn!(%address, %reason, snapshot.version = version, "no control plane answers; trying again");
            }
        }
    }

    /// One stream from hello to its end.
    async fn stream(&self, shutdown: &CancellationToken) -> End {
        let outcome = shutdown.run_until_cancelled(self.follow()).await;
        self.live.set_connected(false);
        outcome.unwrap_or(End::Shutdown)
    }

    /// How a stream ended, in words. Where the connection failed, its own say more than what the status makes of them.
    fn describe(&self, status: &Status) -> String {
        let reason = match std::error::Error::source(status) {
            Some(source) => self.control_planes.objection().unwrap_or_else(|| channel::cause(source)),
            None => status.message().to_owned(),
        };
        format!("{:?}: {reason}", status.code())
    }

    async fn follow(&self) -> End {
        let mut delivered = false;
        let broken = |delivered, status: &Status| End::Broken {
            delivered,
            trouble: Trouble::of(delivered, status),
            reason: self.describe(status),
        };
        let Some(mut client) = self.control_planes.sync() else {
            std::future::pending::<()>().await;
            return End::Shutdown;
        };
        let (answers, outbox) = mpsc::channel(OUTBOX);
        if answers.send(request(ToControlPlane::Hello(self.hello()))).await.is_err() {
            return broken(false, &Status::internal("the outbox is closed"));
        }
        let mut inbound = match client.subscribe(ReceiverStream::new(outbox)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return broken(false, &status),
        };
        let mut session = Session::default();
        loop {
            let message = match inbound.message().await {
                Ok(Some(response)) => response.message,
                Ok(None) => {
                    return broken(delivered, &Status::unavailable("the control plane ended the stream"));
                }
                Err(status) => return broken(delivered, &status),
            };
            // A message this build does not know comes from a newer peer and concerns something it can do without.
            let Some(FromControlPlane::Update(update)) = message else { continue };
            delivered = true;
            self.live.set_connected(true);
            let answer = self.take(&mut session, update).await;
            fail::fail_point!("node.ack.before");
            let sent = answers.send(request(answer)).await;
            fail::fail_point!("node.ack.after");
            if sent.is_err() {
                return broken(delivered, &Status::unavailable("the control plane stopped reading"));
            }
        }
    }

    fn hello(&self) -> Hello {
        let served = self.live.load();
        let snapshot = served.snapshot();
        let Identity { node_id, build, labels } = &self.identity;
        Hello {
            node_id: node_id.clone(),
            build: build.clone(),
            labels: labels.clone(),
            held: Some(snapshot.version().into()),
            protocol_version: PROTOCOL_VERSION,
            domains: snapshot
                .held()
                .map(|(domain, digest)| HeldDomain {
                    domain: domain.to_string(),
                    digest: digest.as_bytes().to_vec(),
                })
                .collect(),
        }
    }

    /// Applies one update and says what to answer.
    async fn take(&self, session: &mut Session, update: Update) -> ToControlPlane {
        let nonce = update.nonce.clone();
        let (held, bytes, began) = (self.live.load(), update.encoded_len(), Instant::now());
        let accepted = match session.check(held.snapshot().version(), &update) {
            Ok(()) => apply_aside(Arc::clone(&held), update).await,
            Err(rejection) => Err(vec![rejection]),
        };
        self.metrics.update(accepted.is_ok(), bytes, began.elapsed());
        match accepted {
            Ok(served) => self.accept(nonce, served).await,
            Err(rejections) => {
                for rejection in &rejections {
                    tracing::warn!(%nonce, rule = %rejection.rule, "refused an update: {rejection}");
                }
                ToControlPlane::Nack(Nack {
                    nonce,
                    held: Some(held.snapshot().version().into()),
                    rejections: rejections.iter().map(Into::into).collect(),
                })
            }
        }
    }

    async fn accept(&self, nonce: String, served: Served) -> ToControlPlane {
        let version = served.snapshot().version().clone();
        let (digest, tools) = (served.snapshot().digest(), served.snapshot().tool_count());
        fail::fail_point!("node.swap.before");
        self.live.swap(served);
        fail::fail_point!("node.swap.after");
        tracing::info!(snapshot.version = %version, snapshot.digest = %digest, tools, "serving a new snapshot");
        let persisted = match &self.last_good {
            None => false,
            Some(file) => {
                let began = Instant::now();
                let written = LastGood::write(Arc::clone(file), self.live.load()).await;
                self.metrics.last_good(written, began.elapsed());
                written
            }
        };
        ToControlPlane::Ack(Ack { nonce, version: Some((&version).into()), persisted })
    }
}

/// Decoding and checking thousands of tools takes longer than other tasks of this thread should wait.
async fn apply_aside(held: Arc<Served>, update: Update) -> Result<Served, Vec<Rejection>> {
    let work = move || apply::apply(held.snapshot(), update).and_then(Served::new);
    aside(work).await.unwrap_or_else(|| {
        Err(vec![Rejection::new("update", Rule::Consistency, "applying it failed inside the node")])
    })
}

/// Does work that takes long beside the tasks of this thread; `None` where it panics. Where one thread does
/// everything, as in a simulation, it is done at once: when it is done must not depend on another thread.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match Runtime::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => std::panic::catch_unwind(AssertUnwindSafe(work)).ok(),
        _ => tokio::task::spawn_blocking(work).await.ok(),
    }
}

fn request(message: ToControlPlane) -> SubscribeRequest {
    SubscribeRequest { message: Some(message) }
}

/// Exponential, capped, with the whole span as jitter: a fleet must not come back in step.
fn delay(failures: u32, random: u32) -> Duration {
    let span = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_DELAY);
    FIRST_DELAY / 2 + span.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_are_capped_and_spread() {
        assert_eq!(delay(0, 0), Duration::from_millis(100));
        assert_eq!(delay(0, u32::MAX), Duration::from_millis(300));
        assert_eq!(delay(3, u32::MAX), Duration::from_millis(1_700));
        assert_eq!(delay(u32::MAX, u32::MAX), LONGEST_DELAY + Duration::from_millis(100));
    }
}
