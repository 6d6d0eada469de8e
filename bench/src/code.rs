//! What a program costs: how soon it is answered, how many there can be, and whether hostile ones delay others.
//!
//! ```text
//! scripts/bench code                     everything, about 3 minutes
//! scripts/bench code --only neighbors    a node under hostile programs
//! ```
//!
//! Subjects and load generators are those of [`crate::call`].

mod memory;
mod neighbors;
mod programs;

use crate::Setting;
use crate::call::subject::{Domain, Upstream};
use crate::report::Section;
use crate::static_upstream::Era;
use crate::static_upstream::catalog::FIXTURE;

/// Every gateway here speaks it, on both sides.
const ERA: Era = Era::Handshake;

/// Measures all of it.
pub(crate) async fn run(setting: &Setting) -> anyhow::Result<Vec<Section>> {
    let upstream = Upstream::start().await?;
    let mut sections = Vec::new();
    if setting.wants("programs") {
        sections.push(programs::run(setting, &upstream).await?);
    }
    if setting.wants("memory") {
        sections.push(memory::run(setting, &upstream).await?);
    }
    if setting.wants("neighbors") {
        sections.push(neighbors::run(setting, &upstream).await?);
    }
    Ok(sections)
}

/// The tools that programs call.
fn domains() -> Vec<Domain> {
    vec![(ERA.name().to_owned(), ERA, FIXTURE.to_owned())]
}
