//! One call on its way through the hooks: what they know of it, from authentication to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, View};

use super::chain::{Chain, Question};
use super::error::{Denial, Error, Failure, Refusal};
use super::{Context, Identity, Phase};

/// Longest handle, subject and visibility key, in bytes.
const MAX_HANDLE_BYTES: usize = 4096;
const MAX_SUBJECT_BYTES: usize = 1024;

/// One call. Dropping it tells every hook that took part that the call is over.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(super) chain: Arc<Chain>,
    id: String,
    headers: HeaderMap,
    /// When nobody waits for the answer of the call any more.
    deadline: Instant,
    request_meta: Option<RawJson>,
    session: Option<Arc<str>>,
    /// One for each hook of the chain.
    seats: Vec<Seat>,
    subject: Option<Arc<str>>,
    /// The place of the hook that decided who calls, with its visibility key.
    decided: Option<(usize, String)>,
    /// The call of the code that this one is nested in. Held, so that it ends later.
    _outer: Option<Arc<Visit>>,
}

/// What one hook is told of the caller, and what is remembered of the hook.
#[derive(Debug, Default)]
struct Seat {
    identity: Option<Identity>,
    /// The place of the hook whose visibility key the identity has.
    keyed_by: usize,
    began_with: Arc<OnceLock<Arc<str>>>,
    was_asked: AtomicBool,
    /// An execution went on without its answer.
    was_passed_over: AtomicBool,
}

/// What a caller sees, and for how long that may be kept.
#[derive(Debug)]
pub(super) struct Sight {
    /// Ascending.
    pub(super) positions: Vec<usize>,
    pub(super) keep_for: Duration,
}

impl Visit {
    /// Begins a call and finds out who calls.
    pub(crate) async fn begin(
        chain: &Arc<Chain>,
        headers: HeaderMap,
        request_meta: Option<RawJson>,
        deadline: Instant,
    ) -> Result<Self, Refusal> {
        let mut visit = Self {
            chain: Arc::clone(chain),
            id: new_id(),
            headers,
            deadline,
            request_meta,
            session: None,
            seats: chain.members().iter().map(|_| Seat::default()).collect(),
            subject: None,
            decided: None,
            _outer: None,
        };
        let mut found: Vec<(usize, Identity)> = Vec::new();
        for (place, member) in chain.of(Phase::Authenticate) {
            let answer =
                async { member.hook.authenticate(&visit.context(place)).await.and_then(check_identity) };
            if let Some(Some(identity)) =
                member.ask(visit.question(place, Phase::Authenticate), answer).await?
            {
                found.push((place, identity));
            }
        }
        visit.seat(found);
        Ok(visit)
    }

    /// A call that code makes, for the same caller: it is known to the hooks by an id of its own.
    pub(crate) fn nested(self: &Arc<Self>, session: &str) -> Self {
        let seats = self.seats.iter().map(|seat| Seat {
            identity: seat.identity.clone(),
            keyed_by: seat.keyed_by,
            began_with: Arc::clone(&seat.began_with),
            was_asked: AtomicBool::new(false),
            was_passed_over: AtomicBool::new(false),
        });
        Self {
            chain: Arc::clone(&self.chain),
            id: new_id(),
            headers: self.headers.clone(),
            deadline: self.deadline,
            request_meta: self.request_meta.clone(),
            session: Some(session.into()),
            seats: seats.collect(),
            subject: self.subject.clone(),
            decided: self.decided.clone(),
            _outer: Some(Arc::clone(self)),
        }
    }

    /// The hooks that are asked.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Who calls, for logs and audit records.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The run of code that the call belongs to.
    pub(super) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Asks whether the caller may run code.
    pub(crate) async fn authorize_code(&self) -> Result<(), Refusal> {
        for (place, member) in self.chain.of(Phase::AuthorizeCode) {
            let answer = async { member.hook.authorize_code(&self.context(place)).await };
            if member.ask(self.question(place, Phase::AuthorizeCode), answer).await? == Some(false) {
                return Err(Refusal::Denied(Denial::new("this caller may not run code")));
            }
        }
        Ok(())
    }

    /// Under what this caller's visibility may be kept; `None` where some hook that hides tools does not say.
    ///
    /// Keys of different hooks are not compared: each stands beside the place of the hook that gave it. A hook is
    /// shown the subject of the one that decided, so that one's key counts wherever it is not the same.
    pub(super) fn visibility_key(&self) -> Option<String> {
        let (last, lasts) = self.decided.as_ref()?;
        let mut key = String::new();
        for (place, _) in self.chain.of(Phase::FilterTools) {
            let Seat { identity, keyed_by, .. } = self.seats.get(place)?;
            let own = (place, *keyed_by, identity.as_ref()?.visibility_key.as_str());
            let shown = (keyed_by != last).then_some((place, *last, lasts.as_str()));
            for (place, giver, part) in [Some(own), shown].into_iter().flatten() {
                if part.is_empty() {
                    return None;
                }
                let (place, giver, length) = (place.to_string(), giver.to_string(), part.len().to_string());
                key.push_str(&[&place, ":", &giver, ":", &length, ":", part].concat());
            }
        }
        Some(key)
    }

