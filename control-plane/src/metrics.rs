//! Every instrument of the control plane, declared once.
//!
//! Owns their names, units and descriptions, and what an attribute may be: closed sets of words, methods of our own
//! services, and domains, whose number the registry bounds. Never an id or anything that a client wrote. Where the
//! numbers go is not known here: a [`Meter`] is handed in, and without one nothing is measured.

pub(crate) mod connections;
pub(crate) mod rollout;
pub mod rpc;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, InstrumentProvider, Meter, UpDownCounter};
use toolplane_registry::{Domain, Rejection};
use toolplane_upstream::oauth;

use crate::store;

const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// From one small domain to the largest update that a node accepts by default.
const BYTES: [f64; 9] = [1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 268_435_456.0];

/// The instruments. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    meter: Meter,
    /// Without a meter not even attributes are put together.
    on: bool,
    head: Gauge<u64>,
    published: Gauge<u64>,
    build_duration: Histogram<f64>,
    streams: UpDownCounter<i64>,
    updates: Counter<u64>,
    update_size: Histogram<u64>,
    nacks: Counter<u64>,
    refreshes: Counter<u64>,
    refresh_duration: Histogram<f64>,
    rounds: Counter<u64>,
    tokens: Counter<u64>,
    claims: Counter<u64>,
    commits: Counter<u64>,
    commit_duration: Histogram<f64>,
    store_errors: Counter<u64>,
    rpc_duration: Histogram<f64>,
}

/// A stream that is open, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Metrics);

/// How the connections of a pool are used at the moment of asking.
pub(crate) type InUse = Box<dyn Fn() -> u64 + Send + Sync>;

/// A provider whose instruments measure nothing.
struct Off;

impl InstrumentProvider for Off {}

impl Metrics {
    /// Declares every instrument.
    pub fn new(meter: Option<&Meter>) -> Self {
        let on = meter.is_some();
        let meter = meter.cloned().unwrap_or_else(|| Meter::new(Arc::new(Off)));
        Self(Arc::new(Instruments::new(meter, on)))
    }

    /// Declares every instrument and measures nothing, for a reference page.
    pub fn declare(meter: &Meter) {
        let metrics = Self::new(Some(meter));
        metrics.pools(Vec::new());
        metrics.rollout(|| None);
        drop(metrics.connections());
    }

    /// Notes the newest version in the store.
    pub(crate) fn head(&self, number: u64) {
        self.0.head.record(number, &[]);
    }

    /// Notes what is published and how long it took to make it.
    pub(crate) fn published(&self, number: u64, took: Duration) {
        self.0.published.record(number, &[]);
        self.0.build_duration.record(took.as_secs_f64(), &[]);
    }

    /// Counts a stream as open until the guard is dropped.
    pub(crate) fn stream(&self) -> OpenStream {
        self.0.streams.add(1, &[]);
        OpenStream(self.clone())
    }

    /// Notes an update that is sent; its size is asked for only where somebody wants to know.
    pub(crate) fn update(&self, full: bool, bytes: impl FnOnce() -> usize) {
        if self.0.on {
            let kind = [KeyValue::new("toolplane.update.kind", if full { "full" } else { "delta" })];
            self.0.updates.add(1, &kind);
            self.0.update_size.record(count(bytes()), &kind);
        }
    }

    /// Notes that a node refused an update: once, under the first rule it named.
    pub(crate) fn nack(&self, rejections: &[Rejection]) {
        let rule = rejections.first().map_or("none", |rejection| rejection.rule.as_str());
        self.0.nacks.add(1, &[KeyValue::new("toolplane.rule", rule)]);
    }

    /// Notes that an upstream was asked for its tools.
    pub(crate) fn refresh(&self, domain: &Domain, listed: bool, took: Duration) {
        if self.0.on {
            let outcome = outcome(if listed { "ok" } else { "failed" });
            let domain = KeyValue::new("toolplane.domain", domain.to_string());
            self.0.refreshes.add(1, &[domain, outcome.clone()]);
            self.0.refresh_duration.record(took.as_secs_f64(), &[outcome]);
        }
    }

