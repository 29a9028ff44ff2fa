//! The compile driver: from keys to machine code, in parallel.
//!
//! With inlining, the call graph of what the host can reach ([`roots`]) is taken from the bottom up
//! (`Inlining`); a function whose calls have all been replaced is not compiled. Then, and without inlining
//! from the start, what the relocations of compiled code name is compiled, again and again until nothing is
//! new: what nothing names is never part of the result. The order in which threads get there does not
//! matter: decisions depend on the graph alone, and results are sorted by key.

mod scheduler;

use crate::codegen::{self, Session, isa, trap_from_clif};
use crate::compiled::{CompiledFunction, Relocation};
use crate::component::layout::Layout;
use crate::component::program::{CoreFunc, CoreItem, Program};
use crate::inline::Body;
use crate::inline::graph::CallGraph;
use crate::inline::positions::Positions;
use crate::{late, modules, trampolines};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use cranelift_codegen::{CompiledCode, Context, ir, settings};
use cranelift_codegen::{FinalizedMachExceptionHandler, FinalizedRelocTarget};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use trampette_artifact::ids::{ExportId, ResourceId, TableId, UnitId};
use trampette_artifact::key::{Abi, DataKey, FuncKey, SymbolKey};
use trampette_artifact::metadata::{ExportItem, Resource};
use trampette_artifact::sites::Site;
use trampette_artifact::tables::{Catch, Entry, Handler};
use trampette_artifact::trap::TrapCode;

/// Compiled functions in the order of `.text`.
pub type CompiledFunctions = BTreeMap<FuncKey, CompiledFunction>;

/// What the host can call, and what can be called through a function value.
pub fn roots(session: &Session<'_>) -> Vec<FuncKey> {
    let program = session.program;
    let escaping = session.layout.escaping_functions();
    let mut keys: Vec<FuncKey> = escaping.map(|func| func.key()).collect();
    for export in &program.exports {
        if let ExportItem::Function {
            id, post_return, ..
        } = export.item
        {
            keys.push(FuncKey::ExportEntry(Abi::Native, id));
            if post_return {
                keys.push(FuncKey::PostReturn(Abi::Native, id));
            }
        }
    }
    for (index, resource) in program.resources.iter().enumerate() {
        let drops = matches!(
            resource.info,
            Resource::Defined {
                has_destructor: true,
                ..
            }
        );
        if drops {
            keys.push(FuncKey::ResourceDrop(Abi::Native, ResourceId::new(index)));
        }
    }
    for (step, actions) in session.layout.startup.iter().enumerate() {
        if !actions.is_empty() {
            keys.push(FuncKey::Startup(Abi::Native, step as u32));
        }
    }
    for export in &program.core_exports {
        if let CoreItem::Func(CoreFunc::Module(instance, func)) = export.item {
            keys.push(FuncKey::ArrayToWasm(UnitId(instance.0), func));
        }
    }
    keys
}

/// What was compiled, and what inlining did on the way.
#[derive(Default)]
pub struct Compiled {
    /// Everything that the host can reach.
    pub functions: CompiledFunctions,
    /// Calls that were replaced by the callee's body.
    pub inlined_calls: usize,
    /// Functions of which no call is left.
    pub inlined_away: usize,
    /// Core functions among them.
    pub inlined_away_core: usize,
}

/// Compiles everything reachable from the roots.
///
/// # Errors
/// If a function is invalid or uses what is not supported; the error names its symbol. Of several
/// failures the first by key is reported, whatever thread met it.
pub fn compile_reachable(session: &Session<'_>, listing: Listing) -> Result<Compiled> {
    let (done, failed) = compile_what_can_be(session, listing);
    match failed.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(done),
    }
}

