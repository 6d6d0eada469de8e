//! Assembles the control plane and runs it.
//!
//! Owns the order in which the parts come up: store, tokens, the environment's upstreams, the first snapshot,
//! services, refresh. `start` does everything that can fail for a reason an operator must mend; `run` serves
//! until it is told to stop.

mod bootstrap;

use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::{Server, TcpIncoming};
use toolplane_registry::{Digest, ErrorCode, Rejection};
use toolplane_upstream::{Client, Connector, connector};

use crate::admin;
use crate::admin::auth::Tokens;
use crate::clock::Clock;
use crate::options::Options;
use crate::refresh::{self, Lister, Rounds};
use crate::registrar::{self, Registrar};
use crate::registration::{self, credential::Verifier};
use crate::snapshots::{self, Rules, Snapshots};
use crate::store;
use crate::stream::{self, nodes::Nodes};

/// How often an idle connection is probed, so that a peer that vanished is noticed.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// Why a control plane did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot work; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Rejection>),
    /// The key file.
    #[error(transparent)]
    Key(#[from] toolplane_seal::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The first snapshot.
    #[error(transparent)]
    Snapshots(#[from] snapshots::Error),
    /// The HTTP client for upstreams.
    #[error("cannot set up the upstream client: {0}")]
    Upstream(#[from] toolplane_upstream::Error),
    /// A token file.
    #[error("cannot write the token file `{path}`: {source}")]
    TokenFile {
        /// Which file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// The gRPC server.
    #[error("cannot serve the admin API: {0}")]
    Serve(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The kind of failure, for edges.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Settings(_) | Self::Key(_) => ErrorCode::InvalidInput,
            Self::Store(error) | Self::Snapshots(snapshots::Error::Store(error)) => error.code(),
            Self::Snapshots(_) | Self::Upstream(_) | Self::TokenFile { .. } | Self::Serve(_) => {
                ErrorCode::Internal
            }
        }
    }
}

/// Where the admin API listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// A control plane that is ready to run.
#[derive(Debug)]
pub struct Service {
    routes: Routes,
    snapshots: Snapshots,
    handle: snapshots::Handle,
    rounds: Rounds,
    interval: Option<std::time::Duration>,
    client: Client,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Service {
    /// Opens the store, reconciles the environment's upstreams and builds the first snapshot.
    pub async fn start(options: Options) -> Result<Self, Error> {
        options.validate().map_err(Error::Settings)?;
        let clock = Clock::system();
        let key = Arc::new(load_key(&options)?);
        let store = store::open(options.database_url.expose(), Arc::clone(&key)).await?;
        let tokens = Tokens::new(Arc::clone(&store), clock.clone());
        bootstrap::tokens(&options, store.as_ref(), &tokens, &clock).await?;
        let verifier = Verifier::new(&options.registration, tokens.clone()).map_err(|reason| {
            let rule = toolplane_registry::Rule::Setting;
            Error::Settings(vec![Rejection::new("registration by signed tokens", rule, reason)])
        })?;
        let mut rules = Rules {
            environment: options.environment.clone(),
            ingest: options.ingest.clone(),
            registration_enabled: verifier.is_enabled(),
            fingerprint: String::new(),
        };
        rules.fingerprint = Digest::of(&key.mac(rules.content_digest().as_bytes())).to_string();
        bootstrap::environment(&rules, store.as_ref(), &clock).await?;
        let (snapshots, handle) =
            Snapshots::start(Arc::clone(&store), rules.clone(), options.poll_interval).await?;
        let connector =
            Connector::new(connector::Options { guard: options.guard.clone(), ..Default::default() })?;
        let client = Client::new(connector);
        let tasks = TaskTracker::new();
        let shutdown = CancellationToken::new();
        let lister =
            Lister::new(client.clone(), options.refresh.deadline, options.refresh.auth_token.clone());
        let rounds = Rounds::new(refresh::Parts {
            store: Arc::clone(&store),
            snapshots: handle.clone(),
            lister: lister.clone(),
            rules: rules.clone(),
            clock: clock.clone(),
            concurrency: options.refresh.concurrency,
            tasks: tasks.clone(),
        });
        let registrar = Registrar::new(registrar::Parts {
            store: Arc::clone(&store),
            snapshots: handle.clone(),
            lister,
            rounds: rounds.clone(),
            rules,
            guard: options.guard,
            clock: clock.clone(),
        });
        let nodes = Nodes::new(Arc::clone(&store), clock.clone());
        let stream = stream::Service::new(handle.clone(), nodes.clone(), tasks.clone(), shutdown.clone());
        let registration = registration::Service::new(registrar.clone(), Arc::new(verifier), options.ingest);
        let environment = options.environment;
        let parts =
            admin::Parts { store, registrar, tokens, nodes, environment, stream, registration, clock };
        let routes = admin::routes(parts).await.map_err(|error| Error::Serve(error.into()))?;
        let interval = options.refresh.interval;
        Ok(Self { routes, snapshots, handle, rounds, interval, client, tasks, shutdown })
    }

    /// What is published; changes arrive as they are made.
    pub fn snapshots(&self) -> snapshots::Handle {
        self.handle.clone()
    }

    /// Serves on every listener until the token is cancelled, then ends streams and finishes what is running.
    pub async fn run(self, listeners: Vec<Listener>, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { routes, snapshots, handle: _, rounds, interval, client, tasks, shutdown: stopping } = self;
        tasks.spawn(snapshots.run(stopping.clone()));
        let first = rounds.clone();
        tasks.spawn(async move {
            if let Err(error) = first.all("system").await {
                tracing::warn!(%error, "the first refresh could not be stored");
            }
        });
        if let Some(interval) = interval {
            refresh::spawn_interval(rounds, interval, &tasks, stopping.clone());
        }
        let servers = listeners.into_iter().map(|listener| serve(routes.clone(), listener, stopping.clone()));
        let servers = futures::future::try_join_all(servers);
        tokio::pin!(servers);
        let result = tokio::select! {
            result = &mut servers => result,
            () = shutdown.cancelled() => {
                stopping.cancel();
                servers.await
            }
        };
        stopping.cancel();
        tasks.close();
        tasks.wait().await;
        client.close().await;
        result.map(drop)
    }
}

fn load_key(options: &Options) -> Result<toolplane_seal::Key, toolplane_seal::Error> {
    if options.create_secret_key {
        toolplane_seal::Key::load_or_create(&options.secret_key_file)
    } else {
        toolplane_seal::Key::load(&options.secret_key_file)
    }
}

async fn serve(routes: Routes, listener: Listener, shutdown: CancellationToken) -> Result<(), Error> {
    let server = Server::builder().http2_keepalive_interval(Some(KEEPALIVE)).add_routes(routes);
    let stop = shutdown.cancelled_owned();
    let result = match listener {
        Listener::Tcp(listener) => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server.serve_with_incoming_shutdown(incoming, stop).await
        }
        Listener::Unix(listener) => {
            server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop).await
        }
    };
    result.map_err(|error| Error::Serve(error.into()))
}
