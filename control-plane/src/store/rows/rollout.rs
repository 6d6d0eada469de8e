//! The rollout under way as a row.

use super::Cell;
use crate::rollout::{Canary, Rollout};
use crate::store::{Error, Millis};

#[derive(sqlx::FromRow)]
pub(in crate::store) struct RolloutRow {
    etag: String,
    label: String,
    value: String,
    baseline: i64,
    actor: String,
    started_at: Millis,
    upstreams: i64,
}

impl TryFrom<RolloutRow> for Rollout {
    type Error = Error;

    fn try_from(row: RolloutRow) -> Result<Self, Error> {
        let RolloutRow { etag, label, value, baseline, actor, started_at, upstreams } = row;
        let cell = |column| Cell { table: "rollouts", column, id: "1" };
        let canary = Canary::new(&label, &value).map_err(|reason| cell("label").bad(reason))?;
        let baseline = cell("baseline").version(baseline)?;
        let upstreams = usize::try_from(upstreams).unwrap_or_default();
        Ok(Self { etag, canary, baseline, actor, started_at, upstreams })
    }
}
