//! Tests of loading, calls and traps with an artifact whose code is written by hand here, so that
//! they need no compiler.

use crate::load::component::Component;
use crate::machine::entry_code::{EntryCode, NativeEntry};
use crate::machine::instance::{HostImports, RawInstance};
use crate::machine::store::{Caller, Store, StoreInner};
use crate::{StoreLimits, Trap, WasmBacktrace};
use anyhow::{Result, anyhow};
use std::arch::global_asm;
use std::sync::Arc;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::header::{
    COMPILER_VERSION, FORMAT_VERSION, Identification, SectionChecksum, checksum, section,
};
use trampette_artifact::ids::*;
use trampette_artifact::key::{Abi, FuncKey, SymbolKey};
use trampette_artifact::layout::{
    HOST_ERROR, HOST_OK, ImportSlot, ROOT_DISTANCE, RootLayout, root,
};
use trampette_artifact::metadata::*;
use trampette_artifact::sites::{self, Site};
use trampette_artifact::tables::{self, Entry, FunctionRange};
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{Field, FuncType, Type};

const TEXT: usize = 0x10000;
const GOT: usize = 0x20000;
const IMAGE: usize = 0x30000;
const REST: usize = 0x40000;

const LAYOUT: RootLayout = RootLayout {
    instances: 1,
    imports: 1,
    core_imports: 0,
    shared_memories: 0,
    tables: 0,
    memories: 1,
    data_segments: 0,
    element_segments: 0,
    cells: 0,
};
/// `LAYOUT.import(ImportId(0))`; a test compares.
const IMPORT: u32 = 120 + 2 * 24;

// The body takes (ctx, args, results); args are {operation: u32, operand: u32}, the result a u32.
global_asm!(
    ".balign 16",
    "trampette_test_start:",
    "push rbp",
    "mov rbp, rsp",
    "cmp rsp, [rdi - 8]",
    "ja 7f",
    "trampette_test_overflow: ud2",
    "7:",
    "mov eax, [rsi]",
    "mov ecx, [rsi + 4]",
    "movabs r10, {from_context}",
    "add r10, rdi",
    "lea r11, [rip + trampette_test_start]",
    "cmp eax, 0",
    "je 10f",
    "cmp eax, 1",
    "je 11f",
    "cmp eax, 2",
    "je 12f",
    "cmp eax, 3",
    "je 13f",
    "cmp eax, 4",
    "je 14f",
    "cmp eax, 5",
    "je 15f",
    "cmp eax, 6",
    "je 16f",
    "cmp eax, 8",
    "je 18f",
    // 7: a write through a null pointer, which is nobody's trap.
    "xor eax, eax",
    "trampette_test_stray: mov [rax], eax",
    // 0: load from memory.
    "10:",
    "trampette_test_load: mov eax, [rdi + rcx]",
    "9:",
    "mov [rdx], eax",
    "pop rbp",
    "ret",
    // 1: raise.
    "11:",
    "mov rdi, r10",
    "mov esi, 47",
    "mov edx, ecx",
    "call [r11 + {got} + {raise} * 8]",
    "ud2",
    // 2: unreachable.
    "12:",
    "trampette_test_unreachable: ud2",
    // 3: division by zero.
    "13:",
    "mov eax, 1",
    "xor edx, edx",
    "xor ecx, ecx",
    "trampette_test_division: div ecx",
    // 4: call the import.
    "14:",
    "push rdx",
    "push r10",
    "mov rcx, rdx",
    "lea rdx, [rsi + 4]",
    "mov rdi, [r10 + {import} + 8]",
    "mov rsi, [r10 + {store}]",
    "call [r10 + {import}]",
    "pop r10",
    "pop rdx",
    "test eax, eax",
    "jnz 8f",
    "mov eax, [rdx]",
    "jmp 9b",
    "8:",
    "mov rdi, r10",
    "mov esi, 14",
    "mov edx, 1",
    "lea r11, [rip + trampette_test_start]",
    "call [r11 + {got} + {raise} * 8]",
    "ud2",
    // 5: memory.grow.
    "15:",
    "push rdx",
    "push rdx",
    "mov rdi, r10",
    "xor esi, esi",
    "mov edx, ecx",
    "call [r11 + {got} + {grow} * 8]",
    "pop rdx",
    "pop rdx",
    "jmp 9b",
    // 6: recursion without end.
    "16:",
    "call trampette_test_start",
    "jmp 9b",
    // 8: a loop without end.
    "18: jmp 18b",
    // The entry: (ctx, args, results).
    ".balign 16",
    "trampette_test_entry:",
    "push rbp",
    "mov rbp, rsp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 24",
    "movabs rbx, {from_context}",
    "add rbx, rdi",
    "mov eax, 2",
    "cmp qword ptr [rbx + {entry_sp}], 0",
    "jne 2f",
    "mov [rsp + 8], rbx",
    "mov [rbx + {entry_sp}], rsp",
    "call trampette_test_start",
    "trampette_test_return:",
    "xor eax, eax",
    "mov rcx, [rsp + 8]",
    "mov qword ptr [rcx + {entry_sp}], 0",
    "jmp 2f",
    "trampette_test_handler:",
    "mov eax, 1",
    "2:",
    "add rsp, 24",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    // An entry that restores the record: (ctx, args, results).
    ".balign 16",
    "trampette_test_inner_entry:",
    "push rbp",
    "mov rbp, rsp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 24",
    "movabs rbx, {from_context}",
    "add rbx, rdi",
    "mov rax, [rbx + {entry_sp}]",
    "mov [rsp], rax",
    "mov [rsp + 8], rbx",
    "mov [rbx + {entry_sp}], rsp",
    "call trampette_test_start",
    "trampette_test_inner_return:",
    "xor eax, eax",
    "3:",
    "mov rcx, [rsp + 8]",
    "mov rdx, [rsp]",
    "mov [rcx + {entry_sp}], rdx",
    "jmp 2b",
    "trampette_test_inner_handler:",
    "mov eax, 1",
    "jmp 3b",
    "trampette_test_end:",
    from_context = const -(ROOT_DISTANCE as i64),
    got = const GOT - TEXT,
    raise = const Builtin::Raise as usize,
    grow = const Builtin::MemoryGrow as usize,
    import = const IMPORT,
    store = const root::STORE.0,
    entry_sp = const root::ENTRY_SP.0,
);

