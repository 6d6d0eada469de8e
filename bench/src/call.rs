//! What a call costs on its way through a node: throughput, latency and processor time, side by side with what stands
//! at both ends of the scale.
//!
//! ```text
//! scripts/bench call                     everything, about 15 minutes
//! scripts/bench call --only execute      direct, pass-through and one node: calls per second, latency, and the
//!                                        processor time per call of client, subject and upstream; about 1 minute
//! scripts/bench call --short             all of it for a moment each, to see that it works
//! BENCH_PROFILE=release scripts/bench …  the profile that is quicker to build than the one that is shipped
//! ```
//!
//! Client, subject and upstream are processes of their own, so that `/proc` tells apart what each of them uses. Subjects
//! take turns, round by round, and the median of the rounds counts: what else the machine does meets all of them alike.
//! Modules below measure one thing each and own their table; [`subject`], [`calls`] and [`generator`] are what they share.

mod added;
mod calls;
pub(crate) mod cancelling;
mod execute;
mod figures;
mod generator;
mod grid;
mod memory;
mod meta;
mod peers;
mod registries;
mod requests;
mod slow;
mod subject;
mod two_nodes;

use crate::Setting;
use crate::report::Section;

use subject::{Subject, Upstream};

/// Measures all of it and has every table kept as soon as it is there. What cannot be measured keeps nothing else from
/// being measured; the names of those parts come back.
pub(crate) async fn run(
    setting: &Setting,
    keep: impl Fn(Section) -> anyhow::Result<()> + Send + Sync,
) -> anyhow::Result<Vec<&'static str>> {
    let upstream = Upstream::start().await?;
    let mut failed = Vec::new();
    let mut take = |part: &'static str, measured: anyhow::Result<Section>| match measured {
        Ok(section) => keep(section),
        Err(error) => {
            eprintln!("{part} cannot be measured: {error:#}");
            failed.push(part);
            Ok(())
        }
    };
    if ["execute", "grid", "added"].iter().any(|part| setting.wants(part)) {
        let mut subjects = vec![
            Subject::direct(setting, &upstream),
            Subject::pass_through(setting, &upstream).await?,
            Subject::standalone(setting, &upstream.domains(&registries::fixtures())).await?,
        ];
        if setting.wants("execute") {
            take("execute", execute::run(&upstream, &subjects).await)?;
        }
        if setting.wants("added") {
            take("added", added::run(&upstream, &subjects).await)?;
        }
        if setting.wants("grid") {
            match two_nodes::start(setting, &upstream, &registries::fixtures()).await {
                Ok(two) => subjects.extend(two),
                Err(error) => eprintln!("two nodes do not start: {error:#}"),
            }
            take("grid", grid::run(&upstream, &subjects).await)?;
        }
    }
    if setting.wants("requests") {
        take("requests", requests::run(setting, &upstream).await)?;
    }
    if setting.wants("cancelling") {
        take("cancelling", cancelling::run(setting, &upstream).await)?;
    }
    if setting.wants("meta") {
        take("meta", meta::run(setting, &upstream).await)?;
    }
    if setting.wants("peers") {
        take("peers", peers::run(setting, &upstream).await)?;
    }
    if setting.wants("slow") {
        take("slow", slow::run(setting, &upstream).await)?;
    }
    for (part, is_long) in [("memory", false), ("million", true)] {
        if setting.wants(part) {
            take(part, memory::run(setting, &upstream, is_long).await)?;
        }
    }
    Ok(failed)
}
