//! A question to the hook service without a node around it: what two processes and a socket cost on this machine.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::transport::Endpoint;
use toolplane_proto::hooks::BeforeExecuteRequest;
use toolplane_proto::hooks::hook_service_client::HookServiceClient;

use crate::load::Times;

/// Longest latency that is told apart, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// Asks for that many seconds over one channel of `tonic`, as many questions a second and as many at a time as calls are
/// made of a node.
pub(super) async fn measure(
    socket: &Path,
    rate: f64,
    callers: u32,
    seconds: Duration,
) -> anyhow::Result<Times> {
    let socket = socket.to_str().context("a path that is text")?;
    let channel = Endpoint::from_shared(format!("unix:{socket}"))?.connect().await?;
    let client = HookServiceClient::new(channel);
    let (between, begins) = (Duration::from_secs_f64(1.0 / rate), Instant::now());
    let ends = begins + seconds;
    let callers = (0..callers).map(|number| {
        let mut client = client.clone();
        async move {
            let mut turns = interval_at(begins + between * number, between * callers);
            turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut took = Vec::new();
            while turns.tick().await < ends {
                let asked = Instant::now();
                client.before_execute(BeforeExecuteRequest::default()).await?;
                took.push(asked.elapsed());
            }
            anyhow::Ok(took)
        }
    });
    let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST, 3)?;
    for took in try_join_all(callers).await?.into_iter().flatten() {
        histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 nanoseconds")]
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Times { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) })
}
