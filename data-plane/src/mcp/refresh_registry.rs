//! `refresh_registry`: asks the control plane to list every upstream again, and says what changed for the caller.
//!
//! Owns that concurrent requests share one run and that runs are rate-limited. The change is told from the caller's
//! own view before and after, so nothing hidden shows.

mod bucket;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use serde::Serialize;
use tokio::sync::Mutex;
use tonic::{Code, Status};
use toolplane_proto::sync::{RefreshError, RefreshRegistryRequest, RefreshRegistryResponse};
use toolplane_registry::{Domain, Snapshot, Version, View};

use self::bucket::Bucket;
use super::error::Error;
use super::text::to_text;
use crate::caller::Caller;
use crate::control_plane::{Again, ControlPlanes, Registrations};
use crate::held_back::HeldBack;
use crate::hooks::visibility::{Scope, Seen};
use crate::live::{Live, Served};

/// What one run brought: domains that could not be listed, or why there was no run. Shared by all who waited.
type Outcome = Result<Arc<Brought>, Arc<str>>;

/// What a run that took place brought.
#[derive(Debug, PartialEq)]
struct Brought {
    errors: Vec<RefreshError>,
    /// A rollout keeps this node from what was found.
    held_back: bool,
}

/// Runs refreshes.
#[derive(Debug)]
pub(crate) struct Refresher {
    live: Arc<Live>,
    control_planes: ControlPlanes,
    patience: Duration,
    labels: Arc<BTreeMap<String, String>>,
    flight: Mutex<Flight>,
}

#[derive(Debug)]
struct Flight {
    running: Option<WeakShared<BoxFuture<'static, Outcome>>>,
    bucket: Bucket,
}

#[derive(Serialize)]
struct Report<'a> {
    refreshed: Vec<Refreshed<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Failed<'a>>,
    /// What was found is not served by this node for now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held_back: bool,
}

#[derive(Serialize)]
struct Refreshed<'a> {
    domain: &'a str,
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
    tool_count: usize,
}

#[derive(Serialize)]
struct Failed<'a> {
    domain: &'a str,
    error: &'a str,
}

impl Refresher {
    pub(crate) fn new(
        live: Arc<Live>,
        control_planes: ControlPlanes,
        patience: Duration,
        labels: BTreeMap<String, String>,
    ) -> Self {
        let flight = Mutex::new(Flight { running: None, bucket: Bucket::default() });
        Self { live, control_planes, patience, labels: Arc::new(labels), flight }
    }

    /// Refreshes and reports what changed since `before`, in the eyes of the caller.
    pub(crate) async fn refresh(&self, before: &Served, caller: &Caller) -> Result<String, Error> {
        let running = self.join().await?;
        let brought = running.await.map_err(|reason| Error::Refresh(reason.to_string()))?;
        let after = self.live.load();
        let had = caller.view(before, Scope::All).await?;
        let has = caller.view(&after, Scope::All).await?;
        let hides = !matches!((&had, &has), (Seen::All(_), Seen::All(_)));
        Ok(report((before.snapshot(), &had), (after.snapshot(), &has), &brought, hides))
    }

    /// Joins the run under way, or starts one.
    async fn join(&self) -> Result<Shared<BoxFuture<'static, Outcome>>, Error> {
        let mut flight = self.flight.lock().await;
        // A run that has ended answered an earlier question; it says nothing about now.
        let under_way =
            flight.running.as_ref().and_then(WeakShared::upgrade).filter(|run| run.peek().is_none());
        if let Some(run) = under_way {
            return Ok(run);
        }
        if !flight.bucket.take(tokio::time::Instant::now()) {
            return Err(Error::RateLimited);
        }
        let (live, control_planes, labels) =
            (Arc::clone(&self.live), self.control_planes.clone(), Arc::clone(&self.labels));
        let patience = self.patience;
        let run = async move { run(&live, &control_planes, patience, &labels).await }.boxed().shared();
        flight.running = run.downgrade();
        Ok(run)
    }
}

async fn run(
    live: &Live,
    control_planes: &ControlPlanes,
    patience: Duration,
    labels: &BTreeMap<String, String>,
) -> Outcome {
    let ask = |mut client: Registrations, request| async move { client.refresh_registry(request).await };
    let asked = control_planes.ask(RefreshRegistryRequest {}, Again::Same, ask).await;
    let RefreshRegistryResponse { version, errors, hold } = asked.map_err(|status| reason(&status))?;
    let version = version.map(Version::from).unwrap_or_default();
    let held_back = HeldBack::of(hold, labels, &version).is_some();
    if !held_back && !live.wait_for(&version, patience).await {
        return Err("this node has not received the result yet".into());
    }
    Ok(Arc::new(Brought { errors, held_back }))
}

fn reason(status: &Status) -> Arc<str> {
    tracing::warn!(code = ?status.code(), "the control plane did not refresh: {}", status.message());
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            "the control plane cannot be reached".into()
        }
        _ => "the control plane refused".into(),
    }
}

