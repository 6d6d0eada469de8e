//! An update and what is held become the next snapshot, or the reasons why not. Pure; nothing is half applied.

use toolplane_proto::decode;
use toolplane_proto::sync::Update;
use toolplane_registry::snapshot::{Builder, DomainSnapshot};
use toolplane_registry::{Rejection, Rule, Snapshot, Version};

/// Decodes and checks everything; every mistake is reported.
pub(crate) fn apply(held: &Snapshot, update: Update) -> Result<Snapshot, Vec<Rejection>> {
    let Update { nonce: _, version, full, changed, removed, digest, settings } = update;
    let version = version.map(Version::from).unwrap_or_default();
    let mut builder = if full { Builder::new(version) } else { Builder::from_held(held, version) };
    let mut rejections = Vec::new();
    if let Some(settings) = settings {
        builder = builder.settings(settings.into());
    }
    for name in removed {
        match decode::domain_name("removed", &name) {
            Ok(domain) => builder = builder.remove(&domain),
            Err(error) => rejections.push(rejection(&name, &error)),
        }
    }
    for entry in changed {
        let name = entry.domain.clone();
        match DomainSnapshot::try_from(entry) {
            Ok(entry) => builder = builder.domain(entry),
            Err(error) => rejections.push(rejection(&name, &error)),
        }
    }
    match decode::digest("digest", &digest) {
        Ok(digest) => builder = builder.expect_digest(digest),
        Err(error) => rejections.push(Rejection::new("update", Rule::Digest, error.to_string())),
    }
    match builder.build() {
        Ok(snapshot) if rejections.is_empty() => Ok(snapshot),
        Ok(_) => Err(rejections),
        Err(more) => {
            rejections.extend(more);
            Err(rejections)
        }
    }
}

fn rejection(domain: &str, error: &decode::Error) -> Rejection {
    let rule = match error {
        decode::Error::Invalid { field: "digest", .. } => Rule::Digest,
        decode::Error::Invalid { .. } | decode::Error::Missing(_) => Rule::Consistency,
    };
    Rejection::new(format!("domain `{domain}`"), rule, error.to_string())
}

#[cfg(test)]
mod tests {
    use toolplane_proto::encode::full_update;
    use toolplane_registry::test_util::{a_domain, a_tool};

    use super::*;

    fn snapshot(number: u64, tools: &[&str]) -> Snapshot {
        let tools = tools.iter().map(|name| a_tool(name)).collect();
        Builder::new(Version::new("s", number)).domain(a_domain("a", tools)).build().unwrap()
    }

    fn nothing() -> Snapshot {
        Builder::new(Version::none()).build().unwrap()
    }

    #[test]
    fn a_full_update_voids_what_was_held() {
        let held = Builder::new(Version::new("old", 9)).domain(a_domain("gone", vec![])).build().unwrap();
        let applied = apply(&held, full_update(&snapshot(1, &["x"]), "n".to_owned())).unwrap();
        assert_eq!(applied.digest(), snapshot(1, &["x"]).digest());
        assert_eq!(applied.version(), &Version::new("s", 1));
    }

    #[test]
    fn a_change_builds_on_what_is_held() {
        let (held, next) = (snapshot(1, &["x"]), snapshot(2, &["x", "y"]));
        let update = Update { full: false, ..full_update(&next, "n".to_owned()) };
        assert_eq!(apply(&held, update).unwrap().tool_count(), 2);
        let removal = Update {
            full: false,
            changed: Vec::new(),
            removed: vec!["a".to_owned()],
            digest: nothing().digest().as_bytes().to_vec(),
            ..full_update(&next, "n".to_owned())
        };
        assert_eq!(apply(&held, removal).unwrap().domains().len(), 0);
    }

    #[test]
    fn every_mistake_is_named() {
        let mut update = full_update(&snapshot(1, &["x"]), "n".to_owned());
        for entry in &mut update.changed {
            entry.description.push('!');
        }
        update.removed = vec!["a".to_owned()];
        update.digest = vec![1, 2];
        let rules: Vec<_> = apply(&nothing(), update).unwrap_err().into_iter().map(|r| r.rule).collect();
        assert_eq!(rules, [Rule::Digest, Rule::Digest, Rule::Digest]);
    }

    #[test]
    fn a_missing_digest_is_no_permission() {
        let update = Update { digest: Vec::new(), ..full_update(&snapshot(1, &["x"]), "n".to_owned()) };
        assert!(apply(&nothing(), update).is_err());
    }
}
