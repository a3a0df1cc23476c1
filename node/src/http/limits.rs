//! What one client may cost a node.
//!
//! *Invariants*: every limit has its reason; none needs a clock of the client's.
//!
//! *Not here*: enforcing them (`connections`, `pace`, `rate`, `serve`).

use std::time::Duration;

/// Connections at once on one listener: each takes a few kilobytes while it is idle, so that all
/// of them take less than one scene does.
pub(super) const CONNECTIONS_MAX: usize = 1_024;
/// Connections at once from one address: browsers open six, an ingest with 64 jobs as many; a
/// proxy in front multiplexes.
pub(super) const PER_ADDRESS_MAX: usize = 256;
/// Longest that the head of a request may take, from the first byte or the end of the last
/// request on; so long an idle connection is kept, too. Below the ten seconds of S3, above the
/// five that our client keeps one for.
pub(super) const HEAD_LIMIT: Duration = Duration::from_secs(8);
/// Longest that a TLS handshake may take: four flights over the worst of lines.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(8);
/// Greatest head of a request: a query string with a hundred geocodes takes a kilobyte.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
/// Most header lines: browsers send twenty.
pub(super) const HEADERS_MAX: usize = 64;
/// In how long a client must send or take `PACE_BYTES_MIN` when the node waits for it.
pub(super) const PACE_WINDOW: Duration = Duration::from_secs(8);
/// Half a kilobyte a second: a tenth of the slowest modem, hundreds of times a slow-loris.
pub(super) const PACE_BYTES_MIN: u64 = 4 << 10;
/// Requests a second of one token: more than an fsyncing disk can acknowledge puts.
pub(super) const REQUESTS_PER_SECOND: f64 = 500.0;
/// Requests that one token may make at once before they are spread out.
pub(super) const REQUESTS_BURST: f64 = 1_000.0;
/// Longest that a request waits for its turn; one that would wait longer is refused.
pub(super) const TURN_LIMIT: Duration = Duration::from_secs(2);
/// Wrong tokens a second from one address: a person who mistypes, not a program that guesses.
pub(super) const FAILURES_PER_SECOND: f64 = 1.0;
/// Wrong tokens in a row from one address before they are not even looked at.
pub(super) const FAILURES_BURST: f64 = 20.0;
/// Tokens and addresses whose rates are known at once; beyond it, those at rest are forgotten.
pub(super) const RATES_MAX: usize = 8_192;
/// Pause after the system had no descriptor for another connection.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time that requests in flight have to end when the node stops.
pub(super) const DRAIN: Duration = Duration::from_secs(5);