/// Compiles everything reachable from the roots, and goes on after failures, which are returned by
/// key.
pub fn compile_what_can_be(
    session: &Session<'_>,
    listing: Listing,
) -> (Compiled, BTreeMap<FuncKey, anyhow::Error>) {
    let roots = roots(session);
    let state = Driver {
        session,
        listing,
        seen: Mutex::default(),
        tables: Mutex::default(),
        done: Mutex::default(),
        failed: Mutex::default(),
    };
    let mut compiled = Compiled::default();
    let mut graph = None;
    if let Some(tunables) = &session.inlining {
        let call_graph = graph.insert(CallGraph::new(session, &roots));
        compiled.inlined_calls = scheduler::inline_and_compile(&state, tunables, call_graph);
    }
    rayon::scope(|scope| state.visit(roots.iter().copied(), scope));
    let failed = into_inner(state.failed);
    compiled.functions = into_inner(state.done);
    // Inlining may leave compiled functions that only inlined copies of their callers would have called.
    if let Some(graph) = graph {
        let reached = reached(session.layout, &compiled.functions, roots.iter().copied());
        compiled.functions.retain(|key, _| reached.contains(key));
        let gone = graph.nodes.iter().map(|node| node.key);
        for key in gone.filter(|key| !reached.contains(key)) {
            compiled.inlined_away += 1;
            compiled.inlined_away_core += usize::from(matches!(key, FuncKey::ModuleFunction(..)));
        }
    }
    (compiled, failed)
}

/// What relocations reach from `roots`.
fn reached(
    layout: &Layout,
    functions: &CompiledFunctions,
    roots: impl IntoIterator<Item = FuncKey>,
) -> HashSet<FuncKey> {
    let mut reached: HashSet<FuncKey> = roots.into_iter().collect();
    let mut open: Vec<FuncKey> = reached.iter().copied().collect();
    let mut tables = BTreeSet::new();
    while let Some(key) = open.pop() {
        let callees = functions.get(&key).map(|f| callees(layout, f, &mut tables));
        let callees = callees.into_iter().flatten();
        open.extend(callees.filter(|callee| reached.insert(*callee)));
    }
    reached
}

/// What a function's relocations lead to: the functions that they name, and those that can be called through
/// the sealed tables that they name, unless `tables` has those already.
fn callees(
    layout: &Layout,
    function: &CompiledFunction,
    tables: &mut BTreeSet<TableId>,
) -> Vec<FuncKey> {
    let mut callees = Vec::new();
    for relocation in &function.relocations {
        match relocation.target {
            SymbolKey::Func(key) => callees.push(key),
            SymbolKey::Data(DataKey::SealedTable(table)) => {
                if tables.insert(table) {
                    callees.extend(layout.callees_through(table).map(CoreFunc::key));
                }
            }
            SymbolKey::Data(_) => {}
        }
    }
    callees
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().expect("no thread panics with the lock")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics with the lock")
}

/// Which text of a function to keep beside its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Listing {
    /// None.
    #[default]
    None,
    /// Its CLIF before optimisation.
    Clif,
    /// Its disassembled machine code.
    Assembly,
}

struct Driver<'s, 'a> {
    session: &'s Session<'a>,
    listing: Listing,
    /// What was compiled or is about to be.
    seen: Mutex<HashSet<FuncKey>>,
    /// The sealed tables whose functions were visited.
    tables: Mutex<BTreeSet<TableId>>,
    done: Mutex<CompiledFunctions>,
    failed: Mutex<BTreeMap<FuncKey, anyhow::Error>>,
}

