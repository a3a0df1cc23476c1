//! The node a verb talks to: a cluster's, or the embedded store's.
//!
//! *Invariants*: both are the same HTTP client; the embedded store is opened at the first use and
//! let go at the end; only verbs that put something begin one where none is, and what they only try
//! leaves none.
//!
//! *Not here*: what is asked.

mod lend;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use node::embedded::Embedded;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;
use wire::client::{CA_VARIABLE, Client, ClientOptions, read_token};
use wire::fault::{Fault, FaultKind};

use crate::args::{CollectionVerb, Ingest, Verb};
use crate::config::{DEFAULT, Settings};
use crate::print::Screen;

/// What a verb does where the folder holds no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It begins one.
    Begun,
    /// It only says what it would do: it is given an empty one that goes with the command.
    Tried,
    /// It says so: a name that was typed wrong is no empty store.
    Refused,
}

impl Missing {
    /// Returns what a verb does.
    pub(crate) fn by(verb: &Verb) -> Self {
        match verb {
            Verb::Ingest(Ingest { dry_run: true, .. }) => Self::Tried,
            Verb::Collection(CollectionVerb::Create(create)) if create.dry_run => Self::Tried,
            Verb::Up(_) | Verb::Ingest(_) | Verb::Collection(CollectionVerb::Create(_)) => {
                Self::Begun
            }
            _ => Self::Refused,
        }
    }
}

/// Settings, screen and the way to a node.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) screen: Screen,
    missing: Missing,
    client: OnceLock<Client>,
    embedded: OnceCell<tokio::sync::Mutex<Option<Embedded>>>,
    /// Where a store lies that goes with the command.
    passing: Mutex<Option<TempDir>>,
    /// What goes on, or is kept, when the command is stopped.
    parting: Mutex<Option<String>>,
}

impl Session {
    pub(crate) fn new(settings: Settings, screen: Screen, missing: Missing) -> Self {
        Self {
            settings,
            screen,
            missing,
            client: OnceLock::new(),
            embedded: OnceCell::new(),
            passing: Mutex::default(),
            parting: Mutex::default(),
        }
    }

    /// Has that said if the command is stopped from now on.
    pub(crate) fn part_with(&self, words: String) {
        *self.parting.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    /// Says what goes on without the command, or is kept.
    pub(crate) fn part(&self) {
        let words = self.parting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = &*words {
            self.screen.note(words);
        }
    }

    /// Tells whether this process is the only node: what it does ends with it.
    pub(crate) async fn is_alone(&self) -> bool {
        match self.embedded.get() {
            Some(cell) => cell.lock().await.as_ref().is_some_and(Embedded::is_holder),
            None => false,
        }
    }

    /// Returns a client of the cluster's node, or of the embedded store, which it opens.
    pub(crate) async fn client(&self) -> Result<Client, Fault> {
        if let Some(url) = &self.settings.cluster.value {
            return match self.client.get() {
                Some(client) => Ok(client.clone()),
                None => self.connect(url),
            };
        }
        let data = &self.settings.data.value;
        let cell = self
            .embedded
            .get_or_try_init(|| async {
                let opened = match self.check_there()? {
                    None => node::embedded::open(data).await?,
                    Some(passing) => node::embedded::open(&passing).await?,
                };
                Ok::<_, Fault>(tokio::sync::Mutex::new(Some(opened)))
            })
            .await?;
        let guard = cell.lock().await;
        let closed = || Fault::new(FaultKind::Internal, "the embedded store is closed");
        guard
            .as_ref()
            .map(|e| e.client().clone())
            .ok_or_else(closed)
    }

    /// Refuses a folder without a store, unless the verb begins one; returns another folder for one
    /// that only tries.
    fn check_there(&self) -> Result<Option<PathBuf>, Fault> {
        let data = &self.settings.data;
        if self.missing == Missing::Begun || node::embedded::is_there(&data.value) {
            return Ok(None);
        }
        if self.missing == Missing::Tried {
            return self.pass().map(Some);
        }
        let what = format!("there is no store in {}", data.value.display());
        // Who has stored nothing yet has found nothing; who named a folder has named a wrong one.
        let (kind, why) = if data.origin == DEFAULT {
            let begins = "the first ingest begins one, and nothing else";
            (FaultKind::Nothing, begins.to_owned())
        } else {
            (FaultKind::Usage, format!("{} names it", data.origin))
        };
        Err(Fault::new(kind, what)
            .because(why)
            .try_("glebe ingest PATH, --data with another folder, or --cluster URL"))
    }

    /// Makes a folder that goes with the command.
    fn pass(&self) -> Result<PathBuf, Fault> {
        let made = tempfile::Builder::new().prefix("glebe-").tempdir();
        let made = made.map_err(|e| {
            let folder = std::env::temp_dir();
            let what = format!("no folder can be made in {}", folder.display());
            Fault::new(FaultKind::Refused, what)
                .because(e.to_string())
                .try_("TMPDIR with a folder that can be written")
        })?;
        let path = made.path().to_path_buf();
        *self.passing.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(path)
    }

    fn connect(&self, url: &str) -> Result<Client, Fault> {
        let origin = &self.settings.cluster.origin;
        let options = self.options()?;
        let client =
            Client::new(url, options).map_err(|f| f.because(format!("set by {origin}")))?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Returns what the cluster is shown and how it is checked.
    fn options(&self) -> Result<ClientOptions, Fault> {
        let given = ClientOptions::from_env();
        let token = match &self.settings.token_file.value {
            Some(path) => Some(read_token(path)?),
            None => given?.token,
        };
        Ok(ClientOptions {
            timeout: None,
            token,
            ca: self.settings.ca.value.clone(),
        })
    }

    /// Lets a worker show the cluster what this process would; keep the file until it has started.
    pub(crate) fn lend(&self, command: &mut Command) -> Result<Option<File>, Fault> {
        if self.settings.cluster.value.is_none() {
            return Ok(None);
        }
        let options = self.options()?;
        if let Some(ca) = options.ca {
            command.env(CA_VARIABLE, ca);
        }
        let token = options.token.as_ref();
        token.map(|token| lend::lend(command, token)).transpose()
    }

    /// Returns the address that worker processes attach to.
    pub(crate) async fn address(&self) -> Result<String, Fault> {
        Ok(self.client().await?.address().to_string())
    }

    /// Lets go of the embedded store, if this process holds it.
    pub(crate) async fn close(&self) {
        if let Some(cell) = self.embedded.get()
            && let Some(embedded) = cell.lock().await.take()
        {
            embedded.close().await;
        }
        let passing = self.passing.lock();
        drop(passing.unwrap_or_else(PoisonError::into_inner).take());
    }
}
