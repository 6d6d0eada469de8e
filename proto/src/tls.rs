//! TLS settings of an upstream: between wire and model, where an empty text stands for what is not set.

use toolplane_registry::{Secret, Tls};

use crate::{admin, sync};

/// Settings of which none is set are not said.
pub fn said(tls: &Tls) -> Option<sync::Tls> {
    if tls.is_default() {
        return None;
    }
    let Tls { ca, client_certificate, client_key } = tls;
    let text = |secret: &Option<Secret>| secret.as_ref().map(|pem| pem.expose().clone()).unwrap_or_default();
    Some(sync::Tls {
        ca: text(ca),
        client_certificate: text(client_certificate),
        client_key: text(client_key),
    })
}

impl From<sync::Tls> for Tls {
    fn from(tls: sync::Tls) -> Self {
        let sync::Tls { ca, client_certificate, client_key } = tls;
        Self { ca: given(ca), client_certificate: given(client_certificate), client_key: given(client_key) }
    }
}

impl From<&admin::UpstreamTls> for Tls {
    fn from(tls: &admin::UpstreamTls) -> Self {
        // What they are is for operators to read, and not for the control plane to take from them.
        let admin::UpstreamTls { ca, client_certificate, client_key, authorities: _, client: _ } = tls;
        Self {
            ca: given(ca.clone()),
            client_certificate: given(client_certificate.clone()),
            client_key: given(client_key.clone()),
        }
    }
}

fn given(text: String) -> Option<Secret> {
    Some(text).filter(|text| !text.trim().is_empty()).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use toolplane_registry::tls::Part;

    use super::*;

    #[test]
    fn every_setting_survives_the_wire_alone_and_none_is_not_said() {
        assert_eq!(said(&Tls::default()), None);
        for part in Part::ALL {
            let mut tls = Tls::default();
            tls.put(part, Some(Secret::new(part.name().to_owned())));
            assert_eq!(Tls::from(said(&tls).unwrap()), tls);
        }
    }

    #[test]
    fn what_an_operator_reads_is_not_what_is_set() {
        let shown = admin::UpstreamTls {
            ca: " \n".to_owned(),
            client: Some(admin::Certificate { subject: "CN=x".to_owned(), ..admin::Certificate::default() }),
            ..admin::UpstreamTls::default()
        };
        assert_eq!(Tls::from(&shown), Tls::default());
    }
}
