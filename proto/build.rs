//! Generates the gRPC code from `proto/` with protox, so that no protoc is needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const FILES: [&str; 2] = ["headgate/v1/ingest.proto", "headgate/admin/v1/admin.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::compile(FILES, ["proto"])?;
    let descriptor_file = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptor_file, descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        .bytes(".headgate.v1.Event.event_data")
        // They hold a key; `redacted.rs` says what is shown of them.
        .skip_debug([
            ".headgate.admin.v1.CreateAuthorizationResponse",
            ".headgate.admin.v1.RotateAuthorizationResponse",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
