//! The meta-tools that a node answers by itself, with registries of 527 and 10,000 tools.

use serde_json::json;

use super::calls;
use super::figures::{Figures, per_second, time};
use super::generator;
use super::grid::revision;
use super::registries;
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::load::Prepared;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog::{self, FIXTURE};

const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// The one of them for which latency and processor time are shown, in more rounds than the others.
const SHOWN: usize = 64;
const ROUNDS: usize = 3;
const SECONDS: f64 = 0.8;
const WARM_UP: f64 = 0.2;

/// The columns of [`row`].
pub(super) const HEADER: [&str; 11] = [
    "call",
    "tools",
    "revision",
    "answer",
    "1 connection",
    "16",
    "64",
    "256",
    "p50 of 64",
    "p99 of 64",
    "CPU per call",
];

/// A question that needs no upstream.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) what: &'static str,
    pub(super) meta_tool: &'static str,
    pub(super) arguments: serde_json::Value,
    /// What every right answer holds.
    pub(super) expect: String,
}

impl Question {
    pub(super) fn summary() -> Self {
        let (what, meta_tool) = ("`discover_tools`, summary", "discover_tools");
        Self { what, meta_tool, arguments: json!({}), expect: "total_tools".to_owned() }
    }

    /// All tools of a domain, in a format, or in the gateway's default one.
    pub(super) fn domain(what: &'static str, domain: &str, format: Option<&str>) -> anyhow::Result<Self> {
        let mut arguments = json!({ "domain": domain });
        if let Some(format) = format {
            arguments["format"] = format.into();
        }
        Ok(Self { what, meta_tool: "discover_tools", arguments, expect: catalog::a_tool_of(domain)? })
    }

    pub(super) fn search() -> Self {
        let (what, meta_tool) = ("`discover_tools`, search", "discover_tools");
        Self { what, meta_tool, arguments: json!({ "query": "search" }), expect: "results".to_owned() }
    }

    pub(super) fn schema(catalog: &str) -> anyhow::Result<Self> {
        let tool = catalog::a_tool_of(catalog)?;
        let arguments = json!({ "tool_name": tool });
        let expect = "parameters".to_owned();
        Ok(Self { what: "`get_tool_schema`", meta_tool: "get_tool_schema", arguments, expect })
    }

    pub(super) fn request(&self, era: Era) -> Prepared {
        calls::meta_tool(era, self.meta_tool, &self.arguments)
    }
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let mut table = Table::new(&HEADER);
    let questions = |domain: &str| -> anyhow::Result<[Question; 4]> {
        let of_domain = Question::domain("`discover_tools`, a domain", domain, None)?;
        Ok([Question::summary(), of_domain, Question::search(), Question::schema(domain)?])
    };
    let small = ("527", registries::corpus(), questions(&catalog::server(3))?);
    let large = ("10,000", registries::thousands(setting.times(10)), questions(&catalog::thousand(0))?);
    for (tools, domains, questions) in [small, large] {
        let node = Subject::standalone(setting, &upstream.domains(&domains)).await?;
        for question in &questions {
            for era in [Era::Stateless, Era::Handshake] {
                table.row(row(setting, &node, question, tools, era).await?);
            }
        }
    }
    let method = format!(
        "One node, as fast as answers come; calls per second by number of connections, {} s each, for {SHOWN} connections \
         medians of {} rounds. The tools are those of `tests/corpus` (70 domains), for 10,000 of them repeated under other \
         names (10 domains of 1,000). A search is for `search`. Client and node share the processors. Against the reference \
         see *Against other gateways*, where the targets are.",
        setting.seconds(SECONDS),
        setting.times(ROUNDS)
    );
    let title = "What a node answers by itself".to_owned();
    Ok(Section { id: "call/meta", title, method, table })
}

/// One question to one node.
pub(super) async fn row(
    setting: &Setting,
    node: &Subject,
    question: &Question,
    tools: &str,
    era: Era,
) -> anyhow::Result<Vec<String>> {
    let (mut rates, mut shown, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for connections in CONNECTIONS {
        let mut rounds = Vec::new();
        for _ in 0..if connections == SHOWN { setting.times(ROUNDS) } else { 1 } {
            let mut plan = node.plan(era, FIXTURE, question.request(era), &question.expect);
            // Tests run a debug build, which would be busy with so many for long.
            plan.connections = if setting.quick { 1 } else { connections };
            plan.measured = setting.seconds(SECONDS);
            plan.warm_up = WARM_UP.min(plan.measured);
            let run = generator::run(&plan, &[&node.processes]).await?;
            bytes = run.report.answer_bytes;
            rounds.push(Figures::of(&run));
        }
        let figures = Figures::median(&rounds);
        rates.push(per_second(figures.rate));
        if connections == SHOWN {
            shown = [figures.latency.p50, figures.latency.p99].map(time).to_vec();
            shown.push(format!("{:.1} µs", figures.own));
        }
    }
    let answer = format!("{:.1} KiB", bytes / 1024.0);
    let head = [question.what, tools, revision(era), &answer].map(str::to_owned).to_vec();
    Ok([head, rates, shown].concat())
}
