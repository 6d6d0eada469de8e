//! Rollouts: begun, promoted and aborted by commits, so that no version is ever read without the rollout it is
//! subject to.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_registry::{Domain, Protocol};

use super::{Sql, history, one_head, request_keys};
use crate::ids::new_id;
use crate::rollout::{Canary, Rollout};
use crate::store::history::PastDomain;
use crate::store::measured::Transaction;
use crate::store::rows::{self, RolloutRow};
use crate::store::{Error, Head, Listing, Millis, Policy, Registered, Registry, queries};

/// The rollout under way.
pub(super) async fn under_way(transaction: &mut Transaction) -> Result<Option<Rollout>, Error> {
    let row: Option<RolloutRow> = transaction.fetch(queries::ROLLOUT, &[]).await?.pop();
    row.map(Rollout::try_from).transpose()
}

/// Begins one: what it keeps nodes at is the version being made, with its upstreams as they are reached now.
pub(super) async fn start(
    transaction: &mut Transaction,
    etag: &str,
    canary: &Canary,
    actor: &str,
    (version, at): (i64, Millis),
) -> Result<(), Error> {
    if let Some(Rollout { canary, baseline, .. }) = under_way(transaction).await? {
        return Err(Error::RolloutUnderWay { canary: canary.to_string(), baseline });
    }
    let values =
        [etag.into(), canary.label().into(), canary.value().into(), version.into(), actor.into(), at.into()];
    transaction.execute(queries::START_ROLLOUT, &values).await?;
    transaction.execute(queries::KEEP_UPSTREAMS, &[]).await?;
    Ok(())
}

/// Ends the one that is meant.
pub(super) async fn end(transaction: &mut Transaction, etag: &str) -> Result<(), Error> {
    require(transaction, etag).await?;
    transaction.execute(queries::END_ROLLOUT, &[]).await?;
    transaction.execute(queries::FORGET_ROLLOUT_UPSTREAMS, &[]).await?;
    Ok(())
}

/// Goes back to what the others were kept at, and ends it. An upstream that was removed meanwhile and is there again
/// is another one: the tools of the first one would reach every node at an address that nobody has tried.
pub(super) async fn abort(transaction: &mut Transaction, etag: &str, at: Millis) -> Result<(), Error> {
    let Rollout { baseline, .. } = require(transaction, etag).await?;
    // Before the tools: bringing those back gives other configuration ids.
    for (domain,) in transaction.fetch::<(String,)>(queries::MOVED_UPSTREAMS, &[]).await? {
        // A new configuration id: whoever is listing the upstream where it was must not undo this.
        let values = [domain.into(), new_id().into(), at.into()];
        transaction.execute(queries::MOVE_BACK, &values).await?;
    }
    let kept = transaction.fetch::<(String,)>(queries::KEPT_DOMAINS, &[]).await?;
    let kept: BTreeSet<String> = kept.into_iter().map(|(domain,)| domain).collect();
    let mut past = history::require(transaction, baseline).await?;
    past.domains.retain(|domain, _| kept.contains(domain.as_str()));
    history::put_back(transaction, past, baseline, at).await?;
    end(transaction, etag).await
}

/// An upstream that is removed is not part of a baseline any more: nobody is given its credentials again.
pub(super) async fn forget(transaction: &mut Transaction, domain: &Domain) -> Result<(), Error> {
    transaction.execute(queries::FORGET_ROLLOUT_UPSTREAM, &[domain.as_str().into()]).await?;
    Ok(())
}

async fn require(transaction: &mut Transaction, etag: &str) -> Result<Rollout, Error> {
    let rollout = under_way(transaction).await?;
    let rollout = rollout.ok_or_else(|| Error::NotFound("a rollout under way".to_owned()))?;
    if rollout.etag != etag {
        let subject = "the rollout under way".to_owned();
        return Err(Error::Conflict { subject, held: rollout.etag, expected: etag.to_owned() });
    }
    Ok(rollout)
}

/// The registry as the rollout keeps it; `None` where that rollout is not under way any more.
pub(super) async fn baseline(sql: &Sql, etag: &str) -> Result<Option<Registry>, Error> {
    let mut transaction = sql.database.read().await?;
    let Some(rollout) = under_way(&mut transaction).await?.filter(|rollout| rollout.etag == etag) else {
        return Ok(None);
    };
    let head = one_head(transaction.fetch(queries::HEAD, &[]).await?)?;
    let kept = transaction.fetch(queries::ROLLOUT_UPSTREAMS, &[]).await?;
    let protocols: BTreeMap<String, String> =
        transaction.fetch(queries::ROLLOUT_PROTOCOLS, &[]).await?.into_iter().collect();
    let mut past = history::require(&mut transaction, rollout.baseline).await?;
    let request_keys = request_keys::load(&mut transaction, &sql.key).await?;
    transaction.commit().await?;
    let rows::Assembled { mut upstreams, unreadable } =
        rows::assemble(kept, Vec::new(), Vec::new(), &sql.key);
    // A baseline with a part missing is none.
    if let Some((_, error)) = unreadable.into_iter().next() {
        return Err(error);
    }
    upstreams.retain(|domain, registered| {
        let protocol = protocols.get(domain.as_str()).map_or(Protocol::Unknown, |text| Protocol::parse(text));
        past.domains.remove(domain).map(|past| put(registered, past, protocol)).is_some()
    });
    Ok(Some(Registry {
        head: Head { number: rollout.baseline, ..head },
        committed_at: None,
        upstreams,
        policy: past.policy.map(|access| Policy { access, etag: String::new() }),
        environment: String::new(),
        rollout: Some(rollout),
        request_keys,
        unreadable: BTreeMap::new(),
    }))
}

/// What the upstream offered then.
fn put(registered: &mut Registered, past: PastDomain, protocol: Protocol) {
    let PastDomain { tools, approved, filter, schema_policy, owner } = past;
    let upstream = &mut registered.upstream;
    (upstream.filter, upstream.schema_policy, upstream.owner) = (filter, schema_policy, owner);
    registered.listing = tools.map(|tools| Listing {
        attempt_at: registered.updated_at,
        success_at: Some(registered.updated_at),
        error: String::new(),
        tools,
        approved,
        protocol,
    });
}
