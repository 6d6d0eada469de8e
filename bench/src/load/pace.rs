//! When a connection sends its next request.
//!
//! On a timetable the latency of a request counts from the instant at which it was due, so that a subject which makes
//! requests wait in line does not thereby hide that they waited. The runtime's own timers are as coarse as what is
//! measured here, so the instant is awaited with a timer of the kernel.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// The timetable of one connection.
#[derive(Debug)]
pub(super) enum Pace {
    /// As soon as the last answer is there.
    AnswerByAnswer,
    /// At fixed instants, whatever happened to earlier requests.
    Timetable { due: Instant, interval: Duration, timer: Timer },
}

/// The instant from which a request counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) due: Instant,
    /// How late it leaves, where nothing but this process held it up.
    pub(super) late: Option<Duration>,
}

impl Pace {
    /// The share of connection `number` in a rate; the requests of all are spread evenly.
    pub(super) fn new(
        rate: Option<f64>,
        connections: usize,
        number: usize,
        opens: Instant,
    ) -> io::Result<Self> {
        let Some(rate) = rate else { return Ok(Self::AnswerByAnswer) };
        let between = Duration::from_secs_f64(1.0 / rate);
        let times = |count: usize| between.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Self::Timetable { due: opens + times(number), interval: times(connections), timer: Timer::new()? })
    }

    /// Waits for the next turn.
    pub(super) async fn next(&mut self) -> io::Result<Start> {
        let Self::Timetable { due, interval, timer } = self else {
            return Ok(Start { due: Instant::now(), late: None });
        };
        let turn = *due;
        *due += *interval;
        let left = turn.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Start { due: turn, late: None });
        }
        timer.wait(left).await?;
        Ok(Start { due: turn, late: Some(turn.elapsed()) })
    }
}

/// A timer of the kernel, precise to microseconds.
#[derive(Debug)]
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for the sake of descriptors that somebody else may close; nobody else has this one"
    )]
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)?))
    }

    async fn wait(&self, time: Duration) -> io::Result<()> {
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let setting = Itimerspec { it_interval: once, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &setting)?;
        loop {
            let mut expiries = [0; 8];
            let mut ready = self.0.readable().await?;
            if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expiries)?)) {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timetable_does_not_wait_for_late_answers() {
        let opens = Instant::now();
        let mut pace = Pace::new(Some(1000.0), 2, 1, opens).unwrap();
        let first = pace.next().await.unwrap();
        assert_eq!(first.due, opens + Duration::from_millis(1));
        assert!(first.due <= Instant::now(), "not before its time");
        let mut last = first.due;
        while last.elapsed() < Duration::from_millis(6) {
            std::hint::spin_loop();
        }
        for _ in 0..3 {
            let missed = pace.next().await.unwrap();
            assert_eq!((missed.due, missed.late), (last + Duration::from_millis(2), None));
            last = missed.due;
        }
    }
}
