//! What has to change so that the control plane holds what a manifest says. Pure: values in, a plan out.

mod headers;
mod oauth;
mod policy;
mod tls;

use std::collections::BTreeSet;

use toolplane_proto::admin as wire;
use toolplane_registry::limits::Limit;
use toolplane_registry::policy::AccessPolicy;
use toolplane_upstream::guard;

use super::{Header, Manifest, Mistake, Place, Source, Upstream};
use crate::limits;

/// What a control plane holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) upstreams: Vec<wire::Upstream>,
    pub(crate) policy: wire::Policy,
}

/// The changes, in the order in which they are to be made.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What is left as it is although somebody may expect otherwise.
    pub(crate) notes: Vec<String>,
}

/// One change.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// First, so that a new upstream never serves what the new policy closes.
    SetPolicy {
        place: Place,
        access: Option<AccessPolicy>,
        etag: String,
        edits: Vec<Edit>,
    },
    Create {
        place: Place,
        upstream: Box<wire::Upstream>,
        edits: Vec<Edit>,
    },
    /// The upstream carries the etag of what it replaces.
    Update {
        place: Place,
        upstream: Box<wire::Upstream>,
        edits: Vec<Edit>,
    },
    Remove {
        domain: String,
        etag: String,
        tools: u32,
    },
}

/// One field that changes, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) field: String,
    /// Empty: there is nothing.
    pub(crate) from: String,
    pub(crate) to: String,
    /// Values that never come back cannot be compared here: the same fields are given, with other values or not.
    pub(crate) uncertain: bool,
}

/// Compares. With `prune`, what no file lists is removed, unless the environment owns it.
pub(crate) fn diff(manifest: &Manifest, held: &Held, prune: bool) -> Result<Plan, Vec<Mistake>> {
    let (mut plan, mut mistakes) = (Plan::default(), Vec::new());
    plan.steps.extend(manifest.policy.as_ref().and_then(|policy| policy::step(policy, &held.policy)));
    let (mut creates, mut updates) = (Vec::new(), Vec::new());
    for upstream in &manifest.upstreams {
        let current = held.upstreams.iter().find(|held| held.domain == upstream.domain);
        let mut edits = edits(upstream, current);
        let secret = [
            headers::change(upstream, current).map(|edit| edit.into_iter().collect()),
            tls::change(upstream, current),
            oauth::change(upstream, current),
        ];
        let told = mistakes.len();
        for change in secret {
            match change {
                Ok(more) => edits.extend(more),
                Err(more) => mistakes.extend(more),
            }
        }
        if mistakes.len() > told {
            continue;
        }
        let wanted = Box::new(wanted(upstream, current));
        let place = upstream.place.clone();
        let Some(current) = current else {
            creates.push(Step::Create { place, upstream: wanted, edits });
            continue;
        };
        if edits.is_empty() {
            continue;
        }
        if current.owner() == wire::Owner::Environment {
            let domain = &upstream.domain;
            plan.notes.push(format!(
                "`{domain}` belongs to the environment, which is applied again at the next start"
            ));
        }
        updates.push(Step::Update { place, upstream: wanted, edits });
    }
    plan.steps.extend(creates.into_iter().chain(updates));
    leftovers(manifest, held, prune, &mut plan);
    if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
}

impl Plan {
    /// Whether everything is as it should be.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Updates that may turn out to change less than it seems, each with the fields in question.
    pub(crate) fn uncertain(&self) -> impl Iterator<Item = (&wire::Upstream, Vec<String>)> {
        self.steps.iter().filter_map(|step| {
            let Step::Update { upstream, edits, .. } = step else { return None };
            let fields = edits.iter().filter(|edit| edit.uncertain).map(|edit| edit.field.clone());
            Some((upstream.as_ref(), fields.collect::<Vec<_>>())).filter(|(_, fields)| !fields.is_empty())
        })
    }

    /// Says of an upstream which of the fields in question have another value than is held already.
    pub(crate) fn settle(&mut self, domain: &str, changed: &[String]) {
        for step in &mut self.steps {
            let Step::Update { upstream, edits, .. } = step else { continue };
            if upstream.domain != domain {
                continue;
            }
            edits.retain(|edit| !edit.uncertain || changed.contains(&edit.field));
            for edit in edits {
                edit.uncertain = false;
            }
        }
        self.steps.retain(|step| !matches!(step, Step::Update { edits, .. } if edits.is_empty()));
    }
}

impl Edit {
    fn new(field: &str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { field: field.to_owned(), from: from.into(), to: to.into(), uncertain: false }
    }
}

/// Fields of an update mask.
pub(crate) fn mask(edits: &[Edit]) -> Vec<String> {
    let field = |edit: &Edit| match edit.field.as_str() {
        "allowed_tools" | "denied_tools" => "filter".to_owned(),
        field => field.to_owned(),
    };
    edits.iter().map(field).collect::<BTreeSet<_>>().into_iter().collect()
}

// ---- fields ----

