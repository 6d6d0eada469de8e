//! A node in a network of its own, whose way to the control plane is cut while its clients still reach it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use toolplane_testkit::{FakeUpstream, FaultProxy};

use crate::fleet::served;
use crate::harness::{Process, Session, Setup, ready, register, standalone, until};
use crate::network::{eventually, is_stale};

/// A network namespace with two ways out. Gone, with both, when dropped.
struct Namespace {
    name: String,
    control: Link,
    clients: Link,
}

/// A pair of virtual interfaces.
struct Link {
    device: String,
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl Namespace {
    /// Makes one; `None`, with the reason printed, where this account or machine cannot.
    #[expect(clippy::print_stdout, reason = "says what was not tested, and why")]
    fn create() -> Option<Self> {
        let id = std::process::id();
        let name = format!("toolplane-{id}");
        if let Err(reason) = ip(&["netns", "add", &name]) {
            println!("skipped: no network namespace can be made: {reason}");
            return None;
        }
        let [high, low, ..] = id.to_le_bytes();
        let link = |kind: &str, third: u8| Link {
            device: format!("tp{kind}{id}"),
            here: Ipv4Addr::new(10, high, low, third + 1),
            there: Ipv4Addr::new(10, high, low, third + 2),
        };
        let namespace = Self { control: link("c", 0), clients: link("d", 4), name };
        for link in [&namespace.control, &namespace.clients] {
            if let Err(reason) = link.create(&namespace.name) {
                println!("skipped: no virtual interface can be made: {reason}");
                return None;
            }
        }
        Some(namespace)
    }

    /// What runs a program inside.
    fn inside(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Interfaces outlive a namespace in which a process still runs, so they go first.
        for link in [&self.control, &self.clients] {
            drop(ip(&["link", "del", &link.device]));
        }
        drop(ip(&["netns", "del", &self.name]));
    }
}

impl Link {
    fn create(&self, namespace: &str) -> Result<(), String> {
        let Self { device, here, there } = self;
        let peer = format!("{device}p");
        ip(&["link", "add", device, "type", "veth", "peer", "name", &peer, "netns", namespace])?;
        ip(&["addr", "add", &format!("{here}/30"), "dev", device])?;
        ip(&["-n", namespace, "addr", "add", &format!("{there}/30"), "dev", &peer])?;
        ip(&["link", "set", device, "up"])?;
        ip(&["-n", namespace, "link", "set", &peer, "up"])
    }

    fn set(&self, state: &str) {
        ip(&["link", "set", &self.device, state]).expect("it could be made, so it can be set");
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_serves_on_and_catches_up() {
    // The processes end before the network that they are in.
    let Some(namespace) = Namespace::create() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let plane = Plane::start(folder.path(), namespace.control.here).await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let door = SocketAddr::new(IpAddr::V4(namespace.clients.here), 0);
    let door = FaultProxy::listen(door, upstream_address(&upstream), 1).await;
    let url = format!("http://{}/mcp", door.address());

    let (_near, near) = plane.node("near", None).await;
    let (_far, far) = plane.node("far", Some(&namespace)).await;
    assert_eq!(register(&near, "first", &url).await.expect("an answer").0, 200);
    until("the far node serves it", async || served(&far).await.is_ok_and(|all| all.len() == 1)).await;

    namespace.control.set("down");
    for number in 0..20 {
        let answer = register(&near, &format!("later_{number}"), &url).await.expect("an answer");
        assert_eq!(answer.0, 200, "{}", answer.1);
        assert_eq!(served(&far).await.expect("it serves").len(), 1);
        let call = json!({"tool_name": "search", "arguments": {"q": "ada"}});
        let answer = Session::open(&far).await.ask("execute_tool", call).await;
        assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");
    }
    eventually("the far node knows", async || is_stale(&far).await == Some(true)).await;
    eventually("the control plane knows", async || plane.node_record("far").await["connected"] == false)
        .await;

    namespace.control.set("up");
    eventually("it follows again", async || is_stale(&far).await == Some(false)).await;
    eventually("both serve the same", async || {
        let (one, other) = (plane.node_record("near").await, plane.node_record("far").await);
        one["version"] == other["version"] && one["digest"] == other["digest"]
    })
    .await;
    assert_eq!(served(&far).await.expect("it serves"), served(&near).await.expect("it serves"));
    assert_eq!(served(&far).await.expect("it serves").len(), 21);
}

fn upstream_address(upstream: &FakeUpstream) -> SocketAddr {
    let url = upstream.url();
    let authority = url.trim_start_matches("http://").split('/').next().expect("an authority");
    authority.parse().expect("an address")
}

/// A control plane at an address that both networks reach.
struct Plane<'a> {
    folder: &'a Path,
    address: String,
    _process: Process,
}

impl<'a> Plane<'a> {
    async fn start(folder: &'a Path, here: Ipv4Addr) -> Self {
        let setup = Setup::new("control-plane", &folder.join("control"))
            .set("TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN", "true")
            .arguments(&["--listen", &format!("{here}:0")]);
        let (process, record) = setup.start("serving the admin API at").await;
        let address = record["address"].as_str().expect("an address").to_owned();
        let plane = Self { folder, address, _process: process };
        let create = ["create", "--role", "node", "--allow-registration"];
        let (code, secret, said) = plane.command("token", &create).await;
        assert_eq!(code, 0, "{said}");
        std::fs::write(folder.join("node.token"), secret).expect("the token file");
        plane
    }

    async fn command(&self, command: &str, arguments: &[&str]) -> (i32, String, String) {
        let token = self.folder.join("control/admin.token");
        Setup::new(command, &self.folder.join("operator"))
            .arguments(arguments)
            .set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &self.address)
            .set("TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN", "true")
            .set("TOOLPLANE_TOKEN_FILE", &token.display().to_string())
            .output()
            .await
    }

    async fn node(&self, name: &str, namespace: Option<&Namespace>) -> (Process, String) {
        let token = self.folder.join("node.token").display().to_string();
        let setup = Setup::new("data-plane", &self.folder.join(name))
            .set("TOOLPLANE_DATA_PLANE_NODE_ID", name)
            .set("TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN", "true")
            .arguments(&["--control-plane", &self.address, "--token-file", &token]);
        let setup = match namespace {
            None => setup,
            Some(namespace) => setup
                .under(&namespace.inside())
                .set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .set("GATEWAY_HOST", &namespace.clients.there.to_string()),
        };
        let (process, url) = standalone(&setup).await;
        ready(&url).await;
        (process, url)
    }

    /// What is known of a node.
    async fn node_record(&self, name: &str) -> Value {
        let (code, nodes, said) = self.command("node", &["list", "--output", "json"]).await;
        assert_eq!(code, 0, "{said}");
        let nodes: Value = serde_json::from_str(&nodes).expect("JSON");
        let found = nodes["nodes"].as_array().expect("nodes").iter().find(|node| node["node_id"] == name);
        found.cloned().unwrap_or_default()
    }
}
