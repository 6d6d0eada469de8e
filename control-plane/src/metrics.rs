//! Every instrument of the control plane, declared once, and what is noted by them.
//!
//! Owns their names, units and descriptions, and what an attribute may be: closed sets of words, methods of our own
//! services, and domains, whose number the registry bounds. Never an id or anything that a client wrote. Where the
//! numbers go is not known here: a [`Meter`] is handed in, and without one nothing is measured.

pub(crate) mod connections;
mod instruments;
pub(crate) mod rollout;
pub mod rpc;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{InstrumentProvider, Meter};
use toolplane_registry::{Domain, Rejection};
use toolplane_upstream::oauth;

use crate::metrics::instruments::Instruments;
use crate::store;

/// The instruments. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Instruments>);

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
