//! Who may ask what: the door of every endpoint.
//!
//! | where | who may ask |
//! |---|---|
//! | the store's socket | its user: the file's mode says who that is |
//! | TCP on the loopback | whoever is on the machine, but no web page of elsewhere |
//! | TCP elsewhere, or `--require-tokens` | whoever shows a token of the role |
//!
//! *Invariants*: a token is looked at before anything else of a request; why one is not taken is
//! logged, and told only to who shows one that was good.
//!
//! *Not here*: which endpoint takes which role (`http`), tokens (`access`).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::time::Instant;
use wire::access::Role;
use wire::fault::{Fault, FaultKind};

use super::limits::{
    FAILURES_BURST, FAILURES_PER_SECOND, RATES_MAX, REQUESTS_BURST, REQUESTS_PER_SECOND, TURN_LIMIT,
};
use super::rate::Rates;
use super::reply::Failed;
use crate::access::{GrantId, Keyring, Stranger};
use crate::refusals::{Refusals, Refused};

/// What to try without a token.
const TOKEN_ADVICE: &str = "--token-file FILE (or GLEBE_TOKEN_FILE) with a token of this cluster: \
                            glebe cluster token --role read";

/// Who may pass.
#[derive(Debug)]
pub(crate) enum Demand {
    /// Everybody: the system has seen to it.
    Nothing,
    /// Everybody on this machine, but no web page of elsewhere.
    Here,
    /// Who shows a token.
    Token(Arc<Keyring>),
}

/// What an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it tells that a node lives, and no more.
    Nothing,
    /// A token of this role or a greater one.
    Role(Role),
}

/// The address that a request came from, as far as limits tell addresses apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Caller(pub(super) Option<IpAddr>);

/// Lets requests pass or not.
#[derive(Debug)]
pub(crate) struct Access {
    demand: Demand,
    refusals: Arc<Refusals>,
    requests: Mutex<Rates<GrantId>>,
    failures: Mutex<Rates<Caller>>,
    started: Instant,
}

/// The door of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) access: Arc<Access>,
    pub(super) need: Need,
}

impl Caller {
    /// Returns what limits count: an address; of IPv6 the 64 bits that one customer has.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(Some(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(six) => match six.to_ipv4_mapped() {
                Some(four) => four.into(),
                None => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
            },
        }))
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("the socket"),
        }
    }
}

/// Middleware of every endpoint.
pub(super) async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let wait = match door.admit(&request) {
        Ok(wait) => wait,
        Err(fault) => return Failed::from(fault).into_response(),
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    next.run(request).await
}

impl Door {
    /// Returns how long a request must wait before it passes.
    pub(super) fn admit(&self, request: &Request) -> Result<Duration, Fault> {
        let from = request.extensions().get::<Caller>().copied();
        let from = from.unwrap_or(Caller(None));
        self.access.admit(self.need, request.headers(), from)
    }
}

impl Access {
    /// Returns what lets pass whoever meets a demand.
    pub(crate) fn new(demand: Demand, refusals: Arc<Refusals>) -> Self {
        let requests = (REQUESTS_PER_SECOND, REQUESTS_BURST);
        let failures = (FAILURES_PER_SECOND, FAILURES_BURST);
        Self {
            demand,
            refusals,
            requests: Mutex::new(Rates::new(requests, TURN_LIMIT, RATES_MAX)),
            failures: Mutex::new(Rates::new(failures, Duration::ZERO, RATES_MAX)),
            started: Instant::now(),
        }
    }

    /// Returns how long a request must wait before it passes.
    fn admit(&self, need: Need, headers: &HeaderMap, from: Caller) -> Result<Duration, Fault> {
        match (&self.demand, need) {
            (Demand::Nothing, _) | (Demand::Token(_), Need::Nothing) => Ok(Duration::ZERO),
            (Demand::Here, _) => self.asks_here(headers, from),
            (Demand::Token(keyring), Need::Role(role)) => self.shows(keyring, role, headers, from),
        }
    }

