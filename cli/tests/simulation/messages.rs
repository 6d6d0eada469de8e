//! The state machines of both sides, and between them a channel that does what no TCP connection would.
//!
//! Checked with every message: the node serves nothing that was not published under that version, and never goes
//! back; one update is unanswered at most, and it is the newest; what the control plane takes for confirmed was
//! served. Where messages are only repeated and mixed up, no stream ends, and the next version arrives on it; where
//! they are lost, of another stream or forged, a stream may end, and the next one delivers the newest version.

mod forge;
mod peers;

use rand::Rng as _;
use rand::rngs::SmallRng;

use self::peers::{Mail, Peers};
use crate::seeds;

const STEPS: usize = 150;
/// Seeds that are always run; the last one once left a stream that never healed.
const SEEDS: [u64; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15_029_051_999_132_529_981];

/// What the channel does, in per cent of the messages.
#[derive(Debug, Clone, Copy)]
struct Channel {
    loses: u32,
    repeats: u32,
    /// Any message may overtake any other.
    mixes: bool,
    /// Streams end, in per cent of the steps.
    breaks: u32,
    /// What was sent on one stream may arrive on the next.
    crosses: bool,
    forges: u32,
}

/// A run up to the moment from which on nothing goes wrong any more.
fn run(seed: u64, channel: Channel) -> Peers {
    let mut rng = seeds::source(seed, "messages", 0);
    let mut peers = Peers::new(seed, channel.crosses || channel.forges > 0);
    for _ in 0..STEPS {
        match rng.random_range(0..100) {
            0..25 => peers.publish(),
            25..27 => peers.renew(),
            _ if rng.random_ratio(channel.breaks, 100) => peers.reconnect(channel.crosses),
            _ => deliver(&mut rng, &mut peers, channel),
        }
    }
    peers
}

fn deliver(rng: &mut SmallRng, peers: &mut Peers, channel: Channel) {
    if peers.mail.is_empty() {
        return;
    }
    let index = if channel.mixes { rng.random_range(0..peers.mail.len()) } else { 0 };
    let mut mail: Mail = if rng.random_ratio(channel.repeats, 100) {
        peers.mail[index].clone()
    } else {
        peers.mail.remove(index)
    };
    if rng.random_ratio(channel.loses, 100) {
        return;
    }
    if rng.random_ratio(channel.forges, 100) {
        forge::change(rng, &mut mail, peers.held());
    }
    peers.arrive(mail);
}

#[test]
fn repeated_and_mixed_up_messages_end_no_stream() {
    let channel = Channel { loses: 0, repeats: 30, mixes: true, breaks: 0, crosses: false, forges: 0 };
    seeds::each("end_no_stream", &SEEDS, |seed| {
        let mut peers = run(seed, channel);
        peers.settle();
        // One more version, as a stream that lost its way would show.
        peers.publish();
        peers.settle();
        peers.expect_newest();
        assert_eq!(peers.streams(), 1, "{}", peers.story());
    });
}

#[test]
fn after_lost_messages_the_next_stream_delivers() {
    let channel = Channel { loses: 15, repeats: 15, mixes: true, breaks: 5, crosses: false, forges: 0 };
    seeds::each("next_stream_delivers", &SEEDS, |seed| {
        let mut peers = run(seed, channel);
        peers.reconnect(false);
        peers.settle();
        peers.expect_newest();
    });
}

#[test]
fn messages_of_other_streams_and_forged_ones_do_not_reach_callers() {
    let channel = Channel { loses: 5, repeats: 15, mixes: true, breaks: 8, crosses: true, forges: 15 };
    seeds::each("do_not_reach_callers", &SEEDS, |seed| {
        let mut peers = run(seed, channel);
        peers.reconnect(false);
        peers.settle();
        peers.expect_newest();
    });
}
