//! HTTPS by certificate files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{ask_with, open_node, token};
use crate::harness::{expect, glebe, scratch, stderr, world};

/// Writes a certificate for this machine and its key.
pub(super) fn certificate(folder: &Path) -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.key_pair.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = |p: &Path| p.to_str().unwrap().to_owned();
    (text(&cert), text(&key))
}

#[test]
fn https_is_spoken_to_who_trusts_the_certificate_by_workers_too() {
    let folder = scratch();
    let folder = folder.path();
    let (cert, key) = certificate(folder);
    let node = open_node(folder, "node0", &["--tls-cert", &cert, "--tls-key", &key]);
    assert!(node.http.starts_with("https://"), "{}", node.http);
    let write = token(&node, folder, "write");
    let said = stderr(&expect(ask_with(&node, folder, &write).arg("status"), 5));
    assert!(
        said.contains("does not prove who it is") && said.contains("--ca"),
        "{said}"
    );
    let scenes = world(folder, 1, 1, 300);
    let mut ingest = ask_with(&node, folder, &write);
    expect(ingest.args(["--ca", &cert, "ingest"]).arg(&scenes), 0);
    let mut search = ask_with(&node, folder, &write);
    expect(
        search.env("GLEBE_CA", &cert).args(["search", "-o", "id"]),
        0,
    );
    let mut plain = glebe(folder);
    plain
        .arg("--cluster")
        .arg(node.http.replace("https:", "http:"));
    expect(plain.arg("--token-file").arg(&write).arg("status"), 3);
}

#[test]
fn a_key_that_others_may_read_is_refused_at_the_start() {
    let folder = scratch();
    let folder = folder.path();
    let (cert, key) = certificate(folder);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let mut up = glebe(folder);
    up.args(["up", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    up.args(["--tls-cert", &cert, "--tls-key", &key]);
    let said = stderr(&expect(&mut up, 5));
    assert!(
        said.contains("0644") && said.contains("chmod 600"),
        "{said}"
    );
    let mut half = glebe(folder);
    expect(half.args(["up", "--tls-cert", &cert]), 2);
}
