//! A model of what the Canonical ABI says about handles, and scripts for `graphs`.
//!
//! The model makes a script while it carries it out: it keeps the handle tables, lends and counts
//! of borrowed handles as `definitions.py` does, and so knows every index that a guest gets, and
//! the trap that ends the script, if one does.

use super::compile;
use super::graphs::{DROP, Graph, Kind, NEW, REP, RETURN, Route, TRAP, call_op};
use super::random::Random;
use anyhow::{Context, Result, ensure};
use trampette_runtime::{Linker, Store, Trap, TrapCode, TypedFunc};

/// A handle in the model: what `ResourceHandle` is in `definitions.py`.
#[derive(Clone, Copy)]
struct Handle {
    rep: u32,
    own: bool,
    /// The task that it was lowered for, if it is borrowed.
    scope: usize,
    lends: u32,
}

/// A handle table: the index freed last is reused first.
#[derive(Default)]
struct Table {
    handles: Vec<Option<Handle>>,
    free: Vec<usize>,
}

/// What a call gives back.
#[derive(Clone, Copy)]
enum Returns {
    Nothing,
    /// A handle that the callee owns.
    Handle,
}

impl Table {
    fn add(&mut self, handle: Handle) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.handles.resize(self.handles.len().max(1) + 1, None);
            self.handles.len() - 1
        });
        self.handles[index] = Some(handle);
        index as u32
    }

    fn get(&mut self, index: u32) -> Outcome<&mut Handle> {
        let handle = self.handles.get_mut(index as usize);
        handle
            .and_then(Option::as_mut)
            .ok_or(TrapCode::UnknownHandle)
    }

    fn remove(&mut self, index: u32) {
        self.handles[index as usize] = None;
        self.free.push(index as usize);
    }

    /// The indices of handles of a kind.
    fn indices(&self, which: impl Fn(&Handle) -> bool) -> Vec<u32> {
        let all = self.handles.iter().enumerate();
        all.filter(|(_, handle)| handle.as_ref().is_some_and(&which))
            .map(|(index, _)| index as u32)
            .collect()
    }
}

type Outcome<T> = std::result::Result<T, TrapCode>;

/// How deep calls nest before nothing more is called.
const DEPTH: usize = 9;

/// The model, and the script that it makes.
struct Model<'m> {
    graph: &'m Graph,
    random: &'m mut Random,
    script: Vec<u32>,
    notes: Vec<u32>,
    /// One for each instance, and that of the component around them.
    tables: Vec<Table>,
    /// How many borrowed handles each task holds.
    tasks: Vec<u32>,
    /// Steps that may still be made.
    left: usize,
    /// How often, in percent, something is done that should not be.
    mistakes: usize,
    /// The last representation.
    rep: u32,
}

