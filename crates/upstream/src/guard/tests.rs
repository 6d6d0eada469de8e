//! Every spelling of an address that must not be reached, under both policies.

use super::*;

const OPEN: &Policy = &Policy { allow_private: true };
const STRICT: &Policy = &Policy { allow_private: false };

fn rule(url: &str, policy: &Policy) -> Option<Rule> {
    check_url(url, policy).err().map(|rejection| rejection.rule)
}

#[test]
fn dangerous_addresses_are_refused_under_both_policies_in_every_spelling() {
    for url in [
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/mcp",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::1]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.170.2/creds",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://metadata.google.internal/",
        "http://METADATA.google.internal./",
        "http://224.0.0.1/",
        "https://[ff02::1]/",
        "https://[fe80::1]/mcp",
        "http://0.0.0.0:9/mcp",
        "http://0/",
        "http://[::]/",
        "http://255.255.255.255/",
        "http://%31%36%39.254.169.254/",
        "http://user@169.254.169.254/",
        "http://１６９.254.169.254/",
    ] {
        assert_eq!(rule(url, OPEN), Some(Rule::UrlGuard), "{url}");
        assert_eq!(rule(url, STRICT), Some(Rule::UrlGuard), "{url}");
    }
}

#[test]
fn private_addresses_are_refused_only_where_the_policy_says_so() {
    for url in [
        "http://127.0.0.1:9/mcp",
        "http://127.1:9/mcp",
        "http://2130706433:9/mcp",
        "http://[::1]:9/mcp",
        "http://[::ffff:127.0.0.1]:9/mcp",
        "http://localhost:9/mcp",
        "http://LOCALHOST:9/mcp",
        "http://localhost.:9/mcp",
        "https://a.localhost/mcp",
        "http://10.0.0.1/mcp",
        "https://172.16.0.1/mcp",
        "https://192.168.1.1/mcp",
        "https://100.64.0.1/mcp",
        "https://[fd00::1]/mcp",
        "https://198.18.0.1/mcp",
    ] {
        assert_eq!(rule(url, OPEN), None, "{url}");
        assert_eq!(rule(url, STRICT), Some(Rule::UrlGuard), "{url}");
    }
}

#[test]
fn public_addresses_need_https_where_private_ones_are_refused() {
    for url in ["https://example.com/mcp", "https://8.8.8.8/", "https://[2606:4700::1111]/"] {
        assert_eq!(rule(url, OPEN), None, "{url}");
        assert_eq!(rule(url, STRICT), None, "{url}");
    }
    assert_eq!(rule("http://example.com/mcp", OPEN), None);
    assert_eq!(rule("http://example.com/mcp", STRICT), Some(Rule::UrlGuard));
}

#[test]
fn what_is_no_http_url_is_malformed() {
    for url in [
        "",
        "ftp://127.0.0.1/mcp",
        "file:///etc/passwd",
        "127.0.0.1:80/mcp",
        "javascript:alert(1)",
        "http://",
        "https:///mcp",
        "http:127.0.0.1/mcp",
        "http:\\\\127.0.0.1/mcp",
        "http://127.0.0.1:99999/mcp",
        "http://127.0.0.1:abc/mcp",
        "http://[::1/mcp",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://user@/mcp",
    ] {
        assert_eq!(rule(url, OPEN), Some(Rule::Url), "{url}");
    }
    assert_eq!(rule("HTTP://127.0.0.1:9/mcp", OPEN), None);
}

#[test]
fn a_url_is_shown_without_its_secrets() {
    assert_eq!(
        display_url("http://user:pa55word@127.0.0.1:9/mcp?token=s3cret#frag"),
        "http://127.0.0.1:9/mcp"
    );
    assert_eq!(display_url("http://user:pa55?word@127.0.0.1/"), "(unreadable url)");
}

#[test]
fn reasons_never_repeat_the_url() {
    let rejection = check_url("http://user:pa55word@127.0.0.1:9/mcp?token=s3cret", STRICT).unwrap_err();
    let text = rejection.to_string();
    assert!(!text.contains("pa55word") && !text.contains("s3cret"), "{text}");
}
