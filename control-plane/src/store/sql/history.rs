//! Versions: recorded by every commit in its own transaction, brought back by a rollback.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Sql, changes, one_head, rollouts};
use crate::ids::new_id;
use crate::rollout::Rollout;
use crate::store::database::Value;
use crate::store::history::{History, Past, PastDomain, Publication, Refusal, VersionRecord};
use crate::store::measured::Transaction;
use crate::store::rows::{self, RefusalRow, RulesRow, VersionRow};
use crate::store::{Change, Error, Head, Millis, Policy, Registry, queries};

/// Records what a version holds. Only domains that the commit touched are looked at, unless the version before
/// was made by a release that recorded nothing.
pub(super) async fn record(
    transaction: &mut Transaction,
    version: i64,
    changes: &[Change],
) -> Result<(), Error> {
    let before = transaction.fetch::<(i64,)>(queries::RECORDED, &[(version - 1).into()]).await?;
    let all = before.is_empty() || changes.iter().any(concerns_all);
    let domains: BTreeSet<String> = if all {
        let rows = transaction.fetch::<(String,)>(queries::HISTORY_DOMAINS, &[]).await?;
        rows.into_iter().map(|(domain,)| domain).collect()
    } else {
        changes.iter().filter_map(touched).map(str::to_owned).collect()
    };
    for domain in domains {
        record_domain(transaction, version, &domain).await?;
    }
    transaction.execute(queries::MARK_RECORDED, &[version.into()]).await?;
    Ok(())
}

/// A rollback compares every domain, and a baseline must not miss what was noted without a version.
fn concerns_all(change: &Change) -> bool {
    matches!(change, Change::Restore { .. } | Change::StartRollout { .. } | Change::AbortRollout { .. })
}

fn touched(change: &Change) -> Option<&str> {
    match change {
        Change::CreateUpstream { upstream, .. } | Change::ReplaceUpstream { upstream, .. } => {
            Some(upstream.domain.as_str())
        }
        Change::DeleteUpstream { domain, .. } | Change::PutListing { domain, .. } => Some(domain.as_str()),
        Change::ResumeUpstream { .. }
        | Change::Restore { .. }
        | Change::StartRollout { .. }
        | Change::PromoteRollout { .. }
        | Change::AbortRollout { .. }
        | Change::PutPolicy { .. }
        | Change::PutEnvironment { .. }
        | Change::RenewStore { .. } => None,
    }
}

async fn record_domain(transaction: &mut Transaction, version: i64, domain: &str) -> Result<(), Error> {
    let now = current(transaction, domain).await?.map(|past| rows::content(&past)).transpose()?;
    let held = transaction.fetch_text(queries::OPEN_CONTENT, &[domain.into()]).await?;
    if held.as_deref() == now.as_ref().map(|(digest, _)| digest.as_str()) {
        return Ok(());
    }
    transaction.execute(queries::CLOSE_CONTENT, &[domain.into(), version.into()]).await?;
    if let Some((digest, content)) = now {
        transaction.execute(queries::PUT_CONTENT, &[digest.as_str().into(), content.into()]).await?;
        let values = [domain.into(), version.into(), digest.into()];
        transaction.execute(queries::START_CONTENT, &values).await?;
    }
    Ok(())
}

/// What a domain offers now; `None` where it is not registered.
async fn current(transaction: &mut Transaction, domain: &str) -> Result<Option<PastDomain>, Error> {
    let key = [Value::from(domain)];
    let Some(rules) = transaction.fetch::<RulesRow>(queries::UPSTREAM_RULES, &key).await?.pop() else {
        return Ok(None);
    };
    let listing = transaction.fetch::<(bool,)>(queries::HAS_APPROVED, &key).await?.pop();
    let tools = transaction.fetch::<(bool, String)>(queries::TOOLS_OF, &key).await?;
    let past = rows::past_domain(domain, rules, listing.map(|(has,)| has), tools);
    past.map(Some).map_err(|reason| Error::Unreadable { domain: domain.to_owned(), reason: Box::new(reason) })
}

/// Gives every upstream the tools it had at a version, and freezes those that this changes. What was not there
/// then offers nothing; what is not there now stays away.
pub(super) async fn restore(transaction: &mut Transaction, number: u64, at: Millis) -> Result<(), Error> {
    let past = require(transaction, number).await?;
    put_back(transaction, past, number, at).await
}

/// The same with what is given of that version.
pub(super) async fn put_back(
    transaction: &mut Transaction,
    past: Past,
    number: u64,
    at: Millis,
) -> Result<(), Error> {
    for (domain,) in transaction.fetch::<(String,)>(queries::DOMAINS, &[]).await? {
        let Some(now) = current(transaction, &domain).await? else { continue };
        let wanted = wanted(&now, past.domains.get(domain.as_str()));
        if wanted != now {
            put(transaction, &domain, &wanted, number, at).await?;
        }
    }
    let policy = past.policy.map(|access| Policy { access, etag: new_id() });
    changes::put_policy(transaction, policy.as_ref(), None).await
}

/// What a domain is to offer, given what it offers now and what it offered then.
fn wanted(now: &PastDomain, then: Option<&PastDomain>) -> PastDomain {
    // An upstream that was asked stays so: a node is not ready while one is not.
    let nothing = || now.tools.as_ref().map(|_| Vec::new());
    match then {
        None => PastDomain { tools: nothing(), approved: None, ..now.clone() },
        Some(then) => {
            let tools = then.tools.clone().or_else(nothing);
            PastDomain { tools, owner: now.owner, ..then.clone() }
        }
    }
}

