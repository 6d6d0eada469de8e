//! A rollout, as a scraper of the control plane sees it.

use toolplane_testkit::{FakeUpstream, TestDatabase};

use super::{scraped, value};
use crate::harness::{Split, operator, register, until};

const PREFIX: &str = "toolplane_control_plane_rollout";

#[tokio::test]
async fn a_rollout_is_scraped_for_as_long_as_it_is_under_way() {
    let database = TestDatabase::sqlite();
    let split = Split::new(database.url()).set("TOOLPLANE_METRICS_LISTEN", "127.0.0.1:0");
    let mut control_plane = split.control_plane().await;
    let metrics = scraped(&mut control_plane).await;
    let canary = split.node_with("canary", "ring=canary").await;
    let _other = split.node_with("other", "zone=a").await;
    let read = async |name: &str| value(&metrics, &format!("{PREFIX}_{name}")).await;
    let done = async |arguments: &[&str]| {
        let (code, out, said) = operator(&split.folder.path().join("control"), arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{said}");
    };
    assert_eq!((read("active").await, read("baseline_version").await), (Some(0.0), None));

    done(&["rollout", "start", "--canary", "ring=canary"]).await;
    let baseline = read("baseline_version").await.expect("a baseline");
    assert_eq!((read("active").await, read("canary_version").await), (Some(1.0), Some(baseline)));
    let upstream = FakeUpstream::builder().tool("search").start().await;
    assert_eq!(register(&canary.1, "docs", &upstream.url()).await.expect("an answer").0, 200);
    assert_eq!(read("canary_version").await, Some(baseline + 1.0));
    assert_eq!(read("baseline_version").await, Some(baseline));
    until("one node is held back", async || read("held_back").await == Some(1.0)).await;
    let age = read("age_seconds").await.expect("an age");
    until("it gets older", async || read("age_seconds").await.expect("an age") > age).await;

    done(&["rollout", "promote", "--yes"]).await;
    until("it is over", async || read("active").await == Some(0.0)).await;
    for name in ["baseline_version", "canary_version", "held_back", "age_seconds"] {
        assert_eq!(read(name).await, None, "{name} of a rollout that is over");
    }
}
