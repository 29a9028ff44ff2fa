//! What a script leaves behind when something goes wrong in the middle of it: nothing. Whatever was
//! parked, waited or had its turn is given back, and another instance in the same store runs as if
//! nothing had happened.
//!
//! `TRAMPETTE_MODEL_FAULTS` says in how many random scripts something goes wrong: each is run again
//! and again, with a fault wherever there can be one.

use crate::run::{Fault, Guests, How, Outcome, State, store};
use crate::{GUESTS, SUITE, random_scripts, restrict, scripts_of};
use trampette_model::script::Script;
use trampette_runtime::testing::{InUse, in_use};
use trampette_runtime::{Store, StoreLimits, Trap, TrapCode};

/// Scripts that something goes wrong in: those of the suite, and random ones.
fn scripts() -> Vec<Script> {
    let mut scripts = scripts_of(SUITE);
    scripts.extend(random_scripts(7, "TRAMPETTE_MODEL_FAULTS", 60));
    scripts.iter_mut().for_each(restrict);
    scripts
}

fn run(guests: &Guests, script: &Script, store: &mut Store<State>) -> Outcome {
    let outcome = guests.run(script, store);
    outcome.unwrap_or_else(|error| panic!("{error:?}\nof\n{script}"))
}

/// After something went wrong: nothing is in use, the instance is not entered again, and another
/// one does what it should.
fn is_as_before(
    script: &Script,
    store: &mut Store<State>,
    wrong: &Outcome,
    right: &[String],
    what: &str,
) {
    let shown = wrong.trace.join("\n");
    let used = in_use(&*store);
    assert_eq!(used, InUse::default(), "{what}\n{script}{shown}");
    let error = wrong.call_again(store).unwrap_err();
    let code = error.downcast_ref::<Trap>().map(Trap::kind);
    assert_eq!(code, Some(TrapCode::CannotEnter), "{what}\n{script}{shown}");
    let again = run(&GUESTS, script, store);
    assert_eq!(again.trace, right, "{what}\n{script}{shown}");
}

#[test]
fn faults_leave_nothing_behind() {
    let mut runs = 0;
    for script in scripts() {
        let right = run(&GUESTS, &script, &mut store());
        for at in 1..=right.told {
            for how in [How::Error, How::Panic, How::Interrupt] {
                let mut store = store();
                store.data_mut().fault = Some(Fault { at, how });
                let wrong = run(&GUESTS, &script, &mut store);
                let what = format!("{how:?} after {at} lines");
                let told = wrong.trace.join("\n");
                let expected = match how {
                    How::Error => "trap the host fails",
                    How::Panic => "panic",
                    How::Interrupt => "trap interrupt",
                };
                let last = wrong.trace.last().map(String::as_str);
                assert_eq!(last, Some(expected), "{what}\n{script}{told}");
                assert_eq!(wrong.told, at, "{what}\n{script}{told}");
                is_as_before(&script, &mut store, &wrong, &right.trace, &what);
                runs += 1;
            }
        }
    }
    eprintln!("{runs} faults");
    assert!(runs > 1_000);
}

/// A limit, and the trap that says that it is reached.
type Limit = (TrapCode, fn(StoreLimits, u32) -> StoreLimits);

const LIMITS: [Limit; 4] = [
    (TrapCode::TaskLimit, StoreLimits::with_tasks),
    (TrapCode::EndLimit, StoreLimits::with_ends),
    (TrapCode::SetLimit, StoreLimits::with_sets),
    (TrapCode::TaskStackLimit, StoreLimits::with_task_stacks),
];

#[test]
fn limits_are_clear_and_leave_nothing_behind() {
    let mut reached = [0; LIMITS.len()];
    for script in scripts() {
        let right = run(&GUESTS, &script, &mut store());
        for ((code, limited), reached) in LIMITS.into_iter().zip(&mut reached) {
            // Up to what it needs.
            for limit in 0.. {
                let mut store = store();
                store.data_mut().limits = Some(limited(StoreLimits::default(), limit));
                let wrong = run(&GUESTS, &script, &mut store);
                if wrong.trace == right.trace {
                    break;
                }
                let what = format!("with at most {limit}: {code:?}");
                let told = wrong.trace.join("\n");
                let trap = wrong.failure.as_ref().and_then(|failure| failure.trap());
                assert_eq!(trap, Some(code), "{what}\n{script}{told}");
                *reached += 1;
                store.set_limits(StoreLimits::default());
                // The host's call may be refused: then it has not begun, and has ended nothing.
                if wrong.has_begun() {
                    is_as_before(&script, &mut store, &wrong, &right.trace, &what);
                }
            }
        }
    }
    eprintln!("limits were reached {reached:?} times");
    assert!(reached.into_iter().all(|count| count > 10), "{reached:?}");
}
