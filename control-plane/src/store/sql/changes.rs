//! The parts of a commit, applied in one transaction.
//!
//! The head row is locked first, so commits follow each other and what is read here stays true until the end.

use toolplane_registry::{Domain, RawJson};
use toolplane_seal::Key;

use super::{history, insert_audit, request_keys, rollouts};
use crate::store::measured::Transaction;
use crate::store::rows::{self, HeadRow};
use crate::store::{AuditEntry, Change, Commit, Error, Head, Listing, Millis, Policy, queries};

/// Audit entries that a snapshot's summary names before it counts the rest.
const SUMMARY_ENTRIES: usize = 8;

/// Applies a commit; the caller ends the transaction.
pub(super) async fn apply(transaction: &mut Transaction, key: &Key, commit: &Commit) -> Result<Head, Error> {
    let Commit { changes, audit, at } = commit;
    let row: Option<HeadRow> = transaction.fetch(queries::NEXT_VERSION, &[]).await?.pop();
    let row = row.ok_or_else(|| Error::NotFound("the store's head row".to_owned()))?;
    let version = row.version;
    for change in changes {
        apply_one(transaction, key, change, version, *at).await?;
    }
    request_keys::top_up(transaction, key, *at).await?;
    let actor = audit.first().map_or("system", |entry| entry.actor.as_str());
    let values = [version.into(), (*at).into(), actor.into(), summary(audit).into()];
    transaction.execute(queries::INSERT_SNAPSHOT, &values).await?;
    history::record(transaction, version, changes).await?;
    for entry in audit {
        insert_audit(transaction, entry, version).await?;
    }
    if let Some(announce) = transaction.dialect().announce {
        transaction.execute(announce, &[version.to_string().into()]).await?;
    }
    let head: Head = row.try_into()?;
    let renewed = changes.iter().find_map(|change| match change {
        Change::RenewStore { store_id } => Some(store_id.clone()),
        _ => None,
    });
    Ok(Head { store_id: renewed.unwrap_or(head.store_id), number: head.number })
}

/// The configuration id of an upstream, if there is one; it stays until the transaction ends.
pub(super) async fn lock_config_id(
    transaction: &mut Transaction,
    domain: &Domain,
) -> Result<Option<String>, Error> {
    let sql = transaction.dialect().lock_config_id;
    transaction.fetch_text(sql, &[domain.as_str().into()]).await
}

async fn apply_one(
    transaction: &mut Transaction,
    key: &Key,
    change: &Change,
    version: i64,
    at: Millis,
) -> Result<(), Error> {
    match change {
        Change::CreateUpstream { upstream, config_id, listing } => {
            let values = rows::upstream_values(upstream, config_id, at, key);
            if transaction.execute(queries::INSERT_UPSTREAM, &values).await? == 0 {
                return Err(Error::AlreadyExists(subject(&upstream.domain)));
            }
            put_listing(transaction, &upstream.domain, listing.as_ref()).await
        }
        Change::ReplaceUpstream { upstream, config_id, expected, listing } => {
            require_upstream(transaction, &upstream.domain, expected.as_deref()).await?;
            let values = rows::upstream_values(upstream, config_id, at, key);
            transaction.execute(queries::UPDATE_UPSTREAM, &values).await?;
            put_listing(transaction, &upstream.domain, listing.as_ref()).await
        }
        Change::DeleteUpstream { domain, expected } => {
            require_upstream(transaction, domain, expected.as_deref()).await?;
            transaction.execute(queries::DELETE_UPSTREAM, &[domain.as_str().into()]).await?;
            rollouts::forget(transaction, domain).await
        }
        Change::PutListing { domain, config_id, listing } => {
            require_upstream(transaction, domain, Some(config_id)).await?;
            put_listing(transaction, domain, Some(listing)).await
        }
        Change::PutPolicy { policy, expected } => {
            put_policy(transaction, policy.as_ref(), expected.as_deref()).await
        }
        Change::ResumeUpstream { domain } => {
            require_upstream(transaction, domain, None).await?;
            transaction.execute(queries::RESUME_UPSTREAM, &[domain.as_str().into()]).await?;
            Ok(())
        }
        Change::Restore { number } => history::restore(transaction, *number, at).await,
        Change::StartRollout { etag, canary, actor } => {
            rollouts::start(transaction, etag, canary, actor, (version, at)).await
        }
        Change::PromoteRollout { etag } => rollouts::end(transaction, etag).await,
        Change::AbortRollout { etag } => rollouts::abort(transaction, etag, at).await,
        Change::RenewStore { store_id } => {
            transaction.execute(queries::RENEW_STORE, &[store_id.as_str().into()]).await?;
            Ok(())
        }
        Change::PutEnvironment { fingerprint } => {
            transaction.execute(queries::PUT_ENVIRONMENT, &[fingerprint.as_str().into()]).await?;
            Ok(())
        }
    }
}

