//! Assembles the control plane and runs it.
//!
//! Owns the order in which the parts come up: store, tokens, the environment's upstreams, the first snapshot,
//! services, refresh. `start` does everything that can fail for a reason an operator must mend; `run` serves
//! until it is told to stop.

mod bootstrap;
mod connection;
mod crowd;
mod ground;
mod health;
mod serve;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use toolplane_registry::{ErrorCode, Rejection};
use toolplane_tls::server as tls;
use toolplane_upstream::Client;

use self::crowd::{Crowd, Patience};
use self::ground::Ground;
use crate::admin;
use crate::clock::Clock;
use crate::history::Recorder;
use crate::options::Options;
use crate::refresh::Schedule;
use crate::registrar::{self, Registrar};
use crate::registration;
use crate::request_keys;
use crate::retention::Retention;
use crate::snapshots::{self, Snapshots};
use crate::standing::Standing;
use crate::store::{self, Store};
use crate::stream::{self, nodes::Nodes};

pub(crate) use self::crowd::Activity;
pub use self::serve::{Listener, server};

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

/// A control plane that is ready to run.
#[derive(Debug)]
pub struct Service {
    routes: Routes,
    health: HealthReporter,
    tls: Option<(tls::Server, tls::Reloader)>,
    crowd: Crowd,
    background: Background,
    handle: snapshots::Handle,
    client: Client,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// What runs beside the servers.
#[derive(Debug)]
struct Background {
    snapshots: Snapshots,
    recorder: Recorder,
    schedule: Schedule,
    retention: Retention,
    nodes: Nodes,
    standing: Standing,
    heartbeat: std::time::Duration,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Service {
    /// Opens the store, reconciles the environment's upstreams and builds the first snapshot.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let tls = check(&options).map_err(Error::Settings)?;
        let ground = Ground::prepare(&options).await?;
        let (snapshots, handle) = ground.publish(&options).await?;
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let refresh = &options.refresh;
        let lister = ground.lister(refresh);
        let rounds = ground.rounds(&options, &handle, &lister, (&tasks, &shutdown));
        let background = ground.background(&options, snapshots, rounds.clone());
        let Ground { clock, store, tokens, verifier, rules, client, nodes, metrics, .. } = ground;
        let registrar = Registrar::new(registrar::Parts {
            store: Arc::clone(&store),
            snapshots: handle.clone(),
            lister,
            rounds,
            rules,
            guard: options.guard,
            clock: clock.clone(),
        });
        let stream = stream::Service::new(
            handle.clone(),
            nodes.clone(),
            clock.clone(),
            (tasks.clone(), shutdown.clone()),
            metrics.clone(),
        );
        let crowd = Crowd::new(options.max_connections, Patience::default(), metrics.connections());
        let parts = admin::Parts {
            stream,
            registration: registration::Service::new(registrar.clone(), verifier, options.ingest),
            environment: options.environment,
            shutdown: shutdown.clone(),
            store,
            registrar,
            tokens,
            nodes,
            clock,
            metrics,
        };
        let (routes, health) = admin::routes(parts).await.map_err(|error| Error::Serve(error.into()))?;
        Ok(Self { routes, health, tls, crowd, background, handle, client, tasks, shutdown })
    }

    /// What is published; changes arrive as they are made.
    pub fn snapshots(&self) -> snapshots::Handle {
        self.handle.clone()
    }

    /// Serves on every listener until the token is cancelled, then ends streams and finishes what is running.
    pub async fn run(self, listeners: Vec<Listener>, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { routes, health, tls, crowd, background, handle, client, tasks, shutdown: stopping } = self;
        tasks.spawn(health::report(health, handle.reach_of_database(), stopping.clone()));
        let finished = CancellationToken::new();
        let nodes = background.nodes.clone();
        background.spawn(&handle, &tasks, &stopping, &finished);
        let tls = tls.map(|(server, reloader)| {
            tasks.spawn(reloader.run(stopping.clone()));
            server
        });
        let servers = listeners.into_iter().map(|listener| {
            serve::serve(routes.clone(), listener, (tls.clone(), crowd.clone()), stopping.clone())
        });
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
        // No sooner: a change that is committed while requests finish has to be published, or its caller waits in vain.
        finished.cancel();
        tasks.close();
        tasks.wait().await;
        // Every stream has said how it ended.
        nodes.flush().await;
        client.close().await;
        result.map(drop)
    }
}

impl Background {
    /// What requests need goes on until they are `finished`, everything else until it is told that it is `stopping`.
    fn spawn(
        self,
        handle: &snapshots::Handle,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
        finished: &CancellationToken,
    ) {
        let Self { snapshots, recorder, schedule, retention, nodes, standing, heartbeat, store, clock } =
            self;
        tasks.spawn(recorder.run(handle.subscribe(), finished.clone()));
        tasks.spawn(snapshots.run(finished.clone()));
        tasks.spawn(schedule.run(stopping.clone()));
        tasks.spawn(retention.run(stopping.clone()));
        tasks.spawn(standing.run(stopping.clone()));
        let stopping = stopping.clone();
        tasks.spawn(async move { stopping.run_until_cancelled(request_keys::keep(store, clock)).await });
        let finished = finished.clone();
        tasks.spawn(async move {
            let keeping = async { tokio::join!(nodes.keep_lease(heartbeat), nodes.keep_records()) };
            finished.run_until_cancelled(keeping).await
        });
    }
}

/// Every mistake of the settings and of the files that they name, before anything else happens.
fn check(options: &Options) -> Result<Option<(tls::Server, tls::Reloader)>, Vec<Rejection>> {
    match (options.validate(), options.tls.clone().map(tls::Files::load).transpose()) {
        (Ok(()), Ok(tls)) => Ok(tls),
        (settings, tls) => Err(settings.err().into_iter().chain(tls.err()).flatten().collect()),
    }
}
