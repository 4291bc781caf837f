//! From tables and the environment to a client for one bucket.
//!
//! Credentials come from variables alone. Where there are none, a store is asked without, as public buckets want it; the
//! machine's own metadata service is asked only where the table says so.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use docmill_api::StageError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpConnector;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, RetryConfig, StaticCredentialProvider};
use url::{Origin, Url};

use crate::config::{Az, Gs, S3, Stores};

/// The variables of the environment, or those of a test.
pub type Environment = Vec<(String, String)>;

/// What to do about a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Hint(pub &'static str);

/// What a client's connector is told: whose word is trusted by name, and what to do about a refusal.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The endpoint, and the metadata service where it is turned on.
    pub trusted: Arc<HashSet<Origin>>,
    /// What to do about a refusal.
    pub hint: Hint,
}

/// Makes a client for a bucket of one of the [`SCHEMES`](crate::SCHEMES); its requests are carried by what `connector` makes.
///
/// # Errors
/// Rejected: the table or the environment makes no client.
pub fn open<C: HttpConnector>(
    scheme: &str,
    bucket: &str,
    stores: &Stores,
    environment: &Environment,
    retry: RetryConfig,
    connector: impl FnOnce(Asked) -> C,
) -> Result<Arc<dyn ObjectStore>, StageError> {
    match scheme {
        "s3" => s3(&stores.s3, environment, bucket, retry, connector),
        "gs" => gs(&stores.gs, environment, bucket, retry, connector),
        "az" => az(&stores.az, environment, bucket, retry, connector),
        other => Err(StageError::rejected(format!("`{other}` is no object store"))),
    }
}

/// Where clouds keep their metadata services.
const METADATA: [&str; 3] = ["http://169.254.169.254", "http://169.254.170.2", "http://metadata.google.internal"];

/// Where the command-line tool of Google keeps what it was given, below the home directory.
const GOOGLE_DEFAULT: &str = ".config/gcloud/application_default_credentials.json";

/// For a caller that tries again itself: a client that does so as well would hide it.
#[must_use]
pub fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Whose word is trusted: the endpoint, and the metadata service where it is turned on.
fn trusted(endpoint: Option<&str>, instance: bool, more: Vec<String>) -> Arc<HashSet<Origin>> {
    let metadata = METADATA.into_iter().map(str::to_owned).chain(more).filter(|_| instance);
    let addresses = endpoint.map(str::to_owned).into_iter().chain(metadata);
    Arc::new(addresses.filter_map(|address| Url::parse(&address).ok()).map(|url| url.origin()).collect())
}

/// The variables of one store that its builder knows, by the names that it knows them by.
fn known<K: std::str::FromStr>(environment: &Environment, prefix: &str) -> Vec<(K, String)> {
    let own = environment.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    own.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone()))).collect()
}

fn unbuilt(error: &object_store::Error) -> StageError {
    StageError::rejected(format!("no client for its store: {}", plain(&error.to_string())))
}

