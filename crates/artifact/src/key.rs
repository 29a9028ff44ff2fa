//! [`FuncKey`]: the identity of everything that is compiled.
//!
//! A key's order is the order in `.text`; relocations name keys; a symbol's name is derived from
//! its key. Addresses of data that code refers to have keys of their own ([`DataKey`]).

use crate::builtin::Builtin;
use crate::canonical::PointerWidth;
use crate::ids::*;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A calling convention (see `ARCHITECTURE.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Abi {
    /// Cranelift's `tail` convention; the first argument is the context of the callee's home slab.
    Wasm,
    /// `extern "C" fn(ctx, caller_ctx, values: *mut ValRaw, len: usize) -> bool`; true is success.
    /// `ctx` is the context of slab 0.
    Array,
    /// `extern "C"`, arguments and results as pointers to native-layout structs; returns a status
    /// ([`crate::layout::Status`]). The first argument is the context of slab 0.
    Native,
}

impl Abi {
    fn name(self) -> &'static str {
        match self {
            Abi::Wasm => "wasm-call",
            Abi::Array => "array-call",
            Abi::Native => "native-call",
        }
    }

    fn from_number(number: u32) -> Option<Abi> {
        [Abi::Wasm, Abi::Array, Abi::Native]
            .get(number as usize)
            .copied()
    }
}

/// An unsafe intrinsic for compile-time builtins, refused unless an option names the import.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Intrinsic {
    /// `() -> u64`: the address of the store's host data.
    StoreDataAddress,
    /// `(address: u64) -> u8` as `u32`, and so on for the other widths.
    U8NativeLoad,
    /// See [`Intrinsic::U8NativeLoad`].
    U16NativeLoad,
    /// See [`Intrinsic::U8NativeLoad`].
    U32NativeLoad,
    /// See [`Intrinsic::U8NativeLoad`].
    U64NativeLoad,
    /// `(address: u64, value)`.
    U8NativeStore,
    /// See [`Intrinsic::U8NativeStore`].
    U16NativeStore,
    /// See [`Intrinsic::U8NativeStore`].
    U32NativeStore,
    /// See [`Intrinsic::U8NativeStore`].
    U64NativeStore,
    /// `(base: u64, offset: u64, length: u64) -> value`; traps unless `offset + width <= length`.
    U8CheckedNativeLoad,
    /// See [`Intrinsic::U8CheckedNativeLoad`].
    U16CheckedNativeLoad,
    /// See [`Intrinsic::U8CheckedNativeLoad`].
    U32CheckedNativeLoad,
    /// See [`Intrinsic::U8CheckedNativeLoad`].
    U64CheckedNativeLoad,
    /// `(base: u64, offset: u64, length: u64, value)`; traps unless `offset + width <= length`.
    U8CheckedNativeStore,
    /// See [`Intrinsic::U8CheckedNativeStore`].
    U16CheckedNativeStore,
    /// See [`Intrinsic::U8CheckedNativeStore`].
    U32CheckedNativeStore,
    /// See [`Intrinsic::U8CheckedNativeStore`].
    U64CheckedNativeStore,
}

impl Intrinsic {
    /// Every intrinsic with its import name.
    pub const ALL: &[(Intrinsic, &str)] = &[
        (Intrinsic::StoreDataAddress, "store-data-address"),
        (Intrinsic::U8NativeLoad, "u8-native-load"),
        (Intrinsic::U16NativeLoad, "u16-native-load"),
        (Intrinsic::U32NativeLoad, "u32-native-load"),
        (Intrinsic::U64NativeLoad, "u64-native-load"),
        (Intrinsic::U8NativeStore, "u8-native-store"),
        (Intrinsic::U16NativeStore, "u16-native-store"),
        (Intrinsic::U32NativeStore, "u32-native-store"),
        (Intrinsic::U64NativeStore, "u64-native-store"),
        (Intrinsic::U8CheckedNativeLoad, "u8-checked-native-load"),
        (Intrinsic::U16CheckedNativeLoad, "u16-checked-native-load"),
        (Intrinsic::U32CheckedNativeLoad, "u32-checked-native-load"),
        (Intrinsic::U64CheckedNativeLoad, "u64-checked-native-load"),
        (Intrinsic::U8CheckedNativeStore, "u8-checked-native-store"),
        (Intrinsic::U16CheckedNativeStore, "u16-checked-native-store"),
        (Intrinsic::U32CheckedNativeStore, "u32-checked-native-store"),
        (Intrinsic::U64CheckedNativeStore, "u64-checked-native-store"),
    ];

    /// The import name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Identifies one compiled function. Ordered, as [`SymbolKey::encode`] orders them: modules
/// together, trampolines together, then what they share, then pieces of tasks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FuncKey {
    /// A core function of a unit.
    ModuleFunction(UnitId, DefinedFunc),
    /// Host entry to a core function that escapes (array-call around the wasm-call function).
    ArrayToWasm(UnitId, DefinedFunc),
    /// Wasm caller to a host core function.
    WasmToArray(CoreImportId),
    /// A component trampoline: lowered import, adapter, resource or other canonical built-in.
    ComponentTrampoline(Abi, TrampolineId),
    /// An unsafe intrinsic.
    UnsafeIntrinsic(Abi, Intrinsic),
    /// Host-driven `resource.drop`: native-call entry (`fn(ctx, rep: u32) -> status`) around a
    /// wasm-call body (`tail fn(ctx, rep: i32)`), or array-call.
    ResourceDrop(Abi, ResourceId),
    /// A lifted export: native-call entry (`fn(ctx, args, results) -> status`) around a wasm-call
    /// body (`tail fn(ctx, args, results)`).
    ExportEntry(Abi, ExportId),
    /// What runs after the results of an export were read: post-return and the end of the task.
    /// Native-call (`fn(ctx) -> status`) around a wasm-call body (`tail fn(ctx)`). Only for exports
    /// whose [`crate::metadata::ExportItem::Function`] says so.
    PostReturn(Abi, ExportId),
    /// The dynamic part of a step of the plan: native-call (`fn(ctx) -> status`) around a wasm-call
    /// body (`tail fn(ctx)`).
    Startup(Abi, u32),
    /// Wasm caller to a runtime service.
    Builtin(Builtin),
    /// Carries a string from one guest's memory to another's:
    /// `tail fn(ctx, pointer: i64, length: i64) -> (i64, i64)`.
    StringRoute(StringRouteId),
    /// Carries a part of a large type for all trampolines that carry it alike: wasm-call, from flat
    /// values or an address to flat values or an address.
    SharedTransfer(SharedTransferId),
    /// Lowers the parameters of a task and calls its core function: native-call
    /// (`fn(ctx, task) -> status`) around a wasm-call body. `task` is the address of a
    /// [`crate::tasks::TaskRecord`].
    TaskBody(Abi, TaskId),
    /// Calls the callback of a task once: native-call (`fn(ctx, task, event, first payload, second
    /// payload) -> status`, 32-bit numbers) around a wasm-call body. The code that it returns is in
    /// the record.
    TaskCallback(Abi, TaskId),
    /// Moves a result to a task's caller: native-call (`fn(ctx, task, values) -> status`) around a
    /// wasm-call body. `values` is an array of 64-bit slots with the flat values that `task.return`
    /// was given.
    TaskResult(Abi, TaskId),
    /// Copies elements that hold pointers or handles from the buffer of a write to that of a read:
    /// native-call (`fn(ctx, from, to, count) -> status`, addresses) around a wasm-call body. The
    /// write comes first.
    ElementCopy(Abi, CopyPairId),
    /// Begins an explicit thread: native-call (`fn(ctx, function, argument) -> status`) around a
    /// wasm-call body. `function` is a [`FunctionId`] whose type was checked.
    ThreadStart(Abi, PointerWidth),
    /// Lowers the result of a host function that was not done when it was called: native-call
    /// (`fn(ctx, task, result) -> status`) around a wasm-call body. `task` is the address of the
    /// call's [`crate::tasks::TaskRecord`], `result` that of the native struct.
    ImportResult(Abi, HostCallId),
}

/// Identifies data that code takes the address of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum DataKey {
    /// The function table: [`crate::tables::FunctionEntry`]s.
    FunctionTable,
    /// `.got.trampette`: one 8-byte host address per [`Builtin`], in order.
    Got,
    /// The bytes of a data segment that run-time code copies from.
    DataSegment(DataSegmentId),
    /// The 32-bit function ids of an element segment that run-time code copies from.
    ElementSegment(ElementSegmentId),
    /// The entries of a table that never changes: [`crate::tables::SealedEntry`]s, or
    /// [`crate::tables::FunctionEntry`]s if their functions take different contexts. `code` counts
    /// from this table's start.
    SealedTable(TableId),
}

