//! Whether hostile programs delay others.

use serde_json::json;

use super::{ERA, domains};
use crate::Setting;
use crate::call::calls;
use crate::call::figures::{Figures, median, time, times};
use crate::call::generator::{self, Generator};
use crate::call::subject::{Subject, Upstream};
use crate::load::Plan;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::FIXTURE;
use crate::target::Target;

/// Callers that send nothing but hostile programs.
const HOSTILE: usize = 16;
const RATE: f64 = 200.0;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 0.5;

const DELAYED: Target = Target::at_most(2.0, " ×");

/// One of each kind.
const PROGRAMS: [&str; 5] = [
    "while True:\n    pass",
    "a = [1]\nwhile True:\n    a = a + a",
    "x = 3\nwhile True:\n    x = x * x",
    "while True:\n    try:\n        def f():\n            f()\n        f()\n    except RecursionError:\n        pass",
    "import re\nwhile True:\n    re.findall('a*b', 'a' * 20000)",
];

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let on = [
        ("GATEWAY_CODE_MODE", "true"),
        ("GATEWAY_CODE_MODE_MAX_DURATION_SECS", "2"),
        ("TOOLPLANE_CODE_MODE_CORES", "1"),
        // All of them are one caller here, and each is to have its programs run.
        ("TOOLPLANE_CODE_MODE_MAX_RUNS_PER_CALLER", "16"),
    ];
    let node = Subject::standalone_with(setting, &upstream.domains(&domains()), &on).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..setting.times(ROUNDS) {
        alone.push(Figures::of(&generator::run(&discover(setting, &node), &[&node.processes]).await?));
        let hostile = Generator::begin(&hostile(&node)).await?;
        beside.push(Figures::of(&generator::run(&discover(setting, &node), &[&node.processes]).await?));
        hostile.end().await?;
    }
    let mut table =
        Table::new(&["programs meanwhile", "calls/s", "p50", "p99", "p99 with ÷ without", "target"]);
    let ratio =
        median(beside.iter().zip(&alone).map(|(beside, alone)| beside.latency.p99 / alone.latency.p99));
    for (what, rounds, ratio) in [("none", &alone, None), ("16 hostile ones at a time", &beside, Some(ratio))]
    {
        let figures = Figures::median(rounds);
        table.row(vec![
            what.to_owned(),
            format!("{:.0}", figures.rate),
            time(figures.latency.p50),
            time(figures.latency.p99),
            ratio.map(|ratio| times(ratio, 1.0)).unwrap_or_default(),
            ratio.map(|ratio| DELAYED.verdict(ratio)).unwrap_or_default(),
        ]);
    }
    let method = format!(
        "`discover_tools` on a timetable of {RATE} per second over {CONNECTIONS} connections, with and without {HOSTILE} \
         connections that send nothing but programs that loop, fill memory, multiply, recurse and search, each until a \
         limit ends it after at most 2 s. All programs share one core (`TOOLPLANE_CODE_MODE_CORES=1`). {ROUNDS} rounds of \
         {SECONDS} s of both in turn; the ratio is the median of the rounds' ratios."
    );
    Ok(Section {
        id: "code/neighbors",
        title: "Hostile programs and their neighbors".to_owned(),
        method,
        table,
    })
}

fn discover(setting: &Setting, node: &Subject) -> Plan {
    let request = calls::meta_tool(ERA, "discover_tools", &json!({}));
    let mut plan = node.plan(ERA, FIXTURE, request, "total_tools");
    plan.connections = CONNECTIONS;
    plan.rate = Some(RATE);
    plan.measured = setting.seconds(SECONDS);
    plan.warm_up = setting.seconds(WARM_UP);
    plan
}

fn hostile(node: &Subject) -> Plan {
    let request = |code: &&str| calls::meta_tool(ERA, "execute_code", &json!({ "code": code }));
    let mut plan = node.plan(ERA, FIXTURE, request(&PROGRAMS[0]), "limit_exceeded");
    plan.requests = PROGRAMS.iter().map(request).collect();
    plan.connections = HOSTILE;
    // Longer than anybody lets it run.
    plan.measured = 600.0;
    plan
}
