//! `canon` definitions of the asynchronous part: built-ins about tasks, waitables, streams and
//! futures, each a [`TrampolineKind::Concurrent`]; and the tasks that a flattened component has.

use super::canonical::{TrampolineIdentity, i32s};
use super::flatten::{Flattener, ScopeIndex, entry};
use super::types::TypeValue;
use crate::layout::{Reentrance, stacked};
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{
    CanonicalOptions, ConcurrentBuiltIn as BuiltIn, CoreFunc, EndCopy, LiftedFunction, TaskCaller,
    TrampolineKind, flatten,
};
use anyhow::{Context, Result, bail};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{CopyId, TypeId};
use trampette_artifact::tasks::{EndKind, EndOperation, ThreadOperation};
use trampette_artifact::types::Type;
use wasmparser::{CanonicalFunction as F, CanonicalOption, ComponentValType, ValType};

impl<'p, 'a> Flattener<'p, 'a> {
    /// Interprets a `canon` definition of the asynchronous part.
    pub(super) fn concurrent(&mut self, scope: ScopeIndex, function: &F) -> Result<CoreFunc> {
        let (built_in, signature) = match function {
            F::TaskReturn { result, options } => {
                return self.task_return(scope, *result, options);
            }
            F::TaskCancel => (BuiltIn::TaskCancel, i32s(0, 0)),
            F::ContextGet { ty, slot } => {
                let (width, ty) = slot_type(*ty)?;
                let slot = checked_slot(*slot)?;
                let signature = CoreSignature {
                    params: [].into(),
                    results: [ty].into(),
                };
                (BuiltIn::ContextGet { slot, width }, signature)
            }
            F::ContextSet { ty, slot } => {
                let (width, ty) = slot_type(*ty)?;
                let slot = checked_slot(*slot)?;
                let signature = CoreSignature {
                    params: [ty].into(),
                    results: [].into(),
                };
                (BuiltIn::ContextSet { slot, width }, signature)
            }
            F::ThreadYield => (BuiltIn::ThreadYield, i32s(0, 1)),
            F::BackpressureInc => (BuiltIn::BackpressureInc, i32s(0, 0)),
            F::BackpressureDec => (BuiltIn::BackpressureDec, i32s(0, 0)),
            F::WaitableSetNew => (BuiltIn::WaitableSetNew, i32s(0, 1)),
            F::WaitableSetWait { memory } => {
                return self.with_memory(scope, *memory, BuiltIn::WaitableSetWait);
            }
            F::WaitableSetPoll { memory } => {
                return self.with_memory(scope, *memory, BuiltIn::WaitableSetPoll);
            }
            F::WaitableSetDrop => (BuiltIn::WaitableSetDrop, i32s(1, 0)),
            F::WaitableJoin => (BuiltIn::WaitableJoin, i32s(2, 0)),
            F::SubtaskDrop => (BuiltIn::SubtaskDrop, i32s(1, 0)),
            F::SubtaskCancel { async_ } => {
                let is_async = *async_;
                (BuiltIn::SubtaskCancel { is_async }, i32s(1, 1))
            }
            F::StreamNew { ty } | F::FutureNew { ty } => {
                let signature = CoreSignature {
                    params: [].into(),
                    results: [CoreType::I64].into(),
                };
                (BuiltIn::EndsNew(self.ends_at(scope, *ty)?), signature)
            }
            F::StreamRead { ty, options } | F::FutureRead { ty, options } => {
                let lengths = usize::from(matches!(function, F::StreamRead { .. }));
                return self.end_copy(scope, *ty, EndKind::Reader, lengths, options);
            }
            F::StreamWrite { ty, options } | F::FutureWrite { ty, options } => {
                let lengths = usize::from(matches!(function, F::StreamWrite { .. }));
                return self.end_copy(scope, *ty, EndKind::Writer, lengths, options);
            }
            F::StreamCancelRead { ty, async_ } | F::FutureCancelRead { ty, async_ } => {
                let operation = match async_ {
                    true => EndOperation::CancelReadAsync,
                    false => EndOperation::CancelRead,
                };
                let ty = self.ends_at(scope, *ty)?;
                (BuiltIn::EndOperate(ty, operation), i32s(1, 1))
            }
            F::StreamCancelWrite { ty, async_ } | F::FutureCancelWrite { ty, async_ } => {
                let operation = match async_ {
                    true => EndOperation::CancelWriteAsync,
                    false => EndOperation::CancelWrite,
                };
                let ty = self.ends_at(scope, *ty)?;
                (BuiltIn::EndOperate(ty, operation), i32s(1, 1))
            }
            F::StreamDropReadable { ty } | F::FutureDropReadable { ty } => {
                let ty = self.ends_at(scope, *ty)?;
                let operation = EndOperation::DropReadable;
                (BuiltIn::EndOperate(ty, operation), i32s(1, 0))
            }
            F::StreamDropWritable { ty } | F::FutureDropWritable { ty } => {
                let ty = self.ends_at(scope, *ty)?;
                let operation = EndOperation::DropWritable;
                (BuiltIn::EndOperate(ty, operation), i32s(1, 0))
            }
            F::StreamForward { ty } | F::FutureForward { ty } => {
                (BuiltIn::EndsForward(self.ends_at(scope, *ty)?), i32s(2, 0))
            }
            F::ThreadIndex => (BuiltIn::ThreadIndex, i32s(0, 1)),
            F::ThreadNewIndirect {
                func_ty_index,
                table_index,
            } => {
                let ty = entry(&self.scopes[scope].core_types, *func_ty_index, "core type")?;
                let argument = ty.context("a thread needs a function with one argument")?;
                let table = entry(&self.scopes[scope].core_tables, *table_index, "core table")?;
                let index = CoreType::pointer(self.program.table_width(table)?);
                let signature = CoreSignature {
                    params: [index, CoreType::pointer(argument)].into(),
                    results: [CoreType::I32].into(),
                };
                (BuiltIn::ThreadNew { table, argument }, signature)
            }
            F::ThreadResumeLater => {
                let operation = ThreadOperation::ResumeLater;
                (BuiltIn::ThreadOperate(operation), i32s(1, 0))
            }
            F::ThreadSuspend => (BuiltIn::ThreadOperate(ThreadOperation::Suspend), i32s(0, 1)),
            F::ThreadSuspendThenResume => {
                let operation = ThreadOperation::SuspendThenResume;
                (BuiltIn::ThreadOperate(operation), i32s(1, 1))
            }
            F::ThreadYieldThenResume => {
                let operation = ThreadOperation::YieldThenResume;
                (BuiltIn::ThreadOperate(operation), i32s(1, 1))
            }
            F::ThreadSuspendThenPromote => {
                let operation = ThreadOperation::SuspendThenPromote;
                (BuiltIn::ThreadOperate(operation), i32s(1, 1))
            }
            F::ThreadYieldThenPromote => {
                let operation = ThreadOperation::YieldThenPromote;
                (BuiltIn::ThreadOperate(operation), i32s(1, 1))
            }
            _ => bail!("threads that share everything are not supported"),
        };
        let options = self.options(scope, &[])?;
        Ok(self.concurrent_trampoline(built_in, options, signature))
    }

