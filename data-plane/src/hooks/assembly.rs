//! The chain of a node, from what it was configured with.

use std::collections::BTreeSet;
use std::sync::Arc;

use toolplane_registry::policy::Globs;
use toolplane_registry::{Rejection, Rule};

use super::chain::{Chain, Member};
use super::grpc::{Background, Remote};
use super::{Configured, Hook, Phase, Place};
use crate::metrics::Metrics;
use crate::options::Options;

/// Puts the chain together, with what has to run for it; `None` where there are no hooks.
pub(crate) fn assemble(options: &Options, metrics: &Metrics) -> (Option<Arc<Chain>>, Vec<Background>) {
    let mut background = Vec::new();
    let members = options.hooks.iter().map(|Configured { name, place, rules }| {
        let hook: Arc<dyn Hook> = match place {
            Place::InProcess(hook) => Arc::clone(hook),
            Place::Service(service) => {
                let (remote, runs) = Remote::new(name, service, &options.build);
                background.push(runs);
                Arc::new(remote)
            }
        };
        Member::new(name, hook, rules.clone(), metrics.clone())
    });
    let chain = Chain::new(members.collect(), options.keep_visibility);
    (chain, background)
}

/// Everything that is wrong with the hooks that were configured, files of certificates included.
pub(crate) fn check(hooks: &[Configured]) -> Vec<Rejection> {
    let mut rejections = Vec::new();
    let mut names = BTreeSet::new();
    for Configured { name, place, rules } in hooks {
        let mut refuse = |reason: &str| {
            rejections.push(Rejection::new(format!("hook `{name}`"), Rule::Setting, reason));
        };
        if name.trim().is_empty() {
            refuse("has a blank name");
        }
        if !names.insert(name) {
            refuse("has the name of another hook");
        }
        if Phase::ALL.iter().any(|phase| rules.deadline(*phase).is_zero()) {
            refuse("has a deadline of zero");
        }
        if rules.max_in_flight == 0 {
            refuse("has no room for a single call");
        }
        let Place::Service(service) = place else { continue };
        if let Some(Err(rejection)) = service.headers.as_ref().map(|globs| Globs::compile(globs)) {
            refuse(&rejection.to_string());
        }
        if !service.allow_plain && !service.address.is_private() {
            refuse(
                "is not reached over https, so what callers send could be read on the way; `allow_plain` accepts that",
            );
        }
        if service.address.is_tls() {
            rejections.extend(service.tls.check().err().into_iter().flatten());
        }
    }
    rejections
}
