//! Real processes: started on free ports, watched through their logs, gone when the test is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock};
use rmcp::service::{RoleClient, RunningService, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Shared token of the registration endpoints.
pub(crate) const TOKEN: &str = "a-registration-token-for-tests";

/// Settings of a process before it starts.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// A running `toolplane`.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: watch::Receiver<Vec<Value>>,
    /// Reads the log; ends with the process.
    _reader: JoinSet<()>,
}

/// An MCP session with a node.
pub(crate) struct Session(RunningService<RoleClient, ()>);

// ---- Setup ----

impl Setup {
    /// A gateway or plane with its data in a folder.
    pub(crate) fn new(command: &str, folder: &Path) -> Self {
        let setup = Self { arguments: vec![command.to_owned()], variables: BTreeMap::new() };
        setup
            .set("TOOLPLANE_DATA_DIR", &folder.display().to_string())
            .set("TOOLPLANE_LOG_FORMAT", "json")
            .set("GATEWAY_HOST", "127.0.0.1")
            .set("GATEWAY_PORT", "0")
            .set("GATEWAY_REGISTRATION_TOKEN", TOKEN)
    }

    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Starts it and waits for a record of its log that begins with `message`; returns both.
    pub(crate) async fn start(&self, message: &str) -> (Process, Value) {
        let mut process = self.spawn();
        let record = process.record(message).await;
        (process, record)
    }

    /// Starts it, expecting that it ends by itself: its exit code and what it said.
    pub(crate) async fn run(&self) -> (i32, String) {
        let (code, _, said) = self.output().await;
        (code, said)
    }

    /// The same, with what it printed: exit code, stdout, stderr.
    pub(crate) async fn output(&self) -> (i32, String, String) {
        let output =
            tokio::time::timeout(PATIENCE, self.command().output()).await.expect("it ends").expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("no signal ended it");
        (code, text(&output.stdout), text(&output.stderr))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolplane"));
        command.args(&self.arguments).env_clear().envs(&self.variables).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self) -> Process {
        let mut child = self.command().spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let (writer, log) = watch::channel(Vec::new());
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let record = serde_json::from_str(&line).unwrap_or_else(|_| json!({"message": line}));
                writer.send_modify(|records| records.push(record));
            }
        });
        Process { child, log, _reader: reader }
    }
}

// ---- Process ----

impl Process {
    /// The first record that begins with `message`, when it is there.
    pub(crate) async fn record(&mut self, message: &str) -> Value {
        let begins =
            |record: &&Value| record["message"].as_str().is_some_and(|text| text.starts_with(message));
        let mut log = self.log.clone();
        let found =
            tokio::time::timeout(PATIENCE, log.wait_for(|records| records.iter().any(|r| begins(&r)))).await;
        match found {
            Ok(Ok(records)) => records.iter().find(begins).expect("it was there").clone(),
            _ => panic!("no record `{message}` in {:#?}", self.log.borrow()),
        }
    }

    /// Ends it as a crash does.
    pub(crate) async fn crash(mut self) {
        self.child.kill().await.expect("it is killed");
    }

    /// Asks it to end.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
        assert!(sent.success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("its status")
    }
}

// ---- standalone ----

/// Starts `standalone` and waits until it serves MCP.
pub(crate) async fn standalone(setup: &Setup) -> (Process, String) {
    let (process, record) = setup.start("serving MCP at").await;
    (process, record["url"].as_str().expect("a url").to_owned())
}

/// Runs an operator's command against the gateway of a folder: exit code, stdout, stderr.
pub(crate) async fn operator(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let command = Command::new(env!("CARGO_BIN_EXE_toolplane"))
        .args(arguments)
        .env_clear()
        .env("TOOLPLANE_DATA_DIR", folder)
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(PATIENCE, command).await.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
}

/// A control plane on a socket, and what nodes need to reach it.
pub(crate) struct Split {
    pub(crate) folder: TempDir,
    setup: Setup,
    address: String,
    token: PathBuf,
}

