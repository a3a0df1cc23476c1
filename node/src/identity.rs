//! Who a node is: an ed25519 key in a file that only its owner can read.
//!
//! ```text
//! identity.key = "glebe-identity-1 " 64 hex digits of the ed25519 seed "\n", mode 0600
//! ```
//! *Invariants*: a key file that others may read is refused, not repaired: it may have been read;
//! the key appears in no log, error or `Debug` text.
//!
//! *Not here*: who else is let in (`token`, `swarm`).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use serde::{Deserialize, Serialize, Serializer};

use crate::access::Fixed;

/// Name of the key file in a node's data folder.
pub const KEY_FILE: &str = "identity.key";
/// First word of the key file.
const KEY_MARK: &str = "glebe-identity-1 ";
/// First bytes of a peer id that is the key itself: multihash "identity", and its 36 bytes.
const INLINE_KEY_MARK: [u8; 2] = [0x00, 0x24];
/// Longest node id: a peer id's text has 52 characters, `embedded` fewer.
const NODE_ID_LENGTH_MAX: usize = 64;

/// The id of a node: its peer id as text; `embedded` without a network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeId(String);

/// Why a text is no node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no node id")]
pub struct NodeIdError {
    text: String,
}

impl NodeId {
    /// Returns the id of a node without a network.
    pub fn embedded() -> Self {
        Self("embedded".to_owned())
    }

    /// Parses 1 to 64 letters and digits.
    pub fn parse(text: &str) -> Result<Self, NodeIdError> {
        let fits = !text.is_empty()
            && text.len() <= NODE_ID_LENGTH_MAX
            && text.bytes().all(|c| c.is_ascii_alphanumeric());
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let text = text.chars().take(NODE_ID_LENGTH_MAX).collect();
        Err(NodeIdError { text })
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the peer id, if the node has a network.
    pub fn peer(&self) -> Option<PeerId> {
        self.0.parse().ok()
    }

    /// Tells whether the node of this id signed the bytes: the id is its public key.
    pub fn signed(&self, bytes: &[u8], signature: &Fixed<64>) -> bool {
        let peer = self.peer().map(PeerId::to_bytes).unwrap_or_default();
        let key = peer.strip_prefix(&INLINE_KEY_MARK);
        let key = key.and_then(|key| PublicKey::try_decode_protobuf(key).ok());
        key.is_some_and(|key| key.verify(bytes, &signature.0))
    }
}

impl From<PeerId> for NodeId {
    fn from(peer: PeerId) -> Self {
        Self(peer.to_base58())
    }
}

impl TryFrom<String> for NodeId {
    type Error = NodeIdError;

    fn try_from(text: String) -> Result<Self, NodeIdError> {
        Self::parse(&text)
    }
}

/// As text, without a copy of it: a layout's changes are written by the thousand.
impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's key pair.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others than the owner can read or write the key file.
    #[error("{path} may be read by others (mode {mode:04o}, not 0600)")]
    Loose {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key.
    #[error("{path} holds no identity key")]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("cannot read or make {path}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Identity {
    /// Makes a new one.
    pub fn generate() -> Self {
        let keypair = Keypair::generate_ed25519();
        Self { keypair }
    }

    /// Reads the key file of a data folder, or makes it on the first start.
    pub fn open(data: &Path) -> Result<Self, IdentityError> {
        let path = data.join(KEY_FILE);
        match fs::metadata(&path) {
            Ok(found) => read(path, &found),
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(path),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    /// Writes the key file of a data folder from a seed: a simulated node is always the same.
    pub(crate) fn plant(data: &Path, seed: &[u8; 32]) -> io::Result<()> {
        let text = format!("{KEY_MARK}{}\n", to_hex(seed));
        write_private(&data.join(KEY_FILE), text.as_bytes())
    }

    /// Returns the id that others know the node by.
    pub fn node(&self) -> NodeId {
        self.peer().into()
    }

    /// Returns the peer id.
    pub fn peer(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    /// Signs bytes, which begin with a mark of what they are.
    pub fn sign(&self, bytes: &[u8]) -> Fixed<64> {
        let signature = self.keypair.sign(bytes).unwrap_or_default();
        Fixed(signature.try_into().unwrap_or([0; 64]))
    }

    /// Returns the key pair, for the transport alone.
    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node())
    }
}

fn read(path: PathBuf, found: &fs::Metadata) -> Result<Identity, IdentityError> {
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Loose { path, mode });
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(IdentityError::Io { path, source }),
    };
    let seed = text
        .strip_prefix(KEY_MARK)
        .and_then(|h| from_hex(h.trim_end()));
    let secret =
        seed.and_then(|mut seed: [u8; 32]| ed25519::SecretKey::try_from_bytes(&mut seed).ok());
    match secret {
        Some(secret) => Ok(Identity {
            keypair: ed25519::Keypair::from(secret).into(),
        }),
        None => Err(IdentityError::Malformed { path }),
    }
}

