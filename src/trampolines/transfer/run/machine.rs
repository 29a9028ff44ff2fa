//! A slab and code mapped by hand, with the runtime's builtins, the guest's functions and the host
//! function played by Rust.

use super::super::tests::Example;
use crate::codegen::Session;
use crate::options::{CompileOptions, TargetCpu};
use crate::trampolines::testing::compile;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::{FinalizedRelocTarget, ir};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::arch::naked_asm;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;
use std::sync::Mutex;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::layout::{
    HandleEntry, InstanceState, ROOT_DISTANCE, RootHeader, RootOffset,
};
use trampette_artifact::trap::TrapCode;

/// Bytes of the linear memory.
pub(super) const MEMORY: usize = 4 << 20;
/// Bytes of the root and of the context that can be accessed.
const PART: usize = 64 << 10;
/// Bytes of the table of builtins, behind the code.
const GOT_SIZE: usize = (8 * Builtin::ALL.len()).next_multiple_of(16);
/// Where the guest's function returns pointer and length.
const RETURN_AREA: usize = 16;

pub(super) static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the played functions share. Only one test runs at a time, on one thread.
pub(super) struct State {
    pub memory: *mut u8,
    /// Where the guest's bump allocator is.
    pub next: u64,
    pub width: PointerWidth,
    pub arena: Vec<Vec<u128>>,
    /// The bytes of the native arguments that the host function should keep, and the copy.
    pub args_size: usize,
    pub args: Vec<u8>,
    /// Arguments that the guest's function was called with.
    pub core_args: [u64; 4],
    /// What `realloc` returns, if not memory of its own.
    pub realloc_result: Option<u64>,
    /// What the host function writes to its results.
    pub results: Vec<u8>,
    /// Lends recorded: addresses of the entries' counts.
    lends: Vec<*mut u32>,
}

struct Shared(UnsafeCell<State>);
// SAFETY: `ONE_AT_A_TIME` is held by whoever uses it.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    memory: ptr::null_mut(),
    next: 0,
    width: PointerWidth::P32,
    arena: Vec::new(),
    args_size: 0,
    args: Vec::new(),
    core_args: [0; 4],
    realloc_result: None,
    results: Vec::new(),
    lends: Vec::new(),
}));

#[allow(clippy::mut_from_ref)]
pub(super) fn state() -> &'static mut State {
    // SAFETY: see `Shared`; no reference is held across calls into code.
    unsafe { &mut *STATE.0.get() }
}

static SAVED: UnsafeWord = UnsafeWord(UnsafeCell::new(0));
static RAISED: UnsafeWord = UnsafeWord(UnsafeCell::new(0));
struct UnsafeWord(UnsafeCell<u64>);
// SAFETY: as `Shared`.
unsafe impl Sync for UnsafeWord {}

/// Calls `code(context, a, b, c, d)`; comes back normally, or through [`raise`].
#[unsafe(naked)]
extern "C" fn enter(code: *const u8, context: *mut u8, a: u64, b: u64, c: u64, d: u64) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rip + {saved}], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov rcx, r8",
        "mov r8, r9",
        "call rax",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        saved = sym SAVED,
    )
}

#[unsafe(naked)]
extern "C" fn raise(context: u64, code: u32, payload: u64) {
    naked_asm!(
        "mov esi, esi",
        "mov [rip + {raised}], rsi",
        "mov rsp, [rip + {saved}]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        saved = sym SAVED,
        raised = sym RAISED,
    )
}

pub(super) unsafe fn bytes<'a>(at: u64, length: u64) -> &'a mut [u8] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(at as *mut u8, length as usize) }
}