impl Split {
    /// Prepares a control plane on a database; start it with [`Split::control_plane`].
    pub(crate) fn new(database_url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("key"), "ab".repeat(32)).expect("a key file");
        std::fs::set_permissions(path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("rights");
        let address = format!("unix:{}", path("cp.sock").display());
        let setup = Setup::new("control-plane", &path("control"))
            .set("TOOLPLANE_SECRET_KEY_FILE", &path("key").display().to_string())
            .set("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", database_url)
            .arguments(&["--listen", &address]);
        let token = path("node.token");
        Self { folder, setup, address, token }
    }

    /// Starts the control plane; the first time it makes the token that nodes show.
    pub(crate) async fn control_plane(&self) -> Process {
        let (process, _) = self.setup.start("serving the admin API at").await;
        if !self.token.exists() {
            let create = ["token", "create", "--role", "node", "--allow-registration"];
            let (code, secret, said) = operator(&self.folder.path().join("control"), &create).await;
            assert_eq!(code, 0, "{said}");
            std::fs::write(&self.token, secret).expect("the token file");
        }
        process
    }

    /// Starts a node and waits until it follows.
    pub(crate) async fn node(&self, name: &str) -> (Process, String) {
        let token = self.token.display().to_string();
        let setup = Setup::new("data-plane", &self.folder.path().join(name))
            .set("TOOLPLANE_DATA_PLANE_NODE_ID", name)
            .arguments(&["--control-plane", &self.address, "--token-file", &token]);
        let (process, url) = standalone(&setup).await;
        ready(&url).await;
        (process, url)
    }
}

// ---- HTTP ----

/// Waits until a node says that it is ready.
pub(crate) async fn ready(url: &str) {
    until("the node is ready", async || {
        http(url, "GET", "/readyz", None).await.is_some_and(|(code, _)| code == 200)
    })
    .await;
}

/// Asks again until it is so: for what no event tells.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        loop {
            pace.tick().await;
            if condition().await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// One request with the registration token; `None` where nobody answers to the end.
pub(crate) async fn http(url: &str, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http url");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(authority).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Registers an upstream through a node.
pub(crate) async fn register(url: &str, domain: &str, upstream: &str) -> Option<(u16, Value)> {
    http(url, "POST", "/registry/servers", Some(json!({"domain": domain, "url": upstream}))).await
}

/// The domains that a node lists, sorted.
pub(crate) async fn registered(url: &str) -> Vec<String> {
    let (code, body) = http(url, "GET", "/registry/servers", None).await.expect("an answer");
    assert_eq!(code, 200, "{body}");
    let servers = body["servers"].as_array().expect("servers").iter();
    let mut domains: Vec<String> =
        servers.map(|one| one["domain"].as_str().expect("a domain").to_owned()).collect();
    domains.sort();
    domains
}

// ---- MCP ----

impl Session {
    pub(crate) async fn open(url: &str) -> Self {
        // Only fails where another test of this process was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self(().serve(StreamableHttpClientTransport::from_uri(url)).await.expect("a session"))
    }

    pub(crate) async fn call(&self, meta_tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = CallToolRequestParams::new(meta_tool).with_arguments(arguments);
        self.0.call_tool(request).await.expect("a result")
    }

    /// The JSON that a meta-tool answers with.
    pub(crate) async fn ask(&self, meta_tool: &'static str, arguments: Value) -> Value {
        let result = self.call(meta_tool, arguments).await;
        match result.content.first() {
            Some(ContentBlock::Text(block)) => serde_json::from_str(&block.text).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    /// Names of the domains that are served.
    pub(crate) async fn domains(&self) -> Vec<String> {
        let summary = self.ask("discover_tools", json!({})).await;
        let domains = summary["domains"].as_array().expect("domains").iter();
        domains.map(|domain| domain["name"].as_str().expect("a name").to_owned()).collect()
    }
}
