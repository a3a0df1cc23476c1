//! Network namespaces on one switch: each node has a machine's network of its own.
//!
//! ```text
//! switch (a bridge) ── m0 10.99.0.1
//!                   ├─ m1 10.99.0.2
//!                   └─ m2 10.99.0.3
//! ```
//! *Invariants*: nothing outside the lab's own namespaces is changed; they are gone when it is
//! dropped; names hold the process id, so that two labs never meet.
//!
//! *Not here*: what runs in it.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Labs of this process so far.
static LABS: AtomicUsize = AtomicUsize::new(0);

/// A switch with machines.
pub(crate) struct Lab {
    switch: String,
    machines: Vec<String>,
}

/// Runs a program; the error says what it said.
pub(crate) fn run(command: &str) -> Result<Output, String> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    // Not every user's path has the folders in which these programs lie.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = Command::new(program).args(words).env("PATH", path).output();
    let output = output.map_err(|error| format!("{command}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{command}: {said}"))
}

/// Tells whether a program is there; says so if not.
pub(crate) fn has(program: &str) -> bool {
    let there = run(&format!("{program} -V")).is_ok();
    if !there {
        eprintln!("SKIPPED: no {program} here");
    }
    there
}

impl Lab {
    /// Makes so many machines; `None`, with a loud word, where that is not allowed.
    pub(crate) fn new(machines: usize) -> Option<Self> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = format!("glebe-{}-{number}", std::process::id());
        let mut lab = Self {
            switch: format!("{name}-switch"),
            machines: Vec::new(),
        };
        match lab.build(&name, machines) {
            Ok(()) => Some(lab),
            Err(why) => {
                eprintln!("SKIPPED: no network namespaces: {why}");
                None
            }
        }
    }

    fn build(&mut self, name: &str, machines: usize) -> Result<(), String> {
        let switch = self.switch.clone();
        run(&format!("ip netns add {switch}"))?;
        run(&format!("ip -n {switch} link add switch type bridge"))?;
        run(&format!("ip -n {switch} link set switch up"))?;
        for i in 0..machines {
            let machine = format!("{name}-m{i}");
            run(&format!("ip netns add {machine}"))?;
            self.machines.push(machine.clone());
            let pair = format!("link add port{i} type veth peer name eth0 netns {machine}");
            run(&format!("ip -n {switch} {pair}"))?;
            run(&format!("ip -n {switch} link set port{i} master switch"))?;
            run(&format!("ip -n {switch} link set port{i} up"))?;
            let address = Self::address(i);
            run(&format!("ip -n {machine} addr add {address}/24 dev eth0"))?;
            run(&format!("ip -n {machine} link set lo up"))?;
            run(&format!("ip -n {machine} link set eth0 up"))?;
        }
        Ok(())
    }

    /// The address of a machine.
    pub(crate) fn address(machine: usize) -> String {
        format!("10.99.0.{}", machine + 1)
    }

    /// The namespace of a machine.
    pub(crate) fn name(&self, machine: usize) -> &str {
        &self.machines[machine]
    }

    /// Lets nothing of one machine reach another; the other way is left as it is.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        let (machine, to) = (&self.machines[from], Self::address(to));
        run(&format!("ip -n {machine} route add blackhole {to}/32")).unwrap();
    }

    /// Mends what `cut` has cut.
    pub(crate) fn mend(&self, from: usize, to: usize) {
        let (machine, to) = (&self.machines[from], Self::address(to));
        run(&format!("ip -n {machine} route del blackhole {to}/32")).unwrap();
    }

    /// Loses so many of a hundred packets that reach a machine.
    pub(crate) fn lose(&self, machine: usize, percent: u8) {
        let within = format!("ip netns exec {}", self.machines[machine]);
        run(&format!("{within} nft add table inet lab")).unwrap();
        let chain = "{ type filter hook input priority 0 ; }";
        run(&format!("{within} nft add chain inet lab in {chain}")).unwrap();
        let odds = format!("numgen random mod 100 < {percent}");
        run(&format!(
            "{within} nft add rule inet lab in iifname eth0 {odds} drop"
        ))
        .unwrap();
    }

    /// Ends what `lose` began.
    pub(crate) fn lose_nothing(&self, machine: usize) {
        let within = format!("ip netns exec {}", self.machines[machine]);
        run(&format!("{within} nft delete table inet lab")).unwrap();
    }

    /// Lets a machine send no more than so much a second.
    pub(crate) fn throttle(&self, machine: usize, rate: &str) {
        let machine = &self.machines[machine];
        let bucket = format!("tbf rate {rate} burst 64kb latency 50ms");
        run(&format!("tc -n {machine} qdisc add dev eth0 root {bucket}")).unwrap();
    }

    /// Lets a machine neither send nor be sent more than so much a second.
    pub(crate) fn narrow(&self, machine: usize, rate: &str) {
        self.throttle(machine, rate);
        let bucket = format!("tbf rate {rate} burst 64kb latency 50ms");
        let switch = &self.switch;
        run(&format!(
            "tc -n {switch} qdisc add dev port{machine} root {bucket}"
        ))
        .unwrap();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in self.machines.iter().chain([&self.switch]) {
            if let Err(why) = run(&format!("ip netns del {name}")) {
                eprintln!("stays behind: {why}");
            }
        }
    }
}
