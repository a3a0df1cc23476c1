//! What connects to an address: TCP, TLS over it, or a unix socket.
//!
//! *Invariants*: no proxy is asked, no redirect followed; a certificate is always checked, against
//! the named authorities alone or, where none is named, the system's; where no TLS is spoken none
//! is set up, so that a command starts in milliseconds.
//!
//! *Not here*: requests (`send`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::{Address, CONNECT_TIMEOUT, IDLE_TIMEOUT};
use crate::fault::{Fault, FaultKind};

/// Builds what connects to an address.
pub(super) fn connector(
    address: &Address,
    ca: Option<&Path>,
    silence: Option<Duration>,
) -> Result<reqwest::Client, Fault> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT);
    if let Some(silence) = silence {
        builder = builder.read_timeout(silence);
    }
    if let Address::Unix(path) = address {
        builder = builder.unix_socket(path.as_path());
    }
    builder = match (address.is_tls(), ca) {
        (true, None) => {
            // Err: another client of this process has installed the same one.
            drop(ring::default_provider().install_default());
            builder
        }
        (true, Some(path)) => builder.tls_backend_preconfigured(config(authorities(path)?)?),
        (false, _) => builder.tls_backend_preconfigured(config(RootCertStore::empty())?),
    };
    let trusts_system = address.is_tls() && ca.is_none();
    builder.build().map_err(|e| {
        let because = std::error::Error::source(&e).map_or(e.to_string(), ToString::to_string);
        if trusts_system {
            let what = "this system names no authority to trust";
            let fault = Fault::new(FaultKind::Refused, what).because(because);
            return fault.try_("--ca FILE with the certificate that signed the nodes'");
        }
        Fault::new(FaultKind::Internal, "no HTTP client can be built").because(because)
    })
}

fn config(roots: RootCertStore) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| {
        Fault::new(FaultKind::Internal, "TLS cannot be set up").because(e.to_string())
    })?;
    let config = builder.with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

/// Reads the certificates of a file.
fn authorities(path: &Path) -> Result<RootCertStore, Fault> {
    let fault = |why: String| {
        Fault::new(
            FaultKind::Usage,
            format!("{} holds no certificate", path.display()),
        )
        .because(why)
        .try_("--ca with a PEM file of the authority that signed the nodes' certificates")
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|e| fault(e.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|e| fault(e.to_string()))?;
        roots.add(certificate).map_err(|e| fault(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault(
            "nothing in it begins with BEGIN CERTIFICATE".to_owned(),
        ));
    }
    Ok(roots)
}
