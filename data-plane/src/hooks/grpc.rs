//! Hooks as a gRPC service, in any language.
//!
//! Owns the questions and the checks of the answers. `grpc/line.rs` owns being connected, `grpc/link.rs` one connection
//! and what a failure on it means, `grpc/pulse.rs` when it is doubtful, `grpc/unary.rs` what travels over it,
//! `grpc/path.rs` the names of the methods, `grpc/description.rs` what a service says of itself, and `grpc/message.rs`
//! the way from the model to messages and back.
//!
//! What a service answers is believed no further than it was asked: positions that do not exist, text that is no JSON
//! and whatever else makes no sense is a failure of the hook.

mod description;
mod line;
mod link;
mod message;
mod path;
mod pulse;
mod unary;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use toolplane_proto::hooks as wire;
use toolplane_proto::hooks::authenticate_response::Outcome;
use toolplane_registry::RawJson;
use toolplane_registry::policy::Globs;
use toolplane_registry::view::Entry;

use self::line::Line;
pub(crate) use self::line::{Background, Ending};
use self::link::Link;
use self::message::{denied, headers_of, json, keep_for, request_of};
use self::unary::{frame, frame_with};
use super::{
    Changes, Context, Error, Execution, Failure, Hook, Identity, Metadata, Phase, Phases, Reported, Visible,
};
use crate::options::Address;

/// How much of a list of tools goes into one question, in bytes: servers of gRPC take four megabytes unless they are told
/// otherwise.
const MAX_LIST_BYTES: usize = 3 << 20;
/// How many calls that ended may wait for being told.
const MAX_ENDINGS: usize = 4096;

/// A hook service, and how it is reached.
#[derive(Debug, Clone)]
pub struct Service {
    /// Where it listens.
    pub address: Address,
    /// What it is trusted by, where it speaks TLS, and the certificate that is shown to it.
    pub tls: toolplane_tls::client::Files,
    /// Globs over the lower-case names of the caller's headers that it is told; absent: all that it asks for.
    pub headers: Option<Vec<String>>,
    /// Lets the caller's headers travel in the clear to another machine.
    pub allow_plain: bool,
    /// Largest answer about a result that is read; what other phases answer is held to four megabytes besides.
    pub max_answer_bytes: usize,
    /// The instance that alone is believed, where whoever starts the service knows it. Changes with each start.
    pub instance: Option<watch::Receiver<String>>,
}

/// The client of one hook service.
#[derive(Debug)]
pub(crate) struct Remote {
    line: Arc<Line>,
    allowed: Option<Globs>,
    endings: mpsc::Sender<Ending>,
}

impl Service {
    /// A service at an address, with the usual limits.
    pub fn at(address: Address) -> Self {
        let tls = toolplane_tls::client::Files::default();
        Self { address, tls, headers: None, allow_plain: false, max_answer_bytes: 32 << 20, instance: None }
    }
}

impl Remote {
    /// A client, and what has to run for it to be connected.
    pub(crate) fn new(name: &str, service: &Service, build: &str) -> (Self, Background) {
        let (endings, ended) = mpsc::channel(MAX_ENDINGS);
        let line = Arc::new(Line::new(name, service, build));
        // Globs that do not compile were refused with the options; none of them lets nothing through.
        let allowed = service.headers.as_ref().map(|globs| Globs::compile(globs).unwrap_or_default());
        (Self { line: Arc::clone(&line), allowed, endings }, Background::new(line, ended))
    }

    /// The connection that a call goes by, and what the service is told of the call.
    async fn begin(
        &self,
        phase: Phase,
        context: &Context<'_>,
    ) -> Result<(Arc<Link>, Option<wire::Call>), Failure> {
        let link = self.line.link().await?;
        link.takes_part(phase)?;
        let began = context.began_with.get_or_init(|| Arc::clone(&link.instance));
        if **began != *link.instance {
            return Err(Failure::Restarted);
        }
        let passes = |name: &str| {
            let is_allowed = |globs: &Option<Globs>| globs.as_ref().is_none_or(|globs| globs.is_match(name));
            is_allowed(&self.allowed) && is_allowed(&link.headers)
        };
        let identity = context.identity.map(|identity| wire::Identity {
            handle: identity.handle.clone(),
            subject: identity.subject.clone(),
            visibility_key: identity.visibility_key.clone(),
        });
        let call = wire::Call {
            id: context.id.to_owned(),
            instance: link.instance.to_string(),
            identity,
            headers: headers_of(context.headers, passes),
            request_meta: context.request_meta.map_or_else(String::new, |meta| meta.as_str().to_owned()),
            session: context.session.unwrap_or_default().to_owned(),
        };
        Ok((link, Some(call)))
    }
}

#[async_trait]
impl Hook for Remote {
    fn phases(&self) -> Phases {
        self.line.phases()
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        let (link, call) = self.begin(Phase::Authenticate, context).await?;
        let request = wire::AuthenticateRequest { call };
        let answer: wire::AuthenticateResponse =
            self.line.ask(&link, Phase::Authenticate, frame(&request)).await?;
        match answer.outcome {
            None => Ok(None),
            Some(Outcome::Denial(denial)) => Err(denied(denial)),
            Some(Outcome::Identity(wire::Identity { handle, subject, visibility_key })) => {
                Ok(Some(Identity { handle, subject, visibility_key, value: None }))
            }
        }
    }

