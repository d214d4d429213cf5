//! Pythons with what others' programs need: stock clients and a stock reader of the lake in `target/python`, which the
//! demo uses too, a stock consumer of Kinesis in `target/consumer`, in `target/analyst` what asks a lake queries that
//! are for Athena, in `target/otlp` a server instrumented with OpenTelemetry, in `target/duckdb` DuckDB's command line, and
//! in `target/awscli` AWS's; made once and kept. Where one can't be had, the test that asks for it fails and says why.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::binary;

/// The module that each package brings, and which versions of the package are known to work.
const PACKAGES: [(&str, &str); 4] = [
    ("grpc", "grpcio>=1.70,<2"),
    ("grpc_status", "grpcio-status>=1.70,<2"),
    ("grpc_tools", "grpcio-tools>=1.70,<2"),
    ("duckdb", "duckdb>=1.2,<2"),
];

/// What a consumer of Kinesis and a reader of S3 has: the SDK, and AWS's own package that takes aggregated records apart.
const CONSUMER_PACKAGES: [(&str, &str); 2] =
    [("boto3", "boto3>=1.40,<2"), ("aws_kinesis_agg.deaggregator", "aws-kinesis-agg>=1.2.3,<2")];

/// What asks DuckDB what was written for Athena. sqlglot's next version may translate differently.
const ANALYST_PACKAGES: [(&str, &str); 2] = [("duckdb", "duckdb>=1.2,<2"), ("sqlglot", "sqlglot>=30,<31")];

/// OpenTelemetry's own SDK and its exporters. Of 1.x minor versions move logs about: they are not stable there yet.
const OTLP_PACKAGES: [(&str, &str); 3] = [
    ("opentelemetry.sdk._logs.export", "opentelemetry-sdk==1.45.2"),
    ("opentelemetry.exporter.otlp.proto.grpc._log_exporter", "opentelemetry-exporter-otlp-proto-grpc==1.45.2"),
    ("opentelemetry.exporter.otlp.proto.http._log_exporter", "opentelemetry-exporter-otlp-proto-http==1.45.2"),
];

/// DuckDB's own command line, with which pages ask a lake.
const DUCKDB_PACKAGES: [(&str, &str); 1] = [("duckdb_cli", "duckdb-cli>=1.5,<2")];

/// AWS's own command line, with which the stacks are deployed.
const AWS_CLI_PACKAGES: [(&str, &str); 1] = [("awscli", "awscli>=1.40,<2")];

/// The interpreter of the stock client and reader.
///
/// # Panics
/// If the environment can't be made: says what to install.
#[must_use]
pub fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| made_or_panic("python", "the stock client", &PACKAGES))
}

/// The interpreter of the stock consumer.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn consumer() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| made_or_panic("consumer", "the stock consumer", &CONSUMER_PACKAGES))
}

/// The interpreter of who asks a lake Athena's queries.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn analyst() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| made_or_panic("analyst", "the queries", &ANALYST_PACKAGES))
}

/// The interpreter of a server that is instrumented with OpenTelemetry.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn otlp() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| made_or_panic("otlp", "OpenTelemetry's exporters", &OTLP_PACKAGES))
}

/// The folder with AWS's command line, `aws`.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn aws_cli() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let python = made_or_panic("awscli", "AWS's command line", &AWS_CLI_PACKAGES);
        python.parent().expect("a program is in a folder").to_owned()
    })
}

/// The folder with DuckDB's command line, `duckdb`.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn duckdb() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let python = made_or_panic("duckdb", "DuckDB's command line", &DUCKDB_PACKAGES);
        python.parent().expect("a program is in a folder").to_owned()
    })
}

fn made_or_panic(folder: &str, what_for: &str, packages: &[(&str, &str)]) -> PathBuf {
    let (target, _) = binary::target_dir();
    let environment = target.join(folder);
    find_or_make(&environment, packages).unwrap_or_else(|problem| {
        let packages: Vec<&str> = packages.iter().map(|(_, package)| *package).collect();
        panic!(
            "no Python for {what_for}: {problem}\n\
             needed: python3 with venv and pip, and from a package index {}; install python3-venv, or make the \
             environment by hand in {}",
            packages.join(" "),
            environment.display()
        )
    })
}

/// The interpreter of an environment in a folder, made where it is missing: with these modules, from these packages.
///
/// # Errors
/// Why it can't be made.
pub fn find_or_make(environment: &Path, packages: &[(&str, &str)]) -> Result<PathBuf, String> {
    let lock_file = environment.with_extension("lock");
    let lock = File::create(&lock_file).map_err(|error| format!("{}: {error}", lock_file.display()))?;
    // Given back when the file is closed. Another test process may be making the environment.
    lock.lock().map_err(|error| format!("{}: {error}", lock_file.display()))?;
    let python = environment.join("bin").join("python");
    if !is_complete(&python, packages) {
        make(environment, &python, packages)?;
    }
    Ok(python)
}

fn is_complete(python: &Path, packages: &[(&str, &str)]) -> bool {
    let modules: Vec<&str> = packages.iter().map(|(module, _)| *module).collect();
    let import = format!("import {}", modules.join(", "));
    Command::new(python).args(["-c", &import]).output().is_ok_and(|output| output.status.success())
}

fn make(environment: &Path, python: &Path, packages: &[(&str, &str)]) -> Result<(), String> {
    if !python.exists() {
        fs::create_dir_all(environment).map_err(|error| format!("{}: {error}", environment.display()))?;
        run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    }
    let packages = packages.iter().map(|(_, package)| package);
    // Built packages only: building grpcio takes longer than the whole suite.
    let install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:"];
    run(Command::new(python).args(install).args(packages)).map(|_| ())
}

/// Runs a command that must succeed.
///
/// # Errors
/// What it said.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(format!("{command:?}: {}\n{}\n{}", output.status, said(&output.stdout), said(&output.stderr)))
    }
}
