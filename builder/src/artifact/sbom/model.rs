//! CycloneDX 1.5 as far as it is used here (ECMA-424, first edition; JSON
//! schema `bom-1.5.schema.json`). Absent fields are left out.

use postern_contract::digest::Digest;
use serde::Serialize;

/// A bill of materials.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bom {
    pub(super) bom_format: &'static str,
    pub(super) spec_version: &'static str,
    /// `urn:uuid:…`
    pub(super) serial_number: String,
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    pub(super) components: Vec<Component>,
    pub(super) dependencies: Vec<Dependency>,
}

/// What the bill is of, and what wrote it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Metadata {
    /// RFC 3339.
    pub(super) timestamp: String,
    pub(super) tools: Tools,
    pub(super) component: Component,
    pub(super) properties: Vec<Property>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Tools {
    pub(super) components: Vec<Component>,
}

/// A thing that is in the image, or the image itself.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Component {
    #[serde(rename = "type")]
    pub(super) kind: Type,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) licenses: Vec<LicenceChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<Property>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Type {
    Application,
    Container,
    File,
    Library,
    OperatingSystem,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Hash {
    pub(super) alg: &'static str,
    pub(super) content: Digest,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct LicenceChoice {
    pub(super) license: Licence,
}

/// A licence by the name its package gives it, which need not be SPDX's.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Licence {
    pub(super) name: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: String,
}

/// What needs what, by `bom-ref`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) depends_on: Vec<String>,
}

impl Component {
    /// One with a name and nothing else.
    pub(super) fn new(kind: Type, reference: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            reference: Some(reference.into()),
            name: name.into(),
            version: None,
            description: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: None,
            properties: Vec::new(),
        }
    }

    pub(super) fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    pub(super) fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    pub(super) fn sha256(mut self, digest: Digest) -> Self {
        self.hashes.push(Hash {
            alg: "SHA-256",
            content: digest,
        });
        self
    }

    pub(super) fn purl(mut self, purl: impl Into<String>) -> Self {
        self.purl = Some(purl.into());
        self
    }

    pub(super) fn property(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.push(property(name, value));
        self
    }
}

/// A property in our own namespace.
pub(super) fn property(name: &str, value: impl Into<String>) -> Property {
    Property {
        name: format!("postern:{name}"),
        value: value.into(),
    }
}
