//! The connection to a hook service.
//!
//! One connection at a time, and each to one start of the service: it is never made again behind the back of a call,
//! because what the service kept for the call is gone with the process. A task of its own connects, asks what the service
//! is, and does so again as soon as the connection is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};
use toolplane_proto::hooks::hook_service_client::HookServiceClient;
use toolplane_proto::hooks::{DescribeRequest, DescribeResponse, EndCallRequest};
use toolplane_registry::policy::Globs;

use super::super::error::brief;
use super::super::{Failure, Phase, Phases};
use super::once::Once;
use super::{Service, phase_of};
use crate::channel::{self, Connector, cause};

/// How long connecting and describing may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How often a service is pinged that owes answers. Servers of gRPC close a connection on which they are pinged more often
/// than every five minutes, or while nobody asks anything; deadlines notice a dead service sooner in any case.
const PING_EVERY: Duration = Duration::from_secs(330);
const PONG_DEADLINE: Duration = Duration::from_secs(20);
/// The waits between attempts: from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A connection that lived that long is made again at once; after shorter ones the waits grow.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// For how many attempts calls wait: a service that is restarted is back by then.
const PATIENT_ATTEMPTS: u32 = 5;
/// Largest answer that holds no result.
const MAX_SMALL_ANSWER_BYTES: usize = 4 << 20;
/// How much a service may say of itself.
const MAX_INSTANCE_BYTES: usize = 128;
const MAX_PHASES: usize = 64;
const MAX_GLOBS: usize = 64;
const MAX_GLOB_BYTES: usize = 256;
/// How many ends of calls are told at once, and how long each may take.
const ENDINGS_AT_ONCE: usize = 32;
const ENDING_DEADLINE: Duration = Duration::from_secs(5);

/// A connection to one start of the service.
#[derive(Debug)]
pub(super) struct Link {
    client: HookServiceClient<Channel>,
    pub(super) instance: Arc<str>,
    pub(super) headers: Option<Globs>,
    /// The phases that this start takes no part in, though an earlier one did.
    missing: Phases,
    max_answer_bytes: usize,
    /// Cancelled when the connection is gone.
    gone: CancellationToken,
}

/// A service, connected or not.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    build: String,
    service: Service,
    state: watch::Sender<State>,
    /// What the service last said it takes part in. Until it said so, everything is asked, so that a service that never
    /// was there is not taken for one that wants nothing.
    phases: AtomicU8,
    /// What it ever said it takes part in.
    announced: AtomicU8,
    wants_end_call: AtomicBool,
}

#[derive(Debug, Clone)]
enum State {
    /// There was a connection a moment ago, or the node has only just started: calls wait for one.
    Connecting,
    Up(Arc<Link>),
    Down(String),
}

/// A call that ended.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(super) call_id: String,
    pub(super) instance: String,
}

/// What has to run for a service to be connected.
#[derive(Debug)]
pub(crate) struct Background {
    line: Arc<Line>,
    ended: mpsc::Receiver<Ending>,
}

// ---- Line ----

