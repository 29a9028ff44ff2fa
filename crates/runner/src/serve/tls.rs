//! The certificate of `serve`: `--cert` and `--key`.

use crate::output::shown;
use crate::serve::arguments::ServeArguments;
use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What accepts connections with TLS, if there is a certificate.
///
/// # Errors
/// If the files cannot be read, or do not belong together.
pub(super) fn acceptor(arguments: &ServeArguments) -> Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&arguments.cert, &arguments.key) else {
        return Ok(None);
    };
    let name = |path: &Path| shown(&path.to_string_lossy());
    let what = || format!("--cert {}", name(certificate));
    let chain = CertificateDer::pem_file_iter(certificate).with_context(what)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(what)?;
    ensure!(
        !chain.is_empty(),
        "{}: there is no certificate in it",
        what()
    );
    let what = || format!("--key {}", name(key));
    let key = PrivateKeyDer::from_pem_file(key).with_context(what)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(what)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
