//! `PolicyService`.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, policy_service_server::PolicyService};
use toolplane_registry::policy::AccessPolicy;

use super::{auth, status};
use crate::environment::Environment;
use crate::registrar::{How, Registrar};

/// How many domains each list of a policy may name.
const MAX_DOMAINS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Service {
    registrar: Registrar,
    environment: Environment,
}

impl Service {
    pub(super) fn new(registrar: Registrar, environment: Environment) -> Self {
        Self { registrar, environment }
    }
}

pub(super) fn to_message(access: &AccessPolicy, etag: String) -> admin::Policy {
    let lists = |map: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, admin::GlobList> {
        map.iter().map(|(domain, globs)| (domain.clone(), admin::GlobList { globs: globs.clone() })).collect()
    };
    let code_mode = (!access.code_mode.is_silent()).then(|| (&access.code_mode).into());
    admin::Policy { allow: lists(&access.allow), deny: lists(&access.deny), etag, explicit: true, code_mode }
}

fn from_message(policy: &admin::Policy) -> AccessPolicy {
    let lists = |map: &BTreeMap<String, admin::GlobList>| -> BTreeMap<String, Vec<String>> {
        map.iter().map(|(domain, list)| (domain.clone(), list.globs.clone())).collect()
    };
    let code_mode = policy.code_mode.map(Into::into).unwrap_or_default();
    AccessPolicy { allow: lists(&policy.allow), deny: lists(&policy.deny), code_mode }
}

#[tonic::async_trait]
impl PolicyService for Service {
    async fn get_policy(
        &self,
        _request: Request<admin::GetPolicyRequest>,
    ) -> Result<Response<admin::Policy>, Status> {
        // The environment's policy is the one in force, so it is the one shown.
        let policy = match (&self.environment.policy, &self.registrar.current().registry.policy) {
            (Some(access), _) => to_message(access, String::new()),
            (None, Some(policy)) => to_message(&policy.access, policy.etag.clone()),
            (None, None) => admin::Policy::default(),
        };
        Ok(Response::new(policy))
    }

    async fn set_policy(
        &self,
        request: Request<admin::SetPolicyRequest>,
    ) -> Result<Response<admin::SetPolicyResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::SetPolicyRequest { policy, validate_only } = request.into_inner();
        if self.environment.policy.is_some() {
            return Err(Status::failed_precondition(
                "the access policy comes from GATEWAY_ACCESS_POLICY; unset it to set one here",
            ));
        }
        let expected = policy.as_ref().map(|policy| policy.etag.clone()).filter(|etag| !etag.is_empty());
        if policy.as_ref().is_some_and(|policy| policy.allow.len().max(policy.deny.len()) > MAX_DOMAINS) {
            return Err(status::invalid("policy", format!("names more than {MAX_DOMAINS} domains")));
        }
        let access = policy.as_ref().map(from_message);
        let how = How { validate_only, ..How::default() };
        let (policy, version) = self
            .registrar
            .set_policy(&actor, access, expected, how)
            .await
            .map_err(|error| status::change(&error))?;
        let policy = policy.map(|policy| to_message(&policy.access, policy.etag)).unwrap_or_default();
        Ok(Response::new(admin::SetPolicyResponse { policy: Some(policy), version: Some((&version).into()) }))
    }
}
