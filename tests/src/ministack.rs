//! MiniStack, an emulator of AWS, as a process of its own on a free loopback port: one for each test, ended with it. Its
//! packages are installed once, into `target/ministack`.
//!
//! Where it differs from DynamoDB, as far as the tests here could notice: its indexes and its eventually consistent
//! reads are never behind, it never throttles, and it takes any credentials. Its shards take any rate, and its Firehose
//! buffers nothing: each record is an object of its own, there when the call is answered.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_firehose::types::{DeliveryStreamType, ExtendedS3DestinationConfiguration};
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::gateway::free_address;
use crate::{binary, http as asked, poll, python};

/// The modules that the packages bring, and the version that the tests are known to pass with. DuckDB is what the
/// emulator writes Parquet and answers Athena with, cbor2 what it reads calls in CBOR with; its functions in Python run on its
/// own interpreter, and Lambda's has boto3.
const PACKAGES: [(&str, &str); 4] = [
    ("ministack", "ministack==1.5.33"),
    ("duckdb", "duckdb>=1.2,<2"),
    ("cbor2", "cbor2>=5.7,<6"),
    ("boto3", "boto3>=1.40,<2"),
];
const START_PATIENCE: Duration = Duration::from_secs(60);
const ASK_PATIENCE: Duration = Duration::from_secs(5);
const REGION: &str = "eu-west-1";
/// The emulator takes any.
const CREDENTIAL: &str = "test";
/// With which Firehose would write to S3; the emulator asks for its name only.
const ROLE: &str = "arn:aws:iam::000000000000:role/firehose";

/// An emulator that runs.
pub struct MiniStack {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// The names of the registry's tables.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// The table of applications.
    pub applications: &'a str,
    /// The table of keys.
    pub authorizations: &'a str,
}

/// The names that the gateway expects where nothing else is set.
pub const TABLES: Tables<'static> = Tables { applications: "Applications", authorizations: "Authorizations" };

/// The table of the books, as the gateway expects it where nothing else is set.
pub const BOOKS: &str = "headgate-books";

