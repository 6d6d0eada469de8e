//! The limits of one upstream: what the operator set, and what a node does where nothing was.

use std::time::Duration;

use toolplane_registry::limits::{Limit, Limits};
use toolplane_registry::{Rejection, Rule};

use super::Timeouts;

/// The limits of one upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Longest time for a call, waiting and repetitions included.
    pub timeout: Duration,
    /// Limits of the exchange itself.
    pub timeouts: Timeouts,
    /// How many calls run at once.
    pub max_concurrency: u32,
    /// How many wait.
    pub max_queue: u32,
    /// How often a call that may be repeated is repeated.
    pub max_retries: u32,
    /// After how many failures in a row the breaker opens; zero keeps it closed.
    pub breaker_failures: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            timeouts: Timeouts::default(),
            max_concurrency: 256,
            max_queue: 256,
            max_retries: 2,
            breaker_failures: 5,
        }
    }
}

impl Settings {
    /// These as the defaults of an upstream for which something was set. What a control plane of another release let
    /// pass and makes no sense here is not taken up.
    #[must_use]
    pub fn with(mut self, limits: &Limits) -> Self {
        let mut sound = *limits;
        for limit in Limit::ALL {
            let mut alone = Limits::default();
            alone.put(limit, limits.get(limit));
            if alone.check().is_err() {
                sound.put(limit, None);
            }
        }
        self.timeout = sound.timeout.unwrap_or(self.timeout);
        self.timeouts.connect = sound.connect_timeout.or(self.timeouts.connect);
        self.timeouts.first_byte = sound.first_byte_timeout.or(self.timeouts.first_byte);
        self.timeouts.idle = sound.idle_timeout.or(self.timeouts.idle);
        self.max_concurrency = sound.max_concurrency.unwrap_or(self.max_concurrency);
        self.max_queue = sound.max_queue.unwrap_or(self.max_queue);
        self.max_retries = sound.max_retries.unwrap_or(self.max_retries);
        self.breaker_failures = sound.breaker_failures.unwrap_or(self.breaker_failures);
        self
    }

    /// Whether these make sense as defaults of a node.
    pub fn check(&self) -> Result<(), Vec<Rejection>> {
        let mut rejections = Vec::new();
        if self.timeout.is_zero() {
            rejections.push(Rejection::new("call timeout", Rule::Setting, "is zero"));
        }
        if self.max_concurrency == 0 {
            rejections.push(Rejection::new("concurrency of an upstream", Rule::Setting, "is zero"));
        }
        if rejections.is_empty() { Ok(()) } else { Err(rejections) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_wins_and_what_makes_no_sense_does_not() {
        let node = Settings { max_queue: 7, ..Settings::default() };
        assert_eq!(node.with(&Limits::default()), node);
        let limits = Limits {
            timeout: Some(Duration::from_secs(3)),
            idle_timeout: Some(Duration::from_secs(2)),
            max_concurrency: Some(0),
            breaker_failures: Some(0),
            ..Limits::default()
        };
        let expected = Settings {
            timeout: Duration::from_secs(3),
            timeouts: Timeouts { idle: Some(Duration::from_secs(2)), ..node.timeouts },
            breaker_failures: 0,
            ..node
        };
        assert_eq!(node.with(&limits), expected);
    }
}
