use std::sync::atomic::{AtomicU32, Ordering};

use toolplane_registry::{Rejection, Rule};

use super::*;
use crate::limits::breaker::Phase;

fn state(settings: Settings) -> State {
    State::new("a", "http://a/mcp", settings)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Sends calls that all end like this, and says how many were sent.
async fn sent(
    state: &State,
    is_harmless: bool,
    outcome: impl Fn(u32) -> Result<(), crate::Error> + Send + Sync,
) -> (u32, Result<(), Error>) {
    let sent = AtomicU32::new(0);
    let found = within(
        state,
        soon(),
        || is_harmless,
        |_| std::future::ready(outcome(sent.fetch_add(1, Ordering::Relaxed))),
    )
    .await;
    (sent.into_inner(), found)
}

fn refused() -> crate::Error {
    crate::Error::Connect("refused".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_never_arrived_is_sent_again_and_what_may_have_run_is_not() {
    let broke = || crate::Error::Interrupted("reset".to_owned());
    let (count, outcome) =
        sent(&state(Settings::default()), false, |n| if n < 2 { Err(refused()) } else { Ok(()) }).await;
    assert!(count == 3 && outcome.is_ok());
    let (count, outcome) = sent(&state(Settings::default()), false, |_| Err(broke())).await;
    assert!(count == 1 && outcome.is_err());
    let (count, outcome) =
        sent(&state(Settings::default()), true, |n| if n < 1 { Err(broke()) } else { Ok(()) }).await;
    assert!(count == 2 && outcome.is_ok());
    let never = Settings { max_retries: 0, ..Settings::default() };
    let (count, _) = sent(&state(never), true, |_| Err(refused())).await;
    assert_eq!(count, 1);
}

#[tokio::test(start_paused = true)]
async fn repetitions_that_never_arrived_do_not_hide_that_the_call_may_have_run() {
    let broke = || crate::Error::Interrupted("reset".to_owned());
    let once = Settings { max_retries: 1, ..Settings::default() };
    let ends = |n| Err(if n == 0 { broke() } else { refused() });
    let (count, outcome) = sent(&state(once), true, ends).await;
    assert!(matches!(outcome, Err(Error::Call(crate::Error::Interrupted(_)))), "{outcome:?}");
    assert_eq!(count, 2);
    // The breaker opens while the call waits for its next attempt.
    let state = state(once);
    let outcome = within(&state, soon(), || true, |_| async { Err::<(), _>(broke()) });
    let meanwhile = async {
        while state.read().attempts == 0 {
            tokio::task::yield_now().await;
        }
        while state.refuses().is_none() {
            let pass = state.admit().unwrap();
            state.judge(pass, Verdict::Ill, || "ill".to_owned());
        }
    };
    let (outcome, ()) = tokio::join!(outcome, meanwhile);
    assert!(matches!(outcome, Err(Error::Call(crate::Error::Interrupted(_)))), "{outcome:?}");
    assert_eq!(state.read().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_is_turned_away_is_the_last_and_does_not_hide_that_the_call_may_have_run() {
    let refusals: [fn() -> crate::Error; 3] = [
        || crate::Error::Unauthorized(401),
        || crate::Error::Tls("expired".to_owned()),
        || crate::Error::Refused(Rejection::new("url", Rule::UrlGuard, "no")),
    ];
    for refusal in refusals {
        let state = state(Settings { max_retries: 5, ..Settings::default() });
        let ends = |n| Err(if n == 0 { crate::Error::Interrupted("reset".to_owned()) } else { refusal() });
        let (count, outcome) = sent(&state, true, ends).await;
        assert!(matches!(outcome, Err(Error::Call(crate::Error::Interrupted(_)))), "{outcome:?}");
        assert_eq!((count, state.read().retries), (2, 1), "{}", refusal());
    }
}

#[tokio::test(start_paused = true)]
async fn repetitions_end_with_the_deadline() {
    let state = state(Settings { max_retries: 10, breaker_failures: 0, ..Settings::default() });
    let sent = AtomicU32::new(0);
    let deadline = Instant::now() + Duration::from_millis(20);
    let outcome = within(
        &state,
        deadline,
        || true,
        |_| {
            sent.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<(), _>(refused()))
        },
    );
    assert!(outcome.await.is_err());
    assert_eq!(sent.into_inner(), 1, "the pause is longer than what is left");
}

#[tokio::test(start_paused = true)]
async fn the_budget_keeps_repetitions_to_a_share_of_the_calls() {
    let state = state(Settings { max_retries: 1, breaker_failures: 0, ..Settings::default() });
    let sent = AtomicU32::new(0);
    for _ in 0..1000 {
        let call = within(
            &state,
            soon(),
            || true,
            |_| {
                sent.fetch_add(1, Ordering::Relaxed);
                std::future::ready(Err::<(), _>(refused()))
            },
        );
        assert!(call.await.is_err());
    }
    let (sent, reading) = (sent.into_inner(), state.read());
    assert_eq!(u64::from(sent), reading.attempts);
    // A fifth, the ten that were there, and what the seconds of the pauses brought.
    assert!((1200..1240).contains(&sent), "{sent}");
    assert_eq!(reading.retries + reading.retries_denied, 1000);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_answers_without_sending_and_one_probe_closes_it() {
    let state = state(Settings { max_retries: 0, ..Settings::default() });
    for _ in 0..5 {
        let (count, outcome) = sent(&state, false, |_| Err(crate::Error::Status(500))).await;
        assert!(count == 1 && matches!(outcome, Err(Error::Call(_))));
    }
    let (count, outcome) = sent(&state, false, |_| Ok(())).await;
    let Err(Error::Unavailable { retry_after, cause }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((count, cause.as_str()), (0, "the upstream answered with status 500"));
    tokio::time::advance(retry_after).await;
    let hanging = within(&state, soon(), || false, |_| std::future::pending::<Result<(), _>>());
    let mut hanging = Box::pin(hanging);
    assert!(futures::poll!(&mut hanging).is_pending());
    assert!(matches!(state.read().phase, Phase::HalfOpen { .. }));
    assert!(
        matches!(sent(&state, false, |_| Ok(())).await, (0, Err(Error::Unavailable { .. }))),
        "one probe only"
    );
    drop(hanging);
    assert!(matches!(sent(&state, false, |_| Ok(())).await, (1, Ok(()))), "nobody waits for the first probe");
    assert!(matches!(state.read().phase, Phase::Closed { .. }));
    let reading = state.read();
    assert_eq!((reading.openings, reading.spared, reading.failures), (1, 2, 5));
}

#[tokio::test(start_paused = true)]
async fn without_a_breaker_failures_are_counted_and_nothing_is_refused() {
    let state = state(Settings { max_retries: 0, breaker_failures: 0, ..Settings::default() });
    for _ in 0..50 {
        assert_eq!(sent(&state, false, |_| Err(refused())).await.0, 1);
    }
    assert_eq!((state.read().failures, state.read().openings), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_place_counts_into_the_deadline() {
    let state = state(Settings { max_concurrency: 1, max_queue: 1, ..Settings::default() });
    let hang = || within(&state, soon(), || false, |_| std::future::pending::<Result<(), _>>());
    let mut running = Box::pin(hang());
    assert!(futures::poll!(&mut running).is_pending());
    let began = Instant::now();
    let waiting = within(&state, began + Duration::from_secs(3), || true, |_| async { Ok(()) });
    let (waited, full) = tokio::join!(waiting, sent(&state, true, |_| Ok(())));
    assert!(matches!(full, (0, Err(Error::Overloaded { .. }))), "the one place to wait is taken");
    assert!(matches!(waited, Err(Error::Overloaded { .. })));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!((state.read().overloaded, state.read().attempts), (2, 1));
    drop(running);
    assert_eq!(state.read().running, 0);
}

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_on_a_hanging_upstream_open_its_breaker_and_impatient_ones_do_not() {
    let state = state(Settings::default());
    let give_up_after = async |seconds| {
        for _ in 0..5 {
            let call = within(&state, soon(), || false, |_| std::future::pending::<Result<(), _>>());
            assert!(tokio::time::timeout(Duration::from_secs(seconds), call).await.is_err());
        }
    };
    give_up_after(29).await;
    assert!(matches!(state.read().phase, Phase::Closed { failures: 0, .. }));
    give_up_after(30).await;
    assert!(matches!(state.read().phase, Phase::Open { .. }));
}

#[tokio::test(start_paused = true)]
async fn calls_of_slow_tools_do_not_open_the_breaker_of_an_upstream_that_answers_others() {
    let state = state(Settings::default());
    let slow = |seconds| {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let send = |left| async move {
            tokio::time::sleep(left).await;
            Err::<(), _>(crate::Error::Timeout)
        };
        within(&state, deadline, || false, send)
    };
    for seconds in [31, 60] {
        let others = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert!(matches!(sent(&state, false, |_| Ok(())).await, (1, Ok(()))));
        };
        let (given_up, ()) = tokio::join!(futures::future::join_all((0..30).map(|_| slow(seconds))), others);
        assert!(given_up.iter().all(|outcome| matches!(outcome, Err(Error::Call(crate::Error::Timeout)))));
        assert!(matches!(state.read().phase, Phase::Closed { failures: 0, .. }), "{seconds} s");
    }
    // The same calls, and nothing else was answered all the while.
    futures::future::join_all((0..30).map(|_| slow(31))).await;
    assert!(matches!(state.read().phase, Phase::Open { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_later_snapshot_keeps_what_is_known_unless_the_address_is_another() {
    let before = state(Settings { max_retries: 0, ..Settings::default() });
    for _ in 0..5 {
        let _failed = sent(&before, false, |_| Err(refused())).await;
    }
    let relaxed = Settings { max_queue: 1, ..Settings::default() };
    let same = before.next("http://a/mcp", relaxed);
    assert!(matches!(same.read().phase, Phase::Open { .. }));
    assert_eq!(same.settings().max_queue, 1);
    let unbroken = before.next("http://a/mcp", Settings { breaker_failures: 0, ..relaxed });
    assert_eq!(sent(&unbroken, false, |_| Ok(())).await.0, 1, "whoever wants no breaker has none");
    let moved = before.next("http://b/mcp", relaxed);
    assert!(matches!(moved.read().phase, Phase::Closed { .. }));
}

/// What the limits add to a call that goes well; the number is for reading, not for judging.
#[tokio::test]
async fn a_call_that_goes_well_passes_every_limit_without_waiting() {
    const CALLS: u32 = 100_000;
    let state = state(Settings::default());
    let began = Instant::now();
    for _ in 0..CALLS {
        let call = within(&state, soon(), || false, |_| std::future::ready(Ok(())));
        assert!(futures::FutureExt::now_or_never(call).is_some_and(|outcome| outcome.is_ok()));
    }
    eprintln!("the limits add {} ns to a call", began.elapsed().as_nanos() / u128::from(CALLS));
    let reading = state.read();
    assert_eq!((reading.attempts, reading.running), (u64::from(CALLS), 0));
}
