//! Groups of measurements, the parts that they are made of, and how a run goes through them.
//!
//! A part starts what it measures, measures it and ends it, so no part needs another: one that fails or takes too long
//! is noted, and the next one runs. A new group is a module with a `const GROUP: Group` and a line in [`GROUPS`].

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::report::{self, Section, Table};
use crate::world::machine;
use crate::{Setting, call, code, hooks, sync};

/// What can be measured.
pub(crate) const GROUPS: &[Group] = &[call::GROUP, code::GROUP, hooks::GROUP, sync::GROUP];

/// Measurements of one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// As the command line calls it.
    pub(crate) name: &'static str,
    /// Names the section that tells how the run went.
    pub(crate) record: &'static str,
    /// In the order in which they run.
    pub(crate) parts: &'static [Part],
}

/// One measurement with its tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// What `--only` looks for.
    pub(crate) name: &'static str,
    /// Seconds on a quiet machine with two processors.
    pub(crate) expected: u64,
    pub(crate) run: Run,
}

/// Measures; ends what it started when it is dropped.
pub(crate) type Run = for<'a> fn(&'a Setting) -> LocalBoxFuture<'a, anyhow::Result<Vec<Section>>>;

/// A part with a single table.
pub(crate) fn one<'a>(
    part: impl Future<Output = anyhow::Result<Section>> + 'a,
) -> LocalBoxFuture<'a, anyhow::Result<Vec<Section>>> {
    part.map(|section| Ok(vec![section?])).boxed_local()
}

impl Part {
    /// As long as it may take: machines are busy and slow, but a run has to end.
    fn limit(&self) -> Duration {
        Duration::from_secs(self.expected * 2 + 90)
    }
}

/// How a part went.
struct Outcome {
    part: Part,
    took: Duration,
    load: [String; 2],
    failure: Option<String>,
}

/// Runs what is wanted of the groups, prints and keeps the tables; fails at the end where a part has failed.
#[expect(clippy::future_not_send, reason = "it runs on the main thread and is never spawned")]
pub(crate) async fn run(groups: &[&Group], setting: &Setting, results: &Path) -> anyhow::Result<()> {
    announce(groups, setting);
    let mut failed = Vec::new();
    for group in groups {
        let mut outcomes = Vec::new();
        for part in wanted(group, setting) {
            outcomes.push(run_part(group, part, setting, results).await?);
        }
        failed.extend(outcomes.iter().filter(|one| one.failure.is_some()).map(|one| one.part.name));
        // What one part took says little; a whole run is worth keeping.
        if setting.only.is_none() {
            let record = record(group, &outcomes);
            report::publish(results, &record, &machine::facts(&setting.binary, &machine::load()).await)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("not measured: {}", failed.join(", ")) }
}

fn wanted<'a>(group: &'a Group, setting: &'a Setting) -> impl Iterator<Item = &'a Part> {
    group.parts.iter().filter(|part| setting.wants(part.name))
}

/// Says what is about to happen, and how long that takes.
fn announce(groups: &[&Group], setting: &Setting) {
    let (mut expected, mut limit) = (0, 0);
    for group in groups {
        for part in wanted(group, setting) {
            let (usual, most) = (part.expected, part.limit().as_secs());
            eprintln!(
                "{:>6} {:<36} {:>5.1} min, at most {:>4.1}",
                group.name,
                part.name,
                minutes(usual),
                minutes(most)
            );
            (expected, limit) = (expected + usual, limit + most);
        }
    }
    eprintln!("{:>43} {:>5.1} min, at most {:>4.1}", "all of it", minutes(expected), minutes(limit));
}

#[expect(clippy::future_not_send, reason = "it runs on the main thread and is never spawned")]
async fn run_part(group: &Group, part: &Part, setting: &Setting, results: &Path) -> anyhow::Result<Outcome> {
    eprintln!("{} {} ...", group.name, part.name);
    let (started, before) = (Instant::now(), machine::load());
    let facts = machine::facts(&setting.binary, &before).await;
    let measured = tokio::time::timeout(part.limit(), (part.run)(setting)).await;
    let took = started.elapsed();
    let failure = match measured {
        Ok(Ok(sections)) => {
            for section in sections {
                report::publish(results, &section, &facts)?;
            }
            None
        }
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("took too long".to_owned()),
    };
    let said = failure.as_ref().map_or_else(|| "done".to_owned(), |failure| format!("FAILED: {failure}"));
    eprintln!("{} {} took {} s: {said}", group.name, part.name, took.as_secs());
    Ok(Outcome { part: *part, took, load: [before, machine::load()], failure })
}

/// The section that tells how long parts took, and which are missing.
fn record(group: &Group, outcomes: &[Outcome]) -> Section {
    let mut table = Table::new(&["part", "expected", "took", "load before", "load after", "outcome"]);
    let mut total = Duration::ZERO;
    for Outcome { part, took, load: [before, after], failure } in outcomes {
        total += *took;
        table.row(vec![
            part.name.to_owned(),
            format!("{:.1} min", minutes(part.expected)),
            format!("{:.1} min", minutes(took.as_secs())),
            before.clone(),
            after.clone(),
            // A table has no room for the rest of it.
            failure
                .as_ref()
                .map_or_else(|| "measured".to_owned(), |failure| format!("failed: {}", short(failure))),
        ]);
    }
    let method = format!(
        "The last whole run of `scripts/bench {}` measured for {:.1} minutes. Load is the mean number of processes that \
         ran or waited for a processor, over a minute; this run's own are among those after a part, and anything above \
         that is what else the machine did. A part that failed left its section as it was.",
        group.name,
        minutes(total.as_secs())
    );
    let title = format!("How the run of `{}` went", group.name);
    Section { id: group.record, title, method, table }
}

fn short(failure: &str) -> String {
    let line: String = failure.lines().next().unwrap_or_default().chars().take(120).collect();
    line.replace('|', "/")
}

#[expect(clippy::cast_precision_loss, reason = "a run does not take 2^52 seconds")]
fn minutes(seconds: u64) -> f64 {
    seconds as f64 / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(_: &Setting) -> LocalBoxFuture<'_, anyhow::Result<Vec<Section>>> {
        async { bail!("no | reason\nat all") }.boxed_local()
    }

    fn answers(_: &Setting) -> LocalBoxFuture<'_, anyhow::Result<Vec<Section>>> {
        let title = "What".to_owned();
        one(async { Ok(Section { id: "test/it", title, method: String::new(), table: Table::new(&["a"]) }) })
    }

    #[tokio::test]
    async fn a_part_that_fails_is_noted_and_the_next_one_runs() {
        const PARTS: &[Part] = &[
            Part { name: "ends", expected: 1, run: ends },
            Part { name: "answers", expected: 1, run: answers },
        ];
        const GROUP: Group = Group { name: "test", record: "test/run", parts: PARTS };
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("RESULTS.md");
        let error = run(&[&GROUP], &Setting::of_test(), &results).await.unwrap_err();
        assert_eq!(error.to_string(), "not measured: ends");
        let kept = std::fs::read_to_string(results).unwrap();
        for wanted in ["failed: no / reason", "begin test/it"] {
            assert!(kept.contains(wanted), "{wanted} is not in {kept}");
        }
    }

    #[test]
    fn every_part_has_a_name_of_its_own() {
        let mut names: Vec<&str> =
            GROUPS.iter().flat_map(|group| group.parts).map(|part| part.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
