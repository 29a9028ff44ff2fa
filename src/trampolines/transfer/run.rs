//! Runs what the engine emits, on a small slab made by hand, with the runtime's builtins and the
//! guest's functions played by Rust: whatever the host passes to a guest that returns it must come
//! back, in every encoding and width, and whatever a guest passes wrongly must raise the right trap.

use super::tests::{ENCODINGS, Example, WIDTHS, all_types, case, list};
use crate::codegen::Session;
use crate::codegen::isa::{OptLevel, TargetCpu, isa};
use crate::component::program::StringEncoding;
use crate::trampolines::testing::compile;
use crate::trampolines::{export_entry, lower_import};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::{FinalizedRelocTarget, ir};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::arch::naked_asm;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use trampette_artifact::builtin::Builtin;
use trampette_artifact::canonical::{
    PointerWidth, SizeAlign, discriminant_size, flags_size, record_fields, variant_cases,
};
use trampette_artifact::ids::*;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::layout::{InstanceState, ROOT_DISTANCE, RootOffset};
use trampette_artifact::native;
use trampette_artifact::trap::TrapCode;
use trampette_artifact::types::{DefinedType, Type, TypeTable};

/// Bytes of the linear memory.
const MEMORY: usize = 4 << 20;
/// Bytes of the root and of the context that can be accessed.
const PART: usize = 64 << 10;
/// Where the guest's function returns pointer and length.
const RETURN_AREA: usize = 16;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the played functions share. Only one test runs at a time, on one thread.
struct State {
    memory: *mut u8,
    /// Where the guest's bump allocator is.
    next: u64,
    width: PointerWidth,
    arena: Vec<Vec<u128>>,
    /// The bytes of the native arguments that the host function should keep, and the copy.
    args_size: usize,
    args: Vec<u8>,
    /// Arguments that the guest's function was called with.
    core_args: [u64; 4],
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
}));

#[allow(clippy::mut_from_ref)]
fn state() -> &'static mut State {
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

unsafe fn bytes<'a>(at: u64, length: u64) -> &'a mut [u8] {
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
    unsafe { bytes(at, what.len() as u64) }.copy_from_slice(what);
    what.len() as u64
}

fn utf16_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The runtime's side of a builtin.
fn builtin(builtin: Builtin) -> *const u8 {
    extern "C" fn memory_move(_: u64, to: u64, from: u64, n: u64) {
        // SAFETY: checked by the code under test.
        unsafe { ptr::copy(from as *const u8, to as *mut u8, n as usize) }
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
    extern "C" fn utf8_validate(_: u64, at: u64, n: u64) -> u32 {
        // SAFETY: as above; so for all below.
        match std::str::from_utf8(unsafe { bytes(at, n) }) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => 2,
            Err(_) => 1,
        }
    }
    extern "C" fn ascii_validate(_: u64, at: u64, n: u64) -> u32 {
        unsafe { bytes(at, n) }.is_ascii().into()
    }
    extern "C" fn utf16_to_utf8(_: u64, at: u64, n: u64, to: u64) -> u64 {
        match String::from_utf16(&unsafe { units(at, n) }) {
            Ok(text) => unsafe { put(to, text.as_bytes()) },
            Err(_) => u64::MAX,
        }
    }
    extern "C" fn latin1_to_utf8(_: u64, at: u64, n: u64, to: u64) -> u64 {
        let text: String = unsafe { bytes(at, n) }.iter().map(|b| *b as char).collect();
        unsafe { put(to, text.as_bytes()) }
    }
    extern "C" fn utf8_to_utf16(_: u64, at: u64, n: u64, to: u64) -> u64 {
        let text = std::str::from_utf8(unsafe { bytes(at, n) }).unwrap();
        unsafe { put(to, &utf16_bytes(text)) / 2 }
    }
    extern "C" fn utf8_to_latin1(_: u64, at: u64, n: u64, to: u64) -> u64 {
        let text = std::str::from_utf8(unsafe { bytes(at, n) }).unwrap();
        let fits = text.find(|c| c > '\u{ff}').unwrap_or(text.len());
        let latin1: Vec<u8> = text[..fits].chars().map(|c| c as u8).collect();
        let written = unsafe { put(to, &latin1) };
        (fits as u64) << 32 | written
    }
    extern "C" fn latin1_widen(_: u64, at: u64, n: u64) {
        let wide: Vec<u8> = unsafe { bytes(at, n) }
            .iter()
            .flat_map(|byte| [*byte, 0])
            .collect();
        unsafe { put(at, &wide) };
    }
    extern "C" fn chars_validate(_: u64, at: u64, n: u64) -> u32 {
        let invalid =
            |four: &[u8]| char::from_u32(u32::from_le_bytes(four.try_into().unwrap())).is_none();
        unsafe { bytes(at, 4 * n) }.chunks(4).any(invalid).into()
    }
    extern "C" fn bools_normalise(_: u64, at: u64, n: u64) {
        for byte in unsafe { bytes(at, n) } {
            *byte = (*byte != 0).into();
        }
    }
    match builtin {
        Builtin::Raise => raise as *const u8,
        Builtin::MemoryMove => memory_move as *const u8,
        Builtin::ArenaAllocate => arena_allocate as *const u8,
        Builtin::ArenaMark => arena_mark as *const u8,
        Builtin::ArenaReset => arena_reset as *const u8,
        Builtin::HostResultsRelease => nothing as *const u8,
        Builtin::Utf8Validate => utf8_validate as *const u8,
        Builtin::AsciiValidate => ascii_validate as *const u8,
        Builtin::Utf16ToUtf8 => utf16_to_utf8 as *const u8,
        Builtin::Latin1ToUtf8 => latin1_to_utf8 as *const u8,
        Builtin::Utf8ToUtf16 => utf8_to_utf16 as *const u8,
        Builtin::Utf8ToLatin1 => utf8_to_latin1 as *const u8,
        Builtin::Latin1WidenInPlace => latin1_widen as *const u8,
        Builtin::CharsValidate => chars_validate as *const u8,
        Builtin::BoolsNormalise => bools_normalise as *const u8,
        other => panic!("no test calls {}", other.name()),
    }
}

