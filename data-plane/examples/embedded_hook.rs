//! A node inside another program, with a hook in the same process.
//!
//! ```text
//! cargo run --example embedded_hook -- http://127.0.0.1:7400 127.0.0.1:8000
//! ```
//!
//! The first argument is a control plane, the second where to listen. Whoever sends no `x-team` is refused; all others
//! see the tools of their team's domain alone, and the upstream is told which team it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use toolplane_data_plane::hooks::{
    Changes, Configured, Context, Denial, Error, Execution, Hook, Identity, Phase, Phases, Place, Rules,
    Visible,
};
use toolplane_data_plane::{Address, Options, Service};
use toolplane_registry::view::Entry;

#[derive(Debug)]
struct Teams;

#[async_trait]
impl Hook for Teams {
    fn phases(&self) -> Phases {
        [Phase::Authenticate, Phase::FilterTools, Phase::BeforeExecute].into_iter().collect()
    }

    async fn authenticate(&self, context: &Context<'_>) -> Result<Option<Identity>, Error> {
        let team = context.headers.get("x-team").and_then(|value| value.to_str().ok());
        let team = team.ok_or_else(|| Denial::new("say which team you are of"))?;
        // Members of a team see the same, so the node may keep what it is told for one of them.
        Ok(Some(Identity {
            subject: team.to_owned(),
            visibility_key: team.to_owned(),
            ..Identity::default()
        }))
    }

    async fn filter_tools(
        &self,
        context: &Context<'_>,
        tools: &[&Entry],
        _domain: Option<&str>,
    ) -> Result<Visible, Error> {
        let team = context.identity.map_or("", |identity| &identity.subject);
        let own = tools.iter().enumerate().filter(|(_, tool)| tool.domain().domain().as_str() == team);
        Ok(Visible { positions: own.map(|(at, _)| at).collect(), keep_for: Duration::from_secs(30) })
    }

    async fn before_execute(&self, context: &Context<'_>, _: &Execution<'_>) -> Result<Changes, Error> {
        let team = context.identity.map_or("", |identity| &identity.subject);
        Ok(Changes::default().header("x-team", team))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let control_plane = arguments.next().ok_or("name a control plane")?;
    let listen: SocketAddr = arguments.next().ok_or("name an address to listen on")?.parse()?;
    let hook = Configured {
        name: "teams".to_owned(),
        place: Place::InProcess(Arc::new(Teams)),
        rules: Rules::default(),
    };
    let options = Options {
        control_planes: vec![Address::parse(&control_plane).map_err(|rejection| rejection.to_string())?],
        hooks: vec![hook],
        ..Options::default()
    };
    let service = Service::new(options)?;
    let listener = TcpListener::bind(listen).await?;
    service.run(listener, CancellationToken::new()).await?;
    Ok(())
}