async fn put(
    transaction: &mut Transaction,
    domain: &str,
    wanted: &PastDomain,
    number: u64,
    at: Millis,
) -> Result<(), Error> {
    let [allowed, denied, schema_policy] = rows::rules_values(wanted);
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    // A new configuration id: whoever is listing the upstream right now must not undo this.
    let values = [domain.into(), allowed, denied, schema_policy, new_id().into(), number.into(), at.into()];
    transaction.execute(queries::FREEZE_UPSTREAM, &values).await?;
    let Some(tools) = &wanted.tools else { return Ok(()) };
    let values = [domain.into(), at.into(), wanted.approved.is_some().into()];
    transaction.execute(queries::RESTORE_LISTING, &values).await?;
    transaction.execute(queries::DELETE_TOOLS, &[domain.into()]).await?;
    changes::insert_tools(transaction, domain, false, tools).await?;
    changes::insert_tools(transaction, domain, true, wanted.approved.as_deref().unwrap_or_default()).await
}

/// What a version held, which must be kept.
pub(super) async fn require(transaction: &mut Transaction, number: u64) -> Result<Past, Error> {
    let past = load(transaction, number).await?;
    past.ok_or_else(|| Error::NotFound(format!("the content of version {number}")))
}

async fn load(transaction: &mut Transaction, number: u64) -> Result<Option<Past>, Error> {
    let key = [Value::from(i64::try_from(number).unwrap_or(i64::MAX))];
    let policy = transaction.fetch::<(Option<String>,)>(queries::PAST_POLICY, &key).await?.pop();
    let Some((policy,)) = policy else { return Ok(None) };
    let contents = transaction.fetch::<(String, String)>(queries::PAST_DOMAINS, &key).await?;
    rows::past(policy, contents).map(Some)
}

#[async_trait]
impl History for Sql {
    async fn list_versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<VersionRecord>, Error> {
        let before = before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
        let mut transaction = self.database.read().await?;
        let versions = transaction
            .fetch::<VersionRow>(queries::VERSIONS_BEFORE, &[before.into(), i64::from(limit).into()])
            .await?;
        let mut versions: Vec<VersionRecord> = rows::convert_all(versions)?;
        let oldest = versions.last().map_or(0, |version| version.number);
        let values = [i64::try_from(oldest).unwrap_or(i64::MAX).into(), before.into()];
        let refusals = transaction.fetch::<RefusalRow>(queries::REFUSALS_BETWEEN, &values).await?;
        transaction.commit().await?;
        for refusal in rows::convert_all::<_, Refusal>(refusals)? {
            // Newest first, so the order to search by is turned around.
            let found = versions.binary_search_by(|version| refusal.number.cmp(&version.number));
            if let Some(version) = found.ok().and_then(|index| versions.get_mut(index)) {
                version.refusals.push(refusal);
            }
        }
        Ok(versions)
    }

    async fn load_version(&self, number: u64) -> Result<Option<Past>, Error> {
        let mut transaction = self.database.read().await?;
        let past = load(&mut transaction, number).await?;
        transaction.commit().await?;
        Ok(past)
    }

    async fn rollout(&self) -> Result<Option<Rollout>, Error> {
        let mut transaction = self.database.read().await?;
        let rollout = rollouts::under_way(&mut transaction).await?;
        transaction.commit().await?;
        Ok(rollout)
    }

    async fn load_baseline(&self, etag: &str) -> Result<Option<Registry>, Error> {
        rollouts::baseline(self, etag).await
    }

    async fn note_published(&self, head: &Head, publication: Publication) -> Result<(), Error> {
        let Head { store_id, number } = head;
        let Publication { digest, domains, tools } = publication;
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let values = [
            i64::try_from(*number).unwrap_or(i64::MAX).into(),
            digest.to_string().into(),
            count(domains).into(),
            count(tools).into(),
            store_id.as_str().into(),
        ];
        self.database.execute(queries::NOTE_PUBLISHED, &values).await?;
        Ok(())
    }

    async fn note_refusal(&self, store_id: &str, refusal: &Refusal) -> Result<(), Error> {
        let Refusal { number, node_id, at, rejections } = refusal;
        let values = [
            i64::try_from(*number).unwrap_or(i64::MAX).into(),
            node_id.as_str().into(),
            (*at).into(),
            rows::rejections_json(rejections).into(),
            store_id.into(),
        ];
        self.database.execute(queries::NOTE_REFUSAL, &values).await?;
        Ok(())
    }

    async fn prune_versions(&self, keep: u32) -> Result<(), Error> {
        // Mostly there is nothing to do, and then nobody has to wait.
        if self.database.fetch::<(i64,)>(queries::EXPIRED, &[i64::from(keep).into()]).await?.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.write().await?;
        // Commits wait meanwhile: one of them may be about to point at content that looks unused.
        let head = one_head(transaction.fetch(queries::LOCK_HEAD, &[]).await?)?;
        let oldest = head.number.saturating_sub(u64::from(keep)).saturating_add(1);
        let oldest = [Value::from(i64::try_from(oldest).unwrap_or(i64::MAX))];
        let forgotten = transaction.execute(queries::FORGET_VERSIONS, &oldest).await?;
        if forgotten > 0 {
            transaction.execute(queries::FORGET_REFUSALS, &oldest).await?;
            if transaction.execute(queries::FORGET_HISTORY, &oldest).await? > 0 {
                transaction.execute(queries::FORGET_CONTENTS, &[]).await?;
            }
        }
        transaction.commit().await
    }
}