impl Model<'_> {
    fn begin_task(&mut self) -> usize {
        self.tasks.push(0);
        self.tasks.len() - 1
    }

    fn op(&mut self, op: u32, operand: u32) {
        self.script.extend([op, operand]);
    }

    /// One of these handles; now and then another one, or any index.
    fn choose(&mut self, at: usize, which: impl Fn(&Handle) -> bool) -> Option<u32> {
        let mistake = self.random.percent(self.mistakes);
        if mistake && self.random.percent(8) {
            let any = self.tables[at].handles.len() + 2;
            return Some(self.random.below(any) as u32);
        }
        match &self.tables[at].indices(|handle| mistake || which(handle))[..] {
            [] => None,
            all => Some(self.random.pick(all)),
        }
    }

    /// What an instance does in a task, up to its return; the operand of that is the result.
    fn exec(&mut self, at: usize, task: usize, depth: usize, returns: Returns) -> Outcome<u32> {
        let steps = match depth {
            0 => 30,
            _ if depth < DEPTH => self.random.below(8),
            _ => 0,
        };
        for _ in 0..steps {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            self.step(at, depth)?;
        }
        while !self.random.percent(2 * self.mistakes) {
            let own = self.tables[at].indices(|h| !h.own && h.scope == task);
            let Some(index) = own.first() else { break };
            self.op(DROP, *index);
            self.drop_handle(at, *index, depth)?;
        }
        let result = match returns {
            Returns::Nothing => 0,
            Returns::Handle => match self.choose(at, |handle| handle.own && handle.lends == 0) {
                Some(index) => index,
                None => self.new_handle(at),
            },
        };
        self.op(RETURN, result);
        Ok(result)
    }

    fn step(&mut self, at: usize, depth: usize) -> Outcome<()> {
        let callees = self.graph.callees(at);
        match self.random.below(100) {
            0..15 => drop(self.new_handle(at)),
            15..35 => {
                let free = |handle: &Handle| handle.lends == 0;
                if let Some(index) = self.choose(at, free) {
                    self.op(DROP, index);
                    self.drop_handle(at, index, depth)?;
                }
            }
            35..40 if at == 0 => {
                if let Some(index) = self.choose(at, |_| true) {
                    self.op(REP, index);
                    let rep = self.tables[at].get(index)?.rep;
                    self.notes.push(rep);
                }
            }
            40 if self.random.percent(self.mistakes) => {
                self.op(TRAP, 0);
                return Err(TrapCode::Unreachable);
            }
            _ if callees.is_empty() => {}
            _ => {
                let (callee, kind, route) = self.random.pick(&callees);
                let operand = match kind {
                    Kind::Plain | Kind::Take => Some(0),
                    Kind::Lend => self.choose(at, |_| true),
                    Kind::Give => self.choose(at, |handle| handle.own && handle.lends == 0),
                };
                if let Some(operand) = operand {
                    self.op(call_op(callee, kind), operand);
                    self.call(at, callee, kind, route, operand, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        at: usize,
        callee: usize,
        kind: Kind,
        route: Route,
        operand: u32,
        depth: usize,
    ) -> Outcome<()> {
        let around = self.graph.count();
        match kind {
            Kind::Plain => {
                let task = self.begin_task();
                self.exec(callee, task, depth, Returns::Nothing)?;
            }
            Kind::Lend => match route {
                Route::Direct => self.lend(at, operand, callee, |model, handle, task| {
                    model.notes.push(handle);
                    model.exec(callee, task, depth, Returns::Nothing).map(drop)
                })?,
                Route::Switch => self.lend(at, operand, around, |model, between, _| {
                    model.lend(around, between, callee, |model, handle, task| {
                        model.notes.push(handle);
                        model.exec(callee, task, depth, Returns::Nothing).map(drop)
                    })?;
                    model.drop_handle(around, between, depth)
                })?,
            },
            Kind::Give => {
                let mut handle = operand;
                let mut from = at;
                if route == Route::Switch {
                    handle = self.give(at, handle, around)?;
                    from = around;
                }
                let handle = self.give(from, handle, callee)?;
                self.notes.push(handle);
                let task = self.begin_task();
                self.exec(callee, task, depth, Returns::Nothing)?;
            }
            Kind::Take => {
                let task = self.begin_task();
                let mut handle = self.exec(callee, task, depth, Returns::Handle)?;
                let mut from = callee;
                if route == Route::Switch {
                    handle = self.give(callee, handle, around)?;
                    from = around;
                }
                let handle = self.give(from, handle, at)?;
                self.notes.push(handle);
            }
        }
        Ok(())
    }

    /// `lift_borrow`, `lower_borrow`, the call, its return, and the end of the lend.
    fn lend(
        &mut self,
        from: usize,
        index: u32,
        to: usize,
        call: impl FnOnce(&mut Self, u32, usize) -> Outcome<()>,
    ) -> Outcome<()> {
        let lent = self.tables[from].get(index)?;
        lent.lends += 1;
        let rep = lent.rep;
        let scope = self.begin_task();
        let handle = match to {
            0 => rep,
            _ => {
                self.tasks[scope] += 1;
                self.tables[to].add(Handle {
                    rep,
                    own: false,
                    scope,
                    lends: 0,
                })
            }
        };
        call(self, handle, scope)?;
        if self.tasks[scope] > 0 {
            return Err(TrapCode::BorrowsRemain);
        }
        self.tables[from].get(index)?.lends -= 1;
        Ok(())
    }

    /// `lift_own`, `lower_own`.
    fn give(&mut self, from: usize, index: u32, to: usize) -> Outcome<u32> {
        let handle = *self.tables[from].get(index)?;
        if !handle.own {
            return Err(TrapCode::HandleNotOwned);
        }
        if handle.lends > 0 {
            return Err(TrapCode::HandleLent);
        }
        self.tables[from].remove(index);
        Ok(self.tables[to].add(handle))
    }

    /// A new resource, made by the instance that defines it.
    fn new_handle(&mut self, at: usize) -> u32 {
        self.rep += 1;
        let rep = self.rep;
        self.op(NEW, rep);
        let own = Handle {
            rep,
            own: true,
            scope: 0,
            lends: 0,
        };
        let mut index = self.tables[0].add(own);
        if at != 0 {
            index = self.give(0, index, at).expect("it is not lent");
        }
        self.notes.push(index);
        index
    }

    fn drop_handle(&mut self, at: usize, index: u32, depth: usize) -> Outcome<()> {
        let handle = *self.tables[at].get(index)?;
        if handle.lends > 0 {
            return Err(TrapCode::HandleLent);
        }
        self.tables[at].remove(index);
        if !handle.own {
            self.tasks[handle.scope] -= 1;
        } else if self.graph.destructor {
            self.notes.push(handle.rep);
            let task = self.begin_task();
            self.exec(0, task, depth + 1, Returns::Nothing)?;
        }
        Ok(())
    }
}

/// The script, where the host is in it, and what guests have noted.
#[derive(Default)]
struct Host {
    script: Vec<u32>,
    at: usize,
    notes: Vec<u32>,
}

/// Runs random scripts in a graph's component; says which ends otherwise than in the model.
pub fn check(graph: &Graph, scripts: usize, random: &mut Random) -> Result<()> {
    let component = compile(&graph.text())?;
    let mut linker = Linker::<Host>::new();
    linker
        .root()
        .func_wrap::<(), u32, _>("next", |mut caller, ()| {
            let host = caller.data_mut();
            host.at += 1;
            let next = host.script.get(host.at - 1).copied();
            next.context("the script has ended")
        })?;
    linker
        .root()
        .func_wrap::<(u32,), (), _>("note", |mut caller, (value,)| {
            caller.data_mut().notes.push(value);
            Ok(())
        })?;
    for _ in 0..scripts {
        let first = graph.count() - 1 - random.below(graph.count()) / 2;
        let mistakes = random.pick(&[0, 1, 3, 8]);
        let mut model = Model {
            graph,
            random: &mut *random,
            script: Vec::new(),
            notes: Vec::new(),
            tables: std::iter::repeat_with(Table::default)
                .take(graph.count() + 1)
                .collect(),
            tasks: Vec::new(),
            left: 250,
            mistakes,
            rep: 100,
        };
        let task = model.begin_task();
        let expected = model.exec(first, task, 0, Returns::Nothing).map(drop);
        let (script, notes) = (model.script, model.notes);
        let mut store = Store::new(Host {
            script: script.clone(),
            ..Host::default()
        });
        let instance = linker.instantiate(&mut store, &component)?;
        let run = instance.get_typed_func::<(), ()>(&mut store, format!("run{first}"))?;
        let result = run.call(&mut store, ());
        let found = match &result {
            Ok(()) => Ok(()),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => Err(trap.kind()),
                None => return result.context("no trap"),
            },
        };
        let host = store.data();
        ensure!(
            found == expected && host.notes == notes && host.at == script.len(),
            "from {first}: expected {expected:?}, found {found:?} ({result:?})\n\
             after {} of {} numbers of {script:?}\n\
             noted {:?}\nexpected {notes:?}",
            host.at,
            script.len(),
            host.notes
        );
        // What has trapped is locked; what has not can run again.
        let mut second = run_again(&mut store, &run);
        if expected.is_err() {
            second = second.and_then(|found| {
                ensure!(found == Some(TrapCode::CannotEnter), "found {found:?}");
                Ok(None)
            });
        }
        ensure!(second?.is_none(), "a second call has trapped");
    }
    Ok(())
}

/// Calls again with a script that returns at once; the trap, if there is one.
fn run_again(store: &mut Store<Host>, run: &TypedFunc<(), ()>) -> Result<Option<TrapCode>> {
    *store.data_mut() = Host {
        script: vec![RETURN, 0],
        ..Host::default()
    };
    match run.call(store, ()) {
        Ok(()) => Ok(None),
        Err(error) => match error.downcast_ref::<Trap>() {
            Some(trap) => Ok(Some(trap.kind())),
            None => Err(error),
        },
    }
}
