//! One admitted tool of one domain.
//!
//! Owns what a node knows of a tool. Never decides whether it is admitted ([`crate::ingest`]) or what it is
//! called in public ([`crate::view`]).

use crate::digest::{Digest, Hasher};
use crate::{Domain, Group, RawJson, ToolName};

/// A tool that passed admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The name its upstream knows it by.
    pub original_name: ToolName,
    /// Where it belongs within its domain.
    pub group: Group,
    /// Cleaned description; empty when the upstream gave none.
    pub description: String,
    /// The input schema as the upstream sent it: always a JSON object.
    pub input_schema: RawJson,
    /// The output schema as the upstream sent it.
    pub output_schema: Option<RawJson>,
    /// The annotations as the upstream sent them: a JSON object.
    pub annotations: Option<RawJson>,
    /// The `_meta` object as the upstream sent it.
    pub meta: Option<RawJson>,
}

impl Tool {
    /// A digest over everything a node holds of the tool.
    pub fn content_digest(&self) -> Digest {
        let Self { original_name, group, description, input_schema, output_schema, annotations, meta } = self;
        Hasher::default()
            .text(original_name.as_str())
            .text(group.as_str())
            .text(description)
            .text(input_schema.as_str())
            .optional(output_schema.as_ref().map(RawJson::as_str))
            .optional(annotations.as_ref().map(RawJson::as_str))
            .optional(meta.as_ref().map(RawJson::as_str))
            .finish()
    }

    /// How the tool is called in messages for operators: ``tool `search` of `apollo` ``.
    pub fn subject(domain: &Domain, original_name: &str) -> String {
        format!("tool `{original_name}` of `{domain}`")
    }
}
