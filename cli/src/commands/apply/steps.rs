//! Asking for the changes: first whether they would be accepted, then for good.

use prost_types::FieldMask;
use toolplane_proto::{admin as wire, sync};
use toolplane_registry::policy::AccessPolicy;

use crate::client::Client;
use crate::exit::{Failure, Kind};
use crate::manifest::diff::{self, Edit, Plan, Step};

/// Who is asked, and how.
pub(super) struct Steps<'a> {
    pub(super) client: &'a Client,
    pub(super) allow_unreachable: bool,
}

/// What came of it.
pub(super) struct Applied {
    /// The newest version that was made.
    pub(super) version: u64,
}

impl Steps<'_> {
    /// Finds out whether values that cannot be compared here would change anything.
    pub(super) async fn settle(&self, plan: &mut Plan) -> Result<(), Failure> {
        let uncertain: Vec<_> = plan.uncertain().map(|(wanted, fields)| (wanted.clone(), fields)).collect();
        for (wanted, fields) in uncertain {
            let domain = wanted.domain.clone();
            match self.other_values(wanted, fields.clone()).await {
                Ok(changed) => plan.settle(&domain, &changed),
                Err(failure) if failure.kind == Kind::Unreachable => return Err(failure),
                // Whatever is refused is told with its place when the plan is checked.
                Err(_) => plan.settle(&domain, &fields),
            }
        }
        Ok(())
    }

    /// The control plane compares what it is given with what it holds. One that does not tell may hold others.
    async fn other_values(
        &self,
        wanted: wire::Upstream,
        fields: Vec<String>,
    ) -> Result<Vec<String>, Failure> {
        let request = wire::UpdateUpstreamRequest {
            upstream: Some(wanted),
            update_mask: Some(FieldMask { paths: fields.clone() }),
            validate_only: true,
            // Whether it answers is asked when everything is checked.
            allow_unreachable: true,
        };
        let answer = self.client.upstreams().update_upstream(request).await?.into_inner();
        Ok(answer.changed_fields.map_or(fields, |changed| changed.paths))
    }

    /// Asks whether each change would be accepted; every refusal is told.
    pub(super) async fn validate(&self, plan: &Plan) -> Result<(), Failure> {
        let (mut messages, mut hints) = (Vec::new(), Vec::new());
        for step in &plan.steps {
            let Err(refused) = self.send(step, true).await else { continue };
            if refused.kind == Kind::Unreachable {
                return Err(refused);
            }
            messages.extend(refused.messages.iter().map(|message| format!("{}: {message}", place(step))));
            hints.extend(refused.hints);
        }
        if messages.is_empty() {
            return Ok(());
        }
        hints.push("nothing was changed".to_owned());
        hints.dedup();
        Err(Failure { kind: Kind::Failed, messages, hints })
    }

    /// Makes the changes, one version each. Where one fails, what was made before it stays and is told.
    pub(super) async fn make(&self, plan: &Plan) -> Result<Applied, Failure> {
        let mut version = 0;
        for (made, step) in plan.steps.iter().enumerate() {
            match self.send(step, false).await {
                Ok(reached) => version = reached,
                Err(mut failure) => {
                    if let Some(first) = failure.messages.first_mut() {
                        *first = format!("{}: {first}", place(step));
                    }
                    return Err(failure.hint(format!(
                        "{made} of {} changes were made; apply again to make the rest",
                        plan.steps.len()
                    )));
                }
            }
        }
        Ok(Applied { version })
    }

    async fn send(&self, step: &Step, validate_only: bool) -> Result<u64, Failure> {
        let version = match step {
            Step::SetPolicy { access, etag, .. } => {
                let request = set_policy(access.as_ref(), etag, validate_only);
                self.client.policies().set_policy(request).await?.into_inner().version
            }
            Step::Create { upstream, .. } => {
                let request = wire::CreateUpstreamRequest {
                    upstream: Some(upstream.as_ref().clone()),
                    validate_only,
                    allow_unreachable: self.allow_unreachable,
                };
                self.client.upstreams().create_upstream(request).await?.into_inner().version
            }
            Step::Update { upstream, edits, .. } => {
                let request = self.update(upstream, edits, validate_only);
                self.client.upstreams().update_upstream(request).await?.into_inner().version
            }
            // There is nothing to check: it was there a moment ago, and the etag decides whether it still is.
            Step::Remove { .. } if validate_only => None,
            Step::Remove { domain, etag, .. } => {
                let request = wire::DeleteUpstreamRequest { domain: domain.clone(), etag: etag.clone() };
                self.client.upstreams().delete_upstream(request).await?.into_inner().version
            }
        };
        Ok(version.map_or(0, |sync::Version { number, .. }| number))
    }

    fn update(
        &self,
        upstream: &wire::Upstream,
        edits: &[Edit],
        validate_only: bool,
    ) -> wire::UpdateUpstreamRequest {
        wire::UpdateUpstreamRequest {
            upstream: Some(upstream.clone()),
            update_mask: Some(FieldMask { paths: diff::mask(edits) }),
            validate_only,
            allow_unreachable: self.allow_unreachable,
        }
    }
}

fn set_policy(access: Option<&AccessPolicy>, etag: &str, validate_only: bool) -> wire::SetPolicyRequest {
    let policy = access.map(|AccessPolicy { allow, deny, code_mode }| {
        let globs = |map: &std::collections::BTreeMap<String, Vec<String>>| {
            map.iter()
                .map(|(domain, globs)| (domain.clone(), wire::GlobList { globs: globs.clone() }))
                .collect()
        };
        let code_mode = (!code_mode.is_silent()).then(|| code_mode.into());
        wire::Policy {
            allow: globs(allow),
            deny: globs(deny),
            etag: etag.to_owned(),
            explicit: true,
            code_mode,
        }
    });
    wire::SetPolicyRequest { policy, validate_only }
}

/// Where a change comes from; a removal comes from no line.
fn place(step: &Step) -> String {
    match step {
        Step::SetPolicy { place, .. } => place.to_string(),
        Step::Create { place, upstream, .. } | Step::Update { place, upstream, .. } => {
            format!("{place}: `{}`", upstream.domain)
        }
        Step::Remove { domain, .. } => format!("removing `{domain}`"),
    }
}
