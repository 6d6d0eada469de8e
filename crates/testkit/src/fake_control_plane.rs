//! A control plane that says whatever a test wants it to.
//!
//! Real gRPC on port 0: it sends any update to every node that subscribes, records each hello, ACK and NACK, and
//! answers registrations from a script. Stops when dropped.
//!
//! ```
//! # async fn example(snapshot: toolplane_registry::Snapshot) {
//! let control_plane = toolplane_testkit::FakeControlPlane::start().await;
//! control_plane.publish(&snapshot);
//! // … start a node that follows control_plane.address() …
//! control_plane.wait_for_ack(1).await;
//! # }
//! ```

mod registration;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use toolplane_proto::encode;
use toolplane_proto::sync::registration_service_server::RegistrationServiceServer;
use toolplane_proto::sync::subscribe_request::Message;
use toolplane_proto::sync::sync_service_server::SyncServiceServer;
use toolplane_proto::sync::{Ack, Hello, Hold, Nack, RefreshError, Update};
use toolplane_registry::{Snapshot, Version};

/// The registration credential that it accepts.
pub const CREDENTIAL: &str = "Bearer registration-token";

/// A running control plane.
#[derive(Debug)]
pub struct FakeControlPlane {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

/// What the services and their owner hold.
#[derive(Debug)]
struct Shared {
    /// The newest update; nodes that come later get it too.
    update: watch::Sender<Option<Update>>,
    /// Everything that nodes said, in order.
    heard: watch::Sender<Vec<Message>>,
    /// Names of registration methods that were called, in order.
    called: watch::Sender<Vec<&'static str>>,
    script: std::sync::Mutex<Script>,
    /// Whether registration methods answer; while false they wait.
    answering: watch::Sender<bool>,
    stop: CancellationToken,
    streams: TaskTracker,
}

/// How registrations end.
#[derive(Debug, Default)]
struct Script {
    refusal: Option<Status>,
    hello_refusal: Option<Status>,
    effect: Option<Snapshot>,
    refresh_errors: Vec<RefreshError>,
    /// The version that answers name.
    version: Version,
    /// The rollout that answers name.
    hold: Option<Hold>,
}

impl FakeControlPlane {
    /// Starts one on a free port of the loopback interface.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            update: watch::Sender::new(None),
            heard: watch::Sender::default(),
            called: watch::Sender::default(),
            script: std::sync::Mutex::default(),
            answering: watch::Sender::new(true),
            stop: stop.clone(),
            streams: TaskTracker::new(),
        });
        let router = tonic::transport::Server::builder()
            .add_service(SyncServiceServer::new(stream::Sync(Arc::clone(&shared))))
            .add_service(RegistrationServiceServer::new(registration::Registration(Arc::clone(&shared))));
        let mut serving = JoinSet::new();
        let until = stop.clone();
        serving.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(incoming, until.cancelled_owned()).await.unwrap();
        });
        Self { address, shared, stop, serving }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a whole snapshot to every node, with a fresh nonce.
    pub fn publish(&self, snapshot: &Snapshot) {
        self.shared.publish(snapshot);
    }

    /// Sends an update as it is; an empty nonce is replaced by a fresh one.
    pub fn send(&self, update: Update) {
        self.shared.update.send_replace(Some(update));
    }

    /// Makes registration methods fail from now on.
    pub fn refuse(&self, status: Status) {
        self.shared.script.lock().unwrap().refusal = Some(status);
    }

    /// Ends every stream that begins from now on with this status, or takes nodes again.
    pub fn refuse_hello(&self, status: Option<Status>) {
        self.shared.script.lock().unwrap().hello_refusal = status;
    }

    /// What the next change publishes.
    pub fn on_change(&self, snapshot: Snapshot) {
        self.shared.script.lock().unwrap().effect = Some(snapshot);
    }

    /// Answers name this version from now on, whether it was published or not.
    pub fn promise(&self, version: &Version) {
        self.shared.script.lock().unwrap().version = version.clone();
    }

    /// Answers name this rollout from now on.
    pub fn hold(&self, hold: Hold) {
        self.shared.script.lock().unwrap().hold = Some(hold);
    }

    /// The domains that a refresh cannot list.
    pub fn refresh_errors(&self, errors: Vec<RefreshError>) {
        self.shared.script.lock().unwrap().refresh_errors = errors;
    }

    /// Holds back the answers of registration methods, or lets them go.
    pub fn set_answering(&self, answering: bool) {
        self.shared.answering.send_replace(answering);
    }

    /// Waits until a registration method was called so often.
    pub async fn wait_for_calls(&self, method: &str, count: usize) {
        let mut called = self.shared.called.subscribe();
        called
            .wait_for(|called| called.iter().filter(|name| **name == method).count() >= count)
            .await
            .unwrap();
    }

    /// How often a registration method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.shared.called.borrow().iter().filter(|name| **name == method).count()
    }

    /// The hellos received so far.
    pub fn hellos(&self) -> Vec<Hello> {
        self.heard(|message| if let Message::Hello(hello) = message { Some(hello.clone()) } else { None })
    }

    /// The ACKs received so far.
    pub fn acks(&self) -> Vec<Ack> {
        self.heard(|message| if let Message::Ack(ack) = message { Some(ack.clone()) } else { None })
    }

    /// Waits until some node acknowledged the version.
    pub async fn wait_for_ack(&self, number: u64) -> Ack {
        self.wait_for(|message| match message {
            Message::Ack(ack) if ack.version.as_ref().is_some_and(|version| version.number == number) => {
                Some(ack.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits until some node has refused so many updates; the last refusal.
    pub async fn wait_for_nacks(&self, count: usize) -> Nack {
        let refusal =
            |message: &Message| if let Message::Nack(nack) = message { Some(nack.clone()) } else { None };
        let mut heard = self.shared.heard.subscribe();
        let heard = heard.wait_for(|heard| heard.iter().filter_map(refusal).count() >= count).await.unwrap();
        heard.iter().filter_map(refusal).next_back().unwrap()
    }

    /// Waits until some node said something, and returns what `pick` made of it.
    pub async fn wait_for<T>(&self, pick: impl Fn(&Message) -> Option<T> + Send + Sync) -> T {
        let mut heard = self.shared.heard.subscribe();
        let heard =
            heard.wait_for(|heard| heard.iter().any(|message| pick(message).is_some())).await.unwrap();
        heard.iter().find_map(pick).unwrap()
    }

    /// Stops it and waits until its port is closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.serving.join_next().await.is_some() {}
        self.shared.streams.close();
        self.shared.streams.wait().await;
    }

    fn heard<T>(&self, pick: impl Fn(&Message) -> Option<T>) -> Vec<T> {
        self.shared.heard.borrow().iter().filter_map(pick).collect()
    }
}

impl Drop for FakeControlPlane {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn publish(&self, snapshot: &Snapshot) {
        self.script.lock().unwrap().version = snapshot.version().clone();
        self.update.send_replace(Some(encode::full_update(snapshot, String::new())));
    }
}