impl Line {
    pub(super) fn new(name: &str, service: &Service, build: &str) -> Self {
        Self {
            name: name.to_owned(),
            build: build.to_owned(),
            service: service.clone(),
            state: watch::Sender::new(State::Connecting),
            phases: AtomicU8::new(Phases::all().bits()),
            announced: AtomicU8::new(0),
            wants_end_call: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn phases(&self) -> Phases {
        Phases::from_bits(self.phases.load(Ordering::Relaxed))
    }

    pub(super) fn wants_end_call(&self) -> bool {
        self.wants_end_call.load(Ordering::Relaxed)
    }

    /// The connection; awaits one that is being made.
    pub(super) async fn link(&self) -> Result<Arc<Link>, Failure> {
        if let State::Up(link) = &*self.state.borrow()
            && !link.gone.is_cancelled()
        {
            return Ok(Arc::clone(link));
        }
        let mut states = self.state.subscribe();
        let settled = |state: &State| match state {
            State::Connecting => false,
            State::Up(link) => !link.gone.is_cancelled(),
            State::Down(_) => true,
        };
        match states.wait_for(settled).await.as_deref() {
            Ok(State::Up(link)) => Ok(Arc::clone(link)),
            Ok(State::Down(reason)) => Err(Failure::Unavailable(reason.clone())),
            Ok(State::Connecting) | Err(_) => Err(Failure::Unavailable("there is no connection".to_owned())),
        }
    }

    async fn connect(&self) -> Result<Link, String> {
        let Service { address, tls, headers: _, allow_plain: _, max_answer_bytes, instance } = &self.service;
        let gone = CancellationToken::new();
        let connector = Once::new(Connector::new(address, tls), gone.clone());
        let endpoint = channel::endpoint(address)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_DEADLINE)
            .keep_alive_while_idle(false)
            .tcp_nodelay(true);
        let channel = endpoint.connect_with_connector(connector).await.map_err(|error| cause(&error))?;
        // Until it has said what it is, it gets to say no more than the usual four megabytes.
        let mut client = HookServiceClient::new(channel);
        let request = DescribeRequest { node_build: self.build.clone() };
        let described =
            client.describe(request).await.map_err(|status| status.message().to_owned())?.into_inner();
        check(&described)?;
        if instance.as_ref().is_some_and(|expected| *expected.borrow() != described.instance) {
            return Err("it is not the process that was started".to_owned());
        }
        let headers = (!described.headers.is_empty())
            .then(|| Globs::compile(&described.headers))
            .transpose()
            .map_err(|rejection| rejection.to_string())?;
        let phases: Phases = described.phases.iter().filter_map(|phase| phase_of(*phase)).collect();
        let missing = self.announce(phases);
        if described.phases.iter().any(|phase| phase_of(*phase).is_none()) {
            tracing::warn!(
                hook.name = self.name,
                "a hook service wants a phase that this build does not know"
            );
        }
        self.wants_end_call.store(described.wants_end_call, Ordering::Relaxed);
        tracing::info!(
            hook.name = self.name,
            hook.service = brief(&described.name),
            hook.phases = ?phases,
            "connected to a hook service"
        );
        Ok(Link {
            client,
            instance: described.instance.into(),
            headers,
            missing,
            max_answer_bytes: *max_answer_bytes,
            gone,
        })
    }

    /// Takes note of what a start of the service takes part in; gives back what earlier ones did and it does not. Those
    /// phases are still asked for, and fail: a service that comes back with less must not open what it guarded.
    fn announce(&self, phases: Phases) -> Phases {
        let before = Phases::from_bits(self.announced.fetch_or(phases.bits(), Ordering::Relaxed));
        self.phases.store(before.bits() | phases.bits(), Ordering::Relaxed);
        let missing: Phases = Phase::ALL
            .into_iter()
            .filter(|phase| before.contains(*phase) && !phases.contains(*phase))
            .collect();
        if !missing.is_empty() {
            tracing::warn!(
                hook.name = self.name,
                hook.phases = ?missing,
                "a hook service no longer takes part in phases that it took part in before; they fail until it does or \
                 the node is restarted"
            );
        }
        missing
    }

    async fn follow(&self) {
        let (mut wait, mut failures) = (FIRST_WAIT, 0_u32);
        loop {
            let attempt = tokio::time::timeout(CONNECT_DEADLINE, self.connect()).await;
            match attempt.unwrap_or_else(|_| Err("it did not answer in time".to_owned())) {
                Ok(link) => {
                    let (gone, began) = (link.gone.clone(), Instant::now());
                    self.state.send_replace(State::Up(Arc::new(link)));
                    failures = 0;
                    gone.cancelled().await;
                    tracing::warn!(hook.name = self.name, "lost the connection to a hook service");
                    self.state.send_replace(State::Connecting);
                    if began.elapsed() >= LONG_LIFE {
                        wait = FIRST_WAIT;
                        continue;
                    }
                }
                Err(reason) => {
                    let reason = brief(&reason);
                    failures = failures.saturating_add(1);
                    if failures == PATIENT_ATTEMPTS {
                        tracing::warn!(hook.name = self.name, "a hook service cannot be reached: {reason}");
                    }
                    if failures >= PATIENT_ATTEMPTS {
                        self.state.send_replace(State::Down(reason));
                    }
                }
            }
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    async fn tell_end(&self, ending: Ending) {
        let State::Up(link) = self.state.borrow().clone() else { return };
        let Ending { call_id, instance } = ending;
        if *link.instance != *instance {
            // The service of that call is gone, and what it kept with it.
            return;
        }
        let mut client = link.client();
        let told = client.end_call(EndCallRequest { call_id, instance });
        if !matches!(tokio::time::timeout(ENDING_DEADLINE, told).await, Ok(Ok(_))) {
            tracing::debug!(hook.name = self.name, "a hook service did not hear of the end of a call");
        }
    }
}

/// Refuses a description that is larger than any has to be.
fn check(described: &DescribeResponse) -> Result<(), String> {
    let DescribeResponse { instance, phases, headers, .. } = described;
    if instance.is_empty() {
        return Err("it does not say which start of it this is".to_owned());
    }
    if instance.len() > MAX_INSTANCE_BYTES || phases.len() > MAX_PHASES {
        return Err("it says more of itself than it may".to_owned());
    }
    if headers.len() > MAX_GLOBS || headers.iter().any(|glob| glob.len() > MAX_GLOB_BYTES) {
        return Err("it asks for headers in too many words".to_owned());
    }
    Ok(())
}

// ---- Link ----

impl Link {
    /// Fails for a phase that this start dropped.
    pub(super) fn takes_part(&self, phase: Phase) -> Result<(), Failure> {
        if self.missing.contains(phase) {
            return Err(Failure::Failed("it no longer takes part in this phase".to_owned()));
        }
        Ok(())
    }

    /// For questions whose answers are small.
    pub(super) fn client(&self) -> HookServiceClient<Channel> {
        self.client.clone().max_decoding_message_size(self.max_answer_bytes.min(MAX_SMALL_ANSWER_BYTES))
    }

    /// For questions that are answered with a result.
    pub(super) fn whole_client(&self) -> HookServiceClient<Channel> {
        self.client.clone().max_decoding_message_size(self.max_answer_bytes)
    }

    /// What it means that a request failed.
    pub(super) fn failure(&self, status: &Status) -> Failure {
        let words = status.message();
        if self.gone.is_cancelled() || is_of_the_connection(status) {
            // Who comes next need not find out by itself.
            self.gone.cancel();
            return Failure::Unavailable(cause(status));
        }
        match status.code() {
            Code::Unavailable => Failure::Unavailable(words.to_owned()),
            Code::FailedPrecondition => Failure::UnknownCall,
            Code::DeadlineExceeded => Failure::TimedOut,
            Code::OutOfRange | Code::DataLoss => Failure::Invalid(words.to_owned()),
            _ => Failure::Failed(words.to_owned()),
        }
    }
}

/// Whether the connection is of no use any more. A service that takes back a single stream is still there for the others.
fn is_of_the_connection(status: &Status) -> bool {
    let mut causes =
        std::iter::successors(std::error::Error::source(status), |error| error.source()).peekable();
    causes.peek().is_some()
        && !causes.any(|error| error.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_reset))
}

// ---- Background ----

impl Background {
    pub(super) fn new(line: Arc<Line>, ended: mpsc::Receiver<Ending>) -> Self {
        Self { line, ended }
    }

    /// Stays connected and tells of calls that ended, until told to stop.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self { line, ended } = self;
        let telling = {
            let line = Arc::clone(&line);
            ReceiverStream::new(ended).for_each_concurrent(ENDINGS_AT_ONCE, move |ending| {
                let line = Arc::clone(&line);
                async move { line.tell_end(ending).await }
            })
        };
        let running = futures::future::join(line.follow(), telling);
        shutdown.run_until_cancelled(running).await;
    }
}
