//! Rows as they are read, and how they become what the store keeps.
//!
//! Owns the form of every column. A row that this software never writes is an error which names table, column
//! and row. Upstreams and their listings are in `rows/upstream.rs`, nodes in `rows/node.rs`.

mod history;
mod limits;
mod node;
mod oauth;
mod rollout;
mod tls;
mod upstream;

use serde::de::DeserializeOwned;
use toolplane_registry::policy::AccessPolicy;

use super::{AuditRecord, Error, Head, Millis, Policy, Role, Token};

pub(super) use history::{RefusalRow, RulesRow, VersionRow, content, past, past_domain, rules_values};
pub(super) use node::{NodeRow, node_values, rejections_json};
pub(super) use rollout::RolloutRow;
pub(super) use upstream::{Assembled, ListingRow, ToolRow, assemble, listing_values, upstream_values};

#[derive(sqlx::FromRow)]
pub(super) struct HeadRow {
    pub(super) store_id: String,
    pub(super) version: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct PolicyRow {
    access: String,
    etag: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    id: String,
    description: String,
    role: String,
    may_register: bool,
    created_at: Millis,
    expires_at: Option<Millis>,
    revoked_at: Option<Millis>,
}

#[derive(sqlx::FromRow)]
pub(super) struct AuditRow {
    id: i64,
    at: Millis,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    version: i64,
}

/// Where a value stands, for the error that names it.
#[derive(Clone, Copy)]
struct Cell<'a> {
    table: &'static str,
    column: &'static str,
    id: &'a str,
}

impl TryFrom<HeadRow> for Head {
    type Error = Error;

    fn try_from(row: HeadRow) -> Result<Self, Error> {
        let HeadRow { store_id, version } = row;
        let number = Cell { table: "head", column: "version", id: "1" }.version(version)?;
        Ok(Self { store_id, number })
    }
}

impl TryFrom<PolicyRow> for Policy {
    type Error = Error;

    fn try_from(row: PolicyRow) -> Result<Self, Error> {
        let PolicyRow { access, etag } = row;
        let access: AccessPolicy = Cell { table: "policies", column: "access", id: "1" }.json(&access)?;
        Ok(Self { access, etag })
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = Error;

    fn try_from(row: TokenRow) -> Result<Self, Error> {
        let TokenRow { id, description, role, may_register, created_at, expires_at, revoked_at } = row;
        let role = Cell { table: "tokens", column: "role", id: &id }.known(&role, Role::parse)?;
        Ok(Self { id, description, role, may_register, created_at, expires_at, revoked_at })
    }
}

impl TryFrom<AuditRow> for AuditRecord {
    type Error = Error;

    fn try_from(row: AuditRow) -> Result<Self, Error> {
        let AuditRow { id, at, actor, action, subject, detail, version } = row;
        let version = Cell { table: "audit", column: "version", id: &id.to_string() }.version(version)?;
        Ok(Self { id, at, actor, action, subject, detail, version })
    }
}

/// Converts rows one by one; the first bad one is the error.
pub(super) fn convert_all<R, T: TryFrom<R, Error = Error>>(rows: Vec<R>) -> Result<Vec<T>, Error> {
    rows.into_iter().map(T::try_from).collect()
}

pub(super) fn policy_json(policy: &AccessPolicy) -> String {
    #[expect(clippy::expect_used, reason = "maps of strings and flags always serialize")]
    serde_json::to_string(policy).expect("a policy is JSON")
}

impl Cell<'_> {
    fn bad(self, reason: impl Into<String>) -> Error {
        let Self { table, column, id } = self;
        Error::Inconsistent { table, column, id: id.to_owned(), reason: reason.into() }
    }

    fn version(self, number: i64) -> Result<u64, Error> {
        u64::try_from(number).map_err(|_| self.bad("is negative"))
    }

    fn json<T: DeserializeOwned>(self, text: &str) -> Result<T, Error> {
        // The category alone: the text of a syntax error may repeat what stands there.
        serde_json::from_str(text)
            .map_err(|error| self.bad(format!("not the JSON expected ({:?} error)", error.classify())))
    }

    fn known<T>(self, text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
        parse(text).ok_or_else(|| self.bad("holds a name this release does not know"))
    }
}