    fn shows(
        &self,
        keyring: &Keyring,
        role: Role,
        headers: &HeaderMap,
        from: Caller,
    ) -> Result<Duration, Fault> {
        let now = self.started.elapsed();
        let failures = |f: &mut dyn FnMut(&mut Rates<Caller>) -> bool| {
            f(&mut self.failures.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if !failures(&mut |rates| rates.has(&from, now)) {
            return Err(self.refuse(Refused::Rate, from, busy("too many wrong tokens")));
        }
        let checked = match bearer(headers) {
            Some(text) => keyring.check(text, Timestamp::now()),
            None => return Err(self.refuse(Refused::Token, from, no_token())),
        };
        let admitted = checked.map_err(|why| {
            failures(&mut |rates| rates.take(&from, now).is_some());
            self.refuse(Refused::Token, from, stranger(why))
        })?;
        if admitted.role < role {
            let fault = too_small(admitted.role, role);
            return Err(self.refuse(Refused::Role, from, fault));
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = requests.take(&admitted.id, now);
        drop(requests);
        turn.ok_or_else(|| self.refuse(Refused::Rate, from, busy("too many requests")))
    }

    /// Refuses what a web page of elsewhere has a browser on this machine ask.
    fn asks_here(&self, headers: &HeaderMap, from: Caller) -> Result<Duration, Fault> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
        let host = text(header::HOST);
        let reason = match (host, text(header::ORIGIN)) {
            (Some(host), _) if !is_here(host) => {
                format!("it asks for the host '{}'", host.escape_debug())
            }
            (host, Some(origin)) if origin.split_once("://").map(|(_, o)| o) != host => {
                format!("a page of '{}' asks", origin.escape_debug())
            }
            _ => return Ok(Duration::ZERO),
        };
        let fault = Fault::new(
            FaultKind::Forbidden,
            "this node answers no page of elsewhere",
        )
        .because(reason)
        .try_("http://127.0.0.1:PORT, or glebe up --require-tokens");
        Err(self.refuse(Refused::Origin, from, fault))
    }

    fn refuse(&self, why: Refused, from: Caller, fault: Fault) -> Fault {
        let reason = fault.because.first().unwrap_or(&fault.what);
        self.refusals.note(why, &from, reason);
        fault
    }
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Tells whether a host name means this machine whoever resolves it.
fn is_here(host: &str) -> bool {
    let uri = host.parse::<Uri>().ok();
    let name = uri.as_ref().and_then(Uri::host).unwrap_or(host);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let local = name.eq_ignore_ascii_case("localhost");
    local || name.parse::<IpAddr>().is_ok()
}

fn no_token() -> Fault {
    Fault::new(FaultKind::Unidentified, "this node demands a token")
        .because("the request shows none")
        .try_(TOKEN_ADVICE)
}

fn stranger(why: Stranger) -> Fault {
    Fault::new(FaultKind::Unidentified, "this node does not take the token")
        .because(why.to_string())
        .try_(TOKEN_ADVICE)
}

fn too_small(role: Role, needed: Role) -> Fault {
    Fault::new(
        FaultKind::Forbidden,
        format!("this takes a token with the role {needed}"),
    )
    .because(format!("the token has the role {role}"))
    .try_(format!("glebe cluster token --role {needed}, by who may"))
}

fn busy(what: &str) -> Fault {
    Fault::new(FaultKind::Busy, what)
        .because("one token, or one address without a good one, has a rate it may ask at")
        .try_("the same again in a few seconds")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn access(demand: Demand) -> Access {
        Access::new(demand, Arc::default())
    }

    const SOMEBODY: Caller = Caller(None);

    #[test]
    fn the_loopback_answers_who_is_there_and_no_page_of_elsewhere() {
        let access = access(Demand::Here);
        let may = |pairs: &[(header::HeaderName, &str)]| {
            let need = Need::Role(Role::Admin);
            access.admit(need, &headers(pairs), SOMEBODY).is_ok()
        };
        assert!(may(&[]));
        for host in ["127.0.0.1:7480", "localhost:80", "[::1]:7480", "10.0.0.7"] {
            assert!(may(&[(header::HOST, host)]), "{host}");
            let origin = format!("http://{host}");
            assert!(
                may(&[(header::HOST, host), (header::ORIGIN, &origin)]),
                "{host}"
            );
        }
        assert!(!may(&[(header::HOST, "evil.example:7480")]), "rebound");
        let page = (header::ORIGIN, "https://evil.example");
        assert!(
            !may(&[(header::HOST, "localhost:7480"), page]),
            "cross-site"
        );
        assert!(!may(&[
            (header::HOST, "localhost"),
            (header::ORIGIN, "null")
        ]));
        assert_eq!(access.refusals.count(Refused::Origin), 3);
    }

    #[test]
    fn without_a_good_token_nothing_passes_but_signs_of_life() {
        let access = access(Demand::Token(Arc::new(Keyring::none())));
        let need = Need::Role(Role::Read);
        let kind = |pairs: &[(header::HeaderName, &str)]| {
            let fault = access.admit(need, &headers(pairs), SOMEBODY).unwrap_err();
            assert!(!fault.because.is_empty() && fault.try_.is_some());
            fault.kind
        };
        assert_eq!(kind(&[]), FaultKind::Unidentified);
        for text in [
            "Bearer x",
            "bearer glebekey1_00",
            "Basic eDp5",
            "Bearer",
            "",
        ] {
            assert_eq!(
                kind(&[(header::AUTHORIZATION, text)]),
                FaultKind::Unidentified
            );
        }
        assert!(access.admit(Need::Nothing, &headers(&[]), SOMEBODY).is_ok());
        for _ in 0..20 {
            kind(&[(header::AUTHORIZATION, "Bearer guess")]);
        }
        assert_eq!(
            kind(&[(header::AUTHORIZATION, "Bearer guess")]),
            FaultKind::Busy
        );
        let other = Caller::of("10.0.0.1".parse().unwrap());
        let fault = access.admit(need, &headers(&[]), other).unwrap_err();
        assert_eq!(
            fault.kind,
            FaultKind::Unidentified,
            "others are still looked at"
        );
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let of = |text: &str| Caller::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
