//! Fuzzes what nodes say to each other: questions, answers, and what strangers say to be let in.

#![no_main]

use node::peer::{JoinAnswer, JoinRequest, Request, Response, decode, encode};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What can be read is written as what reads back the same.
    if let Ok(request) = decode::<Request>(data) {
        let (lane, purpose) = (request.lane(), request.purpose());
        let again: Request = decode(&encode(&request)).expect("it was just written");
        assert_eq!((again.lane(), again.purpose()), (lane, purpose));
    }
    if let Ok(response) = decode::<Response>(data) {
        let again: Result<Response, _> = decode(&encode(&response));
        assert!(again.is_ok());
    }
    if let Ok(request) = decode::<JoinRequest>(data) {
        assert_eq!(decode(&encode(&request)), Ok(request));
    }
    if let Ok(answer) = decode::<JoinAnswer>(data) {
        let again: Result<JoinAnswer, _> = decode(&encode(&answer));
        assert!(again.is_ok());
    }
});
