//! What a caller brings back with its answers when a tool asked for more input: sealed, so that any node can go on
//! and nobody else can read or change it.
//!
//! Owns contents and checks; `docs/adr/0023` says why. Bound to the caller's credentials, the tool and its arguments,
//! and over after a while. Keeps nothing: that is the point of it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use toolplane_registry::digest::Hasher;
use toolplane_registry::{Digest, RawJson, RequestKey};
use toolplane_seal::Key;

/// What states are sealed for, so that nothing else that was sealed with the key opens as one.
const CONTEXT: &[u8] = b"request state 1";
/// Parts of the names of headers that say who calls.
const CREDENTIALS: [&str; 14] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "credential",
    "identity",
    "api-key",
    "apikey",
    // What a proxy says of whom it has let in: `remote-user`, `x-forwarded-email`, `x-ms-client-principal-id`.
    "user",
    "email",
    "principal",
    "client-cert",
    "tenant",
    "account",
];
/// Hold such a part and say nothing of who calls.
const NO_CREDENTIALS: [&str; 2] = ["user-agent", "sec-fetch-user"];

/// Why a state is refused. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// There are answers and no state.
    #[error("`inputResponses` come with the `requestState` of the result that asked for them")]
    Missing,
    /// No key opens it.
    #[error(
        "the `requestState` is not one of this gateway, was changed on the way, or is too old to be read"
    )]
    Unreadable,
    /// It is over.
    #[error("the `requestState` has expired; call the tool again from the start")]
    Expired,
    /// Other credentials.
    #[error("the `requestState` was given to another caller")]
    OtherCaller,
    /// Another tool.
    #[error("the `requestState` belongs to a call of another tool")]
    OtherTool,
    /// Other arguments.
    #[error("the `requestState` belongs to a call with other arguments; send the same ones again")]
    OtherArguments,
}

/// What a state is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) domain: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) arguments: Option<&'a RawJson>,
    pub(crate) caller: &'a HeaderMap,
    /// Whom the hooks take the caller for.
    pub(crate) subject: Option<&'a str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    domain: String,
    tool: String,
    arguments: String,
    caller: String,
    /// In milliseconds since the Unix epoch.
    expires_at: i64,
    /// What the upstream wants back.
    state: Option<String>,
}

impl Problem {
    /// The stable word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Expired => "expired",
            Self::OtherCaller => "other_caller",
            Self::OtherTool => "other_tool",
            Self::OtherArguments => "other_arguments",
        }
    }
}

/// Seals an upstream's state; `None` where the control plane gave no keys.
pub(crate) fn seal(
    keys: &[RequestKey],
    binding: Binding<'_>,
    state: Option<String>,
    now: i64,
    expires_at: i64,
) -> Option<String> {
    let outlives = keys.iter().filter(|key| key.not_after >= expires_at.max(now));
    let key = outlives.min_by_key(|key| key.not_after).or_else(|| longest(keys))?;
    let contents = Contents {
        domain: binding.domain.to_owned(),
        tool: binding.tool.to_owned(),
        arguments: arguments(binding.arguments).to_string(),
        caller: caller(binding).to_string(),
        expires_at,
        state,
    };
    let plain = serde_json::to_vec(&contents).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(Key::from_bytes(key.key.expose()).seal(&plain, CONTEXT)))
}

/// Opens a state and checks that it belongs to this call; gives back what the upstream wants to see again.
pub(crate) fn open(
    keys: &[RequestKey],
    binding: Binding<'_>,
    sealed: &str,
    now: i64,
) -> Result<Option<String>, Problem> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Problem::Unreadable)?;
    let longest = longest(keys).map(|key| key.not_after);
    let usable = keys.iter().filter(|key| key.not_after >= now || Some(key.not_after) == longest);
    let mut usable = usable.map(|key| Key::from_bytes(key.key.expose()));
    let plain = usable.find_map(|key| key.open(&sealed, CONTEXT).ok()).ok_or(Problem::Unreadable)?;
    let contents: Contents = serde_json::from_slice(&plain).map_err(|_| Problem::Unreadable)?;
    if contents.caller != caller(binding).to_string() {
        return Err(Problem::OtherCaller);
    }
    if contents.domain != binding.domain || contents.tool != binding.tool {
        return Err(Problem::OtherTool);
    }
    if contents.arguments != arguments(binding.arguments).to_string() {
        return Err(Problem::OtherArguments);
    }
    if contents.expires_at < now {
        return Err(Problem::Expired);
    }
    Ok(contents.state)
}

fn longest(keys: &[RequestKey]) -> Option<&RequestKey> {
    keys.iter().max_by_key(|key| key.not_after)
}

/// Tells callers apart by what they show to be let in, and by whom the hooks take them for.
fn caller(Binding { caller: headers, subject, .. }: Binding<'_>) -> Digest {
    let says_who = |name: &HeaderName| {
        let name = name.as_str();
        !NO_CREDENTIALS.contains(&name) && CREDENTIALS.iter().any(|part| name.contains(part))
    };
    let mut shown: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| says_who(name))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    shown.sort_unstable();
    let hasher =
        shown.into_iter().fold(Hasher::default(), |hasher, (name, value)| hasher.text(name).field(value));
    match subject {
        // No header has this name.
        Some(subject) => hasher.text("").text(subject).finish(),
        None => hasher.finish(),
    }
}

