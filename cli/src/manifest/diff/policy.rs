//! The access policy, domain by domain.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_proto::admin as wire;

use super::super::Policy;
use super::{Edit, Step};

/// How the policy changes, if at all.
pub(super) fn step(wanted: &Policy, held: &wire::Policy) -> Option<Step> {
    let mut edits = Vec::new();
    if held.explicit != wanted.access.is_some() {
        let word = |explicit| if explicit { "explicit" } else { "the upstreams' own filters" };
        edits.push(Edit::new("policy", word(held.explicit), word(wanted.access.is_some())));
    }
    let access = wanted.access.clone().unwrap_or_default();
    for (rule, from, to) in [("allow", &held.allow, &access.allow), ("deny", &held.deny, &access.deny)] {
        edits.extend(rules(rule, from, to));
    }
    let held_code = held.code_mode.unwrap_or_default();
    for (name, from, to) in [
        ("code mode", held_code.deny, access.code_mode.deny),
        ("code mode, destructive tools", held_code.deny_destructive, access.code_mode.deny_destructive),
    ] {
        let word = |denied| if denied { "denied" } else { "allowed" };
        if from != to {
            edits.push(Edit::new(name, word(from), word(to)));
        }
    }
    let step = Step::SetPolicy {
        place: wanted.place.clone(),
        access: wanted.access.clone(),
        etag: held.etag.clone(),
        edits,
    };
    match &step {
        Step::SetPolicy { edits, .. } if edits.is_empty() => None,
        _ => Some(step),
    }
}

fn rules(
    rule: &str,
    from: &BTreeMap<String, wire::GlobList>,
    to: &BTreeMap<String, Vec<String>>,
) -> Vec<Edit> {
    let domains: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let mut edits = Vec::new();
    for domain in domains {
        let (before, after) = (from.get(domain).map(|list| &list.globs), to.get(domain));
        let text = |globs: Option<&Vec<String>>| match globs {
            None => String::new(),
            Some(globs) if globs.is_empty() => "none".to_owned(),
            Some(globs) => globs.join(", "),
        };
        if before != after {
            edits.push(Edit::new(&format!("{rule} {domain}"), text(before), text(after)));
        }
    }
    edits
}
