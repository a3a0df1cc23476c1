//! What became of donors, and when it is looked for again.

use earth::split::placement::PlacementKey;

use super::*;
use crate::peer::encode_response;
use crate::runs::book::{Job, Role};
use crate::swarm::FRAME_BYTES_MAX;

#[test]
fn the_longest_reasons_of_all_donors_asked_about_at_once_fit_an_answer() {
    let mut job = Job::new(
        PlacementKey::named("test", "9xj5k"),
        Vec::new(),
        Role::Donor,
    );
    job.state = JobState::Quarantined;
    job.reason = Some("\u{1f30d}".repeat(1 << 20));
    let fates = Fates {
        slots: SlotSet::all(),
        wished: Wished::default(),
        cells: vec![Some((job.state, job.told())); FATES_AT_ONCE_MAX],
    };
    let length = encode_response(&Response::Fates(fates)).length();
    assert!(length <= FRAME_BYTES_MAX, "{length} bytes");
}

fn judged(known: &[(JobState, Option<&str>)]) -> Fate {
    let owned = |(state, why): &(JobState, Option<&str>)| (*state, why.map(str::to_owned));
    let known: Vec<_> = known.iter().map(owned).collect();
    judge("9xj5k", &known.iter())
}

#[test]
fn an_heir_waits_while_anybody_may_still_train_its_donor() {
    let gone = (JobState::Quarantined, Some("no chips"));
    assert_eq!(judged(&[gone, (JobState::Waiting, None)]), Fate::Open);
    assert_eq!(judged(&[(JobState::Running, None), gone]), Fate::Open);
    assert_eq!(judged(&[(JobState::Paused, None), gone]), Fate::Open);
}

#[test]
fn heirs_of_a_donor_without_a_model_are_told_why() {
    let ended = |why: &str| Fate::Ended(why.to_owned());
    assert_eq!(
        judged(&[(JobState::Quarantined, Some("no chips"))]),
        ended("donor 9xj5k has no model: no chips")
    );
    assert_eq!(
        judged(&[(JobState::Cancelled, None)]),
        ended("donor 9xj5k was cancelled")
    );
}

#[test]
fn what_nobody_knows_and_a_model_that_is_gone_are_waited_for_but_not_for_ever() {
    assert!(matches!(judged(&[]), Fate::Unknown(_)));
    assert!(matches!(
        judged(&[(JobState::Done, None)]),
        Fate::Unknown(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn runs_that_cannot_all_be_read_are_read_ever_less_often_until_something_changes() {
    let seen = |doubts| Learned {
        among: BTreeSet::new(),
        collections: Arc::default(),
        doubts,
    };
    let mut retry = Retry::default();
    let began = Instant::now();
    let mut read = Vec::new();
    while began.elapsed() < Duration::from_secs(100) {
        if retry.is_due(&seen(0)) {
            read.push(began.elapsed().as_secs());
        }
        tokio::time::advance(LOOK_EVERY).await;
    }
    assert_eq!(read, [0, 2, 6, 14, 30, 60, 90]);
    assert!(!retry.is_due(&seen(0)) && retry.is_due(&seen(1)));
}
