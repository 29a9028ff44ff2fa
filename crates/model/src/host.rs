//! The host: its script, its loop, and its functions that guests call.

use crate::machine::{Frame, Halt, Model, Stage};
use crate::script::{HostOp, Import};
use crate::state::{Caller, EndId, HostCall, ImportCall, SubtaskId, TaskId, ThreadId};
use crate::trace::{Event, Resolution};
use crate::traps::Trap;

/// What the host's loop can do next.
enum Turn {
    /// The call that it waits for is resolved: no more.
    Stop,
    /// Resume a thread.
    Resume(ThreadId),
    /// Complete a call of a function of the host.
    Complete(u32),
}

impl Model {
    pub(crate) fn step_host(&mut self, position: u32, stage: Stage) -> Result<(), Halt> {
        let Some(&op) = self.script.host.get(position as usize) else {
            return Err(Halt::Finished);
        };
        let next = Frame::Host {
            position: position + 1,
            stage: Stage::First,
        };
        match (op, stage) {
            (HostOp::Start(function), _) => {
                self.push(next);
                self.start(function)?;
            }
            (HostOp::Call(function), Stage::First) => {
                self.push(Frame::Host {
                    position,
                    stage: Stage::Test,
                });
                self.start(function)?;
            }
            (HostOp::Cancel(call), _) => {
                self.push(next);
                let call = &mut self.calls[usize::from(call)];
                if call.resolution.is_none() && !call.cancel_requested {
                    call.cancel_requested = true;
                    let task = call.task;
                    self.push(Frame::Cancel {
                        task,
                        stage: Stage::First,
                    });
                }
            }
            (HostOp::Call(_), _) => {
                self.drive(position, stage, Some(self.calls_before(position)))?
            }
            (HostOp::Await(call), _) => self.drive(position, stage, Some(u32::from(call)))?,
            (HostOp::Drain, _) => self.drive(position, stage, None)?,
        }
        Ok(())
    }

    /// The loop, one turn: until a call is resolved, or until nothing is ready.
    ///
    /// It may go on for a while after the call is resolved, as a loop does that has more to do.
    fn drive(&mut self, position: u32, stage: Stage, call: Option<u32>) -> Result<(), Halt> {
        let mut turns = self.turns(call);
        if stage != Stage::Asked {
            if turns.is_empty() {
                let waits = self.imports.iter().any(|call| !call.resolved);
                return Err(if waits {
                    Halt::Waits
                } else {
                    Trap::Deadlock.into()
                });
            }
            self.push(Frame::Host {
                position,
                stage: Stage::Asked,
            });
            self.ask(turns.len());
            return Ok(());
        }
        let again = Frame::Host {
            position,
            stage: Stage::Test,
        };
        match turns.swap_remove(self.answer) {
            Turn::Resume(thread) => {
                self.push(again);
                self.resume(thread);
            }
            Turn::Complete(import) => {
                self.push(again);
                self.complete_import(import, Resolution::Returned)?;
            }
            Turn::Stop => {
                self.push(Frame::Host {
                    position: position + 1,
                    stage: Stage::First,
                });
                let result = call.and_then(|call| self.calls[call as usize].result.take());
                if let Some(end) = result {
                    self.unlink(end);
                }
            }
        }
        Ok(())
    }

    fn turns(&self, call: Option<u32>) -> Vec<Turn> {
        let all = (0..self.threads.len() as u32).map(ThreadId);
        let ready = all
            .filter(|thread| self.is_ready(*thread))
            .map(Turn::Resume);
        let mut turns: Vec<Turn> = ready.collect();
        turns.extend(self.imports_to_complete().into_iter().map(Turn::Complete));
        let stops = match call {
            Some(call) => self.calls[call as usize].resolution.is_some(),
            None => turns.is_empty(),
        };
        if stops {
            turns.insert(0, Turn::Stop);
        }
        turns
    }

    /// The number of the call that the host makes at this place of its script.
    fn calls_before(&self, position: u32) -> u32 {
        let before = self.script.host[..position as usize].iter();
        before
            .filter(|op| matches!(op, HostOp::Call(_) | HostOp::Start(_)))
            .count() as u32
    }

    fn start(&mut self, function: u8) -> Result<(), Halt> {
        let call = self.calls.len() as u32;
        self.tell(Event::HostCall(call, function));
        self.calls.push(HostCall {
            task: TaskId(self.tasks.len() as u32),
            resolution: None,
            cancel_requested: false,
            result: None,
        });
        self.invoke(function, Caller::Host(call))?;
        Ok(())
    }

    pub(crate) fn host_call_resolved(&mut self, call: u32, how: Resolution, result: Option<EndId>) {
        let record = &mut self.calls[call as usize];
        record.resolution = Some(how);
        record.result = result;
        self.tell(Event::HostResolve(call, how));
    }

    /// Calls of host functions that the host may complete now, oldest first.
    pub(crate) fn imports_to_complete(&self) -> Vec<u32> {
        let calls = self.imports.iter().enumerate();
        let later = calls.filter(|(_, call)| {
            let import = self.script.imports[usize::from(call.import)];
            import == Import::Later && !call.resolved
        });
        later.map(|(number, _)| number as u32).collect()
    }

    pub(crate) fn call_import(&mut self, import: u8, subtask: SubtaskId) -> Result<u32, Halt> {
        let call = self.imports.len() as u32;
        self.imports.push(ImportCall {
            import,
            subtask,
            resolved: false,
        });
        self.tell(Event::ImportCall(call, import));
        self.subtask_starts(subtask)?;
        if self.script.imports[usize::from(import)] == Import::Ready {
            self.complete_import(call, Resolution::Returned)?;
        }
        Ok(call)
    }

    pub(crate) fn complete_import(&mut self, call: u32, how: Resolution) -> Result<(), Halt> {
        let record = &mut self.imports[call as usize];
        record.resolved = true;
        let subtask = record.subtask;
        self.tell(Event::ImportResolve(call, how));
        match how {
            Resolution::Returned => self.subtask_returns(subtask, None),
            Resolution::Cancelled => self.subtask_is_cancelled(subtask),
        }
        Ok(())
    }
}
