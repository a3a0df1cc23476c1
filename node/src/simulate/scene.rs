//! A drill under way: nodes, their users, and what befalls them.
//!
//! *Invariants*: users wait for nobody but the node they asked; in the end everything is mended,
//! and then every promise must hold on every node.
//!
//! *Not here*: what is drawn (`faults`), what was promised (`truth`).

mod mend;
mod rot;
mod shift;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::dice::Dice;
use super::drill::{Drill, Outcome};
use super::faults::{AGAIN, AT_FIRST, Fate, Fault};
use super::imagery::Imagery;
use super::log::Log;
use super::machine::{Charter, Machine};
use super::network::{Network, Sent, Weather, short};
use super::truth::Truth;
use crate::cluster::Join;
use crate::layout::What;
use crate::store::{STEPS, When};
use crate::token::{ClusterId, ClusterSecret};

/// How often nodes are looked at, faults drawn and users sent: virtual time.
const STEP: Duration = Duration::from_millis(50);
/// Longest that a cluster may take to come up in calm weather.
const UP_LIMIT: Duration = Duration::from_mins(1);
/// Nodes that may join beside those there at the start.
const NEWCOMERS_MAX: usize = 2;
/// Greatest hour that a time of day is wrong by.
const WRONG_MS: i64 = 3_600_000;

/// A drill under way.
pub(super) struct Scene<'a> {
    drill: &'a Drill,
    dice: Dice,
    imagery: &'static Imagery,
    root: PathBuf,
    log: Arc<Log>,
    network: Arc<Network>,
    charter: Charter,
    machines: Vec<Machine>,
    truth: Arc<Mutex<Truth>>,
    fate: Fate,
    /// What ends when.
    ends: Vec<(Duration, End)>,
    counts: BTreeMap<Fault, u64>,
    /// Nodes that came back at another address.
    moves: u8,
    /// The member that was last asked to give up its slots.
    drained: Option<usize>,
    /// Files of which bytes have turned, until they are whole again or gone.
    turned: Vec<rot::Turned>,
    /// How often the power failed at which step.
    cuts: BTreeMap<&'static str, u64>,
    users: users::Users,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A node is down.
    Down(usize),
    /// The network is cut.
    Cut,
    /// The weather is bad.
    Storm,
    /// A disk is full.
    Full(usize),
    /// A node whose disk is lost is a member.
    Gone(usize),
}

