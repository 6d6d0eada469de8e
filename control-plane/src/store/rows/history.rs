//! Versions and their content as rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::upstream::ToolFilter;
use toolplane_registry::{Digest, Domain, RawJson};

use super::upstream::{OWNERS, SCHEMA_POLICIES, name_of, named};
use super::{Cell, node};
use crate::store::history::{Past, PastDomain, Publication, Refusal, VersionRecord};
use crate::store::{Error, Millis};

#[derive(sqlx::FromRow)]
pub(in crate::store) struct VersionRow {
    version: i64,
    created_at: Millis,
    actor: String,
    summary: String,
    recorded: bool,
    digest: Option<String>,
    domain_count: Option<i64>,
    tool_count: Option<i64>,
}

#[derive(sqlx::FromRow)]
pub(in crate::store) struct RefusalRow {
    version: i64,
    node_id: String,
    at: Millis,
    rejections: String,
}

/// What decides, on an upstream's row, which of its tools are offered.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct RulesRow {
    allowed_tools: Option<String>,
    denied_tools: String,
    schema_policy: String,
    owner: String,
}

/// The stored form of a [`PastDomain`]: tools as texts, so that each stays as it was sent.
#[derive(Serialize, Deserialize)]
struct Stored {
    tools: Option<Vec<String>>,
    approved: Option<Vec<String>>,
    allowed: Option<Vec<String>>,
    denied: Vec<String>,
    schema_policy: String,
    owner: String,
}

// ---- reading ----

impl TryFrom<VersionRow> for VersionRecord {
    type Error = Error;

    fn try_from(row: VersionRow) -> Result<Self, Error> {
        let VersionRow { version, created_at, actor, summary, recorded, digest, domain_count, tool_count } =
            row;
        let id = version.to_string();
        let cell = |column| Cell { table: "snapshots", column, id: &id };
        let count = |number: Option<i64>| usize::try_from(number.unwrap_or_default()).unwrap_or_default();
        let publication = match digest {
            None => None,
            Some(digest) => Some(Publication {
                digest: cell("digest").known(&digest, Digest::from_hex)?,
                domains: count(domain_count),
                tools: count(tool_count),
            }),
        };
        let number = cell("version").version(version)?;
        Ok(Self { number, created_at, actor, summary, recorded, publication, refusals: Vec::new() })
    }
}

impl TryFrom<RefusalRow> for Refusal {
    type Error = Error;

    fn try_from(row: RefusalRow) -> Result<Self, Error> {
        let RefusalRow { version, node_id, at, rejections } = row;
        let cell = |column| Cell { table: "refusals", column, id: &node_id };
        let rejections = node::rejections(&rejections, cell("rejections"))?;
        Ok(Self { number: cell("version").version(version)?, rejections, at, node_id })
    }
}

/// What a domain offers, from its rows.
pub(in crate::store) fn past_domain(
    id: &str,
    rules: RulesRow,
    has_approved: Option<bool>,
    tools: Vec<(bool, String)>,
) -> Result<PastDomain, Error> {
    let RulesRow { allowed_tools, denied_tools, schema_policy, owner } = rules;
    let cell = |column| Cell { table: "upstreams", column, id };
    let allowed = allowed_tools.map(|text| cell("allowed_tools").json(&text)).transpose()?;
    let denied = cell("denied_tools").json(&denied_tools)?;
    let (approved, listed): (Vec<_>, Vec<_>) = tools.into_iter().partition(|(approved, _)| *approved);
    let texts = |tools: Vec<(bool, String)>| tools.into_iter().map(|(_, text)| text).collect();
    let stored = Stored {
        tools: has_approved.map(|_| texts(listed)),
        approved: has_approved.filter(|has| *has).map(|_| texts(approved)),
        allowed,
        denied,
        schema_policy,
        owner,
    };
    stored.open(Cell { table: "tools", column: "definition", id })
}

/// The content of a version, from its rows.
pub(in crate::store) fn past(policy: Option<String>, contents: Vec<(String, String)>) -> Result<Past, Error> {
    let mut domains = BTreeMap::new();
    for (domain, content) in contents {
        let cell = Cell { table: "domain_contents", column: "content", id: &domain };
        let name = Domain::parse(&domain).map_err(|error| cell.bad(error.to_string()))?;
        let stored: Stored = cell.json(&content)?;
        domains.insert(name, stored.open(cell)?);
    }
    let cell = Cell { table: "snapshots", column: "policy", id: "policy" };
    let policy = policy.map(|text| cell.json::<AccessPolicy>(&text)).transpose()?;
    Ok(Past { policy, domains })
}

impl Stored {
    fn open(self, cell: Cell<'_>) -> Result<PastDomain, Error> {
        let Self { tools, approved, allowed, denied, schema_policy, owner } = self;
        let parse = |texts: Vec<String>| {
            texts
                .iter()
                .map(|text| RawJson::parse(text).map_err(|_| cell.bad("not valid JSON")))
                .collect::<Result<Vec<RawJson>, Error>>()
        };
        Ok(PastDomain {
            tools: tools.map(parse).transpose()?,
            approved: approved.map(parse).transpose()?,
            filter: ToolFilter { allowed, denied },
            schema_policy: cell.known(&schema_policy, |name| named(&SCHEMA_POLICIES, name))?,
            owner: cell.known(&owner, |name| named(&OWNERS, name))?,
        })
    }
}

// ---- writing ----

/// The stored form of a domain's content, and its digest.
pub(in crate::store) fn content(past: &PastDomain) -> Result<(String, String), Error> {
    let PastDomain { tools, approved, filter: ToolFilter { allowed, denied }, schema_policy, owner } = past;
    let texts = |tools: &Vec<RawJson>| tools.iter().map(|tool| tool.as_str().to_owned()).collect();
    let stored = Stored {
        tools: tools.as_ref().map(texts),
        approved: approved.as_ref().map(texts),
        allowed: allowed.clone(),
        denied: denied.clone(),
        schema_policy: name_of(&SCHEMA_POLICIES, schema_policy).to_owned(),
        owner: name_of(&OWNERS, owner).to_owned(),
    };
    let text = serde_json::to_string(&stored)
        .map_err(|error| Error::Driver(sqlx::Error::Encode(Box::new(error))))?;
    Ok((Digest::of(text.as_bytes()).to_string(), text))
}

/// The values that the filter and schema policy columns of an upstream take.
pub(in crate::store) fn rules_values(past: &PastDomain) -> [crate::store::database::Value; 3] {
    let PastDomain { filter: ToolFilter { allowed, denied }, schema_policy, .. } = past;
    let list = |list: &[String]| serde_json::Value::from(list).to_string();
    [
        allowed.as_deref().map(list).into(),
        list(denied).into(),
        name_of(&SCHEMA_POLICIES, schema_policy).into(),
    ]
}
