//! The phases of a call, and sets of them.

use std::fmt;

/// A point of a call at which hooks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Who is calling.
    Authenticate,
    /// Which tools the caller may know of.
    FilterTools,
    /// Whether the caller may run code.
    AuthorizeCode,
    /// Before an execution.
    BeforeExecute,
    /// The whole result, as the upstream sent it.
    TransformResult,
    /// The text that the caller gets.
    AfterExecute,
    /// The upstream could not be called.
    ReportError,
}

/// A set of phases.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases(u8);

impl Phase {
    /// Every phase, in the order in which they come.
    pub const ALL: [Self; 7] = [
        Self::Authenticate,
        Self::FilterTools,
        Self::AuthorizeCode,
        Self::BeforeExecute,
        Self::TransformResult,
        Self::AfterExecute,
        Self::ReportError,
    ];

    /// The word for it in settings, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::FilterTools => "filter_tools",
            Self::AuthorizeCode => "authorize_code",
            Self::BeforeExecute => "before_execute",
            Self::TransformResult => "transform_result",
            Self::AfterExecute => "after_execute",
            Self::ReportError => "report_error",
        }
    }

    /// Whether hooks are shown a result in it: the tool has run.
    pub(crate) fn is_about_result(self) -> bool {
        matches!(self, Self::TransformResult | Self::AfterExecute)
    }

    /// The phase of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }
}

impl Phases {
    /// All of them.
    pub fn all() -> Self {
        Phase::ALL.into_iter().collect()
    }

    /// The set as one number, for keeping it in an atomic.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether a phase is in it.
    pub fn contains(self, phase: Phase) -> bool {
        self.0 & (1 << phase as u8) != 0
    }

    /// Whether none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Phase> for Phases {
    fn from_iter<T: IntoIterator<Item = Phase>>(phases: T) -> Self {
        Self(phases.into_iter().fold(0, |bits, phase| bits | 1 << phase as u8))
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Phase::ALL.into_iter().filter(|phase| self.contains(*phase))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Phases = [Phase::Authenticate, Phase::ReportError].into_iter().collect();
        for phase in Phase::ALL {
            assert_eq!(set.contains(phase), matches!(phase, Phase::Authenticate | Phase::ReportError));
            assert!(Phases::all().contains(phase));
            assert_eq!(Phase::parse(phase.word()), Some(phase));
        }
        assert!(Phases::default().is_empty() && !set.is_empty());
    }
}