impl<'a> Scene<'a> {
    /// Sets the scene of a drill below a folder.
    pub(super) fn new(
        drill: &'a Drill,
        (mut dice, imagery): (Dice, &'static Imagery),
        root: &Path,
    ) -> std::io::Result<Self> {
        let log = Arc::new(Log::new(drill.detail));
        let hex = |bytes: &[u8]| crate::identity::to_hex(bytes);
        let drawn = |e: &dyn std::fmt::Debug| std::io::Error::other(format!("{e:?}"));
        let charter = Charter {
            cluster: ClusterId::try_from(hex(&dice.bytes()[..16])).map_err(|e| drawn(&e))?,
            secret: ClusterSecret::try_from(hex(&dice.bytes())).map_err(|e| drawn(&e))?,
            replicas: drill.replicas,
        };
        let mut machines = Vec::new();
        for number in 0..usize::from(drill.nodes) {
            machines.push(Machine::new(root, number, &dice.bytes())?);
        }
        Ok(Self {
            network: Network::new(dice.fork(), Arc::clone(&log)),
            fate: Fate::new(dice.fork(), &drill.faults),
            users: users::Users::new(dice.fork(), imagery),
            truth: Arc::new(Mutex::new(Truth::new(imagery, drill.replicas))),
            root: root.to_owned(),
            ends: Vec::new(),
            counts: BTreeMap::new(),
            moves: 0,
            drained: None,
            turned: Vec::new(),
            cuts: STEPS.iter().map(|step| (step.word, 0)).collect(),
            drill,
            dice,
            imagery,
            log,
            charter,
            machines,
        })
    }

    /// Plays it to the end.
    pub(super) async fn play(&mut self) -> Outcome {
        let mut healed_after = None;
        if self.come_up().await {
            self.go_wrong().await;
            healed_after = self.heal().await;
            self.hold_to_all().await;
        } else {
            self.violate("the cluster did not come up in calm weather".to_owned());
        }
        self.end().await;
        let (digest, lines) = self.log.read();
        let truth = self.truth();
        let sent = self.network.sent();
        Outcome {
            digest,
            lines,
            violations: truth.violations.clone(),
            tally: truth.tally,
            faults: self.counts.iter().map(|(f, n)| (*f, *n)).collect(),
            cuts: self.cuts.clone(),
            healed_after,
            frames: sent
                .values()
                .fold((0, 0), |sum, s| (sum.0 + s.frames, sum.1 + s.bytes)),
        }
    }

    /// Lets nobody do anything; returns bytes a second that nodes send, on average and at most.
    pub(super) async fn idle(&mut self) -> (f64, f64) {
        self.come_up().await;
        tokio::time::sleep(self.drill.lasts).await;
        let before = self.network.sent();
        tokio::time::sleep(self.drill.lasts).await;
        let after = self.network.sent();
        let seconds = self.drill.lasts.as_secs_f64();
        let sent = self.machines.iter().map(|m| {
            let bytes = |sent: &BTreeMap<_, Sent>| sent.get(&m.id).map_or(0, |s| s.bytes);
            (bytes(&after) - bytes(&before)) as f64 / seconds
        });
        let sent: Vec<f64> = sent.collect();
        self.end().await;
        let sum: f64 = sent.iter().sum();
        let most = sent.iter().copied().fold(0.0, f64::max);
        (sum / sent.len() as f64, most)
    }

    /// Founds the cluster and lets all others join, one after the other.
    async fn come_up(&mut self) -> bool {
        if let Err(fault) = self.machines[0].found(&self.charter) {
            self.log.event(format_args!("not founded: {fault}"));
            return false;
        }
        for i in 0..self.machines.len() {
            self.start(i);
            let limit = self.log.elapsed() + UP_LIMIT;
            while self.machines[i].cluster().is_none() {
                if self.log.elapsed() > limit {
                    return false;
                }
                self.look_after().await;
            }
        }
        self.put_collection().await
    }

    /// Lets users work while everything goes wrong.
    async fn go_wrong(&mut self) {
        let until = self.log.elapsed() + self.drill.lasts;
        while self.log.elapsed() < until {
            self.look_after().await;
            let now = self.log.elapsed();
            if let Some((fault, lasts)) = self.fate.due(now) {
                self.befall(fault, now + lasts).await;
            }
            self.end_some(now);
            self.send_users();
        }
    }

    /// Waits a moment; notes who is up.
    async fn look_after(&mut self) {
        tokio::time::sleep(STEP).await;
        let again = self.log.elapsed() + STEP * 20;
        for (i, machine) in self.machines.iter_mut().enumerate() {
            let was_up = machine.cluster().is_some();
            if let Some(fault) = machine.settle(&self.network).await {
                self.log
                    .event(format_args!("{} does not start: {fault}", machine.name));
                self.ends.push((again, End::Down(i)));
            } else if !was_up && machine.cluster().is_some() {
                self.log.event(format_args!("{} is up", machine.name));
            }
        }
        for i in 0..self.machines.len() {
            if self.machines[i].is_dark() {
                self.log_cut(i);
                let until = self.log.elapsed() + self.fate.outage();
                self.kill(i, until).await;
                self.cut_next(i, (AGAIN, When::Start));
            }
        }
        self.see_healed();
    }

    fn log_cut(&self, i: usize) {
        let name = &self.machines[i].name;
        let step = self.machines[i].lost_power_at().unwrap_or("no step");
        self.log
            .event(format_args!("{name} has lost its power: {step}"));
    }

    /// Lets a node's power fail, so many times of a thousand, at a step that it takes then.
    fn cut_next(&mut self, i: usize, (of_thousand, when): (u64, When)) {
        if self.fate.also_cuts(of_thousand) {
            let power = self.fate.power(when);
            self.machines[i].lose_power(power);
        }
    }

    /// Starts a node; it joins, or comes back to whoever is up.
    fn start(&mut self, i: usize) {
        let join = self.ticket(i);
        let machine = &mut self.machines[i];
        if let Some(step) = machine.lost_power_at() {
            *self.cuts.entry(step).or_default() += 1;
        }
        let name = format!("{} ..{}", machine.name, short(&machine.id));
        match machine.start(&self.network, join) {
            Ok(()) => self.log.event(format_args!("{name} starts")),
            Err(_) if machine.has_lost_power() => {
                self.log_cut(i);
                let until = self.log.elapsed() + self.fate.outage();
                self.ends.push((until, End::Down(i)));
                self.cut_next(i, (AGAIN, When::Start));
            }
            Err(fault) => {
                let what = format!("{name} cannot open its disk: {fault}");
                self.log.event(format_args!("{what}"));
                self.violate(what);
            }
        }
    }

    /// Returns what lets a node in, or has it find the others again: the address of another one
    /// that is up.
    fn ticket(&self, i: usize) -> Option<Join> {
        let member = self.guide(i)?;
        let day = member.cluster()?.core.day();
        let expires = day.saturating_add(crate::cluster::TOKEN_LIFETIME).ok()?;
        Some(Join {
            address: member.address.to_string(),
            token: Some(self.charter.secret.token(self.charter.cluster, expires)),
        })
    }

    /// Returns another node that is up, one that this one knows if there is any.
    fn guide(&self, i: usize) -> Option<&Machine> {
        let others = self.machines.iter().enumerate();
        let up = others.filter(|(other, m)| *other != i && !m.left && m.cluster().is_some());
        let up: Vec<&Machine> = up.map(|(_, machine)| machine).collect();
        let known = up.iter().find(|m| self.machines[i].knows(&m.id));
        known.or(up.first()).copied()
    }

    /// Tells whether a node finds the others from another address: who all move while it is away
    /// are found at the address of one that it knows, and of nobody who came meanwhile.
    fn may_move(&self, i: usize) -> bool {
        let guide = self.guide(i);
        guide.is_some_and(|guide| self.machines[i].knows(&guide.id))
    }

    /// Lets something go wrong.
    async fn befall(&mut self, fault: Fault, until: Duration) {
        let i = self.fate.place(self.machines.len());
        let other = self.fate.place(self.machines.len());
        let name = self.machines[i].name.clone();
        let seconds = until.as_secs_f64();
        let word = fault.word();
        self.log
            .event(format_args!("{word} {name} until {seconds:.3}"));
        *self.counts.entry(fault).or_default() += 1;
        match fault {
            Fault::Kill => self.kill(i, until).await,
            Fault::Outage => {
                for i in 0..self.machines.len() {
                    self.kill(i, until).await;
                }
            }
            Fault::PowerCut => {
                let down = self.machines[i].is_down();
                let when = if down { When::Start } else { When::Work };
                let power = self.fate.power(when);
                self.machines[i].lose_power(power);
            }
            Fault::Partition => self.part(until),
            Fault::OneWay => {
                let (from, to) = (&self.machines[i].id, &self.machines[other].id);
                self.network.cut(from, to);
                self.ends.push((until, End::Cut));
            }
            Fault::Storm => {
                self.network.set_weather(Weather::STORM);
                self.ends.push((until, End::Storm));
            }
            Fault::FullDisk => {
                self.machines[i].fill(true);
                self.ends.push((until, End::Full(i)));
            }
            Fault::Pause => self.pause(i, until),
            Fault::WrongDay => {
                let ahead = if self.fate.coin() {
                    WRONG_MS
                } else {
                    -WRONG_MS
                };
                self.machines[i].skew.set_day(ahead);
            }
            Fault::Join => self.join(),
            Fault::Leave => self.leave(i),
            Fault::LostDisk => self.lose_disk(i, until).await,
            Fault::Shift => self.shift(i, other),
            Fault::Rot => self.rot(i),
        }
    }

    async fn kill(&mut self, i: usize, until: Duration) {
        if let Err(leak) = self.machines[i].kill(&self.network).await {
            self.violate(leak.to_string());
        }
        self.ends.push((until, End::Down(i)));
    }

    /// Cuts the cluster in two.
    fn part(&mut self, until: Duration) {
        let side: Vec<bool> = self.machines.iter().map(|_| self.fate.coin()).collect();
        for (a, here) in self.machines.iter().zip(&side) {
            for (b, there) in self.machines.iter().zip(&side) {
                if here != there {
                    self.network.cut(&a.id, &b.id);
                }
            }
        }
        self.log.event(format_args!("sides {side:?}"));
        self.ends.push((until, End::Cut));
    }

    /// Cuts a node off, and makes its clock jump over the time it is away.
    fn pause(&mut self, i: usize, until: Duration) {
        for other in &self.machines {
            self.network.cut(&self.machines[i].id, &other.id);
            self.network.cut(&other.id, &self.machines[i].id);
        }
        let lasts = until.saturating_sub(self.log.elapsed());
        let millis = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.machines[i].skew.pause(millis);
        self.ends.push((until, End::Cut));
    }

    /// Lets another node join.
    fn join(&mut self) {
        let number = self.machines.len();
        if number >= usize::from(self.drill.nodes) + NEWCOMERS_MAX {
            return;
        }
        match Machine::new(&self.root, number, &self.dice.bytes()) {
            Ok(machine) => self.machines.push(machine),
            Err(error) => return self.violate(format!("no disk for a newcomer: {error}")),
        }
        self.cut_next(number, (AT_FIRST, When::First));
        if self.ticket(number).is_some() {
            self.start(number);
        } else {
            self.ends.push((self.log.elapsed(), End::Down(number)));
        }
    }

    /// Takes a node out for good, if enough others stay and none has lost its disk, or bytes that
    /// are not healed yet: what is only on these two is lost.
    fn leave(&mut self, i: usize) {
        let lost = self.machines.iter().any(|m| m.gone) || !self.turned.is_empty();
        if self.can_spare(i) && !lost {
            self.take_out(i, i);
        }
    }

    /// Has one member take another, or itself, out of the cluster.
    fn take_out(&mut self, by: usize, i: usize) {
        let id = self.machines[i].id.clone();
        let Some(cluster) = self.machines[by].cluster() else {
            return;
        };
        self.machines[i].left = cluster.core.change(|view, _| {
            let changes = view.ring.changes().with(id, What::Leave);
            changes.is_ok_and(|changes| view.merge(&changes))
        });
    }

    /// Tells whether a node is a member without which there are enough others.
    fn can_spare(&self, i: usize) -> bool {
        let stays = |(n, m): &(usize, &Machine)| !m.left && !m.gone && self.drained != Some(*n);
        let stay = self.machines.iter().enumerate().filter(stays).count();
        let machine = &self.machines[i];
        stay > usize::from(self.drill.replicas) && !machine.left && machine.cluster().is_some()
    }

    /// Loses a node's disk for good; it is taken out later. Of one drill, one disk: W nodes hold
    /// what is acknowledged, and the others may not be alike yet; nor one besides bytes that are
    /// not healed yet.
    async fn lose_disk(&mut self, i: usize, until: Duration) {
        let lost = self.machines.iter().any(|m| m.left || m.gone) || !self.turned.is_empty();
        if !self.can_spare(i) || lost {
            return;
        }
        if let Err(leak) = self.machines[i].kill(&self.network).await {
            self.violate(leak.to_string());
        }
        self.machines[i].gone = true;
        self.ends.push((until, End::Gone(i)));
    }

    /// Has whoever is up take out a node whose disk is lost.
    fn forsake(&mut self, i: usize) {
        let up = |machine: &Machine| !machine.left && machine.cluster().is_some();
        match self.machines.iter().position(up) {
            Some(by) => self.take_out(by, i),
            None => self
                .ends
                .push((self.log.elapsed() + STEP * 10, End::Gone(i))),
        }
    }

    /// Ends what has lasted long enough.
    fn end_some(&mut self, now: Duration) {
        let ends = std::mem::take(&mut self.ends);
        let (over, lasting): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(at, _)| *at <= now);
        self.ends = lasting;
        for (_, end) in over {
            self.undo(end);
        }
    }

    fn undo(&mut self, end: End) {
        self.log.event(format_args!("over: {end:?}"));
        match end {
            End::Down(i) if self.machines[i].is_down() && !self.machines[i].gone => {
                // A newcomer that finds nobody to join tries again later.
                let found = self.ticket(i).is_some();
                if found || self.machines[i].is_member() {
                    if found && self.fate.coin() && self.may_move(i) {
                        self.moves = self.moves.wrapping_add(1);
                        self.machines[i].move_to(i, self.moves);
                    }
                    self.start(i);
                } else {
                    self.ends
                        .push((self.log.elapsed() + STEP * 10, End::Down(i)));
                }
            }
            End::Cut => self.network.mend(),
            End::Storm => self.network.set_weather(Weather::CALM),
            End::Full(i) => self.machines[i].fill(false),
            End::Gone(i) if self.machines[i].gone && !self.machines[i].left => self.forsake(i),
            End::Down(_) | End::Gone(_) => {}
        }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn violate(&self, what: String) {
        self.log.event(format_args!("BROKEN: {what}"));
        self.truth().violate(what);
    }
}
