//! What this node answers for itself to other nodes.
//!
//! *Invariants*: only members are answered, strangers by `join` alone; every answer fits a message;
//! what a member says and nobody here can read is a fault, not silence;
//! work on the store happens on blocking threads, and at most `WORK_MAX` at a time; beats, probes
//! and marks never wait behind it.
//!
//! *Not here*: asking others (`scatter`, `replicate`), what predicates mean (query).

pub(crate) mod doubt;
mod guests;
pub(crate) mod jobs;
mod listing;
mod pages;
mod textures;
pub(crate) mod transfer;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc};
use wire::fault::{Fault, FaultKind};

use crate::cluster::core::Core;
use crate::cluster::{catalog, gossip, join, persist};
use crate::compose;
use crate::hands;
use crate::identity::NodeId;
use crate::meters::Purpose;
use crate::peer::{Listed, Listing, Piece, Request, Response, Share, Version};
use crate::peer::{decode_request, encode_response};
use crate::refusals::Refused;
use crate::rope::Rope;
use crate::slots::SlotSet;
use crate::store::{ObjectKey, Store, StoreError};
use crate::swarm::{CHUNK_BYTES_MAX, FRAME_BYTES_MAX, Inbound, Lane};
use crate::upkeep;

pub(crate) use transfer::Transfers;

/// Questions that the store works on at once: more only fight for one disk.
const WORK_MAX: usize = 64;
/// Objects whose versions are asked for in one message.
pub(crate) const VERSIONS_MAX: usize = 4_096;

/// Answers questions until the node stops.
pub(crate) async fn serve(core: Arc<Core>, mut inbound: mpsc::Receiver<Inbound>) {
    let work = Arc::new(Semaphore::new(WORK_MAX));
    loop {
        let question = tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            question = inbound.recv() => question,
        };
        let Some(question) = question else { return };
        let answered = answer_one(Arc::clone(&core), Arc::clone(&work), question);
        let stop = core.stop.clone();
        core.tasks.spawn(stop.run_until_cancelled_owned(answered));
    }
}

async fn answer_one(core: Arc<Core>, work: Arc<Semaphore>, question: Inbound) {
    let Inbound {
        from,
        member,
        frame,
        reply,
    } = question;
    if !member {
        let answer = join::answer(&core, &from, &frame).await;
        reply.send(answer).await;
        return;
    }
    if !core.look(|view| view.ring.is_member(&from)) {
        // Dropping the question unanswered tells a former member nothing.
        return;
    }
    let Ok(request) = decode_request(&frame) else {
        let why = "a message that cannot be read";
        core.refusals.note(Refused::Message, &from, &why);
        // It may be of a version to come: who gets no answer takes this node for one that is gone.
        let response = written(&Response::Fault(unread().into()));
        core.meters.sent(Purpose::Query, response.length());
        reply.send(response).await;
        return;
    };
    let purpose = request.purpose();
    let permit = match request.lane() {
        Lane::Beat => None,
        Lane::Work if request.waits() => None,
        Lane::Work => work.acquire_owned().await.ok(),
    };
    let response = written(&answer(&core, &from, request).await);
    drop(permit);
    core.meters.sent(purpose, response.length());
    reply.send(response).await;
}

/// Refuses a question that is none that this glebe knows.
fn unread() -> Fault {
    Fault::new(FaultKind::Refused, "the question cannot be read")
        .because("it is of a version that this node does not speak, or was damaged")
        .try_("the latest glebe on all nodes; glebe node list tells what each speaks")
}

/// Writes an answer down. One that fits no message becomes a fault: who gets none takes this node
/// for one that does not answer.
fn written(response: &Response) -> Rope {
    let frame = encode_response(response);
    let length = frame.length();
    if length <= FRAME_BYTES_MAX {
        return frame;
    }
    tracing::warn!(length, "an answer does not fit a message");
    let what = format!("an answer of {length} bytes does not fit a message");
    let fault = Fault::new(FaultKind::Internal, what)
        .because(format!("a message has at most {FRAME_BYTES_MAX} bytes"));
    encode_response(&Response::Fault(fault.into()))
}

/// Answers one question of a member, or of this node itself.
pub(crate) fn answer<'a>(
    core: &'a Arc<Core>,
    from: &'a NodeId,
    request: Request,
) -> BoxFuture<'a, Response> {
    async move {
        let answered = respond(core, from, request).await;
        answered.unwrap_or_else(|fault| Response::Fault(fault.into()))
    }
    .boxed()
}