/// What a relocation may name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum SymbolKey {
    /// A function.
    Func(FuncKey),
    /// Data.
    Data(DataKey),
}

impl FuncKey {
    /// One key of every kind, in every convention that the kind has: of builtins and of unsafe
    /// intrinsics each one. What lists or tests all kinds takes them from here.
    pub fn one_of_each() -> Vec<FuncKey> {
        let export = ExportId(0);
        let mut keys = vec![
            FuncKey::ModuleFunction(UnitId(0), DefinedFunc(0)),
            FuncKey::ArrayToWasm(UnitId(0), DefinedFunc(0)),
            FuncKey::WasmToArray(CoreImportId(0)),
            FuncKey::StringRoute(StringRouteId(0)),
            FuncKey::SharedTransfer(SharedTransferId(0)),
        ];
        for abi in [Abi::Wasm, Abi::Array] {
            keys.push(FuncKey::ComponentTrampoline(abi, TrampolineId(0)));
            let intrinsics = Intrinsic::ALL.iter();
            keys.extend(intrinsics.map(|(it, _)| FuncKey::UnsafeIntrinsic(abi, *it)));
        }
        for abi in [Abi::Wasm, Abi::Array, Abi::Native] {
            keys.push(FuncKey::ResourceDrop(abi, ResourceId(0)));
        }
        for abi in [Abi::Wasm, Abi::Native] {
            keys.push(FuncKey::ExportEntry(abi, export));
            keys.push(FuncKey::PostReturn(abi, export));
            keys.push(FuncKey::Startup(abi, 0));
            keys.push(FuncKey::TaskBody(abi, TaskId(0)));
            keys.push(FuncKey::TaskCallback(abi, TaskId(0)));
            keys.push(FuncKey::TaskResult(abi, TaskId(0)));
            keys.push(FuncKey::ElementCopy(abi, CopyPairId(0)));
            keys.push(FuncKey::ThreadStart(abi, PointerWidth::P32));
            keys.push(FuncKey::ImportResult(abi, HostCallId(0)));
        }
        keys.extend(Builtin::ALL.iter().map(|it| FuncKey::Builtin(*it)));
        keys.sort();
        keys
    }
}

