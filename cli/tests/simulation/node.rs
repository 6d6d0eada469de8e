//! A node as a simulated host: the follower with its disk, and connections of the simulated network.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngCore as _;
use rand::rngs::SmallRng;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::Uri;
use toolplane_data_plane::channel::{Connection, Dial, Dialing};
use toolplane_data_plane::jitter::Jitter;
use toolplane_data_plane::live::Live;
use toolplane_data_plane::test_util::Node;
use toolplane_data_plane::{Address, Options};
use toolplane_registry::{Digest, Version};

use crate::control;
use crate::world::World;

/// One node, over all its starts.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    disk: TempDir,
    jitter: Arc<Mutex<SmallRng>>,
    /// What the newest start serves.
    live: Mutex<Option<Arc<Live>>>,
    /// What was seen last; absent where the node has no memory of it.
    seen: Mutex<Option<(Version, Digest)>>,
}

#[derive(Debug)]
struct Network;

impl Host {
    /// A node that was never started.
    pub(crate) fn new(name: &str, jitter: SmallRng) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            disk: tempfile::tempdir().expect("a directory"),
            jitter: Arc::new(Mutex::new(jitter)),
            live: Mutex::new(None),
            seen: Mutex::new(None),
        })
    }

    /// Its name in the network and in the fleet.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it with what is on its disk, and runs it until it is crashed.
    pub(crate) async fn run(self: Arc<Self>, controls: Vec<String>) -> turmoil::Result {
        let address = |name: &String| Address::parse(&format!("http://{name}:{}", control::PORT));
        let options = Options {
            node_id: self.name.clone(),
            control_planes: controls.iter().map(address).collect::<Result<_, _>>().expect("addresses"),
            data_dir: Some(self.disk.path().to_owned()),
            ..Options::default()
        };
        let jitter = Arc::clone(&self.jitter);
        let jitter = Jitter::new(move || jitter.lock().unwrap_or_else(PoisonError::into_inner).next_u32());
        let network: Arc<dyn Dial> = Arc::new(Network);
        let node = Node::new(&options, &network, jitter)?;
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(node.live());
        node.run(CancellationToken::new()).await;
        Ok(())
    }

    /// Holds what it serves against the ledger.
    pub(crate) fn observe(&self, world: &World) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(live) = live else { return };
        let served = live.load();
        let (version, digest) = (served.snapshot().version(), served.snapshot().digest());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_some_and(|(held, content)| held == version && *content == digest) {
            return;
        }
        let before = seen.replace((version.clone(), digest)).map(|(version, _)| version);
        let mut state = world.lock();
        let outcome = state.ledger.serves(&self.name, before.as_ref(), version, digest);
        state.note(&self.name, format!("serves {} ({})", crate::ledger::name(version), digest.short(8)));
        drop(state);
        world.check(outcome);
    }

    /// What it serves; absent while it is down.
    pub(crate) fn served(&self) -> Option<(Version, Digest)> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It was killed.
    pub(crate) fn is_down(&self) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Its disk was replaced by an empty one.
    pub(crate) fn forget(&self) {
        for entry in std::fs::read_dir(self.disk.path()).expect("a directory") {
            std::fs::remove_file(entry.expect("an entry").path()).expect("a file");
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Its file was damaged, as by a disk that lies.
    pub(crate) fn damage(&self) {
        let path: &Path = &self.disk.path().join("last-good.bin");
        if let Ok(mut bytes) = std::fs::read(path) {
            bytes.truncate(bytes.len() / 2);
            std::fs::write(path, bytes).expect("a file");
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Dial for Network {
    fn dial(&self, uri: &Uri) -> Dialing {
        let host = uri.host().unwrap_or_default().to_owned();
        let port = uri.port_u16().unwrap_or(control::PORT);
        Box::pin(async move {
            let stream: io::Result<_> = turmoil::net::TcpStream::connect((host, port)).await;
            Ok(Box::new(stream?) as Box<dyn Connection>)
        })
    }
}
