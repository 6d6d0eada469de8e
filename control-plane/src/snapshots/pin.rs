//! What of a listing is served under a schema policy.

use std::collections::BTreeMap;

use toolplane_registry::ingest::tool_digest;
use toolplane_registry::upstream::SchemaPolicy;
use toolplane_registry::{Digest, Domain, RawJson, Rejection, Rule, Tool, ToolName};

use crate::store::Listing;

/// The tools served, and why others are held back.
///
/// Under [`SchemaPolicy::Pin`] a changed tool keeps its approved form, a new one stays hidden, and one that the
/// upstream no longer lists goes: there is nothing left to call.
pub fn served(domain: &Domain, policy: SchemaPolicy, listing: &Listing) -> (Vec<RawJson>, Vec<Rejection>) {
    let (SchemaPolicy::Pin, Some(approved)) = (policy, &listing.approved) else {
        return (listing.tools.clone(), Vec::new());
    };
    let approved: BTreeMap<ToolName, (Digest, &RawJson)> = approved
        .iter()
        .filter_map(|raw| tool_digest(raw).map(|(name, digest)| (name, (digest, raw))))
        .collect();
    let mut tools = Vec::new();
    let mut held_back = Vec::new();
    for raw in &listing.tools {
        // What has no digest has no usable name: admission says so, and it is not served anyway.
        let Some((name, digest)) = tool_digest(raw) else {
            tools.push(raw.clone());
            continue;
        };
        let subject = || Tool::subject(domain, name.as_str());
        match approved.get(&name) {
            Some((known, _)) if *known == digest => tools.push(raw.clone()),
            Some((_, form)) => {
                tools.push((*form).clone());
                let reason = "changed since it was approved; the approved form is served";
                held_back.push(Rejection::new(subject(), Rule::Pinned, reason));
            }
            None => {
                let reason = "is new and not approved yet; it is hidden";
                held_back.push(Rejection::new(subject(), Rule::Pinned, reason));
            }
        }
    }
    (tools, held_back)
}

#[cfg(test)]
mod tests {
    use toolplane_registry::Protocol;

    use super::*;

    fn raw(name: &str, description: &str) -> RawJson {
        RawJson::from(&serde_json::json!({
            "name": name, "description": description, "inputSchema": {"type": "object"},
        }))
    }

    fn listing(tools: Vec<RawJson>, approved: Vec<RawJson>) -> Listing {
        Listing {
            attempt_at: 1,
            success_at: Some(1),
            error: String::new(),
            tools,
            approved: Some(approved),
            protocol: Protocol::Unknown,
        }
    }

    #[test]
    fn a_pin_keeps_approved_forms_hides_new_tools_and_lets_removed_ones_go() {
        let approved = vec![raw("a", "old"), raw("b", "same"), raw("gone", "x")];
        let now = listing(vec![raw("a", "new words"), raw("b", "same"), raw("c", "new tool")], approved);
        let domain = Domain::parse("d").unwrap();
        let (tools, held_back) = served(&domain, SchemaPolicy::Pin, &now);
        assert_eq!(tools, [raw("a", "old"), raw("b", "same")]);
        assert_eq!(held_back.len(), 2);
        let (tools, held_back) = served(&domain, SchemaPolicy::Accept, &now);
        assert_eq!((tools.len(), held_back.len()), (3, 0));
    }
}