const KIND_SHIFT: u32 = 26;
const LOW: u32 = (1 << KIND_SHIFT) - 1;

impl SymbolKey {
    /// Encodes the key as the two numbers of a Cranelift `UserExternalName`:
    /// `(namespace, index)`, the kind in the namespace's top six bits.
    pub fn encode(self) -> (u32, u32) {
        let pack = |kind: u32, low: u32, index: u32| {
            assert!(low <= LOW, "more than 2^26 units");
            (kind << KIND_SHIFT | low, index)
        };
        match self {
            SymbolKey::Func(key) => match key {
                FuncKey::ModuleFunction(unit, func) => pack(0, unit.0, func.0),
                FuncKey::ArrayToWasm(unit, func) => pack(1, unit.0, func.0),
                FuncKey::WasmToArray(import) => pack(2, 0, import.0),
                FuncKey::ComponentTrampoline(abi, id) => pack(3, abi as u32, id.0),
                FuncKey::UnsafeIntrinsic(abi, intrinsic) => pack(4, abi as u32, intrinsic as u32),
                FuncKey::ResourceDrop(abi, id) => pack(5, abi as u32, id.0),
                FuncKey::ExportEntry(abi, id) => pack(6, abi as u32, id.0),
                FuncKey::PostReturn(abi, id) => pack(7, abi as u32, id.0),
                FuncKey::Startup(abi, step) => pack(8, abi as u32, step),
                FuncKey::Builtin(builtin) => pack(9, 0, builtin as u32),
                FuncKey::StringRoute(id) => pack(10, 0, id.0),
                FuncKey::SharedTransfer(id) => pack(11, 0, id.0),
                FuncKey::TaskBody(abi, id) => pack(12, abi as u32, id.0),
                FuncKey::TaskCallback(abi, id) => pack(13, abi as u32, id.0),
                FuncKey::TaskResult(abi, id) => pack(14, abi as u32, id.0),
                FuncKey::ElementCopy(abi, id) => pack(15, abi as u32, id.0),
                FuncKey::ThreadStart(abi, width) => pack(16, abi as u32, width as u32),
                FuncKey::ImportResult(abi, id) => pack(17, abi as u32, id.0),
            },
            SymbolKey::Data(key) => match key {
                DataKey::FunctionTable => pack(32, 0, 0),
                DataKey::Got => pack(33, 0, 0),
                DataKey::DataSegment(id) => pack(34, 0, id.0),
                DataKey::ElementSegment(id) => pack(35, 0, id.0),
                DataKey::SealedTable(id) => pack(36, 0, id.0),
            },
        }
    }

