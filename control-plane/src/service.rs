//! Assembles the control plane and runs it.
//!
//! Owns the order in which the parts come up: store, tokens, the environment's upstreams, the first snapshot,
//! services, refresh. `start` does everything that can fail for a reason an operator must mend; `run` serves
//! until it is told to stop.

mod bootstrap;
mod serve;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use toolplane_registry::{Digest, ErrorCode, Rejection};
use toolplane_tls::server as tls;
use toolplane_upstream::{Client, Connector, connector};

use crate::admin;
use crate::admin::auth::Tokens;
use crate::clock::Clock;
use crate::history::Recorder;
use crate::ids::new_id;
use crate::options::Options;
use crate::refresh::{self, Lister, Rounds, Schedule};
use crate::registrar::{self, Registrar};
use crate::registration::{self, credential::Verifier};
use crate::snapshots::{self, Rules, Snapshots};
use crate::store::{self, Millis, Store};
use crate::stream::{self, nodes::Nodes};

pub use self::serve::Listener;

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
    tls: Option<(tls::Server, tls::Reloader)>,
    background: Background,
    handle: snapshots::Handle,
    client: Client,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// What a start finds, or makes, before anything is assembled.
struct Ground {
    clock: Clock,
    started_at: Millis,
    store: Arc<dyn Store>,
    tokens: Tokens,
    verifier: Arc<Verifier>,
    rules: Rules,
    environment_at: Option<Millis>,
    client: Client,
    nodes: Nodes,
}

/// What runs beside the servers.
#[derive(Debug)]
struct Background {
    snapshots: Snapshots,
    recorder: Recorder,
    schedule: Schedule,
    nodes: Nodes,
    heartbeat: std::time::Duration,
}

impl Service {
    /// Opens the store, reconciles the environment's upstreams and builds the first snapshot.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let tls = check(&options).map_err(Error::Settings)?;
        let Ground { clock, started_at, store, tokens, verifier, rules, environment_at, client, nodes } =
            Ground::prepare(&options).await?;
        let (snapshots, handle) =
            Snapshots::start(Arc::clone(&store), rules.clone(), options.poll_interval, clock.clone()).await?;
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
            stopping: shutdown.clone(),
        });
        let background = Background {
            snapshots,
            recorder: Recorder { store: Arc::clone(&store), keep: options.history_keep },
            nodes: nodes.clone(),
            heartbeat: options.heartbeat,
            schedule: Schedule {
                rounds: rounds.clone(),
                control_plane: nodes.control_plane().to_owned(),
                options: options.refresh,
                started_at,
                environment_at,
            },
        };
        let registrar = Registrar::new(registrar::Parts {
            store: Arc::clone(&store),
            snapshots: handle.clone(),
            lister,
            rounds,
            rules,
            guard: options.guard,
            clock: clock.clone(),
        });
        let stop = shutdown.clone();
        let stream = stream::Service::new(handle.clone(), nodes.clone(), clock.clone(), tasks.clone(), stop);
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
        };
        let routes = admin::routes(parts).await.map_err(|error| Error::Serve(error.into()))?;
        Ok(Self { routes, tls, background, handle, client, tasks, shutdown })
    }

    /// What is published; changes arrive as they are made.
    pub fn snapshots(&self) -> snapshots::Handle {
        self.handle.clone()
    }

    /// Serves on every listener until the token is cancelled, then ends streams and finishes what is running.
    pub async fn run(self, listeners: Vec<Listener>, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { routes, tls, background, handle, client, tasks, shutdown: stopping } = self;
        background.spawn(&handle, &tasks, &stopping);
        let tls = tls.map(|(server, reloader)| {
            tasks.spawn(reloader.run(stopping.clone()));
            server
        });
        let servers = listeners
            .into_iter()
            .map(|listener| serve::serve(routes.clone(), listener, tls.clone(), stopping.clone()));
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

impl Ground {
    async fn prepare(options: &Options) -> Result<Self, Error> {
        let clock = Clock::system();
        let started_at = clock.now();
        let key = Arc::new(load_key(options)?);
        let store = store::open(options.database_url.expose(), Arc::clone(&key)).await?;
        let tokens = Tokens::new(Arc::clone(&store), clock.clone());
        bootstrap::tokens(options, store.as_ref(), &tokens, &clock).await?;
        let verifier = Verifier::new(&options.registration, tokens.clone()).map_err(|reason| {
            let rule = toolplane_registry::Rule::Setting;
            Error::Settings(vec![Rejection::new("registration by signed tokens", rule, reason)])
        })?;
        let rules = rules(options, &key, verifier.is_enabled());
        let environment_at = bootstrap::environment(&rules, store.as_ref(), &clock).await?;
        let connector =
            Connector::new(connector::Options { guard: options.guard.clone(), ..Default::default() })?;
        let client = Client::new(connector);
        let nodes = Nodes::new(Arc::clone(&store), clock.clone(), &new_id());
        nodes.renew_lease(options.heartbeat).await?;
        let verifier = Arc::new(verifier);
        Ok(Self { clock, started_at, store, tokens, verifier, rules, environment_at, client, nodes })
    }
}

impl Background {
    fn spawn(self, handle: &snapshots::Handle, tasks: &TaskTracker, stopping: &CancellationToken) {
        let Self { snapshots, recorder, schedule, nodes, heartbeat } = self;
        tasks.spawn(recorder.run(handle.subscribe(), stopping.clone()));
        tasks.spawn(snapshots.run(stopping.clone()));
        tasks.spawn(schedule.run(stopping.clone()));
        let stopping = stopping.clone();
        tasks.spawn(async move { stopping.run_until_cancelled(nodes.keep_lease(heartbeat)).await });
    }
}

/// Every mistake of the settings and of the files that they name, before anything else happens.
fn check(options: &Options) -> Result<Option<(tls::Server, tls::Reloader)>, Vec<Rejection>> {
    match (options.validate(), options.tls.clone().map(tls::Files::load).transpose()) {
        (Ok(()), Ok(tls)) => Ok(tls),
        (settings, tls) => Err(settings.err().into_iter().chain(tls.err()).flatten().collect()),
    }
}

fn rules(options: &Options, key: &toolplane_seal::Key, registration_enabled: bool) -> Rules {
    let mut rules = Rules {
        environment: options.environment.clone(),
        ingest: options.ingest.clone(),
        registration_enabled,
        fingerprint: String::new(),
    };
    rules.fingerprint = Digest::of(&key.mac(rules.content_digest().as_bytes())).to_string();
    rules
}

fn load_key(options: &Options) -> Result<toolplane_seal::Key, toolplane_seal::Error> {
    if options.create_secret_key {
        toolplane_seal::Key::load_or_create(&options.secret_key_file)
    } else {
        toolplane_seal::Key::load(&options.secret_key_file)
    }
}
