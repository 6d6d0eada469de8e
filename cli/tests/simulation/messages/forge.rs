//! Messages as nobody sent them.

use rand::Rng as _;
use rand::rngs::SmallRng;
use toolplane_proto::sync::{Hello, SubscribeRequest, Update, subscribe_request::Message};
use toolplane_registry::Snapshot;

use super::peers::Mail;

/// Changes a message. A version that is put forward is not among the changes: no digest covers it.
pub(crate) fn change(rng: &mut SmallRng, mail: &mut Mail, held: &Snapshot) {
    match mail {
        Mail::ToNode(update) => change_update(rng, update, held),
        Mail::ToControl(request) => change_answer(rng, request),
    }
}

fn change_update(rng: &mut SmallRng, update: &mut Update, held: &Snapshot) {
    match rng.random_range(0..10) {
        0 => update.full = !update.full,
        1 => update.nonce.clear(),
        2 => update.version = None,
        3 => {
            let number = rng.random_range(0..=held.version().number()).saturating_sub(1);
            if let Some(version) =
                update.version.as_mut().filter(|version| version.store_id == held.version().store_id())
            {
                version.number = number;
            }
        }
        4 => update.digest.clear(),
        5 => update.removed.push(format!("d{}", rng.random_range(0..12))),
        6 => {
            if !update.changed.is_empty() {
                let index = rng.random_range(0..update.changed.len());
                update.changed.remove(index);
            }
        }
        7 => {
            for domain in &mut update.changed {
                domain.tools.pop();
            }
        }
        8 => {
            for domain in &mut update.changed {
                domain.endpoint = None;
            }
        }
        _ => {
            for tool in update.changed.iter_mut().flat_map(|domain| &mut domain.tools) {
                tool.description.push('!');
            }
        }
    }
}

fn change_answer(rng: &mut SmallRng, request: &mut SubscribeRequest) {
    match rng.random_range(0..4) {
        0 => request.message = None,
        1 => {
            request.message =
                Some(Message::Hello(Hello { node_id: "another".to_owned(), ..Hello::default() }));
        }
        _ => {
            let guess = ["", "0", "1", "x", "18446744073709551616", "2"][rng.random_range(0..6)].to_owned();
            match &mut request.message {
                Some(Message::Ack(ack)) => ack.nonce = guess,
                Some(Message::Nack(nack)) => nack.nonce = guess,
                _ => {}
            }
        }
    }
}
