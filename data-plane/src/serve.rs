//! The node's listener: takes connections, ages them, and empties the node when it has to go.
//!
//! # Leaving
//!
//! 1. *Draining*: the node is told to stop. It is no longer ready, and serves as before for the grace, so that load
//!    balancers have time to look. Answers over HTTP/1.1 end their connection, HTTP/2 connections get a GOAWAY.
//! 2. *Finishing*: subscriptions end. What is running runs on. Nobody is refused yet: the listener stays open until
//!    a moment comes in which nothing runs, or for half of the drain timeout.
//! 3. *Closing*: the listener closes, idle connections close, and what still runs has the rest of the drain timeout.
//!
//! # Age
//!
//! A connection that lasts forever would keep its load on the nodes that were there first. Past its age, which is
//! spread by a tenth, it ends in a way that cannot lose a request: with the next answer, or by GOAWAY.

mod connection;

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connection;
use crate::options::Options;

/// Pause after an error that concerns the listener and not one connection, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where a node is in its life, as its parts see it.
#[derive(Debug, Clone)]
pub(crate) struct Phases {
    /// Not ready anymore.
    pub(crate) draining: CancellationToken,
    /// The grace is over.
    pub(crate) finishing: CancellationToken,
    /// The listener is closed.
    closing: CancellationToken,
    /// Requests that are running.
    running: TaskTracker,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    grace: Duration,
    drain_timeout: Duration,
    max_connection_age: Duration,
}

impl Phases {
    pub(crate) fn new(options: &Options, shutdown: CancellationToken) -> Self {
        let Options { drain_grace, drain_timeout, max_connection_age, .. } = *options;
        Self {
            draining: shutdown,
            finishing: CancellationToken::new(),
            closing: CancellationToken::new(),
            running: TaskTracker::new(),
            limits: Limits { grace: drain_grace, drain_timeout, max_connection_age },
        }
    }

    /// Goes through the phases up to the one in which the listener has to close.
    async fn last_call(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(self.limits.grace).await;
        self.finishing.cancel();
        self.running.close();
        // Traffic that never pauses must not eat the time that the last of it needs to finish.
        let idle = tokio::time::timeout(self.limits.drain_timeout / 2, self.running.wait()).await;
        tracing::info!(idle = idle.is_ok(), "closing the listener");
    }

    /// Ends when even the drain timeout is over.
    pub(crate) async fn out_of_time(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(self.limits.grace + self.limits.drain_timeout).await;
    }

    /// The age at which a connection has to end; `None` for any age.
    fn connection_age(&self, random: u32) -> Option<Duration> {
        let age = self.limits.max_connection_age;
        (!age.is_zero()).then(|| age.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u32::MAX)))
    }
}

/// Serves until the node was told to stop and everything is finished. Dropping it cuts every connection.
pub(crate) async fn serve(listener: TcpListener, router: Router, phases: Phases) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let mut last_call = std::pin::pin!(phases.last_call());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => take(&mut connections, stream, &router, &phases),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut last_call => break,
        }
    }
    // What waits in the queue has been told that it is connected: closing the listener would reset it.
    let listener = listener.into_std()?;
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        take(&mut connections, TcpStream::from_std(stream)?, &router, &phases);
    }
    drop(listener);
    phases.closing.cancel();
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn take(connections: &mut JoinSet<()>, stream: TcpStream, router: &Router, phases: &Phases) {
    // Without this, small replies wait for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    connections.spawn(Connection::new(phases.clone()).serve(stream, router.clone()));
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(max_connection_age: Duration) -> Phases {
        let options = Options { max_connection_age, ..Options::default() };
        Phases::new(&options, CancellationToken::new())
    }

    #[test]
    fn ages_are_spread_by_a_tenth_and_zero_means_any_age() {
        let phases = phases(Duration::from_secs(100));
        assert_eq!(phases.connection_age(0), Some(Duration::from_secs(90)));
        assert_eq!(phases.connection_age(u32::MAX).map(|age| age.as_secs()), Some(110));
        assert_eq!(self::phases(Duration::ZERO).connection_age(7), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_listener_closes_once_nothing_runs_or_half_of_the_time_is_gone() {
        let options = Options {
            drain_grace: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            ..Options::default()
        };
        for (runs_for, closes_after) in [(0, 5), (9, 9), (100, 20)] {
            let phases = Phases::new(&options, CancellationToken::new());
            let start = tokio::time::Instant::now();
            let running = phases.running.token();
            phases.draining.cancel();
            let request = async {
                tokio::time::sleep(Duration::from_secs(runs_for)).await;
                drop(running);
            };
            let closed = async {
                phases.last_call().await;
                start.elapsed().as_secs()
            };
            let ((), closed) = tokio::join!(request, closed);
            assert_eq!(closed, closes_after, "a request of {runs_for} s");
            assert!(phases.finishing.is_cancelled());
        }
    }
}
