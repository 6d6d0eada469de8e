//! `TokenService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, token_service_server::TokenService};
use toolplane_registry::Digest;

use super::{auth, convert, page, status};
use crate::clock::Clock;
use crate::ids::{new_id, new_secret};
use crate::standing::Standing;
use crate::store::{AuditEntry, Millis, Role, Store, Token};

const MAX_DESCRIPTION: usize = 256;

#[derive(Debug)]
pub(super) struct Service {
    store: Arc<dyn Store>,
    clock: Clock,
    standing: Standing,
}

impl Service {
    pub(super) fn new(store: Arc<dyn Store>, clock: Clock, standing: Standing) -> Self {
        Self { store, clock, standing }
    }
}

fn show(token: Token) -> admin::Token {
    let Token { id, description, role, may_register, created_at, expires_at, revoked_at } = token;
    admin::Token {
        token_id: id,
        description,
        role: convert::role_message(role).into(),
        create_time: Some(convert::time(created_at)),
        expire_time: expires_at.map(convert::time),
        revoke_time: revoked_at.map(convert::time),
        allow_registration: may_register,
    }
}

fn audit(actor: String, action: &'static str, token: &str, detail: String, at: Millis) -> AuditEntry {
    AuditEntry { actor, action, subject: format!("token {token}"), detail, at }
}

#[tonic::async_trait]
impl TokenService for Service {
    async fn create_token(
        &self,
        request: Request<admin::CreateTokenRequest>,
    ) -> Result<Response<admin::CreateTokenResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::CreateTokenRequest { description, role, expire_time, allow_registration: may_register } =
            request.into_inner();
        let role = convert::role(role)?;
        if description.chars().count() > MAX_DESCRIPTION {
            return Err(status::invalid(
                "description",
                format!("is longer than {MAX_DESCRIPTION} characters"),
            ));
        }
        if may_register && role != Role::Node {
            return Err(status::invalid("allow_registration", "is for tokens with role node"));
        }
        let now = self.clock.now();
        let expires_at = expire_time.as_ref().map(convert::millis);
        if expires_at.is_some_and(|expires| expires <= now) {
            return Err(status::invalid("expire_time", "is in the past"));
        }
        let secret = new_secret();
        let token = Token {
            id: new_id(),
            description,
            role,
            may_register,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let capability = if may_register { ", may register" } else { "" };
        let detail = format!("role {}{capability}", role.as_str());
        let audit = audit(actor, "token.create", &token.id, detail, now);
        let hash = Digest::of(secret.as_bytes());
        self.store.insert_token(&token, hash, &audit).await.map_err(|error| status::store(&error))?;
        Ok(Response::new(admin::CreateTokenResponse { token: Some(show(token)), secret }))
    }

    async fn list_tokens(
        &self,
        request: Request<admin::ListTokensRequest>,
    ) -> Result<Response<admin::ListTokensResponse>, Status> {
        let admin::ListTokensRequest { page_size, page_token } = request.into_inner();
        let size = page::size(page_size)?;
        let after = Some(page_token.as_str()).filter(|token| !token.is_empty());
        let limit = u32::try_from(size + 1).unwrap_or(u32::MAX);
        let tokens = self.store.list_tokens(after, limit).await.map_err(|error| status::store(&error))?;
        let (page, next_page_token) = page::cut(tokens.into_iter(), "", size, |token| token.id.clone());
        let tokens = page.into_iter().map(show).collect();
        Ok(Response::new(admin::ListTokensResponse { tokens, next_page_token }))
    }

    async fn revoke_token(
        &self,
        request: Request<admin::RevokeTokenRequest>,
    ) -> Result<Response<admin::RevokeTokenResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let id = request.into_inner().token_id;
        let now = self.clock.now();
        let audit = audit(actor, "token.revoke", &id, String::new(), now);
        let token = self.store.revoke_token(&id, now, &audit).await.map_err(|error| status::store(&error))?;
        let token = token.ok_or_else(|| Status::not_found(format!("there is no token `{id}`")))?;
        if let Err(error) = self.standing.look().await {
            // It is revoked all the same, and looked up again soon.
            tracing::warn!(%error, "cannot end at once what token `{id}` opened");
        }
        Ok(Response::new(admin::RevokeTokenResponse { token: Some(show(token)) }))
    }
}
