//! What a failed request becomes: a fault that says why and what to try.
//!
//! *Invariants*: a fault that the node sent is passed on unchanged; anything else names the
//! address.
//!
//! *Not here*: sending.

use std::error::Error;

use reqwest::StatusCode;

use super::address::Address;
use crate::fault::{Fault, FaultKind};

/// Most characters of a foreign error page that are shown.
const EXCERPT_CHARS: usize = 120;

/// Returns what a request that got no whole answer became.
pub(super) fn transport(error: &reqwest::Error, address: &Address) -> Fault {
    if error.is_timeout() && !error.is_connect() {
        return Fault::new(
            FaultKind::Timeout,
            format!("{address} did not answer in time"),
        )
        .because(root_cause(error))
        .try_("--timeout with a longer time");
    }
    if error.is_builder() {
        return Fault::new(FaultKind::Usage, "the request cannot be built")
            .because(root_cause(error));
    }
    if let Some(reason) = distrusted(error) {
        return Fault::new(
            FaultKind::Refused,
            format!("{address} does not prove who it is"),
        )
        .because(reason)
        .try_("--ca FILE with the certificate that signed the node's");
    }
    if error.is_connect() {
        return Fault::new(
            FaultKind::Unreachable,
            format!("no node answers at {address}"),
        )
        .because(root_cause(error))
        .try_(match address {
            Address::Tcp(_) => "glebe up, or --cluster with another node's address",
            Address::Unix(_) => "the command again: its holder has just ended",
        });
    }
    cut_off(address, &root_cause(error))
}

/// Returns the fault of an answer that ended before its end.
pub(super) fn cut_off(address: &Address, reason: &str) -> Fault {
    Fault::new(
        FaultKind::Unreachable,
        format!("the answer of {address} was cut off"),
    )
    .because(reason)
    .try_("the command again, or another node")
}

/// Returns the fault of an answer that makes no sense.
pub(super) fn garbled(address: &Address, error: &dyn Error) -> Fault {
    let mut fault = Fault::new(
        FaultKind::Internal,
        format!("{address} answered something else than a glebe node of this version does"),
    );
    let mut cause = Some(error);
    while let Some(error) = cause {
        fault = fault.because(error.to_string());
        cause = error.source();
    }
    fault
}

/// Returns the fault that an unsuccessful answer carries, or one made from its status.
pub(super) fn refused(status: StatusCode, body: &[u8], address: &Address) -> Fault {
    if let Ok(fault) = serde_json::from_slice::<Fault>(body) {
        return fault;
    }
    let text = String::from_utf8_lossy(body);
    let excerpt: String = text.trim().chars().take(EXCERPT_CHARS).collect();
    let fault = Fault::new(kind(status), format!("{address} answered {status}"));
    if excerpt.is_empty() {
        fault
    } else {
        fault.because(excerpt)
    }
}

/// Returns the kind that a status means when the body does not say.
fn kind(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        404 => FaultKind::Nothing,
        401 => FaultKind::Unidentified,
        403 => FaultKind::Forbidden,
        429 => FaultKind::Busy,
        409 | 507 => FaultKind::Refused,
        408 | 504 => FaultKind::Timeout,
        502 => FaultKind::Unreachable,
        503 => FaultKind::Partial,
        422 => FaultKind::Data,
        400..=499 => FaultKind::Usage,
        _ => FaultKind::Internal,
    }
}

/// Returns why TLS did not come about, if that is what failed.
fn distrusted(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.to_string());
        }
        // An error of the system shows its own source, not what it was made from.
        cause = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Returns the innermost reason of an error, which names the system's own error.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
