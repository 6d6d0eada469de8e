//! Parts of a node on their own, for simulations: following without a listener, and one stream without a network.
//!
//! Owns no behavior: what is here runs the code of `sync`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use toolplane_proto::sync::Update;
use toolplane_registry::{Rejection, Snapshot};

use crate::channel::{Connector, Dial};
use crate::control_plane::ControlPlanes;
use crate::jitter::Jitter;
use crate::live::{Live, Served, Upstreams};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::service::{self, Error};
use crate::sync::session::Session;
use crate::sync::{Follower, apply};

/// A node that follows a control plane and serves nobody.
#[derive(Debug)]
pub struct Node {
    live: Arc<Live>,
    follower: Follower,
}

/// A node's side of one stream.
#[derive(Debug, Default)]
pub struct Stream {
    session: Session,
}

impl Node {
    /// A node over connections of that kind; serves what is on its disk.
    pub fn new(options: &Options, dial: &Arc<dyn Dial>, jitter: Jitter) -> Result<Self, Error> {
        let control_planes = ControlPlanes::through(options, |address| {
            Connector::new(address, &options.control_plane_tls).dialing(Arc::clone(dial))
        })?;
        let live = Arc::new(Live::new(Upstreams::default()));
        let metrics = Metrics::new(options.meter.as_ref(), &live);
        let last_good = service::resume(options, &live)?;
        let follower = Follower::new(options, Arc::clone(&live), control_planes, last_good, metrics, jitter);
        Ok(Self { live, follower })
    }

    /// What it serves.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Follows until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        self.follower.run(shutdown).await;
    }
}

impl Stream {
    /// What becomes of an update on top of what is held.
    pub fn take(&mut self, held: &Snapshot, update: Update) -> Result<Served, Vec<Rejection>> {
        self.session.check(held.version(), &update).map_err(|rejection| vec![rejection])?;
        apply::apply(held, update).and_then(Served::new)
    }
}
