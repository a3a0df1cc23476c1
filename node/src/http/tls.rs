//! TLS by certificate files.
//!
//! *Invariants*: a key that others on this machine may read is refused, not used; TLS 1.2 and 1.3
//! with the safe choices of rustls; no error names what a file holds.
//!
//! *Not here*: handshakes (`serve`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use wire::fault::{Fault, FaultKind};

use crate::identity::check_private;

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that sign it, PEM, its own first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Prepares to speak TLS.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Fault> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unusable(&files.certificate, &e))?;
    if chain.is_empty() {
        let nothing = "nothing in it begins with BEGIN CERTIFICATE";
        return Err(unusable(&files.certificate, &nothing));
    }
    check_private(&files.key).map_err(|e| {
        let step = format!(
            "chmod 600 {}, if nobody has read it; else a new key",
            files.key.display()
        );
        unusable(&files.key, &e).try_(step)
    })?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unusable(&files.key, &e))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&files.certificate, &e))?;
    let config = builder
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| unusable(&files.certificate, &e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Fault {
    let what = format!("{} cannot be used for TLS", path.display());
    Fault::new(FaultKind::Refused, what)
        .because(why.to_string())
        .try_("glebe up --tls-cert CHAIN.pem --tls-key KEY.pem")
}