unsafe fn units(at: u64, length: u64) -> Vec<u16> {
    // SAFETY: the caller's.
    unsafe { bytes(at, 2 * length) }
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

unsafe fn put(at: u64, what: &[u8]) -> u64 {
    // SAFETY: the caller's.
    unsafe { ptr::copy(what.as_ptr(), at as *mut u8, what.len()) };
    what.len() as u64
}

fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The runtime's side of a builtin. Those that take a root are called with the context instead.
fn builtin(builtin: Builtin) -> *const u8 {
    extern "C" fn memory_move(to: u64, from: u64, n: u64) {
        // SAFETY: checked by the code under test.
        unsafe { ptr::copy(from as *const u8, to as *mut u8, n as usize) }
    }
    extern "C" fn memory_move_long(_: u64, to: u64, from: u64, n: u64) -> u32 {
        memory_move(to, from, n);
        0
    }
    extern "C" fn arena_allocate(_: u64, n: u64, align: u64) -> u64 {
        assert!(align <= 16);
        let block = vec![0u128; n.div_ceil(16) as usize];
        let address = block.as_ptr() as u64;
        state().arena.push(block);
        address
    }
    extern "C" fn arena_mark(_: u64) -> u64 {
        state().arena.len() as u64
    }
    extern "C" fn arena_reset(_: u64, mark: u64) {
        state().arena.truncate(mark as usize);
    }
    extern "C" fn nothing(_: u64) {}
    extern "C" fn utf8_validate(at: u64, n: u64) -> u32 {
        // SAFETY: as above; so for all below.
        match std::str::from_utf8(unsafe { bytes(at, n) }) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => 2,
            Err(_) => 1,
        }
    }
    extern "C" fn utf8_copy(at: u64, n: u64, to: u64) -> u32 {
        unsafe { put(to, bytes(at, n)) };
        utf8_validate(to, n)
    }
    extern "C" fn ascii_validate(at: u64, n: u64) -> u32 {
        unsafe { bytes(at, n) }.is_ascii().into()
    }
    extern "C" fn utf16_to_utf8(at: u64, n: u64, to: u64) -> u64 {
        match String::from_utf16(&unsafe { units(at, n) }) {
            Ok(text) => unsafe { put(to, text.as_bytes()) },
            Err(_) => u64::MAX,
        }
    }
    extern "C" fn latin1_to_utf8(at: u64, n: u64, to: u64) -> u64 {
        let text: String = unsafe { bytes(at, n) }.iter().map(|b| *b as char).collect();
        unsafe { put(to, text.as_bytes()) }
    }
    extern "C" fn utf8_to_utf16(at: u64, n: u64, to: u64) -> u64 {
        let text = std::str::from_utf8(unsafe { bytes(at, n) }).unwrap();
        unsafe { put(to, &utf16_bytes(text)) / 2 }
    }
    extern "C" fn utf8_to_latin1(at: u64, n: u64, to: u64) -> u64 {
        let text = std::str::from_utf8(unsafe { bytes(at, n) }).unwrap();
        let fits = text.find(|c| c > '\u{ff}').unwrap_or(text.len());
        let latin1: Vec<u8> = text[..fits].chars().map(|c| c as u8).collect();
        let written = unsafe { put(to, &latin1) };
        (fits as u64) << 32 | written
    }
    extern "C" fn latin1_widen(at: u64, n: u64) {
        let wide: Vec<u8> = unsafe { bytes(at, n) }
            .iter()
            .flat_map(|byte| [*byte, 0])
            .collect();
        unsafe { put(at, &wide) };
    }
    extern "C" fn chars_validate(at: u64, n: u64) -> u32 {
        let invalid =
            |four: &[u8]| char::from_u32(u32::from_le_bytes(four.try_into().unwrap())).is_none();
        unsafe { bytes(at, 4 * n) }.chunks(4).any(invalid).into()
    }
    extern "C" fn enums_validate(at: u64, n: u64, size: u32, cases: u32) -> u32 {
        let discriminant = |bytes: &[u8]| {
            let bytes = bytes.iter().rev();
            bytes.fold(0, |all, byte| all << 8 | u32::from(*byte))
        };
        let all = unsafe { bytes(at, n * u64::from(size)) };
        let mut all = all.chunks(size as usize).map(discriminant);
        all.any(|discriminant| discriminant >= cases).into()
    }
    extern "C" fn bools_normalise(at: u64, n: u64) {
        for byte in unsafe { bytes(at, n) } {
            *byte = (*byte != 0).into();
        }
    }
    extern "C" fn bits_mask(at: u64, n: u64, mask: u64) {
        for (index, byte) in unsafe { bytes(at, n) }.iter_mut().enumerate() {
            *byte &= mask.to_le_bytes()[index % 8];
        }
    }
    extern "C" fn lend_push(context: u64, table: u32, handle: u32) {
        assert_eq!(table, 0);
        let table = context - ROOT_DISTANCE + handle_table(0);
        // SAFETY: the table was set up by `Machine::set_handles`.
        let entries = unsafe { (table as *const u64).read() };
        let entry = entries + u64::from(handle << HandleEntry::SIZE_LOG2);
        let lends = offset_of!(HandleEntry, lends) as u64;
        state().lends.push((entry + lends) as *mut u32);
    }
    extern "C" fn lend_mark(_: u64) -> u64 {
        state().lends.len() as u64
    }
    extern "C" fn lend_release(_: u64, mark: u64) {
        for lends in state().lends.drain(mark as usize..) {
            unsafe { *lends -= 1 };
        }
    }
    extern "C" fn handle_table_grow(_: u64, _: u32) -> u32 {
        1
    }
    match builtin {
        Builtin::LendPush => lend_push as *const u8,
        Builtin::LendMark => lend_mark as *const u8,
        Builtin::LendRelease => lend_release as *const u8,
        Builtin::HandleTableGrow => handle_table_grow as *const u8,
        Builtin::Raise => raise as *const u8,
        Builtin::MemoryMove => memory_move as *const u8,
        Builtin::MemoryMoveLong => memory_move_long as *const u8,
        Builtin::ArenaAllocate => arena_allocate as *const u8,
        Builtin::ArenaMark => arena_mark as *const u8,
        Builtin::ArenaReset => arena_reset as *const u8,
        Builtin::HostResultsRelease => nothing as *const u8,
        Builtin::Utf8Validate => utf8_validate as *const u8,
        Builtin::Utf8Copy => utf8_copy as *const u8,
        Builtin::AsciiValidate => ascii_validate as *const u8,
        Builtin::Utf16ToUtf8 => utf16_to_utf8 as *const u8,
        Builtin::Latin1ToUtf8 => latin1_to_utf8 as *const u8,
        Builtin::Utf8ToUtf16 => utf8_to_utf16 as *const u8,
        Builtin::Utf8ToLatin1 => utf8_to_latin1 as *const u8,
        Builtin::Latin1WidenInPlace => latin1_widen as *const u8,
        Builtin::CharsValidate => chars_validate as *const u8,
        Builtin::EnumsValidate => enums_validate as *const u8,
        Builtin::BoolsNormalise => bools_normalise as *const u8,
        Builtin::BitsMask => bits_mask as *const u8,
        // No test calls it.
        _ => ptr::null(),
    }
}

