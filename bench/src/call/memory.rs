//! How much memory a node takes under load.

use anyhow::Context as _;
use toolplane_testkit::TestDatabase;

use super::calls;
use super::generator;
use super::registries;
use super::subject::{Subject, Surroundings, Upstream, until_listed};
use crate::Setting;
use crate::load::Plan;
use crate::report::{Section, Table};
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};
use crate::target::Target;
use crate::world::fleet::Fleet;

const CONNECTIONS: usize = 256;
const SECONDS: f64 = 5.0;

const RSS: Target = Target::at_most(60.0, " MiB");

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let mut table = Table::new(&[
        "process",
        "RSS at rest",
        "calls",
        "calls/s",
        "RSS under load",
        "most ever",
        "at rest again",
        "target for RSS under load",
    ]);
    let subjects = [
        ("`toolplane data-plane`, a node alone", node(setting, &upstream).await?, Some(RSS)),
        ("`toolplane standalone`, both planes in one", standalone(setting, &upstream).await?, None),
    ];
    for (what, subject, target) in &subjects {
        let rest = subject.usage()?;
        let mut plan = plan(subject);
        plan.measured = setting.seconds(SECONDS);
        let (load, under_load) = tokio::join!(generator::run(&plan, &[]), midway(subject, plan.measured));
        let (report, under_load, after) = (load?.report, under_load?, subject.usage()?);
        table.row(vec![
            (*what).to_owned(),
            format!("{:.1} MiB", rest.rss),
            report.calls.to_string(),
            format!("{:.0}", report.rate()),
            format!("{under_load:.1} MiB"),
            format!("{:.1} MiB", after.peak),
            format!("{:.1} MiB", after.rss),
            target.map(|target| target.verdict(under_load)).unwrap_or_default(),
        ]);
    }
    let method = format!(
        "One node with the 527 tools of `tests/corpus` and five to call; {CONNECTIONS} connections call `execute_tool` as \
         fast as they are answered for {} s. Memory is resident memory of the whole process, the file pages of its binary \
         included. *Under load* is the most that was read in between, every tenth of a second; *most ever* is the kernel's \
         high-water mark since the process started, so it holds what starting took. The node alone follows a control plane \
         that is a process of its own; *standalone* holds the control plane and its database too.",
        setting.seconds(SECONDS)
    );
    let title = "Memory of a node under load".to_owned();
    Ok(Section { id: "call/memory", title, method, table })
}

/// The largest resident memory for as long as the load lasts.
async fn midway(subject: &Subject, seconds: f64) -> anyhow::Result<f64> {
    let mut most = 0.0;
    let ends = tokio::time::Instant::now() + std::time::Duration::from_secs_f64(seconds);
    while tokio::time::Instant::now() < ends {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        most = subject.usage()?.rss.max(most);
    }
    Ok(most)
}

/// A small call over many connections.
pub(super) fn plan(subject: &Subject) -> Plan {
    let request = calls::execute(subject.asked, Era::Stateless, &Callable::Small.tool(Era::Stateless));
    let mut plan = subject.plan(Era::Stateless, FIXTURE, request, ANSWER_MARK);
    plan.connections = CONNECTIONS;
    plan
}

/// Both planes, with the tools of the corpus and those to call.
pub(super) async fn standalone(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Subject> {
    Subject::standalone(setting, &upstream.domains(&registries::corpus_to_call())).await
}

/// A data plane by itself.
pub(super) async fn node(setting: &Setting, upstream: &Upstream) -> anyhow::Result<Subject> {
    let database = TestDatabase::sqlite();
    let fleet = Fleet::start(&setting.binary, database.url()).await?;
    let domains = registries::corpus_to_call();
    for (domain, url) in upstream.domains(&domains).as_object().context("an object")? {
        fleet.control_plane.register(domain, url.as_str().context("a url")?).await?;
    }
    let (child, authority) = fleet.quiet_node("node").await?;
    let url = format!("http://{authority}");
    until_listed(&url, domains.len()).await?;
    let surroundings = Surroundings { _folder: None, _fleet: Some((fleet, database)) };
    Ok(Subject::gateway("a node alone", url, child, surroundings))
}