impl<'s> Driver<'s, '_> {
    /// Compiles those of `keys` that are not compiled yet, each as a task, and what they all lead to. No
    /// thread takes what another has taken.
    fn visit<'scope>(
        &'scope self,
        keys: impl IntoIterator<Item = FuncKey>,
        scope: &rayon::Scope<'scope>,
    ) {
        let fresh: Vec<FuncKey> = {
            let mut seen = lock(&self.seen);
            keys.into_iter().filter(|key| seen.insert(*key)).collect()
        };
        for key in fresh {
            scope.spawn(move |scope| {
                if !lock(&self.done).contains_key(&key) {
                    let compiled = guarded(self.session, key, || {
                        let body = Body::new(build_clif(self.session, key)?);
                        compile_body(self.session, key, body, self.listing)
                    });
                    self.record(key, compiled);
                }
                let callees = lock(&self.done).get(&key).map(|function| {
                    let mut tables = lock(&self.tables);
                    callees(self.session.layout, function, &mut tables)
                });
                self.visit(callees.into_iter().flatten(), scope);
            });
        }
    }

    /// Notes what became of a function.
    fn record(&self, key: FuncKey, compiled: Result<CompiledFunction>) {
        match compiled {
            Ok(function) => {
                lock(&self.done).insert(key, function);
            }
            Err(error) => {
                lock(&self.failed).insert(key, error);
            }
        }
    }
}

/// Validates the function bodies that pruning left out.
///
/// # Errors
/// If one is invalid, with its byte offset.
pub fn validate_unreachable(program: &Program<'_>) -> Result<()> {
    use rayon::prelude::*;
    let bodies: Vec<_> = program
        .modules
        .iter()
        .flat_map(|module| &module.bodies)
        .collect();
    bodies.par_iter().try_for_each_init(
        wasmparser::FuncValidatorAllocations::default,
        |allocations, body| {
            let taken = body
                .validator
                .lock()
                .expect("no thread panics with the lock")
                .take();
            let Some(to_validate) = taken else {
                return Ok(());
            };
            let mut validator = to_validate.into_validator(std::mem::take(allocations));
            let result = validator.validate(&body.body);
            *allocations = validator.into_allocations();
            result.map_err(|error| {
                anyhow!(
                    "invalid function body at offset {:#x}: {}",
                    error.offset(),
                    error.message()
                )
            })
        },
    )
}

/// The CLIF of any key, as its producer makes it.
///
/// # Errors
/// If the function is invalid or uses what is not supported.
pub fn build_clif(session: &Session<'_>, key: FuncKey) -> Result<ir::Function> {
    match key {
        FuncKey::ModuleFunction(unit, function) => {
            modules::translate::translate_function(session, unit, function)
        }
        _ => trampolines::build(session, key),
    }
}

thread_local! {
    /// Cranelift's working memory, kept from one function to the next.
    static WORKING_MEMORY: RefCell<(Context, regalloc2::Ctx)> =
        RefCell::new((Context::new(), Default::default()));
}

/// Does a part of compiling `key`: errors name the function, and a panic of the compiler (a defect) is one.
fn guarded<T>(session: &Session<'_>, key: FuncKey, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => {
            result.with_context(|| format!("cannot compile `{}`", symbol(session.program, key)))
        }
        Err(_) => {
            WORKING_MEMORY.set((Context::new(), Default::default()));
            bail!(
                "internal error: the compiler panicked on `{}`",
                symbol(session.program, key)
            )
        }
    }
}

/// The backtracking register allocator takes time that is quadratic in the number of blocks; here it
/// is half a second, and functions with more blocks get the other one.
const LARGE_FUNCTION_BLOCKS: usize = 25_000;

/// The alignment in bytes of a core function without a loop: what the processor decodes at once. Trampolines are
/// on the way of many calls, and have what Cranelift prefers.
const CALLED_ALIGNMENT: u32 = 16;

/// The alignment in bytes of a function with a loop: a cache line, so that how fast the loop is does not
/// depend on what is before the function.
const LOOPING_ALIGNMENT: u32 = 64;

