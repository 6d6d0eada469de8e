//! The other gateway with code mode, and how it is started.

use std::path::Path;

use super::domains;
use crate::Setting;
use crate::call::subject::{Subject, Surroundings, Upstream};
use crate::world::child::{Program, free_port};

/// As `scripts/bench` names it.
const NAME: &str = "fastmcp-gateway-code";
/// Its environment variables alone do not turn code mode on.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/code_mode.py");

/// It, running, or why it is not.
pub(super) async fn start(setting: &Setting, upstream: &Upstream) -> Result<Subject, String> {
    let installed = setting.peers.iter().find(|(name, _)| name == NAME);
    let Some((_, python)) = installed else { return Err("is not installed here".to_owned()) };
    run(python, upstream).await.map_err(|error| format!("does not start: {error:#}"))
}

async fn run(python: &Path, upstream: &Upstream) -> anyhow::Result<Subject> {
    let (domains, port) = (domains(), free_port()?);
    let program = Program::new(python, &[SCRIPT])
        .with("GATEWAY_HOST", "127.0.0.1")
        .with("GATEWAY_PORT", port.to_string())
        .with("GATEWAY_UPSTREAMS", upstream.domains(&domains).to_string());
    let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
    process.until_ready(NAME, &url).await?;
    Ok(Subject::gateway(NAME, url, process, Surroundings::default()))
}
