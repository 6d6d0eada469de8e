//! A fleet of real processes: control planes on one database, nodes that follow them, and clients.
//!
//! Owns starting, killing and restarting them one by one, and everything they logged. What clients do is in
//! [`load`], whether the fleet kept its promises is said by [`crate::checker`]. Clients reach nodes by the
//! [`roster`], as a load balancer would: it knows who was started, and asks who is ready.
//!
//! ```ignore
//! let mut fleet = Fleet::on(&[database.url()]).control_planes(2).nodes(3).start().await;
//! let mut load = fleet.load(Plan { changes: 500, ..Plan::default() });
//! load.confirmed(100).await;
//! fleet.crash_control_plane(0).await;
//! let history = load.done().await;
//! check(&mut fleet, history).await;
//! ```

mod admin;
pub(crate) mod history;
pub(crate) mod load;
mod reader;
pub(crate) mod roster;
pub(crate) mod seed;
mod writer;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use toolplane_testkit::FakeUpstream;

pub(crate) use self::load::{Load, Plan};
pub(crate) use self::reader::served;
use self::roster::{Roster, Standing};
use self::seed::Seed;
use crate::harness::{Process, Setup, http, register, until};

/// The domain that is there from the beginning and is never changed; readers call its tool.
pub(crate) const BASE: &str = "base";
/// Commits that are remembered, so that every version's digest can be compared.
const HISTORY: &str = "5000";

/// Describes a fleet before it starts.
pub(crate) struct Builder {
    databases: Vec<String>,
    control_planes: usize,
    nodes: usize,
    /// Of one member, or of all.
    variables: Vec<(Option<String>, String, String)>,
    under: Option<(String, Under)>,
    tcp: bool,
    route: Option<Route>,
}

/// From the addresses of all control planes to those that a node, by its index, is given.
type Route = Box<dyn Fn(usize, &[String]) -> Vec<String> + Send + Sync>;

/// From the folder of a member to the program, with its arguments, that becomes the binary.
type Under = Box<dyn Fn(&Path) -> Vec<String> + Send + Sync>;

/// Running processes; all of them end with it.
pub(crate) struct Fleet {
    pub(crate) folder: TempDir,
    pub(crate) upstream: FakeUpstream,
    pub(crate) seed: Seed,
    pub(crate) roster: Arc<Roster>,
    pub(crate) control_planes: Vec<Member>,
    pub(crate) nodes: Vec<Member>,
}

/// One process and its earlier lives.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) setup: Setup,
    pub(crate) process: Option<Process>,
    /// What each earlier life said.
    past: Vec<Vec<Value>>,
}

// ---- Builder ----

impl Builder {
    pub(crate) fn control_planes(self, control_planes: usize) -> Self {
        Self { control_planes, ..self }
    }

