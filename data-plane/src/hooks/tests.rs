//! What hooks cost where there are none.

use std::time::Duration;

use futures::FutureExt as _;
use http::HeaderMap;
use tokio::time::Instant;
use toolplane_registry::snapshot::Builder;
use toolplane_registry::test_util::{a_domain, a_tool};
use toolplane_registry::{RawJson, Version};
use toolplane_upstream::client::ToolResult;

use super::execution::{Course, Task};
use super::visibility::{Scope, Seen};
use crate::caller::Caller;
use crate::live::Served;

/// Far more than it takes even without optimization; `scripts/bench hooks` has the figure of an optimized build.
const MOST: Duration = Duration::from_micros(20);

#[test]
fn without_hooks_nothing_is_awaited_and_next_to_no_time_passes() {
    let snapshot = Builder::new(Version::new("s", 1)).domain(a_domain("a", vec![a_tool("t")])).build();
    let served = Served::new(snapshot.unwrap()).unwrap();
    let arguments = RawJson::parse("{}").unwrap();
    let result = ToolResult {
        content: Vec::new(),
        structured_content: None,
        is_error: false,
        meta: None,
        extra: Vec::new(),
    };
    let rounds: u32 = 10_000;
    let mut results = vec![result; rounds as usize];
    let began = Instant::now();
    for _ in 0..rounds {
        let caller = Caller::new(HeaderMap::new()).identified(None, None).now_or_never().unwrap().unwrap();
        let view = caller.view(&served, Scope::Name("t")).now_or_never().unwrap().unwrap();
        assert!(matches!(view, Seen::All(_)));
        let tool = view.get("t").unwrap();
        let task = Task { tool, deadline: caller.deadline(), room: None };
        let course = Course::begin(caller.visit(), task, Some(arguments.clone()));
        let mut course = course.now_or_never().unwrap().unwrap();
        let result = course.transform(results.pop().unwrap()).now_or_never().unwrap().unwrap();
        assert!(!result.is_error);
        assert_eq!(course.after(String::new(), false).now_or_never().unwrap().unwrap(), "");
    }
    let each = began.elapsed() / rounds;
    println!("{} ns per call", each.as_nanos());
    assert!(each < MOST, "{each:?}");
}
