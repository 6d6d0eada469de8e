//! How soon a program is answered, and how many there can be, beside the other gateway that has code mode.

use serde_json::json;

use super::{ERA, domains, peer};
use crate::Setting;
use crate::call::calls;
use crate::call::figures::{Figures, per_second, time};
use crate::call::generator;
use crate::call::subject::{Subject, Upstream};
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::target::Target;

const ROUNDS: usize = 3;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 1.0;

/// What is run, by how many at one time.
struct Test {
    what: &'static str,
    code: String,
    expect: &'static str,
    connections: usize,
    goal: Goal,
}

/// What one node is to reach.
enum Goal {
    /// Milliseconds, half of the programs.
    Soon(Target),
    /// Programs per second of processor time.
    PerCore(Target),
}

/// A gateway and what it did in the rounds of one test.
struct Contender {
    subject: Subject,
    rounds: Vec<Figures>,
    failures: u64,
}

impl Goal {
    fn verdict(&self, figures: &Figures) -> String {
        match self {
            Self::Soon(target) => target.verdict(figures.latency.p50 / 1000.0),
            Self::PerCore(target) => target.verdict(1_000_000.0 / figures.own),
        }
    }
}

fn tests() -> Vec<Test> {
    let (echo, soon) = (Callable::Small.tool(ERA), Callable::Soon.tool(ERA));
    let three_lines =
        format!("r = await {echo}(text='x')\nwords = [w for w in str(r).split() if w]\n{{'n': len(words)}}");
    let gathered = format!(
        "import asyncio\nr = await asyncio.gather(*[{soon}(text='x') for _ in range(10)])\n'n' + str(len(r))"
    );
    let test = |what, code: &str, expect, connections, goal| Test {
        what,
        code: code.to_owned(),
        expect,
        connections,
        goal,
    };
    let soon = |most| Goal::Soon(Target::at_most(most, " ms p50"));
    let many = Goal::PerCore(Target::at_least(100.0, " per s and core"));
    vec![
        test("an expression, a worker stands ready", "1 + 1", "\"text\":\"2\"", 1, soon(1.0)),
        test("three lines with a call", &three_lines, "{'n': ", 1, soon(1.0)),
        test("three lines with a call, 8 at a time", &three_lines, "{'n': ", 8, many),
        test("ten calls of 50 ms gathered", &gathered, "\"n10\"", 1, soon(70.0)),
    ]
}

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let on = [("GATEWAY_CODE_MODE", "true"), ("TOOLPLANE_CODE_MODE_READY_WORKERS", "8")];
    let ours = Subject::standalone_with(setting, &upstream.domains(&domains()), &on).await?;
    let mut contenders = vec![Contender::new(ours)];
    let reference = peer::start(setting, &upstream).await;
    let missing = reference.map(|subject| contenders.push(Contender::new(subject))).err();
    let mut table = Table::new(&[
        "program",
        "gateway",
        "programs/s",
        "failed",
        "p50",
        "p99",
        "CPU per program",
        "one node is so many times as fast",
        "and needs so many times less CPU",
        "target",
    ]);
    for test in tests() {
        for _ in 0..setting.times(ROUNDS) {
            for contender in &mut contenders {
                contender.measure(setting, &test).await?;
            }
        }
        rows(&mut contenders, &test, &mut table);
    }
    let mut method = format!(
        "Programs through `execute_code`, over HTTP and with everything that a call passes; {ROUNDS} rounds of {SECONDS} s \
         for each gateway in turn, medians. One node runs each program in a process of its own, of which eight stand \
         ready; the other gateway, which has the interpreter that its code mode was written for, runs them in its own \
         process, with its default settings and everybody permitted. Processor time is counted with processes that have \
         ended. Targets are for one node."
    );
    if let Some(why) = missing {
        method.extend([" The other gateway ", &why, "."]);
    }
    Ok(Section { id: "code/programs", title: "Programs".to_owned(), method, table })
}

impl Contender {
    fn new(subject: Subject) -> Self {
        Self { subject, rounds: Vec::new(), failures: 0 }
    }

    /// One round; programs that fail are part of what is measured.
    async fn measure(&mut self, setting: &Setting, test: &Test) -> anyhow::Result<()> {
        let request = calls::meta_tool(ERA, "execute_code", &json!({ "code": test.code }));
        let mut plan = self.subject.plan(ERA, FIXTURE, request, test.expect);
        plan.connections = test.connections;
        (plan.measured, plan.warm_up) = (setting.seconds(SECONDS), setting.seconds(WARM_UP));
        let run = generator::run_leniently(&plan, &[&self.subject.processes]).await?;
        if let Some(failure) = &run.report.first_failure {
            eprintln!("{}: {failure}", self.subject.name);
        }
        self.failures += run.report.failures;
        self.rounds.push(Figures::of(&run));
        Ok(())
    }
}

/// The rows of one test, whose rounds are forgotten then; the first contender is ours.
fn rows(contenders: &mut [Contender], test: &Test, table: &mut Table) {
    let mut ours: Option<Figures> = None;
    for contender in contenders {
        let figures = Figures::median(&std::mem::take(&mut contender.rounds));
        let mut cells = vec![test.what.to_owned(), contender.subject.name.clone()];
        cells.extend([
            per_second(figures.rate),
            std::mem::take(&mut contender.failures).to_string(),
            time(figures.latency.p50),
            time(figures.latency.p99),
            format!("{:.0} µs", figures.own),
        ]);
        match &ours {
            None => cells.extend([String::new(), String::new(), test.goal.verdict(&figures)]),
            Some(ours) if figures.rate > 0.0 => cells.extend([
                format!("{:.1}", ours.rate / figures.rate),
                format!("{:.1}", figures.own / ours.own),
                String::new(),
            ]),
            Some(_) => cells.extend([const { String::new() }; 3]),
        }
        ours.get_or_insert(figures);
        table.row(cells);
    }
}
