//! Tokens as they are asked for and told of.

use jiff::Timestamp;
use wire::access::{Purpose, Role, TokenMade, TokenRequest, TokenState, TokenView, Tokens};

use crate::check::check;

fn about() -> TokenView {
    TokenView {
        id: "0011223344556677".to_owned(),
        purpose: Purpose::Ask(Role::Read),
        label: Some("ann".to_owned()),
        made_by: "12D3KooWa".to_owned(),
        made: Timestamp::UNIX_EPOCH,
        expires: Some(Timestamp::MAX),
        state: TokenState::Good,
    }
}

#[test]
fn what_is_asked_for() {
    let request = TokenRequest {
        purpose: Purpose::Ask(Role::Write),
        label: Some("lab".to_owned()),
        lifetime: Some(86_400),
    };
    check("token_request", &request);
}

#[test]
fn what_is_told_of_tokens() {
    let joining = TokenView {
        purpose: Purpose::Join,
        label: None,
        expires: None,
        state: TokenState::Revoked,
        ..about()
    };
    let made = TokenMade {
        token: "glebekey1_00".to_owned(),
        about: about(),
    };
    check("token_made", &made);
    let tokens = vec![about(), joining];
    check("tokens", &Tokens { tokens });
}
