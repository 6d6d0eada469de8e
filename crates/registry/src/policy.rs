//! Which tools are admitted at all: globs per domain, with a closed world where somebody listed what may be used.
//!
//! Owns the glob dialect and the precedence of policies. Never decides what one caller may do; that is
//! authorization, which the node asks its hooks about.

mod glob;

use std::collections::BTreeMap;

pub use glob::Globs;
use serde::{Deserialize, Serialize};

use crate::upstream::{Owner, ToolFilter, Upstream};
use crate::{Domain, Rejection, ToolName};

/// An explicit policy: globs by domain name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessPolicy {
    /// Once this names a domain, domains that it does not name are closed.
    pub allow: BTreeMap<String, Vec<String>>,
    /// What is closed in any case.
    pub deny: BTreeMap<String, Vec<String>>,
    /// What programs may do; left out where it says nothing, so that earlier releases can read the rest.
    #[serde(skip_serializing_if = "CodeModePolicy::is_silent")]
    pub code_mode: CodeModePolicy,
}

/// What of code mode a policy takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodeModePolicy {
    /// Nobody runs code.
    pub deny: bool,
    /// Code calls no tool that says of itself that it may destroy something.
    pub deny_destructive: bool,
}

/// The policy that admission asks, with every glob compiled.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    /// `None` is the open world: a domain needs no entry.
    allow: Option<BTreeMap<String, Globs>>,
    deny: BTreeMap<String, Globs>,
    /// Filters set on one upstream through the API; they bind that upstream alone, whatever else holds.
    own: BTreeMap<Domain, Own>,
}

#[derive(Debug, Clone)]
struct Own {
    allow: Option<Globs>,
    deny: Globs,
}

/// Compiles globs and keeps every mistake, so that an operator sees all of them at once.
#[derive(Default)]
struct Compiler {
    rejections: Vec<Rejection>,
}

impl Effective {
    /// Combines an explicit policy with the filters of the upstreams: it replaces those of the environment.
    pub fn resolve(explicit: Option<&AccessPolicy>, upstreams: &[Upstream]) -> Result<Self, Vec<Rejection>> {
        let environment;
        // One that says nothing about tools, but something about programs, leaves the tools to the environment.
        let explicit = explicit.filter(|policy| {
            let AccessPolicy { allow, deny, code_mode } = policy;
            code_mode.is_silent() || !allow.is_empty() || !deny.is_empty()
        });
        let shared = if let Some(policy) = explicit {
            policy
        } else {
            environment = AccessPolicy::of_environment(upstreams);
            &environment
        };
        let AccessPolicy { allow, deny, code_mode: _ } = shared;
        let mut compiler = Compiler::default();
        let allow = (!allow.is_empty()).then(|| compiler.map("allowed tools", allow));
        let deny = compiler.map("denied tools", deny);
        let mut own = BTreeMap::new();
        for upstream in upstreams.iter().filter(|upstream| upstream.owner == Owner::Api) {
            let ToolFilter { allowed, denied } = &upstream.filter;
            if allowed.is_none() && denied.is_empty() {
                continue;
            }
            let domain = &upstream.domain;
            let allow = allowed.as_ref().map(|globs| compiler.globs("allowed tools", domain.as_str(), globs));
            let deny = compiler.globs("denied tools", domain.as_str(), denied);
            own.insert(domain.clone(), Own { allow, deny });
        }
        if compiler.rejections.is_empty() { Ok(Self { allow, deny, own }) } else { Err(compiler.rejections) }
    }

    /// Whether a tool may enter a snapshot. Globs may name it with or without its domain; deny beats allow.
    pub fn admits(&self, domain: &Domain, tool: &ToolName) -> bool {
        let Self { allow, deny, own } = self;
        let prefixed = domain.prefixed(tool);
        let hit = |globs: &Globs| globs.is_match(tool.as_str()) || globs.is_match(&prefixed);
        let own = own.get(domain);
        if deny.get(domain.as_str()).is_some_and(hit) || own.is_some_and(|own| hit(&own.deny)) {
            return false;
        }
        let shared_allows = allow.as_ref().is_none_or(|allow| allow.get(domain.as_str()).is_some_and(hit));
        shared_allows && own.and_then(|own| own.allow.as_ref()).is_none_or(hit)
    }
}

impl CodeModePolicy {
    /// Whether it takes nothing away.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

impl AccessPolicy {
    /// The filters of the environment's upstream map, read as one policy.
    fn of_environment(upstreams: &[Upstream]) -> Self {
        let mut policy = Self::default();
        for upstream in upstreams.iter().filter(|upstream| upstream.owner == Owner::Environment) {
            let ToolFilter { allowed, denied } = &upstream.filter;
            if let Some(allowed) = allowed {
                policy.allow.insert(upstream.domain.as_str().to_owned(), allowed.clone());
            }
            if !denied.is_empty() {
                policy.deny.insert(upstream.domain.as_str().to_owned(), denied.clone());
            }
        }
        policy
    }
}

impl Compiler {
    fn map(&mut self, what: &str, globs: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Globs> {
        globs.iter().map(|(domain, globs)| (domain.clone(), self.globs(what, domain, globs))).collect()
    }

    fn globs(&mut self, what: &str, domain: &str, patterns: &[String]) -> Globs {
        Globs::compile(patterns).unwrap_or_else(|rejection| {
            let subject = format!("{what} of `{domain}`");
            self.rejections.push(Rejection { subject, ..rejection });
            Globs::default()
        })
    }
}

#[cfg(test)]
mod tests;