    fn concurrent_trampoline(
        &mut self,
        built_in: BuiltIn,
        options: CanonicalOptions,
        signature: CoreSignature,
    ) -> CoreFunc {
        self.trampoline(
            TrampolineIdentity::Concurrent(built_in, options.clone()),
            signature,
            |_| TrampolineKind::Concurrent { built_in, options },
        )
    }

    fn task_return(
        &mut self,
        scope: ScopeIndex,
        result: Option<ComponentValType>,
        options: &[CanonicalOption],
    ) -> Result<CoreFunc> {
        let options = self.options(scope, options)?;
        let result = self.optional_type(scope, result)?;
        let class = flatten::return_class(&self.program.types, result, &options);
        let (class, _) = self.program.return_classes.insert_full(class);
        let signature = flatten::returned(&self.program.types, result, options.width());
        let class = u32::try_from(class)?;
        let built_in = BuiltIn::TaskReturn { result, class };
        Ok(self.concurrent_trampoline(built_in, options, signature))
    }

    /// A built-in that takes an index and stores an event where a pointer says.
    fn with_memory(
        &mut self,
        scope: ScopeIndex,
        memory: u32,
        built_in: BuiltIn,
    ) -> Result<CoreFunc> {
        let options = self.options(scope, &[CanonicalOption::Memory(memory)])?;
        let signature = CoreSignature {
            params: [CoreType::I32, CoreType::pointer(options.width())].into(),
            results: [CoreType::I32].into(),
        };
        Ok(self.concurrent_trampoline(built_in, options, signature))
    }

    /// A read or write; `lengths` is how many lengths it takes, and returns one of that width.
    fn end_copy(
        &mut self,
        scope: ScopeIndex,
        ty: u32,
        end: EndKind,
        lengths: usize,
        options: &[CanonicalOption],
    ) -> Result<CoreFunc> {
        let options = self.options(scope, options)?;
        let ty = self.ends_at(scope, ty)?;
        let pointer = CoreType::pointer(options.width());
        let mut params = vec![CoreType::I32, pointer];
        params.resize(2 + lengths, pointer);
        let signature = CoreSignature {
            params: params.into(),
            results: match lengths {
                0 => [CoreType::I32].into(),
                _ => [pointer].into(),
            },
        };
        let copy = EndCopy { ty, end, options };
        let options = copy.options.clone();
        let (index, _) = self.program.copies.insert_full(copy);
        let built_in = BuiltIn::EndCopy(CopyId::new(index));
        Ok(self.concurrent_trampoline(built_in, options, signature))
    }

    /// The stream or future type at an index of the type index space.
    fn ends_at(&self, scope: ScopeIndex, index: u32) -> Result<TypeId> {
        match entry(&self.scopes[scope].types, index, "type")? {
            TypeValue::Value(Type::Defined(id)) => Ok(id),
            other => bail!("type {index} is a {}, not a stream or future", other.kind()),
        }
    }

    /// Lists the tasks: lifted functions of `async` types, and those of synchronous types that may
    /// need stacks of their own, with each caller.
    pub(super) fn list_tasks(&mut self) {
        let program = &mut self.program;
        let stacked = stacked(program, &Reentrance::of(program));
        let is_task =
            |lift: &LiftedFunction| lift.ty.is_async || stacked.contains(&lift.options.instance);
        for (id, lift) in program.lifts.iter_with_ids() {
            if is_task(lift) {
                program.tasks.push(TaskCaller::Export(id));
            }
        }
        for (id, trampoline) in program.trampolines.iter_with_ids() {
            if let TrampolineKind::Adapter { lift, .. } = &trampoline.kind
                && is_task(lift)
            {
                program.tasks.push(TaskCaller::Adapter(id));
            }
        }
    }
}

fn slot_type(ty: ValType) -> Result<(PointerWidth, CoreType)> {
    Ok(match ty {
        ValType::I32 => (PointerWidth::P32, CoreType::I32),
        ValType::I64 => (PointerWidth::P64, CoreType::I64),
        other => bail!("a context slot cannot have the type {other}"),
    })
}

fn checked_slot(slot: u32) -> Result<u32> {
    match slot {
        0 | 1 => Ok(slot),
        _ => bail!("there is no context slot {slot}"),
    }
}
