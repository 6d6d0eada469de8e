use super::*;

const HERE: &str = "here";

fn record(id: &str, stream: u64) -> NodeRecord {
    NodeRecord::silent(id, HERE, stream)
}

fn opened(id: &str) -> (Records, u64) {
    let mut records = Records::default();
    let stream = records.open(|stream| record(id, stream));
    (records, stream)
}

fn claims(records: &Records) -> Vec<(u64, Claim)> {
    records.unwritten().iter().map(|one| (one.record.stream, one.claim)).collect()
}

#[test]
fn changes_of_a_node_are_written_together_and_what_changes_meanwhile_is_written_next() {
    let (mut records, stream) = opened("n1");
    records.change("n1", stream, |record| record.acked_at = Some(11));
    let first = records.unwritten();
    assert_eq!((first.len(), first[0].record.acked_at, first[0].claim), (1, Some(11), Claim::Opened));
    records.change("n1", stream, |record| record.acked_at = Some(12));
    records.written(&first);
    let second = records.unwritten();
    assert_eq!((second.len(), second[0].record.acked_at, second[0].claim), (1, Some(12), Claim::Held));
    records.written(&second);
    assert!(records.unwritten().is_empty());
}

#[test]
fn what_could_not_be_written_is_kept_and_no_longer_counts_as_just_opened() {
    let (mut records, stream) = opened("n1");
    let untold = records.unwritten();
    records.failed(&untold);
    assert_eq!(claims(&records), [(stream, Claim::Late)]);
    records.written(&records.unwritten());
    records.change("n1", stream, |record| record.acked_at = Some(11));
    records.failed(&records.unwritten());
    assert_eq!(claims(&records), [(stream, Claim::Held)], "it was on record before");
}

#[test]
fn the_newest_stream_speaks_for_a_node_and_its_end_is_written_once() {
    let (mut records, old) = opened("n1");
    let told = records.unwritten();
    let new = records.open(|stream| record("n1", stream));
    records.written(&told);
    records.close("n1", old, 12);
    assert_eq!(claims(&records), [(new, Claim::Opened)]);
    records.written(&records.unwritten());
    records.close("n1", new, 13);
    assert!(!records.is_open("n1"));
    let end = records.unwritten();
    assert_eq!((end[0].record.disconnected_at, end[0].claim), (Some(13), Claim::Held));
    records.written(&end);
    assert!(records.unwritten().is_empty() && records.entries.is_empty());
}

#[test]
fn a_stream_that_ends_before_it_is_on_record_takes_nothing_over() {
    let (mut records, stream) = opened("n1");
    records.close("n1", stream, 12);
    assert_eq!(claims(&records), [(stream, Claim::Late)]);
    // While its beginning was being written.
    let (mut records, stream) = opened("n1");
    let told = records.unwritten();
    records.close("n1", stream, 12);
    records.written(&told);
    assert_eq!(claims(&records), [(stream, Claim::Held)]);
}

#[test]
fn a_record_that_is_not_taken_is_not_tried_again_until_it_changes() {
    let (mut records, stream) = opened("n1");
    records.given_up(&records.unwritten()[0].clone());
    assert!(records.unwritten().is_empty() && records.is_open("n1"));
    records.close("n1", stream, 12);
    records.given_up(&records.unwritten()[0].clone());
    assert!(records.entries.is_empty());
}

#[test]
fn what_is_known_here_lies_over_what_is_stored_unless_the_node_went_elsewhere() {
    let (mut records, stream) = opened("n1");
    let elsewhere = NodeRecord { control_plane: "there".to_owned(), ..record("n1", 4) };
    let other = record("n0", 9);
    let stored = || vec![other.clone(), elsewhere.clone()];
    let before = records.held();
    let own = record("n1", stream);
    assert_eq!(records.overlay(HERE, &before, stored()), [other.clone(), own.clone()], "it came here since");
    records.written(&records.unwritten());
    // The store was asked before that.
    assert_eq!(records.overlay(HERE, &before, stored()), [other.clone(), own.clone()]);
    let held = records.held();
    assert_eq!(records.overlay(HERE, &held, stored()), [other, elsewhere], "it went there since");
    assert_eq!(records.overlay(HERE, &held, Vec::new()), [own]);
}

#[test]
fn a_refusal_is_kept_until_it_is_noted_and_a_later_one_beyond_that() {
    let mut records = Records::default();
    let version = Version::new("s", 7);
    let refusal = |at| Refusal { number: 7, node_id: "n1".to_owned(), at, rejections: Vec::new() };
    records.refused(&version, refusal(1));
    records.refused(&version, refusal(2));
    assert_eq!(records.unnoted(), [("s".to_owned(), refusal(2))]);
    records.noted("s", &refusal(1));
    assert_eq!(records.unnoted().len(), 1);
    records.noted("s", &refusal(2));
    assert!(records.unnoted().is_empty());
}