    /// Notes that a token endpoint was asked.
    pub(crate) fn token(&self, domain: &Domain, answer: &Result<oauth::Grant, oauth::Error>) {
        if self.0.on {
            let outcome = outcome(match answer {
                Ok(_) => "ok",
                Err(oauth::Error::Unavailable(_)) => "unavailable",
                Err(oauth::Error::Refused { .. }) => "refused",
                Err(oauth::Error::Unusable(_)) => "unusable",
            });
            let domain = KeyValue::new("toolplane.domain", domain.to_string());
            self.0.tokens.add(1, &[domain, outcome]);
        }
    }

    /// Notes that many upstreams were refreshed, because it was time or because somebody asked.
    pub(crate) fn round(&self, scheduled: bool) {
        let trigger = if scheduled { "schedule" } else { "request" };
        self.0.rounds.add(1, &[KeyValue::new("toolplane.trigger", trigger)]);
    }

    /// Notes upstreams that this control plane claimed.
    pub(crate) fn claimed(&self, upstreams: usize) {
        self.0.claims.add(count(upstreams), &[]);
    }

    /// Notes a commit that was tried.
    pub(crate) fn commit(&self, result: Result<u64, &store::Error>, took: Duration) {
        let word = match result {
            Ok(number) => {
                self.head(number);
                "ok"
            }
            Err(
                store::Error::Conflict { .. } | store::Error::AlreadyExists(_) | store::Error::NotFound(_),
            ) => "conflict",
            Err(_) => "failed",
        };
        self.0.commits.add(1, &[outcome(word)]);
        self.0.commit_duration.record(took.as_secs_f64(), &[outcome(word)]);
    }

    /// Notes what the database or its driver refused to do.
    pub(crate) fn store_error(&self, error: &store::Error) {
        let kind = match error {
            store::Error::Lost(_) | store::Error::Late(_) | store::Error::Unreachable { .. } => "lost",
            store::Error::Violated(_) => "violated",
            store::Error::Inconsistent { .. } | store::Error::Unreadable { .. } | store::Error::Sealed(_) => {
                "bad_row"
            }
            store::Error::Driver(_) => "driver",
            _ => return,
        };
        self.0.store_errors.add(1, &[KeyValue::new("error.type", kind)]);
    }

