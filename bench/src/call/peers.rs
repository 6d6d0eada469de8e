//! The same calls through other gateways, side by side with one node.
//!
//! Which there are is up to whoever starts the benchmark. One that does not start or answer has a row that says so.

use super::calls::{self, Asked};
use super::figures::{Figures, per_second, time};
use super::generator;
use super::meta::Question;
use super::peer::{self, CONTEXT_FORGE, REFERENCE};
use super::registries;
use super::subject::{Domain, Subject, Upstream};
use crate::Setting;
use crate::load::Prepared;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{self, Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};
use crate::target::Target;

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const SECONDS: f64 = 2.5;
const WARM_UP: f64 = 0.5;
/// Every gateway here speaks it, on both sides.
const ERA: Era = Era::Handshake;

const EXECUTE: Target = Target::at_least(400.0, " ×");
const SMALL: Target = Target::at_least(50.0, " ×");
const DOMAIN: Target = Target::at_least(40.0, " ×");

/// What is asked, and how many times as fast as the reference the answer is to be.
struct Test {
    what: &'static str,
    request: Prepared,
    expect: String,
    target: Target,
}

/// A gateway, what it does not take as it stands, and what came out.
struct Contender {
    name: String,
    /// The subject, or why there is none.
    subject: Result<Subject, String>,
    /// What it wants to be sent instead; other tests are not for it.
    instead: Option<Prepared>,
    rounds: Vec<Figures>,
    failures: u64,
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let mut table = Table::new(&[
        "call",
        "gateway",
        "calls/s",
        "failed",
        "p50",
        "p99",
        "CPU per call",
        "one node is so many times as fast",
        "and needs so many times less CPU",
        "target",
    ]);
    for (domains, tests) in [
        (registries::corpus_with_handshake(), corpus_tests()?),
        (registries::one_thousand(), domain_tests()?),
    ] {
        let mut contenders = contenders(setting, &upstream, &domains).await?;
        for test in &tests {
            compare(setting, &mut contenders, test, &mut table).await?;
        }
    }
    let mut method = format!(
        "{CONNECTIONS} connections, a session each where the gateway issues one, each sending its next call when it has \
         the answer of the last; {} rounds of {} s for each gateway in turn, medians. One node and the reference \
         (`{REFERENCE}`) have the 527 tools of `tests/corpus` in 70 domains and five to call, for the last call one domain \
         of 1,000; client and upstreams speak 2025-06-18, upstreams issue no sessions, and they run with their default \
         settings, their output going to `/dev/null`. The reference leaves out tools whose schemas it does not take, so \
         its answers are shorter. `{CONTEXT_FORGE}` has no meta-tools: it is asked for the upstream's tool by the name \
         that it gives it; it has SQLite, a user and a token, the one upstream alone, and its limit of 100 calls per minute \
         is off. The Python gateways run on one processor, as they do anywhere; processor time does not depend on that, \
         and is counted with their children. Targets are for the reference.",
        setting.times(ROUNDS),
        setting.seconds(SECONDS)
    );
    if setting.peers.is_empty() {
        method.push_str(" No other gateway is installed here, so none was measured.");
    }
    Ok(Section { id: "call/peers", title: "Against other gateways".to_owned(), method, table })
}

fn corpus_tests() -> anyhow::Result<Vec<Test>> {
    let small = calls::execute(Asked::Gateway, ERA, &Callable::Small.tool(ERA));
    Ok(vec![
        Test { what: "a call, 200 bytes", request: small, expect: ANSWER_MARK.to_owned(), target: EXECUTE },
        asked(Question::summary(), SMALL),
        asked(Question::schema(&catalog::server(0))?, SMALL),
    ])
}

fn domain_tests() -> anyhow::Result<Vec<Test>> {
    // Ours by default, but not everybody's.
    let what = "`discover_tools`, a domain of 1,000";
    let mut test = asked(Question::domain(what, &catalog::thousand(0), Some("schema"))?, DOMAIN);
    // Not some tool of it: the others leave tools out.
    r#"\"tools\":"#.clone_into(&mut test.expect);
    Ok(vec![test])
}

fn asked(question: Question, target: Target) -> Test {
    Test { what: question.what, request: question.request(ERA), expect: question.expect, target }
}

