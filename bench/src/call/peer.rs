//! How each of the other gateways is started and spoken to.
//!
//! What it is called says which kind it is: `KIND-VERSION`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::subject::{Domain, Subject, Surroundings, Upstream};
use crate::static_upstream::{self, Era};
use crate::world::child::{Program, free_port};
use crate::world::http;

/// A gateway with meta-tools like ours.
pub(super) const REFERENCE: &str = "fastmcp-gateway";
/// A gateway that lists the tools of its upstreams as its own.
pub(super) const CONTEXT_FORGE: &str = "mcp-contextforge-gateway";

const USER: &str = "admin@example.com";
/// Of a process that lives for a minute on loopback.
const SECRET: &str = "A-secret-of-benchmarks-1-that-is-long-enough";
/// The name under which it knows the upstream, and puts before the names of its tools.
const UPSTREAM: &str = "bench";
/// It makes a database first, and waits for a number of things that are not there.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts the reference with all of the domains.
pub(super) async fn reference(
    name: &str,
    python: &Path,
    upstream: &Upstream,
    domains: &[Domain],
) -> anyhow::Result<Subject> {
    let port = free_port()?;
    let program = Program::new(python, &["-m", "fastmcp_gateway"])
        .with("GATEWAY_HOST", "127.0.0.1")
        .with("GATEWAY_PORT", port.to_string())
        .with("GATEWAY_UPSTREAMS", upstream.domains(domains).to_string());
    let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
    process.until_ready(name, &url).await?;
    Ok(Subject::gateway(name, url, process, Surroundings::default()))
}

/// Starts the other one with a user and secrets, and registers a single upstream by its API; tells what it calls a tool.
pub(super) async fn context_forge(
    name: &str,
    python: &Path,
    upstream: &Upstream,
    domain: &Domain,
    tool: &str,
) -> anyhow::Result<(Subject, String)> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let database = format!("sqlite:///{}/mcp.db", folder.path().display());
    let mut program = Program::new(python, &["-m", "mcpgateway.cli", "--host", "127.0.0.1"])
        .with("DATABASE_URL", database)
        .with("HOME", folder.path())
        .with("PLATFORM_ADMIN_EMAIL", USER)
        // The upstream is on loopback, and a benchmark makes more than a hundred calls a minute.
        .with("SSRF_ALLOW_LOCALHOST", "true")
        .with("SSRF_ALLOW_PRIVATE_NETWORKS", "true")
        .with("RATE_LIMITING_ENABLED", "false")
        .with("MCPGATEWAY_UI_ENABLED", "false");
    for secret in [
        "JWT_SECRET_KEY",
        "AUTH_ENCRYPTION_SECRET",
        "BASIC_AUTH_PASSWORD",
        "PLATFORM_ADMIN_PASSWORD",
        "DEFAULT_USER_PASSWORD",
    ] {
        program = program.with(secret, SECRET);
    }
    program.arguments.extend(["--port".into(), port.to_string().into()]);
    let (mut process, url) = (program.start()?, format!("http://127.0.0.1:{port}"));
    process.until_answers(name, &url, "/health").await?;
    let surroundings = Surroundings { _folder: Some(folder), _fleet: None };
    let mut subject = Subject::gateway(name, url, process, surroundings);
    let bearer = format!("Bearer {}", token(python).await?);
    subject.headers.insert("authorization".to_owned(), bearer.clone());
    let (_, era, catalog) = domain;
    let at = format!("{}{}", upstream.url, static_upstream::path(*era, catalog));
    let listed = tokio::time::timeout(PATIENCE, register(&subject.url, &bearer, &at, *era)).await;
    let tools = listed.context("it does not list the upstream")??;
    let ending = tool.replace('_', "-");
    let names = tools.as_array().context("a list of tools")?.iter().filter_map(|tool| tool["name"].as_str());
    let called =
        names.into_iter().find(|name| name.ends_with(&ending)).context("it does not list the tool")?;
    Ok((subject, called.to_owned()))
}

/// A token of its administrator, by its own means.
async fn token(python: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "mcpgateway.utils.create_jwt_token",
        "--username",
        USER,
        "--admin",
        "--exp",
        "10080",
    ]);
    command.args(["--secret", SECRET]).env_clear().env("JWT_SECRET_KEY", SECRET).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.context("it makes no token")??;
    let text = String::from_utf8_lossy(&output.stdout);
    let token = text.lines().last().context("it makes no token")?.trim();
    ensure!(token.starts_with("ey"), "it makes no token");
    Ok(token.to_owned())
}

/// Registers the upstream; returns the tools that there are then.
async fn register(url: &str, bearer: &str, upstream: &str, era: Era) -> anyhow::Result<Value> {
    let asked = json!({
        "name": UPSTREAM,
        "url": upstream,
        "transport": "STREAMABLEHTTP",
        "visibility": "public",
        "description": format!("The static upstream, {}.", era.name()),
    });
    let answer = http::post(url, "/gateways", bearer, &asked.to_string()).await?;
    let is_registered = answer.starts_with("HTTP/1.1 20");
    ensure!(
        is_registered,
        "it does not register the upstream: {}",
        answer.lines().next().unwrap_or_default()
    );
    let answer = http::get_as(url, "/tools", bearer).await?;
    let body = answer.split_once("\r\n\r\n").context("no body")?.1;
    serde_json::from_str(body).context("it does not list its tools")
}
