//! How much of what a node says is taken, and in what form.
//!
//! Whoever has a node token chooses these texts, and they come to stand in the database, in answers and in the log.
//! A Hello that exceeds a bound is refused; a refusal of an update is cut and goes on, because it still says that
//! something is wrong. Pure.

use tonic::Status;
use toolplane_proto::sync;
use toolplane_registry::Rejection;
use toolplane_registry::sanitize::is_unprintable;

/// Longest node id, build, label key and label value, in bytes.
const MAX_TEXT: usize = 256;
/// How many labels a node may have.
const MAX_LABELS: usize = 64;
/// How long all of them may be together, in bytes.
const MAX_LABEL_BYTES: usize = 4 << 10;
/// How many rejections of one refusal are kept.
const MAX_REJECTIONS: usize = 32;
/// How long their subjects and reasons may be, in characters.
const MAX_REJECTION_CHARS: usize = 512;

/// Checks what a node says of itself.
pub(super) fn check(hello: &sync::Hello) -> Result<(), Status> {
    let sync::Hello { node_id, build, labels, .. } = hello;
    let texts = || labels.iter().flat_map(|(key, value)| [key, value]);
    let all = || texts().chain([node_id, build]);
    let refuse = |reason: String| Err(Status::invalid_argument(reason));
    if node_id.trim().is_empty() || all().any(|text| text.len() > MAX_TEXT) {
        return refuse(format!(
            "a node needs an id, and neither it nor its build nor a label may be longer than {MAX_TEXT} bytes"
        ));
    }
    if labels.len() > MAX_LABELS || texts().map(String::len).sum::<usize>() > MAX_LABEL_BYTES {
        return refuse(format!(
            "a node may have {MAX_LABELS} labels of {MAX_LABEL_BYTES} bytes in all, and no more"
        ));
    }
    if all().any(|text| text.chars().any(is_unprintable)) {
        return refuse("an id, a build or a label holds characters that cannot be shown".to_owned());
    }
    Ok(())
}

/// The reasons of a refusal, as they are kept and logged.
pub(super) fn rejections(said: Vec<sync::Rejection>) -> Vec<Rejection> {
    let left_out = said.len().saturating_sub(MAX_REJECTIONS);
    let mut kept: Vec<Rejection> = said.into_iter().take(MAX_REJECTIONS).map(Into::into).collect();
    for rejection in &mut kept {
        rejection.subject = readable(&rejection.subject);
        rejection.reason = readable(&rejection.reason);
    }
    if let Some(last) = kept.last_mut().filter(|_| left_out > 0) {
        last.reason = format!("{} (and {left_out} more that are not kept)", last.reason);
    }
    kept
}

fn readable(text: &str) -> String {
    let shown = |c: char| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    let mut kept: String = text.chars().take(MAX_REJECTION_CHARS).map(shown).collect();
    if kept.len() < text.len() && text.chars().nth(MAX_REJECTION_CHARS).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(id: &str, labels: impl IntoIterator<Item = (String, String)>) -> sync::Hello {
        sync::Hello { node_id: id.to_owned(), labels: labels.into_iter().collect(), ..sync::Hello::default() }
    }

    fn labels(count: usize, length: usize) -> impl Iterator<Item = (String, String)> {
        (0..count).map(move |n| (format!("k{n:02}"), "v".repeat(length)))
    }

    #[test]
    fn what_a_node_says_of_itself_is_bounded_and_can_be_shown() {
        for good in [hello("n", []), hello("knoten-ä", labels(64, 60))] {
            assert!(check(&good).is_ok(), "{good:?}");
        }
        for bad in [
            hello(" ", []),
            hello(&"n".repeat(257), []),
            hello("n", labels(65, 1)),
            hello("n", labels(20, 250)),
            hello("n\nERROR forged", []),
            hello("n\u{202e}1", []),
            hello("n", [("zone".to_owned(), "\u{1b}[2J".to_owned())]),
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), tonic::Code::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_is_cut_and_says_so() {
        let one = sync::Rejection { subject: "x\ny".into(), rule: "schema".into(), reason: "r".repeat(600) };
        let kept = rejections(vec![one; 40]);
        assert_eq!((kept.len(), kept[0].subject.as_str()), (32, "x\u{fffd}y"));
        assert_eq!(kept[0].reason.chars().count(), 513);
        assert!(kept[31].reason.contains("8 more"));
    }
}