fn make(path: PathBuf) -> Result<Identity, IdentityError> {
    let secret = ed25519::SecretKey::generate();
    let text = format!("{KEY_MARK}{}\n", to_hex(secret.as_ref()));
    match write_private(&path, text.as_bytes()) {
        Ok(()) => Ok(Identity {
            keypair: ed25519::Keypair::from(secret).into(),
        }),
        Err(source) => Err(IdentityError::Io { path, source }),
    }
}

/// Refuses a file that others than its owner may read or change.
pub(crate) fn check_private(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    let what = format!(
        "others may read or change {} (mode {mode:04o}, not 0600)",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Writes a file that only its owner can read: beside it first, fsynced, then renamed into place.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&fresh)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

/// Returns 32 bytes from the operating system's random source.
pub(crate) fn random_key() -> [u8; 32] {
    let secret = ed25519::SecretKey::generate();
    let mut key = [0; 32];
    key.copy_from_slice(secret.as_ref());
    key
}

/// Returns the bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("a half byte is below 16");
    bytes
        .iter()
        .flat_map(|b| [digit(b >> 4), digit(b & 15)])
        .collect()
}

/// Returns the bytes of exactly as many hexadecimal digits as they need.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_folder_gives_the_same_identity_and_its_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Identity::open(folder.path()).unwrap();
        let again = Identity::open(folder.path()).unwrap();
        assert_eq!(first.node(), again.node());
        let mode = fs::metadata(folder.path().join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Identity::open(folder.path()).unwrap();
        let path = folder.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Identity::open(folder.path()).unwrap_err();
        assert!(
            matches!(refused, IdentityError::Loose { mode: 0o644, .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_damaged_key_is_refused_and_no_text_shows_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::open(folder.path()).unwrap();
        let path = folder.path().join(KEY_FILE);
        let seed = fs::read_to_string(&path).unwrap();
        let seed = seed.strip_prefix(KEY_MARK).unwrap().trim_end().to_owned();
        assert!(!format!("{identity:?}").contains(&seed));
        fs::write(&path, format!("{KEY_MARK}{}\n", &seed[1..])).unwrap();
        let refused = Identity::open(folder.path()).unwrap_err();
        assert!(matches!(refused, IdentityError::Malformed { .. }));
        assert!(!format!("{refused} {refused:?}").contains(&seed[1..]));
    }

    #[test]
    fn only_the_node_of_an_id_signs_for_it() {
        let (one, two) = (Identity::generate(), Identity::generate());
        let signature = one.sign(b"said");
        assert!(one.node().signed(b"said", &signature));
        assert!(!one.node().signed(b"Said", &signature));
        assert!(!two.node().signed(b"said", &signature));
        assert!(!one.node().signed(b"said", &Fixed::default()));
        assert!(!NodeId::embedded().signed(b"said", &signature));
    }

    #[test]
    fn node_ids_are_bounded_plain_words() {
        let peer = Identity::generate().peer();
        let node = NodeId::from(peer);
        assert_eq!(NodeId::parse(node.as_str()), Ok(node.clone()));
        assert_eq!(node.peer(), Some(peer));
        assert_eq!(NodeId::embedded().peer(), None);
        assert!(NodeId::parse("").is_err() && NodeId::parse("../x").is_err());
        assert!(NodeId::parse(&"a".repeat(65)).is_err());
    }
}
