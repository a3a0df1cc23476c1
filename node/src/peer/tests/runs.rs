//! Messages about runs and their jobs.

use wire::run::{JobState, Renew, Wish};

use super::super::*;
use super::question;
use crate::runs::Wished;

/// Questions about jobs that move.
pub(super) fn requests() -> Vec<(&'static str, Request)> {
    vec![
        ("spare", Request::Spare("r".to_owned())),
        ("host", host()),
        ("guests_renew", guests(GuestWord::Renew(vec![lease()]))),
        (
            "guests_published",
            guests(GuestWord::Published(lease(), "{}".to_owned())),
        ),
        ("guests_failed", guests(GuestWord::Failed("{}".to_owned()))),
        ("guests_untried", guests(GuestWord::Untried(vec![lease()]))),
        ("cells", Request::Cells(question())),
        ("rivals", rivals()),
        ("jobs_page", behind()),
        (
            "guests_publishing",
            guests(GuestWord::Publishing(lease(), 300)),
        ),
        ("unplanned", Request::Unplanned("r".to_owned())),
    ]
}

fn rivals() -> Request {
    let rival = Rival {
        geocode: "9xj5k".to_owned(),
        state: JobState::Quarantined,
        was_lent: true,
    };
    Request::Rivals(RivalsRequest {
        run: "r".to_owned(),
        jobs: vec![rival],
    })
}

fn behind() -> Request {
    Request::JobsPage(JobsRequest {
        run: "r".to_owned(),
        after: "9xj5k".to_owned(),
    })
}

pub(super) fn page() -> JobsPage {
    JobsPage {
        jobs: "[]".to_owned(),
        slots: SlotSet::none(),
        more: true,
    }
}

pub(super) fn fates_request() -> Request {
    Request::Fates(FatesRequest {
        run: "r".to_owned(),
        cells: vec!["9xj5k".to_owned()],
    })
}

pub(super) fn host() -> Request {
    Request::Host(HostRequest {
        run: "{}".to_owned(),
        wait_ms: 300,
        jobs: "[]".to_owned(),
    })
}

pub(super) fn guests(word: GuestWord) -> Request {
    Request::Guests(word)
}

pub(super) fn lease() -> Renew {
    Renew {
        run: "r".to_owned(),
        geocode: "9xj5k".to_owned(),
        token: 300,
    }
}

pub(super) fn plan() -> Request {
    Request::Plan(PlanRequest {
        run: "{}".to_owned(),
        slots: SlotSet::none(),
        dry_run: true,
    })
}

pub(super) fn wished(wish: Wish) -> Wished {
    Wished { number: 300, wish }
}

pub(super) fn steer() -> Request {
    Request::Steer(Steer {
        run: "r".to_owned(),
        wished: wished(Wish::Go),
        done: vec!["9xj5k".to_owned()],
    })
}

pub(super) fn logs() -> Request {
    Request::Logs(LogsRequest {
        run: "r".to_owned(),
        geocode: Some("9xj5k".to_owned()),
        after: 300,
    })
}

pub(super) fn planned() -> Planned {
    Planned {
        splits: 300,
        jobs: 3,
    }
}

pub(super) fn log_part() -> LogPart {
    LogPart {
        lines: "[]".to_owned(),
        next: 300,
        more: true,
    }
}

pub(super) fn fates() -> Fates {
    let lost = Some((JobState::Quarantined, Some("w".to_owned())));
    Fates {
        slots: SlotSet::none(),
        wished: wished(Wish::Cancel),
        cells: vec![None, lost],
    }
}