/// The guest's functions: `realloc`, and one that returns the pair it is given.
fn core_function(index: u32) -> *const u8 {
    extern "C" fn realloc(_: u64, old: u64, old_size: u64, align: u64, size: u64) -> u64 {
        let state = state();
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
        other => panic!("no test calls core function {other}"),
    }
}

/// The host function: keeps its arguments.
extern "C" fn host(_: u64, _: u64, args: u64, _: u64) -> u32 {
    let state = state();
    // SAFETY: the struct has that size.
    state.args = unsafe { bytes(args, state.args_size as u64) }.to_vec();
    0
}

/// A slab and code, mapped.
struct Machine {
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
            let mut end = bytes.len().next_multiple_of(16);
            ptr::copy(bytes.as_ptr(), code.cast(), bytes.len());
            for relocation in compiled.buffer.relocs() {
                assert_eq!(relocation.kind, Reloc::X86CallPCRel4);
                let FinalizedRelocTarget::ExternalName(ir::ExternalName::User(name)) =
                    relocation.target
                else {
                    panic!("an unexpected relocation target");
                };
                let name = &func.params.user_named_funcs()[name];
                let target = match SymbolKey::decode(name.namespace, name.index) {
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
        let flags = InstanceState::MAY_LEAVE | InstanceState::MAY_ENTER;
        machine.set_root(root.instance(ComponentInstanceId(0)), flags.into());
        machine.set_root(root.import(ImportId(0)), host as *const u8 as u64);
        let state = state();
        state.memory = machine.context();
        state.next = 1024;
        state.width = example.width;
        state.arena.clear();
        // SAFETY: in the memory.
        unsafe { state.memory.write_bytes(0xa5, MEMORY) };
        machine
    }

    fn context(&self) -> *mut u8 {
        // SAFETY: inside the mapping.
        unsafe { self.slab.byte_add(ROOT_DISTANCE as usize).cast() }
    }

    fn set_root(&self, field: RootOffset, value: u64) {
        // SAFETY: roots are smaller than `PART`.
        unsafe {
            self.slab
                .byte_add(field.0 as usize)
                .cast::<u64>()
                .write(value)
        }
    }

    /// Runs the code; the error is what was raised.
    fn run(&self, args: [u64; 4]) -> Result<u64, TrapCode> {
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

fn with_machine<R>(
    example: &Example,
    emit: impl Fn(&Session<'_>) -> ir::Function,
    test: impl FnOnce(&Machine) -> R,
) -> R {
    let program = example.program();
    let layout = example.layout();
    let session = Session {
        isa: isa(OptLevel::Speed, &TargetCpu::V2).unwrap(),
        program: &program,
        layout: &layout,
    };
    let func = emit(&session);
    test(&Machine::new(example, &func, &session))
}

/// A component-level value.
#[derive(Clone, PartialEq, Debug)]
enum Val {
    /// A scalar's bits.
    Bits(u64),
    Text(String),
    /// Elements or fields.
    Many(Vec<Val>),
    Case(u32, Option<Box<Val>>),
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "abc",
    "hello",
    "12345678",
    "0123456789abcdef0123456789abcdef",
    "é",
    "grüße",
    "0123456789abcdef0123456789abcdé",
    "日本語",
    "ÿ then 日",
    "a longer text with more than thirty-two bytes, and 🦀",
];

/// Makes and reads native values.
struct Values<'t> {
    types: &'t TypeTable,
    seed: u64,
    memory: Vec<Vec<u128>>,
}

impl Values<'_> {
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        match below {
            0 => self.seed,
            below => self.seed % below,
        }
    }

    fn scalar_bytes(&self, ty: Type) -> u32 {
        native::size_align(self.types, ty).size
    }

    fn make(&mut self, ty: Type) -> Val {
        let types = self.types;
        match ty {
            Type::Bool => Val::Bits(self.random(2)),
            Type::Char => {
                Val::Bits([0x41, 0xe9, 0xd7ff, 0xe000, 0x10_ffff][self.random(5) as usize])
            }
            Type::String => Val::Text(TEXTS[self.random(12) as usize].into()),
            Type::Defined(id) => match &types[id] {
                DefinedType::List(element) => {
                    let count = [0, 1, 3, 9][self.random(4) as usize];
                    Val::Many((0..count).map(|_| self.make(*element)).collect())
                }
                DefinedType::Map(key, value) => {
                    let count = [0, 1, 3][self.random(3) as usize];
                    let entry = |t: &mut Self| Val::Many(vec![t.make(*key), t.make(*value)]);
                    Val::Many((0..count).map(|_| entry(self)).collect())
                }
                DefinedType::FixedLengthList(element, count) => {
                    Val::Many((0..*count).map(|_| self.make(*element)).collect())
                }
                DefinedType::Flags(labels) => Val::Bits(self.random(0) & ((1 << labels.len()) - 1)),
                DefinedType::Own(_) | DefinedType::Borrow(_) => unreachable!("not tested here"),
                _ => match (record_fields(types, ty), variant_cases(types, ty)) {
                    (Some(fields), _) => {
                        Val::Many(fields.into_iter().map(|ty| self.make(ty)).collect())
                    }
                    (None, Some(cases)) => {
                        let index = self.random(cases.len() as u64);
                        let payload = cases[index as usize].map(|ty| Box::new(self.make(ty)));
                        Val::Case(index as u32, payload)
                    }
                    (None, None) => unreachable!(),
                },
            },
            _ => {
                let bits = 8 * self.scalar_bytes(ty);
                Val::Bits(self.random(0) & (u64::MAX >> (64 - bits)))
            }
        }
    }

    fn block(&mut self, bytes: usize) -> *mut u8 {
        let mut block = vec![0u128; bytes.div_ceil(16).max(1)];
        let at = block.as_mut_ptr().cast();
        self.memory.push(block);
        at
    }

    fn put_bits(at: *mut u8, bits: u64, size: u32) {
        // SAFETY: the place has that size.
        unsafe { ptr::copy(bits.to_le_bytes().as_ptr(), at, size as usize) }
    }

    fn get_bits(at: *const u8, size: u32) -> u64 {
        let mut bits = [0; 8];
        // SAFETY: the place has that size.
        unsafe { ptr::copy(at, bits.as_mut_ptr(), size as usize) }
        u64::from_le_bytes(bits)
    }

    /// Where the parts of a value with fields are, natively.
    fn parts(&self, ty: Type) -> Option<Vec<(Type, u32)>> {
        if let Some(fields) = record_fields(self.types, ty) {
            let (_, offsets) = native::record_layout(self.types, fields.iter().copied());
            return Some(fields.into_iter().zip(offsets).collect());
        }
        let Type::Defined(id) = ty else { return None };
        let DefinedType::FixedLengthList(element, count) = &self.types[id] else {
            return None;
        };
        let size = native::size_align(self.types, *element).size;
        Some((0..*count).map(|index| (*element, index * size)).collect())
    }

    /// The element of a list as fields, and its layout.
    fn element(&self, ty: Type) -> Option<(Vec<(Type, u32)>, SizeAlign)> {
        let Type::Defined(id) = ty else { return None };
        match &self.types[id] {
            DefinedType::List(element) => Some((
                vec![(*element, 0)],
                native::size_align(self.types, *element),
            )),
            DefinedType::Map(key, value) => {
                let (layout, offsets) = native::record_layout(self.types, [*key, *value]);
                Some((vec![(*key, 0), (*value, offsets[1])], layout))
            }
            _ => None,
        }
    }

    fn write(&mut self, ty: Type, value: &Val, at: *mut u8) {
        // SAFETY: all places are inside blocks of the layout's size.
        let plus = |at: *mut u8, offset: u32| unsafe { at.add(offset as usize) };
        match value {
            Val::Bits(bits) => Self::put_bits(at, *bits, self.scalar_bytes(ty)),
            Val::Text(text) => {
                let block = self.block(text.len());
                unsafe { ptr::copy(text.as_ptr(), block, text.len()) };
                Self::put_bits(at, block as u64, 8);
                Self::put_bits(plus(at, 8), text.len() as u64, 8);
            }
            Val::Many(parts) => {
                if let Some((fields, layout)) = self.element(ty) {
                    let block = self.block(parts.len() * layout.size as usize);
                    Self::put_bits(at, block as u64, 8);
                    Self::put_bits(plus(at, 8), parts.len() as u64, 8);
                    for (index, part) in parts.iter().enumerate() {
                        let place = plus(block, index as u32 * layout.size);
                        match (part, fields.len()) {
                            (Val::Many(entry), 2) if self.is_map(ty) => {
                                for ((ty, offset), value) in fields.iter().zip(entry) {
                                    self.write(*ty, value, plus(place, *offset));
                                }
                            }
                            _ => self.write(fields[0].0, part, place),
                        }
                    }
                    return;
                }
                for ((ty, offset), part) in self.parts(ty).unwrap().into_iter().zip(parts) {
                    self.write(ty, part, plus(at, offset));
                }
            }
            Val::Case(index, payload) => {
                let cases = variant_cases(self.types, ty).unwrap();
                Self::put_bits(at, u64::from(*index), discriminant_size(cases.len()));
                if let (Some(ty), Some(payload)) = (cases[*index as usize], payload) {
                    let offset = native::payload_offset(self.types, &cases);
                    self.write(ty, payload, plus(at, offset));
                }
            }
        }
    }

    fn is_map(&self, ty: Type) -> bool {
        matches!(ty, Type::Defined(id) if matches!(self.types[id], DefinedType::Map(..)))
    }

    fn read(&self, ty: Type, at: *const u8) -> Val {
        // SAFETY: as in `write`, if the code under test is right.
        let plus = |at: *const u8, offset: u32| unsafe { at.add(offset as usize) };
        let pair = || (Self::get_bits(at, 8), Self::get_bits(plus(at, 8), 8));
        if ty == Type::String {
            let (pointer, length) = pair();
            assert_ne!(pointer, 0);
            let text = unsafe { bytes(pointer, length) };
            return Val::Text(String::from_utf8(text.to_vec()).unwrap());
        }
        if let Some((fields, layout)) = self.element(ty) {
            let (pointer, count) = pair();
            assert_ne!(pointer, 0);
            assert_eq!(pointer % u64::from(layout.align), 0);
            let one = |index: u64| {
                let place = plus(pointer as *const u8, index as u32 * layout.size);
                let all = fields
                    .iter()
                    .map(|(ty, offset)| self.read(*ty, plus(place, *offset)));
                let mut all: Vec<Val> = all.collect();
                match self.is_map(ty) {
                    true => Val::Many(all),
                    false => all.remove(0),
                }
            };
            return Val::Many((0..count).map(one).collect());
        }
        if let Some(parts) = self.parts(ty) {
            let one = |(ty, offset)| self.read(ty, plus(at, offset));
            return Val::Many(parts.into_iter().map(one).collect());
        }
        if let Some(cases) = variant_cases(self.types, ty) {
            let index = Self::get_bits(at, discriminant_size(cases.len()));
            let offset = native::payload_offset(self.types, &cases);
            let payload = cases[index as usize].map(|ty| Box::new(self.read(ty, plus(at, offset))));
            return Val::Case(index as u32, payload);
        }
        let size = match ty {
            Type::Defined(id) => match &self.types[id] {
                DefinedType::Flags(labels) => flags_size(labels.len()),
                _ => 4,
            },
            _ => self.scalar_bytes(ty),
        };
        Val::Bits(Self::get_bits(at, size))
    }
}

fn holds_handle(types: &TypeTable, ty: Type) -> bool {
    types.display(ty).contains("own<")
}

#[test]
fn lists_and_strings_come_back_from_a_guest() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let mut all = all_types(&mut types);
    all.retain(|ty| !holds_handle(&types, *ty));
    let mut lists: Vec<Type> = all.into_iter().map(|ty| list(&mut types, ty)).collect();
    lists.push(Type::String);
    for ty in lists {
        for encoding in ENCODINGS {
            for width in WIDTHS {
                let example = Example {
                    encoding,
                    width,
                    ..case(&types, &[ty], Some(ty))
                };
                let emit = |session: &Session<'_>| {
                    export_entry::export_body(session, ExportId(0)).unwrap()
                };
                with_machine(&example, emit, |machine| {
                    let mut values = Values {
                        types: &types,
                        seed: 0x9e37_79b9_7f4a_7c15,
                        memory: Vec::new(),
                    };
                    for _ in 0..8 {
                        let value = values.make(ty);
                        let args = values.block(16);
                        let results = values.block(16);
                        values.write(ty, &value, args);
                        state().next = 1024;
                        let name = types.display(ty);
                        machine
                            .run([args as u64, results as u64, 0, 0])
                            .unwrap_or_else(|trap| {
                                panic!("{name} {encoding:?} {width:?}: {trap:?}")
                            });
                        let back = values.read(ty, results);
                        assert_eq!(back, value, "{name} {encoding:?} {width:?}");
                    }
                });
            }
        }
    }
}

