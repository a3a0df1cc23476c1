//! Downloads that break off.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wire::client::{Client, ClientOptions, Rest};
use wire::params::ModelFileParams;

use super::*;

/// Bytes that are sent before a server dies.
const SENT: usize = 4_000;

fn weights() -> Vec<u8> {
    (0..10_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What a server sends to one question before it closes.
type Reply = (&'static str, Vec<u8>);

/// Starts a server that gives these answers, one a connection, and returns the questions at last.
async fn server(replies: Vec<Reply>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (head, body) in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(stream.read_u8().await.unwrap());
            }
            asked.push(String::from_utf8(question).unwrap().to_lowercase());
            let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        asked
    });
    (address, served)
}

async fn pull(address: SocketAddr, folder: &Path, blake3: &str) -> Result<u64, Fault> {
    let client = Client::new(&format!("http://{address}"), ClientOptions::default())?;
    let wanted = ModelFileParams {
        run: "july".to_owned(),
        geocode: "9xj5k".to_owned(),
        name: "model.pt".to_owned(),
    };
    let rest = |offset| client.model_file_rest(&wanted, Rest { offset, blake3 });
    file(rest, (folder, "model.pt"), blake3).await
}

fn names(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

const WHOLE: &str = "200 OK\r\ncontent-length: 40000";
const REST: &str = "206 Partial Content\r\ncontent-length: 36000\r\n\
                    content-range: bytes 4000-39999/40000";

/// A pull of large models over a poor line began each file anew until one came through at once.
#[tokio::test]
async fn a_download_goes_on_where_the_server_died() {
    let weights = weights();
    let hash = blake3::hash(&weights).to_hex().to_string();
    let (first, rest) = (weights[..SENT].to_vec(), weights[SENT..].to_vec());
    let (address, served) = server(vec![(WHOLE, first), (REST, rest)]).await;
    let dir = tempfile::tempdir().unwrap();
    let fault = pull(address, dir.path(), &hash).await.unwrap_err();
    let told = fault.because.join(" ");
    assert!(told.contains("of model.pt are here"), "{told}");
    assert!(!dir.path().join("model.pt").exists());
    assert_eq!(pull(address, dir.path(), &hash).await.unwrap(), 40_000);
    assert_eq!(std::fs::read(dir.path().join("model.pt")).unwrap(), weights);
    assert_eq!(names(dir.path()), 1, "nothing is left beside it");
    let asked = served.await.unwrap();
    assert!(!asked[0].contains("range"), "{asked:?}");
    assert!(asked[1].contains("\r\nrange: bytes=4000-\r\n"), "{asked:?}");
    let same = format!("\r\nif-range: \"{hash}\"\r\n");
    assert!(asked[1].contains(&same), "{asked:?}");
}

#[tokio::test]
async fn a_beginning_that_was_harmed_is_thrown_away_and_all_is_asked_for() {
    let weights = weights();
    let hash = blake3::hash(&weights).to_hex().to_string();
    let (first, rest) = (weights[..SENT].to_vec(), weights[SENT..].to_vec());
    let replies = vec![(WHOLE, first), (REST, rest), (WHOLE, weights.clone())];
    let (address, served) = server(replies).await;
    let dir = tempfile::tempdir().unwrap();
    pull(address, dir.path(), &hash).await.unwrap_err();
    let begun = std::fs::read_dir(dir.path()).unwrap().next().unwrap();
    std::fs::write(begun.unwrap().path(), vec![7; SENT]).unwrap();
    assert_eq!(pull(address, dir.path(), &hash).await.unwrap(), 40_000);
    assert_eq!(std::fs::read(dir.path().join("model.pt")).unwrap(), weights);
    let asked = served.await.unwrap();
    assert!(asked[1].contains("range: bytes=4000-"), "{asked:?}");
    assert!(!asked[2].contains("range"), "{asked:?}");
}

#[tokio::test]
async fn what_is_whole_and_wrong_is_refused_and_leaves_nothing() {
    let mut wrong = weights();
    let hash = blake3::hash(&wrong).to_hex().to_string();
    wrong[7] ^= 1;
    let (address, served) = server(vec![(WHOLE, wrong)]).await;
    let dir = tempfile::tempdir().unwrap();
    let fault = pull(address, dir.path(), &hash).await.unwrap_err();
    assert_eq!(fault.what, "model.pt is damaged");
    assert_eq!(names(dir.path()), 0);
    served.await.unwrap();
}

/// The last byte came, but the name did not: a server has nothing behind that position.
#[tokio::test]
async fn a_beginning_that_is_the_whole_is_asked_for_no_more() {
    let weights = weights();
    let hash = blake3::hash(&weights).to_hex().to_string();
    let dir = tempfile::tempdir().unwrap();
    let name = format!(".model.pt.{}.part", &hash[..HASH_SHOWN]);
    std::fs::write(dir.path().join(name), &weights).unwrap();
    let (address, served) = server(Vec::new()).await;
    assert_eq!(pull(address, dir.path(), &hash).await.unwrap(), 40_000);
    assert!(served.await.unwrap().is_empty());
    assert_eq!(names(dir.path()), 1);
}
