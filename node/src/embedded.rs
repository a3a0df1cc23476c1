//! A store without a cluster: the first process that opens it holds and serves it, others attach.
//!
//! *Invariants*: both get the same HTTP client on the same socket: one code path. The holder stays
//! until the processes attached to it are done; a process that finds it gone takes its place.
//!
//! *Not here*: a node in a cluster (`daemon`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use wire::client::{Client, ClientOptions};
use wire::fault::{Fault, FaultKind};

use crate::daemon::{self, SOCKET};
use crate::lock::{self, Holder, User};

/// Longest wait for another process that is just opening or leaving the store.
const OPEN_LIMIT: Duration = Duration::from_secs(20);
/// Pause between two looks at a store that is being opened or left.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The folder below a store's that holds what was put.
const OBJECTS: &str = "objects";

/// A client of an embedded store, and the store itself if this process holds it.
#[derive(Debug)]
pub struct Embedded {
    client: Client,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Holder(Box<daemon::Running>),
    Attached(User),
}

impl Embedded {
    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Tells whether this process holds the store.
    pub fn is_holder(&self) -> bool {
        matches!(self.role, Role::Holder(_))
    }

    /// Lets go of the store. A holder first waits until nobody is attached to it.
    pub async fn close(self) {
        match self.role {
            Role::Holder(running) => {
                while running.is_used() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                running.shutdown().await;
            }
            Role::Attached(user) => drop(user),
        }
    }
}

/// Tells whether a folder holds a store, open or not; makes nothing.
pub fn is_there(dir: &Path) -> bool {
    let is_locked = || lock::FILES.iter().all(|name| dir.join(name).is_file());
    dir.join(OBJECTS).is_dir() || is_locked()
}

/// Opens the store below `dir`: holds it, or attaches to the process that does.
pub async fn open(dir: &Path) -> Result<Embedded, Fault> {
    let deadline = Instant::now() + OPEN_LIMIT;
    loop {
        if let Some(holder) = Holder::take(dir)? {
            let running = daemon::embed(absolute(dir)?, holder).await?;
            let client = client(dir)?;
            let role = Role::Holder(Box::new(running));
            return Ok(Embedded { client, role });
        }
        if let Some(embedded) = attach(dir).await? {
            return Ok(embedded);
        }
        if Instant::now() > deadline {
            let what = format!("the store {} is held and does not answer", dir.display());
            return Err(Fault::new(FaultKind::Unreachable, what)
                .because("another process has opened it and does not serve it")
                .try_("end that process, or --data with another folder"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Attaches to the holder; `None` if it does not answer yet, or any more.
async fn attach(dir: &Path) -> Result<Option<Embedded>, Fault> {
    let Some(user) = User::attach(dir)? else {
        return Ok(None);
    };
    let client = client(dir)?;
    if client.healthy().await.is_err() {
        return Ok(None);
    }
    let role = Role::Attached(user);
    Ok(Some(Embedded { client, role }))
}

fn client(dir: &Path) -> Result<Client, Fault> {
    let socket = absolute(dir)?.join(SOCKET);
    Client::new(
        &format!("unix:{}", socket.display()),
        ClientOptions::default(),
    )
}

fn absolute(dir: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(dir).map_err(|e| {
        Fault::new(
            FaultKind::Refused,
            format!("cannot use the folder {}", dir.display()),
        )
        .because(e.to_string())
    })
}