/// Calls a lowered import with core values, after `prepare` wrote into the memory; returns the native
/// arguments.
fn call_import(
    types: &TypeTable,
    ty: Type,
    encoding: StringEncoding,
    prepare: impl FnOnce(&mut [u8]),
    args: [u64; 4],
) -> Result<Val, TrapCode> {
    let example = Example {
        encoding,
        ..case(types, &[ty], None)
    };
    let emit =
        |session: &Session<'_>| lower_import::lower_import(session, TrampolineId(0)).unwrap();
    with_machine(&example, emit, |machine| {
        // SAFETY: nothing else uses the memory now.
        prepare(unsafe { bytes(machine.context() as u64, MEMORY as u64) });
        state().args_size = native::size_align(types, ty).size as usize;
        machine.run(args)?;
        let values = Values {
            types,
            seed: 1,
            memory: Vec::new(),
        };
        let copy = state().args.clone();
        let mut aligned = vec![0u128; copy.len().div_ceil(16).max(1)];
        unsafe { ptr::copy(copy.as_ptr(), aligned.as_mut_ptr().cast(), copy.len()) };
        // What was in the arena is still there for as long as the test does not allocate from it.
        match types.display(ty).contains("list") || ty == Type::String {
            true => Ok(Val::Bits(
                Values::get_bits(aligned.as_ptr().cast(), 8) - machine.context() as u64,
            )),
            false => Ok(values.read(ty, aligned.as_ptr().cast())),
        }
    })
}

