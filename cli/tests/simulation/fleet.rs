//! Control planes and nodes on a simulated network, and what must hold of them whatever happens there.
//!
//! Checked whenever time moves: what a node serves was published under that version, and no node goes back; what a
//! control plane hears confirmed, and what it records, was served; a stream carries one unanswered update at most,
//! and never one that was outdated when the node last spoke; nothing is refused, since nothing that is published
//! is bad. Checked at the end: once everything is mended, every node serves the newest version within a minute.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use toolplane_registry::{Digest, Version};
use turmoil::Sim;

use crate::database::Database;
use crate::faults::Faults;
use crate::registries::Generator;
use crate::world::World;
use crate::{control, ledger, node, seeds};

/// How far time moves at once; no message travels faster.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// How long things go wrong.
const TROUBLE: u64 = 40_000;
/// How long they may take to be right again: to notice a dead connection, and the longest pause, with some to spare.
const RECOVERY: u64 = 60_000;

/// Tools of a huge domain: more than fits into what HTTP/2 sends without an answer.
const HUGE: usize = 80;

/// Seeds that are always run; those that once failed stay here.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 7_588_007_336_275_547_181];

/// Everything that is simulated.
pub(crate) struct Fleet {
    /// The network and its hosts.
    pub(crate) sim: Sim<'static>,
    /// What they share with the test.
    pub(crate) world: World,
    /// What the control planes share.
    pub(crate) database: Arc<Database>,
    /// The control planes.
    pub(crate) controls: Vec<Arc<control::Host>>,
    /// The nodes.
    pub(crate) nodes: Vec<Arc<node::Host>>,
    /// Makes what is published.
    pub(crate) generator: Generator,
}

impl Fleet {
    fn new(seed: u64) -> Self {
        let mut rng = seeds::source(seed, "fleet", 0);
        let world = World::default();
        let mut sim = turmoil::Builder::new()
            .tick_duration(TICK)
            .min_message_latency(TICK)
            .max_message_latency(TICK)
            .simulation_duration(Duration::from_hours(24))
            .rng_seed(seed)
            .build();
        let database = Database::new(world.clone());
        let controls: Vec<_> = (0..rng.random_range(1..=2))
            .map(|index| control::Host::new(&format!("control-{index}"), &world, &database))
            .collect();
        let nodes: Vec<_> = (0..rng.random_range(2..=4))
            .map(|index| node::Host::new(&format!("node-{index}"), seeds::source(seed, "jitter", index)))
            .collect();
        for host in &controls {
            let running = Arc::clone(host);
            sim.host(host.name(), move || Arc::clone(&running).run());
        }
        let names: Vec<String> = controls.iter().map(|host| host.name().to_owned()).collect();
        for (index, host) in nodes.iter().enumerate() {
            let (running, mut order) = (Arc::clone(host), names.clone());
            let turns = index % order.len();
            order.rotate_left(turns);
            sim.host(host.name(), move || Arc::clone(&running).run(order.clone()));
        }
        let generator = Generator::new(seeds::source(seed, "registries", 0), HUGE);
        Self { sim, world, database, controls, nodes, generator }
    }

    /// Simulated milliseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.world.lock().now
    }

    fn step(&mut self) {
        let stepped = self.sim.step().map(drop).map_err(|error| format!("a host failed: {error}"));
        self.world.check(stepped);
        for node in &self.nodes {
            node.observe(&self.world);
        }
        let mut world = self.world.lock();
        world.now += u64::try_from(TICK.as_millis()).expect("a time");
        if !world.wrong().is_empty() {
            let (wrong, lines) = (world.wrong().join("\n"), world.trace().lines());
            drop(world);
            panic!("{lines}\n{wrong}");
        }
    }

    /// Runs until every node is as it should be.
    fn converge(&mut self, is_there: impl Fn(&Self, &node::Host) -> bool) {
        let until = self.now() + RECOVERY;
        while !self.nodes.iter().all(|node| is_there(self, node)) {
            self.step();
            assert!(
                self.now() < until,
                "{}\nnot everybody serves {} a minute after everything was mended",
                self.world.lock().trace().lines(),
                ledger::name(&self.newest().0),
            );
        }
    }

    /// What everybody should serve.
    fn newest(&self) -> (Version, Digest) {
        let newest = self.database.newest();
        (newest.version().clone(), newest.snapshot.digest())
    }

    /// Whether a node serves the newest version, and the control planes know it.
    fn is_on_record(&self, node: &node::Host) -> bool {
        let wanted = self.newest();
        let records = self.database.nodes();
        let recorded = records.get(node.name()).is_some_and(|record| {
            let (version, digest) = &wanted;
            record.version == *version
                && record.digest == digest.to_string()
                && record.disconnected_at.is_none()
        });
        recorded && node.served() == Some(wanted)
    }
}

/// One run from its seed; what it comes to.
fn run(seed: u64) -> String {
    let mut fleet = Fleet::new(seed);
    let mut faults = Faults::new(seeds::source(seed, "faults", 0));
    while fleet.now() < TROUBLE {
        faults.pass(&mut fleet);
        fleet.step();
    }
    faults.mend_all(&mut fleet);
    fleet.converge(Fleet::is_on_record);
    fleet.world.lock().trace().lines()
}

#[test]
fn every_fleet_ends_equal_whatever_its_network_does() {
    seeds::each("fleet", &SEEDS, |seed| {
        let trace = run(seed);
        let swaps = trace.matches(" serves ").count();
        assert!(swaps > 10, "hardly anything happened:\n{trace}");
    });
}

#[test]
fn a_fleet_does_the_same_with_the_same_seed() {
    seeds::each("fleet", &[], |seed| {
        let (first, second) = (run(seed), run(seed));
        let differing = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert!(first == second, "the runs part where one says\n{differing:?}");
    });
}
