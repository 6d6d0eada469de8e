//! From what an upstream listed to admitted tools.
//!
//! Owns the reading of a listing and its digests. One bad entry harms only itself. Never decides which tools an
//! operator wants ([`crate::policy`]) or whether a change is accepted; never talks to an upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::schema::{self, Limits};
use crate::{Digest, Domain, Group, RawJson, Rejection, Rule, Tool, ToolName, json, sanitize};

/// How strict admission is with one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// How large schemas may be.
    pub schema: Limits,
    /// Whether the operator vouches for the domain's wording.
    pub trusted_domain: bool,
}

/// What became of a listing.
#[derive(Debug, Clone)]
pub struct Ingested {
    /// The admitted tools, in the order listed.
    pub tools: Vec<Arc<Tool>>,
    /// Why the others were refused.
    pub rejections: Vec<Rejection>,
}

/// One entry of a listing, its members unread.
struct Listed<'a>(BTreeMap<String, &'a RawValue>);

/// Reads a listing. Of entries with the same name the first counts.
pub fn admit(domain: &Domain, listed: &[RawJson], rules: &Rules) -> Ingested {
    let mut tools = Vec::with_capacity(listed.len());
    let mut rejections = Vec::new();
    let mut seen = BTreeSet::new();
    for (position, raw) in listed.iter().enumerate() {
        let entry = Listed::read(raw);
        let refuse = |rule: Rule, reason: String| {
            let subject = entry.as_ref().and_then(Listed::name).map_or_else(
                || format!("tool number {} of `{domain}`", position + 1),
                |name| Tool::subject(domain, &sanitize::label(&name)),
            );
            Rejection::new(subject, rule, reason)
        };
        let tool = entry
            .as_ref()
            .ok_or_else(|| (Rule::Tool, "is not a JSON object".to_owned()))
            .and_then(|entry| entry.tool(domain, rules));
        match tool {
            Err((rule, reason)) => rejections.push(refuse(rule, reason)),
            Ok(tool) if !seen.insert(tool.original_name.clone()) => {
                rejections.push(refuse(
                    Rule::Duplicate,
                    "is listed more than once; the first one counts".to_owned(),
                ));
            }
            Ok(tool) => tools.push(Arc::new(tool)),
        }
    }
    Ingested { tools, rejections }
}

/// The name of a listed tool and the digest of what pinning watches: name, description, input schema.
pub fn tool_digest(raw: &RawJson) -> Option<(ToolName, Digest)> {
    let entry = Listed::read(raw)?;
    let name = ToolName::parse(&entry.name()?).ok()?;
    Some((name, Digest::of(entry.digest_line()?.as_bytes())))
}

/// The public digest of a listing: independent of the order of tools and of keys; annotations are not part of
/// it. Entries without a name or an input schema are no tools and do not count.
///
/// SHA-256 over the sorted lines `{"d":description,"n":name,"s":schema}` in canonical form, joined by newlines.
/// Controllers compute the same value from the upstream's own definitions, so descriptions go in uncleaned.
pub fn set_digest(listed: &[RawJson]) -> Digest {
    let mut lines: Vec<String> =
        listed.iter().filter_map(Listed::read).filter_map(|entry| entry.digest_line()).collect();
    lines.sort();
    Digest::of(lines.join("\n").as_bytes())
}

/// Longest schema that is brought into canonical form for a digest; far beyond what admission accepts.
const MAX_CANONICAL_BYTES: usize = 1 << 20;

impl<'a> Listed<'a> {
    fn read(raw: &'a RawJson) -> Option<Self> {
        serde_json::from_str(raw.as_str()).ok().map(Self)
    }

    fn name(&self) -> Option<String> {
        serde_json::from_str(self.0.get("name")?.get()).ok()
    }

    fn digest_line(&self) -> Option<String> {
        let schema = self.0.get("inputSchema")?.get();
        // What is huge or has no canonical form is refused by the schema rules; its own text identifies it as well.
        let canonical = (schema.len() <= MAX_CANONICAL_BYTES).then(|| json::canonical(schema).ok()).flatten();
        let schema = canonical.unwrap_or_else(|| schema.to_owned());
        let description: Option<String> =
            self.0.get("description").and_then(|raw| serde_json::from_str(raw.get()).ok());
        let name = serde_json::Value::from(self.name()?);
        let description = serde_json::Value::from(description.unwrap_or_default());
        Some(format!(r#"{{"d":{description},"n":{name},"s":{schema}}}"#))
    }

    fn tool(&self, domain: &Domain, rules: &Rules) -> Result<Tool, (Rule, String)> {
        let Rules { schema: limits, trusted_domain } = rules;
        let name = self.name().ok_or_else(|| (Rule::Tool, "has no name".to_owned()))?;
        let original_name = ToolName::parse(&name).map_err(|error| (Rule::Name, error.to_string()))?;
        let input_schema =
            self.0.get("inputSchema").ok_or_else(|| (Rule::Schema, "has no input schema".to_owned()))?;
        let input_schema = RawJson::from(*input_schema);
        schema::check(&input_schema, limits).map_err(|reason| (Rule::Schema, reason))?;
        let description = self
            .0
            .get("description")
            .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok());
        let clean = if *trusted_domain { sanitize::trusted_description } else { sanitize::description };
        Ok(Tool {
            group: Group::infer(domain, &original_name),
            original_name,
            description: clean(description.as_ref()),
            input_schema,
            // An output schema is a promise, not a precondition: without a usable one the tool still works.
            output_schema: self
                .object("outputSchema", limits)
                .filter(|raw| schema::check(raw, limits).is_ok()),
            annotations: self.object("annotations", limits),
            meta: self.object("_meta", limits),
        })
    }

    /// A member that is an object of bearable size.
    fn object(&self, key: &str, limits: &Limits) -> Option<RawJson> {
        let raw = self
            .0
            .get(key)
            .filter(|raw| raw.get().starts_with('{') && raw.get().len() <= limits.max_bytes)?;
        Some(RawJson::from(*raw))
    }
}

#[cfg(test)]
mod tests;
