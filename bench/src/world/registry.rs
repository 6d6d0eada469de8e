//! Registries of known size: upstreams that list tools as real ones do, and change one of them on demand.
//!
//! The tools are those of `tests/corpus`, as their authors wrote them; larger registries repeat them under new names.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use toolplane_proto::admin;
use toolplane_testkit::FakeUpstream;

use super::corpus;
use super::fleet::ControlPlane;

/// How many upstreams are registered at once while a registry is set up.
const SETUP_CONCURRENCY: usize = 4;

/// Upstreams that run, each with a domain of its own.
#[derive(Debug)]
pub(crate) struct Registry {
    upstreams: Vec<Upstream>,
    changes: AtomicUsize,
}

#[derive(Debug)]
struct Upstream {
    domain: String,
    server: FakeUpstream,
    tools: Vec<Value>,
}

/// One upstream as it is after a change.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) domain: String,
    pub(crate) url: String,
    /// The first tool of the domain, which changed.
    pub(crate) tool: String,
    /// What its description says since.
    pub(crate) mark: String,
    /// Bytes of the domain's tools, as the upstream lists them.
    pub(crate) bytes: usize,
}

impl Registry {
    /// The 527 tools of the corpus, in its 70 domains.
    pub(crate) async fn corpus() -> anyhow::Result<Self> {
        let servers = corpus::servers()?;
        Self::start(servers.into_iter().enumerate().map(|(at, tools)| (format!("server_{at}"), tools))).await
    }

    /// As many tools as wanted, equally spread over domains.
    pub(crate) async fn generated(domains: usize, tools_each: usize) -> anyhow::Result<Self> {
        let pool: Vec<Value> = corpus::servers()?.into_iter().flatten().collect();
        let mut source = pool.iter().cycle();
        let servers = (0..domains).map(|domain| {
            let tools = corpus::renamed(&mut source, tools_each, |name, at| format!("{name}_{at}"));
            (format!("domain_{domain}"), tools)
        });
        Self::start(servers.collect::<Vec<_>>()).await
    }

    async fn start(servers: impl IntoIterator<Item = (String, Vec<Value>)>) -> anyhow::Result<Self> {
        let mut upstreams = Vec::new();
        for (domain, tools) in servers {
            let server = FakeUpstream::builder().stateless().start().await;
            let upstream = Upstream { domain, server, tools };
            upstream.list(&upstream.tools);
            upstreams.push(upstream);
        }
        Ok(Self { upstreams, changes: AtomicUsize::new(0) })
    }

    /// How many tools there are.
    pub(crate) fn tools(&self) -> usize {
        self.upstreams.iter().map(|upstream| upstream.tools.len()).sum()
    }

    /// Registers all of it; returns the version that holds it.
    pub(crate) async fn register(&self, control_plane: &ControlPlane) -> anyhow::Result<u64> {
        let versions: Vec<u64> = futures::stream::iter(&self.upstreams)
            .map(|upstream| async move {
                let request = admin::CreateUpstreamRequest {
                    upstream: Some(admin::Upstream {
                        domain: upstream.domain.clone(),
                        url: upstream.server.url(),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                let answer = control_plane.upstreams().create_upstream(request).await?.into_inner();
                anyhow::Ok(answer.version.context("a version")?.number)
            })
            .buffer_unordered(SETUP_CONCURRENCY)
            .try_collect()
            .await?;
        versions.into_iter().max().context("an empty registry")
    }

    /// Gives one tool of one upstream a new description; changes with different numbers go to different upstreams,
    /// as long as there are enough.
    pub(crate) fn change(&self, number: usize) -> anyhow::Result<Changed> {
        let upstream = self.upstreams.get(number % self.upstreams.len()).context("an empty registry")?;
        let mut tools = upstream.tools.clone();
        let first = tools.first_mut().context("an upstream without tools")?;
        // What is registered already makes no version, so no two changes may be the same.
        let revision = self.changes.fetch_add(1, Ordering::Relaxed);
        let mark = format!("Revision {revision} of this description.");
        first["description"] = format!("{} {mark}", first["description"].as_str().unwrap_or_default()).into();
        let tool = first["name"].as_str().context("a name")?.to_owned();
        let bytes = upstream.list(&tools);
        upstream.server.clear();
        Ok(Changed { domain: upstream.domain.clone(), url: upstream.server.url(), tool, mark, bytes })
    }
}

impl Upstream {
    /// Lists these from now on; returns their size.
    fn list(&self, tools: &[Value]) -> usize {
        let texts: Vec<String> = tools.iter().map(ToString::to_string).collect();
        self.server.set_tools(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        texts.iter().map(String::len).sum()
    }
}
