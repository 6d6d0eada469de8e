//! `toolplane export`: the registry as a manifest.

use toolplane_proto::admin as wire;

use crate::args::ExportArgs;
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::manifest::diff::Held;
use crate::manifest::write;
use crate::output;

pub(crate) async fn run(args: ExportArgs, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&args.connection, variables).await?;
    let text = write::manifest(&held(&client).await?);
    let Some(path) = args.output else { return output::text(&text) };
    std::fs::write(&path, text)
        .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", path.display())))?;
    output::say(&format!("written to `{}`", path.display()));
    Ok(())
}

/// Everything that a manifest speaks of.
pub(crate) async fn held(client: &Client) -> Result<Held, Failure> {
    let policy = client.policies().get_policy(wire::GetPolicyRequest {}).await?.into_inner();
    let (mut upstreams, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListUpstreamsRequest { page_size: PAGE_SIZE, page_token };
        let page = client.upstreams().list_upstreams(request).await?.into_inner();
        upstreams.extend(page.upstreams);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Held { upstreams, policy });
        }
    }
}
