//! The meta-tools: what an MCP client can call on this gateway.
//!
//! Names them and dispatches; each has a file of its own. `mcp/endpoint.rs` speaks HTTP and JSON-RPC in front,
//! `mcp/server.rs` everything that `rmcp` does for us. Replies are a function of snapshot, caller and request.

mod arguments;
mod brief;
mod capabilities;
mod code_tool;
mod definitions;
mod direct;
mod discover_tools;
pub(crate) mod endpoint;
pub(crate) mod error;
mod execute_code;
pub(crate) mod execute_tool;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod get_tool_schema;
mod instructions;
mod kept;
mod pieces;
mod refresh_registry;
mod reply;
mod request_state;
mod second_opinion;
mod server;
pub(crate) mod stream;
pub(crate) mod text;
mod told;
mod trace_context;
mod wire;

use std::sync::Arc;

use rmcp::model::Tool;
use toolplane_registry::{RawJson, View};
use toolplane_upstream::Client;
use toolplane_upstream::client::Listen;
use toolplane_upstream::connector::Room;
use toolplane_upstream::limits::Limited;
use tracing::Span;

use self::arguments::{Discover, Execute, ExecuteCode, GetSchema, Refresh};
use self::brief::brief;
use self::definitions::{DISCOVER_TOOLS, EXECUTE_CODE, EXECUTE_TOOL, GET_TOOL_SCHEMA, REFRESH_REGISTRY};
use self::error::Error;
use self::execute_tool::Executor;
use self::refresh_registry::Refresher;
use self::reply::{Outcome, Reply};
use self::told::Told;
use crate::caller::Caller;
use crate::code_mode::CodeMode;
use crate::control_plane::ControlPlanes;
use crate::hooks::chain::Chain;
use crate::hooks::visibility::{Scope, Seen};
use crate::live::{Live, Served};
use crate::metrics::Metrics;
use crate::options::{ErrorResults, InstructionsScope, Options};
use crate::output_guard::Guard;

/// Answers calls of meta-tools.
#[derive(Debug)]
pub(crate) struct MetaTools {
    live: Arc<Live>,
    definitions: Vec<Tool>,
    executor: Executor,
    refresher: Refresher,
    error_results: ErrorResults,
    instructions: Option<String>,
    instructions_scope: InstructionsScope,
    metrics: Metrics,
    /// Absent where there are no hooks.
    hooks: Option<Arc<Chain>>,
    /// Absent where code mode is off.
    code_mode: Option<CodeMode>,
    /// Whether upstream tools can be called by name.
    is_direct: bool,
}

/// What meta-tools are made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) guard: Guard,
    pub(crate) hooks: Option<Arc<Chain>>,
    pub(crate) code_mode: Option<CodeMode>,
}

/// A call of a meta-tool.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Option<RawJson>,
    pub(crate) caller: Caller,
    pub(crate) extras: Extras,
}

/// What comes with a call beside tool and arguments, for the upstream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub(crate) meta: Option<RawJson>,
    /// What a tool may ask the caller; absent where the caller's revision knows no such questions.
    pub(crate) dialog: Option<Dialog>,
    /// Who hears what an upstream says meanwhile, and from which severity on it logs.
    pub(crate) listener: Option<Arc<dyn Listen>>,
    pub(crate) log_level: Option<String>,
    /// Where a large reply has to fit in.
    pub(crate) room: Option<Arc<dyn Room>>,
}

/// The caller's side of a tool that asks for more input.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialog {
    /// What it can be asked.
    pub(crate) capabilities: Option<RawJson>,
    /// Its answers.
    pub(crate) input_responses: Option<RawJson>,
    /// What came with the questions.
    pub(crate) request_state: Option<String>,
}

impl MetaTools {
    pub(crate) fn new(
        options: &Options,
        live: &Arc<Live>,
        control_planes: &ControlPlanes,
        parts: Parts,
        metrics: &Metrics,
    ) -> Self {
        let error_results = options.error_results;
        let Parts { client, guard, hooks, code_mode } = parts;
        Self {
            live: Arc::clone(live),
            definitions: definitions::tools(options.asks_for_tool_header),
            executor: Executor {
                client: Limited::new(client),
                guard,
                error_results,
                metrics: metrics.clone(),
                request_state_ttl: options.request_state_ttl,
            },
            refresher: Refresher::new(
                Arc::clone(live),
                control_planes.clone(),
                options.read_your_writes_timeout,
                options.labels.clone(),
            ),
            error_results,
            instructions: options.instructions.clone(),
            instructions_scope: options.instructions_scope,
            metrics: metrics.clone(),
            hooks,
            code_mode,
            is_direct: direct::is_on(options),
        }
    }

    /// The live registry, for what needs to know whether there is a snapshot at all.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Where is noted what happens to requests.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What a client can list.
    pub(crate) async fn tools(&self, caller: Caller) -> Vec<Tool> {
        let mut tools = self.definitions.clone();
        let served = self.live.load();
        let code_mode = self.code_mode.as_ref().filter(|_| !served.snapshot().settings().code_mode.deny);
        if code_mode.is_none() && !self.is_direct {
            return tools;
        }
        let view = self.whole_view(caller, &served).await;
        if let Err(error) = &view {
            tracing::debug!(error.code = error.kind(), "no tools of upstreams are named");
        }
        let view = view.ok();
        if let Some(code_mode) = code_mode {
            tools.push(code_tool::definition(&code_mode.settings().limits, view.as_deref()));
        }
        tools.extend(view.iter().filter(|_| self.is_direct).flat_map(|view| direct::tools(view)));
        tools
    }

