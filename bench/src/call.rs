//! What a call costs on its way through a node: throughput, latency and processor time, side by side with what stands
//! at both ends of the scale.
//!
//! ```text
//! scripts/bench call                     everything, below 20 minutes
//! scripts/bench call --only execute      calls per second, latency, and the processor time per call of client,
//!                                        subject and upstream, with 64 connections; about 1 minute
//! BENCH_PROFILE=release scripts/bench …  the profile that is quicker to build than the one that is shipped
//! ```
//!
//! Client, subject and upstream are processes of their own, so that `/proc` tells apart what each of them uses. Subjects
//! take turns, round by round, and the median of the rounds counts: what else the machine does meets all of them alike.
//! Modules below measure one thing each and own their table; [`subject`], [`calls`], [`generator`], [`figures`] and
//! [`registries`] are what they share, [`side_by_side`] runs what most of them want.

mod added;
pub(crate) mod calls;
mod cancel;
mod execute;
pub(crate) mod figures;
pub(crate) mod generator;
mod grid;
mod large;
mod memory;
mod meta;
mod million;
mod peer;
mod peers;
pub(crate) mod registries;
mod requests;
mod side_by_side;
mod slow;
pub(crate) mod subject;
mod two_nodes;

use crate::group::{Group, Part, one};

/// Everything about calls.
pub(crate) const GROUP: Group = Group {
    name: "call",
    record: "call/run",
    parts: &[
        Part { name: "execute", expected: 70, run: |setting| one(execute::run(setting)) },
        Part { name: "added", expected: 80, run: |setting| one(added::run(setting)) },
        Part { name: "requests", expected: 20, run: |setting| one(requests::run(setting)) },
        Part { name: "memory", expected: 25, run: |setting| one(memory::run(setting)) },
        Part { name: "cancel", expected: 60, run: |setting| one(cancel::run(setting)) },
        Part { name: "slow", expected: 100, run: |setting| one(slow::run(setting)) },
        Part { name: "large", expected: 25, run: |setting| one(large::run(setting)) },
        Part { name: "peers", expected: 180, run: |setting| one(peers::run(setting)) },
        Part { name: "meta", expected: 120, run: |setting| one(meta::run(setting)) },
        Part { name: "grid", expected: 180, run: |setting| one(grid::run(setting)) },
        Part { name: "million", expected: 240, run: |setting| one(million::run(setting)) },
    ],
};