/// The guest's functions: `realloc`, and one that returns the pair it is given.
fn core_function(index: u32) -> *const u8 {
    extern "C" fn post_return(_: u64, a: u64) {
        state().core_args = [a, 0, 0, 0];
    }
    extern "C" fn realloc(_: u64, old: u64, old_size: u64, align: u64, size: u64) -> u64 {
        let state = state();
        let flags = state.memory as u64 - ROOT_DISTANCE + instance_state(0);
        // SAFETY: the root is mapped.
        let flags = unsafe { (flags as *const u32).read() };
        assert_eq!(flags, 0, "`may_leave` is cleared");
        if let Some(result) = state.realloc_result {
            return result;
        }
        let (old, old_size) = match state.width {
            PointerWidth::P32 => (old & 0xffff_ffff, old_size & 0xffff_ffff),
            PointerWidth::P64 => (old, old_size),
        };
        let at = state.next.next_multiple_of(align & 0xff);
        state.next = at + (size & 0xffff_ffff) + 3;
        let base = state.memory as u64;
        memory_copy(base + at, base + old, old_size.min(size));
        at
    }
    fn memory_copy(to: u64, from: u64, n: u64) {
        // SAFETY: both are in the memory.
        unsafe { ptr::copy(from as *const u8, to as *mut u8, n as usize) }
    }
    extern "C" fn echo(_: u64, a: u64, b: u64, c: u64, d: u64) -> u64 {
        let state = state();
        state.core_args = [a, b, c, d];
        // SAFETY: the return area is in the memory.
        let area = unsafe { state.memory.add(RETURN_AREA) };
        match state.width {
            PointerWidth::P32 => unsafe { area.cast::<[u32; 2]>().write([a as u32, b as u32]) },
            PointerWidth::P64 => unsafe { area.cast::<[u64; 2]>().write([a, b]) },
        }
        RETURN_AREA as u64
    }
    match index {
        0 => realloc as *const u8,
        1 => echo as *const u8,
        2 => post_return as *const u8,
        other => panic!("no test calls core function {other}"),
    }
}

