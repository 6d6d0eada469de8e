use super::*;

const CLOSED: Phase = Phase::Closed { since: 100, failures: 0, openings: 0 };
const OPEN: Phase = Phase::Open { until: 2000, openings: 1 };
const HALF_OPEN: Phase = Phase::HalfOpen { since: 2000, openings: 1 };
const TOO_MANY: u32 = 5;

fn failing(failures: u16) -> Phase {
    Phase::Closed { since: 100, failures, openings: 0 }
}

fn pass(admitted: u64, is_probe: bool) -> Pass {
    Pass { admitted, is_probe }
}

fn judged(phase: Phase, pass: Pass, verdict: Verdict, now: u64) -> Phase {
    phase.judge(pass, verdict, now, TOO_MANY, 0).0
}

#[test]
fn admission_follows_the_table() {
    let passed = |admitted, is_probe| Admission::Passed(pass(admitted, is_probe));
    let refused = |millis| Admission::Refused(Duration::from_millis(millis));
    for (phase, now, next, admission) in [
        (CLOSED, 500, CLOSED, passed(500, false)),
        (failing(4), 500, failing(4), passed(500, false)),
        (OPEN, 1999, OPEN, refused(1)),
        (OPEN, 1000, OPEN, refused(1000)),
        (OPEN, 2000, HALF_OPEN, passed(2000, true)),
        (HALF_OPEN, 2001, HALF_OPEN, refused(1000)),
        (HALF_OPEN, 99_000, HALF_OPEN, refused(1000)),
    ] {
        assert_eq!(phase.admit(now), (next, admission), "{phase:?} at {now}");
    }
}

#[test]
fn judgement_follows_the_table() {
    use Verdict::{Healthy, Ill, Unknown};
    let (call, probe) = (pass(500, false), pass(2000, true));
    let open = |until, openings| Phase::Open { until, openings };
    for (phase, pass, verdict, now, next) in [
        (CLOSED, call, Healthy, 600, CLOSED),
        (CLOSED, call, Ill, 600, failing(1)),
        (failing(3), call, Unknown, 600, failing(3)),
        (failing(3), call, Healthy, 600, CLOSED),
        (failing(4), call, Ill, 600, open(1600, 1)),
        // A call from before the closing says nothing about now.
        (failing(4), pass(99, false), Ill, 600, failing(4)),
        // Calls that were under way when it opened neither prolong nor end it.
        (OPEN, call, Ill, 1500, OPEN),
        (OPEN, call, Healthy, 1500, OPEN),
        (HALF_OPEN, call, Ill, 2500, HALF_OPEN),
        (HALF_OPEN, call, Healthy, 2500, HALF_OPEN),
        // An earlier probe that nobody waited for.
        (HALF_OPEN, pass(1990, true), Healthy, 2500, HALF_OPEN),
        (HALF_OPEN, probe, Healthy, 2500, Phase::Closed { since: 2500, failures: 0, openings: 1 }),
        (HALF_OPEN, probe, Ill, 2500, open(4500, 2)),
        (HALF_OPEN, probe, Unknown, 2500, open(2500, 1)),
    ] {
        assert_eq!(judged(phase, pass, verdict, now), next, "{phase:?} {pass:?} {verdict:?}");
    }
}

#[test]
fn openings_grow_up_to_a_minute_and_calm_forgets_them() {
    let mut pauses = Vec::new();
    let (mut phase, mut now) = (Phase::Open { until: 0, openings: 0 }, 0);
    for _ in 0..70 {
        let (next, admission) = phase.admit(now);
        let Admission::Passed(pass) = admission else { panic!("{next:?}") };
        let (next, change) = next.judge(pass, Verdict::Ill, now, TOO_MANY, 0);
        let (Some(Change::Opened { pause }), Phase::Open { until, .. }) = (change, next) else {
            panic!("{next:?}")
        };
        pauses.push(pause.as_secs());
        (phase, now) = (next, until);
    }
    assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pauses.last(), Some(&60));
    let again = |now| {
        let closed = Phase::Closed { since: 1000, failures: 4, openings: 5 };
        judged(closed, pass(1000, false), Verdict::Ill, now)
    };
    assert_eq!(again(1000 + CALM), Phase::Open { until: 1000 + CALM + 1000, openings: 1 });
    assert_eq!(again(999 + CALM), Phase::Open { until: 999 + CALM + 32_000, openings: 6 });
}

#[test]
fn openings_are_spread_by_a_quarter() {
    let until = |random| match failing(4).judge(pass(500, false), Verdict::Ill, 600, TOO_MANY, random) {
        (Phase::Open { until, .. }, _) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!((until(0), until(u32::MAX / 2), until(u32::MAX)), (1600, 1724, 1850));
}

#[test]
fn every_phase_fits_into_its_word() {
    for phase in [
        CLOSED,
        failing(4095),
        OPEN,
        HALF_OPEN,
        Phase::Open { until: LATEST, openings: MOST_OPENINGS },
        Phase::Closed { since: LATEST, failures: 1, openings: MOST_OPENINGS },
    ] {
        assert_eq!(Phase::from(u64::from(phase)), phase);
    }
    let beyond = Phase::Closed { since: LATEST + 5, failures: u16::MAX, openings: u8::MAX };
    let held = Phase::Closed { since: LATEST, failures: 4095, openings: MOST_OPENINGS };
    assert_eq!(Phase::from(u64::from(beyond)), held);
}

#[test]
fn exactly_one_of_many_probes() {
    let breaker = Breaker { phase: AtomicU64::new(OPEN.into()), window: Window::default() };
    let passed = std::thread::scope(|scope| {
        let admits = || (0..1000).filter(|_| matches!(breaker.admit(2000), Admission::Passed(_))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(admits)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(passed, 1);
    assert_eq!(breaker.phase(), HALF_OPEN);
}

#[test]
fn half_of_the_calls_failing_opens_it_though_never_two_in_a_row() {
    let breaker = Breaker::default();
    let mut opened_at = None;
    for call in 0..200 {
        let now = 10_000 + call * 50;
        let Admission::Passed(pass) = breaker.admit(now) else { break };
        let verdict = if call % 2 == 0 { Verdict::Healthy } else { Verdict::Ill };
        if breaker.judge(pass, verdict, now, TOO_MANY, 0).is_some() {
            opened_at = Some(call);
        }
    }
    assert_eq!(opened_at, Some(u64::from(ENOUGH_CALLS) - 1));
    let breaker = Breaker::default();
    for call in 0..300 {
        let Admission::Passed(pass) = breaker.admit(call * 50) else { panic!("a third may fail") };
        let verdict = if call % 3 > 0 { Verdict::Healthy } else { Verdict::Ill };
        assert_eq!(breaker.judge(pass, verdict, call * 50, TOO_MANY, 0), None);
    }
}
