//! An upstream that is listed with a token by client credentials, and one that is with a token in a file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use toolplane_testkit::token_endpoint::TokenEndpoint;
use toolplane_testkit::{FakeUpstream, TestDatabase};

use crate::harness::{Setup, Split, files, operator};

const SECRET: &str = "cl1ent-s3cr3t";

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// As whoever rotates secrets does it.
fn replace(path: &Path, content: &str) {
    let draft = path.with_extension("new");
    std::fs::write(&draft, content).expect("written");
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).expect("rights");
    std::fs::rename(draft, path).expect("renamed");
}

#[tokio::test]
async fn client_credentials_are_set_shown_exported_and_applied_without_the_secret() {
    let (database, endpoint) = (TestDatabase::sqlite(), TokenEndpoint::start(SECRET).await);
    let split = Split::new(database.url()).set("LOG_LEVEL", "DEBUG");
    let control_plane = split.control_plane().await;
    let (node, _) = split.node("one").await;
    let upstream = FakeUpstream::builder().tool("search").stateless().token("token-1").start().await;
    let path = |name: &str| split.folder.path().join(name);
    let run = async |arguments: &[&str]| operator(&path("control"), arguments).await;
    let done = async |arguments: &[&str]| {
        let (code, out, said) = run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {said}");
        format!("{out}{said}")
    };
    let secret = path("client.secret");
    replace(&secret, "wrong\n");
    let (url, token_url) = (upstream.url(), endpoint.url());
    let flags = ["--oauth-token-url", &token_url, "--oauth-client-id", "gateway"];
    let flags = [&flags[..], &["--oauth-client-secret-file", text(&secret)]].concat();
    let add = [&["upstream", "add", "wiki", &url][..], &flags].concat();
    let (code, _, said) = run(&add).await;
    assert!(code == 1 && said.contains("refused with status 401 (invalid_client)"), "{said}");
    replace(&secret, &format!("{SECRET}\n"));
    let shown = done(&add).await;
    assert!(shown.contains(&format!("client gateway at {token_url} by client_secret_basic")), "{shown}");
    done(&["snapshot", "wait"]).await;

    // Exported and applied again it is the same; applied from a reference it is compared by the control plane.
    let (export, file) = (path("export.yaml"), path("registry.yaml"));
    done(&["export", "-o", text(&export)]).await;
    let exported = std::fs::read_to_string(&export).expect("the export");
    assert!(exported.contains("client_secret: {unchanged: true}"), "{exported}");
    let said = done(&["apply", "-f", text(&export), "--yes"]).await;
    assert!(said.contains("nothing to do"), "{said}");
    let by_reference = exported.replace("{unchanged: true}", "{file: client.secret}");
    std::fs::write(&file, &by_reference).expect("the file");
    let said = done(&["apply", "-f", text(&file), "--yes"]).await;
    assert!(said.contains("nothing to do"), "{said}");
    std::fs::write(&file, by_reference.replace("/token", "/tokens")).expect("the file");
    let (code, _, said) = run(&["apply", "-f", text(&file), "--yes"]).await;
    assert!(code == 1 && said.contains("the token endpoint"), "{said}");
    let (code, _, said) =
        run(&["upstream", "update", "wiki", "--oauth-token-url", "https://l.example/t"]).await;
    assert!(code == 1 && said.contains("must be given again"), "{said}");

    let json = done(&["upstream", "get", "wiki", "-o", "json"]).await;
    assert!(json.contains(r#""client_id": "gateway""#), "{json}");
    // What is secret is on no disk but its own, in no log, and in no answer.
    for secret_text in [SECRET, "token-1"] {
        for file in files(split.folder.path()).iter().filter(|file| **file != secret) {
            let bytes = std::fs::read(file).unwrap_or_default();
            let is_inside = bytes.windows(secret_text.len()).any(|window| window == secret_text.as_bytes());
            assert!(!is_inside, "{}", file.display());
        }
        let logs = format!("{:?}{:?}", control_plane.records(), node.records());
        assert!(!json.contains(secret_text) && !logs.contains(secret_text));
    }
    done(&["upstream", "update", "wiki", "--clear", "oauth", "--allow-unreachable"]).await;
    assert!(!done(&["upstream", "get", "wiki"]).await.contains("gateway at"));
}

#[tokio::test]
async fn a_token_file_is_read_for_each_listing_and_excludes_a_token() {
    let database = TestDatabase::sqlite();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let split = Split::new(database.url()).set("TOOLPLANE_REGISTRY_AUTH_TOKEN_FILE", text(&file));
    let _control_plane = split.control_plane().await;
    let control = split.folder.path().join("control");
    let upstream = FakeUpstream::builder().tool("search").stateless().token("one").start().await;
    let (code, _, said) = operator(&control, &["upstream", "add", "wiki", &upstream.url()]).await;
    assert!(code == 1 && said.contains("does not exist"), "{said}");
    replace(&file, "one\n");
    let (code, _, said) = operator(&control, &["upstream", "add", "wiki", &upstream.url()]).await;
    assert_eq!(code, 0, "{said}");
    upstream.set_token(Some("two"));
    replace(&file, "two\n");
    let (code, _, said) = operator(&control, &["upstream", "refresh", "wiki"]).await;
    assert_eq!(code, 0, "{said}");
    std::fs::remove_file(&file).expect("removed");
    let (code, out, said) = operator(&control, &["upstream", "refresh", "wiki"]).await;
    assert!(
        code == 1 && out.contains("no token to list it with") && said.contains("stay as they were"),
        "{out}{said}"
    );

    let both = Setup::new("control-plane", folder.path())
        .set("TOOLPLANE_REGISTRY_AUTH_TOKEN_FILE", text(&file))
        .set("GATEWAY_REGISTRY_AUTH_TOKEN", "t0ken");
    let (code, said) = both.run().await;
    assert!(code == 2 && said.contains("TOOLPLANE_REGISTRY_AUTH_TOKEN_FILE"), "{code}: {said}");
    assert!(!said.contains("t0ken"), "{said}");
}
