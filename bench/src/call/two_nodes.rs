//! Two nodes behind nginx, as `deploy/load-balancers/nginx.conf` puts it in front of them.
//!
//! The configuration is the one that is shipped; only what belongs to a machine is replaced in it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use toolplane_testkit::TestDatabase;

use super::calls::Asked;
use super::subject::{Domain, Subject, Surroundings, Upstream, until_listed};
use crate::Setting;
use crate::world::child::{Program, free_port};
use crate::world::fleet::Fleet;

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/load-balancers/nginx.conf");
/// Where Debian puts it, which is not on everybody's path.
const NGINX: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
/// The nodes of the example.
const NODES: [&str; 2] = ["node-1", "node-2"];

/// Starts both nodes, their control plane and nginx; `None` where no nginx is installed.
pub(super) async fn start(
    setting: &Setting,
    upstream: &Upstream,
    domains: &[Domain],
) -> anyhow::Result<Option<Subject>> {
    let Some(nginx) = NGINX.into_iter().map(PathBuf::from).find(|path| path.exists()) else {
        eprintln!("no nginx: two nodes behind it are not measured (`apt-get install nginx`)");
        return Ok(None);
    };
    let database = TestDatabase::sqlite();
    let fleet = Fleet::start(&setting.binary, database.url()).await?;
    for (domain, url) in upstream.domains(domains).as_object().context("an object")? {
        fleet.control_plane.register(domain, url.as_str().context("a url")?).await?;
    }
    let (mut processes, mut addresses) = (Vec::new(), Vec::new());
    for name in NODES {
        let (node, address) = fleet.quiet_node(name).await?;
        until_listed(&format!("http://{address}"), domains.len()).await?;
        processes.push(node);
        addresses.push(address);
    }
    let folder = fleet.path("nginx");
    std::fs::create_dir_all(&folder)?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let shipped = std::fs::read_to_string(CONFIGURATION).context("the example cannot be read")?;
    let file = folder.join("nginx.conf");
    std::fs::write(&file, adapted(&shipped, &listen, &addresses, &folder)?)?;
    let mut program = Program::new(nginx, &["-e", "/dev/null", "-c"]);
    program.arguments.extend([file.into(), "-p".into(), folder.into()]);
    let (mut child, url) = (program.start()?, format!("http://{listen}"));
    child.until_ready("nginx", &url).await?;
    processes.push(child);
    let surroundings = Surroundings { _folder: None, _fleet: Some((fleet, database)) };
    let name = "two nodes".to_owned();
    let pace = setting.pace();
    Ok(Some(Subject { name, asked: Asked::Gateway, url, processes, pace, _surroundings: surroundings }))
}

/// The example for this machine: addresses, places of files, and nothing else.
fn adapted(shipped: &str, listen: &str, nodes: &[String], folder: &Path) -> anyhow::Result<String> {
    let mut text = shipped.to_owned();
    let mut replace = |from: &str, to: &str| {
        ensure!(text.matches(from).count() == 1, "`{from}` is not once in the example");
        text = text.replace(from, to);
        Ok(())
    };
    for (name, address) in NODES.iter().zip(nodes) {
        replace(&format!("server {name}:8080 "), &format!("server {address} "))?;
    }
    replace("listen 80;", &format!("listen {listen};"))?;
    replace("/var/log/nginx/toolplane.log", "/dev/null")?;
    let folder = folder.display();
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("    {of}_temp_path {folder}/{of};\n"))
        .concat();
    replace("http {\n", &format!("http {{\n{places}"))?;
    Ok(format!("daemon off;\npid {folder}/nginx.pid;\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_example_is_adapted_and_its_settings_stay() {
        let shipped = std::fs::read_to_string(CONFIGURATION).unwrap();
        let nodes = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let text = adapted(&shipped, "127.0.0.1:3", &nodes, Path::new("/f")).unwrap();
        for wanted in ["server 127.0.0.1:1 max_fails", "server 127.0.0.1:2 max_fails", "listen 127.0.0.1:3;"]
        {
            assert!(text.contains(wanted), "{wanted}");
        }
        assert!(text.contains("keepalive") && !text.contains("node-1:") && !text.contains("/var/"));
        assert!(adapted("http {\n", "127.0.0.1:3", &nodes, Path::new("/f")).is_err());
    }
}
