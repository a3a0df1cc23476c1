//! What nodes say to each other: postcard messages, one question and one answer a stream.
//!
//! *Invariants*: the order of variants and fields is the format (`/glebe/1`, docs/FORMATS.md): new
//! ones come last, and golden bytes hold it. Types that leave out fields in JSON travel as JSON
//! text inside, for postcard cannot leave any out. Each question has one purpose on the meters.
//!
//! *Not here*: how messages travel (`swarm`), what is answered (`answer`).

mod compare;
mod doubts;
mod fates;
mod guests;
mod join;
mod load;
mod part;
mod runs;
mod speaks;

use query::page::Position;
use query::pairs::Tally;
use serde::{Deserialize, Serialize};
use wire::bundle::Kind;
use wire::cluster::BytesByPurpose;
use wire::fault::{Fault, FaultKind};
use wire::object::PutOutcome;
use wire::region::CellTexture;
use wire::run::JobCounts;

use crate::access::GrantNews;
use crate::cluster::Voucher;
use crate::identity::NodeId;
use crate::layout::{ChangeSet, Stamp};
use crate::membership::{Age, Beat};
use crate::meters::Purpose;
use crate::rope::Rope;
use crate::slots::SlotSet;
use crate::store::{Held, ObjectKey, Record};
use crate::swarm::Lane;

pub use join::{JoinAnswer, JoinRequest, Welcome};

pub use crate::store::Version;
pub use compare::{Comparison, Difference};
pub use doubts::Doubted;
pub use fates::{Fates, FatesRequest};
pub use guests::{GuestWord, HostRequest};
pub use load::SlotLoad;
pub use part::{Head, Part};
pub(crate) use part::{decode_request, decode_response, encode_request, encode_response};
pub use runs::{
    JobsPage, JobsRequest, LogPart, LogsRequest, PlanRequest, Planned, Rival, RivalsRequest, Steer,
};
pub(crate) use speaks::FORSAKES;
pub use speaks::{Speaks, Versions};

/// A question to a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What is new? Answered with `News`.
    Gossip(Gossip),
    /// What the other did not know. Answered with `Done`.
    Tell(News),
    /// Do you live, or: does this one, as far as you can reach it? Answered with `Alive`.
    Probe(Option<NodeId>),
    /// Which versions of these do you hold? Answered with `Versions`.
    Versions(Purpose, Vec<ObjectKey>),
    /// Part of an object to keep. Answered with `Stored` after the last, else with `Done`.
    Put(Part),
    /// You hold what an owner lacks: be asked for these slots, too. Answered with `Done`.
    Mark(SlotSet),
    /// What is known of an object? Answered with `Described`.
    Describe(Purpose, ObjectKey),
    /// Part of a file. Answered with `Bytes`.
    Fetch(Piece),
    /// What is held of a kind in these slots? Answered with `Listed`.
    List(Listing),
    /// A page of hits. Answered with `Hits`.
    Search(Search),
    /// Why does a query match nothing? Answered with `Empty`.
    Emptiness(Question),
    /// A page of records of a kind. Answered with `Records`.
    Records(Listing),
    /// What do you hold, and how are you? Answered with `Status`.
    Status(SlotSet),
    /// Forget tombstones that every owner has, if they are these still. Answered with `Done`.
    Forget(Vec<(ObjectKey, Version)>),
    /// Plan a run's jobs from your own splits in these slots. Answered with `Planned`.
    Plan(PlanRequest),
    /// Your jobs of a run. Answered with `Jobs`, or with the first `JobsPage` of what is longer.
    Jobs(String),
    /// Your jobs of these runs, counted. Answered with `Counts`.
    Counts(Vec<String>),
    /// Cancel, pause or try again your jobs of a run. Answered with `Steered`.
    Steer(Steer),
    /// Compose a cell's splits; asked again until it is done. Answered with `Composed`.
    Compose(ComposeJob),
    /// Part of a file of what was composed. Answered with `Bytes`.
    FetchComposed(ComposedPiece),
    /// Where do replicas differ? Answered with `Compared`.
    Compare(Comparison),
    /// Check and heal all that you hold, or say what that would be; asked again until it is done.
    /// Answered with `Repaired`.
    Repair(RepairJob),
    /// What lies in each slot? Answered with `Loads`.
    Loads,
    /// Mean textures of your cells that match. Answered with `Textures`.
    Textures(Question),
    /// What have you planned of a run, and what became of these cells? Answered with `Fates`.
    Fates(FatesRequest),
    /// A donor of this run has ended: look what it left. Answered with `Done`.
    Heed(String),
    /// What was said of your jobs of a run? Answered with `Logs`.
    Logs(LogsRequest),
    /// How many jobs of this run could you begin now in place of others? Answered with `Spare`.
    Spare(String),
    /// Do jobs in place of the asker, which has lent them to you. Answered with `Hosted`.
    Host(HostRequest),
    /// Of jobs that you lent to the asker. Answered with `Granted`, else with `Done`.
    Guests(GuestWord),
    /// Names of your cells that match. Answered with `Cells`.
    Cells(Question),
    /// Which of the asker's jobs may go, for you have one that stays? Answered with `Rivals`.
    Rivals(RivalsRequest),
    /// Your jobs of a run behind one. Answered with `JobsPage`.
    JobsPage(JobsRequest),
    /// Why do you answer for no slots alone? Answered with `Doubt`.
    Doubt,
    /// Cells of a run have no job any more: look whether they are yours. Answered with `Done`.
    Unplanned(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// It cannot be answered.
    Fault(PeerFault),
    /// Understood and done.
    Done,
    /// Beats and changes that the asker has not, and whose beats the answerer lacks.
    News(News),
    /// Whether it lives.
    Alive(bool),
    /// A version for each object asked for, where held.
    Versions(Vec<Option<Version>>),
    /// The object is kept, fsynced.
    Stored(Stored),
    /// The record of the object, if held.
    Described(Option<Box<Record>>),
    /// Bytes of a file.
    Bytes(Rope),
    /// A page of what is held.
    Listed(Listed),
    /// A page of hits.
    Hits(Hits),
    /// Findings about an empty answer, as JSON of `query::empty::Emptiness`.
    Empty(String),
    /// A page of records.
    Records(RecordPage),
    /// The answerer's share.
    Status(Box<Share>),
    /// Differences found by a comparison, with the number of the span asked about.
    Compared(Vec<(u32, Difference)>),
    /// What was planned.
    Planned(Planned),
    /// Jobs, as JSON of a list of `wire::run::JobView`, and the slots whose cells were planned.
    Jobs(String, SlotSet),
    /// Jobs by state, a count for each run asked about.
    Counts(Vec<JobCounts>),
    /// Jobs that changed.
    Steered(u64),
    /// What was composed, as JSON of `wire::compose::CellImage`; none while it is under way.
    Composed(Option<String>),
    /// What a repair did, as JSON of `wire::cluster::RepairReport`; none while it is under way.
    Repaired(Option<String>),
    /// What lies in each slot in which anything does.
    Loads(Vec<SlotLoad>),
    /// Mean textures of cells.
    Textures(Vec<CellTexture>),
    /// What is known of a run.
    Fates(Fates),
    /// What was said.
    Logs(LogPart),
    /// Jobs that could be begun.
    Spare(u32),
    /// Of each job offered the bytes of imagery that travel for it; none if it is not taken.
    Hosted(Vec<Option<u64>>),
    /// Of each lease whether it still counts.
    Granted(Vec<bool>),
    /// Geocode texts, in order.
    Cells(Vec<String>),
    /// Of each job whether it may go.
    Rivals(Vec<bool>),
    /// A page of jobs.
    JobsPage(JobsPage),
    /// Why it answers for no slots alone, if it does not.
    Doubt(Option<Doubted>),
}

