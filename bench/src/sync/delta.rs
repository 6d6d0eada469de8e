//! Bytes on the wire when one tool of a large registry changes.

use anyhow::Context as _;
use toolplane_proto::admin;
use toolplane_testkit::FaultProxy;

use crate::report::{Section, Table};
use crate::target::Target;
use crate::world::fleet::{Fleet, Node};
use crate::world::registry::Registry;

const CHANGES: usize = 10;
const TARGET: Target = Target::at_most(1.5, " ×");

pub(super) async fn run(fleet: &Fleet, registry: &Registry) -> anyhow::Result<Section> {
    let server = fleet.control_plane.address.strip_prefix("http://").context("an http address")?;
    let proxy = FaultProxy::start(server.parse::<std::net::SocketAddr>()?).await;
    let node = Node::started(fleet.node("behind-a-proxy", &format!("http://{}", proxy.address()))?).await?;
    let newest = fleet.control_plane.newest().await?;
    node.serves(newest).await?;
    fleet.control_plane.confirmed(newest, 1).await?;
    let full = proxy.counts();
    let (mut domains, mut down, mut up) = (0, 0, 0);
    for number in 0..CHANGES {
        let before = proxy.counts();
        let changed = registry.change(number)?;
        let request = admin::RefreshUpstreamsRequest { domains: vec![changed.domain.clone()] };
        let answer = fleet.control_plane.upstreams().refresh_upstreams(request).await?.into_inner();
        let version = answer.version.context("a version")?.number;
        node.serves(version).await?;
        fleet.control_plane.confirmed(version, 1).await?;
        let after = proxy.counts();
        domains += changed.bytes as u64;
        down += after.to_client - before.to_client;
        up += after.to_target - before.to_target;
    }
    node.process.kill().await?;
    let mut table = Table::new(&["what", "bytes", "of the changed domain", "target"]);
    let ratio = |bytes: u64| float(bytes) / float(domains);
    let changes = CHANGES as u64;
    let mut row = |what: &str, bytes: u64, ratio: f64, target: &str| {
        table.row(vec![what.to_owned(), bytes.to_string(), format!("{ratio:.2} ×"), target.to_owned()]);
    };
    row("the changed domain, as its upstream lists it", domains / changes, 1.0, "");
    row("to the node, per change", down / changes, ratio(down), &TARGET.verdict(ratio(down)));
    row("from the node, per change", up / changes, ratio(up), "");
    row("to a node that holds nothing", full.to_client, ratio(full.to_client * changes), "");
    let method = format!(
        "A registry of {} tools. A proxy between control plane and node counts what it passes on, HTTP/2 and all, \
         from a refresh that finds one tool changed to the node's confirmation; means of {CHANGES} changes. \
         `cargo test -p toolplane --test e2e delta_bytes` asserts the target.",
        registry.tools()
    );
    Ok(Section {
        id: "sync/delta",
        title: "Bytes on the wire for a one-tool change".to_owned(),
        method,
        table,
    })
}

#[expect(clippy::cast_precision_loss, reason = "byte counts of a benchmark are far below 2^52")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}
