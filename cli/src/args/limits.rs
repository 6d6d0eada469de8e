//! Flags for the limits of an upstream.

use clap::Args;
use toolplane_registry::limits::Limit;

/// How much of a node an upstream may take. `default` leaves a limit to the nodes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits, `default` for those of the nodes")]
pub(crate) struct LimitFields {
    /// Longest time for a call, waiting and repetitions included
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<String>,
    /// Longest time until a connection stands
    #[arg(long, value_name = "SECONDS")]
    pub(crate) connect_timeout: Option<String>,
    /// Longest time until a reply begins
    #[arg(long, value_name = "SECONDS")]
    pub(crate) first_byte_timeout: Option<String>,
    /// Longest pause within a reply
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle_timeout: Option<String>,
    /// How many calls a node runs at once
    #[arg(long, value_name = "CALLS")]
    pub(crate) max_concurrency: Option<String>,
    /// How many calls wait at a node until they may run
    #[arg(long, value_name = "CALLS")]
    pub(crate) max_queue: Option<String>,
    /// How often a call is repeated that may be repeated
    #[arg(long, value_name = "TIMES")]
    pub(crate) max_retries: Option<String>,
    /// Failures in a row after which no call is let through for a while; 0 for never
    #[arg(long, value_name = "FAILURES")]
    pub(crate) breaker_failures: Option<String>,
}

impl LimitFields {
    /// Those that were named, with what was said.
    pub(crate) fn given(&self) -> impl Iterator<Item = (Limit, &str)> {
        let Self {
            timeout,
            connect_timeout,
            first_byte_timeout,
            idle_timeout,
            max_concurrency,
            max_queue,
            max_retries,
            breaker_failures,
        } = self;
        let all = [
            (Limit::Timeout, timeout),
            (Limit::ConnectTimeout, connect_timeout),
            (Limit::FirstByteTimeout, first_byte_timeout),
            (Limit::IdleTimeout, idle_timeout),
            (Limit::MaxConcurrency, max_concurrency),
            (Limit::MaxQueue, max_queue),
            (Limit::MaxRetries, max_retries),
            (Limit::BreakerFailures, breaker_failures),
        ];
        all.into_iter().filter_map(|(limit, text)| Some((limit, text.as_deref()?)))
    }
}