async fn respond(core: &Arc<Core>, from: &NodeId, request: Request) -> Result<Response, Fault> {
    Ok(match request {
        Request::Gossip(gossip) => {
            let news = gossip::answer(core, from, gossip);
            persist::marks(core).await?;
            Response::News(news)
        }
        Request::Tell(news) => {
            gossip::absorb(core, news);
            persist::marks(core).await?;
            Response::Done
        }
        Request::Probe(node) => Response::Alive(gossip::reaches(core, node).await),
        Request::Versions(purpose, keys) => doubt::versions(core, (purpose, keys)).await?,
        Request::Put(part) => transfer::keep(core, from, part).await?,
        Request::Mark(slots) => mark(core, &slots).await.map(|()| Response::Done)?,
        Request::Describe(_, key) => doubt::described(core, key).await?,
        Request::Fetch(piece) => Response::Bytes(fetch(core, piece).await?.into()),
        Request::List(listing) => Response::Listed(list(core, listing).await?),
        Request::Records(listing) => {
            let records = core.blocking(move |s| listing::records(s, &listing));
            Response::Records(doubt::sure(core, records).await?)
        }
        Request::Search(search) => {
            Response::Hits(doubt::sure(core, listing::hits(core, search)).await?)
        }
        Request::Emptiness(question) => {
            Response::Empty(doubt::sure(core, listing::emptiness(core, question)).await?)
        }
        Request::Status(slots) => Response::Status(Box::new(share(core, slots).await?)),
        Request::Forget(gone) => {
            core.blocking(move |store| forget(store, &gone)).await?;
            catalog::changed(core).await?;
            Response::Done
        }
        Request::Compare(comparison) => {
            Response::Compared(upkeep::answer(core, from, comparison).await?)
        }
        Request::Doubt => Response::Doubt(doubt::told(core)),
        Request::Repair(job) => Response::Repaired(upkeep::repaired(core, job).await?),
        Request::Textures(question) => {
            Response::Textures(doubt::sure(core, textures::textures(core, question)).await?)
        }
        Request::Cells(question) => {
            Response::Cells(doubt::sure(core, jobs::cells(core, question)).await?)
        }
        Request::Plan(request) => Response::Planned(jobs::plan(core, request).await?),
        Request::Jobs(run) => pages::first(core, run).await?,
        Request::JobsPage(asked) => Response::JobsPage(pages::behind(core, asked).await?),
        Request::Fates(asked) => Response::Fates(jobs::fates(core, asked).await?),
        Request::Heed(run) => jobs::heed(core, &run),
        Request::Unplanned(run) => jobs::unplanned(core, run).await?,
        Request::Rivals(asked) => Response::Rivals(jobs::rivals(core, from, asked).await?),
        Request::Counts(names) => Response::Counts(jobs::counts(core, names).await?),
        Request::Steer(steer) => Response::Steered(jobs::steer(core, steer).await?),
        Request::Logs(asked) => Response::Logs(jobs::logs(core, asked).await?),
        Request::Spare(run) => Response::Spare(guests::spare(core, run).await?),
        Request::Host(offer) => Response::Hosted(guests::host(core, from, offer).await?),
        Request::Guests(word) => guests::heed(core, from, word).await?,
        Request::Compose(job) => Response::Composed(compose::answer(core, from, job).await?),
        Request::FetchComposed(piece) => Response::Bytes(compose::piece(core, from, piece)?.into()),
        Request::Loads => Response::Loads(core.blocking(listing::loads).await?),
    })
}

/// Notes that this node must be asked for these slots; succeeds when a majority knows.
pub(crate) async fn mark(core: &Arc<Core>, slots: &SlotSet) -> Result<(), Fault> {
    let (grown, count) = core.quietly(|view| (view.mark(slots), view.grown_at()));
    // Others may mark meanwhile: this one's are told with the beat of this count, or a later one.
    if !core.look(|view| view.is_told(count)) {
        gossip::announce(core).await;
    }
    if grown {
        core.wake();
    }
    if core.look(|view| view.is_told(count)) {
        return Ok(());
    }
    let what = "no majority of the nodes could be told who stands in";
    Err(Fault::new(FaultKind::Refused, what).try_("glebe status"))
}

/// Lists what is held. Who has the files read wants to know of what is here; who does not wants all
/// that there is.
async fn list(core: &Core, listing: Listing) -> Result<Listed, Fault> {
    let verify = listing.verify;
    let listed = core.blocking(move |s| listing::held(s, &listing));
    if !verify {
        return doubt::sure(core, listed).await;
    }
    let listed = listed.await?;
    for (key, _) in &listed.corrupt {
        core.upkeep.suspect(key.clone());
    }
    Ok(listed)
}

/// Forgets tombstones, if they are these still.
fn forget(store: &Store, gone: &[(ObjectKey, Version)]) -> Result<(), StoreError> {
    for (key, version) in gone.iter().filter(|(_, version)| version.is_tombstone()) {
        store.forget(key, *version)?;
    }
    Ok(())
}

async fn fetch(core: &Core, piece: Piece) -> Result<Bytes, Fault> {
    let Piece {
        key, file, offset, ..
    } = piece;
    let length = (piece.length as usize).min(CHUNK_BYTES_MAX);
    let name = key.clone();
    let read = core
        .blocking(move |store| store.part(&name, &file, (offset, length)))
        .await;
    read.inspect_err(|fault| {
        if fault.kind == FaultKind::Data {
            core.upkeep.suspect(key);
        }
    })
}

async fn share(core: &Arc<Core>, slots: SlotSet) -> Result<Share, Fault> {
    let mut share = core.blocking(move |s| listing::share(s, &slots)).await?;
    let runs = Arc::clone(&core.runs);
    (share.jobs_running, share.runs_active) = working(move || jobs::busy(&runs)).await?;
    share.sent = core.meters.read();
    Ok(share)
}

/// Runs what blocks, and is not about the store, on a thread that may.
pub(crate) async fn working<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = hands::work(work).await;
    done.map_err(|_| Fault::new(FaultKind::Internal, "a working thread was lost"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::decode_response;

    #[test]
    fn an_answer_that_fits_no_message_is_a_fault_that_says_so() {
        let answer = |bytes: usize| Response::Cells(vec!["c".repeat(bytes)]);
        let read = |response: &Response| decode_response(&written(response).joined());
        let fits = answer(CHUNK_BYTES_MAX);
        assert_eq!(read(&fits), Ok(fits));
        let Ok(Response::Fault(fault)) = read(&answer(FRAME_BYTES_MAX)) else {
            panic!("it cannot be sent");
        };
        let fault = Fault::from(fault);
        assert!(fault.to_string().contains("does not fit"), "{fault}");
    }
}