impl MiniStack {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If it can't be installed or does not answer: says what it said.
    pub async fn start() -> Self {
        let program = tokio::task::spawn_blocking(program).await.expect("it does not panic");
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("the log can be written");
        let address = free_address();
        let child = Command::new(program)
            .current_dir(folder.path())
            .env("BIND_HOST", address.ip().to_string())
            .env("GATEWAY_PORT", address.port().to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("the emulator can be run");
        let mut started = Self { child, address, folder };
        poll::until("the emulator answers", START_PATIENCE, async || {
            if let Some(status) = started.child.try_wait().expect("one's own child can be waited for") {
                panic!("the emulator has ended by itself: {status}");
            }
            let answer = asked::ask(Method::GET, address, "/_ministack/health", ASK_PATIENCE).await;
            matches!(answer, Ok((StatusCode::OK, _))).then_some(())
        })
        .await;
        started
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of its DynamoDB.
    pub async fn dynamodb(&self) -> Client {
        Client::new(&config(self.address).await)
    }

    /// An emulator with the registry's tables, and a client of it.
    pub async fn with_tables() -> (Self, Client) {
        let emulator = Self::start().await;
        let client = emulator.dynamodb().await;
        create_tables(&client, TABLES).await;
        create_books(&client, BOOKS).await;
        (emulator, client)
    }

    /// Creates a provisioned Kinesis data stream and waits until it takes records.
    ///
    /// # Panics
    /// If that fails.
    pub async fn create_stream(&self, name: &str, shards: i32) {
        let client = aws_sdk_kinesis::Client::new(&config(self.address).await);
        client.create_stream().stream_name(name).shard_count(shards).send().await.expect("the stream is created");
        poll::until("the stream is active", START_PATIENCE, async || {
            let described = client.describe_stream_summary().stream_name(name).send().await.expect("it is described");
            let status = described.stream_description_summary.expect("it has a description").stream_status;
            (status == aws_sdk_kinesis::types::StreamStatus::Active).then_some(())
        })
        .await;
    }

    /// Creates an S3 bucket.
    ///
    /// # Panics
    /// If that fails.
    pub async fn create_bucket(&self, name: &str) {
        // Creating one is a bare PUT, for which no other SDK is worth its build.
        let answer = asked::ask(Method::PUT, self.address, &format!("/{name}"), ASK_PATIENCE).await;
        let (status, text) = answer.expect("the emulator answers");
        assert_eq!(status, StatusCode::OK, "the bucket is created: {text}");
    }

    /// Creates a Firehose delivery stream that is put to directly and writes into a bucket.
    ///
    /// # Panics
    /// If that fails.
    pub async fn create_delivery_stream(&self, name: &str, bucket: &str) {
        let client = aws_sdk_firehose::Client::new(&config(self.address).await);
        let destination = ExtendedS3DestinationConfiguration::builder()
            .role_arn(ROLE)
            .bucket_arn(format!("arn:aws:s3:::{bucket}"))
            .prefix("raw_events/")
            .build()
            .expect("a destination has a role and a bucket");
        client
            .create_delivery_stream()
            .delivery_stream_name(name)
            .delivery_stream_type(DeliveryStreamType::DirectPut)
            .extended_s3_destination_configuration(destination)
            .send()
            .await
            .expect("the delivery stream is created");
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the emulator's log ends so:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// What a client needs to speak to an emulator, or to a proxy before it.
pub async fn config(address: SocketAddr) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "the tests"))
        .load()
        .await
}

/// The same as variables of a process. Nothing of the machine's own AWS settings counts beside them.
#[must_use]
pub fn environment(address: SocketAddr) -> Vec<(String, String)> {
    let endpoint = format!("http://{address}");
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", REGION),
        // As some SDKs call it, boto3's among them.
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", CREDENTIAL),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Gives this process credentials for the emulator, which takes any; the SDK wants some.
///
/// # Safety
/// As [`std::env::set_var`]: before there is another thread.
pub unsafe fn set_process_credentials() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", CREDENTIAL),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    for (name, value) in variables {
        // SAFETY: the caller's.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Creates the registry's tables as the AWS solution does, with our index on top.
///
/// # Panics
/// If that fails.
pub async fn create_tables(client: &Client, tables: Tables<'_>) {
    client
        .create_table()
        .table_name(tables.applications)
        .attribute_definitions(text("application_id"))
        .key_schema(key("application_id", KeyType::Hash))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table of applications is created");
    let values = Projection::builder()
        .projection_type(ProjectionType::Include)
        .non_key_attributes("api_key_id")
        .non_key_attributes("enabled")
        .build();
    let everything = Projection::builder().projection_type(ProjectionType::All).build();
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    client
        .create_table()
        .table_name(tables.authorizations)
        .set_attribute_definitions(Some(
            ["api_key_id", "application_id", "api_key_value", "api_key_hash"].map(text).to_vec(),
        ))
        .key_schema(key("api_key_id", KeyType::Hash))
        .key_schema(key("application_id", KeyType::Range))
        .global_secondary_indexes(index("ApplicationAuthorizations", &["application_id", "api_key_id"], everything))
        .global_secondary_indexes(index("ApiKeyValues", &["api_key_value", "application_id"], values))
        .global_secondary_indexes(index("ApiKeyHashes", &["api_key_hash"], keys_only))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table of keys is created");
}

/// Creates the table of the books.
///
/// # Panics
/// If that fails.
pub async fn create_books(client: &Client, name: &str) {
    client
        .create_table()
        .table_name(name)
        .set_attribute_definitions(Some(["book", "entry"].map(text).to_vec()))
        .key_schema(key("book", KeyType::Hash))
        .key_schema(key("entry", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table of the books is created");
}

/// Creates the table in which gateways share limits, under the name that the gateway expects where nothing else is set.
///
/// # Panics
/// If that fails.
pub async fn create_shares(client: &Client) {
    let table = "HeadgateShares";
    client
        .create_table()
        .table_name(table)
        .attribute_definitions(text("application_id"))
        .key_schema(key("application_id", KeyType::Hash))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table of shares is created");
    let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build();
    let specification = specification.expect("it has an attribute");
    let switched_on = client.update_time_to_live().table_name(table).time_to_live_specification(specification);
    switched_on.send().await.expect("the time to live is switched on");
}

fn index(name: &str, keys: &[&str], projection: Projection) -> GlobalSecondaryIndex {
    let mut index = GlobalSecondaryIndex::builder().index_name(name).projection(projection);
    for (attribute, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        index = index.key_schema(key(attribute, kind));
    }
    index.build().expect("an index has a name and a key")
}

fn key(attribute: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().expect("a key has a name and a kind")
}

fn text(attribute: &str) -> AttributeDefinition {
    let definition = AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
    definition.build().expect("an attribute has a name and a type")
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let (target, _) = binary::target_dir();
        let environment = target.join("ministack");
        let python = python::find_or_make(&environment, &PACKAGES).unwrap_or_else(|problem| {
            let packages = PACKAGES.map(|(_, package)| package).join(" ");
            panic!(
                "no emulator of AWS: {problem}\nneeded: python3 with venv and pip, and from a package index {packages}; \
                 install python3-venv, or make the environment by hand in {}",
                environment.display()
            )
        });
        python.with_file_name("ministack")
    })
}