/// Offset of an instance's state from the root of an [`Example`]; 1 is the host's.
fn instance_state(instance: u32) -> u64 {
    (size_of::<RootHeader>() + instance as usize * size_of::<InstanceState>()) as u64
}

/// Offset of an instance's handle table.
fn handle_table(instance: u32) -> u64 {
    instance_state(instance) + offset_of!(InstanceState, handles) as u64
}

/// The host function: keeps its arguments, writes its results.
extern "C" fn host(_: u64, _: u64, args: u64, results: u64) -> u32 {
    let state = state();
    // SAFETY: the struct has that size.
    state.args = unsafe { bytes(args, state.args_size as u64) }.to_vec();
    unsafe { put(results, &state.results) };
    0
}

/// A slab and code, mapped.
pub(super) struct Machine {
    slab: *mut c_void,
    slab_size: usize,
    code: *mut c_void,
    code_size: usize,
}

impl Machine {
    fn new(example: &Example, func: &ir::Function, session: &Session<'_>) -> Machine {
        let compiled = compile(session, func);
        let slab_size = ROOT_DISTANCE as usize + MEMORY + PART;
        let code_size = 1 << 20;
        let (slab, code);
        // SAFETY: fresh mappings; everything written is inside them.
        unsafe {
            let reserve = MapFlags::PRIVATE | MapFlags::NORESERVE;
            slab = mmap_anonymous(ptr::null_mut(), slab_size, ProtFlags::empty(), reserve).unwrap();
            let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
            mprotect(slab, PART, read_write).unwrap();
            let context = slab.byte_add(ROOT_DISTANCE as usize);
            mprotect(context.byte_sub(PART), PART + MEMORY, read_write).unwrap();
            let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
            code = mmap_anonymous(ptr::null_mut(), code_size, all, MapFlags::PRIVATE).unwrap();

            let bytes = compiled.code_buffer();
            let got = code.byte_add(bytes.len().next_multiple_of(16));
            let mut end = bytes.len().next_multiple_of(16) + GOT_SIZE;
            ptr::copy(bytes.as_ptr(), code.cast(), bytes.len());
            for (index, found) in Builtin::ALL.iter().enumerate() {
                got.cast::<u64>().add(index).write(builtin(*found) as u64);
            }
            for relocation in compiled.buffer.relocs() {
                assert_eq!(relocation.kind, Reloc::X86CallPCRel4);
                let FinalizedRelocTarget::ExternalName(ir::ExternalName::User(name)) =
                    relocation.target
                else {
                    panic!("an unexpected relocation target");
                };
                let name = &func.params.user_named_funcs()[name];
                let target = match SymbolKey::decode(name.namespace, name.index) {
                    Some(SymbolKey::Data(DataKey::Got)) => {
                        let at = code.byte_add(relocation.offset as usize).cast::<u8>();
                        let value = got as i64 + relocation.addend - at as i64;
                        at.cast::<i32>().write_unaligned(value as i32);
                        continue;
                    }
                    Some(SymbolKey::Func(FuncKey::Builtin(found))) => builtin(found),
                    Some(SymbolKey::Func(FuncKey::ModuleFunction(_, index))) => {
                        core_function(index)
                    }
                    other => panic!("no test calls {other:?}"),
                };
                // mov r11, target; jmp r11
                let thunk = code.byte_add(end).cast::<u8>();
                ptr::copy([0x49, 0xbb].as_ptr(), thunk, 2);
                thunk.add(2).cast::<u64>().write_unaligned(target as u64);
                ptr::copy([0x41, 0xff, 0xe3].as_ptr(), thunk.add(10), 3);
                let at = code.byte_add(relocation.offset as usize).cast::<u8>();
                let value = thunk as i64 + relocation.addend - at as i64;
                at.cast::<i32>().write_unaligned(value as i32);
                end += 16;
                assert!(end <= code_size);
            }
        }
        let machine = Machine {
            slab,
            slab_size,
            code,
            code_size,
        };
        let root = session.layout.root;
        machine.set_root(root.memory(MemoryId(0)), MEMORY as u64);
        let flags = InstanceState::MAY_LEAVE;
        machine.set_root(root.instance(ComponentInstanceId(0)), flags.into());
        machine.set_root(root.import(ImportId(0)), host as *const u8 as u64);
        let state = state();
        state.memory = machine.context();
        state.next = 1024;
        state.realloc_result = None;
        state.args_size = 0;
        state.results.clear();
        state.lends.clear();
        state.width = example.width;
        state.arena.clear();
        // SAFETY: in the memory.
        unsafe { state.memory.write_bytes(0xa5, MEMORY) };
        machine
    }

