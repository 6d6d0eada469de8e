//! Reading the store together with what a rollout keeps nodes at.
//!
//! The newest state and the rollout that it is subject to are read in one transaction; the baseline behind them is
//! built once per rollout. A baseline that cannot be built costs nodes that lack it their update, and nobody else.

use std::sync::Arc;

use toolplane_registry::{ErrorCode, Rejection, Snapshot};

use super::{Error, Published, Rules, build};
use crate::rollout::Rollout;
use crate::store::{Registry, Store};

/// What is stored, ready to be built.
pub(super) struct Stored {
    registry: Registry,
    baseline: Baseline,
}

enum Baseline {
    /// No rollout is under way, or what it keeps nodes at is not known.
    None,
    /// The one published already.
    Same(Arc<Snapshot>),
    /// To be built.
    Loaded(Box<Registry>),
}

impl Stored {
    /// Reads what is newest; `before` spares reading a baseline that is known.
    pub(super) async fn read(store: &dyn Store, before: Option<&Published>) -> Result<Self, Error> {
        loop {
            let registry = match before {
                Some(before) => store.load_after(&before.registry).await?,
                None => store.load().await?,
            };
            let Some(rollout) = &registry.rollout else {
                return Ok(Self { registry, baseline: Baseline::None });
            };
            // A store under another id counts anew, the baseline's number included.
            let known = before.filter(|before| {
                let Registry { head, rollout: known, .. } = &before.registry;
                known.as_ref() == Some(rollout) && head.store_id == registry.head.store_id
            });
            if let Some(baseline) = known.and_then(|before| before.baseline.clone()) {
                return Ok(Self { registry, baseline: Baseline::Same(baseline) });
            }
            match store.load_baseline(&rollout.etag).await {
                Ok(Some(loaded)) if loaded.rollout.as_ref() == Some(rollout) => {
                    return Ok(Self { registry, baseline: Baseline::Loaded(Box::new(loaded)) });
                }
                // It changed in between: what was read first is behind.
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::Unavailable => return Err(error.into()),
                Err(error) => {
                    cannot_be_built(rollout, &error.to_string());
                    return Ok(Self { registry, baseline: Baseline::None });
                }
            }
        }
    }

    /// Builds the state to publish.
    pub(super) fn build(
        self,
        rules: &Rules,
        before: Option<&Published>,
    ) -> Result<Published, Vec<Rejection>> {
        let Self { registry, baseline } = self;
        let mut published = build(registry, rules, before)?;
        published.baseline = match baseline {
            Baseline::None => None,
            Baseline::Same(snapshot) => Some(snapshot),
            Baseline::Loaded(registry) => {
                let rollout = registry.rollout.clone();
                match build(*registry, rules, Some(&published)) {
                    Ok(baseline) => Some(baseline.snapshot),
                    Err(rejections) => {
                        let reasons: Vec<String> = rejections.iter().map(ToString::to_string).collect();
                        if let Some(rollout) = rollout {
                            cannot_be_built(&rollout, &reasons.join("; "));
                        }
                        None
                    }
                }
            }
        };
        Ok(published)
    }
}

fn cannot_be_built(rollout: &Rollout, reason: &str) {
    let baseline = rollout.baseline;
    tracing::error!(
        snapshot.version = baseline,
        reason,
        "the baseline v{baseline} of the rollout cannot be built: nodes that are held back keep what they have; \
         promote or abort the rollout"
    );
}
