//! A program that uses the admin API, and turns to another control plane when one fails.

use prost_types::FieldMask;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use toolplane_data_plane::Address;
use toolplane_data_plane::channel::{Connector, endpoint};
use toolplane_proto::admin as wire;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_tls::client::Files;

use super::history::{Outcome, State};
use super::roster;

/// The admin API of whichever control plane works.
pub(super) struct Admin {
    channels: Vec<Channel>,
    bearer: Bearer,
    current: usize,
}

#[derive(Clone)]
struct Bearer(String);

impl Admin {
    pub(super) fn new(admin: &roster::Admin) -> Self {
        let channels = admin.addresses.iter().map(|address| {
            let address = Address::parse(address).expect("an address");
            endpoint(&address).connect_with_connector_lazy(Connector::new(&address, &Files::default()))
        });
        Self { channels: channels.collect(), bearer: Bearer(admin.token.clone()), current: 0 }
    }

    /// Makes a domain what it is to be.
    pub(super) async fn change(&mut self, domain: &str, before: bool, after: &State, url: &str) -> Outcome {
        let outcome = match after {
            None => self.delete(domain).await,
            Some(description) if before => self.update(domain, description).await,
            Some(description) => self.create(domain, url, description).await,
        };
        match outcome {
            Ok(()) => Outcome::Confirmed,
            Err(status) if is_in_doubt(&status) => {
                self.current = (self.current + 1) % self.channels.len();
                Outcome::InDoubt(format!("admin: {status:?}"))
            }
            Err(status) => Outcome::Refused(format!("admin: {status:?}")),
        }
    }

    fn client(&self) -> UpstreamServiceClient<InterceptedService<Channel, Bearer>> {
        UpstreamServiceClient::with_interceptor(self.channels[self.current].clone(), self.bearer.clone())
    }

    async fn create(&self, domain: &str, url: &str, description: &str) -> Result<(), Status> {
        let upstream = wire::Upstream { url: url.to_owned(), ..upstream(domain, description) };
        let request = wire::CreateUpstreamRequest { upstream: Some(upstream), ..Default::default() };
        self.client().create_upstream(request).await.map(drop)
    }

    async fn update(&self, domain: &str, description: &str) -> Result<(), Status> {
        let request = wire::UpdateUpstreamRequest {
            upstream: Some(upstream(domain, description)),
            update_mask: Some(FieldMask { paths: vec!["description".to_owned()] }),
            ..Default::default()
        };
        self.client().update_upstream(request).await.map(drop)
    }

    async fn delete(&self, domain: &str) -> Result<(), Status> {
        let request = wire::DeleteUpstreamRequest { domain: domain.to_owned(), ..Default::default() };
        self.client().delete_upstream(request).await.map(drop)
    }
}

fn upstream(domain: &str, description: &str) -> wire::Upstream {
    wire::Upstream { domain: domain.to_owned(), description: description.to_owned(), ..Default::default() }
}

/// Whether the answer, or its absence, leaves open what was done.
fn is_in_doubt(status: &Status) -> bool {
    let is_ours =
        matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded);
    // A connection that breaks in the middle of an answer has many names.
    is_ours || std::error::Error::source(status).is_some()
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = format!("Bearer {}", self.0).parse().expect("a token");
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}
