//! The chain of a node, from what it was configured with.

use std::sync::Arc;

use super::chain::{Chain, Member};
use super::{Configured, Place};
use crate::metrics::Metrics;
use crate::options::Options;

/// Puts the chain together; `None` where there are no hooks.
pub(crate) fn assemble(options: &Options, metrics: &Metrics) -> Option<Arc<Chain>> {
    let members = options.hooks.iter().map(|Configured { name, place, rules }| {
        let hook = match place {
            Place::InProcess(hook) => Arc::clone(hook),
        };
        Member::new(name, hook, rules.clone(), metrics.clone())
    });
    Chain::new(members.collect(), options.keep_visibility)
}
