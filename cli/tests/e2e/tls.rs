//! A control plane and its nodes over mutual TLS, with certificates that are replaced while everything runs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use toolplane_testkit::authority::Issued;
use toolplane_testkit::{Authority, FakeUpstream};

use crate::harness::{Process, Session, Setup, ready, register, standalone, until};

/// A control plane with a certificate, and what clients need to reach it.
struct Secured {
    folder: TempDir,
    authority: Authority,
    control_plane: Process,
    address: String,
}

impl Secured {
    async fn start() -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new("planes"));
        let ca = authority.write(&folder.path().join("ca.crt"));
        let Issued { certificate, key } = authority.issue(folder.path(), "server");
        let setup = Setup::new("control-plane", &folder.path().join("control"))
            .arguments(&["--listen", "127.0.0.1:0"])
            .arguments(&["--tls-cert-file", text(&certificate), "--tls-key-file", text(&key)])
            .arguments(&["--tls-client-ca-file", text(&ca)]);
        let (control_plane, record) = setup.start("serving the admin API at").await;
        let address = record["address"].as_str().expect("an address").to_owned();
        assert!(address.starts_with("https://"), "{address}");
        let secured = Self { folder, authority, control_plane, address };
        let create = secured.command("token", "operator").arguments(&[
            "create",
            "--role",
            "node",
            "--allow-registration",
        ]);
        let (code, token, said) = create.output().await;
        assert_eq!(code, 0, "{said}");
        std::fs::write(secured.path("node.token"), token).expect("the token file");
        secured
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on the machine of the control plane, with a certificate.
    fn command(&self, command: &str, certificate: &str) -> Setup {
        let Issued { certificate, key } = self.authority.issue(self.folder.path(), certificate);
        self.bare(command)
            .set("TOOLPLANE_CONTROL_PLANE_CLIENT_CERT_FILE", text(&certificate))
            .set("TOOLPLANE_CONTROL_PLANE_CLIENT_KEY_FILE", text(&key))
    }

    /// The same without one.
    fn bare(&self, command: &str) -> Setup {
        Setup::new(command, &self.path("control"))
            .set("TOOLPLANE_CONTROL_PLANE_CA_FILE", text(&self.path("ca.crt")))
    }

    /// A node that follows over TLS.
    async fn node(&self, name: &str) -> (Process, String) {
        let Issued { certificate, key } = self.authority.issue(self.folder.path(), name);
        let setup = Setup::new("data-plane", &self.path(&format!("data-{name}")))
            .set("TOOLPLANE_DATA_PLANE_NODE_ID", name)
            .arguments(&["--control-plane", &self.address, "--token-file", text(&self.path("node.token"))])
            .arguments(&["--ca-file", text(&self.path("ca.crt"))])
            .arguments(&["--client-cert-file", text(&certificate), "--client-key-file", text(&key)]);
        let (process, url) = standalone(&setup).await;
        ready(&url).await;
        (process, url)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test]
async fn certificates_are_replaced_while_a_node_stays_and_another_joins() {
    let mut secured = Secured::start().await;
    let (_old, url) = secured.node("old").await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    assert_eq!(register(&url, "first", &upstream.url()).await.expect("an answer").0, 200);

    // Another authority altogether: whoever connects from now on can only have met the new certificate.
    let next = Authority::new("next");
    next.issue(secured.folder.path(), "server");
    let both = [
        std::fs::read(secured.path("ca.crt")).expect("the old authority"),
        std::fs::read(next.write(&secured.path("next.crt"))).expect("the new authority"),
    ];
    std::fs::write(secured.path("ca.crt"), both.concat()).expect("both");
    secured.control_plane.record("took up the changed TLS files").await;
    let new_only = secured
        .command("node", "operator")
        .set("TOOLPLANE_CONTROL_PLANE_CA_FILE", text(&secured.path("next.crt")))
        .arguments(&["list", "-o", "json"]);
    let (code, nodes, said) = new_only.output().await;
    assert_eq!(code, 0, "{said}");
    let nodes: Value = serde_json::from_str(&nodes).expect("JSON");
    assert_eq!(nodes["nodes"][0]["connected"], true, "it stayed");

    let (_new, new_url) = secured.node("new").await;
    assert_eq!(register(&url, "second", &upstream.url()).await.expect("an answer").0, 200);
    let session = Session::open(&new_url).await;
    until("the new node serves both", async || session.domains().await == ["first", "second"]).await;
    let answer =
        session.ask("execute_tool", json!({"tool_name": "first_search", "arguments": {"q": "ada"}})).await;
    assert!(answer["result"].as_str().expect("text").contains("ada"), "{answer}");
}

#[tokio::test]
async fn whoever_is_kept_out_is_told_why() {
    let secured = Secured::start().await;
    let said = async |setup: Setup| {
        let (code, said) = setup.arguments(&["list"]).run().await;
        assert_eq!(code, 3, "{said}");
        said
    };
    let bare = said(secured.bare("node")).await;
    assert!(bare.contains("the server asks for a client certificate"), "{bare}");

    let stranger = Authority::new("strangers").write(&secured.path("other.crt"));
    let distrusting = secured.command("node", "a").set("TOOLPLANE_CONTROL_PLANE_CA_FILE", text(&stranger));
    let distrusting = said(distrusting).await;
    assert!(distrusting.contains("from an authority that is not trusted here"), "{distrusting}");

    let plain = secured.address.replace("https://", "http://");
    let plain = said(secured.bare("node").set("TOOLPLANE_CONTROL_PLANE_ADDRESS", &plain)).await;
    assert!(plain.contains("the server speaks TLS there: use https://"), "{plain}");

    let (code, mistakes) = secured
        .bare("node")
        .set("TOOLPLANE_CONTROL_PLANE_CA_FILE", "/gone.ca")
        .set("TOOLPLANE_CONTROL_PLANE_CLIENT_CERT_FILE", "/gone.crt")
        .set("TOOLPLANE_CONTROL_PLANE_CLIENT_KEY_FILE", "/gone.key")
        .arguments(&["list"])
        .run()
        .await;
    assert_eq!((code, mistakes.matches("does not exist").count()), (2, 3), "{mistakes}");
}

#[tokio::test]
async fn a_node_that_is_kept_out_says_why_in_its_log() {
    let secured = Secured::start().await;
    for (ca, address, reason) in [
        ("ca.crt", secured.address.clone(), "asks for a client certificate"),
        ("ca.crt", secured.address.replace("https://", "http://"), "use https://"),
    ] {
        let setup = Setup::new("data-plane", &secured.path("kept-out"))
            .arguments(&["--control-plane", &address, "--token-file", text(&secured.path("node.token"))])
            .arguments(&["--ca-file", text(&secured.path(ca))]);
        let (_node, record) = setup.start("no control plane answers").await;
        assert!(record["reason"].as_str().expect("a reason").contains(reason), "{record}");
    }
}
