//! How soon a program is answered, and how many there can be.

use std::path::Path;

use serde_json::json;

use super::{ERA, domains};
use crate::Setting;
use crate::call::calls;
use crate::call::figures::{Figures, per_second, time};
use crate::call::generator;
use crate::call::subject::{Subject, Surroundings, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::world::child::{Program, free_port};

/// The other gateway with code mode, as `scripts/bench` names it.
const REFERENCE: &str = "fastmcp-gateway-code";
const ROUNDS: usize = 3;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 1.0;

/// What is run, by how many at one time.
struct Test {
    what: &'static str,
    code: String,
    expect: &'static str,
    connections: usize,
    target: &'static str,
}

fn tests() -> Vec<Test> {
    let (echo, soon) = (Callable::Small.tool(ERA), Callable::Soon.tool(ERA));
    let three_lines =
        format!("r = await {echo}(text='x')\nwords = [w for w in str(r).split() if w]\n{{'n': len(words)}}");
    let test = |what, code: &str, expect, connections, target| Test {
        what,
        code: code.to_owned(),
        expect,
        connections,
        target,
    };
    vec![
        test("an expression, a worker stands ready", "1 + 1", "\"text\":\"2\"", 1, "p50 ≤ 1 ms"),
        test("three lines with a call", &three_lines, "{'n': ", 1, "p50 ≤ 1 ms"),
        test("three lines with a call, 8 at a time", &three_lines, "{'n': ", 8, "≥ 100 per s and core"),
        test(
            "ten calls of 50 ms gathered",
            &format!(
                "import asyncio\nr = await asyncio.gather(*[{soon}(text='x') for _ in range(10)])\n'n' + str(len(r))"
            ),
            "\"n10\"",
            1,
            "p50 ≤ 70 ms",
        ),
    ]
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let upstreams = upstream.domains(&domains());
    let on = [("GATEWAY_CODE_MODE", "true"), ("TOOLPLANE_CODE_MODE_READY_WORKERS", "8")];
    let mut subjects = vec![Subject::standalone_with(setting, &upstreams, &on).await?];
    let mut missing = Vec::new();
    for (name, python) in setting.peers.iter().filter(|(name, _)| name == REFERENCE) {
        match reference(name, python, &upstreams.to_string()).await {
            Ok(subject) => subjects.push(subject),
            Err(error) => missing.push(format!("{name} ({error:#})")),
        }
    }
    let mut table = Table::new(&["program", "gateway", "programs/s", "failed", "p50", "p99", "target"]);
    for test in tests() {
        let mut rounds = vec![Vec::new(); subjects.len()];
        let mut failures = vec![0; subjects.len()];
        for _ in 0..setting.times(ROUNDS) {
            for (at, subject) in subjects.iter().enumerate() {
                let request = calls::meta_tool(ERA, "execute_code", &json!({ "code": test.code }));
                let mut plan = subject.plan(ERA, FIXTURE, request, test.expect);
                plan.connections = test.connections;
                (plan.measured, plan.warm_up) = (setting.seconds(SECONDS), setting.seconds(WARM_UP));
                let run = generator::run_leniently(&plan, &[&subject.processes]).await?;
                if let Some(failure) = &run.report.first_failure {
                    eprintln!("{}: {failure}", subject.name);
                }
                failures[at] += run.report.failures;
                rounds[at].push(Figures::of(&run));
            }
        }
        for (at, subject) in subjects.iter().enumerate() {
            let figures = Figures::median(&rounds[at]);
            table.row(vec![
                test.what.to_owned(),
                subject.name.clone(),
                per_second(figures.rate),
                failures[at].to_string(),
                time(figures.latency.p50),
                time(figures.latency.p99),
                if at == 0 { test.target.to_owned() } else { String::new() },
            ]);
        }
    }
    let mut method = format!(
        "Programs through `execute_code`, over HTTP and with everything that a call passes; {ROUNDS} rounds of {SECONDS} s \
         for each gateway in turn, medians. One node runs each program in a process of its own, of which eight stand \
         ready; the other gateway runs them in its own process."
    );
    if !missing.is_empty() {
        method.extend([" Did not start: ", &missing.join(", "), "."]);
    }
    Ok(Section { id: "code/programs", title: "Programs".to_owned(), method, table })
}

/// The other gateway, with code mode on.
async fn reference(name: &str, python: &Path, upstreams: &str) -> anyhow::Result<Subject> {
    let port = free_port()?;
    let program = Program::new(python, &["bench/peers/code_mode.py"])
        .with("GATEWAY_HOST", "127.0.0.1")
        .with("GATEWAY_PORT", port.to_string())
        .with("GATEWAY_UPSTREAMS", upstreams);
    let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
    process.until_ready(name, &url).await?;
    Ok(Subject::gateway(name, url, process, Surroundings::default()))
}