#[test]
fn flat_values_are_wrapped_checked_and_reinterpreted() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let floats = types.intern(DefinedType::Result {
        ok: Some(Type::F64),
        err: Some(Type::F32),
    });
    let three = types.intern(DefinedType::Flags(vec!["a".into(), "b".into(), "c".into()]));
    let two = types.intern(DefinedType::Enum(vec!["a".into(), "b".into()]));
    let call =
        |ty, a: u64, b: u64| call_import(&types, ty, StringEncoding::Utf8, |_| (), [a, b, 0, 0]);
    let bits = |bits| Ok(Val::Bits(bits));
    let double = 1.5f64.to_bits();
    let single = u64::from(2.5f32.to_bits());
    let payload = |case, bits| Ok(Val::Case(case, Some(Box::new(Val::Bits(bits)))));
    assert_eq!(call(floats, 0, double), payload(0, double));
    assert_eq!(call(floats, 1, single), payload(1, single));
    assert_eq!(call(floats, 1, single | 7 << 32), payload(1, single));
    assert_eq!(call(floats, 2, 0), Err(TrapCode::InvalidDiscriminant));
    assert_eq!(call(Type::Bool, 0x100, 0), bits(1));
    assert_eq!(call(Type::Bool, 0, 0), bits(0));
    assert_eq!(call(Type::U8, 0x1ff, 0), bits(0xff));
    assert_eq!(call(three, 0xff, 0), bits(7));
    assert_eq!(call(two, 1, 0), Ok(Val::Case(1, None)));
    assert_eq!(call(two, 0x100, 0), Err(TrapCode::InvalidDiscriminant));
    assert_eq!(call(Type::Char, 0x10_ffff, 0), bits(0x10_ffff));
    for invalid in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
        assert_eq!(call(Type::Char, invalid, 0), Err(TrapCode::InvalidChar));
    }
}

