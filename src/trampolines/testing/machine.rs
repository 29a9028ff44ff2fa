//! Runs trampolines in the test's own process: a root and a context at their real distance, code
//! linked into one mapping, and a few lines that stand in for the runtime (the raise stub, the
//! growth of handle tables, host functions).
//!
//! State is per thread: a test makes one machine. It is for states that no component can bring
//! about, or that cannot be seen from outside; everything else is tested through artifacts.

use crate::codegen::emitter::Emitter;
use crate::codegen::{self, Session};
use crate::program::CoreFunc;
use crate::trampolines::testing::{compile, layout};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, ExternalName, InstBuilder, types};
use cranelift_codegen::{FinalizedMachExceptionHandler, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use trampette_artifact::builtin::Builtin;
use trampette_artifact::ids::*;
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::layout::*;
use trampette_artifact::trap::TrapCode;

/// Handle tables of the machine hold this many entries at most.
pub(super) const HANDLE_LIMIT: u32 = 20;
/// Where destructors and other guest functions leave what they saw, as an offset from the context.
const SEEN: i32 = -64;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Resume {
    sp: u64,
    fp: u64,
    handler: u64,
}

thread_local! {
    /// Return address of each `try_call`: frame offset and handler.
    static ENTRIES: RefCell<HashMap<u64, (u64, u64)>> = RefCell::default();
    static RESUME: Cell<*mut Resume> = Cell::new(Box::leak(Box::default()));
    static TRAP: Cell<Option<(u32, u64)>> = const { Cell::new(None) };
    static HOST_DROPS: RefCell<Vec<(u32, u32)>> = const { RefCell::new(Vec::new()) };
}

/// What the raise stub asks: where to go on.
extern "C" fn raise(root: u64, code: u32, payload: u64) -> *const Resume {
    TRAP.set(Some((code, payload)));
    // SAFETY: the machine's root is mapped, and an entry has stored its stack pointer there.
    let sp = unsafe { *((root + u64::from(root::ENTRY_SP.0)) as *const u64) };
    // SAFETY: as above; below the stack pointer is where the entry's call returns to.
    let return_address = unsafe { *((sp - 8) as *const u64) };
    let (frame, handler) = ENTRIES.with_borrow(|entries| entries[&return_address]);
    let resume = RESUME.get();
    // SAFETY: the thread's own, leaked; read by the stub before anything else runs.
    unsafe {
        *resume = Resume {
            sp,
            fp: sp + frame,
            handler,
        };
    }
    resume
}

extern "C" fn handle_table_grow(root: u64, table: u32) -> u32 {
    let state = layout().root.instance(ComponentInstanceId(table));
    // SAFETY: the machine's root is mapped and holds the state of this instance.
    let state = unsafe { &mut *((root + u64::from(state.0)) as *mut InstanceState) };
    let old = state.handles.capacity.max(1);
    let new = old + 3;
    if new > HANDLE_LIMIT {
        return 1;
    }
    let free = |index: u32| HandleEntry {
        tag: HandleEntry::FREE,
        lends: 0,
        rep: if index + 1 < new { index + 1 } else { 0 },
        extra: 0,
    };
    let mut entries: Vec<HandleEntry> = (0..new).map(free).collect();
    for index in 0..state.handles.capacity {
        // SAFETY: the table has that many entries.
        entries[index as usize] =
            unsafe { *(state.handles.entries as *const HandleEntry).add(index as usize) };
    }
    state.handles = HandleTable {
        entries: entries.leak().as_ptr() as u64,
        capacity: new,
        free_head: old,
    };
    0
}

extern "C" fn host_resource_drop(_root: u64, resource: u32, rep: u32) -> u32 {
    HOST_DROPS.with_borrow_mut(|drops| drops.push((resource, rep)));
    u32::from(rep == 13)
}

/// A host core function: adds `data` to its first parameter and returns it with the fifth.
extern "C" fn host_core(data: u64, _store: u64, values: *mut ValRaw, length: usize) -> u32 {
    assert_eq!(length, 9);
    // SAFETY: the trampoline passes nine values.
    let values = unsafe { std::slice::from_raw_parts_mut(values, length) };
    // SAFETY: 32 bits are always there.
    let first = unsafe { values[0].i32 };
    values[1] = values[4];
    values[0].i32 = first + data as i32;
    if first < 0 { HOST_ERROR } else { HOST_OK }
}

/// A root, a context and linked code.
pub(super) struct Machine {
    context: u64,
    functions: BTreeMap<FuncKey, u64>,
}

impl Machine {
    /// Links the entries and everything they reach.
    pub(super) fn new(session: &Session<'_>, entries: &[FuncKey]) -> Machine {
        let (page, all) = (CONTEXT_ALIGNMENT as usize, ROOT_DISTANCE as usize);
        let writable = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: a new mapping, written through its own pointers only; never unmapped.
        let base = unsafe {
            let none = ProtFlags::empty();
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            let base = mmap_anonymous(std::ptr::null_mut(), all, none, flags).unwrap();
            mprotect(base, page, writable).unwrap();
            mprotect(base.byte_add(all - page), page, writable).unwrap();
            base as u64
        };
        let mut machine = Machine {
            context: base + ROOT_DISTANCE,
            functions: BTreeMap::new(),
        };
        for instance in 0..=session.layout.root.instances {
            machine.state(ComponentInstanceId(instance)).flags = InstanceState::MAY_LEAVE;
        }
        for import in 0..session.layout.root.core_imports {
            let slot = session.layout.root.core_import(CoreImportId(import));
            *machine.at(slot) = ImportSlot {
                function: host_core as *const () as u64,
                data: 100,
            };
        }
        machine.link(session, entries);
        machine
    }

    fn link(&mut self, session: &Session<'_>, entries: &[FuncKey]) {
        const SIZE: usize = 1 << 20;
        // SAFETY: a new mapping, made executable before any of it runs.
        let base = unsafe {
            let writable = ProtFlags::READ | ProtFlags::WRITE;
            mmap_anonymous(std::ptr::null_mut(), SIZE, writable, MapFlags::PRIVATE).unwrap()
        } as u64;
        // The addresses of builtins come first, then the raise stub, then functions.
        let write = |at: u64, bytes: &[u8]| {
            assert!(at + bytes.len() as u64 <= base + SIZE as u64);
            // SAFETY: in bounds of the mapping.
            unsafe { std::ptr::copy(bytes.as_ptr(), at as *mut u8, bytes.len()) };
        };
        let stub = base + 8 * Builtin::ALL.len() as u64;
        // sub rsp, 8; mov rax, raise; call rax; mov rsp, [rax]; mov rbp, [rax + 8]; jmp [rax + 16]
        let mut code = vec![0x48, 0x83, 0xec, 0x08, 0x48, 0xb8];
        code.extend((raise as *const () as u64).to_le_bytes());
        code.extend([0xff, 0xd0, 0x48, 0x8b, 0x20, 0x48, 0x8b, 0x68, 0x08]);
        code.extend([0xff, 0x60, 0x10]);
        write(stub, &code);
        for (builtin, address) in [
            (Builtin::Raise, stub),
            (
                Builtin::HandleTableGrow,
                handle_table_grow as *const () as u64,
            ),
            (
                Builtin::HostResourceDrop,
                host_resource_drop as *const () as u64,
            ),
        ] {
            write(base + 8 * builtin as u64, &address.to_le_bytes());
        }

        let mut next = stub + 64;
        let mut relocations = Vec::new();
        let mut wanted: Vec<FuncKey> = entries.to_vec();
        while let Some(key) = wanted.pop() {
            if self.functions.contains_key(&key) {
                continue;
            }
            let func = match key {
                FuncKey::ModuleFunction(unit, index) => core_function(session, unit, index.0),
                _ => crate::trampolines::build(session, key).unwrap(),
            };
            let code = compile(session, &func);
            self.functions.insert(key, next);
            write(next, code.code_buffer());
            for site in code.buffer.call_sites() {
                if let [FinalizedMachExceptionHandler::Default(handler)] = site.exception_handlers {
                    let place = (
                        u64::from(site.frame_offset.unwrap()),
                        next + u64::from(*handler),
                    );
                    ENTRIES.with_borrow_mut(|entries| {
                        entries.insert(next + u64::from(site.ret_addr), place)
                    });
                }
            }
            for reloc in code.buffer.relocs() {
                let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target
                else {
                    panic!("{:?}", reloc.target);
                };
                let name = &func.params.user_named_funcs()[name];
                let target = SymbolKey::decode(name.namespace, name.index).unwrap();
                if let SymbolKey::Func(key) = target {
                    wanted.push(key);
                }
                relocations.push((next + u64::from(reloc.offset), target, reloc.addend));
            }
            next = (next + code.code_buffer().len() as u64).next_multiple_of(64);
        }
        for (at, target, addend) in relocations {
            let address = match target {
                SymbolKey::Func(key) => self.functions[&key],
                SymbolKey::Data(DataKey::Got) => base,
                SymbolKey::Data(other) => panic!("{other}"),
            };
            let relative = address.wrapping_add_signed(addend).wrapping_sub(at) as i64;
            write(at, &i32::try_from(relative).unwrap().to_le_bytes());
        }
        // SAFETY: the mapping made above.
        unsafe {
            let executable = MprotectFlags::READ | MprotectFlags::EXEC;
            mprotect(base as *mut _, SIZE, executable).unwrap();
        }
    }

    fn at<T>(&mut self, field: RootOffset) -> &mut T {
        // SAFETY: the root is mapped, and nobody else refers to it while the machine is borrowed:
        // compiled code runs only in functions that borrow it.
        unsafe { &mut *((self.context - ROOT_DISTANCE + u64::from(field.0)) as *mut T) }
    }

    /// The root's header.
    pub(super) fn header(&mut self) -> &mut RootHeader {
        self.at(RootOffset(0))
    }

    /// The state of an instance.
    pub(super) fn state(&mut self, instance: ComponentInstanceId) -> &mut InstanceState {
        self.at(layout().root.instance(instance))
    }

    /// An entry of an instance's handle table.
    pub(super) fn handle(&mut self, instance: ComponentInstanceId, index: u32) -> &mut HandleEntry {
        let table = self.state(instance).handles;
        assert!(index < table.capacity);
        // SAFETY: the table has that many entries.
        unsafe { &mut *(table.entries as *mut HandleEntry).add(index as usize) }
    }

    /// The machine's context pointer.
    pub(super) fn context(&self) -> u64 {
        self.context
    }

    /// What guest functions saw since the last call of this.
    pub(super) fn take_seen(&mut self) -> u32 {
        let at = self.context.wrapping_add_signed(SEEN.into()) as *mut u32;
        // SAFETY: the context is mapped.
        unsafe { std::mem::take(&mut *at) }
    }

    /// What the host's destructors saw.
    pub(super) fn host_drops(&self) -> Vec<(u32, u32)> {
        HOST_DROPS.take()
    }

    /// Calls an array-call entry.
    pub(super) fn call_array(
        &mut self,
        key: FuncKey,
        values: &mut [ValRaw],
    ) -> Result<(), (TrapCode, u64)> {
        type Function = extern "C" fn(u64, u64, *mut ValRaw, usize) -> bool;
        // SAFETY: the entry was compiled with this signature.
        let function: Function = unsafe { std::mem::transmute(self.functions[&key]) };
        let success = function(self.context, 0, values.as_mut_ptr(), values.len());
        assert_eq!(self.header().entry_sp, 0, "the record is restored");
        match (success, TRAP.take()) {
            (true, None) => Ok(()),
            (false, Some((code, payload))) => Err((
                TrapCode::from_number(code.try_into().unwrap()).unwrap(),
                payload,
            )),
            other => panic!("{other:?}"),
        }
    }

    /// Calls an array-call entry with one 32-bit parameter, and perhaps a result.
    pub(super) fn call(&mut self, key: FuncKey, operand: u32) -> Result<u32, (TrapCode, u64)> {
        let mut values = [ValRaw {
            i32: operand as i32,
        }];
        self.call_array(key, &mut values)?;
        // SAFETY: 32 bits are always there.
        Ok(unsafe { values[0].i32 } as u32)
    }

    /// Calls a native entry that takes one 32-bit parameter or none.
    pub(super) fn call_native(&mut self, key: FuncKey, operand: u32) -> u32 {
        type Function = extern "C" fn(u64, u32) -> u32;
        // SAFETY: the entry was compiled with this signature, or ignores the parameter.
        let function: Function = unsafe { std::mem::transmute(self.functions[&key]) };
        function(self.context, operand)
    }
}

/// Stand-ins for core functions. 0: a destructor that notes its operand, and raises for 666. 1:
/// returns its operands, but its context as the second; raises for 666. 2: calls the first core
/// import and notes its first result.
fn core_function(session: &Session<'_>, unit: UnitId, index: u32) -> ir::Function {
    let module = &session.program.modules[ModuleId(unit.0)];
    let core = module.signature(module.imported_functions + index);
    let key = FuncKey::ModuleFunction(unit, DefinedFunc(index));
    let mut func = codegen::new_function(key, codegen::wasm_call_signature(core));
    if unit.0 == 0 {
        // The other unit's context is not mapped.
        codegen::set_stack_limit(&mut func);
    }
    let mut builder_context = FunctionBuilderContext::new();
    let (mut e, mut params) = Emitter::new(session, &mut func, &mut builder_context);
    if index < 2 {
        let special = e.i32(666);
        let raises = e.builder.ins().icmp(IntCC::Equal, params[0], special);
        e.trap_if(raises, TrapCode::Unreachable, None);
    }
    let note = |e: &mut Emitter<'_, '_>, value| {
        let flags = ir::MemFlagsData::trusted();
        let context = e.context;
        e.builder.ins().store(flags, value, context, SEEN);
    };
    match index {
        0 => {
            // The child's context is not mapped; both note in the first.
            let back = crate::layout::Layout::distance(SlabId(unit.0), SlabId(0));
            let back = e.i64(back);
            e.context = e.builder.ins().iadd(e.context, back);
            note(&mut e, params[0]);
            e.builder.ins().return_(&[]);
        }
        1 => {
            params[1] = e.context;
            e.builder.ins().return_(&params);
        }
        _ => {
            let import = session.program.core_imports[CoreImportId(0)]
                .signature
                .clone();
            let args: Vec<_> = import
                .params
                .iter()
                .map(|ty| match codegen::clif_type(*ty) {
                    types::F32 => e.builder.ins().f32const(1.5),
                    types::F64 => e.builder.ins().f64const(2.5),
                    types::I8X16 => {
                        let byte = e.builder.ins().iconst(types::I8, 7);
                        e.builder.ins().splat(types::I8X16, byte)
                    }
                    ty => e.builder.ins().iconst(ty, 42),
                })
                .collect();
            let results = e.call_core(CoreFunc::Host(CoreImportId(0)), &import, &args);
            let vector = results[1];
            let seventh = e.builder.ins().extractlane(vector, 9);
            let seventh = e.builder.ins().uextend(types::I32, seventh);
            let sum = e.builder.ins().iadd(results[0], seventh);
            note(&mut e, sum);
            e.builder.ins().return_(&[]);
        }
    }
    e.finish();
    func
}