/// Ours first, then whatever there is.
async fn contenders(
    setting: &Setting,
    upstream: &Upstream,
    domains: &[Domain],
) -> anyhow::Result<Vec<Contender>> {
    let ours = Subject::standalone(setting, &upstream.domains(domains)).await?;
    let mut contenders = vec![Contender::new(ours.name.clone(), Ok((ours, None)))];
    let to_call = domains.iter().find(|(_, _, catalog)| catalog == FIXTURE);
    for (name, python) in &setting.peers {
        let started = match to_call {
            Some(domain) if name.starts_with(CONTEXT_FORGE) => {
                let tool = Callable::Small.tool(ERA);
                let started = peer::context_forge(name, python, upstream, domain, &tool).await;
                started.map(|(subject, tool)| (subject, Some(calls::execute_as(ERA, &tool))))
            }
            // It has nothing to answer the other questions with.
            None if name.starts_with(CONTEXT_FORGE) => continue,
            _ => peer::reference(name, python, upstream, domains).await.map(|subject| (subject, None)),
        };
        contenders.push(Contender::new(name.clone(), started));
    }
    Ok(contenders)
}

impl Contender {
    fn new(name: String, started: anyhow::Result<(Subject, Option<Prepared>)>) -> Self {
        let (subject, instead) = match started {
            Ok((subject, instead)) => (Ok(subject), instead),
            Err(error) => {
                eprintln!("{name} does not start: {error:#}");
                (Err(format!("does not start: {error:#}")), None)
            }
        };
        Self { name, subject, instead, rounds: Vec::new(), failures: 0 }
    }

    /// What it is sent for a test, if it is for it.
    fn request(&self, test: &Test) -> Option<Prepared> {
        match &self.instead {
            None => Some(test.request.clone()),
            Some(instead) => (test.expect == ANSWER_MARK).then(|| instead.clone()),
        }
    }

    /// One round; what goes wrong is kept.
    async fn measure(&mut self, setting: &Setting, test: &Test) {
        let (Ok(subject), Some(request)) = (&self.subject, self.request(test)) else { return };
        let mut plan = subject.plan(ERA, FIXTURE, request, &test.expect);
        plan.connections = CONNECTIONS;
        plan.measured = setting.seconds(SECONDS);
        plan.warm_up = WARM_UP.min(plan.measured);
        match generator::run_leniently(&plan, &[&subject.processes]).await {
            Ok(run) => {
                if let Some(failure) = &run.report.first_failure {
                    eprintln!("{}: {failure}", self.name);
                }
                self.failures += run.report.failures;
                self.rounds.push(Figures::of(&run));
            }
            Err(error) => self.subject = Err(format!("does not answer: {error:#}")),
        }
    }
}

/// The rows of one call; the first contender is ours.
async fn compare(
    setting: &Setting,
    contenders: &mut [Contender],
    test: &Test,
    table: &mut Table,
) -> anyhow::Result<()> {
    for contender in contenders.iter_mut() {
        (contender.rounds, contender.failures) = (Vec::new(), 0);
    }
    for _ in 0..setting.times(ROUNDS) {
        for contender in contenders.iter_mut() {
            contender.measure(setting, test).await;
        }
    }
    let ours = Figures::median(&contenders[0].rounds);
    for (at, contender) in contenders.iter().enumerate() {
        if contender.request(test).is_none() {
            continue;
        }
        let figures = Figures::median(&contender.rounds);
        let has_answered = figures.rate > 0.0;
        let is_reference = contender.name.starts_with(REFERENCE);
        let mut cells = vec![test.what.to_owned(), contender.name.clone()];
        match &contender.subject {
            Err(why) => {
                let short: String = why.replace('|', "/").chars().take(120).collect();
                cells.push(format!("– ({short})"));
            }
            Ok(_) => cells.extend([
                per_second(figures.rate),
                contender.failures.to_string(),
                time(figures.latency.p50),
                time(figures.latency.p99),
                format!("{:.1} µs", figures.own),
            ]),
        }
        cells.resize(7, String::new());
        let factor = |ratio: f64| if at > 0 && has_answered { format!("{ratio:.0}") } else { String::new() };
        cells.extend([factor(ours.rate / figures.rate), factor(figures.own / ours.own)]);
        let verdict = is_reference && has_answered;
        cells.push(if verdict { test.target.verdict(ours.rate / figures.rate) } else { String::new() });
        table.row(cells);
    }
    Ok(())
}
