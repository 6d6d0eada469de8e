//! The instruments themselves: their names, units and descriptions.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};

const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// From one small domain to the largest update that a node accepts by default.
const BYTES: [f64; 9] = [1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 1e8, 268_435_456.0];

/// Every instrument that is recorded to.
#[derive(Debug)]
pub(super) struct Instruments {
    pub(super) meter: Meter,
    /// Without a meter not even attributes are put together.
    pub(super) on: bool,
    pub(super) head: Gauge<u64>,
    pub(super) published: Gauge<u64>,
    pub(super) build_duration: Histogram<f64>,
    pub(super) streams: UpDownCounter<i64>,
    pub(super) updates: Counter<u64>,
    pub(super) update_size: Histogram<u64>,
    pub(super) nacks: Counter<u64>,
    pub(super) refreshes: Counter<u64>,
    pub(super) refresh_duration: Histogram<f64>,
    pub(super) rounds: Counter<u64>,
    pub(super) tokens: Counter<u64>,
    pub(super) claims: Counter<u64>,
    pub(super) commits: Counter<u64>,
    pub(super) commit_duration: Histogram<f64>,
    pub(super) store_errors: Counter<u64>,
    pub(super) rpc_duration: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: Meter, on: bool) -> Self {
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

pub(super) fn name(short: &str) -> String {
    format!("toolplane.control_plane.{short}")
}

pub(super) fn counter(
    meter: &Meter,
    short: &str,
    unit: &'static str,
    description: &'static str,
) -> Counter<u64> {
    meter.u64_counter(name(short)).with_unit(unit).with_description(description).build()
}

fn gauge(meter: &Meter, short: &str, unit: &'static str, description: &'static str) -> Gauge<u64> {
    meter.u64_gauge(name(short)).with_unit(unit).with_description(description).build()
}

fn seconds(meter: &Meter, short: &str, description: &'static str) -> Histogram<f64> {
    let builder = meter.f64_histogram(name(short)).with_unit("s").with_description(description);
    builder.with_boundaries(SECONDS.to_vec()).build()
}