    /// A meta-tool as calls are checked against it.
    pub(crate) fn definition(&self, name: &str) -> Option<Tool> {
        let code_mode = self.code_mode.as_ref().filter(|_| name == EXECUTE_CODE);
        let code_tool = code_mode.map(|code_mode| code_tool::definition(&code_mode.settings().limits, None));
        code_tool.or_else(|| definitions::checked().iter().find(|tool| tool.name == name).cloned())
    }

    /// What a client is told when it connects.
    pub(crate) async fn instructions(&self, caller: Caller) -> String {
        if let Some(own) = &self.instructions {
            return own.clone();
        }
        let served = self.live.load();
        if self.instructions_scope == InstructionsScope::All {
            return instructions::instructions(served.snapshot().all());
        }
        match self.whole_view(caller, &served).await {
            Ok(view) => instructions::instructions(&view),
            // A caller that the hooks refuse learns it by its first call.
            Err(error) => {
                tracing::debug!(error.code = error.kind(), "instructions name no domain");
                instructions::instructions(&View::default())
            }
        }
    }

    /// Everything that a caller sees, outside of a call.
    async fn whole_view<'s>(&self, caller: Caller, served: &'s Served) -> Result<Seen<'s>, Error> {
        let caller = self.known(caller, None).await?;
        Ok(caller.view(served, Scope::All).await?)
    }

    /// Has the hooks find out who calls.
    async fn known(&self, caller: Caller, request_meta: Option<&RawJson>) -> Result<Caller, Error> {
        let caller = caller.identified(self.hooks.as_ref(), request_meta).await?;
        if let Some(subject) = caller.subject() {
            told::subject(&brief(subject));
        }
        Ok(caller)
    }

    /// Answers one call. One snapshot is loaded here and held throughout.
    pub(crate) async fn call(&self, call: Call) -> Outcome {
        let active = self.metrics.call();
        let served = self.live.load();
        let told = Told::begin(&call.name, &call.caller.headers);
        let meta_tool = told.meta_tool;
        let wraps = matches!(meta_tool, DISCOVER_TOOLS | GET_TOOL_SCHEMA | REFRESH_REGISTRY);
        let outcome = told.of(self.dispatch(&served, call)).await;
        active.answered(meta_tool, told::code(&outcome));
        outcome.unwrap_or_else(|error| Reply::error(&error, self.error_results, wraps).into())
    }

    async fn dispatch(&self, served: &Served, call: Call) -> Result<Outcome, Error> {
        let Call { name, arguments, caller, extras } = call;
        let arguments = arguments.as_ref();
        let meta = extras.meta.as_ref();
        match name.as_str() {
            DISCOVER_TOOLS => {
                let arguments = arguments::read::<Discover>(&name, arguments)?.checked()?;
                told::wanted_domain(arguments.domain.as_deref());
                let caller = self.known(caller, meta).await?;
                let (reply, count) =
                    discover_tools::answer(&caller, served, &arguments, self.code_mode.is_some()).await?;
                Span::current().record("gateway.result_count", count);
                Ok(reply.into())
            }
            GET_TOOL_SCHEMA => {
                let GetSchema { tool_name } = arguments::read(&name, arguments)?;
                told::tool(&tool_name);
                let caller = self.known(caller, meta).await?;
                Ok(get_tool_schema::answer(&caller, served, &tool_name).await?.into())
            }
            EXECUTE_TOOL => {
                let call = arguments::read::<Execute>(&name, arguments)?.checked()?;
                told::tool(&call.tool_name);
                let caller = self.known(caller, meta).await?;
                // Boxed: the way through the upstream client is the one long state machine here.
                Box::pin(self.executor.execute(served, &caller, call, extras)).await
            }
            EXECUTE_CODE if let Some(code_mode) = &self.code_mode => {
                let ExecuteCode { code } = arguments::read::<ExecuteCode>(&name, arguments)?.checked()?;
                let caller = self.known(caller, meta).await?;
                Box::pin(self.execute_code(code_mode, served, &caller, &code, extras)).await
            }
            REFRESH_REGISTRY => {
                let Refresh {} = arguments::read(&name, arguments)?;
                let caller = self.known(caller, meta).await?;
                Ok(Reply::wrapped(Box::pin(self.refresher.refresh(served, &caller)).await?).into())
            }
            // A name that nobody has is unknown whoever asks.
            _ if self.is_direct && served.snapshot().all().get(&name).is_some() => {
                let call = Execute { tool_name: name, arguments: arguments.cloned() };
                let caller = self.known(caller, meta).await?;
                Box::pin(self.executor.execute_directly(served, &caller, call, extras)).await
            }
            _ => {
                let reason = "is not a tool of this gateway itself; execute_tool runs the tools that \
                              discover_tools finds";
                Err(Error::Usage { meta_tool: brief(&name).into_owned(), reason: reason.to_owned() })
            }
        }
    }
}
