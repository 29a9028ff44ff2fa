//! TLS: who shakes hands with a server and who does not, and certificates that are renewed.

use super::{command, program};
use crate::http::{Answer, Served, TIME};
use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

type Stream = StreamOwned<ClientConnection, TcpStream>;

pub fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/certificates")
}

/// A client that trusts one certificate.
pub fn client(trusted: &str, protocols: &[&str]) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pem = certificates().join(trusted).with_extension("pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem)?)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(config)
}

/// Shakes hands.
fn connect(served: &Served, config: ClientConfig, name: &str) -> Result<Stream> {
    let name = ServerName::try_from(name.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = served.connect()?;
    connection.complete_io(&mut stream)?;
    ensure!(
        !connection.is_handshaking(),
        "it is over before it has begun"
    );
    Ok(StreamOwned::new(connection, stream))
}

pub fn served(options: &[&str]) -> Result<Option<Served>> {
    let Some(program) = program("p3http") else {
        return Ok(None);
    };
    let mut command = command(options);
    for (option, file) in [("--cert", "first.pem"), ("--key", "first.key")] {
        command.arg(option).arg(certificates().join(file));
    }
    command.arg("--addr=127.0.0.1:0").arg(program);
    Served::start(command).map(Some)
}

#[test]
fn hands_are_shaken_with_those_who_trust() -> Result<()> {
    let Some(served) = served(&["--header-timeout=500ms"])? else {
        return Ok(());
    };
    assert!(
        served.first_line.contains(" on https://127.0.0.1:"),
        "{}",
        served.first_line
    );
    let get = |mut stream: Stream| -> Result<Answer> {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        Answer::read(&mut BufReader::new(stream), "GET")
    };
    // What is offered, and what both agree on.
    let cases: [(&[&str], Option<&[u8]>); 4] = [
        (&[], None),
        (&["http/1.1"], Some(b"http/1.1")),
        (&["h2", "http/1.1"], Some(b"h2")),
        (&["http/0.9", "http/1.1"], Some(b"http/1.1")),
    ];
    for (offered, agreed) in cases {
        for name in ["localhost", "127.0.0.1"] {
            let stream = connect(&served, client("first", offered)?, name)?;
            assert_eq!(stream.conn.alpn_protocol(), agreed, "{offered:?}");
            assert_eq!(
                stream.conn.protocol_version(),
                Some(ProtocolVersion::TLSv1_3)
            );
            if agreed != Some(b"h2") {
                assert_eq!(get(stream)?.text(), "hello from 0.3\n");
            }
        }
    }
    // The elder version too.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(
        certificates().join("first.pem"),
    )?)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert_eq!(get(connect(&served, config, "localhost")?)?.status, 200);

    let refused = |config: ClientConfig, name: &str| match connect(&served, config, name) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    let error = refused(client("second", &[])?, "localhost");
    assert!(error.contains("invalid peer certificate"), "{error}");
    let error = refused(client("first", &[])?, "example.com");
    assert!(error.contains("not valid for name"), "{error}");
    let error = refused(client("first", &["http/0.9"])?, "localhost");
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    // Who speaks without TLS, or not at all, is not heard; and the server goes on.
    let mut plain = served.connect()?;
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut silent = served.connect()?;
    let start = Instant::now();
    let _ = silent.read(&mut [0]);
    assert!(start.elapsed() < TIME / 2, "a handshake is waited for");
    assert_eq!(
        get(connect(&served, client("first", &[])?, "localhost")?)?.status,
        200
    );
    let (status, errors) = served.end()?;
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    Ok(())
}

/// A renewed certificate counts for the connections that begin then; one without its key for none.
#[test]
fn certificates_are_renewed() -> Result<()> {
    let Some(program) = program("p3http") else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let install = |file: &str, from: &str| -> Result<()> {
        let new = folder.path().join("new");
        std::fs::copy(certificates().join(from), &new)?;
        Ok(std::fs::rename(&new, folder.path().join(file))?)
    };
    install("cert.pem", "first.pem")?;
    install("key.pem", "first.key")?;
    let mut command = command(&["--watch", "--addr=127.0.0.1:0"]);
    command.arg("--cert").arg(folder.path().join("cert.pem"));
    command
        .arg("--key")
        .arg(folder.path().join("key.pem"))
        .arg(program);
    let served = Served::start(command)?;
    let asks = |stream: &mut Stream| -> Result<u16> {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
        Ok(Answer::read(&mut BufReader::new(stream), "GET")?.status)
    };
    let mut kept = connect(&served, client("first", &[])?, "localhost")?;
    assert_eq!(asks(&mut kept)?, 200);
    install("cert.pem", "second.pem")?;
    served.prints("goes on with what was there before: --key")?;
    assert!(connect(&served, client("first", &[])?, "localhost").is_ok());
    install("key.pem", "second.key")?;
    served.prints("reloaded ")?;
    let mut renewed = connect(&served, client("second", &[])?, "localhost")?;
    assert_eq!(asks(&mut renewed)?, 200);
    let error = connect(&served, client("first", &[])?, "localhost").err();
    error.context("the first one is gone")?;
    assert_eq!(asks(&mut kept)?, 200);
    Ok(())
}