unsafe extern "C" {
    static trampette_test_start: u8;
    static trampette_test_overflow: u8;
    static trampette_test_stray: u8;
    static trampette_test_load: u8;
    static trampette_test_unreachable: u8;
    static trampette_test_division: u8;
    static trampette_test_entry: u8;
    static trampette_test_return: u8;
    static trampette_test_handler: u8;
    static trampette_test_inner_entry: u8;
    static trampette_test_inner_return: u8;
    static trampette_test_inner_handler: u8;
    static trampette_test_end: u8;
}

/// Offset of a label from the start of the code.
macro_rules! offset {
    ($label:ident) => {
        ((&raw const $label).addr() - (&raw const trampette_test_start).addr()) as u32
    };
}

fn metadata() -> Metadata {
    let u32_field = |name: &str| Field {
        name: name.into(),
        ty: Type::U32,
    };
    let ty = FuncType {
        params: vec![u32_field("operation"), u32_field("operand")],
        result: Some(Type::U32),
        is_async: false,
    };
    Metadata {
        resource_bounds: Vec::new(),
        imports: vec![Import {
            path: vec!["host".into()],
            ty: FuncType {
                params: vec![u32_field("operand")],
                ..ty.clone()
            },
            used: true,
        }]
        .into(),
        exports: vec![Export {
            path: vec!["run".into()],
            item: ExportItem::Function {
                id: ExportId(0),
                ty,
                post_return: false,
            },
        }],
        slabs: vec![Slab {
            context_size: 128,
            memory: Some(MemoryId(0)),
            extents: vec![Extent {
                file_offset: IMAGE as u64,
                target: 0,
                length: 16,
            }],
            written: true,
        }]
        .into(),
        root: LAYOUT,
        memories: vec![Memory {
            place: MemoryPlace::Slab(SlabId(0)),
            minimum: 1,
            maximum: Some(4),
            page_size_log2: 16,
            width: PointerWidth::P32,
        }]
        .into(),
        modules: vec![StaticModule {
            name: "main".into(),
            defined_functions: 1,
            function_names: (0, names().len() as u64),
            ..StaticModule::default()
        }]
        .into(),
        units: vec![Unit {
            module: ModuleId(0),
            slab: SlabId(0),
        }]
        .into(),
        ..Metadata::default()
    }
}

/// The names of the module's functions.
fn names() -> Vec<u8> {
    trampette_artifact::names::encode(&[(0, "body".to_string())])
}

/// The bytes of the artifact.
pub(crate) fn artifact() -> Vec<u8> {
    artifact_of(&metadata())
}

