//! [`CompiledFunction`]: machine code on its way from the compiler to the linker. Plain data.

use anyhow::{Result, ensure};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::isa::unwind::UnwindInfo;
use std::collections::BTreeMap;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::sites::Site;
use trampette_artifact::tables::{Entry, Handler, InlinedCall};

/// Compiled functions in the order of `.text`.
pub(crate) type CompiledFunctions = BTreeMap<FuncKey, CompiledFunction>;

/// Machine code of one function with everything the linker needs. All offsets are bytes from the
/// start of `code`.
#[derive(Debug)]
pub(crate) struct CompiledFunction {
    /// What it is.
    pub key: FuncKey,
    /// The code, with zeros where relocations go.
    pub code: Vec<u8>,
    /// Alignment of its start.
    pub alignment: u32,
    /// What refers to other symbols.
    pub relocations: Vec<Relocation>,
    /// Places that a trap or a backtrace can name, in order; offsets relative to this function,
    /// inlined calls relative to [`CompiledFunction::inlined`].
    pub sites: Vec<Site>,
    /// Where code comes from, in order, if debuggers are told: offset in the function, and byte
    /// offset in the input.
    pub source_offsets: Vec<(u32, Option<u32>)>,
    /// The inlined calls that sites name, parents first.
    pub inlined: Vec<InlinedCall>,
    /// `try_call`s whose handlers resume traps; offsets relative to this function.
    pub entries: Vec<Entry>,
    /// Where exceptions thrown by its callees go on; offsets relative to this function.
    pub handlers: Vec<Handler>,
    /// How to unwind through it.
    pub unwind: Option<UnwindInfo>,
    /// Its text, if one was asked for.
    pub listing: Option<String>,
    /// Its lines with where they come from, if they were asked for.
    #[cfg(feature = "cli")]
    pub lines: Vec<AnnotatedLine>,
}

/// A line of a listing with where it comes from.
#[cfg(feature = "cli")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AnnotatedLine {
    /// Which listing it is part of.
    pub form: Form,
    /// Byte offset in the component.
    pub source: Option<u32>,
    /// The functions whose bodies stand around it in the place of calls, innermost first.
    pub inlined: Vec<FuncKey>,
    /// What it says.
    pub text: String,
}

/// What a listing is of.
#[cfg(feature = "cli")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// CLIF before optimisation, with calls inlined.
    Clif,
    /// Machine code.
    MachineCode,
}

/// A place in code that names a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Relocation {
    /// Where.
    pub offset: u32,
    /// How; only PC-relative kinds are linked.
    pub kind: Reloc,
    /// What.
    pub target: SymbolKey,
    /// Added to the symbol's address.
    pub addend: i64,
}

/// Checks what the driver promises: nothing is referred to that was not compiled.
///
/// # Errors
/// If a relocation names a function that is missing.
pub(crate) fn check_complete(functions: &CompiledFunctions) -> Result<()> {
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
