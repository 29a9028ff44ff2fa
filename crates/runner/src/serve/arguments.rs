//! The options of `serve`.

use crate::granted::{Granted, Reach};
use crate::serve::address::Address;
use crate::timeout::Timeout;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use trampette_wasi::http::Destinations;

/// What is served, where, and by what instances.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServeArguments {
    /// What to serve (`-` for standard input): a component that exports `wasi:http/handler` of WASI
    /// 0.3 or `wasi:http/incoming-handler` of 0.2
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// Listen at this address: HOST:PORT, `unix:PATH`, or `systemd` for the sockets that the
    /// process was given [default: those, or else 127.0.0.1:8080]
    ///
    /// Port 0 is any that is free. The file of a Unix socket is removed at the end, and one that a
    /// dead server has left is replaced. `systemd` means what `LISTEN_FDS` says, `systemd:NAME`
    /// only the sockets of that name (`FileDescriptorName=`).
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = OsStringValueParser::new().try_map(Address::parse)
    )]
    pub(super) addr: Option<Address>,
    /// Serve another component when the file changes, or the certificate does; SIGHUP does so too
    ///
    /// What has begun ends with the old one, and what cannot be loaded leaves it in place.
    #[arg(long)]
    pub(super) watch: bool,
    /// Let an instance serve so many requests before a new one takes its place
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) reuse: u32,
    /// Let an instance serve so many requests at once; for components of WASI 0.3
    ///
    /// Needs --reuse, which says how many it serves in all. A request that traps ends the instance,
    /// and with it the others; so does one whose time is over, if its code goes on. An instance of
    /// WASI 0.2 serves one request at a time.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "reuse",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) concurrency: u32,
    /// Serve so many requests at once; others wait
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..100_000))]
    pub(super) max_in_flight: u32,
    /// End when so many requests have been served
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_requests: Option<u64>,
    /// Close connections whose client takes longer than this for the head of a request
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(super) header_timeout: Timeout,
    /// Serve with TLS, with the certificates of this PEM file, the server's own one first
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// The private key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Answer `/healthz` and `/metrics` (Prometheus) at this address; `systemd` is
    /// `systemd:metrics`
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = OsStringValueParser::new().try_map(Address::parse)
    )]
    pub(super) metrics_addr: Option<Address>,
    /// Print a line for each request, on standard error
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(super) log: Option<LogFormat>,
    /// Let guests send no requests [default: to all, or whom --allow-net names]
    #[arg(long, conflicts_with_all = ["allow_net", "inherit_network"])]
    no_outgoing: bool,
    #[command(flatten)]
    pub(super) granted: Granted,
}

/// How requests are logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl ServeArguments {
    /// The file.
    pub fn input(&self) -> &Path {
        &self.input
    }

    /// Whether the component comes from standard input, which cannot be read again.
    pub(super) fn is_standard_input(&self) -> bool {
        self.input == Path::new("-")
    }

    /// Whom guests may send requests to: as `run` says it, but all where nothing is said.
    pub(super) fn destinations(&self) -> Destinations {
        match self.no_outgoing {
            true => Destinations::none(),
            false => {
                let said = self.granted.reach().destinations();
                said.unwrap_or_else(Destinations::any)
            }
        }
    }

    /// What guests may do with the network, for people.
    pub(super) fn network(&self) -> String {
        let what = match self.granted.reach() {
            Reach::Unsaid => "outgoing requests",
            Reach::Everything | Reach::Only(_) => "outgoing requests and sockets",
        };
        format!("{what}: {}", self.destinations())
    }
}
