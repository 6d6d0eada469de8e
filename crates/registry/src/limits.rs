//! What an operator may set of an upstream's limits, under which names and within which bounds.
//!
//! Owns the plain data. What is absent follows the node's defaults. Never enforces anything; that is the business
//! of `toolplane-upstream`.

use std::time::Duration;

use crate::{Rejection, Rule};

/// Longest time that may be set.
pub const MAX_TIME: Duration = Duration::from_hours(1);
/// Most calls that may run or wait.
const MAX_CALLS: u32 = 100_000;

/// Limits of one upstream as far as they were set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Longest time for a call, waiting and repetitions included.
    pub timeout: Option<Duration>,
    /// Longest time until a connection stands.
    pub connect_timeout: Option<Duration>,
    /// Longest time until the head of a reply arrives.
    pub first_byte_timeout: Option<Duration>,
    /// Longest pause within a reply.
    pub idle_timeout: Option<Duration>,
    /// How many calls may run at once.
    pub max_concurrency: Option<u32>,
    /// How many calls may wait until they may run.
    pub max_queue: Option<u32>,
    /// How often a call that may be repeated is repeated.
    pub max_retries: Option<u32>,
    /// After how many failures in a row no call is let through for a while; zero never does that.
    pub breaker_failures: Option<u32>,
}

/// One of the limits, for whatever treats them alike: columns, manifests, update masks, tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::timeout`]
    Timeout,
    /// [`Limits::connect_timeout`]
    ConnectTimeout,
    /// [`Limits::first_byte_timeout`]
    FirstByteTimeout,
    /// [`Limits::idle_timeout`]
    IdleTimeout,
    /// [`Limits::max_concurrency`]
    MaxConcurrency,
    /// [`Limits::max_queue`]
    MaxQueue,
    /// [`Limits::max_retries`]
    MaxRetries,
    /// [`Limits::breaker_failures`]
    BreakerFailures,
}

impl Limit {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::ConnectTimeout,
        Self::FirstByteTimeout,
        Self::IdleTimeout,
        Self::MaxConcurrency,
        Self::MaxQueue,
        Self::MaxRetries,
        Self::BreakerFailures,
    ];

    /// The name in the admin API, in manifests and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxConcurrency => "max_concurrency",
            Self::MaxQueue => "max_queue",
            Self::MaxRetries => "max_retries",
            Self::BreakerFailures => "breaker_failures",
        }
    }

    /// Finds one by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.name() == name)
    }

    /// Whether it is a time, whose number is one of milliseconds.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Timeout | Self::ConnectTimeout | Self::FirstByteTimeout | Self::IdleTimeout)
    }

    /// The least and the most that may be set.
    fn bounds(self) -> (u64, u64) {
        match self {
            Self::Timeout | Self::ConnectTimeout | Self::FirstByteTimeout | Self::IdleTimeout => {
                (1, millis(MAX_TIME))
            }
            Self::MaxConcurrency => (1, MAX_CALLS.into()),
            Self::MaxQueue => (0, MAX_CALLS.into()),
            Self::MaxRetries => (0, 10),
            Self::BreakerFailures => (0, 1000),
        }
    }
}

impl Limits {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What was set of one limit, as a number: times in milliseconds.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Timeout => self.timeout.map(millis),
            Limit::ConnectTimeout => self.connect_timeout.map(millis),
            Limit::FirstByteTimeout => self.first_byte_timeout.map(millis),
            Limit::IdleTimeout => self.idle_timeout.map(millis),
            Limit::MaxConcurrency => self.max_concurrency.map(u64::from),
            Limit::MaxQueue => self.max_queue.map(u64::from),
            Limit::MaxRetries => self.max_retries.map(u64::from),
            Limit::BreakerFailures => self.breaker_failures.map(u64::from),
        }
    }

    /// Sets one limit, or leaves it to the defaults again. Numbers beyond the bounds are left to [`Limits::check`].
    pub fn put(&mut self, limit: Limit, value: Option<u64>) {
        let time = value.map(Duration::from_millis);
        let count = value.map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        match limit {
            Limit::Timeout => self.timeout = time,
            Limit::ConnectTimeout => self.connect_timeout = time,
            Limit::FirstByteTimeout => self.first_byte_timeout = time,
            Limit::IdleTimeout => self.idle_timeout = time,
            Limit::MaxConcurrency => self.max_concurrency = count,
            Limit::MaxQueue => self.max_queue = count,
            Limit::MaxRetries => self.max_retries = count,
            Limit::BreakerFailures => self.breaker_failures = count,
        }
    }

    /// Every limit that is out of bounds.
    pub fn check(&self) -> Result<(), Vec<Rejection>> {
        let mut rejections = Vec::new();
        for limit in Limit::ALL {
            let (least, most) = limit.bounds();
            let Some(value) = self.get(limit).filter(|value| !(least..=most).contains(value)) else {
                continue;
            };
            let reason = if limit.is_time() {
                format!("is {value} ms and must be from {least} ms to {} s", most / 1000)
            } else {
                format!("is {value} and must be from {least} to {most}")
            };
            rejections.push(Rejection::new(format!("limit `{}`", limit.name()), Rule::Limit, reason));
        }
        if rejections.is_empty() { Ok(()) } else { Err(rejections) }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_what_one_gets_and_clearing_leaves_the_default() {
        for limit in Limit::ALL {
            let mut limits = Limits::default();
            limits.put(limit, Some(7));
            assert_eq!(limits.get(limit), Some(7), "{}", limit.name());
            let others = Limit::ALL.into_iter().filter(|other| *other != limit);
            assert!(others.clone().all(|other| limits.get(other).is_none()), "{}", limit.name());
            assert_eq!(Limit::named(limit.name()), Some(limit));
            limits.put(limit, None);
            assert!(limits.is_default());
        }
        assert_eq!(Limit::named("patience"), None);
    }

    #[test]
    fn every_limit_out_of_bounds_is_reported() {
        let limits = Limits {
            timeout: Some(Duration::ZERO),
            idle_timeout: Some(MAX_TIME + Duration::from_millis(1)),
            max_concurrency: Some(0),
            max_queue: Some(0),
            max_retries: Some(11),
            breaker_failures: Some(0),
            ..Limits::default()
        };
        let subjects: Vec<_> = limits.check().unwrap_err().into_iter().map(|r| r.subject).collect();
        assert_eq!(
            subjects,
            ["limit `timeout`", "limit `idle_timeout`", "limit `max_concurrency`", "limit `max_retries`"]
        );
        assert_eq!(Limits::default().check(), Ok(()));
    }
}
