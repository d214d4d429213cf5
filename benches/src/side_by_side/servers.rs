//! The servers that are compared, by name.

use super::Options;
use crate::Result;
use crate::machine::target_dir;
use crate::server::{Destination, House, Kind, Missing, Peer, Product, Programs};
use crate::subject::Subject;

/// Those of this project, in the order in which they are measured; products come after them.
pub(super) const OWN: [&str; 9] =
    ["floor", "raw", "bare", "usual", "gateway", "kinesis", "kinesis-tls", "firehose", "lake"];

/// Everything that can be measured.
pub(super) fn names() -> Result<Vec<String>> {
    Ok(OWN.into_iter().map(str::to_owned).chain(Product::names()?).collect())
}

/// Whether a server delivers to the stand-in.
pub(super) fn needs_stand_in(name: &str) -> bool {
    matches!(name, "kinesis" | "kinesis-tls" | "firehose")
}

/// A server that runs, and what it does with events.
pub(super) struct Server {
    pub(super) does: String,
    /// Whether it is a product that does a part of the gateway's work.
    pub(super) is_rival: bool,
    runs: Running,
}

/// Ends with this value.
enum Running {
    Peer { _peer: Peer },
    Gateway { _house: House },
    Product { _product: Product },
}

impl Server {
    /// Whether it is somebody else's.
    pub(super) fn is_product(&self) -> bool {
        matches!(self.runs, Running::Product { .. })
    }

    /// Starts the server of this name.
    pub(super) async fn start(
        name: &str,
        programs: &Programs,
        options: &Options,
    ) -> Result<std::result::Result<Subject<Self>, Missing>> {
        let (destination, does) = match name {
            "floor" => return Self::peer(name, Kind::Floor, "TCP: reads batches, drops them, answers").map(Ok),
            "raw" => return Self::peer(name, Kind::Raw, "tonic: drops messages unread, answers").map(Ok),
            "bare" => {
                return Self::peer(name, Kind::Bare, "tonic + prost: decodes events, drops them, answers").map(Ok);
            }
            "usual" => {
                let does = "tonic + prost, serde_json, a record for each event, MD5 of a batch's";
                return Self::peer(name, Kind::Usual, does).map(Ok);
            }
            "gateway" => (Destination::Discard, "Headgate: all that delivery to Kinesis does, but the calls"),
            "kinesis" => (Destination::Kinesis, "Headgate to a stand-in of Kinesis"),
            "kinesis-tls" => (Destination::KinesisTls, "the same over TLS"),
            "firehose" => (Destination::Firehose, "Headgate to a stand-in of Firehose"),
            "lake" => (Destination::Lake, "Headgate to its lake: log, fsync, Parquet"),
            product => return Self::product(product),
        };
        let subject = House::start(name, destination, programs, &options.set).await?;
        Ok(Ok(subject.map(|house| Self {
            does: does.to_owned(),
            is_rival: false,
            runs: Running::Gateway { _house: house },
        })))
    }

    fn peer(name: &str, kind: Kind, does: &str) -> Result<Subject<Self>> {
        let peer = Peer::start(kind)?;
        let (pid, target) = (peer.pid(), peer.target().clone());
        let server = Self { does: does.to_owned(), is_rival: false, runs: Running::Peer { _peer: peer } };
        Subject::new(name, server, pid, target)
    }

    fn product(name: &str) -> Result<std::result::Result<Subject<Self>, Missing>> {
        let product = match Product::start(name, &target_dir()?)? {
            Ok(product) => product,
            Err(missing) => return Ok(Err(missing)),
        };
        let (pid, target) = (product.pid(), product.target().clone());
        let does = format!("{}: {}", product.version(), product.does());
        let is_rival = product.is_rival();
        let server = Self { does, is_rival, runs: Running::Product { _product: product } };
        Ok(Ok(Subject::new(name, server, pid, target)?.warms_by_time()))
    }
}
