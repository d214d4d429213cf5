//! The image of `deploy/container`: what it is, and a rolling deployment of two of its containers behind a load balancer.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use headgate_proto::v1::PublishEventsRequest;
use headgate_proto::v1::ingest_service_client::IngestServiceClient;
use headgate_tests::client::{Connection, Target, Trust};
use headgate_tests::container::{self, Container, Image, NOBODY};
use headgate_tests::events::login;
use headgate_tests::gateway::GatewayProcess;
use headgate_tests::haproxy::{Backend, HaProxy};
use headgate_tests::load::{Load, Shape};
use headgate_tests::oracle::Oracle;
use headgate_tests::seed::{Draw, seed};
use headgate_tests::static_binary::{GATEWAY, LOAD_TESTER};
use headgate_tests::{binary, python};
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::crash::stored;
use crate::tls::Authority;
use crate::{NO_RATE_LIMIT, PATIENCE};

/// `lifecycle.drain_deadline`.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// hadolint, shellcheck, the toolchain's version, and then seeded faults, each of which has to be caught.
#[test]
fn the_dockerfile_and_the_scripts_are_good_and_every_seeded_fault_in_them_is_caught() {
    let mut check = Command::new(binary::workspace().join("deploy/container/check"));
    check.arg("--target").arg(binary::target_dir().0);
    let said = python::run(&mut check).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{said}");
    assert!(said.contains("\nok     faults") && said.contains(" 0 failed"), "{said}");
}

/// The image holds no library, so a program that needs one is turned away before there is an image that can't start.
#[test]
fn a_program_that_is_linked_dynamically_becomes_no_image() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = Command::new(binary::workspace().join("deploy/container/stage"));
    stage.arg("headgate").arg(folder.path().join("context")).arg(binary::headgate());
    let problem = python::run(&mut stage).expect_err("it is linked dynamically");
    assert!(problem.contains("is linked dynamically"), "{problem}");
}

/// What the kernel says of a container's first process.
fn status(container: &Container) -> BTreeMap<String, String> {
    let pid = container.inspect("{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs on this machine");
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().replace('\t', " "))).collect()
}

/// From an empty volume it becomes ready; it is nobody, may do nothing that needs a capability, can write nowhere but to
/// the volume, has no shell, answers for its health without one, keeps what it acknowledged, and ends well.
#[tokio::test(flavor = "multi_thread")]
async fn the_image_runs_as_nobody_on_a_root_that_can_not_be_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = Image::build(GATEWAY, folder.path());
    let gateway = Container::new("alone");
    let took = gateway.start(&image, &[]).await;
    println!("ready {took:?} after its container began to be made");

    let status = status(&gateway);
    assert_eq!(status["Uid"], [NOBODY; 4].map(|id| id.to_string()).join(" "));
    assert_eq!(status["Gid"], status["Uid"]);
    for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", gateway.inspect("{{.State.Pid}}")));
    let mounts = mounts.expect("it runs on this machine");
    // Mount id, parent, device, root, mount point, options (proc(5)).
    let options = |point: &str| {
        let found = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|fields| fields[4] == point);
        found.unwrap_or_else(|| panic!("nothing is mounted at {point}:\n{mounts}"))[5].to_owned()
    };
    assert!(options("/").split(',').any(|option| option == "ro"), "{mounts}");
    assert!(options("/var/lib/headgate").split(',').any(|option| option == "rw"), "{mounts}");
    assert!(gateway.exec(&["/bin/sh", "-c", "true"]).is_err(), "there is a shell");

    let url = format!("http://{}", gateway.operate());
    assert_eq!(gateway.exec(&["/headgate", "healthcheck"]), Ok(format!("{url}/healthz answered 200 OK")));
    assert_eq!(gateway.exec(&["/headgate", "healthcheck", "--ready"]), Ok(format!("{url}/readyz answered 200 OK")));

    let key = fs::read_to_string(gateway.volume().join("demo-api-key")).expect("the first start writes the demo key");
    let target = Target { address: gateway.grpc(), key: key.trim().to_owned(), trust: None };
    let mut connection = Connection::open(&target).await.expect("it listens");
    let verdict = connection.publish((0..50).map(|_| login()).collect()).await.expect("it answers");
    assert_eq!(verdict.accepted, 50, "{verdict:?}");
    drop(connection);
    assert_eq!(gateway.terminate(DRAIN_DEADLINE).await, 0);
    assert_eq!(stored(&gateway.volume()).len(), 50);
}

/// The same program makes the same image, by digest. It is the load tester's, which starts.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_same_program_is_the_same_image() {
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (one, other) = (Image::build(LOAD_TESTER, one.path()), Image::build(LOAD_TESTER, other.path()));
    assert_eq!(one.digest(), other.digest());
    let run = ["run", "--rm", "--network", "none", "--ulimit", "nofile=1024", "--ulimit", "nproc=1024"];
    let plan = ["plan", "--workload", "steady", "--players", "1000"];
    let told = container::podman(&[&["--runtime", "runc"], &run[..], &[one.name()], &plan].concat());
    let told = told.unwrap_or_else(|problem| panic!("{problem}"));
    assert!(told.contains("steady"), "{told}");
}

