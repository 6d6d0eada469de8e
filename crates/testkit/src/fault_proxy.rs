//! A TCP proxy that treats what passes through it as badly as a test wants.
//!
//! Listens on a port of its own and forwards to an address or a Unix socket. What it does to the bytes can be
//! changed while it runs and holds for open connections as well as for later ones. Counts what happens, so that tests
//! wait for events instead of sleeping. Stops, and drops every connection, when dropped.
//!
//! ```
//! # async fn example(server: std::net::SocketAddr) {
//! use toolplane_testkit::fault_proxy::{FaultProxy, Faults};
//! let proxy = FaultProxy::start(server).await;
//! // … connect a client to proxy.address() …
//! proxy.opened(1).await;
//! proxy.set(Faults::stalled());
//! // … nobody hears of anybody …
//! proxy.set(Faults::default());
//! # }
//! ```

mod connection;
mod faults;
mod random;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

pub use faults::{Chunks, Faults, Latency, Way};
pub use random::{Random, seed};

/// The port of URLs that name none, and of which only this kind comes here without.
const POSTGRES: u16 = 5432;

/// A running proxy.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The accepting task, which owns the connections.
    _accepting: JoinSet<()>,
}

/// Where a proxy forwards to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A port.
    Tcp(SocketAddr),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted and forwarded.
    pub opened: usize,
    /// Those of them that are over.
    pub closed: usize,
    /// Connections that were reset as soon as they were there.
    pub refused: usize,
    /// Bytes that reached the target.
    pub to_target: u64,
    /// Bytes that reached clients.
    pub to_client: u64,
}

/// What the proxy and its connections hold.
#[derive(Debug)]
struct Shared {
    target: watch::Sender<Target>,
    seed: u64,
    faults: watch::Sender<Faults>,
    /// How often everything was reset.
    resets: watch::Sender<u64>,
    counts: watch::Sender<Counts>,
}

impl FaultProxy {
    /// Starts one on a free port of the loopback interface; it passes everything until told otherwise. The seed of
    /// its jitter is printed.
    pub async fn start(target: impl Into<Target>) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), target, seed()).await
    }

    /// Starts one on an address, with the seed of its jitter.
    pub async fn listen(address: SocketAddr, target: impl Into<Target>, seed: u64) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: watch::Sender::new(target.into()),
            seed,
            faults: watch::Sender::default(),
            resets: watch::Sender::default(),
            counts: watch::Sender::default(),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _accepting: accepting }
    }

    /// Starts one in front of the server that a URL names; also the URL that leads through it.
    pub async fn in_front_of(url: &str) -> (Self, String) {
        let mut url = Url::parse(url).unwrap();
        let server = (url.host_str().unwrap(), url.port_or_known_default().unwrap_or(POSTGRES));
        let server = tokio::net::lookup_host(server).await.unwrap().next().unwrap();
        let proxy = Self::start(server).await;
        url.set_host(Some(&proxy.address.ip().to_string())).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.into())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards connections that come from now on to another place.
    pub fn aim(&self, target: impl Into<Target>) {
        self.shared.target.send_replace(target.into());
    }

    /// From now on does this to every connection, open ones included.
    pub fn set(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Ends every open connection with a reset, towards both sides and whatever stalls.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|resets| *resets += 1);
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until so many connections were opened since the start.
    pub async fn opened(&self, count: usize) {
        self.until(|counts| counts.opened >= count).await;
    }

    /// Waits until so many connections were closed since the start.
    pub async fn closed(&self, count: usize) {
        self.until(|counts| counts.closed >= count).await;
    }

    /// Waits until what has happened satisfies.
    pub async fn until(&self, mut reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        *counts.wait_for(|counts| reached(counts)).await.unwrap()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut serial = 0;
    loop {
        let (client, _) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // The client was gone again before it was accepted.
                Err(_) => continue,
            },
            Some(_) = connections.join_next() => continue,
        };
        serial += 1;
        connections.spawn(connection::run(client, Arc::clone(&shared), serial));
    }
}

// ---- Target ----

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}
