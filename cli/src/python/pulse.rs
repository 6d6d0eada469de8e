//! Finds out that the Python process hangs: it lives, its socket takes connections, and no hook ever answers again.

use std::path::Path;
use std::time::Duration;

use toolplane_data_plane::Address;
use toolplane_data_plane::channel::{self, Connector};
use toolplane_proto::hooks::DescribeRequest;
use toolplane_proto::hooks::hook_service_client::HookServiceClient;
use toolplane_tls::client::Files;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_secs(2);

/// Returns when nothing was answered for as long as `patience`.
pub(super) async fn lost(socket: &Path, patience: Duration) {
    let answer = async || {
        while let Err(reason) = ask(socket).await {
            tracing::debug!("the Python hooks do not say that they live: {reason}");
            tokio::time::sleep(PAUSE).await;
        }
    };
    while tokio::time::timeout(patience, answer()).await.is_ok() {
        tokio::time::sleep(PAUSE).await;
    }
}

/// What it is asked runs where hooks run, on its event loop.
async fn ask(socket: &Path) -> Result<(), String> {
    let address = Address::Unix(socket.to_owned());
    let connector = Connector::new(&address, &Files::default());
    let endpoint = channel::endpoint(&address);
    let connected = endpoint.connect_with_connector(connector).await;
    let mut client = HookServiceClient::new(connected.map_err(|error| channel::cause(&error))?);
    let request = DescribeRequest { node_build: String::new() };
    client.describe(request).await.map_err(|status| status.message().to_owned())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_at_the_socket_is_no_sign_of_life() {
        lost(Path::new("/nowhere/at/all"), Duration::from_millis(20)).await;
    }
}
