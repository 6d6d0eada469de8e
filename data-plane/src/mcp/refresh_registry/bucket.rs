//! A token bucket: some at once, then a few per second. Pure but for the time that is passed in.

use tokio::time::Instant;

/// Runs that may start at once.
const CAPACITY: f64 = 20.0;
/// Runs per second after that.
const PER_SECOND: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    counted_at: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { tokens: CAPACITY, counted_at: None }
    }
}

impl Bucket {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = self.counted_at.map_or(0.0, |then| now.duration_since(then).as_secs_f64());
        self.counted_at = Some(now);
        self.tokens = (self.tokens + passed * PER_SECOND).min(CAPACITY);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_time_must() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        assert_eq!((0..30).filter(|_| bucket.take(start)).count(), 20);
        assert!(!bucket.take(start + Duration::from_millis(400)));
        assert!(bucket.take(start + Duration::from_millis(600)));
    }
}