/// The same with other metadata.
fn artifact_of(metadata: &Metadata) -> Vec<u8> {
    let length = offset!(trampette_test_end) as usize;
    // SAFETY: the labels enclose the code.
    let code = unsafe { std::slice::from_raw_parts(&raw const trampette_test_start, length) };
    let mut file = vec![0; REST];
    file[TEXT..][..length].copy_from_slice(code);
    file[IMAGE..][..4].copy_from_slice(&0x1234_5678u32.to_le_bytes());

    let key = |key: FuncKey| SymbolKey::from(key).encode();
    let function = |(namespace, index), start, end| FunctionRange {
        namespace,
        index,
        start,
        length: end - start,
    };
    let entry_start = offset!(trampette_test_entry);
    let functions = [
        function(
            key(FuncKey::ModuleFunction(UnitId(0), DefinedFunc(0))),
            0,
            entry_start,
        ),
        function(
            key(FuncKey::ExportEntry(Abi::Native, ExportId(0))),
            entry_start,
            length as u32,
        ),
    ];
    let load = offset!(trampette_test_load);
    let site = |offset, trap: Option<TrapCode>| Site {
        offset,
        trap,
        source: Some(if offset < load { 100 } else { 200 }),
        inlined: None,
    };
    let mut sites = [
        site(0, None),
        site(
            offset!(trampette_test_overflow),
            Some(TrapCode::StackOverflow),
        ),
        site(
            offset!(trampette_test_stray),
            Some(TrapCode::MemoryOutOfBounds),
        ),
        site(load, Some(TrapCode::MemoryOutOfBounds)),
        site(
            offset!(trampette_test_unreachable),
            Some(TrapCode::Unreachable),
        ),
        site(
            offset!(trampette_test_division),
            Some(TrapCode::IntegerDivisionByZero),
        ),
    ];
    sites.sort_by_key(|site| site.offset);
    let sites = sites::encode(&sites);
    let entry = |return_address, handler| Entry {
        return_address,
        frame_offset: 24 + 5 * 8,
        handler,
        reserved: 0,
    };
    let entries = [
        entry(
            offset!(trampette_test_return),
            offset!(trampette_test_handler),
        ),
        entry(
            offset!(trampette_test_inner_return),
            offset!(trampette_test_inner_handler),
        ),
    ];

    let mut places = vec![
        (section::TEXT, TEXT, length),
        (section::GOT, GOT, Builtin::ALL.len() * 8),
        (section::IMAGE, IMAGE, 16),
    ];
    let encoded = metadata.encode().unwrap();
    for (name, bytes) in [
        (section::FUNCTIONS, tables::as_bytes(&functions)),
        (section::SITES, &sites),
        (section::ENTRIES, tables::as_bytes(&entries)),
        (section::CUSTOM, &names()),
        (section::METADATA, &encoded),
    ] {
        file.resize(file.len().next_multiple_of(16), 0);
        places.push((name, file.len(), bytes.len()));
        file.extend(bytes);
    }
    let sections = places.iter().map(|(name, offset, length)| SectionChecksum {
        name: name.to_string(),
        offset: *offset as u64,
        length: *length as u64,
        checksum: checksum(&file[*offset..][..*length]),
    });
    let id = Identification {
        format_version: FORMAT_VERSION,
        compiler_version: COMPILER_VERSION.into(),
        target: "x86_64".into(),
        cpu_features: vec!["sse3".into()],
        options: String::new(),
        sections: sections.collect(),
    };
    let id = id.encode().unwrap();
    let id_offset = file.len();
    file.extend(&id);
    with_headers(file, id_offset, id.len())
}

/// Adds an ELF header and the section headers of the identification and the names.
fn with_headers(mut file: Vec<u8>, id_offset: usize, id_length: usize) -> Vec<u8> {
    let names_offset = file.len();
    let names = format!("\0{}\0.shstrtab\0", section::ID);
    file.extend(names.as_bytes());
    file.resize(file.len().next_multiple_of(8), 0);
    let headers = file.len();
    let mut section = |name: usize, kind: u32, offset: usize, size: usize| {
        file.extend((name as u32).to_le_bytes());
        file.extend(kind.to_le_bytes());
        for number in [0, 0, offset, size] {
            file.extend((number as u64).to_le_bytes());
        }
        file.extend([0; 8]);
        file.extend(1u64.to_le_bytes());
        file.extend([0; 8]);
    };
    section(0, 0, 0, 0);
    section(1, 1, id_offset, id_length);
    section(section::ID.len() + 2, 3, names_offset, names.len());
    let mut header = Vec::new();
    header.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [3u16, 62] {
        header.extend(half.to_le_bytes());
    }
    header.extend(1u32.to_le_bytes());
    for number in [0, 0, headers as u64] {
        header.extend(number.to_le_bytes());
    }
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 0, 64, 3, 2] {
        header.extend(half.to_le_bytes());
    }
    file[..header.len()].copy_from_slice(&header);
    file
}