#[test]
fn bad_pointers_and_strings_are_refused() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let mut types = TypeTable::default();
    let words = list(&mut types, Type::U32);
    let end = MEMORY as u64;
    let call = |ty, encoding, text: &[u8], pointer, length| {
        let prepare = |memory: &mut [u8]| memory[64..64 + text.len()].copy_from_slice(text);
        call_import(&types, ty, encoding, prepare, [pointer, length, 0, 0])
    };
    use StringEncoding::{Latin1OrUtf16, Utf8, Utf16};
    let lent = |at| Ok(Val::Bits(at));
    assert_eq!(call(words, Utf8, b"", 64, 3), lent(64));
    assert_eq!(call(words, Utf8, b"", end, 0), lent(end));
    assert_eq!(call(words, Utf8, b"", end - 8, 2), lent(end - 8));
    assert_eq!(
        call(words, Utf8, b"", end - 8, 3),
        Err(TrapCode::ListOutOfBounds)
    );
    assert_eq!(
        call(words, Utf8, b"", end + 4, 0),
        Err(TrapCode::ListOutOfBounds)
    );
    assert_eq!(
        call(words, Utf8, b"", 66, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(
        call(words, Utf8, b"", 64, 1 << 26),
        Err(TrapCode::ListTooLong)
    );
    assert_eq!(
        call(words, Utf8, b"", 64, 0xffff_ffff),
        Err(TrapCode::ListTooLong)
    );
    // Registers carry garbage above 32-bit values.
    assert_eq!(call(words, Utf8, b"", 64 | 9 << 40, 3 | 9 << 40), lent(64));

    let text = Type::String;
    for good in TEXTS {
        let length = good.len() as u64;
        assert_eq!(call(text, Utf8, good.as_bytes(), 64, length), lent(64));
        // Every byte that is not ASCII is seen, wherever it is.
        for at in 0..good.len().min(33) {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = 0xff;
            let refused = call(text, Utf8, &bad, 64, length);
            assert_eq!(refused, Err(TrapCode::InvalidUtf8), "{good} {at}");
        }
    }
    assert_eq!(
        call(text, Utf8, b"ab\xc3", 64, 3),
        Err(TrapCode::IncompleteUtf8)
    );
    assert_eq!(
        call(text, Utf8, b"", end - 2, 3),
        Err(TrapCode::StringOutOfBounds)
    );
    assert_eq!(
        call(text, Utf8, b"", 64, 1 << 28),
        Err(TrapCode::StringTooLong)
    );
    assert_eq!(
        call(text, Utf16, b"", 65, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(
        call(text, Utf16, b"", 64, 1 << 27),
        Err(TrapCode::StringTooLong)
    );
    assert_eq!(
        call(text, Utf16, b"\0\xd8", 64, 1),
        Err(TrapCode::InvalidUtf16)
    );
    assert_eq!(
        call(text, Utf16, b"", end - 2, 2),
        Err(TrapCode::StringOutOfBounds)
    );
    assert_eq!(
        call(text, Latin1OrUtf16, b"", 65, 0),
        Err(TrapCode::UnalignedPointer)
    );
    assert_eq!(call(text, Latin1OrUtf16, b"abc", 64, 3), lent(64));
    let tag = 1u64 << 31;
    let utf16 = |length| call(text, Latin1OrUtf16, b"\0\xdc", 64, tag | length);
    assert_eq!(utf16(1), Err(TrapCode::InvalidUtf16));
    assert_eq!(utf16(1 << 27), Err(TrapCode::StringTooLong));
}