    /// Shows how many connections are in use, per pool.
    pub(crate) fn pools(&self, pools: Vec<(&'static str, InUse)>) {
        let builder = self.0.meter.u64_observable_gauge("toolplane.control_plane.store.connections");
        builder
            .with_unit("{connection}")
            .with_description("Connections to the database that are in use, by `toolplane.pool`.")
            .with_callback(move |observer| {
                for (name, in_use) in &pools {
                    observer.observe(in_use(), &[KeyValue::new("toolplane.pool", *name)]);
                }
            })
            .build();
    }

    fn rpc(&self, method: &'static str, code: &'static str, took: Duration) {
        let attributes =
            [KeyValue::new("rpc.method", method), KeyValue::new("rpc.response.status_code", code)];
        self.0.rpc_duration.record(took.as_secs_f64(), &attributes);
    }
}

impl Instruments {
    fn new(meter: Meter, on: bool) -> Self {
        let m = &meter;
        let (streams, updates, update_size, nacks) = instruments_of_streams(m);
        let (refreshes, refresh_duration, rounds, claims) = instruments_of_refreshes(m);
        let (commits, commit_duration, store_errors) = instruments_of_the_store(m);
        Self {
            on,
            head: gauge(m, "head.version", "", "Number of the newest version in the store, as last seen."),
            published: gauge(m, "published.version", "", "Number of the version that nodes are sent."),
            build_duration: seconds(
                m,
                "build.duration",
                "Time to read what is stored and make a snapshot of it.",
            ),
            streams,
            updates,
            update_size,
            nacks,
            refreshes,
            refresh_duration,
            rounds,
            tokens: counter(
                m,
                "token.requests",
                "{request}",
                "Times that a token endpoint was asked for the token of an upstream, by `toolplane.domain` and \
                 `toolplane.outcome`: `ok`, `unavailable`, `refused` or `unusable`.",
            ),
            claims,
            commits,
            commit_duration,
            store_errors,
            rpc_duration: seconds(
                m,
                "rpc.duration",
                "Time until a request of the gRPC API is answered, or its stream begins, by `rpc.method` and \
                 `rpc.response.status_code`.",
            ),
            meter,
        }
    }
}

fn instruments_of_streams(m: &Meter) -> (UpDownCounter<i64>, Counter<u64>, Histogram<u64>, Counter<u64>) {
    let streams = m
        .i64_up_down_counter(name("streams"))
        .with_unit("{stream}")
        .with_description("Nodes that follow this control plane.")
        .build();
    let updates = counter(
        m,
        "updates",
        "{update}",
        "Updates sent to nodes, by `toolplane.update.kind`: `full` or `delta`.",
    );
    let update_size = m
        .u64_histogram(name("update.size"))
        .with_unit("By")
        .with_description("Size of an update on the wire, by `toolplane.update.kind`.")
        .with_boundaries(BYTES.to_vec())
        .build();
    let nacks =
        counter(m, "nacks", "{nack}", "Updates that nodes refused, by the first `toolplane.rule` named.");
    (streams, updates, update_size, nacks)
}

fn instruments_of_refreshes(m: &Meter) -> (Counter<u64>, Histogram<f64>, Counter<u64>, Counter<u64>) {
    let refreshes = counter(
        m,
        "refreshes",
        "{listing}",
        "Times that an upstream was asked for its tools in a refresh, by `toolplane.domain` and \
         `toolplane.outcome`: `ok` or `failed`.",
    );
    let duration = seconds(
        m,
        "refresh.duration",
        "Time that an upstream took to list its tools, by `toolplane.outcome`.",
    );
    let rounds = counter(
        m,
        "refresh.rounds",
        "{round}",
        "Refreshes of many upstreams, by `toolplane.trigger`: `schedule` or `request`.",
    );
    let claims = counter(
        m,
        "refresh.claims",
        "{upstream}",
        "Upstreams that this control plane claimed, to list them.",
    );
    (refreshes, duration, rounds, claims)
}

fn instruments_of_the_store(m: &Meter) -> (Counter<u64>, Histogram<f64>, Counter<u64>) {
    let commits = counter(
        m,
        "commits",
        "{commit}",
        "Commits tried, by `toolplane.outcome`: `ok`, `conflict` or `failed`.",
    );
    let duration = seconds(m, "commit.duration", "Time that a commit took, by `toolplane.outcome`.");
    let errors = counter(
        m,
        "store.errors",
        "{error}",
        "Failures of the database, by `error.type`: `lost`, `violated`, `bad_row` or `driver`.",
    );
    (commits, duration, errors)
}

fn name(short: &str) -> String {
    format!("toolplane.control_plane.{short}")
}

fn counter(meter: &Meter, short: &str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter.u64_counter(name(short)).with_unit(unit).with_description(description).build()
}

fn gauge(meter: &Meter, short: &str, unit: &'static str, description: &'static str) -> Gauge<u64> {
    meter.u64_gauge(name(short)).with_unit(unit).with_description(description).build()
}

fn seconds(meter: &Meter, short: &str, description: &'static str) -> Histogram<f64> {
    let builder = meter.f64_histogram(name(short)).with_unit("s").with_description(description);
    builder.with_boundaries(SECONDS.to_vec()).build()
}

fn outcome(word: &'static str) -> KeyValue {
    KeyValue::new("toolplane.outcome", word)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.streams.add(-1, &[]);
    }
}
