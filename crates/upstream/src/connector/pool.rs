//! Connections that are kept for the next call.
//!
//! Owns which connections wait, how many and how long. The newest goes first, so that what is too many grows old and is
//! closed. Over HTTP/2 there is one connection to an origin, which all calls share; a task of its own works it. Where
//! there may be such a one, calls connect by turns, so that those who come while it is made share it, too. A turn that
//! takes long or comes to nothing holds up nobody: those who waited connect as well, each for itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Options;
use super::dial::{self, Dialer, Stream};
use super::line::Line;
use super::place::Origin;
use super::turns::{self, Next, Turns};

/// How long nothing may come by HTTP/2, where requests wait, before the upstream is asked whether it is still there,
/// and how long it may take to say so. One connection carries all of them, so that one that is dead hurts them all.
const PING_AFTER: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// The end of a connection over HTTP/2 at which requests go in.
pub(super) type Shared = http2::SendRequest<Full<Bytes>>;

/// Connections of one set of TLS settings. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    max_idle: usize,
    idle_timeout: Duration,
    shelves: Mutex<HashMap<Origin, Arc<Shelf>>>,
    /// Somebody closes what is too old.
    is_swept: AtomicBool,
    tasks: TaskTracker,
}

/// Connections to one origin.
pub(super) struct Shelf {
    origin: Origin,
    /// Ends with the last holder of the pool's settings, whoever holds the shelf.
    pool: Weak<Inner>,
    kept: Mutex<Kept>,
    /// Whose turn it is to connect, where a connection may be one for all.
    turns: Turns,
    /// The newest connection is over HTTP/1.1, so that each call needs one of its own.
    is_for_one: AtomicBool,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last stands last.
    #[expect(clippy::vec_box, reason = "they go from call to call, and each is large")]
    lines: Vec<Box<Line>>,
    shared: Option<(Shared, Instant)>,
}

/// A connection that a request can be sent over.
pub(super) enum Connection {
    Line(Box<Line>),
    Shared(Shared),
}

/// A connection, and whether it was made for whoever asked.
pub(super) type Opened = (Connection, bool);

/// Why no connection came about.
#[derive(Debug)]
pub(super) enum Failure {
    Dial(dial::Failure),
    /// The connection stands, and does not speak HTTP.
    Http(hyper::Error),
    /// The settings that it was for are nobody's any more.
    Gone,
}

// ---- Pool ----

impl Pool {
    pub(super) fn new(tls: Arc<ClientConfig>, options: &Options) -> Self {
        Self(Arc::new(Inner {
            dialer: Dialer::new(tls, options.guard.clone()),
            max_idle: options.pool_max_idle_per_host,
            idle_timeout: options.pool_idle_timeout,
            shelves: Mutex::default(),
            is_swept: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        }))
    }

    /// The connections to an origin.
    pub(super) fn shelf(&self, origin: &Origin) -> Arc<Shelf> {
        let mut all = lock(&self.0.shelves);
        if let Some(shelf) = all.get(origin) {
            return Arc::clone(shelf);
        }
        let new = Arc::new(Shelf {
            origin: origin.clone(),
            pool: Arc::downgrade(&self.0),
            kept: Mutex::default(),
            turns: Turns::default(),
            // HTTP/2 is agreed on in the TLS handshake and nowhere else.
            is_for_one: AtomicBool::new(!origin.is_secure),
        });
        all.insert(origin.clone(), Arc::clone(&new));
        new
    }
}

impl Inner {
    /// Has somebody close what grows too old, for as long as there is anything.
    fn keep_swept(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.is_swept.swap(true, Ordering::SeqCst) {
            return;
        }
        let (pool, pause) = (Arc::downgrade(self), self.idle_timeout / 2);
        let sweeping = async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(pool) = pool.upgrade() else { return };
                if !pool.sweep() {
                    return;
                }
            }
        };
        self.tasks.spawn_on(sweeping, &runtime);
    }

    /// Closes what is too old and says whether to look again.
    fn sweep(&self) -> bool {
        let mut shelves = lock(&self.shelves);
        shelves.retain(|_, shelf| shelf.sweep(self.idle_timeout) || Arc::strong_count(shelf) > 1);
        // Said first: what is put back from here on calls somebody itself.
        self.is_swept.store(false, Ordering::SeqCst);
        let is_something = shelves.values().any(|shelf| !lock(&shelf.kept).is_empty());
        is_something && !self.is_swept.swap(true, Ordering::SeqCst)
    }
}

