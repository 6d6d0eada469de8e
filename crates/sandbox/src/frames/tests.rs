use proptest::prelude::{any, prop_assert, proptest};

use super::*;

fn call() -> FromWorker {
    let arguments = RawValue::from_string("{\"q\":1}".to_owned()).expect("JSON");
    FromWorker::Call { id: 7, tool: 3, arguments }
}

async fn incoming(bytes: &[u8], max: usize) -> Result<FromWorker, Error> {
    Incoming::default().next(&mut &*bytes, max).await
}

#[tokio::test]
async fn a_message_arrives_as_it_was_sent_however_it_is_cut() {
    let frame = encode(&call()).expect("a frame");
    let (mut near, mut far) = tokio::io::duplex(1);
    let sent = async {
        send(&mut near, &frame).await.expect("sent");
        send(&mut near, &encode(&FromWorker::Wait).expect("a frame")).await.expect("sent");
    };
    let mut reader = Incoming::default();
    let received = async {
        let first: FromWorker = reader.next(&mut far, 100).await.expect("a call");
        assert!(
            matches!(&first, FromWorker::Call { id: 7, tool: 3, arguments } if arguments.get() == "{\"q\":1}")
        );
        let second: FromWorker = reader.next(&mut far, 100).await.expect("a wait");
        assert!(matches!(second, FromWorker::Wait));
    };
    tokio::join!(sent, received);
}

#[tokio::test]
async fn what_is_no_frame_is_refused() {
    let frame = encode(&call()).expect("a frame");
    assert!(matches!(incoming(&frame, 8).await, Err(Error::Length { max: 8, .. })));
    let mut other = frame.clone();
    if let Some(version) = other.first_mut() {
        *version = VERSION + 1;
    }
    assert!(matches!(incoming(&other, 100).await, Err(Error::Version(_))));
    let half = frame.get(..frame.len() - 1).expect("a longer frame");
    assert!(matches!(incoming(half, 100).await, Err(Error::Pipe(_))));
    let trailing = [VERSION, 9, 0, 0, 0, b'"', b'W', b'a', b'i', b't', b'"', b'"', b'x', b'"'];
    assert!(matches!(incoming(&trailing, 100).await, Err(Error::Body(_))));
    let unknown = [&[VERSION, 8, 0, 0, 0][..], b"\"Unknow\""].concat();
    assert!(matches!(incoming(&unknown, 100).await, Err(Error::Body(_))));
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let mut claim = [VERSION, 0, 0, 0, 0];
    claim[1..].copy_from_slice(&(200 * 1024 * 1024_u32).to_le_bytes());
    let ended: Result<ToWorker, Error> = read(&mut &claim[..]);
    assert!(matches!(ended, Err(Error::Pipe(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode::<FromWorker>(&bytes));
        drop(read::<ToWorker>(&mut &*bytes));
    }

    #[test]
    fn a_length_is_never_above_what_is_taken(header in any::<[u8; HEADER]>(), max in any::<u32>()) {
        if let Ok(length) = length(header, max as usize) {
            prop_assert!(length <= max as usize);
        }
    }
}
