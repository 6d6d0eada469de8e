//! Leases of control planes and claims on upstreams, each in one transaction.

use toolplane_registry::Domain;

use crate::store::measured::Transaction;
use crate::store::{ControlPlane, Error, Millis, RefreshClaim, queries};

/// What runs longer was given by a clock that was set back since then: whoever lives renews it within seconds, and
/// whoever does not must not seem to for hours.
const LONGEST_LEASE: Millis = 10 * 60 * 1000;

/// Locks the upstreams that may be due, skipping those that somebody else holds, then claims the ones that
/// really are: what was read before a lock was held may have changed.
pub(super) async fn claim(transaction: &mut Transaction, claim: &RefreshClaim) -> Result<Vec<Domain>, Error> {
    let RefreshClaim { control_plane, now, not_asked_since, not_answered_since, lease, limit } = claim;
    let until = now.saturating_add(*lease);
    // Twice the lease, so that clocks may differ by one.
    let implausible = until.saturating_add(*lease);
    let due = || [(*now).into(), implausible.into(), (*not_asked_since).into(), (*not_answered_since).into()];
    let [a, b, c, d] = due();
    let lock_due = transaction.dialect().lock_due;
    let candidates: Vec<(String,)> =
        transaction.fetch(lock_due, &[a, b, c, d, i64::from(*limit).into()]).await?;
    let mut claimed = Vec::new();
    for (name,) in candidates {
        let [a, b, c, d] = due();
        let values = [a, b, c, d, name.as_str().into(), control_plane.as_str().into(), until.into()];
        if transaction.execute(queries::CLAIM_REFRESH, &values).await? > 0 {
            claimed.push(domain(&name)?);
        }
    }
    Ok(claimed)
}

/// Notes that a control plane lives, and forgets those that ended and left nothing to tell.
pub(super) async fn renew_lease(
    transaction: &mut Transaction,
    control_plane: &str,
    lease: Millis,
) -> Result<(), Error> {
    let now = now(transaction).await?;
    let values = [control_plane.into(), now.saturating_add(lease).into()];
    transaction.execute(queries::RENEW_LEASE, &values).await?;
    transaction.execute(queries::FORGET_CONTROL_PLANES, &[now.into()]).await?;
    Ok(())
}

pub(super) async fn control_planes(transaction: &mut Transaction) -> Result<Vec<ControlPlane>, Error> {
    let now = now(transaction).await?;
    let rows: Vec<(String, Millis)> = transaction.fetch(queries::CONTROL_PLANES, &[]).await?;
    let alive = |until: Millis| until > now && until <= now.saturating_add(LONGEST_LEASE);
    let known = |(id, lease_until)| ControlPlane { id, lease_until, alive: alive(lease_until) };
    Ok(rows.into_iter().map(known).collect())
}

/// The database's own time: the clocks of control planes may differ, and this one is the same for all.
async fn now(transaction: &mut Transaction) -> Result<Millis, Error> {
    let sql = transaction.dialect().now;
    let row: Option<(Millis,)> = transaction.fetch(sql, &[]).await?.pop();
    row.map(|(now,)| now).ok_or_else(|| Error::NotFound("the database's time".to_owned()))
}

fn domain(name: &str) -> Result<Domain, Error> {
    Domain::parse(name).map_err(|error| Error::Inconsistent {
        table: "upstreams",
        column: "domain",
        id: name.to_owned(),
        reason: error.to_string(),
    })
}
