//! What a start finds, or makes, before services are assembled, and the parts that are made of it alone.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toolplane_registry::{Digest, Rejection};
use toolplane_upstream::{Client, Connector, connector};

use super::{Background, Error, bootstrap};
use crate::admin::auth::Tokens;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::history::Recorder;
use crate::ids::new_id;
use crate::metrics::{Metrics, rollout};
use crate::options::{self, Options};
use crate::refresh::{self, Lister, Rounds, Schedule};
use crate::registration::credential::Verifier;
use crate::retention::Retention;
use crate::snapshots::{self, Published, Rules, Snapshots};
use crate::store::{self, Millis, Store};
use crate::stream::nodes::Nodes;

/// What a start finds, or makes, before anything is assembled.
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) started_at: Millis,
    pub(super) store: Arc<dyn Store>,
    pub(super) tokens: Tokens,
    pub(super) verifier: Arc<Verifier>,
    pub(super) rules: Rules,
    pub(super) environment_at: Option<Millis>,
    pub(super) client: Client,
    pub(super) nodes: Nodes,
    pub(super) metrics: Metrics,
}

impl Ground {
    /// Opens the store and brings it and the environment together.
    pub(super) async fn prepare(options: &Options) -> Result<Self, Error> {
        let clock = Clock::system();
        let started_at = clock.now();
        let key = Arc::new(load_key(options)?);
        let metrics = Metrics::new(options.meter.as_ref());
        let store = store::open(
            options.database_url.expose(),
            Arc::clone(&key),
            options.database_timeout,
            metrics.clone(),
        )
        .await?;
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
        Ok(Self { clock, started_at, store, tokens, verifier, rules, environment_at, client, nodes, metrics })
    }

    /// The first snapshot, and what follows it.
    pub(super) async fn publish(&self, options: &Options) -> Result<(Snapshots, snapshots::Handle), Error> {
        let patience = (options.poll_interval, options.database_grace);
        let (store, rules) = (Arc::clone(&self.store), self.rules.clone());
        let started = Snapshots::start(store, rules, patience, self.clock.clone(), self.metrics.clone());
        let (snapshots, handle) = started.await?;
        let snapshots = snapshots.after_a_look_at(self.tokens.standing());
        let (published, nodes, clock) = (handle.subscribe(), self.nodes.clone(), self.clock.clone());
        self.metrics.rollout(move || {
            let published = Arc::clone(&published.borrow());
            under_way(&published, &nodes, &clock)
        });
        Ok((snapshots, handle))
    }

    /// What asks one upstream for its tools.
    pub(super) fn lister(&self, options: &options::Refresh) -> Lister {
        let options::Refresh { deadline, shared_credentials, .. } = options;
        let (client, metrics) = (self.client.clone(), self.metrics.clone());
        let credentials = Credentials::new(client.clone(), shared_credentials.clone(), *deadline, metrics);
        Lister::new(client, *deadline, credentials)
    }

    /// What lists upstreams again.
    pub(super) fn rounds(
        &self,
        options: &Options,
        handle: &snapshots::Handle,
        lister: &Lister,
        (tasks, stopping): (&TaskTracker, &CancellationToken),
    ) -> Rounds {
        Rounds::new(refresh::Parts {
            store: Arc::clone(&self.store),
            snapshots: handle.clone(),
            lister: lister.clone(),
            rules: self.rules.clone(),
            clock: self.clock.clone(),
            concurrency: options.refresh.concurrency,
            tasks: tasks.clone(),
            stopping: stopping.clone(),
            metrics: self.metrics.clone(),
        })
    }

    /// What runs beside the servers.
    pub(super) fn background(&self, options: &Options, snapshots: Snapshots, rounds: Rounds) -> Background {
        Background {
            snapshots,
            recorder: Recorder { store: Arc::clone(&self.store), keep: options.history_keep },
            retention: Retention {
                store: Arc::clone(&self.store),
                clock: self.clock.clone(),
                options: options.retention.clone(),
            },
            nodes: self.nodes.clone(),
            standing: self.tokens.standing(),
            heartbeat: options.heartbeat,
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            schedule: Schedule {
                rounds,
                control_plane: self.nodes.control_plane().to_owned(),
                options: options.refresh.clone(),
                started_at: self.started_at,
                environment_at: self.environment_at,
            },
        }
    }
}

/// The rollout under way, as this control plane sees it.
fn under_way(published: &Published, nodes: &Nodes, clock: &Clock) -> Option<rollout::Reading> {
    let rollout = published.registry.rollout.as_ref()?;
    let age = u64::try_from(clock.now().saturating_sub(rollout.started_at)).unwrap_or(0);
    Some(rollout::Reading {
        baseline: rollout.baseline,
        newest: published.version().number(),
        held_back: nodes.held_back(rollout, published.version()),
        age: Duration::from_millis(age),
    })
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