/// The fields that differ, those apart whose values never come back.
fn edits(wanted: &Upstream, held: Option<&wire::Upstream>) -> Vec<Edit> {
    let none = wire::Upstream::default();
    let held = held.unwrap_or(&none);
    let filter = held.filter.clone().unwrap_or_default();
    let allowed = filter.allowed.map(|allowed| allowed.globs);
    let forwarded = held.forward_headers.clone().map(|headers| headers.globs);
    let mut edits = Vec::new();
    let mut compare = |field: &str, differs: bool, from: String, to: String| {
        if differs {
            edits.push(Edit::new(field, from, to));
        }
    };
    for (field, from, to) in
        [("url", &held.url, &wanted.url), ("discovery_url", &held.discovery_url, &wanted.discovery_url)]
    {
        compare(field, from != to, address(from), address(to));
    }
    let (from, to) = (held.description.clone(), wanted.description.clone());
    compare("description", from != to, from, to);
    let (from, to) = (forwarded, wanted.forward_headers.clone());
    compare("forward_headers", from != to, globs(from.as_deref()), globs(to.as_deref()));
    let (from, to) = (allowed, wanted.allowed_tools.clone());
    compare("allowed_tools", from != to, globs(from.as_deref()), globs(to.as_deref()));
    let (from, to) = (filter.denied, wanted.denied_tools.clone());
    compare("denied_tools", from != to, from.join(", "), to.join(", "));
    let pin = |policy| policy == wire::SchemaPolicy::Pin;
    let word = |is_pin| if is_pin { "pin" } else { "accept" }.to_owned();
    let (from, to) = (pin(held.schema_policy()), pin(wanted.schema_policy));
    compare("schema_policy", from != to, word(from), word(to));
    let shared = |mode| mode == toolplane_proto::sync::SessionMode::Shared;
    let word = |is_shared| if is_shared { "shared" } else { "isolated" }.to_owned();
    let (from, to) = (shared(held.session_mode()), shared(wanted.session_mode));
    compare("session_mode", from != to, word(from), word(to));
    let held = limits::from_wire(held.limits.as_ref());
    for limit in Limit::ALL {
        let (from, to) = (held.get(limit), wanted.limits.get(limit));
        let word = |value: Option<u64>| {
            value.map_or_else(|| limits::DEFAULT.to_owned(), |value| limits::show(limit, value))
        };
        compare(&format!("limits.{}", limit.name()), from != to, word(from), word(to));
    }
    edits
}

/// An address as it may be shown: what it hides may still differ.
fn address(url: &str) -> String {
    if url.is_empty() { String::new() } else { guard::display_url(url) }
}

fn globs(globs: Option<&[String]>) -> String {
    match globs {
        None => "all".to_owned(),
        Some([]) => "none".to_owned(),
        Some(globs) => globs.join(", "),
    }
}

/// The whole upstream; an update mask says which of it matters.
fn wanted(upstream: &Upstream, held: Option<&wire::Upstream>) -> wire::Upstream {
    let given = |header: &Header| match &header.value {
        Source::Given(value) => Some((header.name.clone(), value.expose().clone())),
        Source::Env(_) | Source::File(_) | Source::Unchanged => None,
    };
    wire::Upstream {
        domain: upstream.domain.clone(),
        url: upstream.url.clone(),
        discovery_url: upstream.discovery_url.clone(),
        description: upstream.description.clone(),
        headers: upstream.headers.iter().flatten().filter_map(given).collect(),
        forward_headers: upstream.forward_headers.clone().map(|globs| wire::HeaderGlobs { globs }),
        filter: Some(wire::ToolFilter {
            allowed: upstream.allowed_tools.clone().map(|globs| wire::Globs { globs }),
            denied: upstream.denied_tools.clone(),
        }),
        schema_policy: upstream.schema_policy.into(),
        session_mode: upstream.session_mode.into(),
        limits: toolplane_proto::limits::said(&upstream.limits),
        tls: tls::wanted(upstream),
        oauth: oauth::wanted(upstream),
        etag: held.map(|held| held.etag.clone()).unwrap_or_default(),
        ..wire::Upstream::default()
    }
}

// ---- what no file lists ----

fn leftovers(manifest: &Manifest, held: &Held, prune: bool, plan: &mut Plan) {
    if !manifest.lists_upstreams {
        return;
    }
    let is_listed =
        |held: &wire::Upstream| manifest.upstreams.iter().any(|upstream| upstream.domain == held.domain);
    let mut kept = Vec::new();
    for held in held.upstreams.iter().filter(|held| !is_listed(held)) {
        let domain = held.domain.clone();
        if held.owner() == wire::Owner::Environment {
            plan.notes.push(format!("`{domain}` belongs to the environment and stays"));
        } else if prune {
            let tools = held.listing.as_ref().map_or(0, |listing| listing.tools_admitted);
            plan.steps.push(Step::Remove { domain, etag: held.etag.clone(), tools });
        } else {
            kept.push(format!("`{domain}`"));
        }
    }
    if !kept.is_empty() {
        let kept = kept.join(", ");
        plan.notes.push(format!("no file lists {kept}; `--prune` would remove what no file lists"));
    }
}

#[cfg(test)]
mod tests;
