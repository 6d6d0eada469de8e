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
//!
//! # Too many
//!
//! The connection that has been idle for longest gives its place to a newcomer. Where all are in use, a connection
//! beyond the limit has seconds to say what it wants, and ends with the answer. A few of them are served
//! at once, so that probes get through; more wait unaccepted.

mod activity;
mod connection;
mod streams;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::activity::Activity;
use self::connection::{Connection, Place};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::shed::{Gate, Seat};
use crate::site::Site;

/// Pause after an error that concerns the listener and not one connection, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How many connections beyond the limit are served at once, each for one request: probes get their answer and others
/// a refusal.
const OVERFLOW: usize = 64;

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
    metrics: Metrics,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    grace: Duration,
    drain_timeout: Duration,
    max_connection_age: Duration,
    idle: Duration,
    stall: Duration,
}

impl Phases {
    pub(crate) fn new(options: &Options, shutdown: CancellationToken, metrics: Metrics) -> Self {
        let limits = Limits {
            grace: options.drain_grace,
            drain_timeout: options.drain_timeout,
            max_connection_age: options.max_connection_age,
            idle: options.connection_idle_timeout,
            stall: options.answer_stall_timeout,
        };
        Self {
            draining: shutdown,
            finishing: CancellationToken::new(),
            closing: CancellationToken::new(),
            running: TaskTracker::new(),
            limits,
            metrics,
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

/// Whatever a new connection needs.
struct Entrance<'a> {
    site: Arc<Site>,
    phases: Phases,
    gate: &'a Gate,
    overflow: Arc<Semaphore>,
    /// What those that have a place are doing.
    seated: Vec<Weak<Activity>>,
}

/// Serves until the node was told to stop and everything is finished. Dropping it cuts every connection.
pub(crate) async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    phases: Phases,
    gate: &Gate,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let overflow = Arc::new(Semaphore::new(OVERFLOW));
    let mut entrance = Entrance { site, phases: phases.clone(), gate, overflow, seated: Vec::new() };
    let mut last_call = std::pin::pin!(phases.last_call());
    loop {
        tokio::select! {
            // Without room even for those who are only told so, newcomers wait in the listener's queue.
            accepted = entrance.accept(&listener) => match accepted {
                Ok((stream, peer)) => entrance.take(&mut connections, stream, peer.ip()),
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
    while let Ok((stream, peer)) = listener.accept() {
        stream.set_nonblocking(true)?;
        entrance.take(&mut connections, TcpStream::from_std(stream)?, peer.ip());
    }
    drop(listener);
    phases.closing.cancel();
    while connections.join_next().await.is_some() {}
    Ok(())
}

impl Entrance<'_> {
    /// The next connection, once there is a place for it.
    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        if self.gate.is_full() {
            // Given back at once: the place is taken by the connection itself, and nobody else takes any.
            drop(self.overflow.acquire().await);
        }
        listener.accept().await
    }

    fn take(&mut self, connections: &mut JoinSet<()>, stream: TcpStream, peer: IpAddr) {
        // Without this, small replies wait for the client's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let activity = Activity::new(self.phases.limits.idle);
        let place = match self.seat() {
            Some(seat) => {
                self.remember(&activity);
                Place::Seat(seat)
            }
            // Accepted while the last places went: closed at once.
            None => match Arc::clone(&self.overflow).try_acquire_owned() {
                Ok(permit) => Place::Overflow(permit),
                Err(_) => return,
            },
        };
        let connection = Connection::new(self.phases.clone(), place, activity, peer);
        connections.spawn(connection.serve(stream, Arc::clone(&self.site)));
    }

    /// A place; where there is none, that of the connection that has been idle for longest.
    fn seat(&mut self) -> Option<Seat> {
        if self.gate.is_full() {
            let seated = self.seated.iter().filter_map(Weak::upgrade);
            let idle = seated.filter_map(|activity| Some((activity.idle_since()?, activity)));
            if let Some((_, activity)) = idle.min_by_key(|(since, _)| *since) {
                activity.ask_to_leave();
                return Some(self.gate.seat_of_leaver());
            }
        }
        self.gate.seat()
    }

    fn remember(&mut self, activity: &Arc<Activity>) {
        if self.seated.len() == self.seated.capacity() {
            // Those that are gone make room before the list grows.
            self.seated.retain(|activity| activity.strong_count() > 0);
            self.seated.reserve(self.seated.len().max(64));
        }
        self.seated.push(Arc::downgrade(activity));
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Live, Upstreams};

    fn phases(max_connection_age: Duration) -> Phases {
        phases_of(&Options { max_connection_age, ..Options::default() })
    }

    fn phases_of(options: &Options) -> Phases {
        let metrics = Metrics::new(None, &Arc::new(Live::new(Upstreams::default())));
        Phases::new(options, CancellationToken::new(), metrics)
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
            let phases = phases_of(&options);
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