    /// The inverse of [`SymbolKey::encode`]; `None` for numbers it never makes.
    pub fn decode(namespace: u32, index: u32) -> Option<SymbolKey> {
        let low = namespace & LOW;
        let abi = || Abi::from_number(low);
        let func = match namespace >> KIND_SHIFT {
            0 => FuncKey::ModuleFunction(UnitId(low), DefinedFunc(index)),
            1 => FuncKey::ArrayToWasm(UnitId(low), DefinedFunc(index)),
            2 => FuncKey::WasmToArray(CoreImportId(index)),
            3 => FuncKey::ComponentTrampoline(abi()?, TrampolineId(index)),
            4 => FuncKey::UnsafeIntrinsic(abi()?, Intrinsic::ALL.get(index as usize)?.0),
            5 => FuncKey::ResourceDrop(abi()?, ResourceId(index)),
            6 => FuncKey::ExportEntry(abi()?, ExportId(index)),
            7 => FuncKey::PostReturn(abi()?, ExportId(index)),
            8 => FuncKey::Startup(abi()?, index),
            9 => FuncKey::Builtin(*Builtin::ALL.get(index as usize)?),
            10 => FuncKey::StringRoute(StringRouteId(index)),
            11 => FuncKey::SharedTransfer(SharedTransferId(index)),
            12 => FuncKey::TaskBody(abi()?, TaskId(index)),
            13 => FuncKey::TaskCallback(abi()?, TaskId(index)),
            14 => FuncKey::TaskResult(abi()?, TaskId(index)),
            15 => FuncKey::ElementCopy(abi()?, CopyPairId(index)),
            16 => {
                let widths = [PointerWidth::P32, PointerWidth::P64];
                FuncKey::ThreadStart(abi()?, *widths.get(index as usize)?)
            }
            17 => FuncKey::ImportResult(abi()?, HostCallId(index)),
            32 => return Some(SymbolKey::Data(DataKey::FunctionTable)),
            33 => return Some(SymbolKey::Data(DataKey::Got)),
            34 => return Some(SymbolKey::Data(DataKey::DataSegment(DataSegmentId(index)))),
            35 => {
                return Some(SymbolKey::Data(DataKey::ElementSegment(ElementSegmentId(
                    index,
                ))));
            }
            36 => return Some(SymbolKey::Data(DataKey::SealedTable(TableId(index)))),
            _ => return None,
        };
        Some(SymbolKey::Func(func))
    }
}

impl From<FuncKey> for SymbolKey {
    fn from(key: FuncKey) -> Self {
        SymbolKey::Func(key)
    }
}

impl From<DataKey> for SymbolKey {
    fn from(key: DataKey) -> Self {
        SymbolKey::Data(key)
    }
}

impl fmt::Display for FuncKey {
    /// The symbol's name; the linker appends `::name` where the module names the function, and the
    /// kind of a component trampoline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FuncKey::ModuleFunction(unit, func) => {
                write!(f, "wasm[{}]::function[{}]", unit.0, func.0)
            }
            FuncKey::ArrayToWasm(unit, func) => {
                write!(f, "wasm[{}]::array-to-wasm[{}]", unit.0, func.0)
            }
            FuncKey::WasmToArray(import) => write!(f, "wasm-to-array[{}]", import.0),
            FuncKey::ComponentTrampoline(abi, id) => {
                write!(f, "component-trampolines[{}]-{}", id.0, abi.name())
            }
            FuncKey::StringRoute(id) => write!(f, "string-route[{}]", id.0),
            FuncKey::SharedTransfer(id) => write!(f, "shared-transfer[{}]", id.0),
            FuncKey::UnsafeIntrinsic(abi, intrinsic) => {
                write!(f, "unsafe-intrinsics-{}-{}", abi.name(), intrinsic.name())
            }
            FuncKey::ResourceDrop(abi, id) => write!(f, "resource-drop[{}]-{}", id.0, abi.name()),
            FuncKey::ExportEntry(abi, id) => write!(f, "export-entry[{}]-{}", id.0, abi.name()),
            FuncKey::PostReturn(abi, id) => write!(f, "post-return[{}]-{}", id.0, abi.name()),
            FuncKey::Startup(abi, step) => write!(f, "startup[{step}]-{}", abi.name()),
            FuncKey::TaskBody(abi, id) => write!(f, "task-body[{}]-{}", id.0, abi.name()),
            FuncKey::TaskCallback(abi, id) => write!(f, "task-callback[{}]-{}", id.0, abi.name()),
            FuncKey::TaskResult(abi, id) => write!(f, "task-result[{}]-{}", id.0, abi.name()),
            FuncKey::ElementCopy(abi, id) => write!(f, "element-copy[{}]-{}", id.0, abi.name()),
            FuncKey::ThreadStart(abi, width) => {
                write!(f, "thread-start[{}]-{}", 8 * width.bytes(), abi.name())
            }
            FuncKey::ImportResult(abi, id) => write!(f, "import-result[{}]-{}", id.0, abi.name()),
            FuncKey::Builtin(builtin) => write!(f, "builtin-{}", builtin.name()),
        }
    }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataKey::FunctionTable => write!(f, "function-table"),
            DataKey::Got => write!(f, "builtin-addresses"),
            DataKey::DataSegment(id) => write!(f, "data-segment[{}]", id.0),
            DataKey::ElementSegment(id) => write!(f, "element-segment[{}]", id.0),
            DataKey::SealedTable(id) => write!(f, "sealed-table[{}]", id.0),
        }
    }
}

