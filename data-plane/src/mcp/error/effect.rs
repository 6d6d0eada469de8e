//! Whether a tool took effect although its call failed.
//!
//! Owns the one place that says it for every error, so that a new kind of error does not build before somebody has
//! thought about it. In doubt it is not known: a call that is repeated for nothing may do harm, a look costs little. What
//! an upstream says in its own words is never proof that it did nothing.

use toolplane_sandbox::Effect;

use super::Error;

impl Error {
    /// Whether the tool did something all the same.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            // Found out before anything was sent.
            Self::ToolNotFound { .. }
            | Self::DomainNotFound { .. }
            | Self::GroupNotFound { .. }
            | Self::InvalidArguments { .. }
            | Self::UpstreamUnavailable { .. }
            | Self::Overloaded { .. }
            | Self::Refresh(_)
            | Self::RateLimited
            | Self::EmptyCode
            | Self::CodeDenied(_)
            | Self::CodeForbidden
            | Self::CodeFull(_)
            | Self::RequestState(_)
            | Self::Usage { .. } => Effect::Nothing,
            // Whoever made it knew how far the call had come.
            Self::Execution { effect, .. }
            | Self::Denied { effect, .. }
            | Self::OutOfTime { effect, .. }
            | Self::NoRoom { effect, .. }
            | Self::Hook { effect } => *effect,
            // The tool had the call, and did not say that it ran to its end.
            Self::UpstreamTimeout { .. } | Self::Capabilities { .. } | Self::Upstream { .. } => {
                Effect::Unknown
            }
            // It ran, and its answer was withheld.
            Self::GuardRejected { .. } => Effect::Done,
        }
    }

    /// The same for a call whose tool had run by then.
    pub(crate) fn after_run(self, tool_failed: bool) -> Self {
        let effect = if tool_failed { Effect::Unknown } else { Effect::Done };
        match self {
            Self::Denied { denial, tool, effect: _ } => Self::Denied { denial, tool, effect },
            Self::OutOfTime { tool, effect: _ } => Self::OutOfTime { tool, effect },
            Self::Hook { effect: _ } => Self::Hook { effect },
            Self::NoRoom { tool, domain, effect: _ } => Self::NoRoom { tool, domain, effect },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use toolplane_registry::{Rejection, Rule};
    use toolplane_upstream as upstream;
    use toolplane_upstream::limits;

    use super::*;
    use crate::hooks::error::Refusal;
    use crate::hooks::{Denial, Phase};

    #[test]
    fn what_never_left_the_node_took_no_effect_and_what_may_have_arrived_is_not_known() {
        let text = || "x".to_owned();
        let rpc = |code| upstream::Error::Rpc { code, message: text(), data: None };
        let retry_after = Duration::ZERO;
        for (error, expected) in [
            (limits::Error::Unavailable { retry_after, cause: text() }, "none"),
            (limits::Error::Overloaded { retry_after }, "none"),
            (upstream::Error::Refused(Rejection::new("url", Rule::UrlGuard, "no")).into(), "none"),
            (upstream::Error::Connect(text()).into(), "none"),
            (upstream::Error::Tls(text()).into(), "none"),
            (upstream::Error::Unauthorized(401).into(), "none"),
            (upstream::Error::OldTransport.into(), "none"),
            (upstream::Error::Setup(text()).into(), "none"),
            (upstream::Error::Timeout.into(), "unknown"),
            (upstream::Error::Interrupted(text()).into(), "unknown"),
            (upstream::Error::Status(500).into(), "unknown"),
            (upstream::Error::Status(429).into(), "unknown"),
            (upstream::Error::TooLarge { limit: 1, unit: "bytes" }.into(), "unknown"),
            (upstream::Error::NoRoom.into(), "unknown"),
            (upstream::Error::Protocol(text()).into(), "unknown"),
            (rpc(-32602).into(), "unknown"),
            (rpc(-32021).into(), "unknown"),
        ] {
            assert_eq!(Error::of_call("t", "d", &error).effect().as_str(), expected, "{error}");
        }
    }

    #[test]
    fn a_hook_that_refuses_says_nothing_of_the_tool_and_when_it_was_asked_does() {
        let denied = || Error::from(Refusal::Denied(Denial::new("no"))).about("t", "d");
        let failed = || Error::from(Refusal::Failed(Phase::AfterExecute));
        let no_room = || Error::from(Refusal::NoRoom).about("t", "d");
        for (error, expected) in [
            (denied(), "none"),
            (failed(), "none"),
            (denied().after_run(false), "done"),
            (failed().after_run(false), "done"),
            (denied().after_run(true), "unknown"),
            (failed().after_run(true), "unknown"),
            (no_room().after_run(false), "done"),
            (no_room().after_run(true), "unknown"),
            (Error::CodeForbidden, "none"),
        ] {
            assert_eq!(error.effect().as_str(), expected, "{error:?}");
        }
    }
}
