//! What the control plane can be told, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry::metrics::Meter;
use toolplane_registry::upstream::SchemaPolicy;
use toolplane_registry::{Rejection, Rule, Secret, schema};
use toolplane_upstream::guard;

use crate::environment::Environment;
use crate::refresh::TokenSource;
use crate::registration::credential::Verification;

/// Settings of a control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://…`.
    pub database_url: Secret,
    /// The key that seals configured headers.
    pub secret_key_file: PathBuf,
    /// Whether a missing key file is created (standalone) or an error (shared databases).
    pub create_secret_key: bool,
    /// Where the bootstrap admin token is written on first start.
    pub admin_token_file: PathBuf,
    /// Where a token for the node of the same process is written; absent: none is made.
    pub node_token_file: Option<PathBuf>,
    /// What TCP listeners present and ask for; absent: they speak in the clear.
    pub tls: Option<toolplane_tls::server::Files>,
    /// What the environment declares.
    pub environment: Environment,
    /// How and when upstreams are listed.
    pub refresh: Refresh,
    /// Who may register through nodes.
    pub registration: Verification,
    /// Which addresses upstreams may have.
    pub guard: guard::Policy,
    /// Rules for what upstreams list.
    pub ingest: Ingest,
    /// How often the store is asked for commits of other control planes, beside being told of them.
    pub poll_interval: Duration,
    /// How many versions are kept with their content.
    pub history_keep: u32,
    /// How long what is not the registry is kept.
    pub retention: Retention,
    /// How long the database may take for one step.
    pub database_timeout: Duration,
    /// How long it may be away before nodes are sent to other control planes.
    pub database_grace: Duration,
    /// How often this control plane says in the store that it lives. Its nodes are shown as disconnected when it
    /// has not for three times as long.
    pub heartbeat: Duration,
    /// Connections that may be open at once, over all listeners.
    pub max_connections: usize,
    /// Where measurements go; absent: nothing is measured.
    pub meter: Option<Meter>,
}

/// How and when upstreams are listed.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// Time between two rounds; absent: no rounds.
    pub interval: Option<Duration>,
    /// How long one upstream may take to list its tools.
    pub deadline: Duration,
    /// How many upstreams are listed at once.
    pub concurrency: usize,
    /// Where the bearer token for listing comes from, for upstreams without credentials of their own.
    pub auth_token: TokenSource,
}

/// How long records are kept; absent: for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Audit records.
    pub audit: Option<Duration>,
    /// Nodes, from when they were connected last.
    pub nodes: Option<Duration>,
}

/// Rules for what upstreams list.
#[derive(Debug, Clone, Default)]
pub struct Ingest {
    /// Bounds of schemas.
    pub schema: schema::Limits,
    /// Domains whose descriptions are taken as they are.
    pub trusted_domains: Vec<String>,
    /// The schema policy of upstreams that are registered without one.
    pub default_schema_policy: SchemaPolicy,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval: None,
            deadline: Duration::from_secs(10),
            concurrency: 16,
            auth_token: TokenSource::Nowhere,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Some(Duration::from_hours(days.saturating_mul(24)));
        Self { audit: days(90), nodes: days(7) }
    }
}

impl Options {
    /// Settings with defaults for everything that has one.
    pub fn new(database_url: impl Into<String>, data_dir: &std::path::Path) -> Self {
        Self {
            database_url: Secret::new(database_url.into()),
            secret_key_file: data_dir.join("secret.key"),
            create_secret_key: true,
            admin_token_file: data_dir.join("admin.token"),
            node_token_file: None,
            tls: None,
            environment: Environment::default(),
            refresh: Refresh::default(),
            registration: Verification::Disabled,
            guard: guard::Policy::default(),
            ingest: Ingest::default(),
            poll_interval: Duration::from_secs(1),
            history_keep: 100,
            retention: Retention::default(),
            database_timeout: Duration::from_secs(10),
            database_grace: Duration::from_secs(10),
            heartbeat: Duration::from_secs(5),
            max_connections: 4096,
            meter: None,
        }
    }

    /// Checks what can be checked without touching anything; all mistakes at once.
    pub fn validate(&self) -> Result<(), Vec<Rejection>> {
        let mut rejections = self.environment.validate(&self.guard);
        let mut refuse = |subject: &str, reason: &str| {
            rejections.push(Rejection::new(subject, Rule::Setting, reason));
        };
        if self.refresh.interval.is_some_and(|interval| interval.is_zero()) {
            refuse("refresh interval", "must be longer than zero");
        }
        if self.refresh.deadline.is_zero() {
            refuse("refresh deadline", "must be longer than zero");
        }
        if self.refresh.concurrency == 0 {
            refuse("refresh concurrency", "must be at least 1");
        }
        if self.history_keep == 0 {
            refuse("history", "must keep at least 1 version");
        }
        if self.database_timeout.is_zero() {
            refuse("database timeout", "must be longer than zero");
        }
        if self.heartbeat.is_zero() {
            refuse("heartbeat", "must be longer than zero");
        }
        if self.max_connections == 0 {
            refuse("connections", "must be at least 1");
        }
        if self.poll_interval.is_zero() {
            refuse("poll interval", "must be longer than zero");
        }
        if rejections.is_empty() { Ok(()) } else { Err(rejections) }
    }
}
