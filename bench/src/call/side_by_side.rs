//! `execute_tool` through several subjects that take turns.

use super::calls;
use super::figures::Figures;
use super::generator;
use super::registries;
use super::subject::{Subject, Upstream};
use super::two_nodes;
use crate::Setting;
use crate::static_upstream::catalog::{Callable, FIXTURE};
use crate::static_upstream::{ANSWER_MARK, Era};

const WARM_UP: f64 = 0.4;

/// A call under some load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) tool: Callable,
    pub(super) era: Era,
    pub(super) connections: usize,
    /// Calls per second on a timetable, or as fast as answers come.
    pub(super) rate: Option<f64>,
    /// How long a round takes.
    pub(super) seconds: f64,
}

/// Direct, pass-through and one node, in this order, and two nodes where they are wanted and there is an nginx.
pub(super) async fn subjects(
    setting: &Setting,
    upstream: &Upstream,
    with_two_nodes: bool,
) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = vec![
        Subject::direct(upstream),
        Subject::pass_through(upstream).await?,
        Subject::standalone(setting, &upstream.domains(&registries::fixtures())).await?,
    ];
    if with_two_nodes {
        match two_nodes::start(setting, upstream, &registries::fixtures()).await {
            Ok(two_nodes) => subjects.extend(two_nodes),
            Err(error) => eprintln!("two nodes are left out: {error:#}"),
        }
    }
    Ok(subjects)
}

/// What the tables say of the last of them.
pub(super) fn about_two_nodes(subjects: &[Subject]) -> &'static str {
    if subjects.iter().any(|subject| subject.name == two_nodes::NAME) {
        "*Two nodes* are `toolplane data-plane` twice, behind nginx with `deploy/load-balancers/nginx.conf`; processor time \
         is that of both and nginx. They share the processors of one machine, so they cannot be faster here than one: what \
         they show is the price of the load balancer."
    } else {
        "Two nodes were not measured: they did not start, or there is no nginx here (`apt-get install nginx`)."
    }
}

/// Each subject's rounds; they take turns.
pub(super) async fn rounds(
    upstream: &Upstream,
    subjects: &[Subject],
    case: &Case,
    rounds: usize,
) -> anyhow::Result<Vec<Vec<Figures>>> {
    let mut figures = vec![Vec::new(); subjects.len()];
    for _ in 0..rounds {
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            figures.push(round(upstream, subject, case).await?);
        }
    }
    Ok(figures)
}

/// One round of one subject.
pub(super) async fn round(upstream: &Upstream, subject: &Subject, case: &Case) -> anyhow::Result<Figures> {
    let request = calls::execute(subject.asked, case.era, &case.tool.tool(case.era));
    let mut plan = subject.plan(case.era, FIXTURE, request, ANSWER_MARK);
    plan.connections = case.connections;
    plan.rate = case.rate;
    plan.measured = case.seconds;
    plan.warm_up = WARM_UP.min(case.seconds);
    Ok(Figures::of(&generator::run(&plan, &[&subject.processes, &upstream.processes]).await?))
}

/// Each subject's medians.
pub(super) async fn medians(
    upstream: &Upstream,
    subjects: &[Subject],
    case: &Case,
    times: usize,
) -> anyhow::Result<Vec<Figures>> {
    let of_each = rounds(upstream, subjects, case, times).await?;
    Ok(of_each.iter().map(|rounds| Figures::median(rounds)).collect())
}