/// Both snapshots come with what the caller sees of them, and whether anybody may hide something from the caller.
fn report(
    (before, old): (&Snapshot, &View),
    (after, new): (&Snapshot, &View),
    brought: &Brought,
    hides: bool,
) -> String {
    let Brought { errors, held_back } = brought;
    let failed: BTreeMap<&str, &str> =
        errors.iter().map(|error| (error.domain.as_str(), error.error.as_str())).collect();
    // A domain of which the caller sees no tool, before or after, stays hidden here too. Of one that has none no hook can
    // say whether the caller may know it, so it shows where nothing is hidden from anybody.
    let shown = |domain: &&Domain| {
        let bare = |snapshot: &Snapshot| {
            snapshot.domains().get(*domain).is_none_or(|entry| entry.tools().is_empty())
        };
        old.domain(domain.as_str()).is_some()
            || new.domain(domain.as_str()).is_some()
            || (!hides && bare(before) && bare(after))
    };
    let refreshed = after
        .domains()
        .keys()
        .filter(|domain| !failed.contains_key(domain.as_str()))
        .filter(shown)
        .map(|domain| {
            let (had, has) = (names(old, domain), names(new, domain));
            Refreshed {
                domain: domain.as_str(),
                added: has.difference(&had).copied().collect(),
                removed: had.difference(&has).copied().collect(),
                tool_count: has.len(),
            }
        })
        .collect();
    let errors = after
        .domains()
        .keys()
        .filter(shown)
        .filter_map(|domain| {
            failed.get(domain.as_str()).map(|error| Failed { domain: domain.as_str(), error })
        })
        .collect();
    to_text(&Report { refreshed, errors, held_back: *held_back })
}

fn names<'v>(view: &'v View, domain: &Domain) -> BTreeSet<&'v str> {
    view.domain(domain.as_str()).into_iter().flatten().map(toolplane_registry::view::Entry::name).collect()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::Builder;
    use toolplane_registry::test_util::{a_domain, a_tool};

    use super::*;

    fn snapshot(number: u64, domains: &[(&str, &[&str])]) -> Snapshot {
        let mut builder = Builder::new(Version::new("s", number));
        for (domain, tools) in domains {
            builder = builder.domain(a_domain(domain, tools.iter().map(|name| a_tool(name)).collect()));
        }
        builder.build().unwrap()
    }

    #[test]
    fn the_report_names_what_changed_and_leaves_out_what_failed() {
        let before = snapshot(1, &[("a", &["x", "y"]), ("b", &["z"]), ("empty", &[])]);
        let after = snapshot(2, &[("a", &["y", "w", "v"]), ("b", &["z"]), ("empty", &[])]);
        let errors = vec![RefreshError { domain: "b".to_owned(), error: "away".to_owned() }];
        let [old, new] = [&before, &after].map(|snapshot| (snapshot, snapshot.all()));
        assert_eq!(
            report(old, new, &Brought { errors, held_back: false }, false),
            r#"{"refreshed": [{"domain": "a", "added": ["v", "w"], "removed": ["x"], "tool_count": 3}, {"domain": "empty", "added": [], "removed": [], "tool_count": 0}], "errors": [{"domain": "b", "error": "away"}]}"#
        );
        let told = report(old, old, &Brought { errors: Vec::new(), held_back: true }, false);
        assert!(told.ends_with(r#""held_back": true}"#) && !told.contains("errors"), "{told}");
    }

    #[test]
    fn a_caller_of_hooks_hears_of_no_domain_of_which_it_sees_no_tool() {
        let registry = snapshot(1, &[("a", &["x"]), ("secret", &["y"]), ("empty", &[]), ("failing", &[])]);
        let errors = ["a", "secret", "failing"]
            .map(|domain| RefreshError { domain: domain.to_owned(), error: format!("{domain} is away") });
        let brought = Brought { errors: errors.to_vec(), held_back: false };
        let view = View::build(registry.domains(), &|domain, _| domain.domain().as_str() == "a");
        let told = report((&registry, &view), (&registry, &view), &brought, true);
        assert_eq!(told, r#"{"refreshed": [], "errors": [{"domain": "a", "error": "a is away"}]}"#);
    }

    #[tokio::test]
    async fn a_run_is_shared_while_it_lasts_and_not_beyond() {
        let alone = crate::Options::default();
        let control_planes = ControlPlanes::new(&alone).unwrap();
        let refresher = Refresher::new(
            Arc::new(Live::new(crate::live::Upstreams::default())),
            control_planes,
            Duration::from_secs(1),
            BTreeMap::new(),
        );
        let (first, second) = (refresher.join().await.unwrap(), refresher.join().await.unwrap());
        assert!(first.ptr_eq(&second));
        assert_eq!(first.await.unwrap_err(), second.await.unwrap_err());
        let third = refresher.join().await.unwrap();
        assert!(third.peek().is_none(), "an ended run says nothing about now");
    }
}
