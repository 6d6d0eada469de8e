//! Reading the registry: all of it, or what changed since it was read before.
//!
//! Tools are nearly all there is to read. Every commit records which domains it gave other content, in its own
//! transaction, so a state from before tells which tools need not be read again: all but those of upstreams that
//! could not be read then.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_registry::Domain;

use super::{Sql, one_head, request_keys, rollouts};
use crate::store::measured::Transaction;
use crate::store::rows::{self, PolicyRow, ToolRow};
use crate::store::{Error, Head, Millis, Policy, Registered, Registry, queries};

/// With more domains to read than this, one statement that reads everything is faster.
const MOST_CHANGED: usize = 64;

impl Sql {
    /// The registry at one version, read in one transaction.
    pub(super) async fn read(&self, before: Option<&Registry>) -> Result<Registry, Error> {
        let mut transaction = self.database.read().await?;
        let head = one_head(transaction.fetch(queries::HEAD, &[]).await?)?;
        let committed_at = committed_at(&mut transaction, head.number).await?;
        let environment = transaction.fetch::<(String,)>(queries::ENVIRONMENT, &[]).await?.pop();
        let policy = transaction.fetch::<PolicyRow>(queries::POLICY, &[]).await?.pop();
        let upstreams = transaction.fetch(queries::UPSTREAMS, &[]).await?;
        let listings = transaction.fetch(queries::LISTINGS, &[]).await?;
        let since = match before {
            None => None,
            Some(before) => {
                let newest = (&head, committed_at);
                changed(&mut transaction, newest, before).await?.map(|names| (before, names))
            }
        };
        let tools = match &since {
            None => transaction.fetch(queries::TOOLS, &[]).await?,
            Some((_, names)) => tools_of(&mut transaction, names).await?,
        };
        let rollout = rollouts::under_way(&mut transaction).await?;
        let request_keys = request_keys::load(&mut transaction, &self.key).await?;
        transaction.commit().await?;
        let rows::Assembled { mut upstreams, unreadable } =
            rows::assemble(upstreams, listings, tools, &self.key);
        if let Some((before, names)) = since {
            for (domain, registered) in upstreams.iter_mut().filter(|(domain, _)| !names.contains(*domain)) {
                let known = before.upstreams.get(domain).and_then(|known| known.listing.as_ref());
                if let (Some(listing), Some(known)) = (&mut registered.listing, known) {
                    listing.tools.clone_from(&known.tools);
                    listing.approved.clone_from(&known.approved);
                }
            }
        }
        let unreadable = self.keep_out(unreadable, &mut upstreams, before);
        let environment = environment.map(|(environment,)| environment).unwrap_or_default();
        Ok(Registry {
            head,
            committed_at,
            upstreams,
            policy: policy.map(Policy::try_from).transpose()?,
            environment,
            rollout,
            unreadable,
            request_keys,
        })
    }

    /// Says aloud which upstreams cannot be read, and puts those that were read before back as they were then:
    /// nodes serve them, and a broken row is no reason to take their tools away.
    fn keep_out(
        &self,
        unreadable: BTreeMap<String, Error>,
        upstreams: &mut BTreeMap<Domain, Registered>,
        before: Option<&Registry>,
    ) -> BTreeMap<Domain, String> {
        let mut domains = BTreeMap::new();
        for (name, error) in unreadable {
            self.database.metrics().store_error(&error);
            let domain = Domain::parse(&name).ok();
            let known = domain.as_ref().and_then(|domain| before?.upstreams.get(domain));
            if let (Some(domain), Some(known)) = (&domain, known) {
                tracing::error!(
                    upstream.domain = name, %error,
                    "`{name}` cannot be read from the database: nodes keep what it was; register it again or remove it"
                );
                upstreams.insert(domain.clone(), known.clone());
            } else {
                tracing::error!(
                    upstream.domain = name, %error,
                    "`{name}` cannot be read from the database and is left out: register it again or remove it"
                );
            }
            domains.extend(domain.map(|domain| (domain, error.to_string())));
        }
        domains
    }
}

/// The domains whose content may differ from that of a state read before; `None` where that is not known.
async fn changed(
    transaction: &mut Transaction,
    (head, newest_at): (&Head, Option<Millis>),
    before: &Registry,
) -> Result<Option<BTreeSet<Domain>>, Error> {
    let Registry { head: known, committed_at, unreadable, .. } = before;
    let Some(versions) = head.number.checked_sub(known.number).filter(|_| head.store_id == known.store_id)
    else {
        return Ok(None);
    };
    // A database that was restored and has come past that version again has another one under its number.
    let still_at = match versions {
        0 => newest_at,
        _ => self::committed_at(transaction, known.number).await?,
    };
    if still_at.is_none() || still_at != *committed_at {
        return Ok(None);
    }
    let number = || i64::try_from(known.number).unwrap_or(i64::MAX).into();
    let recorded = transaction.fetch::<(i64,)>(queries::RECORDED_SINCE, &[number()]).await?.pop();
    // Versions of a release that records nothing, and forgotten ones, may have changed anything. So may what came
    // after one, against which nothing is recorded: that version is counted too.
    if recorded.is_none_or(|(count,)| u64::try_from(count).ok() != versions.checked_add(1)) {
        return Ok(None);
    }
    let names = transaction.fetch::<(String,)>(queries::CHANGED_AFTER, &[number()]).await?;
    // A name that is none is reported by whoever reads the domain itself.
    let names: Option<BTreeSet<Domain>> = names.iter().map(|(name,)| Domain::parse(name).ok()).collect();
    // What could not be read then is not known, whether or not it has changed since.
    let names = names.map(|names| names.into_iter().chain(unreadable.keys().cloned()).collect());
    Ok(names.filter(|names: &BTreeSet<Domain>| names.len() <= MOST_CHANGED))
}

/// When a version was committed; `None` where it is not kept.
async fn committed_at(transaction: &mut Transaction, number: u64) -> Result<Option<Millis>, Error> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let row = transaction.fetch::<(Millis,)>(queries::COMMITTED_AT, &[number.into()]).await?.pop();
    Ok(row.map(|(at,)| at))
}

async fn tools_of(transaction: &mut Transaction, domains: &BTreeSet<Domain>) -> Result<Vec<ToolRow>, Error> {
    let mut tools = Vec::new();
    for domain in domains {
        tools.extend(transaction.fetch(queries::TOOL_ROWS_OF, &[domain.as_str().into()]).await?);
    }
    Ok(tools)
}