/// What the host import does next.
#[derive(Default)]
struct Data {
    calls: u32,
    nested: Option<(Component, u32)>,
}

extern "C" fn host(
    data: u64,
    caller: *const StoreInner,
    args: *const u32,
    results: *mut u32,
) -> u32 {
    assert_eq!(data, 99);
    // SAFETY: called by the hand-written code, in a `Store<Data>`.
    let mut caller = unsafe { Caller::<Data>::from_raw(caller) };
    caller.data_mut().calls += 1;
    // SAFETY: as declared.
    let operand = unsafe { args.read() };
    let result = match caller.data_mut().nested.take() {
        Some((component, operation)) => {
            let inner = caller.inner();
            let nested = instantiate(inner, &component).unwrap();
            call(inner, nested, operation, u32::MAX)
        }
        None if operand == 13 => Err(anyhow!("thirteen")),
        None => Ok(operand * 2),
    };
    match result {
        // SAFETY: as declared.
        Ok(value) => unsafe {
            results.write(value);
            HOST_OK
        },
        Err(error) => {
            caller.inner().set_host_error(error);
            HOST_ERROR
        }
    }
}

fn instantiate(store: &StoreInner, component: &Component) -> Result<RawInstance> {
    let slot = ImportSlot {
        function: host as *const () as u64,
        data: 99,
    };
    // SAFETY: `host` has the signature of the import.
    unsafe { instantiate_with(store, component, slot) }
}

/// An instance that calls another function.
///
/// # Safety
/// It has the signature of the import.
pub(crate) unsafe fn instantiate_with(
    store: &StoreInner,
    component: &Component,
    slot: ImportSlot,
) -> Result<RawInstance> {
    let imports = HostImports {
        functions: vec![slot].into(),
        destructors: IdVec::new(),
        may_wait: false,
        owner: Arc::new(()),
    };
    // SAFETY: promised.
    unsafe { RawInstance::new(store, component, imports) }
}

/// The entry of the export that restores the activation record. It can be called while the
/// component runs.
pub(crate) fn inner_entry(component: &Component) -> NativeEntry {
    let address = component.text_range().start + offset!(trampette_test_inner_entry) as usize;
    NativeEntry::at(address).unwrap()
}

pub(crate) fn call(
    store: &StoreInner,
    instance: RawInstance,
    operation: u32,
    operand: u32,
) -> Result<u32> {
    let args = [operation, operand];
    let mut result = 0u32;
    let instance = instance.data(store);
    let code = instance.component.export(ExportId(0));
    let code = code.and_then(EntryCode::new).unwrap();
    // SAFETY: the native structs of the export.
    let mark = unsafe {
        let result = (&raw mut result).cast();
        instance.call(code, args.as_ptr().cast(), result)?
    };
    instance.end_call(code, mark)?;
    Ok(result)
}

/// The artifact, loaded.
pub(crate) fn load() -> Component {
    // SAFETY: what the code of this file does is known.
    unsafe { Component::from_bytes(&artifact()) }.unwrap()
}

/// The artifact with changed metadata, loaded.
pub(crate) fn load_with(change: impl FnOnce(&mut Metadata)) -> Component {
    let mut metadata = metadata();
    change(&mut metadata);
    // SAFETY: what the code of this file does is known.
    unsafe { Component::from_bytes(&artifact_of(&metadata)) }.unwrap()
}

/// Calls the export of a new instance.
fn once(operation: u32, operand: u32) -> Result<u32> {
    let component = load();
    let store = Store::new(Data::default());
    let instance = instantiate(store.inner(), &component)?;
    call(store.inner(), instance, operation, operand)
}

#[test]
fn the_import_is_where_the_code_expects_it() {
    assert_eq!(LAYOUT.import(ImportId(0)).0, IMPORT);
}

#[test]
fn memory_is_mapped_and_grows() {
    let component = load();
    let mut store = Store::new(Data::default());
    let instance = instantiate(store.inner(), &component).unwrap();
    let run = |store: &Store<Data>, operation, operand| {
        call(store.inner(), instance, operation, operand).unwrap()
    };
    assert_eq!(run(&store, 0, 0), 0x1234_5678);
    assert_eq!(run(&store, 0, 65532), 0);
    assert_eq!(run(&store, 5, 2), 1);
    assert_eq!(run(&store, 5, 2), u32::MAX);
    assert_eq!(run(&store, 5, 0), 3);
    assert_eq!(run(&store, 0, 3 * 65536 - 4), 0);
    let limits = StoreLimits {
        memory_bytes: 3 << 16,
        ..store.limits()
    };
    store.set_limits(limits);
    assert_eq!(run(&store, 5, 1), u32::MAX);
}

