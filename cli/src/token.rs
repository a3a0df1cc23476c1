//! `glebe cluster token`: what lets nodes into the cluster, and clients ask it.
//!
//! *Invariants*: a token is written once, to stdout or to a file that only its user can read, and
//! to nothing else.
//!
//! *Not here*: what a token is and where it is kept (node).

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use node::issuer::Issuer;
use wire::access::{Purpose, TokenMade, TokenRequest, TokenState, Tokens};
use wire::client::Client;
use wire::fault::{Fault, FaultKind};

use crate::Done;
use crate::args::{TokenArgs, TokenVerb};
use crate::config::DEFAULT;
use crate::print::{Align, Table, line};
use crate::session::Session;

/// Who gives tokens out.
enum Source {
    Folder(Issuer),
    Cluster(Client),
}

impl Source {
    /// Returns the node of `--data`, or the one of `--cluster` where no folder was named.
    async fn of(session: &Session) -> Result<Self, Fault> {
        let settings = &session.settings;
        if settings.cluster.value.is_some() && settings.data.origin == DEFAULT {
            return Ok(Self::Cluster(session.client().await?));
        }
        Issuer::open(&settings.data.value).map(Self::Folder)
    }

    async fn make(&self, request: &TokenRequest) -> Result<TokenMade, Fault> {
        match self {
            Self::Folder(issuer) => issuer.make(request).await,
            Self::Cluster(client) => client.make_token(request).await,
        }
    }

    async fn tokens(&self) -> Result<Tokens, Fault> {
        match self {
            Self::Folder(issuer) => issuer.tokens().await,
            Self::Cluster(client) => client.tokens().await,
        }
    }

    async fn revoke(&self, id: &str) -> Result<(), Fault> {
        match self {
            Self::Folder(issuer) => issuer.revoke(id).await,
            Self::Cluster(client) => client.revoke_token(id).await,
        }
    }
}

pub(crate) async fn run(session: &Session, args: TokenArgs) -> Done {
    let source = Source::of(session).await?;
    match &args.verb {
        None => make(session, &source, &args).await,
        Some(TokenVerb::List) => {
            list(session, &source.tokens().await?);
            Ok(ExitCode::SUCCESS)
        }
        Some(TokenVerb::Revoke { id }) => {
            source.revoke(id).await?;
            session
                .screen
                .note(format!("token {id} is revoked; no node takes it any more"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn make(session: &Session, source: &Source, args: &TokenArgs) -> Done {
    let request = TokenRequest {
        purpose: args
            .role
            .map_or(Purpose::Join, |role| Purpose::Ask(role.into())),
        label: args.label.clone(),
        lifetime: args.lifetime.map(|d| d.as_secs()),
    };
    // Before the token is made: one that cannot be written is one too many.
    let file = args.out.as_deref().map(private).transpose()?;
    let made = source.make(&request).await?;
    match (file, &args.out) {
        (Some(mut file), Some(path)) => {
            writeln!(file, "{}", made.token).map_err(|e| unwritten(path, &e))?;
            session.screen.note(format!(
                "token {} ({}) is in {}",
                made.about.id,
                made.about.purpose,
                path.display()
            ));
        }
        _ if session.screen.is_json() => session.screen.json(&made),
        _ => line(&made.token),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a file that only its user can read; an older one is not replaced.
fn private(path: &Path) -> Result<std::fs::File, Fault> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|e| unwritten(path, &e))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        FaultKind::Refused,
        format!("the token cannot be written to {}", path.display()),
    )
    .because(error.to_string())
    .try_("-O with a name that is free")
}

fn list(session: &Session, tokens: &Tokens) {
    if tokens.tokens.is_empty() {
        session.screen.none("tokens", "glebe cluster token");
    }
    if session.screen.is_json() {
        session.screen.json(tokens);
        return;
    }
    let columns = ["ID", "FOR", "STATE", "MADE", "EXPIRES", "LABEL"].map(|c| (c, Align::Left));
    let mut table = Table::new(&columns);
    for token in &tokens.tokens {
        let state = match token.state {
            TokenState::Good => "good",
            TokenState::Expired => "expired",
            TokenState::Revoked => "revoked",
        };
        let expires = token.expires.map_or("never".to_owned(), |t| t.to_string());
        table.row([
            token.id.clone(),
            token.purpose.to_string(),
            state.to_owned(),
            token.made.to_string(),
            expires,
            token.label.clone().unwrap_or_default(),
        ]);
    }
    table.print();
}
