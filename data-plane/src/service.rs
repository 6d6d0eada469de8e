//! Assembly of a node: builds the parts in order, runs them, drains.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolplane_registry::Rejection;
use toolplane_upstream::{Client, Connector, connector};

use crate::code_mode::{self, CodeMode};
use crate::control_plane::{self, ControlPlanes};
use crate::hooks::chain::Chain;
use crate::hooks::grpc::Background;
use crate::hooks::{Phase, assembly};
use crate::jitter::Jitter;
use crate::live::{Live, Upstreams};
use crate::mcp::endpoint::Endpoint;
use crate::mcp::{MetaTools, Parts};
use crate::metrics::{self, Metrics};
use crate::options::{Address, Options};
use crate::output_guard::Guard;
use crate::rest::{self, Health, Proxy};
use crate::serve::{self, Phases};
use crate::shed::Gate;
use crate::site::Site;
use crate::sync::Follower;
use crate::sync::last_good::{self, LastGood};

/// Why a node cannot be built or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that make no sense; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Options(Vec<Rejection>),
    /// The channels to the control planes cannot be set up.
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    /// The last-known-good file has no usable place or key.
    #[error(transparent)]
    LastGood(#[from] last_good::Error),
    /// The way out to upstreams cannot be set up.
    #[error(transparent)]
    Upstream(#[from] toolplane_upstream::Error),
    /// The listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] std::io::Error),
    /// Workers of code mode cannot be started, or there is too little memory for one program.
    #[error("cannot run code: {0}; without code mode (GATEWAY_CODE_MODE) the node starts")]
    CodeMode(#[from] code_mode::Unavailable),
    /// A task of the node ended when it should not have.
    #[error("a part of the node failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A node, ready to run.
#[derive(Debug)]
pub struct Service {
    options: Options,
    live: Arc<Live>,
    control_planes: ControlPlanes,
    last_good: Option<Arc<LastGood>>,
    client: Client,
    guard: Guard,
    metrics: Metrics,
    gate: Gate,
    hooks: (Option<Arc<Chain>>, Vec<Background>),
}

/// A view into a running node, for embedding and tests.
#[derive(Debug, Clone)]
pub struct Handle {
    live: Arc<Live>,
    gate: Gate,
}

impl Service {
    /// Builds a node and loads its last-known-good snapshot. Call it within a Tokio runtime: the channels to the
    /// control planes belong to one.
    pub fn new(options: Options) -> Result<Self, Error> {
        check(&options).map_err(Error::Options)?;
        let guard = Guard::new(&options.output_guard).map_err(|rejection| Error::Options(vec![rejection]))?;
        let control_planes = ControlPlanes::new(&options)?;
        let connector = Connector::new(way_out(&options))?;
        let client = Client::new(connector.clone());
        let upstreams = Upstreams { defaults: options.upstream_limits, connector: Some(connector) };
        let live = Arc::new(Live::new(upstreams));
        let metrics = Metrics::new(options.meter.as_ref(), &live);
        let last_good = resume(&options, &live)?;
        let gate = Gate::new(options.capacity);
        if let Some(meter) = &options.meter {
            metrics::observe_limits(meter, &live, &gate, client.spare_sessions_by_domain());
        }
        let hooks = assembly::assemble(&options, &metrics);
        let asks = |phase| hooks.0.as_ref().is_some_and(|chain| chain.takes_part(phase));
        if options.code_mode.is_some() && !asks(Phase::Authenticate) && !asks(Phase::AuthorizeCode) {
            tracing::warn!(
                "code mode is on and no hook authenticates callers or authorizes code: everybody who reaches this node may run \
                 programs with every tool it offers"
            );
        }
        Ok(Self { options, live, control_planes, last_good, client, guard, metrics, gate, hooks })
    }

    /// A handle that stays usable while the node runs.
    pub fn handle(&self) -> Handle {
        Handle { live: Arc::clone(&self.live), gate: self.gate.clone() }
    }

    /// Serves until told to stop. Then it is no longer ready, goes on for the drain grace, finishes what is running,
    /// bounded by the drain timeout, and returns; the listener closes last.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { options, live, control_planes, last_good, client, guard, metrics, gate, hooks } = self;
        let on_loopback = listener.local_addr()?.ip().is_loopback();
        let code_mode = match &options.code_mode {
            Some(settings) => match shutdown.run_until_cancelled(CodeMode::start(settings)).await {
                Some(started) => Some(started?),
                None => return Ok(()),
            },
            None => None,
        };
        let (hooks, hook_tasks) = hooks;
        let parts = Parts { client: client.clone(), guard, hooks, code_mode };
        let meta_tools = MetaTools::new(&options, &live, &control_planes, parts, &metrics);
        let phases = Phases::new(&options, shutdown, metrics.clone());
        let endpoint = Endpoint::new(&options, Arc::new(meta_tools), on_loopback, &phases.finishing);
        let proxy = Proxy {
            live: Arc::clone(&live),
            control_planes: control_planes.clone(),
            max_body_bytes: options.max_body_bytes,
            patience: options.read_your_writes_timeout,
            labels: options.labels.clone(),
            metrics: metrics.clone(),
        };
        let health = Health {
            live: Arc::clone(&live),
            ready_without_tools: options.ready_without_tools,
            draining: phases.draining.clone(),
        };
        let site = Site::new(endpoint, rest::router(Arc::new(proxy), health, &gate), gate.clone());

        // Dropping the set on any way out stops the follower with the rest.
        let mut tasks = JoinSet::new();
        let follower = Follower::new(&options, live, control_planes, last_good, metrics, Jitter::system());
        // Requests in flight may still wait for a version, so following outlasts the listener.
        let follow_until = CancellationToken::new();
        tasks.spawn(follower.run(follow_until.clone()));
        for hooks in hook_tasks {
            tasks.spawn(hooks.run(follow_until.clone()));
        }

        tokio::select! {
            served = serve::serve(listener, site, phases.clone(), &gate) => served?,
            () = let_go(&phases, &client) => {}
            () = phases.out_of_time() => tracing::warn!("stopped with requests still running"),
            Some(ended) = tasks.join_next() => ended?,
        }
        follow_until.cancel();
        client.close().await;
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }
}

/// Serves what was kept on disk, where the node keeps something.
pub(crate) fn resume(options: &Options, live: &Live) -> Result<Option<Arc<LastGood>>, last_good::Error> {
    let Some(data_dir) = &options.data_dir else { return Ok(None) };
    let file = LastGood::open(data_dir, options.key_file.as_deref())?;
    if let Some((served, age)) = file.read() {
        let (snapshot, stale_seconds) = (served.snapshot(), age.as_secs());
        tracing::info!(
            snapshot.version = %snapshot.version(),
            snapshot.digest = %snapshot.digest(),
            stale_seconds,
            "serving last-known-good"
        );
        live.resume(served, age);
    }
    Ok(Some(Arc::new(file)))
}

/// Limits of the way out. A reply for which a node has no room even when it holds nothing else is too large, not early.
fn way_out(options: &Options) -> connector::Options {
    let max_response_bytes = options.connector.max_response_bytes.min(options.capacity.max_buffered_bytes);
    connector::Options { max_response_bytes, ..options.connector.clone() }
}

/// Ends the sessions that wait for a call as soon as few more are to come; never ends itself.
async fn let_go(phases: &Phases, client: &Client) {
    phases.finishing.cancelled().await;
    client.close_spares();
    std::future::pending::<()>().await;
}

/// Every mistake of the settings and of the certificate files that they name.
fn check(options: &Options) -> Result<(), Vec<Rejection>> {
    let mut rejections = options.validate().err().unwrap_or_default();
    rejections.extend(assembly::check(&options.hooks));
    if options.control_planes.iter().any(Address::is_tls) {
        rejections.extend(options.control_plane_tls.check().err().into_iter().flatten());
    }
    if rejections.is_empty() { Ok(()) } else { Err(rejections) }
}

impl Handle {
    /// What the node serves.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What the node has taken on.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}
