//! What `rmcp` does for this gateway: handshake, discovery, listing, header checks of the 2026-07-28 revision.
//!
//! Calls of meta-tools reach it only as a shell to be checked; the call itself runs behind it, from the raw message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::request::Parts;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult,
    DiscoverResult, ErrorCode, Extensions, Implementation, InitializeRequestParams, InitializeResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::MetaTools;
use crate::caller::Caller;

/// How long clients may keep the list of meta-tools: it changes with the software only.
const TOOLS_TTL_MS: u64 = 300_000;
/// Methods of every revision that `rmcp` knows; one that ends up as unknown had parameters it could not read.
const METHODS: [&str; 2] = ["tools/list", "tools/call"];
/// The same for revisions with a handshake, which the later ones took away.
const HANDSHAKE_METHODS: [&str; 2] = ["initialize", "ping"];
/// The same for revisions without one.
const STATELESS_METHODS: [&str; 2] = ["server/discover", "subscriptions/listen"];

/// One per request; cloning it is cheap.
#[derive(Debug, Clone)]
pub(super) struct Server {
    meta_tools: Arc<MetaTools>,
    identity: Implementation,
}

/// Where `rmcp` notes that it has nothing against a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed(Arc<AtomicBool>);

impl Passed {
    /// Whether the call may run.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Server {
    pub(super) fn new(meta_tools: Arc<MetaTools>, name: &str, build: &str) -> Self {
        Self { meta_tools, identity: Implementation::new(name, build) }
    }

    async fn instructions(&self, extensions: &Extensions) -> String {
        self.meta_tools.instructions(caller(extensions)).await
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities).with_server_info(self.identity.clone())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        context.peer.set_peer_info(request);
        Ok(result.with_instructions(self.instructions(&context.extensions).await))
    }

    async fn discover(&self, context: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let config = self.get_info().with_instructions(self.instructions(&context.extensions).await);
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), config))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = ListToolsResult::with_all_items(self.meta_tools.tools(caller(&context.extensions)).await);
        if is_handshake_era(&context) {
            // Caching hints came with that revision; earlier clients did not ask for them.
            return Ok(tools);
        }
        Ok(tools.with_ttl_ms(TOOLS_TTL_MS).with_cache_scope(CacheScope::Private))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.meta_tools.definition(name)
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let parts = context.extensions.get::<Parts>();
        let Some(passed) = parts.and_then(|parts| parts.extensions.get::<Passed>()) else {
            return Err(ErrorData::internal_error("the call got lost inside the gateway", None));
        };
        passed.0.store(true, Ordering::Release);
        Ok(CallToolResult::success(Vec::new()).into())
    }

    /// The meta-tools never change while a node runs, so an accepted subscription stays silent until it ends.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, .. } = request;
        let of_era = if is_handshake_era(&context) { HANDSHAKE_METHODS } else { STATELESS_METHODS };
        Err(if METHODS.iter().chain(&of_era).any(|known| *known == method) {
            ErrorData::invalid_params(format!("the parameters are not what `{method}` takes"), None)
        } else {
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None)
        })
    }
}

fn caller(extensions: &Extensions) -> Caller {
    Caller::new(extensions.get::<Parts>().map(|parts| parts.headers.clone()).unwrap_or_default())
}

fn is_handshake_era(context: &RequestContext<RoleServer>) -> bool {
    let revision = context.protocol_version();
    revision.is_none_or(|revision| revision.as_str() < ProtocolVersion::V_2026_07_28.as_str())
}
