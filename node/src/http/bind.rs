//! Listening on TCP and on the store's unix socket.
//!
//! *Invariants*: what other machines can reach demands tokens; the socket can be entered by its
//! user only.
//!
//! *Not here*: serving (`serve`), the endpoints.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;
use wire::fault::{Fault, FaultKind};

/// An address that is none (RFC 5737): whoever would send there leaves by the usual way.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// A listener.
pub(crate) enum Listening {
    /// The socket of a store.
    Unix(UnixListener),
    /// TCP, with TLS or without.
    Tcp(TcpListener, Option<TlsAcceptor>),
}

/// A bound TCP listener with its address.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The listener.
    pub(crate) listener: TcpListener,
    /// Where it listens: the port that was given, or the one the system chose for 0.
    pub(crate) address: SocketAddr,
}

/// Listens on TCP; refuses a port in use.
pub(crate) async fn bind_tcp(address: SocketAddr) -> Result<Bound, Fault> {
    let refused = |e: std::io::Error| {
        let what = format!("cannot listen on {address}");
        Fault::new(FaultKind::Refused, what)
            .because(e.to_string())
            .try_("--http with another port, or 0 for a free one")
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Bound { listener, address })
}

/// Listens on a unix socket in the place of one that nobody serves any more; the caller holds the
/// lock of its folder.
pub(crate) fn bind_unix(path: &Path) -> Result<UnixListener, Fault> {
    let refused = |e: std::io::Error| {
        Fault::new(FaultKind::Refused, "cannot listen on the store's socket")
            .because(e.to_string())
            .try_("--data with a shorter path on a local file system")
    };
    if path.exists() {
        fs::remove_file(path).map_err(refused)?;
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(listener)
}

/// Returns `HOST:PORT` by which others reach what listens on an address: the name that was given,
/// else the address itself, or this machine's where it listens on all.
pub(crate) fn reachable(bound: SocketAddr, advertise: Option<&str>) -> String {
    match advertise {
        Some(name) if name.parse::<SocketAddr>().is_ok() => name.to_owned(),
        Some(name) => match name.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, bound.port()).to_string(),
            Err(_) if name.contains(':') => name.to_owned(),
            Err(_) => format!("{name}:{}", bound.port()),
        },
        None if bound.ip().is_unspecified() => {
            SocketAddr::new(own_address(), bound.port()).to_string()
        }
        None => bound.to_string(),
    }
}

/// Returns the host of a name that was given: a port with it is that of another listener.
pub(crate) fn host(advertise: &str) -> String {
    if let Ok(address) = advertise.parse::<SocketAddr>() {
        return address.ip().to_string();
    }
    if advertise.parse::<IpAddr>().is_ok() {
        return advertise.to_owned();
    }
    let (host, _) = advertise.split_once(':').unwrap_or((advertise, ""));
    host.to_owned()
}

/// Returns the address by which this machine speaks to others; nothing is sent.
fn own_address() -> IpAddr {
    let way_out = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(ELSEWHERE)?;
        Ok(socket.local_addr()?.ip())
    };
    way_out().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_told_is_what_was_given_or_where_it_listens() {
        let check = |bound: &str, advertise: Option<&str>, told: &str| {
            assert_eq!(reachable(bound.parse().unwrap(), advertise), told);
        };
        check("127.0.0.1:80", None, "127.0.0.1:80");
        check("0.0.0.0:80", Some("lab3"), "lab3:80");
        check("0.0.0.0:80", Some("10.0.0.7"), "10.0.0.7:80");
        check("[::]:80", Some("fe80::1"), "[fe80::1]:80");
        check("0.0.0.0:80", Some("lab3:8080"), "lab3:8080");
        for (advertise, told) in [
            ("lab3", "lab3"),
            ("lab3:8080", "lab3"),
            ("10.0.0.7:1", "10.0.0.7"),
            ("fe80::1", "fe80::1"),
            ("[fe80::1]:1", "fe80::1"),
        ] {
            assert_eq!(host(advertise), told);
        }
        let own = reachable("0.0.0.0:80".parse().unwrap(), None);
        assert!(!own.starts_with("0.0.0.0") && own.ends_with(":80"), "{own}");
    }
}
