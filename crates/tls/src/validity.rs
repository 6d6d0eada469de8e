//! Whether a certificate is good at a time: the one field of X.509 (RFC 5280, section 4.1.2.5) that the TLS library
//! checks of peers only, and not of what we present ourselves.

use rustls::pki_types::{CertificateDer, UnixTime};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// The time in which a certificate is good, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    not_before: i64,
    not_after: i64,
}

impl Validity {
    /// Reads it; `None` where the certificate is not one.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (to_be_signed, _) = element(certificate, SEQUENCE)?;
        let rest = element(to_be_signed, EXPLICIT_VERSION).map_or(to_be_signed, |(_, rest)| rest);
        let (_serial, rest) = element(rest, INTEGER)?;
        let (_algorithm, rest) = element(rest, SEQUENCE)?;
        let (_issuer, rest) = element(rest, SEQUENCE)?;
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self { not_before, not_after })
    }

    /// Why it is not good at a time.
    pub(crate) fn objection(self, now: UnixTime) -> Option<&'static str> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match () {
            () if now > self.not_after => Some("has expired"),
            () if now < self.not_before => Some("is not valid yet"),
            () => None,
        }
    }

    /// Whole days until it ends.
    pub(crate) fn days_left(self, now: UnixTime) -> i64 {
        self.not_after.saturating_sub(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)) / 86_400
    }
}

/// The content of the DER element at the front, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = input.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        // Four digits are more than any certificate has.
        let fits = !digits.is_empty() && digits.len() <= 4;
        fits.then(|| (digits.iter().fold(0, |length, &digit| (length << 8) | usize::from(digit)), rest))?
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (first == tag).then_some((content, rest))
}

fn time(input: &[u8]) -> Option<(i64, &[u8])> {
    let utc = element(input, UTC_TIME).and_then(|(text, rest)| {
        // RFC 5280: years of two digits lie between 1950 and 2049.
        let (year, rest_of_text) = number(text, 2)?;
        Some((seconds(if year < 50 { 2000 + year } else { 1900 + year }, rest_of_text)?, rest))
    });
    utc.or_else(|| {
        let (text, rest) = element(input, GENERALIZED_TIME)?;
        let (year, rest_of_text) = number(text, 4)?;
        Some((seconds(year, rest_of_text)?, rest))
    })
}

/// Seconds since the epoch at `MMDDHHMMSSZ` of a year.
fn seconds(year: i64, text: &[u8]) -> Option<i64> {
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    let is_date = text == b"Z" && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_date.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from the epoch to a date of the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = std::str::from_utf8(number).ok()?.parse::<u32>().ok()?;
    Some((value.into(), rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap()))
    }

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let short = Validity::of(&certificate((2024, 2, 29), (2038, 1, 19))).unwrap();
        assert_eq!(short, Validity { not_before: 1_709_164_800, not_after: 2_147_472_000 });
        let long = Validity::of(&certificate((1970, 1, 1), (2120, 3, 1))).unwrap();
        assert_eq!(long, Validity { not_before: 0, not_after: 4_738_694_400 });
    }

    #[test]
    fn a_certificate_is_good_within_its_time() {
        let validity = Validity { not_before: 100, not_after: 86_400 * 3 };
        assert_eq!(validity.objection(at(99)), Some("is not valid yet"));
        assert_eq!(validity.objection(at(100)), None);
        assert_eq!(validity.objection(at(86_400 * 3 + 1)), Some("has expired"));
        assert_eq!(validity.days_left(at(86_400)), 2);
    }

    #[test]
    fn garbage_is_no_certificate() {
        let good = certificate((2024, 1, 1), (2030, 1, 1));
        for length in 0..150 {
            assert_eq!(Validity::of(&CertificateDer::from(good[..length].to_vec())), None, "{length}");
        }
        assert_eq!(Validity::of(&CertificateDer::from(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff])), None);
        assert_eq!(Validity::of(&CertificateDer::from(vec![0x30, 0x80])), None);
    }
}