/// The same for arguments that say the same, where a value can hold them.
fn arguments(given: Option<&RawJson>) -> Digest {
    let Some(raw) = given else { return Digest::of(b"{}") };
    let said = raw.to_value().map_or_else(|_| raw.as_str().to_owned(), |value| value.to_string());
    Digest::of(said.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use toolplane_registry::Secret;

    use super::*;

    const NOW: i64 = 1_000_000;
    const LATER: i64 = NOW + 600;

    fn key(byte: u8, not_after: i64) -> RequestKey {
        RequestKey { id: byte.to_string(), key: Secret::new([byte; 32]), not_after }
    }

    fn headers(token: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (http::header::AUTHORIZATION, HeaderValue::from_static(token)),
            (http::header::USER_AGENT, HeaderValue::from_str(&format!("ua {}", std::process::id())).unwrap()),
        ])
    }

    fn binding<'a>(arguments: Option<&'a RawJson>, caller: &'a HeaderMap) -> Binding<'a> {
        Binding { domain: "d", tool: "d_t", arguments, caller, subject: None }
    }

    #[test]
    fn a_state_opens_for_the_same_call_and_says_what_the_upstream_said() {
        let (keys, caller) = ([key(1, LATER + 5)], headers("Bearer a"));
        let [sent, again] = [r#"{"a":1, "b":[2]}"#, r#"{"a":1,"b":[2]}"#].map(|t| RawJson::parse(t).unwrap());
        for state in [None, Some("of the upstream".to_owned())] {
            let sealed = seal(&keys, binding(Some(&sent), &caller), state.clone(), NOW, LATER).unwrap();
            assert!(!sealed.contains("upstream"));
            assert_eq!(open(&keys, binding(Some(&again), &caller), &sealed, LATER), Ok(state));
        }
        assert_eq!(seal(&[], binding(None, &caller), None, NOW, LATER), None);
    }

    #[test]
    fn every_other_use_is_refused_by_name() {
        let (keys, caller) = ([key(1, LATER + 5)], headers("Bearer a"));
        let sealed = seal(&keys, binding(None, &caller), None, NOW, LATER).unwrap();
        let right = binding(None, &caller);
        let (other, arguments) = (headers("Bearer b"), RawJson::parse(r#"{"x":1}"#).unwrap());
        for (binding, now, expected) in [
            (Binding { caller: &other, ..right }, NOW, Problem::OtherCaller),
            (Binding { subject: Some("ann"), ..right }, NOW, Problem::OtherCaller),
            (Binding { tool: "d_u", ..right }, NOW, Problem::OtherTool),
            (Binding { domain: "e", ..right }, NOW, Problem::OtherTool),
            (Binding { arguments: Some(&arguments), ..right }, NOW, Problem::OtherArguments),
            (right, LATER + 1, Problem::Expired),
        ] {
            assert_eq!(open(&keys, binding, &sealed, now), Err(expected));
        }
        for position in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&keys, right, &changed, NOW), Err(Problem::Unreadable), "at {position}");
        }
        assert_eq!(open(&[key(2, LATER)], right, &sealed, NOW), Err(Problem::Unreadable));
    }

    #[test]
    fn whoever_a_proxy_vouches_for_is_a_caller_of_their_own() {
        let keys = [key(1, LATER + 5)];
        for name in [
            "x-forwarded-user",
            "remote-user",
            "x-auth-request-email",
            "x-forwarded-preferred-username",
            "x-forwarded-client-cert",
            "x-ms-client-principal-id",
            "x-tenant-id",
        ] {
            let of = |who: &'static str| {
                HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(who))])
            };
            let (ann, bob) = (of("ann"), of("bob"));
            let sealed = seal(&keys, binding(None, &ann), None, NOW, LATER).unwrap();
            assert_eq!(open(&keys, binding(None, &ann), &sealed, NOW), Ok(None));
            assert_eq!(open(&keys, binding(None, &bob), &sealed, NOW), Err(Problem::OtherCaller), "{name}");
        }
        let agent = |name: &'static str| {
            HeaderMap::from_iter([(http::header::USER_AGENT, HeaderValue::from_static(name))])
        };
        let sealed = seal(&keys, binding(None, &agent("one")), None, NOW, LATER).unwrap();
        assert_eq!(open(&keys, binding(None, &agent("two")), &sealed, NOW), Ok(None));
    }

    #[test]
    fn nodes_seal_with_the_key_that_is_over_first_and_open_with_all_that_are_not() {
        let caller = HeaderMap::new();
        let ring = [key(1, NOW + 10), key(2, LATER + 10), key(3, LATER + 1000)];
        let sealed = seal(&ring, binding(None, &caller), None, NOW, LATER).unwrap();
        let opens = |keys: &[RequestKey], now| open(keys, binding(None, &caller), &sealed, now);
        assert!(
            opens(&ring[1..2], NOW).is_ok(),
            "the first does not outlive it, the third is not needed yet"
        );
        assert_eq!(opens(&[key(1, NOW + 10), key(3, LATER + 1000)], NOW), Err(Problem::Unreadable));
        // A key that is over opens nothing, unless it is the last one a node has heard of.
        let far = LATER + 500;
        assert_eq!(opens(&ring, far), Err(Problem::Unreadable));
        assert_eq!(opens(&ring[..2], far), Err(Problem::Expired));
        assert!(seal(&ring[..1], binding(None, &caller), None, far, far + 1).is_some());
    }
}