/// Streams and unary calls over TLS through a load balancer, as many as a container takes. A second container starts and
/// is taken in, then the first is told to stop: it ends well within its deadline, no call is left without an answer, and
/// every acknowledged event is in one of the two lakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_deployment_behind_a_load_balancer_loses_no_acknowledged_event() {
    let seed = seed("rolling deployment");
    let mut draw = Draw::new(seed, 1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let image = Image::build(GATEWAY, folder.path());

    // Both know the same game, as gateways do that share their registry.
    let registry = tempfile::tempdir().expect("a folder");
    let application = binary::run_json(registry.path(), &["apps", "create", "game"]);
    let key = binary::run_json(registry.path(), &["keys", "create", "game", "--name", "servers"]);
    let (old, new) = (Container::new("old"), Container::new("new"));
    for container in [&old, &new] {
        container.put(&registry.path().join("registry.sqlite"));
    }

    let authority = Authority::new();
    let (certificate, private_key) = authority.sign();
    let backend = |name, container: &Container| Backend { name, grpc: container.grpc(), operate: container.operate() };
    let backends = [backend("old", &old), backend("new", &new)];
    let balancer = HaProxy::start(folder.path(), &format!("{certificate}{private_key}"), &backends).await;
    // At first it takes every gateway to be there.
    balancer.sees("old", "DOWN", PATIENCE).await;
    balancer.sees("new", "DOWN", PATIENCE).await;
    println!("the old one was ready in {:?}", old.start(&image, &NO_RATE_LIMIT).await);
    balancer.sees("old", "UP", PATIENCE).await;

    let target = Target {
        address: balancer.address(),
        key: key["api_key"].as_str().expect("a key").to_owned(),
        trust: Some(Trust::in_authority(&authority.pem())),
    };
    let id = application["application_id"].as_str().expect("an id").parse().expect("a UUID");
    let oracle = Arc::new(Oracle::new(seed, &[id]));
    let shape = Shape { streams: 6, stubborn: 2, unary: 6, ..Shape::default() };
    let load = Load::start(&oracle, &[target], &shape, seed);
    load.acknowledge(draw.within(5_000..=15_000), PATIENCE).await;

    println!("the new one was ready in {:?}, under load", new.start(&image, &NO_RATE_LIMIT).await);
    balancer.sees("new", "UP", PATIENCE).await;
    load.acknowledge(draw.within(1_000..=10_000), PATIENCE).await;
    let asked = Instant::now();
    let code = old.terminate(DRAIN_DEADLINE).await;
    println!("the old one drained in {:?}", asked.elapsed());
    assert_eq!(code, 0, "the drain was clean");
    load.acknowledge(draw.within(5_000..=15_000), PATIENCE).await;
    let tally = load.finish(PATIENCE).await;
    println!("{tally:?}");
    assert_eq!(tally.broken_off, 0, "a call broke off without a status: {tally:?}");
    assert_eq!(tally.forgotten, 0, "a stream ended well and owed answers: {tally:?}");
    assert!(tally.notices > 0, "streams are asked to leave: {tally:?}");
    assert!(new.metrics().await.sum("headgate_events_settled_total", &["verdict=\"accepted\""]) >= 5_000.0);

    assert_eq!(new.terminate(DRAIN_DEADLINE).await, 0);
    let [old, new] = [old, new].map(|container| stored(&container.volume()));
    println!("{} rows in the old lake, {} in the new one", old.len(), new.len());
    let judgement = oracle.judge(&[old, new].concat());
    judgement.assert_kept(10_000);
    assert_eq!(judgement.unsettled, 0);
}

/// A listener that was set up without ALPN takes TLS clients and no gRPC client, which says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_without_alpn_is_told_by_the_client() {
    let data = tempfile::tempdir().expect("a folder");
    let gateway = GatewayProcess::start(data.path(), &[]).await;
    let (_, target) = gateway.demo();
    let authority = Authority::new();
    let (certificate, key) = authority.sign();
    let backend = Backend { name: "gateway", grpc: target.address, operate: gateway.operate_address() };
    let balancer = HaProxy::start(data.path(), &format!("{certificate}{key}"), &[backend]).await;
    let publish = async |port: u16| {
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).expect("a URI");
        let endpoint = endpoint.tls_config(tls).expect("a good configuration");
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        let mut request = Request::new(PublishEventsRequest { events: vec![login()] });
        request.metadata_mut().insert("x-api-key", target.key.parse().expect("a key is ASCII"));
        let answer = IngestServiceClient::new(channel).publish_events(request).await;
        let verdict = answer.map_err(|status| format!("{status:?}"))?.into_inner().verdict;
        Ok::<u32, String>(verdict.map_or(0, |verdict| verdict.accepted))
    };
    assert_eq!(publish(balancer.address().port()).await, Ok(1));
    let problem = publish(balancer.address_without_alpn().port()).await.expect_err("no protocol was agreed on");
    assert!(problem.contains("H2NotNegotiated"), "{problem}");
}