    async fn filter_tools(
        &self,
        context: &Context<'_>,
        tools: &[&Entry],
        domain: Option<&str>,
    ) -> Result<Visible, Error> {
        let mut whole = Visible { positions: Vec::new(), keep_for: std::time::Duration::MAX };
        let mut first = 0;
        // Asked about nothing, it still has to be there.
        while let Some(rest) = tools.get(first..).filter(|rest| first == 0 || !rest.is_empty()) {
            let listed = message::list(rest, MAX_LIST_BYTES);
            let count = listed.len();
            let (link, call) = self.begin(Phase::FilterTools, context).await?;
            let request =
                wire::FilterToolsRequest { call, tools: listed, domain: domain.map(ToOwned::to_owned) };
            let answer: wire::FilterToolsResponse =
                self.line.ask(&link, Phase::FilterTools, frame(&request)).await?;
            if answer.visible.len() > count {
                return Err(Failure::Invalid("it names more tools than it was asked about".to_owned()).into());
            }
            for position in answer.visible {
                let position = usize::try_from(position).ok().filter(|position| *position < count);
                let position = position.ok_or_else(|| {
                    Failure::Invalid("it names a tool that it was not asked about".to_owned())
                })?;
                whole.positions.push(first + position);
            }
            whole.keep_for = whole.keep_for.min(keep_for(answer.keep_for.as_ref()));
            first += count;
            if count == 0 {
                break;
            }
        }
        Ok(whole)
    }

    async fn authorize_code(&self, context: &Context<'_>) -> Result<bool, Error> {
        let (link, call) = self.begin(Phase::AuthorizeCode, context).await?;
        let request = wire::AuthorizeCodeRequest { call };
        let answer: wire::AuthorizeCodeResponse =
            self.line.ask(&link, Phase::AuthorizeCode, frame(&request)).await?;
        Ok(answer.is_allowed)
    }

    async fn before_execute(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
    ) -> Result<Changes, Error> {
        let (link, call) = self.begin(Phase::BeforeExecute, context).await?;
        let request = wire::BeforeExecuteRequest {
            call,
            tool: Some(message::tool(execution.tool, true)),
            arguments: execution.arguments.as_str().to_owned(),
            extra_headers: message::set_headers(execution.extra_headers),
            metadata: message::notes(execution.metadata),
        };
        let wire::BeforeExecuteResponse { denial, arguments, extra_headers, metadata } =
            self.line.ask(&link, Phase::BeforeExecute, frame(&request)).await?;
        if let Some(denial) = denial {
            return Err(denied(denial));
        }
        let metadata: Result<Metadata, Failure> =
            metadata.into_iter().map(|(key, value)| Ok((key, json("a note", &value)?))).collect();
        let mut changes = Changes { metadata: metadata?, ..Changes::default() };
        changes.arguments = arguments.map(|text| json("the arguments", &text)).transpose()?;
        for wire::Header { name, value } in &extra_headers {
            changes = changes.header(name, value);
        }
        Ok(changes)
    }

    async fn transform_result(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
        result: &RawJson,
    ) -> Result<Option<RawJson>, Error> {
        let (link, call) = self.begin(Phase::TransformResult, context).await?;
        let request = request_of!(wire::TransformResultRequest, call, execution);
        let frame = frame_with(&request, result.as_str(), execution.room);
        let wire::TransformResultResponse { denial, result } =
            self.line.ask(&link, Phase::TransformResult, frame).await?;
        match denial {
            Some(denial) => Err(denied(denial)),
            None => Ok(result.map(|text| json("the result", &text)).transpose()?),
        }
    }

    async fn after_execute(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
        text: &str,
        is_error: bool,
    ) -> Result<Option<String>, Error> {
        let (link, call) = self.begin(Phase::AfterExecute, context).await?;
        let mut request = request_of!(wire::AfterExecuteRequest, call, execution);
        request.is_error = is_error;
        let frame = frame_with(&request, text, execution.room);
        let wire::AfterExecuteResponse { denial, text } =
            self.line.ask(&link, Phase::AfterExecute, frame).await?;
        match denial {
            Some(denial) => Err(denied(denial)),
            None => Ok(text),
        }
    }

    async fn report_error(
        &self,
        context: &Context<'_>,
        execution: &Execution<'_>,
        reported: &Reported<'_>,
    ) -> Result<(), Error> {
        let (link, call) = self.begin(Phase::ReportError, context).await?;
        let mut request = request_of!(wire::ReportErrorRequest, call, execution);
        (request.error, request.code) = (reported.error.to_owned(), reported.code.to_owned());
        request.is_from_upstream = reported.is_from_upstream;
        let wire::ReportErrorResponse {} = self.line.ask(&link, Phase::ReportError, frame(&request)).await?;
        Ok(())
    }

    fn end_call(&self, call_id: &str, began_with: Option<&str>) {
        let Some(instance) = began_with.filter(|_| self.line.wants_end_call()) else { return };
        let ending = Ending { call_id: call_id.to_owned(), instance: instance.to_owned() };
        if self.endings.try_send(ending).is_err() {
            tracing::debug!(hook.name = self.line.name(), "the end of a call is not told: too many wait");
        }
    }
}

/// The phase of the wire; `None` for one that this build does not know.
fn phase_of(number: i32) -> Option<Phase> {
    Some(match wire::Phase::try_from(number).ok()? {
        wire::Phase::Unspecified => return None,
        wire::Phase::Authenticate => Phase::Authenticate,
        wire::Phase::FilterTools => Phase::FilterTools,
        wire::Phase::AuthorizeCode => Phase::AuthorizeCode,
        wire::Phase::BeforeExecute => Phase::BeforeExecute,
        wire::Phase::TransformResult => Phase::TransformResult,
        wire::Phase::AfterExecute => Phase::AfterExecute,
        wire::Phase::ReportError => Phase::ReportError,
    })
}
