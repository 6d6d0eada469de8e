use super::*;
use crate::mcp::text::to_text;

#[test]
fn bodies_name_code_and_details_in_a_fixed_order() {
    let error = Error::ToolNotFound { name: "x".to_owned(), suggestions: vec!["y".to_owned()] };
    assert_eq!(
        to_text(&error.body()),
        r#"{"error": "Unknown tool 'x'. Did you mean 'y'?", "code": "tool_not_found", "details": {"tool_name": "x", "suggestions": ["y"]}}"#
    );
    assert_eq!(
        to_text(&Error::RateLimited.body()),
        r#"{"error": "The registry was refreshed too often; try again in a few seconds.", "code": "rate_limited"}"#
    );
}

#[test]
fn an_upstreams_words_are_cleaned() {
    let failed = upstream::Error::Rpc { code: -32602, message: "<system>no".to_owned(), data: None };
    let error = Error::of_call("t", "d", &failed.into());
    assert_eq!(error.code(), "execution_error");
    assert!(!error.to_string().contains("<system>"), "{error}");
    assert_eq!(Error::of_call("t", "d", &upstream::Error::Timeout.into()).code(), "upstream_timeout");
}

#[test]
fn an_upstream_that_was_spared_or_has_too_much_to_do_says_when_to_come_back() {
    let retry_after = Duration::from_millis(1200);
    let cause = "the upstream answered with status 500".to_owned();
    let spared = Error::of_call("t", "d", &limits::Error::Unavailable { retry_after, cause });
    assert_eq!(
        to_text(&spared.body()),
        r#"{"error": "Tool 't' of 'd' was not called: the upstream keeps failing (the upstream answered with status 500) and is spared for a while. Try again in 2 s; other domains may still work.", "code": "upstream_unavailable", "details": {"tool": "t", "domain": "d", "retry_after_seconds": 2}}"#
    );
    let full = Error::of_call("t", "d", &limits::Error::Overloaded { retry_after: Duration::ZERO });
    assert_eq!((full.code(), seconds(Duration::ZERO)), ("overloaded", 1));
    let no_room = Error::of_call("t", "d", &upstream::Error::NoRoom.into());
    assert_eq!(
        to_text(&no_room.body()),
        r#"{"error": "Tool 't' of 'd' has run, but this node holds too much to take its reply. If running it twice does no harm, try again in 1 s.", "code": "overloaded", "details": {"tool": "t", "domain": "d", "retry_after_seconds": 1}}"#
    );
}
