//! What is measured, in front of which upstream: each starts from nothing and ends when it is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value};
use tempfile::TempDir;
use toolplane_testkit::TestDatabase;

use super::calls::Asked;
use crate::Setting;
use crate::load::{Plan, Prepared};
use crate::static_upstream::{self, Era};
use crate::world::child::{Child, Program, free_port};
use crate::world::fleet::Fleet;
use crate::world::http;
use crate::world::process::PATIENCE;
use crate::world::usage::Usage;

/// The upstreams, all in one process.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) processes: Vec<Child>,
    pub(crate) url: String,
}

/// What is measured.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) asked: Asked,
    /// `http://ADDRESS:PORT`.
    pub(crate) url: String,
    /// What every request to it has to say.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its own processes; the upstream itself has none beside the upstream's.
    pub(crate) processes: Vec<Child>,
    /// What has to stay for as long as it runs.
    pub(crate) _surroundings: Surroundings,
}

/// What a subject is surrounded by; gone with it.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Its data.
    pub(crate) _folder: Option<TempDir>,
    /// The fleet that it is part of, with its database.
    pub(crate) _fleet: Option<(Fleet, TestDatabase)>,
}

/// What the upstream tells of a call that was given up.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Canceled {
    /// When it heard of it, on the clock of [`static_upstream::nanos`].
    pub(crate) at: u64,
    /// By what.
    pub(crate) how: String,
}

/// Longest wait for a held call, or for a cancellation, which is lost then.
pub(crate) const MOST_WAIT: Duration = Duration::from_secs(3);

/// What the one node is called, whose figures have targets.
pub(crate) const NODE: &str = "one node";

/// A domain, how its upstream is spoken to, and what that lists.
pub(crate) type Domain = (String, Era, String);

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (child, url) = this(&["upstream"])?.start_and_listen().await?;
        Ok(Self { processes: vec![child], url })
    }

    /// How many requests there were so far.
    pub(crate) async fn requests(&self) -> anyhow::Result<u64> {
        let answer = http::get(&self.url, "/count").await?;
        let body = answer.split_once("\r\n\r\n").context("no body")?.1;
        let counted: Value = serde_json::from_str(body)?;
        counted["requests"].as_u64().context("no number of requests")
    }

    /// Waits until it has the held call of this name.
    pub(crate) async fn arrived(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/arrived/{name}");
        let arrived = http::get(&self.url, &path);
        tokio::time::timeout(MOST_WAIT, arrived)
            .await
            .context("a call does not arrive at the upstream")??;
        Ok(())
    }

    /// Waits until it has heard that the held call of this name is given up; `None` where it does not hear of it.
    pub(crate) async fn canceled(&self, name: &str) -> anyhow::Result<Option<Canceled>> {
        let path = format!("/canceled/{name}");
        let canceled = http::get(&self.url, &path);
        let Ok(answer) = tokio::time::timeout(MOST_WAIT, canceled).await else { return Ok(None) };
        Ok(Some(serde_json::from_str(answer?.split_once("\r\n\r\n").context("no body")?.1)?))
    }

    /// Where it serves some domains, as `GATEWAY_UPSTREAMS` says it.
    pub(crate) fn domains(&self, domains: &[Domain]) -> Value {
        let members = domains.iter().map(|(domain, era, catalog)| {
            (domain.clone(), format!("{}{}", self.url, static_upstream::path(*era, catalog)).into())
        });
        Value::Object(members.collect::<Map<_, _>>())
    }
}

impl Subject {
    /// The upstream itself, with nothing in front of it.
    pub(crate) fn direct(upstream: &Upstream) -> Self {
        let (name, url) = ("direct".to_owned(), upstream.url.clone());
        Self {
            name,
            asked: Asked::Upstream,
            url,
            headers: BTreeMap::new(),
            processes: Vec::new(),
            _surroundings: Surroundings::default(),
        }
    }

    /// The yardstick.
    pub(crate) async fn pass_through(upstream: &Upstream) -> anyhow::Result<Self> {
        let (child, url) = this(&["pass-through", &upstream.url])?.start_and_listen().await?;
        let name = "pass-through".to_owned();
        Ok(Self {
            name,
            asked: Asked::Upstream,
            url,
            headers: BTreeMap::new(),
            processes: vec![child],
            _surroundings: Surroundings::default(),
        })
    }

    /// `toolplane standalone` with these upstreams, as `GATEWAY_UPSTREAMS` says them; it has listed all of them.
    pub(crate) async fn standalone(setting: &Setting, upstreams: &Value) -> anyhow::Result<Self> {
        Self::standalone_with(setting, upstreams, &[]).await
    }

    /// The same with further settings.
    pub(crate) async fn standalone_with(
        setting: &Setting,
        upstreams: &Value,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut program = Program::new(&setting.binary, &["standalone"])
            .with("GATEWAY_HOST", "127.0.0.1")
            .with("GATEWAY_PORT", port.to_string())
            .with("GATEWAY_UPSTREAMS", upstreams.to_string())
            .with("TOOLPLANE_DATA_DIR", folder.path());
        for (name, value) in variables {
            program = program.with(name, value);
        }
        let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
        process.until_ready("toolplane standalone", &url).await?;
        let domains = upstreams.as_object().map_or(0, Map::len);
        until_listed(&url, domains).await?;
        let surroundings = Surroundings { _folder: Some(folder), _fleet: None };
        Ok(Self::gateway(NODE, url, process, surroundings))
    }

    /// A gateway of one process that asks for nothing beyond MCP.
    pub(crate) fn gateway(name: &str, url: String, process: Child, surroundings: Surroundings) -> Self {
        Self {
            name: name.to_owned(),
            asked: Asked::Gateway,
            url,
            headers: BTreeMap::new(),
            processes: vec![process],
            _surroundings: surroundings,
        }
    }

    /// What all of its processes use together.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        let mut total = Usage::default();
        for process in &self.processes {
            let Usage { cpu, rss, peak } = process.usage()?;
            total = Usage { cpu: total.cpu + cpu, rss: total.rss + rss, peak: total.peak + peak };
        }
        Ok(total)
    }

    /// A plan for it: at first as fast as it answers, without a warm-up. Gateways have one endpoint, upstreams one for
    /// each catalog.
    pub(crate) fn plan(&self, era: Era, catalog: &str, request: Prepared, expect: &str) -> Plan {
        let path = match self.asked {
            Asked::Upstream => static_upstream::path(era, catalog),
            Asked::Gateway => "/mcp".to_owned(),
        };
        Plan {
            url: format!("{}{path}", self.url),
            handshake: era != Era::Stateless,
            requests: vec![request],
            headers: self.headers.clone(),
            expect: expect.to_owned(),
            connections: 1,
            rate: None,
            warm_up: 0.0,
            measured: 1.0,
            calls: None,
        }
    }
}

/// Another role of this program.
pub(crate) fn this(arguments: &[&str]) -> anyhow::Result<Program> {
    Ok(Program::new(std::env::current_exe().context("the path of this program")?, arguments))
}

/// Waits until so many domains have tools: a gateway is ready with the first of them.
pub(crate) async fn until_listed(url: &str, domains: usize) -> anyhow::Result<()> {
    let listed = async {
        loop {
            let answer = http::meta_tool(url, "discover_tools", "{}").await?;
            if answer.matches(r#"\"tool_count\":"#).count() >= domains {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listed).await.context("not all upstreams are listed")?
}