// ---- Shelf ----

impl Shelf {
    /// A connection that waits here, if there is one that is still good.
    pub(super) fn take(&self) -> Option<Connection> {
        loop {
            let mut kept = lock(&self.kept);
            if let Some((shared, used)) = &mut kept.shared {
                if !shared.is_closed() {
                    *used = Instant::now();
                    return Some(Connection::Shared(shared.clone()));
                }
                kept.shared = None;
            }
            let mut line = kept.lines.pop()?;
            drop(kept);
            if line.is_alive() {
                return Some(Connection::Line(line));
            }
        }
    }

    /// A connection for a call that found none, within a limit: a new one, or what others made meanwhile.
    pub(super) async fn open(&self, limit: Duration) -> Result<Opened, Failure> {
        let now = Instant::now();
        let (until, patience) = (now + limit, now + turns::head_start(limit));
        let mut turn = None;
        // Where there is nothing to share, nobody waits for the others.
        while !self.is_for_one() {
            let is_over = match self.turns.join() {
                Next::Ours(ours) => {
                    turn = Some(ours);
                    true
                }
                Next::Theirs(waiting) => waiting.ends_before(patience).await,
            };
            if let Some(connection) = self.take() {
                return Ok((connection, false));
            }
            if is_over {
                break;
            }
        }
        let opened = self.connect(until).await;
        if let Some(turn) = turn {
            turn.end();
        }
        opened
    }

    async fn connect(&self, until: Instant) -> Result<Opened, Failure> {
        let pool = self.pool.upgrade().ok_or(Failure::Gone)?;
        let left = until.saturating_duration_since(Instant::now());
        let stream = pool.dialer.dial(&self.origin, left).await.map_err(Failure::Dial)?;
        let is_http2 = stream.is_http2();
        self.is_for_one.store(!is_http2, Ordering::Relaxed);
        let connection = if is_http2 {
            Connection::Shared(self.share(&pool, stream).await.map_err(Failure::Http)?)
        } else {
            Connection::Line(Box::new(Line::open(stream).await.map_err(Failure::Http)?))
        };
        Ok((connection, true))
    }

    fn is_for_one(&self) -> bool {
        self.is_for_one.load(Ordering::Relaxed)
    }

    /// Keeps a connection whose exchange is complete.
    pub(super) fn put(&self, mut line: Box<Line>) {
        let Some(pool) = self.pool.upgrade().filter(|_| line.is_free()) else { return };
        line.idle_since = Instant::now();
        let mut kept = lock(&self.kept);
        let surplus = if kept.lines.len() < pool.max_idle {
            kept.lines.push(line);
            None
        } else {
            Some(line)
        };
        drop(kept);
        // Outside the lock: closing takes its time.
        drop(surplus);
        pool.keep_swept();
    }

    async fn share(&self, pool: &Arc<Inner>, stream: Stream) -> Result<Shared, hyper::Error> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING_AFTER).keep_alive_timeout(PONG_WITHIN);
        let (shared, work) = builder.handshake(TokioIo::new(stream)).await?;
        pool.tasks.spawn(async move {
            if let Err(error) = work.await {
                tracing::trace!(%error, "a connection over HTTP/2 broke");
            }
        });
        // Who comes second keeps its own for one call.
        let mut kept = lock(&self.kept);
        if kept.shared.as_ref().is_none_or(|(held, _)| held.is_closed()) {
            kept.shared = Some((shared.clone(), Instant::now()));
        }
        drop(kept);
        pool.keep_swept();
        Ok(shared)
    }

    /// Closes what is too old and says whether anything is left.
    fn sweep(&self, idle_timeout: Duration) -> bool {
        let mut kept = lock(&self.kept);
        let old = kept.lines.iter().take_while(|line| line.idle_since.elapsed() >= idle_timeout).count();
        let closed: Vec<_> = kept.lines.drain(..old).collect();
        if kept.lines.is_empty() {
            kept.lines.shrink_to_fit();
        }
        // Requests that are under way hold the connection too, and end before it does.
        kept.shared.take_if(|(shared, used)| shared.is_closed() || used.elapsed() >= idle_timeout);
        let is_something = !kept.is_empty();
        drop(kept);
        drop(closed);
        is_something
    }
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.shared.is_none()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origins", &lock(&self.0.shelves).len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
