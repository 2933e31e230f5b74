//! The gateway file as the machine gets it: nothing left to look up elsewhere.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::net::IpAddr;

use crate::contract::document::API_VERSION;

use super::{GatewayFile, Pairing};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Delivered<'g> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    name: &'g str,
    palette: Palette<'g>,
    network: Network<'g>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    certificates: &'g [String],
    nodes: u8,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ssh_authorized_keys: &'g [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Palette<'g> {
    endpoint: &'g str,
    pairing: Code<'g>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Code<'g> {
    pairing_code: &'g str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Network<'g> {
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_proxy: Option<&'g [String]>,
    pod_cidr: String,
    service_cidr: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dns: &'g [IpAddr],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ntp: &'g [String],
}

#[derive(Serialize)]
struct Proxy {
    http: String,
    https: String,
}

impl GatewayFile {
    /// The text for `/etc/postern/gateway.yaml`, mode 0600. Secrets and
    /// certificates stand in it as they are; what only a deployment needs does
    /// not. The same settings give the same bytes, and
    /// [`parse`](super::parse) with [`LiteralOnly`](super::LiteralOnly) gives
    /// them back.
    pub fn deliverable(&self) -> SecretString {
        let gateway = &self.gateway;
        let Pairing::Code(code) = &gateway.pairing;
        let proxy = gateway.proxy.as_ref();
        let delivered = Delivered {
            api_version: API_VERSION,
            name: &gateway.name,
            palette: Palette {
                endpoint: gateway.endpoint.as_str().trim_end_matches('/'),
                pairing: Code {
                    pairing_code: code.expose_secret(),
                },
            },
            network: Network {
                proxy: proxy.map(|proxy| Proxy {
                    http: crate::proxy::address(&proxy.http),
                    https: crate::proxy::address(&proxy.https),
                }),
                no_proxy: proxy.map(|proxy| proxy.no_proxy.as_slice()),
                pod_cidr: gateway.pod_cidr.to_string(),
                service_cidr: gateway.service_cidr.to_string(),
                dns: &self.dns,
                ntp: &self.ntp,
            },
            certificates: &gateway.certificates,
            nodes: 1,
            ssh_authorized_keys: &gateway.ssh_authorized_keys,
        };
        let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        serde_saphyr::to_string_with_options(&delivered, options)
            .expect("text, numbers, lists and mappings are YAML")
            .into()
    }
}
