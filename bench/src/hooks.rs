//! What hooks cost: none, one behind a Unix socket, one in Python; and what the way to that socket costs by itself.

mod floor;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::Setting;
use crate::call::figures::{Figures, median, per_second, time};
use crate::call::subject::{Subject, Upstream, this};
use crate::call::{calls, generator, registries};
use crate::group::{Group, Part, one};
use crate::hook_service::PYTHON;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};
use crate::target::Target;

const CONNECTIONS: usize = 8;
/// Little enough that no subject is busy: what is measured is the way, not the waiting in line.
const RATE: f64 = 200.0;
const ROUNDS: usize = 5;
const SECONDS: f64 = 3.0;
const WARM_UP: f64 = 0.5;

const ONE_SERVICE: Target = Target::at_most(200.0, " µs p50");
const PYTHON_HOOK: Target = Target::at_most(1000.0, " µs p50");

/// Measurements of hooks.
pub(crate) const GROUP: Group = Group {
    name: "hooks",
    record: "hooks/run",
    parts: &[Part { name: "overhead", expected: 60, run: |setting| one(overhead(setting)) }],
};

/// Whom to measure, how it is called, and its target.
type Measured = (Subject, &'static str, Option<Target>);

async fn overhead(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("hooks.sock");
    let mut program = this(&["hook-service"])?;
    program.arguments.push(socket.clone().into());
    let (_service, _) = program.start_and_listen().await?;
    std::fs::write(folder.path().join("quiet_hooks.py"), PYTHON)?;
    let subjects = subjects(setting, &upstream, &socket).await?;
    let (mut rounds, mut alone) = (vec![Vec::new(); subjects.len()], Vec::new());
    for _ in 0..setting.times(ROUNDS) {
        let callers = u32::try_from(CONNECTIONS)?;
        let measured = Duration::from_secs_f64(setting.seconds(SECONDS));
        alone.push(floor::measure(&socket, RATE, callers, measured).await?);
        for ((subject, ..), rounds) in subjects.iter().zip(&mut rounds) {
            rounds.push(measure(setting, &upstream, subject).await?);
        }
    }
    let method = format!(
        "`execute_tool` on a fixed timetable of {RATE} calls per second over {CONNECTIONS} connections, small answers, \
         stateless revision on both sides, {ROUNDS} rounds of {SECONDS} s for each subject in turn. The hook takes part in \
         `before_execute` and changes nothing. *Added* is the median over rounds of the difference to the same round \
         without hooks. *The question alone* goes to the same service over a bare channel of `tonic`, from the load \
         generator, as often and without a node. Caller, node, hooks and upstream share the processors."
    );
    let title = "What a hook adds to the latency of `execute_tool`".to_owned();
    let mut table = table(&subjects, &rounds);
    let (p50, p99) =
        (median(alone.iter().map(|times| times.p50)), median(alone.iter().map(|times| times.p99)));
    let none = String::new;
    let row =
        ["the question alone".to_owned(), per_second(RATE), time(p50), time(p99), none(), none(), none()];
    table.row(row.to_vec());
    Ok(Section { id: "hooks/overhead", title, method, table })
}

fn table(subjects: &[Measured], rounds: &[Vec<Figures>]) -> Table {
    let mut table = Table::new(&["hooks", "calls/s", "p50", "p99", "added p50", "added p99", "target"]);
    let none = rounds.first().cloned().unwrap_or_default();
    for ((_, name, target), rounds) in subjects.iter().zip(rounds) {
        let of_all = Figures::median(rounds);
        let added = |quantile: fn(&Figures) -> f64| {
            median(rounds.iter().zip(&none).map(|(round, none)| quantile(round) - quantile(none)))
        };
        let p50 = added(|round| round.latency.p50);
        table.row(vec![
            (*name).to_owned(),
            per_second(of_all.rate),
            time(of_all.latency.p50),
            time(of_all.latency.p99),
            time(p50),
            time(added(|round| round.latency.p99)),
            target.as_ref().map_or_else(String::new, |target| target.verdict(p50)),
        ]);
    }
    table
}

async fn subjects(setting: &Setting, upstream: &Upstream, socket: &Path) -> anyhow::Result<Vec<Measured>> {
    let domains = upstream.domains(&registries::fixtures());
    let service = format!("unix:{}", socket.display());
    let hooked = Subject::standalone_with(setting, &domains, &[("TOOLPLANE_HOOKS", &service)]).await?;
    let mut subjects = vec![
        (Subject::standalone(setting, &domains).await?, "no hooks", None),
        (hooked, "one service on a Unix socket", Some(ONE_SERVICE)),
    ];
    // `scripts/bench` finds one; without it Python is left out.
    let Some(python) = std::env::var_os("BENCH_HOOKS_PYTHON").map(OsString::into_string) else {
        eprintln!("BENCH_HOOKS_PYTHON names no interpreter with grpcio: Python is not measured");
        return Ok(subjects);
    };
    let python = python.ok().context("BENCH_HOOKS_PYTHON is no text")?;
    let folder = socket.parent().and_then(Path::to_str).context("a folder")?;
    let variables = [
        ("TOOLPLANE_HOOKS_PYTHON", python.as_str()),
        ("PYTHONPATH", folder),
        ("GATEWAY_HOOK_MODULE", "quiet_hooks:create"),
        ("GATEWAY_ALLOWED_HOOK_PREFIXES", "quiet_hooks"),
    ];
    let subject = Subject::standalone_with(setting, &domains, &variables).await?;
    subjects.push((subject, "one hook in Python", Some(PYTHON_HOOK)));
    Ok(subjects)
}

async fn measure(setting: &Setting, upstream: &Upstream, subject: &Subject) -> anyhow::Result<Figures> {
    let request = calls::execute(subject.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = subject.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    (plan.connections, plan.rate) = (CONNECTIONS, Some(RATE));
    (plan.measured, plan.warm_up) = (setting.seconds(SECONDS), setting.seconds(WARM_UP));
    Ok(Figures::of(&generator::run(&plan, &[&subject.processes, &upstream.processes]).await?))
}
