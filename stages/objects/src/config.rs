//! The tables of the three kinds of stores. They hold no secrets: those are in variables.

use docmill_api::{FieldSpec, FieldType, Issue};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where `s3://`, `gs://` and `az://` lead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stores {
    /// Where `s3://` leads.
    pub s3: S3,
    /// Where `gs://` leads.
    pub gs: Gs,
    /// Where `az://` leads.
    pub az: Az,
}

/// Amazon S3, or a store that speaks as it does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// Its address; Amazon's where empty.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Whether it is asked without credentials although there are some.
    pub anonymous: bool,
    /// Whether the machine may be asked for credentials.
    pub instance_credentials: bool,
}

/// Google Cloud Storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gs {
    /// Its address; Google's where empty.
    pub endpoint: String,
    /// Whether it is asked without credentials although there are some.
    pub anonymous: bool,
    /// Whether the machine may be asked for credentials.
    pub instance_credentials: bool,
}

/// Azure Blob Storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Az {
    /// Its address; the account's at Azure where empty.
    pub endpoint: String,
    /// The storage account.
    pub account: String,
    /// Whether it is asked without credentials although there are some.
    pub anonymous: bool,
    /// Whether the machine may be asked for credentials.
    pub instance_credentials: bool,
}

/// The fields `s3`, `gs` and `az`, each a table.
#[must_use]
pub fn fields() -> Vec<FieldSpec> {
    vec![
        store(
            "s3",
            "Amazon S3 and stores like it. Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.",
            "Its address; unless set, AWS_ENDPOINT_URL, then Amazon's. Trusted by name, also on a private address.",
            Some(("region", "Its region; unless set, AWS_REGION, then AWS_DEFAULT_REGION, then us-east-1.")),
        ),
        store(
            "gs",
            "Google Cloud Storage. Credentials: GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT.",
            "Its address; unless set, GOOGLE_BASE_URL, then Google's. Trusted by name, also on a private address.",
            None,
        ),
        store(
            "az",
            "Azure Blob Storage. Credentials: AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_ID, \
             AZURE_CLIENT_SECRET and AZURE_TENANT_ID.",
            "Its address; unless set, AZURE_STORAGE_ENDPOINT, then the account's at Azure. Trusted by name.",
            Some(("account", "The storage account; unless set, AZURE_STORAGE_ACCOUNT_NAME.")),
        ),
    ]
}

fn store(
    name: &'static str,
    doc: &'static str,
    endpoint: &'static str,
    own: Option<(&'static str, &'static str)>,
) -> FieldSpec {
    let mut fields = vec![FieldSpec::new("endpoint", FieldType::Text, json!(""), endpoint)];
    fields.extend(own.map(|(name, doc)| FieldSpec::new(name, FieldType::Text, json!(""), doc)));
    fields.push(FieldSpec::new(
        "anonymous",
        FieldType::Bool,
        json!(false),
        "Whether it is asked without credentials although there are some; without any, it always is.",
    ));
    fields.push(FieldSpec::new(
        "instance_credentials",
        FieldType::Bool,
        json!(false),
        "Whether the machine's metadata service may be asked for credentials where no variable gives any.",
    ));
    let default = docmill_api::defaults(&fields);
    FieldSpec::new(name, FieldType::Table(fields), default, doc)
}

/// What is wrong with the endpoints: each is an address of a server; what it carries besides would be a secret in the file.
#[must_use]
pub fn endpoint_issues(s3: &S3, gs: &Gs, az: &Az) -> Vec<Issue> {
    let all = [("s3", &s3.endpoint), ("gs", &gs.endpoint), ("az", &az.endpoint)];
    all.into_iter().filter(|(_, endpoint)| !endpoint.is_empty() && !is_address(endpoint)).map(issue).collect()
}

fn is_address(endpoint: &str) -> bool {
    url::Url::parse(endpoint).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    })
}

fn issue((table, _): (&str, &String)) -> Issue {
    Issue {
        path: vec![table.into(), "endpoint".into()],
        message: "is no address of a server".into(),
        hint: Some("write it as \"https://storage.example.org\", without names and keys".into()),
    }
}
