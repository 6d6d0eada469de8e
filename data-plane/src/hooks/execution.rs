//! The phases around one execution.

use std::sync::Arc;

use tokio::time::Instant;
use toolplane_registry::upstream::Header;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, Secret};
use toolplane_upstream::auth::check_header;
use toolplane_upstream::client::ToolResult;
use toolplane_upstream::connector::{Room, Share};

use super::error::{Error, Failure, Refusal};
use super::visit::Visit;
use super::{Changes, Execution, Metadata, Phase, Reported, result};

/// How much hooks may note for each other, in bytes.
const MAX_METADATA_BYTES: usize = 256 << 10;
/// How many headers hooks may add, and how large all of them may be together.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 << 10;
/// The note by which hooks tell a call of code from one of a client.
const CODE_SESSION: &str = "code_session_id";

/// What is executed.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) tool: &'a Entry,
    /// When it has to have run.
    pub(crate) deadline: Instant,
    /// Where its result and copies of that have to fit in.
    pub(crate) room: Option<Arc<dyn Room>>,
}

/// One execution with what hooks made of it. Without hooks it is no more than the arguments.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    visit: Option<&'a Visit>,
    task: Task<'a>,
    arguments: Option<RawJson>,
    extra_headers: Vec<Header>,
    metadata: Metadata,
    /// For what hooks made of the result: the room of the reply itself is taken already.
    share: Share,
    /// How many bytes of that are the result itself.
    made: usize,
}

impl<'a> Course<'a> {
    /// Asks the hooks before anything else happens.
    pub(crate) async fn begin(
        visit: Option<&'a Visit>,
        task: Task<'a>,
        arguments: Option<RawJson>,
    ) -> Result<Self, Refusal> {
        let (extra_headers, metadata) = (Vec::new(), Metadata::new());
        let share = task.room.as_ref().map_or_else(Share::default, |room| Share::of(Arc::clone(room)));
        let mut course = Self { visit, task, arguments, extra_headers, metadata, share, made: 0 };
        if let Some(visit) = visit {
            if let Some(session) = visit.session() {
                let session = RawJson::from(&serde_json::Value::from(session));
                course.metadata.insert(CODE_SESSION.to_owned(), session);
            }
            Box::pin(course.before(visit)).await?;
        }
        Ok(course)
    }

    /// What hooks left of the time that the tool has: until when the upstream may take.
    pub(crate) fn deadline(&self) -> Result<Instant, Refusal> {
        let deadline = self.task.deadline;
        if Instant::now() < deadline { Ok(deadline) } else { Err(Refusal::OutOfTime) }
    }

    /// What the tool is called with.
    pub(crate) fn arguments(&self) -> Option<&RawJson> {
        self.arguments.as_ref()
    }

    /// What hooks add for the upstream.
    pub(crate) fn extra_headers(&self) -> &[Header] {
        &self.extra_headers
    }

    async fn before(&mut self, visit: &Visit) -> Result<(), Refusal> {
        for (place, member) in visit.chain.of(Phase::BeforeExecute) {
            let given = self.given();
            let answer = async {
                let changes =
                    member.hook.before_execute(&visit.context(place), &self.execution(&given)).await?;
                self.check(changes)
            };
            let mut question = visit.question(place, Phase::BeforeExecute);
            question.deadline = question.deadline.min(Some(self.task.deadline));
            let Some(changes) = member.ask(question, answer).await? else {
                visit.pass_over(place);
                continue;
            };
            let Changes { arguments, extra_headers, metadata } = changes;
            self.arguments = arguments.or(self.arguments.take());
            self.extra_headers.retain(|old| !extra_headers.iter().any(|new| new.name == old.name));
            self.extra_headers.extend(extra_headers);
            self.metadata.extend(metadata);
        }
        Ok(())
    }

