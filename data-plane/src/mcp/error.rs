//! Coded errors of the meta-tools: what clients switch on, what they read, what they may look up.
//!
//! A hidden tool and an unknown one are the same error, made from the same view.

mod effect;

use std::time::Duration;

use serde::Serialize;
use toolplane_registry::sanitize;
use toolplane_sandbox::Effect;
use toolplane_upstream as upstream;
use toolplane_upstream::limits;

use super::capabilities;
use super::definitions::EXECUTE_TOOL;
use super::request_state::Problem;
use crate::code_mode::Full;
use crate::hooks::Denial;
use crate::hooks::error::Refusal;

/// The code of a failure that a tool itself reports.
pub(crate) const UPSTREAM_ERROR: &str = "upstream_error";
/// The code of a result that the output guard withheld.
pub(crate) const OUTPUT_GUARD_REJECT: &str = "output_guard_reject";

/// Why a meta-tool did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No visible tool has the name.
    #[error("Unknown tool '{}'.{}", cut(.name), did_you_mean(.suggestions))]
    ToolNotFound { name: String, suggestions: Vec<String> },
    /// No visible domain has the name.
    #[error("Unknown domain '{}'. {}", cut(.domain), choice("domains", .available))]
    DomainNotFound { domain: String, available: Vec<String> },
    /// The domain has no visible tool in that group.
    #[error("Unknown group '{}' in domain '{domain}'. {}", cut(.group), choice("groups", .available))]
    GroupNotFound { domain: String, group: String, available: Vec<String> },
    /// The tool does not take such arguments; nothing was sent.
    #[error("{reason}")]
    InvalidArguments { tool: String, domain: String, signature: String, reason: String },
    /// The upstream could not run the tool.
    #[error("Tool '{tool}' of '{domain}' could not run: {reason}. Other domains may still work.")]
    Execution { tool: String, domain: String, reason: String, effect: Effect },
    /// The upstream runs the tool only for callers that can do more.
    #[error("Tool '{tool}' of '{domain}' could not run: {reason}. Other domains may still work.")]
    Capabilities { tool: String, domain: String, reason: String, required: serde_json::Value },
    /// The upstream did not answer in time. The tool may have run.
    #[error("Tool '{tool}' of '{domain}' did not answer in time; it may have run all the same.")]
    UpstreamTimeout { tool: String, domain: String },
    /// The upstream keeps failing, so it was not called.
    #[error(
        "Tool '{tool}' of '{domain}' was not called: {reason}. Try again in {} s; other domains may still work.",
        seconds(*.retry_after)
    )]
    UpstreamUnavailable { tool: String, domain: String, reason: String, retry_after: Duration },
    /// The upstream has too much to do, so it was not called.
    #[error("Tool '{tool}' of '{domain}' was not called: {reason}. Try again in {} s.", seconds(*.retry_after))]
    Overloaded { tool: String, domain: String, reason: String, retry_after: Duration },
    /// The tool ran, and its reply, or what hooks are shown of it, is more than the node can hold now.
    #[error(
        "Tool '{tool}' of '{domain}' has run, but this node holds too much to take its reply. If running it twice does no \
         harm, try again in {} s.",
        seconds(Duration::ZERO)
    )]
    NoRoom { tool: String, domain: String, effect: Effect },
    /// The tool ran and reported a failure, in its own words.
    #[error("{text}")]
    Upstream { tool: String, text: String },
    /// The output guard refused the result.
    #[error("Tool '{tool}' answered with markup that tries to steer the model; the result was withheld.")]
    GuardRejected { tool: String, domain: String },
    /// The registry could not be refreshed.
    #[error("The registry could not be refreshed: {0}.")]
    Refresh(String),
    /// Too many refreshes.
    #[error("The registry was refreshed too often; try again in a few seconds.")]
    RateLimited,
    /// A hook refused the call.
    #[error("{}", .denial.message())]
    Denied { denial: Box<Denial>, tool: Option<(String, String)>, effect: Effect },
    /// A hook failed that may not.
    #[error(
        "A hook of this gateway did not answer as it should, so the call was refused; whoever runs the gateway finds \
         the reason in its log."
    )]
    Hook { effect: Effect },
    /// The time for the call was over, and not because of the upstream: hooks took it, before or after the tool ran.
    #[error(
        "The time for this call was over before {}.",
        match .effect {
            Effect::Nothing => "anything was called",
            Effect::Done | Effect::Unknown => "the hooks of this gateway had answered; the tool has run",
        }
    )]
    OutOfTime { tool: Option<(String, String)>, effect: Effect },
    /// There is no code in it.
    #[error("Empty code body")]
    EmptyCode,
    /// A hook does not let this caller run code.
    #[error("{}", .0.message())]
    CodeDenied(Box<Denial>),
    /// The access policy lets nobody run code.
    #[error("code_mode is not permitted here; call tools one by one with execute_tool")]
    CodeForbidden,
    /// Too many programs run already.
    #[error("{}", match .0 {
        Full::Node => "This node runs as many programs as it may; try again in a second.",
        Full::Caller => "You run as many programs as you may; wait for one of them to end.",
    })]
    CodeFull(Full),
    /// What the caller brought back does not lead on; nothing was sent.
    #[error("execute_tool: {0}.")]
    RequestState(Problem),
    /// The meta-tool itself was called wrongly.
    #[error("{meta_tool}: {reason}.")]
    Usage { meta_tool: String, reason: String },
}

