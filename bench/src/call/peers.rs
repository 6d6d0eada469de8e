//! The same calls through other gateways, side by side with one node.
//!
//! Which there are is up to whoever starts the benchmark; this module knows how each kind is started and spoken to.

use std::path::Path;

use super::calls::{self, Asked};
use super::figures::{Figures, per_second, time};
use super::generator;
use super::meta::Question;
use super::registries;
use super::subject::{Domain, Subject, Surroundings, Upstream};
use crate::Setting;
use crate::load::Prepared;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{self, Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};
use crate::world::child::{Program, free_port};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 1.0;
/// Every gateway here speaks it, on both sides.
const ERA: Era = Era::Handshake;

/// What is asked, and how many times as fast as the reference the answer is to be.
struct Test {
    what: &'static str,
    request: Prepared,
    expect: String,
    target: &'static str,
}

pub(super) async fn run(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Section> {
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
    let mut missing = Vec::new();
    for (domains, tests) in [(registries::corpus_with_handshake(), corpus_tests()?), thousand_tests()?] {
        let mut subjects = vec![Subject::standalone(setting, &upstream.domains(&domains)).await?];
        for (name, python) in &setting.peers {
            match reference((name, python), upstream, &domains, setting.pace()).await {
                Ok(subject) => subjects.push(subject),
                Err(error) => {
                    eprintln!("{name} does not start: {error:#}");
                    missing.push(name.as_str());
                }
            }
        }
        for test in &tests {
            compare(&subjects, test, &mut table).await?;
        }
    }
    let mut method = format!(
        "{CONNECTIONS} connections, a session each where the gateway issues one, each sending its next call when it has \
         the answer of the last; {ROUNDS} rounds of {SECONDS} s for each gateway in turn, medians. All of them have the \
         527 tools of `tests/corpus` in 70 domains and three to call, for the last call one domain of 1,000; client and \
         upstreams speak 2025-06-18, upstreams issue no sessions, and every gateway runs with its default settings, its \
         output going to `/dev/null`. The other gateways leave out tools whose schemas they do not take, so their answers \
         are shorter. The Python gateways run on one processor, as they do anywhere; processor time does not depend on that. \
         `mcp-contextforge-gateway` installs from PyPI but does not start before secrets are made for it; it was left \
         out."
    );
    if setting.peers.is_empty() {
        method.push_str(" No other gateway is installed here, so none was measured.");
    }
    if !missing.is_empty() {
        let missing = missing.join(", ");
        method.extend([" Did not start: ", missing.as_str(), "."]);
    }
    Ok(Section { id: "call/peers", title: "Against other gateways", method, table })
}

fn corpus_tests() -> anyhow::Result<Vec<Test>> {
    let asked = |question: Question, target| Test {
        what: question.what,
        request: question.request(ERA),
        expect: question.expect,
        target,
    };
    Ok(vec![
        Test {
            what: "`execute_tool`, 200 bytes",
            request: calls::execute(Asked::Gateway, ERA, &Callable::Small.tool(ERA)),
            expect: ANSWER_MARK.to_owned(),
            target: "≥ 400",
        },
        asked(Question::summary(), "≥ 50"),
        asked(Question::schema("`get_tool_schema`, of 527 tools", &catalog::server(0))?, "≥ 50"),
    ])
}

fn thousand_tests() -> anyhow::Result<(Vec<Domain>, Vec<Test>)> {
    let question = Question::domain()?;
    let test = Test {
        what: question.what,
        request: question.request(ERA),
        // Not some tool of it: the others leave tools out.
        expect: r#"\"tools\":"#.to_owned(),
        target: "≥ 40",
    };
    Ok((registries::one_thousand(), vec![test]))
}

/// Anything that is started as the reference is.
async fn reference(
    (name, python): (&str, &Path),
    upstream: &Upstream,
    domains: &[Domain],
    pace: f64,
) -> anyhow::Result<Subject> {
    let port = free_port()?;
    let program = Program::new(python, &["-m", "fastmcp_gateway"])
        .with("GATEWAY_HOST", "127.0.0.1")
        .with("GATEWAY_PORT", port.to_string())
        .with("GATEWAY_UPSTREAMS", upstream.domains(domains).to_string());
    let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
    process.until_ready(name, &url).await?;
    let (name, surroundings) = (name.to_owned(), Surroundings::default());
    let processes = vec![process];
    Ok(Subject { name, asked: Asked::Gateway, url, processes, pace, _surroundings: surroundings })
}

/// The rows of one call; the first subject is ours.
async fn compare(subjects: &[Subject], test: &Test, table: &mut Table) -> anyhow::Result<()> {
    let mut rounds = vec![Vec::new(); subjects.len()];
    let mut failures = vec![0; subjects.len()];
    for _ in 0..ROUNDS {
        for (at, subject) in subjects.iter().enumerate() {
            let mut plan = subject.plan(ERA, FIXTURE, test.request.clone(), &test.expect);
            plan.connections = CONNECTIONS;
            plan.measured = SECONDS;
            plan.warm_up = WARM_UP;
            let run = generator::run_leniently(&plan, &[&subject.processes]).await?;
            if let Some(failure) = &run.report.first_failure {
                eprintln!("{}: {failure}", subject.name);
            }
            failures[at] += run.report.failures;
            rounds[at].push(Figures::of(&run));
        }
    }
    let figures: Vec<Figures> = rounds.iter().map(|rounds| Figures::median(rounds)).collect();
    let ours = figures[0];
    for (at, (subject, figures)) in subjects.iter().zip(&figures).enumerate() {
        let is_ours = at == 0;
        let factor = |ratio: f64| match is_ours {
            true => String::new(),
            // It did not answer at all.
            false if figures.rate == 0.0 => "–".to_owned(),
            false => format!("{ratio:.0}"),
        };
        table.row(vec![
            test.what.to_owned(),
            subject.name.clone(),
            per_second(figures.rate),
            failures[at].to_string(),
            time(figures.latency.p50),
            time(figures.latency.p99),
            format!("{:.1} µs", figures.own),
            factor(ours.rate / figures.rate),
            factor(figures.own / ours.own),
            if is_ours { String::new() } else { test.target.to_owned() },
        ]);
    }
    Ok(())
}
