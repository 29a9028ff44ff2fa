//! Makes a script smaller for as long as it still fails.

use crate::script::{HostOp, Op, Script, Slot};

/// The smallest script that can be reached from `script` by leaving things out, of which `fails` is
/// still true. `fails` is asked often, and only about scripts that are well formed.
pub fn shrink(script: &Script, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut best = script.clone();
    loop {
        let smaller = candidates(&best)
            .into_iter()
            .find(|candidate| *candidate != best && candidate.check().is_ok() && fails(candidate));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Scripts that say a little less, those that say much less first.
fn candidates(script: &Script) -> Vec<Script> {
    let mut found = Vec::new();
    for body in 0..bodies(&mut script.clone()).len() {
        let with = |change: &dyn Fn(&mut Vec<Op>)| {
            let mut copy = script.clone();
            change(bodies(&mut copy)[body]);
            copy
        };
        let length = bodies(&mut script.clone())[body].len();
        if length > 1 {
            found.push(with(&|ops| ops.clear()));
            found.push(with(&|ops| ops.truncate(length / 2)));
        }
        found.extend((0..length).rev().map(|at| {
            with(&|ops| {
                ops.remove(at);
            })
        }));
    }
    for at in (0..script.host.len()).rev() {
        let mut copy = script.clone();
        let removed = copy.host.remove(at);
        if matches!(removed, HostOp::Call(_) | HostOp::Start(_)) {
            renumber(&mut copy.host, script, at);
        }
        found.push(copy);
    }
    for at in 0..script.host.len() {
        if let HostOp::Start(function) = script.host[at] {
            let mut copy = script.clone();
            copy.host[at] = HostOp::Call(function);
            found.push(copy);
        }
    }
    for body in 0..bodies(&mut script.clone()).len() {
        for at in 0..bodies(&mut script.clone())[body].len() {
            let mut copy = script.clone();
            let op = &mut bodies(&mut copy)[body][at];
            simplify(op);
            found.push(copy);
        }
    }
    if script.instances() > 1 {
        let mut copy = script.clone();
        copy.functions
            .iter_mut()
            .for_each(|function| function.instance = 0);
        found.push(copy);
    }
    found
}

fn bodies(script: &mut Script) -> Vec<&mut Vec<Op>> {
    let functions = script.functions.iter_mut();
    let mut bodies: Vec<&mut Vec<Op>> = functions
        .flat_map(|function| [&mut function.body, &mut function.post])
        .collect();
    bodies.extend(&mut script.threads);
    bodies
}

/// After a call was left out, later calls have smaller numbers.
fn renumber(host: &mut Vec<HostOp>, script: &Script, at: usize) {
    let before = script.host[..at].iter();
    let gone = before
        .filter(|op| matches!(op, HostOp::Call(_) | HostOp::Start(_)))
        .count() as u8;
    host.retain_mut(|op| match op {
        HostOp::Await(call) | HostOp::Cancel(call) => {
            let stays = *call != gone;
            if *call > gone {
                *call -= 1;
            }
            stays
        }
        HostOp::Call(_) | HostOp::Start(_) | HostOp::Drain => true,
    });
}

fn simplify(op: &mut Op) {
    if let Op::Copy { length, .. } = op
        && *length > 1
    {
        *length -= 1;
    }
    for slot in op.slots_mut() {
        if let Slot::Global(_) = slot {
            *slot = Slot::Local(0);
        }
    }
}
