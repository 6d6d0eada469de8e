//! One call within the limits: wait for a place, ask the breaker, send, judge, and maybe send again.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::breaker::{Pass, Verdict};
use super::bulkhead::{Full, Slot};
use super::health::Chance;
use super::state::{State, random};
use super::{Settings, health};
use crate::Client;
use crate::client::{Answer, Target, ToolCall};

/// Says how long the sender will wait, in milliseconds. Proxies of the Envoy family set it on what they pass on. Where
/// a caller came with it, the upstream is told what is left.
pub const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// Advice for a caller who found every place taken.
const SOON: Duration = Duration::from_secs(1);

/// The client within limits. Clones share connections and sessions.
#[derive(Debug, Clone)]
pub struct Limited {
    client: Client,
}

/// Why a call within limits failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The breaker is open: nothing was sent.
    #[error("the upstream keeps failing ({cause}) and is spared for a while")]
    Unavailable {
        /// How long it is not worth trying.
        retry_after: Duration,
        /// Why the last call that counted failed.
        cause: String,
    },
    /// There was no place to run: nothing was sent.
    #[error("the upstream has more calls to answer than this node lets it have")]
    Overloaded {
        /// When a place may be free.
        retry_after: Duration,
    },
    /// The call failed.
    #[error(transparent)]
    Call(#[from] crate::Error),
}

/// A call under way: dropped before its outcome, it says that nobody waited for it.
struct Attempt<'a> {
    state: &'a State,
    pass: Option<Pass>,
    began: Instant,
    /// How many answers the upstream had given by then.
    answers: u64,
    is_judged: bool,
}

impl Limited {
    /// The client within limits.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Calls one tool until the deadline at most, and again where it does no harm: the call never arrived, or the
    /// tool `is_harmless` to repeat, which is asked only after a failure.
    pub async fn call_tool(
        &self,
        state: &State,
        target: &Target,
        call: &ToolCall,
        deadline: Instant,
        is_harmless: impl Fn() -> bool,
    ) -> Result<Answer, Error> {
        let (client, told) = (&self.client, target.headers.contains_key(&EXPECTED_TIMEOUT));
        let send = |left| async move {
            if !told {
                return client.call_tool(target, call, left).await;
            }
            let mut target = target.clone();
            target.headers.insert(EXPECTED_TIMEOUT, millis(left));
            client.call_tool(&target, call, left).await
        };
        within(state, deadline, is_harmless, send).await
    }
}

/// Runs `send` within the limits of `state`. It is given the time that is left.
async fn within<T, F: Future<Output = Result<T, crate::Error>>>(
    state: &State,
    deadline: Instant,
    is_harmless: impl Fn() -> bool,
    send: impl Fn(Duration) -> F,
) -> Result<T, Error> {
    let Settings { timeout, max_retries, .. } = *state.settings();
    let deadline = deadline.min(Instant::now() + timeout);
    let _slot = enter(state, deadline).await?;
    state.deposit();
    let mut repetition = 0;
    // The failure of an attempt that may have arrived. Those after it that did not arrive must not hide it: whoever
    // called would take it that nothing has run.
    let mut arrived: Option<crate::Error> = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(arrived.map_or_else(|| overloaded(state), Error::Call));
        }
        let attempt = match Attempt::begin(state) {
            Ok(attempt) => attempt,
            Err(refusal) => return Err(arrived.map_or(refusal, Error::Call)),
        };
        let error = match attempt.judged(send(left).await) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        repetition += 1;
        let pause = health::pause(repetition, random());
        // Judged by what happened last: an upstream that now turns the call away does so the next time, too.
        let is_last = repetition > max_retries
            || !health::may_repeat(&error, is_harmless())
            || Instant::now() + pause >= deadline
            || state.refuses().is_some();
        let told = if error.was_sent() { error } else { arrived.take().unwrap_or(error) };
        if is_last {
            return Err(told.into());
        }
        if !state.withdraw() {
            state.counts().retries_denied.add();
            return Err(told.into());
        }
        state.counts().retries.add();
        arrived = Some(told).filter(crate::Error::was_sent);
        tokio::time::sleep(pause).await;
    }
}

/// Waits for a place to run. Where the breaker is open, nobody waits.
async fn enter(state: &State, deadline: Instant) -> Result<Slot, Error> {
    if let Some(retry_after) = state.refuses() {
        return Err(spared(state, retry_after));
    }
    match timeout_at(deadline, state.bulkhead().enter()).await {
        Ok(Ok(slot)) => Ok(slot),
        Ok(Err(Full)) | Err(_) => Err(overloaded(state)),
    }
}

fn overloaded(state: &State) -> Error {
    state.counts().overloaded.add();
    Error::Overloaded { retry_after: SOON }
}

fn spared(state: &State, retry_after: Duration) -> Error {
    state.counts().spared.add();
    Error::Unavailable { retry_after, cause: state.last_failure() }
}

fn millis(time: Duration) -> HeaderValue {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}

// ---- Attempt ----

impl<'a> Attempt<'a> {
    fn begin(state: &'a State) -> Result<Self, Error> {
        let pass = state.admit().map_err(|retry_after| spared(state, retry_after))?;
        state.counts().attempts.add();
        Ok(Self { state, pass, began: Instant::now(), answers: state.answers(), is_judged: false })
    }

    fn chance(&self, usual: Duration) -> Chance {
        Chance { had: self.began.elapsed(), usual, answered: self.state.answers() != self.answers }
    }

    fn judged<T>(mut self, outcome: Result<T, crate::Error>) -> Result<T, crate::Error> {
        self.is_judged = true;
        let usual = self.state.settings().timeout;
        let verdict = health::verdict(&outcome, self.chance(self.limit(usual, &outcome)));
        if matches!(outcome, Err(crate::Error::Timeout)) {
            self.state.counts().timeouts.add();
        }
        self.state.judge(self.pass, verdict, || match &outcome {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        });
        outcome
    }

    /// The time that the upstream may take: the limit on silence where there is one, since that may have been it.
    fn limit<T>(&self, usual: Duration, outcome: &Result<T, crate::Error>) -> Duration {
        let timeouts = &self.state.settings().timeouts;
        let shortest = timeouts.first_byte.into_iter().chain(timeouts.idle).min();
        match (outcome, shortest) {
            (Err(crate::Error::Timeout), Some(silence)) => usual.min(silence),
            _ => usual,
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_judged {
            return;
        }
        let verdict = health::unanswered(self.chance(self.state.settings().timeout));
        debug_assert!(verdict != Verdict::Healthy, "nobody has seen an answer");
        self.state.judge(self.pass, verdict, || "callers gave up waiting for it".to_owned());
    }
}

#[cfg(test)]
mod tests;
