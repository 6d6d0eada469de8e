//! Typed reasons for refusing something: shared by admission in the control plane and by NACKs of nodes.

use std::fmt;

/// Which rule was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A domain, tool or header name is not acceptable.
    Name,
    /// A URL is malformed or of the wrong kind.
    Url,
    /// An address that must not be connected to.
    UrlGuard,
    /// A header that must not be configured.
    Header,
    /// A glob, policy or other setting that does not parse.
    Setting,
    /// A tool definition that is not one.
    Tool,
    /// An input or output schema outside the rules.
    Schema,
    /// Two tools of one domain with the same original name.
    Duplicate,
    /// Counts or sizes over a bound.
    Limit,
    /// A changed or new tool of a pinned upstream, not accepted yet.
    Pinned,
    /// A snapshot that contradicts itself.
    Consistency,
    /// A digest that does not match its content.
    Digest,
}

/// A typed reason: what was refused, by which rule, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {reason}")]
pub struct Rejection {
    /// What was refused, for instance ``tool `a` of `apollo` ``.
    pub subject: String,
    /// The rule that it broke.
    pub rule: Rule,
    /// Why, in words that may be shown to an operator; never holds a secret or hostile text.
    pub reason: String,
}

impl Rejection {
    /// Makes a rejection.
    pub fn new(subject: impl Into<String>, rule: Rule, reason: impl Into<String>) -> Self {
        Self { subject: subject.into(), rule, reason: reason.into() }
    }
}

impl Rule {
    const ALL: [Self; 12] = [
        Self::Name,
        Self::Url,
        Self::UrlGuard,
        Self::Header,
        Self::Setting,
        Self::Tool,
        Self::Schema,
        Self::Duplicate,
        Self::Limit,
        Self::Pinned,
        Self::Consistency,
        Self::Digest,
    ];

    /// Reads the form that [`Rule::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }

    /// The stable name used in metrics, on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Url => "url",
            Self::UrlGuard => "url_guard",
            Self::Header => "header",
            Self::Setting => "setting",
            Self::Tool => "tool",
            Self::Schema => "schema",
            Self::Duplicate => "duplicate",
            Self::Limit => "limit",
            Self::Pinned => "pinned",
            Self::Consistency => "consistency",
            Self::Digest => "digest",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
