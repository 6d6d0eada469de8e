//! What a program asks of the operating system: the date, and otherwise nothing.

use std::time::{Duration, UNIX_EPOCH};

use monty_types::{
    ExcType, ExtFunctionResult, MontyDate, MontyDateTime, MontyException, MontyObject, OsFunctionCall,
};

/// The answer to one question.
pub(super) fn answer(question: &OsFunctionCall) -> ExtFunctionResult {
    match question {
        OsFunctionCall::DateToday => {
            let now = civil(since_epoch());
            MontyObject::Date(MontyDate { year: now.year, month: now.month, day: now.day }).into()
        }
        OsFunctionCall::DateTimeNow(zone) => {
            let mut now = civil(since_epoch());
            if let Some(zone) = zone {
                let offset = i64::from(zone.offset_seconds);
                now = civil(shifted(since_epoch(), offset));
                now.offset_seconds = Some(zone.offset_seconds);
                now.timezone_name.clone_from(&zone.name);
            }
            MontyObject::DateTime(now).into()
        }
        other => {
            let refused = format!("{}: a program has no files and no environment", other.name());
            MontyException::new(ExcType::PermissionError, Some(refused)).into()
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a worker has the system's clock and no other")]
fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn shifted(time: Duration, seconds: i64) -> Duration {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time.saturating_sub(distance) } else { time.saturating_add(distance) }
}

/// The date and time of day, in Universal Time.
fn civil(time: Duration) -> MontyDateTime {
    const DAY: u64 = 86_400;
    let (days, second) = (time.as_secs() / DAY, time.as_secs() % DAY);
    // Days since the first of March of the year 0, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let small = |number: u64| u8::try_from(number).unwrap_or_default();
    MontyDateTime {
        year: i32::try_from(year).unwrap_or(9999),
        month: small(month),
        day: small(day),
        hour: small(second / 3600),
        minute: small(second % 3600 / 60),
        second: small(second % 60),
        microsecond: time.subsec_micros(),
        offset_seconds: None,
        timezone_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let date = |seconds| {
            let civil = civil(Duration::from_secs(seconds));
            (civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second)
        };
        assert_eq!(date(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(date(951_782_399), (2000, 2, 28, 23, 59, 59));
        assert_eq!(date(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(date(1_709_251_199), (2024, 2, 29, 23, 59, 59));
        assert_eq!(date(4_107_542_400), (2100, 3, 1, 0, 0, 0));
    }
}
