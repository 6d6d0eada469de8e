//! What goes wrong, when, and for how long: a function of the seed.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::fleet::{Fleet, TICK};
use crate::seeds::millis;

/// Everything that goes wrong in a run.
#[derive(Debug)]
pub(crate) struct Faults {
    rng: SmallRng,
    /// When the next thing happens.
    next: u64,
    /// What is broken, and until when.
    broken: BTreeMap<Part, (Fault, u64)>,
}

/// What can break; one fault at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Between a control plane and a node.
    Link(usize, usize),
    Control(usize),
    Node(usize),
    /// Between a control plane and the database.
    Database(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Messages wait.
    Held,
    /// Messages are lost, both ways. A connection over it never delivers anything again, and nobody is told.
    Cut,
    /// Messages of the node are lost.
    CutFromNode,
    /// Messages to the node are lost.
    CutToNode,
    /// The process is gone.
    Down,
    /// The database does not answer.
    Unreachable,
}

impl Faults {
    /// Faults with numbers of their own.
    pub(crate) fn new(rng: SmallRng) -> Self {
        Self { rng, next: 500, broken: BTreeMap::new() }
    }

    /// Does what is due.
    pub(crate) fn pass(&mut self, fleet: &mut Fleet) {
        let now = fleet.now();
        let due: Vec<Part> =
            self.broken.iter().filter(|(_, (_, until))| *until <= now).map(|(part, _)| *part).collect();
        for part in due {
            self.mend(fleet, part);
        }
        if now >= self.next {
            self.next = now + self.rng.random_range(20..700);
            self.strike(fleet);
        }
    }

    /// Ends all trouble.
    pub(crate) fn mend_all(&mut self, fleet: &mut Fleet) {
        let parts: Vec<Part> = self.broken.keys().copied().collect();
        for part in parts {
            self.mend(fleet, part);
        }
        for (control, node) in links(fleet) {
            fleet.sim.set_link_latency(control.as_str(), node.as_str(), TICK);
        }
        fleet.world.note("network", "everything is mended");
    }

    fn strike(&mut self, fleet: &mut Fleet) {
        let control = self.rng.random_range(0..fleet.controls.len());
        let node = self.rng.random_range(0..fleet.nodes.len());
        match self.rng.random_range(0..100) {
            0..40 => fleet.database.change(&mut fleet.generator),
            40..43 => {
                for _ in 0..self.rng.random_range(5..20) {
                    fleet.database.change(&mut fleet.generator);
                }
            }
            43..46 => fleet.database.roll_back(self.rng.random_range(1..5)),
            46..56 => self.slow_down(fleet, control, node),
            56..64 => self.break_part(fleet, Part::Link(control, node), Fault::Held),
            64..70 => self.break_part(fleet, Part::Link(control, node), Fault::Cut),
            70..74 => self.break_part(fleet, Part::Link(control, node), Fault::CutFromNode),
            74..78 => self.break_part(fleet, Part::Link(control, node), Fault::CutToNode),
            78..84 => self.break_part(fleet, Part::Control(control), Fault::Down),
            84..93 => self.break_part(fleet, Part::Node(node), Fault::Down),
            93..98 => self.break_part(fleet, Part::Database(control), Fault::Unreachable),
            _ => self.restore(fleet),
        }
    }

    fn slow_down(&mut self, fleet: &Fleet, control: usize, node: usize) {
        let latency = TICK * u32::try_from(millis(&mut self.rng, 1, 40).as_millis()).expect("a number");
        let (control, node) = (fleet.controls[control].name(), fleet.nodes[node].name());
        fleet.world.note("network", format!("{control} and {node} are {latency:?} apart"));
        fleet.sim.set_link_latency(control, node, latency);
    }

    fn break_part(&mut self, fleet: &mut Fleet, part: Part, fault: Fault) {
        if self.broken.contains_key(&part) {
            return;
        }
        let longest = if self.rng.random_bool(0.2) { 15_000 } else { 2_000 };
        let until = fleet.now() + self.rng.random_range(50..longest);
        fleet.world.note("network", format!("{part:?} is {fault:?}"));
        match part {
            Part::Link(control, node) => {
                let (control, node) = (fleet.controls[control].name(), fleet.nodes[node].name());
                match fault {
                    Fault::Held => fleet.sim.hold(control, node),
                    Fault::CutFromNode => fleet.sim.partition_oneway(node, control),
                    Fault::CutToNode => fleet.sim.partition_oneway(control, node),
                    _ => fleet.sim.partition(control, node),
                }
            }
            Part::Control(control) => fleet.sim.crash(fleet.controls[control].name()),
            Part::Node(node) => {
                // Now and then the whole machine dies: nobody is told that its connections are gone.
                if self.rng.random_bool(0.3) {
                    for control in 0..fleet.controls.len() {
                        self.mend(fleet, Part::Link(control, node));
                        self.break_part(fleet, Part::Link(control, node), Fault::Cut);
                    }
                }
                fleet.sim.crash(fleet.nodes[node].name());
                fleet.nodes[node].is_down();
            }
            Part::Database(control) => fleet.controls[control].database.set_cut(true),
        }
        self.broken.insert(part, (fault, until));
    }

    fn mend(&mut self, fleet: &mut Fleet, part: Part) {
        let Some((fault, _)) = self.broken.remove(&part) else { return };
        fleet.world.note("network", format!("{part:?} is no longer {fault:?}"));
        match part {
            Part::Link(control, node) => {
                let (control, node) = (fleet.controls[control].name(), fleet.nodes[node].name());
                match fault {
                    Fault::Held => fleet.sim.release(control, node),
                    Fault::CutFromNode => fleet.sim.repair_oneway(node, control),
                    Fault::CutToNode => fleet.sim.repair_oneway(control, node),
                    _ => fleet.sim.repair(control, node),
                }
            }
            Part::Control(control) => fleet.sim.bounce(fleet.controls[control].name()),
            Part::Node(node) => {
                match self.rng.random_range(0..10) {
                    0 => fleet.nodes[node].damage(),
                    1..4 => fleet.nodes[node].forget(),
                    _ => {}
                }
                fleet.sim.bounce(fleet.nodes[node].name());
            }
            Part::Database(control) => fleet.controls[control].database.set_cut(false),
        }
    }

    /// A backup is restored, by the book: the control planes are stopped for it. Some changes follow before the
    /// first of them is back.
    fn restore(&mut self, fleet: &mut Fleet) {
        for control in 0..fleet.controls.len() {
            self.break_part(fleet, Part::Control(control), Fault::Down);
        }
        let lost = self.rng.random_range(1..6);
        fleet.world.note("database", format!("a backup is restored, {lost} versions are lost"));
        fleet.database.restore(lost);
        for _ in 0..self.rng.random_range(0..3) {
            fleet.database.change(&mut fleet.generator);
        }
    }
}

fn links(fleet: &Fleet) -> Vec<(String, String)> {
    let nodes = || fleet.nodes.iter().map(|node| node.name().to_owned());
    fleet.controls.iter().flat_map(|control| nodes().map(|node| (control.name().to_owned(), node))).collect()
}
