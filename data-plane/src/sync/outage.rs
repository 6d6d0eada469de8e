//! What is said about a control plane that is not there: each thing once, until it changes.
//!
//! A node retries for as long as it takes, and a line per attempt would bury the rest of the log.

use std::collections::BTreeMap;

use tonic::{Code, Status};

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It had delivered something.
    Lost,
    /// The control plane does not take the token.
    Refused,
    /// Nobody answered, or nothing of use.
    Absent,
}

/// What was said last about each control plane since one delivered something.
#[derive(Debug, Default)]
pub(super) struct Outage {
    said: BTreeMap<String, String>,
}

impl Trouble {
    /// Tells apart by what the stream did and how it ended.
    pub(super) fn of(delivered: bool, status: &Status) -> Self {
        // What has a source came from the connection and not from the control plane's token check.
        let is_answer = std::error::Error::source(status).is_none();
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied if is_answer => Self::Refused,
            _ if delivered => Self::Lost,
            _ => Self::Absent,
        }
    }
}

impl Outage {
    /// A control plane delivered something: whatever goes wrong from here on is news.
    pub(super) fn is_over(&mut self) {
        self.said.clear();
    }

    /// Whether this was not said about this control plane yet.
    pub(super) fn is_news(&mut self, address: &str, reason: &str) -> bool {
        self.said.insert(address.to_owned(), reason.to_owned()).as_deref() != Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_news_once_per_control_plane_until_it_changes() {
        let mut outage = Outage::default();
        assert!(outage.is_news("a", "refused"));
        assert!(outage.is_news("b", "refused"));
        assert!(!outage.is_news("a", "refused"));
        assert!(outage.is_news("a", "timed out"));
        assert!(outage.is_news("a", "refused"), "it changed back");
        outage.is_over();
        assert!(outage.is_news("a", "refused"));
    }

    #[test]
    fn a_token_that_is_not_taken_is_no_lost_connection() {
        let unknown = Status::unauthenticated("the token is not known");
        assert_eq!(Trouble::of(false, &unknown), Trouble::Refused);
        assert_eq!(Trouble::of(true, &unknown), Trouble::Refused);
        assert_eq!(Trouble::of(false, &Status::permission_denied("not a node")), Trouble::Refused);
        assert_eq!(Trouble::of(false, &Status::unavailable("connection refused")), Trouble::Absent);
        assert_eq!(Trouble::of(true, &Status::unavailable("reset")), Trouble::Lost);
    }
}
