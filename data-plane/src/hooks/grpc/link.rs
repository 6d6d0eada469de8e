//! A connection to one start of a hook service, with what that start said of itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, Reason};
use prost::Message;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};
use toolplane_proto::hooks::{EndCallRequest, EndCallResponse};
use toolplane_registry::policy::Globs;

use super::super::{Failure, Phase, Phases};
use super::path;
use super::pulse::Pulse;
use super::unary::{Asker, Error, Frame, Question, frame};
use crate::channel::Connection;
use crate::options::Address;

/// How long a ping may stay unanswered.
const PONG_DEADLINE: Duration = Duration::from_secs(20);
/// How much of one answer, and of all together, is taken before anybody reads it.
const WINDOW: u32 = 256 << 10;
const WINDOW_OF_ALL: u32 = 1 << 20;
/// How large the head of an answer may be.
const MAX_HEAD_BYTES: u32 = 16 << 10;
/// Largest answer that holds no result.
const MAX_SMALL_ANSWER_BYTES: usize = 4 << 20;

/// A connection to one start of the service.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) asker: Asker,
    pub(super) instance: Arc<str>,
    pub(super) headers: Option<Globs>,
    /// The phases that this start takes no part in, though an earlier one did.
    pub(super) missing: Phases,
    pub(super) max_answer_bytes: usize,
    /// Cancelled when the connection is gone.
    pub(super) gone: CancellationToken,
}

/// What is left of a connection for whoever works it.
pub(super) struct Wires {
    connection: h2::client::Connection<Box<dyn Connection>, Bytes>,
    pings: Option<PingPong>,
    pulse: Arc<Pulse>,
    _gone: DropGuard,
}

/// Speaks HTTP/2 over a connection; the token is cancelled when it is gone.
pub(super) async fn shake_hands(
    io: Box<dyn Connection>,
    address: &Address,
    gone: CancellationToken,
) -> Result<(Asker, Wires), h2::Error> {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW_OF_ALL)
        .max_header_list_size(MAX_HEAD_BYTES);
    let (requests, mut connection) = builder.handshake(io).await?;
    let asker = Asker::new(requests, address);
    let (pings, pulse) = (connection.ping_pong(), asker.pulse());
    Ok((asker, Wires { connection, pings, pulse, _gone: gone.drop_guard() }))
}

// ---- Wires ----

impl Wires {
    /// Works the connection until it ends, which it does by itself when nobody is left to ask anything.
    pub(super) async fn work(self) {
        let Self { connection, pings, pulse, _gone } = self;
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!("a connection to a hook service ended: {error}");
                }
            }
            () = watch(pings, &pulse) => tracing::debug!("a hook service no longer answers pings"),
        }
    }
}

/// Ends when a ping stays unanswered.
async fn watch(pings: Option<PingPong>, pulse: &Pulse) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        pulse.doubtful().await;
        let pong = tokio::time::timeout(PONG_DEADLINE, pings.ping(Ping::opaque()));
        if !matches!(pong.await, Ok(Ok(_))) {
            return;
        }
        pulse.hear();
    }
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

    /// Asks in a phase. What is answered with a result may be larger than what is not.
    pub(super) async fn ask<A: Message + Default>(
        &self,
        phase: Phase,
        frame: &mut Frame,
    ) -> Result<A, Error> {
        let most = if phase.is_about_result() { usize::MAX } else { MAX_SMALL_ANSWER_BYTES };
        let max_answer_bytes = self.max_answer_bytes.min(most);
        self.asker.ask(Question { path: path::of(phase), frame, max_answer_bytes }).await
    }

    /// Tells that a call is over.
    pub(super) async fn tell_end(&self, ended: &EndCallRequest) -> Result<EndCallResponse, Error> {
        let (path, max_answer_bytes) = (path::END_CALL, MAX_SMALL_ANSWER_BYTES);
        self.asker.ask(Question { path, frame: &mut frame(ended)?, max_answer_bytes }).await
    }

    /// What it means that there is no answer.
    pub(super) fn failure(&self, error: Error) -> Failure {
        match error {
            Error::Unsent(error) | Error::Lost(error) => {
                // Who comes next need not find out by itself.
                self.gone.cancel();
                Failure::Unavailable(error.to_string())
            }
            Error::Reset(Reason::REFUSED_STREAM) => {
                Failure::Unavailable("it takes no question now".to_owned())
            }
            Error::Reset(reason) => Failure::Failed(format!("it took the question back: {reason}")),
            Error::Status(status) => of_status(&status),
            Error::Invalid(words) => Failure::Invalid(words.to_owned()),
            Error::NoRoom => Failure::NoRoom,
        }
    }
}

fn of_status(status: &Status) -> Failure {
    let words = status.message().to_owned();
    match status.code() {
        Code::Unavailable => Failure::Unavailable(words),
        Code::FailedPrecondition => Failure::UnknownCall,
        Code::DeadlineExceeded => Failure::TimedOut,
        Code::OutOfRange | Code::DataLoss => Failure::Invalid(words),
        _ => Failure::Failed(words),
    }
}

#[cfg(test)]
mod tests {
    use toolplane_proto::hooks::{DescribeRequest, DescribeResponse};

    use super::super::pulse::PING_EVERY;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nobody_answers_any_more_is_given_up_by_questions_that_are_dropped() {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (address, gone) = (Address::Unix("/hooks.sock".into()), CancellationToken::new());
        let hands = shake_hands(Box::new(near), &address, gone.clone());
        let (ours, theirs) = tokio::join!(hands, h2::server::handshake(far));
        let (service, wires) = ours.unwrap();
        // The connection stays open, and nobody works it.
        let _deaf = theirs.unwrap();
        let ask = async || {
            let mut frame = frame(&DescribeRequest::default()).unwrap();
            let question = Question { path: path::DESCRIBE, frame: &mut frame, max_answer_bytes: 1 };
            let asked = service.ask::<DescribeResponse>(question);
            assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err());
        };
        let asking = async {
            ask().await;
            tokio::time::sleep(PONG_DEADLINE).await;
            assert!(!gone.is_cancelled(), "it may be slow");
            // Nothing is awaited whenever somebody might look.
            tokio::time::sleep(PING_EVERY).await;
            assert!(!gone.is_cancelled(), "nobody asked");
            ask().await;
            gone.cancelled().await;
        };
        tokio::join!(wires.work(), asking);
    }
}