/// The JSON that clients see.
#[derive(Debug, Serialize)]
pub(crate) struct Body<'a> {
    error: String,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Details<'a> {
    NotFound { tool_name: &'a str, suggestions: &'a [String] },
    Domain { domain: &'a str, available_domains: &'a [String] },
    Group { domain: &'a str, group: &'a str, available_groups: &'a [String] },
    Arguments { tool: &'a str, domain: &'a str, signature: &'a str },
    Call { tool: &'a str, domain: &'a str },
    Capabilities { tool: &'a str, domain: &'a str, required_capabilities: &'a serde_json::Value },
    Later { tool: &'a str, domain: &'a str, retry_after_seconds: u64 },
    Tool { tool: &'a str },
    RequestState { meta_tool: &'a str, request_state: &'a str },
    MetaTool { meta_tool: &'a str },
    Null,
}

impl Error {
    /// What an upstream's failure means to the caller.
    pub(crate) fn of_call(tool: &str, domain: &str, error: &limits::Error) -> Self {
        let (tool, domain, reason) = (tool.to_owned(), domain.to_owned(), error.to_string());
        let error = match error {
            // Nothing was sent, or the error would be that of the attempt that was.
            limits::Error::Unavailable { retry_after, .. } => {
                return Self::UpstreamUnavailable { tool, domain, reason, retry_after: *retry_after };
            }
            limits::Error::Overloaded { retry_after } => {
                return Self::Overloaded { tool, domain, reason, retry_after: *retry_after };
            }
            limits::Error::Call(error) => error,
        };
        let effect = if error.was_sent() { Effect::Unknown } else { Effect::Nothing };
        match error {
            upstream::Error::Timeout => Self::UpstreamTimeout { tool, domain },
            upstream::Error::NoRoom => Self::NoRoom { tool, domain, effect: Effect::Unknown },
            upstream::Error::Rpc { code, message, data } => {
                // The upstream's words help a model to repair its call, once they are harmless.
                let words = sanitize::description(Some(&serde_json::Value::String(message.clone())));
                let reason = format!("{error}: {words}");
                let required =
                    (*code == capabilities::MISSING).then(|| capabilities::required(data.as_ref()));
                match required.flatten() {
                    Some(required) => Self::Capabilities { tool, domain, reason, required },
                    None => Self::Execution { tool, domain, reason, effect },
                }
            }
            _ => Self::Execution { tool, domain, reason, effect },
        }
    }

    /// The same, about one tool.
    pub(crate) fn about(self, tool: &str, domain: &str) -> Self {
        match self {
            Self::Denied { denial, tool: _, effect } => {
                Self::Denied { denial, tool: Some((tool.to_owned(), domain.to_owned())), effect }
            }
            Self::OutOfTime { tool: _, effect } => {
                Self::OutOfTime { tool: Some((tool.to_owned(), domain.to_owned())), effect }
            }
            Self::NoRoom { tool: _, domain: _, effect } => {
                Self::NoRoom { tool: tool.to_owned(), domain: domain.to_owned(), effect }
            }
            other => other,
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Denied { denial, tool: _, effect: _ } | Self::CodeDenied(denial) => denial.code(),
            other => other.kind(),
        }
    }

    /// The code out of a closed set: hooks deny with codes of their own.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Denied { .. } | Self::CodeDenied(_) => "denied",
            Self::Hook { .. } => "hook_failed",
            Self::OutOfTime { .. } => "call_timeout",
            Self::ToolNotFound { .. } => "tool_not_found",
            Self::DomainNotFound { .. } => "domain_not_found",
            Self::GroupNotFound { .. } => "group_not_found",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::Execution { .. } | Self::Capabilities { .. } => "execution_error",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::UpstreamUnavailable { .. } => "upstream_unavailable",
            Self::Overloaded { .. } | Self::NoRoom { .. } | Self::CodeFull(Full::Node) => "overloaded",
            Self::Upstream { .. } => UPSTREAM_ERROR,
            Self::GuardRejected { .. } => OUTPUT_GUARD_REJECT,
            Self::Refresh(_) => "refresh_error",
            Self::RateLimited | Self::CodeFull(Full::Caller) => "rate_limited",
            Self::CodeForbidden => "forbidden",
            Self::RequestState(_) | Self::Usage { .. } | Self::EmptyCode => "invalid_argument",
        }
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Body<'_> {
        let details = match self {
            Self::ToolNotFound { name, suggestions } => {
                Some(Details::NotFound { tool_name: cut(name), suggestions })
            }
            Self::DomainNotFound { domain, available } => {
                Some(Details::Domain { domain: cut(domain), available_domains: available })
            }
            Self::GroupNotFound { domain, group, available } => {
                Some(Details::Group { domain, group: cut(group), available_groups: available })
            }
            Self::InvalidArguments { tool, domain, signature, reason: _ } => {
                Some(Details::Arguments { tool, domain, signature })
            }
            Self::Execution { tool, domain, reason: _, effect: _ }
            | Self::UpstreamTimeout { tool, domain }
            | Self::GuardRejected { tool, domain }
            | Self::Denied { tool: Some((tool, domain)), denial: _, effect: _ }
            | Self::OutOfTime { tool: Some((tool, domain)), effect: _ } => {
                Some(Details::Call { tool, domain })
            }
            Self::Capabilities { tool, domain, reason: _, required } => {
                Some(Details::Capabilities { tool, domain, required_capabilities: required })
            }
            Self::UpstreamUnavailable { tool, domain, reason: _, retry_after }
            | Self::Overloaded { tool, domain, reason: _, retry_after } => {
                Some(Details::Later { tool, domain, retry_after_seconds: seconds(*retry_after) })
            }
            Self::NoRoom { tool, domain, effect: _ } => {
                Some(Details::Later { tool, domain, retry_after_seconds: seconds(Duration::ZERO) })
            }
            Self::Upstream { tool, text: _ } => Some(Details::Tool { tool }),
            Self::RequestState(problem) => {
                Some(Details::RequestState { meta_tool: EXECUTE_TOOL, request_state: problem.word() })
            }
            Self::Usage { meta_tool, reason: _ } => Some(Details::MetaTool { meta_tool }),
            Self::Denied { tool: None, denial: _, effect: _ }
            | Self::OutOfTime { tool: None, effect: _ }
            | Self::Hook { effect: _ }
            | Self::Refresh(_)
            | Self::RateLimited => None,
            Self::EmptyCode | Self::CodeDenied(_) | Self::CodeForbidden | Self::CodeFull(_) => {
                Some(Details::Null)
            }
        };
        Body { error: self.to_string(), code: self.code(), details }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => {
                Self::Denied { denial: Box::new(denial), tool: None, effect: Effect::Nothing }
            }
            // Which hook and why is nobody's business but the operator's.
            Refusal::Failed(_) => Self::Hook { effect: Effect::Nothing },
            Refusal::OutOfTime => Self::OutOfTime { tool: None, effect: Effect::Nothing },
            Refusal::NoRoom => {
                Self::NoRoom { tool: String::new(), domain: String::new(), effect: Effect::Unknown }
            }
        }
    }
}

/// Whole seconds, and never none: who tries again at once is refused again.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1)
}

/// As much of a caller's own words as helps it to recognize them: a long name is not sent back several times over.
fn cut(name: &str) -> &str {
    const MAX_ECHO_BYTES: usize = 1024;
    name.get(..name.floor_char_boundary(MAX_ECHO_BYTES)).unwrap_or(name)
}

fn did_you_mean(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        return " discover_tools lists the tools there are.".to_owned();
    }
    format!(" Did you mean {}?", quoted(suggestions))
}

fn choice(what: &str, names: &[String]) -> String {
    if names.is_empty() { format!("There are no {what}.") } else { format!("There are: {}.", quoted(names)) }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
