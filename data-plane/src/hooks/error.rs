//! Why a hook did not let a call go on: it refused, or it failed.

use super::Phase;

/// Longest message of a denial that reaches a caller, in bytes.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Longest code of a denial, in bytes.
const MAX_CODE_BYTES: usize = 64;
const DEFAULT_CODE: &str = "forbidden";
/// How much of a service's words goes into a line of the log, in characters.
const MAX_WORDS: usize = 200;

/// A refusal that the caller is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    message: String,
    code: String,
}

/// Why a hook brought no answer. Nothing of it reaches the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unavailable(String),
    /// It answered with an error.
    #[error("it failed: {0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// Its answer makes no sense.
    #[error("its answer makes no sense: {0}")]
    Invalid(String),
    /// It was restarted since the call began, so what it knew of the call is gone.
    #[error("it was restarted since the call began")]
    Restarted,
    /// It does not know the call, though it was there when the call began.
    #[error("it does not know the call")]
    UnknownCall,
    /// Too many of its answers are awaited already.
    #[error("too many answers are awaited already")]
    Overloaded,
    /// The node holds too much to show it the result, or to take its answer. In the phases that are about a result this
    /// refuses the call, whatever the rules say; in others it is a failure like any other.
    #[error("the node has no room for the result")]
    NoRoom,
}

/// What a hook says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The call is refused.
    #[error("denied with `{}`: {}", .0.code, .0.message)]
    Denied(Denial),
    /// The hook failed; what that means is up to its rules.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why a call does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A hook refused it.
    Denied(Denial),
    /// A hook failed that may not.
    Failed(Phase),
    /// The time for the call was over before the hook had answered.
    OutOfTime,
    /// The node holds too much to show hooks the result.
    NoRoom,
}

impl Denial {
    /// A refusal with the code `forbidden`.
    pub fn new(message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        Self { message, code: DEFAULT_CODE.to_owned() }
    }

    /// A refusal with a code of its own: letters, digits, `_`, `.` and `-`, at most 64.
    pub fn with_code(message: impl Into<String>, code: &str) -> Result<Self, Failure> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        match code {
            "" => Ok(Self::new(message)),
            _ if code.len() <= MAX_CODE_BYTES && code.bytes().all(is_fine) => {
                Ok(Self { code: code.to_owned(), ..Self::new(message) })
            }
            _ => Err(Failure::Invalid("the code of a denial is not one".to_owned())),
        }
    }

    /// What the caller reads.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What a program switches on.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl Failure {
    /// The word for it in metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timeout",
            Self::Invalid(_) => "invalid",
            Self::Restarted => "restarted",
            Self::UnknownCall => "unknown_call",
            Self::Overloaded => "overloaded",
            Self::NoRoom => "no_room",
        }
    }
}

/// Somebody else's words, fit for one line of a log.
pub(super) fn brief(words: &str) -> String {
    words.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_fit_on_a_line() {
        assert_eq!(brief("a\nb\u{1b}[31mc"), "ab[31mc");
        assert_eq!(brief(&"é".repeat(100_000)), "é".repeat(MAX_WORDS));
    }
}
