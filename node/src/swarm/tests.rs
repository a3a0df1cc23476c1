//! Two swarms on loopback, and what strangers get from one.

use std::io::{Read, Write};

use super::*;

const SOON: Duration = Duration::from_secs(10);

async fn node() -> (Listening, Identity) {
    let identity = Identity::generate();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let listening = listen(&identity, here).await.unwrap();
    (listening, identity)
}

/// Answers every question with what it was and which protocol it came by.
fn echo(mut inbound: mpsc::Receiver<Inbound>) {
    tokio::spawn(async move {
        while let Some(question) = inbound.recv().await {
            let mut frame = question.frame.to_vec();
            frame.push(u8::from(question.member));
            question.reply.send(frame).await;
        }
    });
}

#[tokio::test]
async fn members_ask_and_answer_chunks() {
    let (a, one) = node().await;
    let (b, two) = node().await;
    a.link.admit([two.node()]).await;
    b.link.admit([one.node()]).await;
    echo(b.inbound);
    let chunk = vec![7; CHUNK_BYTES_MAX];
    let answer = a
        .link
        .ask((&two.node(), b.address), chunk.clone(), Lane::Work, SOON)
        .await
        .unwrap();
    assert_eq!(answer.len(), chunk.len() + 1);
    assert_eq!(answer.last(), Some(&1));
}

#[tokio::test]
async fn many_questions_at_once_are_all_answered() {
    let (a, one) = node().await;
    let (b, two) = node().await;
    a.link.admit([two.node()]).await;
    b.link.admit([one.node()]).await;
    echo(b.inbound);
    let node = two.node();
    let ask = |i: u8| a.link.ask((&node, b.address), vec![i], Lane::Work, SOON);
    let answers = futures::future::join_all((0..200).map(ask)).await;
    for (i, answer) in (0..200).zip(answers) {
        assert_eq!(answer, Ok(vec![i, 1].into()));
    }
}

#[tokio::test]
async fn a_stranger_may_ask_to_join_and_nothing_else() {
    let (a, _) = node().await;
    let (b, two) = node().await;
    a.link.admit([two.node()]).await;
    echo(b.inbound);
    let refused = a
        .link
        .ask((&two.node(), b.address), vec![1], Lane::Work, SOON)
        .await;
    assert_eq!(refused, Err(LinkError::Refused));
    let reached = a.link.reach(b.address, SOON).await.unwrap();
    assert_eq!(reached.node, two.node());
    let answer = a.link.join(&reached, vec![1], SOON).await;
    assert_eq!(answer, Ok(vec![1, 0].into()));
    let large = vec![0; JOIN_FRAME_BYTES_MAX + 1];
    assert_eq!(
        a.link.join(&reached, large, SOON).await,
        Err(LinkError::Refused)
    );
}

#[tokio::test]
async fn a_question_above_the_limit_is_refused_before_it_is_sent() {
    let (a, one) = node().await;
    let (b, two) = node().await;
    a.link.admit([two.node()]).await;
    b.link.admit([one.node()]).await;
    echo(b.inbound);
    let frame = vec![0; FRAME_BYTES_MAX + 1];
    let refused = a
        .link
        .ask((&two.node(), b.address), frame, Lane::Work, SOON)
        .await;
    assert_eq!(refused, Err(LinkError::Refused));
    let answer = a
        .link
        .ask((&two.node(), b.address), vec![1], Lane::Work, SOON)
        .await;
    assert_eq!(answer, Ok(vec![1, 1].into()));
}

#[tokio::test]
async fn nobody_at_the_address_and_no_answer_are_told_apart() {
    let (a, _) = node().await;
    let (b, two) = node().await;
    let gone = b.address;
    b.link.stop().await;
    let short = Duration::from_millis(50);
    assert_eq!(a.link.reach(gone, SOON).await, Err(LinkError::Unreachable));
    let (c, three) = node().await;
    a.link.admit([two.node(), three.node()]).await;
    c.link.admit([a.link.me().clone()]).await;
    // Nobody takes the question out of `c.inbound`.
    let unanswered = a
        .link
        .ask((&three.node(), c.address), vec![1], Lane::Work, short)
        .await;
    assert_eq!(unanswered, Err(LinkError::Timeout));
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let (a, _) = node().await;
    let refused = listen(&Identity::generate(), a.address).await.unwrap_err();
    assert!(matches!(refused, ListenError::InUse { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_gets_no_application_byte_and_hurts_nobody() {
    let (a, one) = node().await;
    let (b, two) = node().await;
    let address = b.address;
    let spoken = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        socket
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        answer
    });
    let answer = spoken.await.unwrap();
    // Multistream-select offers Noise to anybody; beyond that there is nothing.
    assert!(answer.len() <= 64, "{} bytes", answer.len());
    a.link.admit([two.node()]).await;
    b.link.admit([one.node()]).await;
    echo(b.inbound);
    let answer = a
        .link
        .ask((&two.node(), b.address), vec![1], Lane::Work, SOON)
        .await;
    assert_eq!(answer, Ok(vec![1, 1].into()));
}