/// What a node knows, without the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gossip {
    /// Digest of how old each beat is that the asker has.
    pub digest: u64,
    /// The newest layout that the asker knows.
    pub known: Stamp,
    /// The asker's own beat, if it may be news.
    pub beat: Option<Beat>,
    /// How old each beat is that the asker has; none where the digest does.
    pub ages: Vec<(NodeId, Age)>,
    /// Names the tokens that the asker knows.
    pub grants: u64,
}

/// What another node does not know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct News {
    /// Beats newer than the other's.
    pub beats: Vec<Beat>,
    /// All membership changes, if the other's newest layout differs.
    pub changes: Option<ChangeSet>,
    /// Nodes of whom the other has newer beats, which are asked back for.
    pub wanted: Vec<(NodeId, Age)>,
    /// All tokens, if the other knows others.
    pub grants: GrantNews,
    /// Names the tokens that are known here, in an answer to who knows others.
    pub granted: Option<u64>,
    /// Who vouches for the changes.
    pub vouchers: Vec<Voucher>,
    /// Nodes that do not answer, with the age of their latest beats.
    pub suspects: Vec<(NodeId, Age)>,
    /// The other's digest is another one: it is to ask again, with all ages.
    pub differs: bool,
}

/// What keeping did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// New, same or kept.
    pub outcome: PutOutcome,
    /// What is held now.
    pub version: Version,
}

/// Part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its object.
    pub key: ObjectKey,
    /// Its name.
    pub file: String,
    /// First byte.
    pub offset: u64,
    /// Bytes, at most a chunk.
    pub length: u32,
    /// What it is read for.
    pub purpose: Purpose,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Of which kind.
    pub kind: Kind,
    /// In which slots.
    pub slots: SlotSet,
    /// Behind which item; from the first if none. By slot and id for `List`, by id for `Records`.
    pub after: Option<(u16, String)>,
    /// Read and hash every file before listing it.
    pub verify: bool,
    /// What it is read for.
    pub purpose: Purpose,
}

