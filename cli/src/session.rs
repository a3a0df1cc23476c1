//! The node a verb talks to: a cluster's, or the embedded store's.
//!
//! *Invariants*: both are the same HTTP client; the embedded store is opened at the first use and
//! let go at the end.
//!
//! *Not here*: what is asked.

mod lend;

use std::fs::File;
use std::sync::{Mutex, OnceLock, PoisonError};

use node::embedded::Embedded;
use tokio::process::Command;
use tokio::sync::OnceCell;
use wire::client::{CA_VARIABLE, Client, ClientOptions, read_token};
use wire::fault::{Fault, FaultKind};

use crate::config::Settings;
use crate::print::Screen;

/// Settings, screen and the way to a node.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) screen: Screen,
    client: OnceLock<Client>,
    embedded: OnceCell<tokio::sync::Mutex<Option<Embedded>>>,
    /// What goes on, or is kept, when the command is stopped.
    parting: Mutex<Option<String>>,
}

impl Session {
    pub(crate) fn new(settings: Settings, screen: Screen) -> Self {
        Self {
            settings,
            screen,
            client: OnceLock::new(),
            embedded: OnceCell::new(),
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
                let opened = node::embedded::open(data).await?;
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
    }
}