pub(super) async fn require_upstream(
    transaction: &mut Transaction,
    domain: &Domain,
    expected: Option<&str>,
) -> Result<(), Error> {
    match lock_config_id(transaction, domain).await? {
        None => Err(Error::NotFound(subject(domain))),
        Some(held) => require_etag(|| subject(domain), held, expected),
    }
}

/// Replaces what is known of an upstream's tools; `None` forgets it.
async fn put_listing(
    transaction: &mut Transaction,
    domain: &Domain,
    listing: Option<&Listing>,
) -> Result<(), Error> {
    transaction.execute(queries::DELETE_LISTING, &[domain.as_str().into()]).await?;
    transaction.execute(queries::END_CLAIM, &[domain.as_str().into()]).await?;
    let Some(listing) = listing else { return Ok(()) };
    transaction.execute(queries::INSERT_LISTING, &rows::listing_values(domain, listing)).await?;
    insert_tools(transaction, domain.as_str(), false, &listing.tools).await?;
    insert_tools(transaction, domain.as_str(), true, listing.approved.as_deref().unwrap_or_default()).await
}

pub(super) async fn insert_tools(
    transaction: &mut Transaction,
    domain: &str,
    approved: bool,
    tools: &[RawJson],
) -> Result<(), Error> {
    if tools.is_empty() {
        return Ok(());
    }
    // One statement however many tools: the head row is locked meanwhile. They travel as JSON strings, whose
    // content is never interpreted, so every tool arrives as it was sent.
    let texts: Vec<&str> = tools.iter().map(RawJson::as_str).collect();
    let values = [domain.into(), approved.into(), serde_json::Value::from(texts).to_string().into()];
    let sql = transaction.dialect().insert_tools;
    transaction.execute(sql, &values).await?;
    Ok(())
}

pub(super) async fn put_policy(
    transaction: &mut Transaction,
    policy: Option<&Policy>,
    expected: Option<&str>,
) -> Result<(), Error> {
    let held = transaction.fetch_text(queries::POLICY_ETAG, &[]).await?;
    require_etag(|| "the access policy".to_owned(), held.unwrap_or_default(), expected)?;
    match policy {
        None => transaction.execute(queries::DELETE_POLICY, &[]).await?,
        Some(Policy { access, etag }) => {
            let values = [rows::policy_json(access).into(), etag.as_str().into()];
            transaction.execute(queries::PUT_POLICY, &values).await?
        }
    };
    Ok(())
}

fn require_etag(subject: impl FnOnce() -> String, held: String, expected: Option<&str>) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != held => {
            Err(Error::Conflict { subject: subject(), held, expected: expected.to_owned() })
        }
        _ => Ok(()),
    }
}

fn subject(domain: &Domain) -> String {
    format!("upstream `{domain}`")
}

/// One line about a commit, for a list of snapshots.
fn summary(audit: &[AuditEntry]) -> String {
    let named: Vec<String> = audit
        .iter()
        .take(SUMMARY_ENTRIES)
        .map(|entry| format!("{}: {}", entry.action, entry.subject))
        .collect();
    let mut text = named.join(", ");
    if let Some(rest) = audit.len().checked_sub(SUMMARY_ENTRIES).filter(|rest| *rest > 0) {
        text = format!("{text} and {rest} more");
    }
    text
}
