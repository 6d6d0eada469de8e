//! What is known of one upstream from call to call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::breaker::{Admission, Breaker, Change, Pass, Verdict};
use super::budget::Budget;
use super::bulkhead::Bulkhead;
use super::reading::{Counts, Reading};

/// Where milliseconds are counted from; breakers and budgets know no other time.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

/// The state of one upstream under the settings that a snapshot gives it.
#[derive(Debug)]
pub struct State {
    name: String,
    url: String,
    settings: Settings,
    bulkhead: Arc<Bulkhead>,
    lasting: Arc<Lasting>,
}

/// What outlives a change of the settings.
#[derive(Debug)]
struct Lasting {
    clock: Clock,
    breaker: Breaker,
    budget: Budget,
    counts: Counts,
    /// Why the last call that counted as ill health failed. Touched by failures alone.
    last_failure: Mutex<String>,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Milliseconds since the clock was made.
    pub fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl State {
    /// An upstream of which nothing is known yet. The name is for logs.
    pub fn new(name: impl Into<String>, url: impl Into<String>, settings: Settings) -> Self {
        let lasting = Lasting {
            clock: Clock::default(),
            breaker: Breaker::default(),
            budget: Budget::default(),
            counts: Counts::default(),
            last_failure: Mutex::default(),
        };
        Self {
            name: name.into(),
            url: url.into(),
            settings,
            bulkhead: Arc::new(Bulkhead::new(settings.max_concurrency, settings.max_queue)),
            lasting: Arc::new(lasting),
        }
    }

    /// The same upstream as a later snapshot has it. At another address everything begins anew; with other places,
    /// calls that hold an old one are not counted among the new.
    #[must_use]
    pub fn next(&self, url: &str, settings: Settings) -> Self {
        if url != self.url {
            return Self::new(self.name.clone(), url, settings);
        }
        let Settings { max_concurrency, max_queue, .. } = settings;
        let bulkhead = if self.bulkhead.is_of(max_concurrency, max_queue) {
            Arc::clone(&self.bulkhead)
        } else {
            Arc::new(Bulkhead::new(max_concurrency, max_queue))
        };
        let lasting = Arc::clone(&self.lasting);
        Self { name: self.name.clone(), url: self.url.clone(), settings, bulkhead, lasting }
    }

    /// The limits.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where it stands.
    pub fn read(&self) -> Reading {
        let Lasting { breaker, budget, counts, .. } = &*self.lasting;
        Reading {
            running: self.bulkhead.running(),
            waiting: self.bulkhead.waiting(),
            phase: breaker.phase(),
            attempts: counts.attempts.get(),
            failures: counts.failures.get(),
            timeouts: counts.timeouts.get(),
            retries: counts.retries.get(),
            retries_denied: counts.retries_denied.get(),
            retry_budget: budget.left(self.now()),
            overloaded: counts.overloaded.get(),
            spared: counts.spared.get(),
            openings: counts.openings.get(),
        }
    }

    /// Why its calls fail.
    pub(super) fn last_failure(&self) -> String {
        self.lasting.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn bulkhead(&self) -> &Bulkhead {
        &self.bulkhead
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.lasting.counts
    }

    /// How many calls it has answered.
    pub(super) fn answers(&self) -> u64 {
        self.lasting.counts.answers.get()
    }

    pub(super) fn now(&self) -> u64 {
        self.lasting.clock.now()
    }

    pub(super) fn deposit(&self) {
        self.lasting.budget.deposit(self.now());
    }

    pub(super) fn withdraw(&self) -> bool {
        self.lasting.budget.withdraw(self.now())
    }

    /// How long the breaker refuses calls from now on, as far as can be said without asking for one.
    pub(super) fn refuses(&self) -> Option<Duration> {
        if self.settings.breaker_failures == 0 {
            return None;
        }
        match self.lasting.breaker.phase().admit(self.now()).1 {
            Admission::Passed(_) => None,
            Admission::Refused(wait) => Some(wait),
        }
    }

    /// The right to send one call; none where no breaker asks.
    pub(super) fn admit(&self) -> Result<Option<Pass>, Duration> {
        if self.settings.breaker_failures == 0 {
            return Ok(None);
        }
        match self.lasting.breaker.admit(self.now()) {
            Admission::Passed(pass) => Ok(Some(pass)),
            Admission::Refused(wait) => Err(wait),
        }
    }

    /// Takes the outcome of a call in.
    pub(super) fn judge(&self, pass: Option<Pass>, verdict: Verdict, why: impl FnOnce() -> String) {
        let Lasting { breaker, counts, last_failure, .. } = &*self.lasting;
        if verdict == Verdict::Healthy {
            counts.answers.add();
        }
        if verdict == Verdict::Ill {
            counts.failures.add();
            *last_failure.lock().unwrap_or_else(PoisonError::into_inner) = why();
        }
        let Some(pass) = pass else { return };
        let random = if verdict == Verdict::Ill { random() } else { 0 };
        let too_many = self.settings.breaker_failures;
        match breaker.judge(pass, verdict, self.now(), too_many, random) {
            None => {}
            Some(Change::Opened { pause }) => {
                counts.openings.add();
                let (seconds, reason) = (pause.as_secs_f32(), self.last_failure());
                tracing::warn!(
                    upstream.domain = self.name,
                    pause_seconds = seconds,
                    "an upstream is spared for a while: {reason}"
                );
            }
            Some(Change::Closed) => tracing::info!(upstream.domain = self.name, "an upstream works again"),
        }
    }
}

/// Without randomness everybody waits for the same time, which is no reason to fail.
pub(super) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
