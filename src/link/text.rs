//! `.text` and the tables that are indexed by code offset.

use super::symbol_address;
use crate::program::compiled::CompiledFunctions;
use anyhow::{Context, Result, bail};
use cranelift_codegen::binemit::Reloc;
use trampette_artifact::key::{DataKey, FuncKey, SymbolKey};
use trampette_artifact::sites::Site;
use trampette_artifact::tables::{Entry, FunctionRange, Handler, InlinedCall};

/// The code and its tables; all sorted by offset.
pub(crate) struct Text {
    /// The bytes of `.text`.
    pub code: Vec<u8>,
    /// Where each function is.
    pub functions: Vec<FunctionRange>,
    /// Places that a trap or a backtrace can name.
    pub sites: Vec<Site>,
    /// Calls that were replaced by the callee's body; sites name them.
    pub inlined: Vec<InlinedCall>,
    /// Where traps resume.
    pub entries: Vec<Entry>,
    /// Where exceptions go on.
    pub handlers: Vec<Handler>,
}

/// What fills the space between functions: `int3`, so that a stray jump stops at once.
const PADDING: u8 = 0xcc;

/// Places functions one after the other in the order of their keys.
///
/// # Errors
/// If the code is larger than 2 GiB.
pub(crate) fn lay_out(functions: &CompiledFunctions) -> Result<Text> {
    let total: usize = functions
        .values()
        .map(|f| f.code.len() + f.alignment as usize)
        .sum();
    i32::try_from(total).context("the code is larger than 2 GiB")?;
    let mut text = Text {
        code: Vec::with_capacity(total),
        functions: Vec::with_capacity(functions.len()),
        sites: Vec::new(),
        inlined: Vec::new(),
        entries: Vec::new(),
        handlers: Vec::new(),
    };
    for (key, function) in functions {
        let start = text
            .code
            .len()
            .next_multiple_of(function.alignment as usize);
        text.code.resize(start, PADDING);
        text.code.extend_from_slice(&function.code);
        let start = start as u32; // checked above
        let (namespace, index) = SymbolKey::Func(*key).encode();
        let length = function.code.len() as u32;
        text.functions.push(FunctionRange {
            namespace,
            index,
            start,
            length,
        });
        let first = text.inlined.len() as u32; // a call has at least a site, which has a byte of code
        text.sites.extend(function.sites.iter().map(|site| Site {
            offset: start + site.offset,
            inlined: site.inlined.map(|call| first + call),
            ..*site
        }));
        let moved = |call: &InlinedCall| InlinedCall {
            parent: call.parent.checked_sub(1).map_or(0, |own| first + own + 1),
            ..*call
        };
        text.inlined.extend(function.inlined.iter().map(moved));
        text.entries
            .extend(function.entries.iter().map(|entry| Entry {
                return_address: start + entry.return_address,
                handler: start + entry.handler,
                ..*entry
            }));
        text.handlers
            .extend(function.handlers.iter().map(|handler| Handler {
                return_address: start + handler.return_address,
                handler: start + handler.handler,
                ..*handler
            }));
    }
    Ok(text)
}

impl Text {
    /// Where a function is.
    pub(crate) fn find(&self, key: FuncKey) -> Option<&FunctionRange> {
        let wanted = SymbolKey::Func(key).encode();
        let at = self
            .functions
            .binary_search_by_key(&wanted, |f| (f.namespace, f.index))
            .ok()?;
        Some(&self.functions[at])
    }

    /// Every function and where it is.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (FuncKey, &FunctionRange)> {
        self.functions
            .iter()
            .filter_map(|f| match SymbolKey::decode(f.namespace, f.index) {
                Some(SymbolKey::Func(key)) => Some((key, f)),
                _ => None,
            })
    }

    /// Resolves relocations.
    ///
    /// # Errors
    /// If one is not PC-relative, does not fit, or names an unknown symbol.
    pub(crate) fn relocate(
        &mut self,
        functions: &CompiledFunctions,
        text_address: u64,
        data_address: impl Fn(DataKey) -> Option<u64>,
    ) -> Result<()> {
        for (place, function) in functions.values().enumerate() {
            let start = self.functions[place].start;
            for relocation in &function.relocations {
                match relocation.kind {
                    Reloc::X86CallPCRel4 | Reloc::X86PCRel4 => {}
                    other => bail!(
                        "`{}` has a relocation that is not PC-relative: {other}",
                        function.key
                    ),
                }
                let target = symbol_address(relocation.target, self, text_address, &data_address)
                    .with_context(|| format!("in `{}`", function.key))?;
                let at = start as usize + relocation.offset as usize;
                let value = (target as i64)
                    .wrapping_add(relocation.addend)
                    .wrapping_sub((text_address + at as u64) as i64);
                let value = i32::try_from(value).with_context(|| {
                    format!("`{}` is too far from `{}`", relocation.target, function.key)
                })?;
                self.code
                    .get_mut(at..at + 4)
                    .with_context(|| format!("a relocation outside `{}`", function.key))?
                    .copy_from_slice(&value.to_le_bytes());
            }
        }
        Ok(())
    }
}