/// Compiles CLIF.
///
/// # Errors
/// If Cranelift gives up (an implementation limit), or an entry breaks the rules of entries.
fn compile_body(
    session: &Session<'_>,
    key: FuncKey,
    body: Body,
    listing: Listing,
) -> Result<CompiledFunction> {
    if trampolines::is_entry(key) {
        trampolines::entry::verify_entry(&body.func)?;
    }
    let clif_text = (listing == Listing::Clif).then(|| body.func.display().to_string());
    WORKING_MEMORY.with_borrow_mut(|(context, registers)| {
        context.clear();
        context.func = body.func;
        let large = context.func.dfg.num_blocks() > LARGE_FUNCTION_BLOCKS;
        let mut alignment = match key {
            FuncKey::ModuleFunction(..) => CALLED_ALIGNMENT,
            _ => session.isa.function_alignment().preferred,
        };
        let isa = &*session.isa;
        context.optimize(isa, &mut Default::default())?;
        if isa.flags().opt_level() != settings::OptLevel::None {
            if context.loop_analysis.loops().next().is_some() {
                alignment = LOOPING_ALIGNMENT;
            }
            late::improve(context, session.layout.memories_end_early());
            context.verify_if(isa)?;
        }
        let for_large = large.then(|| isa::for_large_functions(isa)).transpose()?;
        // What `Context::compile` does after optimising.
        let stencil = for_large.as_deref().unwrap_or(isa).compile_function(
            &context.func,
            &context.domtree,
            registers,
            listing == Listing::Assembly,
            &mut Default::default(),
        )?;
        let compiled = stencil.apply_params(&context.func.params);
        let mut function = finish(session, key, &body.positions, &context.func, &compiled)?;
        function.alignment = function.alignment.max(alignment);
        function.listing = match listing {
            Listing::Assembly => Some(disassemble(session, &context.func, &compiled)?),
            _ => clif_text,
        };
        let no_function = ir::Function::new();
        codegen::recycle(std::mem::replace(&mut context.func, no_function));
        Ok(function)
    })
}