    pub(super) fn context(&self) -> *mut u8 {
        // SAFETY: inside the mapping.
        unsafe { self.slab.byte_add(ROOT_DISTANCE as usize).cast() }
    }

    pub(super) fn set_root(&self, field: RootOffset, value: u64) {
        // SAFETY: roots are smaller than `PART`.
        unsafe {
            self.slab
                .byte_add(field.0 as usize)
                .cast::<u64>()
                .write(value)
        }
    }

    pub(super) fn root(&self, field: RootOffset) -> u64 {
        // SAFETY: roots are smaller than `PART`.
        unsafe { self.slab.byte_add(field.0 as usize).cast::<u64>().read() }
    }

    /// The flags and the borrows of the component instance.
    pub(super) fn instance(&self) -> (u32, u32) {
        let both = self.root(RootOffset(instance_state(0) as u32));
        (both as u32, (both >> 32) as u32)
    }

    /// Gives an instance (1: the host) a full handle table of these entries, from index 1 on;
    /// returns where they are.
    pub(super) fn set_handles(
        &self,
        instance: u32,
        entries: &[HandleEntry],
    ) -> &'static mut [HandleEntry] {
        let free = HandleEntry {
            tag: HandleEntry::FREE,
            lends: 0,
            rep: 0,
            extra: 0,
        };
        let mut all = vec![free];
        all.extend(entries);
        let all = all.leak();
        let table = handle_table(instance) as u32;
        // A free entry at the end is the free list.
        let last = all.len() - 1;
        let free_head = match all[last].tag {
            HandleEntry::FREE => last as u64,
            _ => 0,
        };
        self.set_root(RootOffset(table), all.as_ptr() as u64);
        self.set_root(RootOffset(table + 8), all.len() as u64 | free_head << 32);
        all
    }

    /// Runs the code; the error is what was raised.
    pub(super) fn run(&self, args: [u64; 4]) -> Result<u64, TrapCode> {
        // SAFETY: only one test runs at a time.
        unsafe { RAISED.0.get().write(0) };
        let [a, b, c, d] = args;
        let result = enter(self.code.cast(), self.context(), a, b, c, d);
        let raised = unsafe { RAISED.0.get().read() };
        match TrapCode::from_number(raised as u8) {
            Some(code) => Err(code),
            None => Ok(result),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mappings any more.
        unsafe {
            munmap(self.slab, self.slab_size).unwrap();
            munmap(self.code, self.code_size).unwrap();
        }
    }
}

pub(super) fn with_machine<R>(
    example: &Example,
    emit: impl Fn(&Session<'_>) -> ir::Function,
    test: impl FnOnce(&Machine) -> R,
) -> R {
    let program = example.program();
    let layout = example.layout();
    let options = CompileOptions {
        target_cpu: TargetCpu::V2,
        ..CompileOptions::default()
    };
    let session = Session::new(&program, &layout, &options).unwrap();
    let func = emit(&session);
    test(&Machine::new(example, &func, &session))
}
