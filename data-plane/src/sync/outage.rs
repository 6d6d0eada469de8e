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
    /// The control plane does not take the Hello: releases too far apart, or an id or label that cannot be.
    Incompatible,
    /// It sent an update that is larger than this node takes.
    Oversized,
    /// Nobody answered, or nothing of use.
    Absent,
}

/// What was said last about each control plane since one delivered something.
#[derive(Debug, Default)]
pub(super) struct Outage {
    said: BTreeMap<String, String>,
}

impl Trouble {
    /// Whether somebody has to mend something first; asking often does not.
    pub(super) fn is_lasting(self) -> bool {
        matches!(self, Self::Refused | Self::Incompatible | Self::Oversized)
    }

    /// Tells apart by what the stream did and how it ended.
    pub(super) fn of(delivered: bool, status: &Status) -> Self {
        // What has a source came from the connection and not from the control plane's token check.
        let is_answer = std::error::Error::source(status).is_none();
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied if is_answer => Self::Refused,
            Code::OutOfRange if is_answer => Self::Oversized,
            // What begins like that ends like that, as long as nobody changes something.
            Code::FailedPrecondition | Code::InvalidArgument if is_answer && !delivered => Self::Incompatible,
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
        for status in
            [Status::failed_precondition("version 1"), Status::invalid_argument("a node needs an id")]
        {
            assert_eq!(Trouble::of(false, &status), Trouble::Incompatible);
            assert_eq!(Trouble::of(true, &status), Trouble::Lost, "the node was taken before");
        }
        assert_eq!(Trouble::of(false, &Status::unavailable("connection refused")), Trouble::Absent);
        assert_eq!(Trouble::of(true, &Status::out_of_range("found 9 bytes")), Trouble::Oversized);
        assert_eq!(Trouble::of(true, &Status::unavailable("reset")), Trouble::Lost);
    }
}
