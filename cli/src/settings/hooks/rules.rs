//! What happens when a hook fails, and how long and how often it may be asked at once.

use std::time::Duration;

use toolplane_data_plane::hooks::{OnFailure, Phase, Rules};

use super::super::Reader;
use super::super::reader::{one_of, quoted};
use crate::env;

/// The least and the most of answers that may be awaited at once.
pub(super) const MAX_IN_FLIGHT: (usize, usize) = (1, 1 << 20);
/// The words for what a failure means.
pub(super) const WORDS: [(&str, OnFailure); 2] =
    [("fail_closed", OnFailure::FailClosed), ("fail_open", OnFailure::FailOpen)];

/// The rules of whatever has none of its own.
pub(crate) fn rules(reader: &mut Reader<'_>) -> Rules {
    let defaults = Rules::default();
    let on_failure = reader.parsed(&env::HOOKS_ON_FAILURE, |text| {
        let all = |word: OnFailure| Phase::ALL.into_iter().map(|phase| (phase, word)).collect();
        if !text.contains('=') {
            return one_of(text, &WORDS).map(all);
        }
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        let pair = |pair: &str| {
            let (name, word) = pair.split_once('=').ok_or(format!("{} is not `phase=rule`", quoted(pair)))?;
            Ok((phase(name.trim())?, one_of(word, &WORDS)?))
        };
        pairs.map(pair).collect()
    });
    Rules {
        on_failure: on_failure.unwrap_or_default(),
        deadline: reader.seconds(&env::HOOKS_DEADLINE).unwrap_or(defaults.deadline),
        max_in_flight: reader
            .integer(&env::HOOKS_MAX_IN_FLIGHT, MAX_IN_FLIGHT)
            .unwrap_or(defaults.max_in_flight),
        ..defaults
    }
}

/// The phase of that word.
pub(super) fn phase(name: &str) -> Result<Phase, String> {
    Phase::parse(name).ok_or_else(|| {
        let all: Vec<String> = Phase::ALL.iter().map(|phase| format!("`{}`", phase.word())).collect();
        format!("{} is not one of the phases {}", quoted(name), all.join(", "))
    })
}

/// A deadline, as it is written in JSON.
pub(super) fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= Duration::from_hours(1))
        .ok_or_else(|| format!("{number} is not a deadline in seconds, 3600 at most"))
}
