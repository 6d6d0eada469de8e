//! A hook service, connected or not.
//!
//! One connection at a time, and each to one start of the service: it is never made again behind the back of a call,
//! because what the service kept for the call is gone with the process. A task of its own connects, asks what the service
//! is, and does so again as soon as the connection is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Uri;
use toolplane_proto::hooks::EndCallRequest;
use tower::Service as _;

use super::super::error::brief;
use super::super::{Failure, Phase, Phases};
use super::description::Description;
use super::link::{self, Link};
use super::unary::{Error, Frame};
use super::{Service, phase_of};
use crate::channel::{Connector, cause};

/// How long connecting and describing may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The waits between attempts: from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A connection that lived that long is made again at once; after shorter ones the waits grow.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// For how many attempts calls wait: a service that is restarted is back by then.
const PATIENT_ATTEMPTS: u32 = 5;
/// How many ends of calls are told at once, and how long each may take.
const ENDINGS_AT_ONCE: usize = 32;
const ENDING_DEADLINE: Duration = Duration::from_secs(5);

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

    /// Asks over a connection, or over the next one to the same start where the service has not looked at the question:
    /// services wind up connections that are old or idle, and nobody hears of it before the next question.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        link: &Link,
        phase: Phase,
        frame: Result<Frame, Error>,
    ) -> Result<A, Failure> {
        let mut frame = frame.map_err(|error| link.failure(error))?;
        let error = match link.ask(phase, &mut frame).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let is_unsent = matches!(error, Error::Unsent(_));
        let failure = link.failure(error);
        if !is_unsent {
            return Err(failure);
        }
        let next = self.link().await?;
        next.takes_part(phase)?;
        if next.instance != link.instance {
            return Err(Failure::Restarted);
        }
        next.ask(phase, &mut frame).await.map_err(|error| next.failure(error))
    }

    /// Connects and asks what the service is. The connection is worked by a task of the set.
    async fn connect(&self, connections: &mut JoinSet<()>) -> Result<Link, String> {
        let Service { address, tls, headers: _, allow_plain: _, max_answer_bytes, instance } = &self.service;
        let mut connector = Connector::new(address, tls).watched();
        let io = connector.call(Uri::default()).await.map_err(|error| cause(&*error))?.into_inner();
        let gone = CancellationToken::new();
        let (asker, wires) =
            link::shake_hands(io, address, gone.clone()).await.map_err(|error| error.to_string())?;
        connections.spawn(wires.work());
        let description = Description::ask(&asker, &self.build).await?;
        let Description { name, instance: found, phases, wants_end_call, headers } = description;
        if instance.as_ref().is_some_and(|expected| *expected.borrow() != found) {
            return Err("it is not the process that was started".to_owned());
        }
        let phases = self.known(&phases);
        let missing = self.announce(phases);
        self.wants_end_call.store(wants_end_call, Ordering::Relaxed);
        tracing::info!(
            hook.name = self.name,
            hook.service = brief(&name),
            hook.phases = ?phases,
            "connected to a hook service"
        );
        let max_answer_bytes = *max_answer_bytes;
        Ok(Link { asker, instance: found.into(), headers, missing, max_answer_bytes, gone })
    }

    /// The phases among these numbers.
    fn known(&self, numbers: &[i32]) -> Phases {
        let known: Vec<Phase> = numbers.iter().filter_map(|number| phase_of(*number)).collect();
        if known.len() < numbers.len() {
            tracing::warn!(
                hook.name = self.name,
                "a hook service wants a phase that this build does not know"
            );
        }
        known.into_iter().collect()
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
        // One that is given up is still worked while answers are awaited over it.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let attempt = tokio::time::timeout(CONNECT_DEADLINE, self.connect(&mut connections)).await;
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
        let ended = EndCallRequest { call_id, instance };
        if !matches!(tokio::time::timeout(ENDING_DEADLINE, link.tell_end(&ended)).await, Ok(Ok(_))) {
            tracing::debug!(hook.name = self.name, "a hook service did not hear of the end of a call");
        }
    }
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