#[test]
fn every_kind_of_trap_returns_an_error() {
    for (operation, operand, kind, text) in [
        (
            0,
            65536,
            TrapCode::MemoryOutOfBounds,
            "out of bounds memory access",
        ),
        (
            0,
            u32::MAX,
            TrapCode::MemoryOutOfBounds,
            "out of bounds memory access",
        ),
        (1, 7, TrapCode::UnknownHandle, "unknown handle index 7"),
        (
            2,
            0,
            TrapCode::Unreachable,
            "wasm `unreachable` instruction executed",
        ),
        (
            3,
            0,
            TrapCode::IntegerDivisionByZero,
            "integer divide by zero",
        ),
        (6, 0, TrapCode::StackOverflow, "call stack exhausted"),
    ] {
        let error = once(operation, operand).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.kind(), kind);
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("wasm trap: {text}\n")),
            "{shown}"
        );
        assert!(shown.contains("main!body"), "{shown}");
        if kind == TrapCode::MemoryOutOfBounds {
            assert_eq!(trap.frames()[0].offset, Some(200));
        }
    }
}

#[test]
fn a_trapped_instance_cannot_be_entered_again() {
    let component = load();
    let store = Store::new(Data::default());
    let instance = instantiate(store.inner(), &component).unwrap();
    call(store.inner(), instance, 2, 0).unwrap_err();
    let error = call(store.inner(), instance, 0, 0).unwrap_err();
    assert_eq!(
        error.downcast_ref::<Trap>().unwrap().kind(),
        TrapCode::CannotEnter
    );
    // Another instance of the same store can.
    let other = instantiate(store.inner(), &component).unwrap();
    assert_eq!(call(store.inner(), other, 0, 0).unwrap(), 0x1234_5678);
}

#[test]
fn host_functions_are_called_and_fail() {
    assert_eq!(once(4, 21).unwrap(), 42);
    let error = once(4, 13).unwrap_err();
    assert_eq!(error.root_cause().to_string(), "thirteen");
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    assert_eq!(backtrace.frames()[0].function.as_deref(), Some("body"));
}

#[test]
fn nested_activations_unwind_to_the_innermost_entry() {
    let component = load();
    for operation in [0, 1, 2, 3, 6] {
        let mut store = Store::new(Data::default());
        store.data_mut().nested = Some((component.clone(), operation));
        let instance = instantiate(store.inner(), &component).unwrap();
        let error = call(store.inner(), instance, 4, 0).unwrap_err();
        assert!(error.downcast_ref::<Trap>().is_some());
        assert_eq!(store.data().calls, 1);
    }
}

#[test]
fn traps_work_on_other_threads_and_many_times() {
    let component = load();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..2000 {
                    let store = Store::new(Data::default());
                    let instance = instantiate(store.inner(), &component).unwrap();
                    assert_eq!(call(store.inner(), instance, 0, 0).unwrap(), 0x1234_5678);
                    call(store.inner(), instance, [0, 1, 2, 3][round % 4], u32::MAX).unwrap_err();
                }
            });
        }
    });
}

/// A fault at a place of the trap table, but with an address that is no guest memory's.
#[test]
fn stray_faults_end_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const CHILD: &str = "TRAMPETTE_TEST_STRAY_FAULT";
    if std::env::var_os(CHILD).is_some() {
        let _ = once(7, 0);
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::handmade::stray_faults_end_the_process"])
        .env(CHILD, "1")
        .output()
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(11));
}

#[test]
fn damage_is_an_error() {
    let good = artifact();
    Component::check(&good).unwrap();
    let names = format!("\0{}\0", section::ID);
    let end = good
        .windows(names.len())
        .rposition(|window| window == names.as_bytes())
        .unwrap();
    let id = REST..end + names.len() - 1;
    // Every byte of the tables, the metadata and the identification; some of the rest.
    let places = id.chain((TEXT..TEXT + 64).step_by(7)).chain(0..20);
    for place in places {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        let result = Component::check(&bad);
        let padding = good[place] == 0;
        assert!(result.is_err() || padding, "byte {place:#x}");
    }
    for length in [0, 10, 64, TEXT, good.len() - 1] {
        assert!(Component::check(&good[..length]).is_err());
    }
}
