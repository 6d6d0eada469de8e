//! A hook that does what the caller's headers ask for, and notes which phases it was asked in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use toolplane_data_plane::hooks::{
    Changes, Configured, Context, Denial, Error, Execution, Failure, Hook, Identity, Phase, Phases, Place,
    Rules, Visible,
};
use toolplane_registry::view::Entry;

pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// `x-user` names the caller, `x-hide` begins what is hidden (`domain.tool`), `x-do` is `deny:PHASE` or `fail:PHASE`.
#[derive(Debug)]
struct Rule {
    log: Log,
}

pub(super) fn rule(log: &Log) -> Configured {
    let hook = Arc::new(Rule { log: Arc::clone(log) });
    Configured { name: "rule".to_owned(), place: Place::InProcess(hook), rules: Rules::default() }
}

fn header<'a>(context: &Context<'a>, name: &str) -> &'a str {
    context.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Rule {
    fn asked(&self, phase: Phase, context: &Context<'_>, what: &str) -> Result<(), Error> {
        self.log.lock().unwrap().push(format!("{} {what}", phase.word()).trim_end().to_owned());
        match header(context, "x-do").split_once(':') {
            Some(("deny", on)) if on == phase.word() => Err(Denial::with_code("no", "quota").unwrap().into()),
            Some(("fail", on)) if on == phase.word() => Err(Failure::Failed("words".to_owned()).into()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Hook for Rule {
    fn phases(&self) -> Phases {
        Phase::ALL.into_iter().filter(|phase| *phase != Phase::TransformResult).collect()
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        let subject = header(context, "x-user").to_owned();
        Ok((!subject.is_empty()).then(|| Identity { subject, ..Identity::default() }))
    }

    async fn filter_tools(
        &self,
        context: &Context<'_>,
        tools: &[&Entry],
        _: Option<&str>,
    ) -> Result<Visible, Error> {
        let hidden = header(context, "x-hide");
        let is_visible = |tool: &Entry| {
            let name = format!("{}.{}", tool.domain().domain(), tool.tool().original_name);
            hidden.is_empty() || !name.starts_with(hidden)
        };
        let positions = tools.iter().enumerate().filter(|(_, tool)| is_visible(tool)).map(|(at, _)| at);
        Ok(Visible { positions: positions.collect(), keep_for: Duration::ZERO })
    }

    async fn authorize_code(&self, context: &Context<'_>) -> Result<bool, Error> {
        self.asked(Phase::AuthorizeCode, context, "")?;
        Ok(header(context, "x-user") != "mallory")
    }

    async fn before_execute(&self, context: &Context<'_>, call: &Execution<'_>) -> Result<Changes, Error> {
        let is_nested = call.metadata.contains_key("code_session_id");
        self.asked(Phase::BeforeExecute, context, &format!("{} {is_nested}", call.tool.name()))?;
        Ok(Changes::default().header("x-set-by", "rule"))
    }

    async fn after_execute(
        &self,
        context: &Context<'_>,
        call: &Execution<'_>,
        text: &str,
        _: bool,
    ) -> Result<Option<String>, Error> {
        self.asked(Phase::AfterExecute, context, call.tool.name())?;
        Ok(Some(text.replace("secret", "*")))
    }

    async fn report_error(
        &self,
        context: &Context<'_>,
        _: &Execution<'_>,
        error: &toolplane_data_plane::hooks::Reported<'_>,
    ) -> Result<(), Error> {
        self.asked(Phase::ReportError, context, error.code)
    }
}
