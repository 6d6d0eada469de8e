//! Stopping without dropping what is under way.

use toolplane_data_plane::Options;
use toolplane_testkit::fake_upstream::Fault;

use crate::harness::World;

#[tokio::test]
async fn calls_under_way_are_finished_and_new_connections_are_not_taken() {
    let world = World::start(&["x"], Options::default()).await;
    world.upstream.fault("tools/call", Fault::Hang);
    let drain = async {
        world.upstream.wait_for("tools/call", 1).await;
        world.node.begin_drain();
        // The listener is closed before the call is let go.
        while tokio::net::TcpStream::connect(&world.node.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        world.upstream.release();
    };
    let (answer, ()) = tokio::join!(world.node.ask("execute_tool", r#"{"tool_name":"x"}"#), drain);
    assert_eq!(answer["tool"], "x");
    world.node.stop().await;
}
