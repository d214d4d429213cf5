//! How a gateway is found and let into; that both back ends do the same is for `tests/e2e/admin.rs`.

use std::fs;

use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn args(token_file: Option<&Path>) -> GatewayArgs {
    GatewayArgs { admin_token_file: token_file.map(Path::to_owned), ..GatewayArgs::default() }
}

fn refused_with(url: &str, args: &GatewayArgs, data_dir: &Path) -> String {
    match Remote::new(url, args, data_dir) {
        Ok(_) => panic!("{url} is taken"),
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{error}");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn a_url_that_leads_to_no_gateway_is_refused_with_what_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "a-token-of-some-length\n").expect("writes");
    let args = args(Some(&token));
    assert!(Remote::new("http://127.0.0.1:50051", &args, folder.path()).is_ok());
    for (url, hint) in [("127.0.0.1:50051", "http://"), ("ftp://x", "http://"), ("https://x", "--ca-file"), ("", "")] {
        assert!(refused_with(url, &args, folder.path()).contains(hint), "{url}");
    }
    let args = GatewayArgs { ca_file: Some(token), ..args };
    assert!(refused_with("http://x", &args, folder.path()).contains("https"));
}

#[tokio::test]
async fn the_token_a_gateway_made_is_taken_for_a_gateway_on_this_machine_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = "http://127.0.0.1:50051";
    assert!(refused_with(here, &args(None), folder.path()).contains("--admin-token-file"));
    fs::write(folder.path().join("admin-token"), "hga_0123456789abcdef\n").expect("writes");
    for url in [here, "http://localhost:1", "http://[::1]:1"] {
        assert!(Remote::new(url, &args(None), folder.path()).is_ok(), "{url}");
    }
    for url in ["http://192.0.2.1:50051", "http://localhost.example:1"] {
        assert!(refused_with(url, &args(None), folder.path()).contains("--admin-token-file"), "{url}");
    }
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "secret").expect("writes");
    let error = refused_with(here, &args(Some(&wrong)), folder.path());
    assert!(error.contains("16 or more") && !error.contains("secret"), "{error}");
}

#[test]
fn what_is_for_a_gateway_is_refused_without_one() {
    let without = args(Some(Path::new("token")));
    assert!(without.refuse_without_gateway().expect_err("no gateway").to_string().contains("--gateway"));
}

#[test]
fn what_a_gateway_says_is_told_with_what_would_mend_it() {
    let status = |code, reason: &str| {
        let details = ErrorDetails::with_error_info(reason, "headgate", std::collections::HashMap::new());
        Status::with_error_details(code, "it is so", details)
    };
    let told = |status: Status| BackendError::Gateway(Box::new(status)).to_string();
    assert!(told(status(Code::Unauthenticated, "admin_token_wrong")).contains("--admin-token-file"));
    assert_eq!(told(status(Code::PermissionDenied, "admin_closed")), "it is so");
    assert_eq!(told(status(Code::Unavailable, "registry_unavailable")), "it is so");
    assert!(told(Status::unavailable("tcp connect error")).contains("can't be reached"));
    assert!(told(Status::unimplemented("")).contains("AdminService"));
    assert!(told(Status::cancelled("Timeout expired")).contains("not known"));
}