    /// Shows the hooks the whole result.
    pub(crate) async fn transform(&mut self, mut result: ToolResult) -> Result<ToolResult, Refusal> {
        let Some(visit) = self.visit.filter(|visit| visit.chain.takes_part(Phase::TransformResult)) else {
            return Ok(result);
        };
        let given = self.given();
        for (place, member) in visit.chain.of(Phase::TransformResult) {
            let size = result::size(&result);
            self.share.hold(self.made + size).map_err(|_| Refusal::NoRoom)?;
            let shown = result::write(&result);
            let answer = async {
                let context = visit.context(place);
                let changed = member.hook.transform_result(&context, &self.execution(&given), &shown).await?;
                changed.map(|changed| result::read(&changed)).transpose().map_err(Error::Failed)
            };
            let answer = member.ask(visit.question(place, Phase::TransformResult), answer).await?;
            if let Some(Some(changed)) = answer {
                self.made = result::size(&changed);
                result = changed;
            }
            self.share.hold(self.made).map_err(|_| Refusal::NoRoom)?;
        }
        Ok(result)
    }

    /// Shows the hooks the text that the caller is to get.
    pub(crate) async fn after(&mut self, mut text: String, is_error: bool) -> Result<String, Refusal> {
        let Some(visit) = self.visit.filter(|visit| visit.chain.takes_part(Phase::AfterExecute)) else {
            return Ok(text);
        };
        let given = self.given();
        for (place, member) in visit.chain.of(Phase::AfterExecute) {
            let context = visit.context(place);
            let execution = self.execution(&given);
            let answer = member.hook.after_execute(&context, &execution, &text, is_error);
            let answer = member.ask(visit.question(place, Phase::AfterExecute), answer).await?;
            if let Some(Some(changed)) = answer {
                // The result that it was written from is held as long as the text.
                self.share.hold(self.made + changed.len()).map_err(|_| Refusal::NoRoom)?;
                text = changed;
            }
        }
        Ok(text)
    }

    /// Tells the hooks that the upstream brought no result.
    pub(crate) async fn report(&self, reported: Reported<'_>) {
        let Some(visit) = self.visit.filter(|visit| visit.chain.takes_part(Phase::ReportError)) else {
            return;
        };
        let given = self.given();
        for (place, member) in visit.chain.of(Phase::ReportError) {
            let (context, execution) = (visit.context(place), self.execution(&given));
            let answer = member.hook.report_error(&context, &execution, &reported);
            if member.ask(visit.question(place, Phase::ReportError), answer).await.is_err() {
                tracing::debug!("a hook that observes cannot refuse");
            }
        }
    }

    /// The arguments as hooks see them.
    fn given(&self) -> RawJson {
        self.arguments.clone().unwrap_or_else(|| RawJson::from(&serde_json::json!({})))
    }

    fn execution<'b>(&'b self, arguments: &'b RawJson) -> Execution<'b> {
        let Self { task: Task { tool, room, .. }, extra_headers, metadata, .. } = self;
        Execution { tool, arguments, extra_headers, metadata, room: room.as_ref() }
    }

    /// Refuses changes that cannot be made.
    fn check(&self, changes: Changes) -> Result<Changes, Error> {
        let Changes { arguments, extra_headers, metadata } = &changes;
        let refuse = |reason: &str| Err(Failure::Invalid(reason.to_owned()).into());
        if arguments.as_ref().is_some_and(|arguments| !arguments.as_str().starts_with('{')) {
            return refuse("arguments are no object");
        }
        for Header { name, value } in extra_headers {
            if let Err(rejection) = check_header(name, value.expose()) {
                return refuse(&rejection.to_string());
            }
        }
        let size = |header: &Header| header.name.len() + Secret::expose(&header.value).len();
        let headers = || extra_headers.iter().chain(&self.extra_headers);
        if headers().count() > MAX_HEADERS || headers().map(size).sum::<usize>() > MAX_HEADER_BYTES {
            return refuse("there are too many headers");
        }
        let notes = metadata.iter().chain(&self.metadata);
        if notes.map(|(key, value)| key.len() + value.as_str().len()).sum::<usize>() > MAX_METADATA_BYTES {
            return refuse("there is too much metadata");
        }
        let extra_headers = changes.extra_headers.into_iter();
        let lower = |header: Header| Header { name: header.name.to_ascii_lowercase(), ..header };
        Ok(Changes { extra_headers: extra_headers.map(lower).collect(), ..changes })
    }
}

#[cfg(test)]
mod tests;