    /// Asks which of these entries, ascending, the caller may know of. Hooks are asked where there are none, too:
    /// otherwise a hook that fails or denies would tell names that are hidden from names that nobody has.
    pub(super) async fn filter(
        &self,
        all: &View,
        positions: Vec<usize>,
        domain: Option<&str>,
    ) -> Result<Sight, Refusal> {
        let mut sight = Sight { positions, keep_for: Duration::MAX };
        for (place, member) in self.chain.of(Phase::FilterTools) {
            let asked = &sight.positions;
            let tools: Vec<&Entry> = asked.iter().filter_map(|at| all.entries().get(*at)).collect();
            let answer = async {
                let visible = member.hook.filter_tools(&self.context(place), &tools, domain).await?;
                let kept: Option<Vec<usize>> =
                    visible.positions.iter().map(|at| asked.get(*at).copied()).collect();
                let mut kept = kept.ok_or_else(|| {
                    Failure::Invalid("it names a tool that it was not asked about".to_owned())
                })?;
                kept.sort_unstable();
                kept.dedup();
                Ok((kept, visible.keep_for))
            };
            match member.ask(self.question(place, Phase::FilterTools), answer).await? {
                Some((kept, keep_for)) => {
                    sight = Sight { positions: kept, keep_for: sight.keep_for.min(keep_for) };
                }
                // What was seen while a hook was away is not what is seen when it is back.
                None => sight.keep_for = Duration::ZERO,
            }
        }
        Ok(sight)
    }

    /// What the hook at this place is told.
    pub(super) fn context(&self, place: usize) -> Context<'_> {
        static NOWHERE: OnceLock<Arc<str>> = OnceLock::new();
        let seat = self.seats.get(place).inspect(|seat| seat.was_asked.store(true, Ordering::Relaxed));
        Context {
            id: &self.id,
            identity: seat.and_then(|seat| seat.identity.as_ref()),
            headers: &self.headers,
            request_meta: self.request_meta.as_ref(),
            session: self.session.as_deref(),
            began_with: seat.map_or(&NOWHERE, |seat| &seat.began_with),
        }
    }

    /// Notes that an execution goes on without the answer of the hook at this place.
    pub(super) fn pass_over(&self, place: usize) {
        if let Some(seat) = self.seats.get(place) {
            seat.was_passed_over.store(true, Ordering::Relaxed);
        }
    }

    /// What the hook at this place is asked. Whoever only watches is told even when nobody waits any more.
    pub(super) fn question(&self, place: usize, phase: Phase) -> Question {
        let was_passed_over =
            self.seats.get(place).is_some_and(|seat| seat.was_passed_over.load(Ordering::Relaxed));
        let deadline = (phase != Phase::ReportError).then_some(self.deadline);
        Question { phase, deadline, was_passed_over }
    }

    /// Tells every hook who calls: the last one that was found, with the handle that the hook itself gave.
    fn seat(&mut self, found: Vec<(usize, Identity)>) {
        let Some((decider, last)) = found.last() else { return };
        let (decider, last) = (*decider, last.clone());
        self.subject = (!last.subject.is_empty()).then(|| last.subject.as_str().into());
        self.decided = Some((decider, last.visibility_key.clone()));
        for seat in &mut self.seats {
            let strangers = Identity { handle: String::new(), value: None, ..last.clone() };
            (seat.identity, seat.keyed_by) = (Some(strangers), decider);
        }
        for (place, own) in found {
            let Some(seat) = self.seats.get_mut(place) else { continue };
            seat.identity = Some(Identity { subject: last.subject.clone(), ..own });
            seat.keyed_by = place;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for (seat, member) in self.seats.iter().zip(self.chain.members()) {
            if seat.was_asked.load(Ordering::Relaxed) {
                member.hook.end_call(&self.id, seat.began_with.get().map(AsRef::as_ref));
            }
        }
    }
}

fn check_identity(identity: Option<Identity>) -> Result<Option<Identity>, Error> {
    if let Some(Identity { handle, subject, visibility_key, value: _ }) = &identity
        && (handle.len() > MAX_HANDLE_BYTES || subject.len().max(visibility_key.len()) > MAX_SUBJECT_BYTES)
    {
        return Err(Failure::Invalid("an identity is longer than it may be".to_owned()).into());
    }
    Ok(identity)
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    // Ids only tell calls apart; where the system has no randomness, a counter does as well.
    if getrandom::fill(&mut bytes).is_err() {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        return format!("call-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}
