use axum::Router;
use axum::routing::post;
use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::*;

fn gate(max_requests: usize, max_buffered_bytes: usize) -> Gate {
    Gate::new(Capacity { max_connections: 2, max_requests, max_buffered_bytes })
}

/// Answers with the body it was sent, once it is allowed to.
fn echo(gate: &Gate, go: &Arc<Semaphore>) -> Router {
    let go = Arc::clone(go);
    let handler = move |body: Body| async move {
        let read = body.collect().await.map_err(|_| StatusCode::BAD_REQUEST)?;
        go.acquire().await.unwrap().forget();
        Ok::<_, StatusCode>(read.to_bytes())
    };
    let state = (gate.clone(), Wording::Rest);
    Router::new().route("/", post(handler)).layer(axum::middleware::from_fn_with_state(state, admit))
}

fn request(bytes: usize) -> Request<Body> {
    Request::post("/").body(Body::from(vec![b'x'; bytes])).unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    if status == 503 {
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, json["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_request_counts_until_its_answer_is_sent() {
    let (gate, go) = (gate(1, 1000), Arc::new(Semaphore::new(2)));
    let app = echo(&gate, &go);
    let first = app.clone().oneshot(request(100)).await.unwrap();
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (1, 200), "what came and what goes");
    assert_eq!(code(app.clone().oneshot(request(1)).await.unwrap()).await, (503, "overloaded".to_owned()));
    assert_eq!(code(first).await.0, 200);
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (0, 0));
    assert_eq!(code(app.oneshot(request(1)).await.unwrap()).await.0, 200);
    assert_eq!(gate.load().refused_requests, 1);
}

#[tokio::test]
async fn bodies_together_stay_within_the_bytes_there_are() {
    let (gate, go) = (gate(10, 1000), Arc::new(Semaphore::new(0)));
    let app = echo(&gate, &go);
    let mut first = Box::pin(app.clone().oneshot(request(900)));
    assert!(futures::poll!(&mut first).is_pending());
    assert_eq!(code(app.oneshot(request(101)).await.unwrap()).await, (503, "overloaded".to_owned()));
    assert_eq!(gate.load().buffered_bytes, 900);
    go.add_permits(1);
    assert_eq!(code(first.await.unwrap()).await.0, 200);
    assert_eq!((gate.load().buffered_bytes, gate.load().refused_bodies), (0, 1));
}

#[tokio::test]
async fn a_caller_who_goes_away_is_no_longer_counted() {
    let (gate, go) = (gate(1, 1000), Arc::new(Semaphore::new(0)));
    let mut running = Box::pin(echo(&gate, &go).oneshot(request(10)));
    assert!(futures::poll!(&mut running).is_pending());
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (1, 10));
    drop(running);
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (0, 0));
}

#[test]
fn seats_are_given_back() {
    let gate = gate(1, 1);
    let (first, second) = (gate.seat(), gate.seat());
    assert!(first.is_some() && second.is_some() && gate.seat().is_none());
    drop(first);
    assert!(gate.seat().is_some());
    assert_eq!(gate.load().refused_connections, 1);
}

#[tokio::test]
async fn a_large_answer_counts_for_as_long_as_somebody_has_a_piece_of_it() {
    const SIZE: usize = 100_000;
    let (gate, go) = (gate(1, 10 * SIZE), Arc::new(Semaphore::new(1)));
    let mut response = echo(&gate, &go).oneshot(request(SIZE)).await.unwrap();
    let piece = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    drop(response);
    assert_eq!(piece.len(), 32 << 10, "it is handed over in pieces");
    assert_eq!(
        (gate.load().requests, gate.load().buffered_bytes),
        (1, 2 * SIZE),
        "it waits to be written out"
    );
    drop(piece);
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (0, 0));
}

#[test]
fn a_reply_takes_room_until_its_answer_takes_its_place() {
    let gate = gate(2, 1000);
    let (one, other) = (gate.ticket(Purse::default()).unwrap(), gate.ticket(Purse::default()).unwrap());
    let room = Arc::clone(&one) as Arc<dyn Room>;
    assert!(room.take(600) && other.hold(300) && !room.take(101));
    assert_eq!((gate.load().buffered_bytes, gate.load().refused_replies), (900, 1));
    assert!(!other.has_overrun() && !one.has_overrun(), "a reply is refused on its own");
    room.give_back(100);
    one.answered(700);
    assert_eq!(gate.load().buffered_bytes, 1000);
    room.give_back(500);
    assert_eq!(gate.load().buffered_bytes, 1000, "the reply is given back once");
    drop((room, one, other));
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (0, 0));
}

#[tokio::test]
async fn requests_of_one_connection_share_a_quarter_and_one_alone_may_hold_more() {
    let (gate, purse) = (gate(10, 1000), Purse::default());
    let ticket = || gate.ticket(purse.clone()).unwrap();
    let (one, other) = (ticket(), ticket());
    assert!(one.hold(200) && one.hold(400), "it is alone");
    assert!(!other.hold(1) && other.has_overrun());
    assert!(gate.ticket(Purse::default()).unwrap().hold(400), "another connection has the rest");
    let refused = {
        let mut request = request(0);
        request.extensions_mut().insert(Client::new(purse.clone(), None));
        code(echo(&gate, &Arc::new(Semaphore::new(1))).oneshot(request).await.unwrap()).await
    };
    assert_eq!((refused, gate.load().refused_requests), ((503, "overloaded".to_owned()), 1));
    drop(one);
    assert!(ticket().hold(250), "what was given back is there again");
    drop(other);
    assert_eq!((gate.load().requests, gate.load().buffered_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_stalls_when_its_reader_takes_nothing_and_not_while_the_node_works_on_it() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
    let turn = Arc::new(Turn::default());
    let (gate, go) = (gate(1, 1 << 20), Arc::new(Semaphore::new(1)));
    let mut request = request(100_000);
    request.extensions_mut().insert(Client::new(Purse::default(), Some(Arc::clone(&turn))));
    let stalls_within = async |seconds| {
        tokio::time::timeout(std::time::Duration::from_secs(seconds), turn.stalled(PATIENCE)).await.is_ok()
    };
    assert!(!stalls_within(1000).await, "there is nothing to take");
    let mut body = echo(&gate, &go).oneshot(request).await.unwrap().into_body();
    let mut pieces = Vec::new();
    while pieces.iter().map(axum::body::Bytes::len).sum::<usize>() < 100_000 {
        assert!(!stalls_within(29).await, "it is taken, however slowly");
        pieces.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    assert!(!body.is_end_stream());
    let mut end = Box::pin(body.frame());
    assert!(futures::poll!(&mut end).is_pending(), "it ends when the last piece is written out");
    assert!(stalls_within(31).await);
    drop(pieces);
    assert!(end.await.is_none());
}
