//! How a call goes on after a refusal that ran nothing: the upstream forgot a session, or speaks otherwise than
//! the node was told.
//!
//! Pure. The rule: a request is sent again only where the answer shows that no method ran, at most once in a
//! session of its own and at most once without any, so never more than three times in all. Everything else is
//! final.

use toolplane_registry::RawJson;
use toolplane_registry::protocol::STATELESS;

use crate::Error;

/// The upstream does not speak the revision it was addressed in.
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;
const METHOD_NOT_FOUND: i64 = -32601;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The request, without a handshake, in the stateless revision.
    Stateless,
    /// The request, on the strength of an earlier handshake.
    Reused,
    /// The request, right after a handshake.
    Fresh,
    /// The handshake itself: the request was not sent.
    Handshake,
}

/// What to try instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the answer is final.
    GiveUp,
    /// A handshake, then the request.
    Handshake,
    /// The request in the stateless revision.
    Stateless,
}

/// What was tried so far.
#[derive(Debug, Default)]
pub(super) struct Trail {
    handshake: bool,
    stateless: bool,
}

impl Trail {
    /// Decides what follows a refusal.
    pub(super) fn next(&mut self, step: Step, error: &Error) -> Next {
        self.handshake |= matches!(step, Step::Fresh | Step::Handshake);
        self.stateless |= step == Step::Stateless;
        let next = match step {
            Step::Stateless if is_unread(error) || is_wrong_version(error) => Next::Handshake,
            Step::Reused if is_unread(error) => Next::Handshake,
            Step::Reused | Step::Fresh if invites_stateless(error) => Next::Stateless,
            Step::Handshake
                if is_unread(error) || invites_stateless(error) || is_rpc(error, METHOD_NOT_FOUND) =>
            {
                Next::Stateless
            }
            _ => Next::GiveUp,
        };
        match next {
            Next::Handshake if !std::mem::replace(&mut self.handshake, true) => next,
            Next::Stateless if !std::mem::replace(&mut self.stateless, true) => next,
            _ => Next::GiveUp,
        }
    }
}

/// Whether the transport turned the request away before any method ran. An upstream that read the request answers
/// with an error that names it, which is another kind of failure.
pub(super) fn is_unread(error: &Error) -> bool {
    matches!(error, Error::Status(400 | 404 | 405 | 422))
}

fn is_wrong_version(error: &Error) -> bool {
    is_rpc(error, UNSUPPORTED_VERSION)
}

/// Whether the upstream refuses the handshake revisions and does not rule out the stateless one.
fn invites_stateless(error: &Error) -> bool {
    is_wrong_version(error) && lists_stateless(error) != Some(false)
}

/// Whether the stateless revision is among those that a refusal says are spoken; `None` where it says nothing of them.
pub(super) fn lists_stateless(error: &Error) -> Option<bool> {
    let Error::Rpc { code: UNSUPPORTED_VERSION, data, .. } = error else { return None };
    let data = data.as_ref().and_then(|data: &RawJson| data.to_value().ok())?;
    Some(data.get("supported")?.as_array()?.iter().any(|version| version == STATELESS))
}

fn is_rpc(error: &Error, wanted: i64) -> bool {
    matches!(error, Error::Rpc { code, .. } if *code == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(code: i64, data: Option<&str>) -> Error {
        let data = data.map(|data| RawJson::parse(data).unwrap());
        Error::Rpc { code, message: String::new(), data }
    }

    fn first(step: Step, error: &Error) -> Next {
        Trail::default().next(step, error)
    }

    #[test]
    fn only_answers_that_show_that_nothing_ran_lead_on() {
        let unread = Error::Status(404);
        assert_eq!(first(Step::Stateless, &unread), Next::Handshake);
        assert_eq!(first(Step::Reused, &unread), Next::Handshake);
        assert_eq!(first(Step::Handshake, &unread), Next::Stateless);
        assert_eq!(first(Step::Fresh, &unread), Next::GiveUp);
        for final_one in [
            Error::Timeout,
            Error::Interrupted(String::new()),
            Error::Status(500),
            Error::Unauthorized(401),
            Error::Protocol(String::new()),
            rpc(-32602, None),
            rpc(-32603, None),
        ] {
            for step in [Step::Stateless, Step::Reused, Step::Fresh, Step::Handshake] {
                assert_eq!(first(step, &final_one), Next::GiveUp, "{step:?} {final_one}");
            }
        }
    }

    #[test]
    fn a_version_that_is_not_spoken_leads_to_one_that_is() {
        let ours = rpc(UNSUPPORTED_VERSION, Some(r#"{"supported":["2026-07-28"]}"#));
        let others = rpc(UNSUPPORTED_VERSION, Some(r#"{"supported":["2031-01-01"]}"#));
        assert_eq!(first(Step::Stateless, &others), Next::Handshake);
        assert_eq!(first(Step::Reused, &ours), Next::Stateless);
        assert_eq!(first(Step::Fresh, &rpc(UNSUPPORTED_VERSION, None)), Next::Stateless);
        assert_eq!(first(Step::Handshake, &rpc(METHOD_NOT_FOUND, None)), Next::Stateless);
        assert_eq!(
            first(Step::Reused, &rpc(METHOD_NOT_FOUND, None)),
            Next::GiveUp,
            "it may be the tool's own"
        );
        assert_eq!(first(Step::Handshake, &others), Next::GiveUp);
    }

    #[test]
    fn nothing_is_tried_twice() {
        let unread = Error::Status(400);
        let mut trail = Trail::default();
        assert_eq!(trail.next(Step::Reused, &unread), Next::Handshake);
        assert_eq!(trail.next(Step::Handshake, &unread), Next::Stateless);
        assert_eq!(trail.next(Step::Stateless, &unread), Next::GiveUp);
        let mut trail = Trail::default();
        assert_eq!(trail.next(Step::Stateless, &unread), Next::Handshake);
        assert_eq!(trail.next(Step::Handshake, &unread), Next::GiveUp);
        let mut trail = Trail::default();
        assert_eq!(trail.next(Step::Reused, &unread), Next::Handshake);
        assert_eq!(trail.next(Step::Reused, &unread), Next::GiveUp, "another forgotten session");
    }
}
