//! What running commands share besides the folder: ports, addresses, and what a plane's refusal to start means.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use toolplane_control_plane::service as control;
use toolplane_data_plane as node;
use toolplane_registry::{ErrorCode, Rejection};

use crate::exit::{Failure, Kind};

/// Binds a port.
pub(crate) async fn tcp(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind((host, port)).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        let failure = Failure::failed(format!("port {port} of `{host}` cannot be listened on: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.hint("choose another port, or stop the program that has this one")
            }
            _ => failure,
        }
    })
}

/// The MCP endpoint as a client on this machine writes it.
pub(crate) fn mcp_url(address: SocketAddr) -> String {
    format!("http://{}/mcp", reachable(address))
}

/// An address that stands for all of them is reached through loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Settings and key files are for the operator to mend, the rest has failed.
pub(crate) fn control_failure(error: control::Error) -> Failure {
    match error {
        control::Error::Settings(rejections) => settings_failure(&rejections),
        error if error.code() == ErrorCode::InvalidInput => Failure::usage(error),
        error => Failure::failed(error),
    }
}

/// The same for a node.
pub(crate) fn node_failure(error: node::Error) -> Failure {
    match error {
        node::Error::Options(rejections) => settings_failure(&rejections),
        error => Failure::failed(error),
    }
}

/// All that is wrong with the settings, one line each.
pub(crate) fn settings_failure(rejections: &[Rejection]) -> Failure {
    let messages = rejections.iter().map(ToString::to_string).collect();
    Failure { kind: Kind::Usage, messages, hints: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_one_clear_line() {
        let (_held, address) = tcp("127.0.0.1", 0).await.unwrap();
        let failure = tcp("127.0.0.1", address.port()).await.unwrap_err();
        assert_eq!(failure.messages.len(), 1);
        assert!(failure.messages[0].contains(&address.port().to_string()), "{failure:?}");
        assert!(!failure.hints.is_empty());
    }

    #[test]
    fn an_unspecified_address_is_reached_through_loopback() {
        assert_eq!(mcp_url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80/mcp");
        assert_eq!(mcp_url("[::]:80".parse().unwrap()), "http://[::1]:80/mcp");
        assert_eq!(mcp_url("10.0.0.7:80".parse().unwrap()), "http://10.0.0.7:80/mcp");
    }
}