fn s3<C: HttpConnector>(
    config: &S3,
    environment: &Environment,
    bucket: &str,
    retry: RetryConfig,
    connector: impl FnOnce(Asked) -> C,
) -> Result<Arc<dyn ObjectStore>, StageError> {
    use AmazonS3ConfigKey as Key;
    let mut builder = AmazonS3Builder::new();
    for (key, value) in known::<Key>(environment, "AWS_") {
        builder = builder.with_config(key, value);
    }
    if !config.endpoint.is_empty() {
        builder = builder.with_config(Key::S3Endpoint, &config.endpoint);
    }
    if !config.region.is_empty() {
        builder = builder.with_region(&config.region);
    }
    let set = |key: Key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let endpoint = set(Key::S3Endpoint).or_else(|| set(Key::Endpoint));
    let has_keys = set(Key::AccessKeyId).is_some() || set(Key::SecretAccessKey).is_some();
    let has_role = set(Key::WebIdentityTokenFile).is_some() && set(Key::RoleArn).is_some();
    let is_known = !config.anonymous && (has_keys || has_role || config.instance_credentials);
    let services = [Key::ContainerCredentialsFullUri, Key::MetadataEndpoint].into_iter().filter_map(set).collect();
    let hint = Hint(if is_known {
        "check what the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY may read"
    } else {
        "it was asked without credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    });
    let trusted = trusted(endpoint.as_deref(), config.instance_credentials, services);
    if !is_known {
        // Given, though unused: without any the client would look for some.
        let none = AwsCredential { key_id: String::new(), secret_key: String::new(), token: None };
        builder = builder.with_skip_signature(true).with_credentials(Arc::new(StaticCredentialProvider::new(none)));
    }
    let builder = builder.with_bucket_name(bucket).with_retry(retry);
    let store = builder.with_http_connector(connector(Asked { trusted, hint })).build();
    store.map(|store| Arc::new(store) as _).map_err(|error| unbuilt(&error))
}

fn gs<C: HttpConnector>(
    config: &Gs,
    environment: &Environment,
    bucket: &str,
    retry: RetryConfig,
    connector: impl FnOnce(Asked) -> C,
) -> Result<Arc<dyn ObjectStore>, StageError> {
    use GoogleConfigKey as Key;
    let variable = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let mut builder = GoogleCloudStorageBuilder::new();
    if let Some(account) = variable("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(account);
    }
    for (key, value) in known::<Key>(environment, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    if !config.endpoint.is_empty() {
        builder = builder.with_config(Key::BaseUrl, &config.endpoint);
    }
    let set = |key: Key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let has_default = variable("HOME").is_some_and(|home| Path::new(home).join(GOOGLE_DEFAULT).exists());
    let named = [Key::ServiceAccount, Key::ServiceAccountKey, Key::ApplicationCredentials, Key::BearerToken];
    let has_any = has_default || named.into_iter().any(|key| set(key).is_some());
    let is_known = !config.anonymous && (has_any || config.instance_credentials);
    let hint = Hint(if is_known {
        "check what the account in GOOGLE_APPLICATION_CREDENTIALS may read"
    } else {
        "it was asked without credentials; set GOOGLE_APPLICATION_CREDENTIALS"
    });
    let trusted = trusted(set(Key::BaseUrl).as_deref(), config.instance_credentials, Vec::new());
    if !is_known {
        let none = GcpCredential { bearer: String::new() };
        builder = builder.with_skip_signature(true).with_credentials(Arc::new(StaticCredentialProvider::new(none)));
    }
    let builder = builder.with_bucket_name(bucket).with_retry(retry);
    let store = builder.with_http_connector(connector(Asked { trusted, hint })).build();
    store.map(|store| Arc::new(store) as _).map_err(|error| unbuilt(&error))
}

fn az<C: HttpConnector>(
    config: &Az,
    environment: &Environment,
    container: &str,
    retry: RetryConfig,
    connector: impl FnOnce(Asked) -> C,
) -> Result<Arc<dyn ObjectStore>, StageError> {
    use AzureConfigKey as Key;
    let mut builder = MicrosoftAzureBuilder::new();
    for (key, value) in known::<Key>(environment, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(config.endpoint.clone());
    }
    if !config.account.is_empty() {
        builder = builder.with_account(&config.account);
    }
    let set = |key: Key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    if set(Key::AccountName).is_none() {
        return Err(StageError::rejected("its storage account is not known: set `az.account`"));
    }
    let single = [Key::AccessKey, Key::Token, Key::SasKey].into_iter().any(|key| set(key).is_some());
    let app = set(Key::ClientId).is_some() && set(Key::AuthorityId).is_some();
    let app = app && (set(Key::ClientSecret).is_some() || set(Key::FederatedTokenFile).is_some());
    let is_known = !config.anonymous && (single || app || config.instance_credentials);
    let hint = Hint(if is_known {
        "check what the key in AZURE_STORAGE_ACCOUNT_KEY, or what stands in for it, may read"
    } else {
        "it was asked without credentials; set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"
    });
    let service = set(Key::MsiEndpoint).into_iter().collect();
    let trusted = trusted(set(Key::Endpoint).as_deref(), config.instance_credentials, service);
    if !is_known {
        let none = object_store::azure::AzureCredential::BearerToken(String::new());
        builder = builder.with_skip_signature(true).with_credentials(Arc::new(StaticCredentialProvider::new(none)));
    }
    let builder = builder.with_container_name(container).with_retry(retry);
    let store = builder.with_http_connector(connector(Asked { trusted, hint })).build();
    store.map(|store| Arc::new(store) as _).map_err(|error| unbuilt(&error))
}

/// An error's text up to what it quotes: that may be part of a key or a token.
#[must_use]
pub fn plain(text: &str) -> String {
    text.split(['"', '`']).next().unwrap_or_default().trim_end().chars().take(200).collect()
}
