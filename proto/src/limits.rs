//! Limits of an upstream: between wire and model.

use std::time::Duration;

use toolplane_registry::Limits;

use crate::decode::Error;
use crate::sync;

/// Limits of which none is set are not said.
pub fn said(limits: &Limits) -> Option<sync::Limits> {
    (!limits.is_default()).then(|| limits.into())
}

impl From<&Limits> for sync::Limits {
    fn from(limits: &Limits) -> Self {
        let Limits {
            timeout,
            connect_timeout,
            first_byte_timeout,
            idle_timeout,
            max_concurrency,
            max_queue,
            max_retries,
            breaker_failures,
        } = *limits;
        Self {
            timeout: to_wire(timeout),
            connect_timeout: to_wire(connect_timeout),
            first_byte_timeout: to_wire(first_byte_timeout),
            idle_timeout: to_wire(idle_timeout),
            max_concurrency,
            max_queue,
            max_retries,
            breaker_failures,
        }
    }
}

impl TryFrom<&sync::Limits> for Limits {
    type Error = Error;

    fn try_from(limits: &sync::Limits) -> Result<Self, Error> {
        let sync::Limits {
            timeout,
            connect_timeout,
            first_byte_timeout,
            idle_timeout,
            max_concurrency,
            max_queue,
            max_retries,
            breaker_failures,
        } = *limits;
        Ok(Self {
            timeout: from_wire("limits.timeout", timeout)?,
            connect_timeout: from_wire("limits.connect_timeout", connect_timeout)?,
            first_byte_timeout: from_wire("limits.first_byte_timeout", first_byte_timeout)?,
            idle_timeout: from_wire("limits.idle_timeout", idle_timeout)?,
            max_concurrency,
            max_queue,
            max_retries,
            breaker_failures,
        })
    }
}

fn to_wire(time: Option<Duration>) -> Option<prost_types::Duration> {
    // A time that does not fit is longer than any that admission lets pass.
    time.and_then(|time| time.try_into().ok())
}

/// Times are kept in milliseconds, so that what was stored and what is shown are the same; the least is one.
fn from_wire(field: &'static str, time: Option<prost_types::Duration>) -> Result<Option<Duration>, Error> {
    let Some(time) = time else { return Ok(None) };
    let refuse = || Error::Invalid { field, reason: "is no time".to_owned() };
    let time = Duration::try_from(time).map_err(|_| refuse())?;
    let millis = u64::try_from(time.as_nanos().div_ceil(1_000_000)).map_err(|_| refuse())?;
    Ok(Some(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::limits::Limit;

    use super::*;

    #[test]
    fn each_limit_survives_the_wire_and_none_is_nothing() {
        assert_eq!(said(&Limits::default()), None);
        for limit in Limit::ALL {
            let mut limits = Limits::default();
            limits.put(limit, Some(1500));
            let wire = said(&limits).unwrap();
            assert_eq!(Limits::try_from(&wire).unwrap(), limits, "{}", limit.name());
        }
    }

    #[test]
    fn times_are_whole_milliseconds_and_never_negative() {
        let read = |seconds, nanos| {
            let timeout = Some(prost_types::Duration { seconds, nanos });
            Limits::try_from(&sync::Limits { timeout, ..sync::Limits::default() })
                .map(|limits| limits.timeout)
        };
        assert_eq!(read(0, 1).unwrap(), Some(Duration::from_millis(1)));
        assert_eq!(read(2, 500_000_000).unwrap(), Some(Duration::from_millis(2500)));
        assert_eq!(read(0, 0).unwrap(), Some(Duration::ZERO), "admission refuses it, by name");
        let refused = read(-1, 0).unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: "limits.timeout", .. }), "{refused}");
    }
}