/// Takes from Cranelift what the linker needs.
fn finish(
    session: &Session<'_>,
    key: FuncKey,
    positions: &Positions,
    func: &ir::Function,
    compiled: &CompiledCode,
) -> Result<CompiledFunction> {
    let buffer = &compiled.buffer;
    let relocations = buffer
        .relocs()
        .iter()
        .map(|reloc| {
            Ok(Relocation {
                offset: reloc.offset,
                kind: reloc.kind,
                target: relocation_target(func, &reloc.target)?,
                addend: reloc.addend,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut places = Vec::with_capacity(buffer.traps().len());
    for trap in buffer.traps() {
        let code = trap_from_clif(trap.code).context("an unknown trap code in generated code")?;
        places.push((trap.offset, Some(code)));
    }
    let (mut entries, mut handlers) = (Vec::new(), Vec::new());
    for site in buffer.call_sites() {
        // A backtrace looks up the byte before the return address: still inside the call.
        places.push((site.ret_addr - 1, None));
        for handler in site.exception_handlers {
            let return_address = site.ret_addr;
            let frame_offset = site
                .frame_offset
                .context("a call site without a frame offset")?;
            match *handler {
                FinalizedMachExceptionHandler::Default(handler) => {
                    entries.push(Entry {
                        return_address,
                        frame_offset,
                        handler,
                        reserved: 0,
                    });
                }
                FinalizedMachExceptionHandler::Tag(catch, handler) => {
                    let catch = Catch::from_number(catch.as_u32());
                    handlers.push(Handler {
                        return_address,
                        frame_offset,
                        handler,
                        catch,
                    });
                }
                FinalizedMachExceptionHandler::Context(_) => {
                    bail!("an exception table with a context in generated code")
                }
            }
        }
    }
    let unwind = compiled
        .create_unwind_info(&*session.isa)
        .map_err(|error| anyhow!("no unwind information: {error:?}"))?;
    let mut function = CompiledFunction {
        key,
        code: buffer.data().to_vec(),
        alignment: buffer.alignment,
        relocations,
        sites: Vec::new(),
        inlined: Vec::new(),
        entries,
        handlers,
        unwind,
        listing: None,
    };
    positions.put_on(&mut function, &sites(buffer.get_srclocs_sorted(), places));
    Ok(function)
}

/// The machine code as text, with relocations and traps.
fn disassemble(
    session: &Session<'_>,
    func: &ir::Function,
    compiled: &CompiledCode,
) -> Result<String> {
    let capstone = session
        .isa
        .to_capstone()
        .map_err(|error| anyhow!("no disassembler for the target: {error}"))?;
    compiled
        .disassemble(Some(&func.params), &capstone)
        .map_err(|error| anyhow!("cannot disassemble: {error}"))
}

/// The places that a trap or a backtrace can name, with their source locations.
fn sites(
    ranges: &[cranelift_codegen::MachSrcLoc<cranelift_codegen::Final>],
    mut places: Vec<(u32, Option<TrapCode>)>,
) -> Vec<(Site, ir::SourceLoc)> {
    // Of a call and a trap at one place the trap is kept.
    places.sort_unstable_by_key(|(offset, trap)| (*offset, trap.is_none()));
    places.dedup_by_key(|(offset, _)| *offset);
    let mut next = 0;
    let site = |(offset, trap)| {
        while next < ranges.len() && ranges[next].end <= offset {
            next += 1;
        }
        let location = ranges.get(next).filter(|range| range.start <= offset);
        let site = Site {
            offset,
            trap,
            source: None,
            inlined: None,
        };
        (
            site,
            location.map_or_else(Default::default, |range| range.loc),
        )
    };
    places.into_iter().map(site).collect()
}

fn relocation_target(func: &ir::Function, target: &FinalizedRelocTarget) -> Result<SymbolKey> {
    let FinalizedRelocTarget::ExternalName(name) = target else {
        bail!("a relocation to a place inside a function")
    };
    match name {
        ir::ExternalName::User(name) => {
            let name = &func.params.user_named_funcs()[*name];
            SymbolKey::decode(name.namespace, name.index)
                .context("a relocation with an unknown key")
        }
        ir::ExternalName::LibCall(call) => Ok(FuncKey::Builtin(libcall(*call)?).into()),
        other => bail!("a relocation to `{other:?}`"),
    }
}

/// The builtin that serves one of Cranelift's library calls.
fn libcall(call: ir::LibCall) -> Result<trampette_artifact::builtin::Builtin> {
    bail!("generated code needs the library call `{call}`: the target lacks an instruction")
}

/// The full name of a symbol: the key's, and the module's name for a core function or the kind of a
/// trampoline.
pub fn symbol(program: &Program<'_>, key: FuncKey) -> String {
    let detail = match key {
        FuncKey::ModuleFunction(UnitId(unit), defined) => program
            .core_instances
            .get(unit as usize)
            .and_then(|instance| {
                let module = &program.modules[instance.module.index()];
                module
                    .function_name(module.imported_functions + defined)
                    .map(str::to_string)
            }),
        FuncKey::ComponentTrampoline(_, id) => program
            .trampolines
            .get(id.index())
            .map(|trampoline| trampoline.kind.name().to_string()),
        FuncKey::ExportEntry(_, ExportId(id)) | FuncKey::PostReturn(_, ExportId(id)) => {
            program.lifts.get(id as usize).map(|lift| lift.name.clone())
        }
        _ => None,
    };
    match (key, detail) {
        (FuncKey::ComponentTrampoline(..), Some(kind)) => format!("{key}-{kind}"),
        (_, Some(name)) => format!("{key}::{name}"),
        (_, None) => key.to_string(),
    }
}

/// Checks what the driver promises: nothing is referred to that was not compiled.
///
/// # Errors
/// If a relocation names a function that is missing.
pub fn check_complete(functions: &CompiledFunctions) -> Result<()> {
    for function in functions.values() {
        for relocation in &function.relocations {
            if let SymbolKey::Func(target) = relocation.target {
                ensure!(
                    functions.contains_key(&target),
                    "`{}` refers to `{target}`, which was not compiled",
                    function.key
                );
            }
        }
    }
    Ok(())
}
