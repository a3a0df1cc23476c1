//! A server of one connection at a time that keeps what it was asked.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use wire::client::{Client, ClientOptions};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Method and target: `GET /v1/status`.
    pub(crate) line: String,
    /// All header lines.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// What was asked so far.
pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

/// A server with a client of it.
pub(crate) struct Served {
    pub(crate) client: Client,
    log: Log,
}

impl Served {
    /// Returns the last request.
    pub(crate) fn asked(&self) -> Asked {
        let log = self.log.lock().expect("no test panics with the log held");
        log.last().cloned().unwrap_or_default()
    }
}

/// Returns a whole answer of that status and body.
pub(crate) fn answer(status: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Serves that answer to everyone over TCP.
pub(crate) async fn serve(bytes: Vec<u8>) -> Served {
    let (pieces, received) = mpsc::channel(1);
    drop(pieces);
    serve_slowly(bytes, received).await
}

/// Serves bytes to the first who asks, then further ones as they are told, then hangs up.
pub(crate) async fn serve_slowly(bytes: Vec<u8>, mut more: mpsc::Receiver<Vec<u8>>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has one");
    let log = Log::default();
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            respond(&mut stream, &bytes, &kept).await;
            while let Some(piece) = more.recv().await {
                stream.write_all(&piece).await.ok();
            }
        }
    });
    let client = Client::new(&format!("http://{address}"), ClientOptions::default());
    Served {
        client: client.expect("an address"),
        log,
    }
}

/// Serves that answer to everyone over a unix socket.
pub(crate) async fn serve_unix(path: &Path, bytes: Vec<u8>, options: ClientOptions) -> Served {
    let listener = UnixListener::bind(path).expect("a free path");
    let log = Log::default();
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            respond(&mut stream, &bytes, &kept).await;
        }
    });
    let client = Client::new(&format!("unix:{}", path.display()), options);
    Served {
        client: client.expect("an address"),
        log,
    }
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], log: &Log) {
    if let Some(asked) = read(stream).await {
        log.lock()
            .expect("no test panics with the log held")
            .push(asked);
        stream.write_all(bytes).await.ok();
        stream.flush().await.ok();
    }
}

/// Reads a request whose body, if any, has a stated length.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec())
        .ok()?
        .to_lowercase();
    let mut body = bytes.split_off(end + 4);
    let stated = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = stated.and_then(|text| text.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let exact = String::from_utf8(bytes[..line.len()].to_vec()).ok()?;
    Some(Asked {
        line: exact.trim_end_matches(" HTTP/1.1").to_owned(),
        headers: headers.to_owned(),
        body,
    })
}
