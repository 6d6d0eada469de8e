//! What a call costs on its way through a node: throughput, latency and processor time, side by side with what stands
//! at both ends of the scale.
//!
//! ```text
//! scripts/bench call                     everything, about 15 minutes
//! scripts/bench call --only execute      direct, pass-through and one node: calls per second, latency, and the
//!                                        processor time per call of client, subject and upstream; about 1 minute
//! BENCH_PROFILE=release scripts/bench …  the profile that is quicker to build than the one that is shipped
//! ```
//!
//! Client, subject and upstream are processes of their own, so that `/proc` tells apart what each of them uses. Subjects
//! take turns, round by round, and the median of the rounds counts: what else the machine does meets all of them alike.
//! Modules below measure one thing each and own their table; [`subject`], [`calls`] and [`generator`] are what they share.

mod added;
pub(crate) mod calls;
mod execute;
pub(crate) mod figures;
pub(crate) mod generator;
mod grid;
pub(crate) mod hooks;
mod memory;
mod meta;
mod peers;
mod registries;
mod requests;
mod slow;
pub(crate) mod subject;
mod two_nodes;

use crate::Setting;
use crate::report::Section;

use subject::{Subject, Upstream};

/// Measures all of it.
pub(crate) async fn run(setting: &Setting) -> anyhow::Result<Vec<Section>> {
    let upstream = Upstream::start().await?;
    let mut sections = Vec::new();
    if ["execute", "grid", "added"].iter().any(|part| setting.wants(part)) {
        let mut subjects = vec![
            Subject::direct(&upstream),
            Subject::pass_through(&upstream).await?,
            Subject::standalone(setting, &upstream.domains(&registries::fixtures()), &[]).await?,
        ];
        if setting.wants("grid") {
            subjects.extend(two_nodes::start(setting, &upstream, &registries::fixtures()).await?);
        }
        if setting.wants("execute") {
            sections.push(execute::run(&upstream, &subjects).await?);
        }
        if setting.wants("grid") {
            sections.push(grid::run(&upstream, &subjects).await?);
        }
        if setting.wants("added") {
            sections.push(added::run(&upstream, &subjects).await?);
        }
    }
    if setting.wants("requests") {
        sections.push(requests::run(setting, &upstream).await?);
    }
    if setting.wants("meta") {
        sections.push(meta::run(setting, &upstream).await?);
    }
    if setting.wants("peers") {
        sections.push(peers::run(setting, &upstream).await?);
    }
    if setting.wants("slow") {
        sections.push(slow::run(setting, &upstream).await?);
    }
    for (part, is_long) in [("memory", false), ("million", true)] {
        if setting.wants(part) {
            sections.push(memory::run(setting, &upstream, is_long).await?);
        }
    }
    Ok(sections)
}
