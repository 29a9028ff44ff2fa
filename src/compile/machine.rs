//! From CLIF to machine code, and what the linker needs of it.
//!
//! Cranelift optimises, the passes behind it ([`passes::after`]) run, and Cranelift selects
//! instructions and allocates registers. Its results become a [`CompiledFunction`], which knows
//! Cranelift's types for relocations and unwinding, and no others.

use super::Listing;
#[cfg(feature = "cli")]
use super::annotate;
use crate::codegen::{self, Session, isa, trap_from_clif};
use crate::inline::Body;
use crate::inline::positions::Positions;
use crate::options::DebugInfo;
use crate::program::compiled::{CompiledFunction, Relocation};
use crate::{passes, trampolines};
use anyhow::{Context as _, Result, anyhow, bail};
use cranelift_codegen::{CompiledCode, Context, ir, settings};
use cranelift_codegen::{FinalizedMachExceptionHandler, FinalizedRelocTarget};
use std::cell::RefCell;
use std::ops::Range;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::sites::Site;
use trampette_artifact::tables::{Catch, Entry, Handler};
use trampette_artifact::trap::TrapCode;

thread_local! {
    /// Cranelift's working memory, kept from one function to the next.
    static WORKING_MEMORY: RefCell<(Context, regalloc2::Ctx)> =
        RefCell::new((Context::new(), Default::default()));
}

/// Forgets the thread's working memory: a panic may have left anything there.
pub(super) fn forget_working_memory() {
    WORKING_MEMORY.set((Context::new(), Default::default()));
}

/// The backtracking register allocator takes time that is quadratic in the number of blocks; here
/// it is half a second, and functions with more blocks get the other one.
const LARGE_FUNCTION_BLOCKS: usize = 25_000;

/// The alignment in bytes of a core function without a loop: what the processor decodes at once.
/// Trampolines are on the way of many calls, and have what Cranelift prefers.
const CALLED_ALIGNMENT: u32 = 16;

/// The alignment in bytes of a function with a loop: a cache line, so that how fast the loop is
/// does not depend on what is before the function.
const LOOPING_ALIGNMENT: u32 = 64;

/// Compiles CLIF.
///
/// # Errors
/// If Cranelift gives up (an implementation limit), or an entry breaks the rules of entries.
pub(super) fn compile_body(
    session: &Session<'_>,
    key: FuncKey,
    body: Body,
    listing: Listing,
) -> Result<CompiledFunction> {
    if trampolines::is_entry(key) {
        trampolines::entry::verify_entry(&body.func)?;
    }
    #[cfg(feature = "cli")]
    let mut lines = match listing {
        Listing::Annotated => annotate::clif(&body),
        _ => Vec::new(),
    };
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
            passes::after::improve(context, session.layout);
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
        let mut compiled = stencil.apply_params(&context.func.params);
        let loops = loops(&mut compiled);
        let mut function = finish(
            session,
            key,
            &body.positions,
            &context.func,
            &compiled,
            &loops,
        )?;
        function.alignment = function.alignment.max(alignment);
        function.listing = match listing {
            Listing::Assembly => Some(disassemble(session, &context.func, &compiled)?),
            _ => clif_text,
        };
        #[cfg(feature = "cli")]
        if listing == Listing::Annotated {
            lines.extend(annotate::machine_code(
                session,
                &body.positions,
                &function.relocations,
                &compiled,
            )?);
            function.lines = std::mem::take(&mut lines);
        }
        let no_function = ir::Function::new();
        codegen::recycle(std::mem::replace(&mut context.func, no_function));
        Ok(function)
    })
}

/// A loop: where it begins, and how far the block reaches that goes back there.
type Loop = Range<u32>;

/// Takes the loops out of what Cranelift says of blocks, which would be in listings.
fn loops(compiled: &mut CompiledCode) -> Vec<Loop> {
    let starts = std::mem::take(&mut compiled.bb_starts);
    let edges = std::mem::take(&mut compiled.bb_edges);
    let end_of = |block: u32| {
        let next = starts.partition_point(|start| *start <= block);
        starts
            .get(next)
            .copied()
            .unwrap_or(compiled.buffer.total_size())
    };
    let back = edges.into_iter().filter(|(from, to)| to <= from);
    back.map(|(from, to)| to..end_of(from)).collect()
}

/// Takes from Cranelift what the linker needs.
fn finish(
    session: &Session<'_>,
    key: FuncKey,
    positions: &Positions,
    func: &ir::Function,
    compiled: &CompiledCode,
    loops: &[Loop],
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
        source_offsets: match session.debug_info {
            DebugInfo::None => Vec::new(),
            DebugInfo::Lines => source_offsets(positions, buffer.get_srclocs_sorted()),
        },
        inlined: Vec::new(),
        entries,
        handlers,
        unwind,
        listing: None,
        #[cfg(feature = "cli")]
        lines: Vec::new(),
    };
    let places = sites(buffer.get_srclocs_sorted(), places, loops);
    positions.put_on(&mut function, &places);
    Ok(function)
}

/// Where all of the code comes from.
fn source_offsets(
    positions: &Positions,
    ranges: &[cranelift_codegen::MachSrcLoc<cranelift_codegen::Final>],
) -> Vec<(u32, Option<u32>)> {
    let mut lines: Vec<(u32, Option<u32>)> = Vec::new();
    let mut end = 0;
    let mut add = |offset: u32, source| match lines.last() {
        Some((_, last)) if *last == source => {}
        _ => lines.push((offset, source)),
    };
    for range in ranges.iter().filter(|range| range.start < range.end) {
        if range.start > end {
            add(end, None);
        }
        add(range.start, positions.decode(range.loc).source);
        end = range.end;
    }
    add(end, None);
    lines
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

/// The places that a trap or a backtrace can name, with their source locations; and the starts of
/// loops, by which an interrupt of one that does neither can be named.
fn sites(
    ranges: &[cranelift_codegen::MachSrcLoc<cranelift_codegen::Final>],
    places: Vec<(u32, Option<TrapCode>)>,
    loops: &[Loop],
) -> Vec<(Site, ir::SourceLoc)> {
    let places = places.into_iter().map(|(at, trap)| (at, trap, at..at + 1));
    let interrupt = Some(TrapCode::Interrupt);
    let loops = loops.iter().map(|it| (it.start, interrupt, it.clone()));
    let mut places: Vec<_> = places.chain(loops).collect();
    // Of several things at one place a trap is kept.
    let rank = |trap: &Option<TrapCode>| (trap.is_none(), *trap == interrupt);
    places.sort_unstable_by_key(|(at, trap, within)| (*at, rank(trap), within.end));
    places.dedup_by_key(|(at, ..)| *at);
    let site = |(offset, trap, within): (u32, _, Range<u32>)| {
        let next = ranges.partition_point(|range| range.end <= offset);
        let location = ranges.get(next).filter(|range| range.start < within.end);
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
    let sites = places.into_iter().map(site);
    // A loop of code that comes from no instruction of the guest names nothing.
    let names =
        |(site, location): &(Site, ir::SourceLoc)| site.trap != interrupt || !location.is_default();
    sites.filter(names).collect()
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
        ir::ExternalName::LibCall(call) => {
            bail!("generated code needs the library call `{call}`: the target lacks an instruction")
        }
        other => bail!("a relocation to `{other:?}`"),
    }
}
