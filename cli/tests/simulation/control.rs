//! A control plane as a simulated host: snapshots, streams and the records of nodes, over the simulated network.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;
use toolplane_control_plane::metrics::Metrics;
use toolplane_control_plane::service;
use toolplane_control_plane::snapshots::{Rules, Snapshots};
use toolplane_control_plane::store::Store;
use toolplane_control_plane::stream::{self, nodes::Nodes};
use turmoil::net::{TcpListener, TcpStream};

use crate::database::{Connection, Database};
use crate::wire::Tap;
use crate::world::World;

/// Where every control plane listens.
pub(crate) const PORT: u16 = 7400;
/// The safety net behind wakeups.
const POLL: Duration = Duration::from_secs(5);

/// How long the database may be away before streams end.
const GRACE: Duration = Duration::from_secs(10);

/// The longest message of a node.
const MAX_REQUEST: usize = 8 << 20;

/// One control plane, over all its starts.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    world: World,
    /// Its way to the database.
    pub(crate) database: Arc<Connection>,
    starts: AtomicU64,
}

/// A connection that was accepted.
#[derive(Debug)]
struct Accepted(TcpStream);

impl Host {
    /// A control plane that was never started.
    pub(crate) fn new(name: &str, world: &World, database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            world: world.clone(),
            database: Connection::new(database),
            starts: AtomicU64::new(0),
        })
    }

    /// Its name in the network.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it from the database and runs it until it is crashed.
    pub(crate) async fn run(self: Arc<Self>) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        let clock = self.world.clock();
        let store: Arc<dyn Store> = Arc::clone(&self.database) as Arc<dyn Store>;
        let metrics = Metrics::new(None);
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let (snapshots, published) = loop {
            match Snapshots::start(
                Arc::clone(&store),
                Rules::default(),
                (POLL, GRACE),
                clock.clone(),
                metrics.clone(),
            )
            .await
            {
                Ok(started) => break started,
                // As its supervisor would start it again.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        };
        let nodes = Nodes::new(store, clock.clone(), &format!("{}#{start}", self.name));
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let records = nodes.clone();
        tasks.spawn(async move { records.keep_records().await });
        let streams =
            stream::Service::new(published.clone(), nodes, clock, (tasks.clone(), shutdown.clone()), metrics);
        tasks.spawn(snapshots.run(shutdown));
        let tap = Tap { world: self.world.clone(), place: self.name.clone(), published };
        service::server()
            .layer(tower::layer::layer_fn(move |server| tap.clone().on(server)))
            .add_service(stream::Server::new(streams, MAX_REQUEST))
            .serve_with_incoming(incoming(listener))
            .await?;
        Ok(())
    }
}

fn incoming(listener: TcpListener) -> impl Stream<Item = std::io::Result<Accepted>> {
    futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    })
}

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