    pub(crate) fn nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Sets a variable of every process.
    pub(crate) fn set(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((None, variable.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable of one process, `control-0`, `node-1` and so on.
    pub(crate) fn set_for(mut self, member: &str, variable: &str, value: &str) -> Self {
        self.variables.push((Some(member.to_owned()), variable.to_owned(), value.to_owned()));
        self
    }

    /// Runs one process under a program that ends by executing what follows its own arguments.
    pub(crate) fn under(
        self,
        member: &str,
        program: impl Fn(&Path) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self { under: Some((member.to_owned(), Box::new(program))), ..self }
    }

    /// Control planes listen on ports of the loopback interface instead of sockets, so that something can stand
    /// between. A port is kept over restarts.
    pub(crate) fn over_tcp(self) -> Self {
        Self { tcp: true, ..self }
    }

    /// Gives each node other addresses than those of the control planes.
    pub(crate) fn route(
        self,
        route: impl Fn(usize, &[String]) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self { route: Some(Box::new(route)), ..self }
    }

    /// Starts everything, and waits until every node serves [`BASE`].
    pub(crate) async fn start(self) -> Fleet {
        let Self { databases, control_planes, nodes, variables, under, tcp, route } = self;
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        std::fs::write(&key, "ab".repeat(32)).expect("a key file");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
        let prepare = |command: &str, name: &str| {
            let setup = Setup::new(command, &folder.path().join(name))
                .set("TOOLPLANE_LOG_FILTER", "toolplane::access=off");
            let setup = match &under {
                Some((member, program)) if member == name => {
                    let words = program(&folder.path().join(name));
                    setup.under(&words.iter().map(String::as_str).collect::<Vec<_>>())
                }
                _ => setup,
            };
            let own = variables.iter().filter(|(member, ..)| member.as_deref().is_none_or(|one| one == name));
            own.fold(setup, |setup, (_, variable, value)| setup.set(variable, value))
        };
        let control_planes = (0..control_planes).map(|index| {
            let name = format!("control-{index}");
            let listen = if tcp {
                "127.0.0.1:0".to_owned()
            } else {
                format!("unix:{}", folder.path().join(format!("{name}.sock")).display())
            };
            let setup = prepare("control-plane", &name)
                .set("TOOLPLANE_SECRET_KEY_FILE", &key.display().to_string())
                .set("TOOLPLANE_CONTROL_PLANE_DATABASE_URL", &databases[index % databases.len()])
                .set("TOOLPLANE_CONTROL_PLANE_HISTORY", HISTORY)
                .set("TOOLPLANE_CONTROL_PLANE_LISTEN", &listen);
            Member::new(name, setup)
        });
        let nodes: Vec<Member> = (0..nodes)
            .map(|index| {
                let name = format!("node-{index}");
                let setup = prepare("data-plane", &name).set("TOOLPLANE_DATA_PLANE_NODE_ID", &name);
                Member::new(name, setup)
            })
            .collect();
        let mut fleet = Fleet {
            upstream: FakeUpstream::builder().tool("search").stateless().start().await,
            seed: Seed::choose(),
            roster: Arc::new(Roster::new(nodes.len())),
            control_planes: control_planes.collect(),
            nodes,
            folder,
        };
        fleet.start_all(route).await;
        fleet
    }
}

// ---- Fleet ----

impl Fleet {
    /// A fleet on a database; with several URLs, the control planes take turns with them.
    pub(crate) fn on(databases: &[&str]) -> Builder {
        let databases = databases.iter().map(|&url| url.to_owned()).collect();
        Builder {
            databases,
            control_planes: 1,
            nodes: 2,
            variables: Vec::new(),
            under: None,
            tcp: false,
            route: None,
        }
    }

    /// Lets clients begin.
    pub(crate) fn load(&self, plan: Plan) -> Load {
        Load::start(self, plan, false)
    }

    /// Lets clients begin that use nothing but nodes which are ready, so that none of their calls has to fail.
    pub(crate) fn load_through_nodes(&self, plan: Plan) -> Load {
        Load::start(self, plan, true)
    }

    async fn start_all(&mut self, route: Option<Route>) {
        let mut addresses = Vec::new();
        for index in 0..self.control_planes.len() {
            let record = self.control_planes[index].start("serving the admin API at").await;
            let address = record["address"].as_str().expect("an address").to_owned();
            let member = &mut self.control_planes[index];
            let listen = address.trim_start_matches("http://");
            member.setup = member.setup.clone().set("TOOLPLANE_CONTROL_PLANE_LISTEN", listen);
            addresses.push(address);
        }
        let admin = self.folder.path().join("control-0/admin.token");
        self.roster.set_admin(addresses.clone(), &std::fs::read_to_string(&admin).expect("the admin token"));
        let create = ["token", "create", "--role", "node", "--allow-registration"];
        let (code, secret, said) = self.operator(&create).await;
        assert_eq!(code, 0, "{said}");
        let token = self.folder.path().join("node.token");
        std::fs::write(&token, secret).expect("the token file");
        for index in 0..self.nodes.len() {
            let own = route.as_ref().map_or_else(|| addresses.clone(), |route| route(index, &addresses));
            let mut arguments = vec!["--token-file", token.to_str().expect("text")];
            arguments.extend(own.iter().flat_map(|address| ["--control-plane", address]));
            let member = &mut self.nodes[index];
            member.setup = member.setup.clone().arguments(&arguments);
            self.start_node(index).await;
        }
        let answer = register(&self.roster.url(0), BASE, &self.upstream.url()).await.expect("an answer");
        assert_eq!(answer.0, 200, "{}", answer.1);
        for index in 0..self.nodes.len() {
            let url = self.roster.url(index);
            until("every node serves the first upstream", async || {
                served(&url).await.is_ok_and(|domains| domains.contains_key(BASE))
            })
            .await;
        }
    }

    /// Runs an operator's command against whichever control plane answers.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> (i32, String, String) {
        self.roster.operator(arguments).await
    }

    /// What an operator's command prints for programs, once it succeeds.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
        let (code, stdout, said) = self.operator(&arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {said}");
        serde_json::from_str(&stdout).expect("JSON")
    }

    // ---- control planes ----

    pub(crate) async fn start_control_plane(&mut self, index: usize) {
        self.control_planes[index].start("serving the admin API at").await;
    }

    pub(crate) async fn crash_control_plane(&mut self, index: usize) {
        self.control_planes[index].crash().await;
    }

    /// SIGTERM, and the wait until it has ended.
    pub(crate) async fn stop_control_plane(&mut self, index: usize) {
        self.control_planes[index].stop().await;
    }

    /// Starts a control plane that is going to crash at a named point, or one that is not.
    pub(crate) async fn arm_control_plane(&mut self, index: usize, at: Option<&str>) {
        self.control_planes[index].arm(at);
        self.start_control_plane(index).await;
    }

    // ---- nodes ----

    /// Starts a node; clients find it when it is ready.
    pub(crate) async fn start_node(&mut self, index: usize) {
        let record = self.nodes[index].start("serving MCP at").await;
        let url = record["url"].as_str().expect("a url").to_owned();
        until("the node is ready", async || {
            http(&url, "GET", "/readyz", None).await.is_some_and(|(code, _)| code == 200)
        })
        .await;
        self.roster.started(index, url);
    }

    /// Starts a node that is going to crash at a named point, or one that is not. Clients use the former as well.
    pub(crate) async fn arm_node(&mut self, index: usize, at: Option<&str>) {
        self.nodes[index].arm(at);
        if at.is_none() {
            return self.start_node(index).await;
        }
        let record = self.nodes[index].start("serving MCP at").await;
        self.roster.started(index, record["url"].as_str().expect("a url").to_owned());
        self.roster.set(index, Standing::Doomed);
    }

    pub(crate) async fn crash_node(&mut self, index: usize) {
        self.roster.set(index, Standing::Killed);
        self.nodes[index].crash().await;
    }

    /// SIGTERM, and the wait until it has ended. Clients are told nothing: they see it in the node's readiness.
    pub(crate) async fn stop_node(&mut self, index: usize) {
        self.roster.set(index, Standing::Draining);
        self.nodes[index].stop().await;
        self.roster.set(index, Standing::Killed);
    }
}

// ---- Member ----

impl Member {
    fn new(name: String, setup: Setup) -> Self {
        Self { name, setup, process: None, past: Vec::new() }
    }

    /// Starts it and waits for a record of its log.
    pub(crate) async fn start(&mut self, message: &str) -> Value {
        assert!(self.process.is_none(), "{} runs", self.name);
        let (process, record) = self.setup.start(message).await;
        self.process = Some(process);
        record
    }

    fn arm(&mut self, at: Option<&str>) {
        self.setup = self.setup.clone().set("TOOLPLANE_CRASH_AT", at.unwrap_or_default());
    }

    async fn crash(&mut self) {
        let process = self.process.take().expect("it runs");
        self.past.push(process.crash().await);
    }

    async fn stop(&mut self) {
        let process = self.process.take().expect("it runs");
        process.ask_to_end().await;
        let (status, log) = process.ended().await;
        assert!(status.success(), "{} ended with {status}: {log:#?}", self.name);
        self.past.push(log);
    }

    /// Waits until it has ended by itself: how it did.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let (status, log) = self.process.take().expect("it runs").ended().await;
        self.past.push(log);
        status
    }

    /// What each of its lives said, the present one last.
    pub(crate) fn lives(&self) -> Vec<Vec<Value>> {
        let now = self.process.as_ref().map(Process::records);
        self.past.iter().cloned().chain(now).collect()
    }
}
