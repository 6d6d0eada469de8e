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
/// The one of them for which latency and processor time are shown.
const SHOWN: usize = 64;
const ROUNDS: usize = 3;
const SECONDS: f64 = 1.0;
const WARM_UP: f64 = 0.3;

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

    /// The domain of a thousand tools.
    pub(super) fn domain() -> anyhow::Result<Self> {
        let domain = catalog::thousand(0);
        Ok(Self {
            what: "`discover_tools`, a domain of 1,000 tools",
            meta_tool: "discover_tools",
            expect: catalog::a_tool_of(&domain)?,
            // Ours by default, but not everybody's.
            arguments: json!({ "domain": domain, "format": "schema" }),
        })
    }

    pub(super) fn schema(what: &'static str, catalog: &str) -> anyhow::Result<Self> {
        let tool = catalog::a_tool_of(catalog)?;
        let arguments = json!({ "tool_name": tool });
        Ok(Self { what, meta_tool: "get_tool_schema", arguments, expect: "parameters".to_owned() })
    }

    pub(super) fn request(&self, era: Era) -> Prepared {
        calls::meta_tool(era, self.meta_tool, &self.arguments)
    }
}

pub(super) async fn run(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Section> {
    let mut table = Table::new(&[
        "call",
        "revision",
        "answer",
        "1 connection",
        "16",
        "64",
        "256",
        "p50 of 64",
        "p99 of 64",
        "CPU per call",
    ]);
    let small =
        [Question::summary(), Question::schema("`get_tool_schema`, of 527 tools", &catalog::server(3))?];
    let large =
        [Question::domain()?, Question::schema("`get_tool_schema`, of 10,000 tools", &catalog::thousand(7))?];
    for (domains, questions) in [(registries::corpus(), small), (registries::ten_thousand(), large)] {
        let node = Subject::standalone(setting, &upstream.domains(&domains), &[]).await?;
        for question in &questions {
            for era in [Era::Stateless, Era::Handshake] {
                table.row(row(&node, question, era).await?);
            }
        }
    }
    let method = format!(
        "One node, as fast as answers come; calls per second by number of connections, {ROUNDS} rounds of {SECONDS} s \
         each, medians. The tools are those of `tests/corpus` (70 domains), for 10,000 of them repeated under other names \
         (10 domains)."
    );
    let title = "What a node answers by itself";
    Ok(Section { id: "call/meta", title, method, table })
}

async fn row(node: &Subject, question: &Question, era: Era) -> anyhow::Result<Vec<String>> {
    let (mut rates, mut shown, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for connections in CONNECTIONS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let mut plan = node.plan(era, FIXTURE, question.request(era), &question.expect);
            plan.connections = connections;
            plan.measured = SECONDS;
            plan.warm_up = WARM_UP;
            let run = generator::run(&plan, &[&node.processes]).await?;
            bytes = run.report.answer_bytes;
            rounds.push(Figures::of(&run));
        }
        let figures = Figures::median(&rounds);
        rates.push(per_second(figures.rate));
        if connections == SHOWN {
            shown =
                vec![time(figures.latency.p50), time(figures.latency.p99), format!("{:.1} µs", figures.own)];
        }
    }
    let head = vec![question.what.to_owned(), revision(era).to_owned(), format!("{:.1} KiB", bytes / 1024.0)];
    Ok([head, rates, shown].concat())
}