/// What is held, by slot and id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listed {
    /// The items of this page.
    pub items: Vec<Held>,
    /// Those of them whose files are not what was put, with what is wrong.
    pub corrupt: Vec<(ObjectKey, String)>,
    /// More follow.
    pub more: bool,
}

/// Records, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordPage {
    /// The records of this page.
    pub records: Vec<Record>,
    /// More follow.
    pub more: bool,
}

/// A query in some slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// `query::Query` as JSON.
    pub query: String,
    /// Where to look.
    pub slots: SlotSet,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// What is asked for, and where.
    pub question: Question,
    /// Behind which position; from the first if none.
    pub after: Option<Position>,
    /// Greatest number of hits.
    pub rows_max: u32,
}

/// A split that matches, as it was when the page was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Where it stands in the query's order.
    pub position: Position,
    /// What was looked at: others may know a newer one.
    pub version: Version,
    /// The hit as JSON.
    pub json: String,
}

/// Hits of one node, in the query's order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Hits {
    /// The hits.
    pub hits: Vec<Match>,
    /// Where to go on, if more follow.
    pub next: Option<Position>,
    /// The index that drove the evaluation.
    pub index: String,
    /// Rows the index promised.
    pub rows_estimated: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Microseconds there.
    pub micros: u64,
    /// Where pairs are asked for, what was counted in all slots asked about.
    pub pairs: Option<Tally>,
}

/// One node's share of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Split replicas held.
    pub splits: u64,
    /// Those in the slots asked about.
    pub splits_in_slots: u64,
    /// Model replicas held.
    pub models: u64,
    /// Model replicas held in the slots asked about.
    pub models_in_slots: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// Jobs running.
    pub jobs_running: u64,
    /// Names of runs of which it has unfinished jobs.
    pub runs_active: Vec<String>,
    /// Bytes sent since the start.
    pub sent: BytesByPurpose,
}

/// A composition to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeJob {
    /// Tells compositions for one asker apart.
    pub number: u64,
    /// `compose::Job` as JSON.
    pub job: String,
}

/// A repair to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairJob {
    /// Tells repairs for one asker apart.
    pub number: u64,
    /// Only say what it would do.
    pub dry_run: bool,
}

/// Part of a file of what was composed; the last part of the last file ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposedPiece {
    /// Which composition of the asker.
    pub number: u64,
    /// Which of its files.
    pub file: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes, at most a chunk.
    pub length: u32,
}

/// A `Fault` in postcard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFault {
    kind: FaultKind,
    what: String,
    because: Vec<String>,
    try_: Option<String>,
}

/// The bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be read: {0}")]
pub struct MessageError(String);

impl Request {
    /// Returns what it may wait behind.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Gossip(_) | Self::Tell(_) | Self::Probe(_) | Self::Mark(_) => Lane::Beat,
            _ => Lane::Work,
        }
    }

    /// Tells whether answering it waits for work that is bounded elsewhere, so that it takes no
    /// place among those that work on the store.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Compose(_) | Self::Repair(_) | Self::Host(_))
    }

    /// Returns what its bytes, and those of its answer, are counted as.
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Gossip(_) | Self::Tell(_) | Self::Probe(_) | Self::Mark(_) => Purpose::Gossip,
            Self::Versions(purpose, _) | Self::Describe(purpose, _) => *purpose,
            Self::Put(part) => part.purpose,
            Self::Fetch(piece) => piece.purpose,
            Self::List(listing) | Self::Records(listing) => listing.purpose,
            Self::Search(_)
            | Self::Emptiness(_)
            | Self::Status(_)
            | Self::Doubt
            | Self::Plan(_)
            | Self::Jobs(_)
            | Self::JobsPage(_)
            | Self::Counts(_)
            | Self::Steer(_)
            | Self::Logs(_)
            | Self::Compose(_)
            | Self::Loads
            | Self::Textures(_)
            | Self::Fates(_)
            | Self::Spare(_)
            | Self::Host(_)
            | Self::Guests(_)
            | Self::Cells(_)
            | Self::Rivals(_)
            | Self::Unplanned(_)
            | Self::Heed(_) => Purpose::Query,
            Self::FetchComposed(_) => Purpose::Pixels,
            Self::Forget(_) | Self::Compare(_) | Self::Repair(_) => Purpose::Repair,
        }
    }
}

/// Writes a message.
///
/// # Panics
/// Never for the types of this module: postcard fails only on sequences of unknown length.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("messages are plain data without unknown lengths")
}

/// Reads a message; bytes behind it are refused.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, MessageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(MessageError(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(MessageError(error.to_string())),
    }
}

impl From<Fault> for PeerFault {
    fn from(fault: Fault) -> Self {
        Self {
            kind: fault.kind,
            what: fault.what,
            because: fault.because,
            try_: fault.try_,
        }
    }
}

impl From<PeerFault> for Fault {
    fn from(fault: PeerFault) -> Self {
        Self {
            kind: fault.kind,
            what: fault.what,
            because: fault.because,
            try_: fault.try_,
        }
    }
}

#[cfg(test)]
mod tests;