impl fmt::Display for SymbolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SymbolKey::Func(key) => key.fmt(f),
            SymbolKey::Data(key) => key.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A kind that has a number has a key in the list.
    #[test]
    fn the_list_of_kinds_is_complete() {
        let kind = |key: &FuncKey| SymbolKey::Func(*key).encode().0 >> KIND_SHIFT;
        let listed: BTreeSet<u32> = FuncKey::one_of_each().iter().map(kind).collect();
        let known = (0..1 << (32 - KIND_SHIFT)).filter(|kind| {
            let key = SymbolKey::decode(kind << KIND_SHIFT, 0);
            matches!(key, Some(SymbolKey::Func(_)))
        });
        assert_eq!(listed, known.collect());
    }

    #[test]
    fn encoding_round_trips_and_order_is_the_text_order() {
        let mut keys = vec![
            FuncKey::ModuleFunction(UnitId(0), DefinedFunc(7)),
            FuncKey::ModuleFunction(UnitId(3), DefinedFunc(0)),
            FuncKey::ArrayToWasm(UnitId(1), DefinedFunc(2)),
            FuncKey::WasmToArray(CoreImportId(4)),
            FuncKey::StringRoute(StringRouteId(8)),
            FuncKey::SharedTransfer(SharedTransferId(9)),
            FuncKey::Startup(Abi::Native, 0),
        ];
        for abi in [Abi::Wasm, Abi::Array, Abi::Native] {
            keys.push(FuncKey::ComponentTrampoline(abi, TrampolineId(5)));
            keys.push(FuncKey::ResourceDrop(abi, ResourceId(6)));
            keys.push(FuncKey::ExportEntry(abi, ExportId(7)));
            keys.push(FuncKey::PostReturn(abi, ExportId(7)));
            keys.push(FuncKey::TaskBody(abi, TaskId(1)));
            keys.push(FuncKey::TaskCallback(abi, TaskId(2)));
            keys.push(FuncKey::TaskResult(abi, TaskId(3)));
            keys.push(FuncKey::ElementCopy(abi, CopyPairId(4)));
            keys.push(FuncKey::ThreadStart(abi, PointerWidth::P64));
            keys.push(FuncKey::ImportResult(abi, HostCallId(5)));
            keys.extend(
                Intrinsic::ALL
                    .iter()
                    .map(|(i, _)| FuncKey::UnsafeIntrinsic(abi, *i)),
            );
        }
        keys.extend(Builtin::ALL.iter().map(|b| FuncKey::Builtin(*b)));
        for key in &keys {
            let (namespace, index) = SymbolKey::Func(*key).encode();
            assert_eq!(
                SymbolKey::decode(namespace, index),
                Some(SymbolKey::Func(*key))
            );
        }
        keys.sort();
        assert!(matches!(
            keys[0],
            FuncKey::ModuleFunction(UnitId(0), DefinedFunc(7))
        ));
        assert!(matches!(keys.last(), Some(FuncKey::ImportResult(..))));
        assert!(keys.is_sorted_by_key(|key| SymbolKey::Func(*key).encode()));
    }
}
