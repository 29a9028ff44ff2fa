//! The tables that are indexed by code offset, and the function table that code calls through.

use super::code::Code;
use super::functions::{Function, Functions, callee_of_entry};
use super::image::{Image, Text};
use crate::trampolines::is_entry;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use trampette_artifact::header::section;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::layout::SLAB_STRIDE;
use trampette_artifact::metadata::Metadata;
use trampette_artifact::sites::{Site, Sites};
use trampette_artifact::tables::{Catch, Entry, FunctionEntry, Handler, InlinedCall};

/// The rows of a table: four words each.
///
/// # Errors
/// If they are no whole number.
pub(super) fn rows(bytes: &[u8]) -> Result<impl Iterator<Item = [u32; 4]> + '_> {
    ensure!(bytes.len().is_multiple_of(16), "a table with half a row");
    let word = |row: &[u8], at: usize| {
        u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
    };
    let rows = bytes.chunks_exact(16);
    Ok(rows.map(move |row| [0, 4, 8, 12].map(|at| word(row, at))))
}

/// The tables. Offsets are those in `.text`.
pub(super) struct Tables {
    pub sites: Vec<Site>,
    pub entries: Vec<Entry>,
    handlers: Vec<Handler>,
    inlined: Vec<InlinedCall>,
}

impl Tables {
    /// Reads the tables.
    ///
    /// # Errors
    /// If one is not encoded as it should be.
    pub(super) fn read(image: &Image<'_>) -> Result<Tables> {
        let sites = Sites::parse(image.contents(section::SITES)?);
        let sites = sites.and_then(|sites| sites.all());
        // Artifacts without any have no such section.
        let optional = |name| match image.find(name) {
            Some(_) => image.contents(name),
            None => Ok(&[][..]),
        };
        let entries = rows(image.contents(section::ENTRIES)?)?;
        let handlers = rows(optional(section::EXCEPTIONS)?)?;
        let inlined = rows(optional(section::INLINED)?)?;
        Ok(Tables {
            sites: sites.with_context(|| format!("{} is damaged", section::SITES))?,
            entries: entries
                .map(|[return_address, frame_offset, handler, reserved]| Entry {
                    return_address,
                    frame_offset,
                    handler,
                    reserved,
                })
                .collect(),
            handlers: handlers
                .map(|[return_address, frame_offset, handler, catch]| Handler {
                    return_address,
                    frame_offset,
                    handler,
                    catch: Catch::from_number(catch),
                })
                .collect(),
            inlined: inlined
                .map(|[namespace, index, source, parent]| InlinedCall {
                    namespace,
                    index,
                    source,
                    parent,
                })
                .collect(),
        })
    }

    /// Rows are sorted, lie in functions of the right kind, and refer to rows that are there.
    ///
    /// # Errors
    /// If one does not.
    pub(super) fn check_order(&self, functions: &Functions) -> Result<()> {
        for entry in &self.entries {
            let at = entry.return_address;
            let function = functions.around(at).filter(|it| is_entry(it.key));
            ensure!(
                function.is_some(),
                "the entry at {at:#x} in .text is not in a function that the host calls"
            );
            ensure!(
                entry.reserved == 0,
                "the entry at {at:#x} in .text has odd bits"
            );
        }
        for pair in self.entries.windows(2) {
            ensure!(
                pair[0].return_address < pair[1].return_address,
                "the entry at {:#x} in .text is out of order",
                pair[1].return_address
            );
        }
        for handler in &self.handlers {
            let at = handler.return_address;
            let function = functions.around(at).filter(|it| !is_entry(it.key));
            ensure!(
                function.is_some(),
                "the exception handler at {at:#x} in .text is in no function of the guest"
            );
        }
        for pair in self.handlers.windows(2) {
            ensure!(
                pair[0].return_address <= pair[1].return_address,
                "the exception handler at {:#x} in .text is out of order",
                pair[1].return_address
            );
        }
        for (index, call) in self.inlined.iter().enumerate() {
            let key = SymbolKey::decode(call.namespace, call.index);
            ensure!(
                matches!(key, Some(SymbolKey::Func(key)) if !is_entry(key)),
                "the inlined call {index} is of no function of the guest"
            );
            ensure!(
                call.parent as usize <= index,
                "the inlined call {index} comes before the one that it is part of"
            );
        }
        self.check_inlined(functions)
    }

    /// Sites lie in functions, and the inlined calls that they are part of belong to one each.
    fn check_inlined(&self, functions: &Functions) -> Result<()> {
        let mut owners: Vec<Option<u32>> = vec![None; self.inlined.len()];
        for site in &self.sites {
            let at = site.offset;
            let function = functions.around(at);
            let function = function
                .with_context(|| format!("the site at {at:#x} in .text is in no function"))?;
            let mut call = site.inlined;
            while let Some(index) = call {
                let row = self.inlined.get(index as usize);
                let row = row.with_context(|| {
                    format!("the site at {at:#x} in .text is of an unknown inlined call, {index}")
                })?;
                match owners[index as usize].replace(function.start) {
                    None => call = row.parent.checked_sub(1),
                    Some(owner) if owner == function.start => break,
                    Some(_) => bail!("the inlined call {index} is in two functions"),
                }
            }
        }
        Ok(())
    }

    /// The rows of a function agree with its instructions.
    ///
    /// # Errors
    /// If one does not.
    pub(super) fn check_function(
        &self,
        functions: &Functions,
        function: &Function,
        code: &Code,
    ) -> Result<()> {
        let own = function.start..function.end;
        for site in part(&self.sites, function, |site| site.offset) {
            let at = site.offset;
            let right = match site.trap {
                Some(_) => code.is_start(at),
                // The last byte of a call.
                None => code.leaves_before(at + 1),
            };
            ensure!(
                right,
                "the site at {at:#x} in .text is at no {}",
                if site.trap.is_some() {
                    "instruction"
                } else {
                    "call"
                }
            );
        }
        let entries = part(&self.entries, function, |entry| entry.return_address);
        ensure!(
            entries.len() == usize::from(is_entry(function.key)),
            "it has {} places where traps resume",
            entries.len()
        );
        for entry in entries {
            let at = entry.return_address;
            let call = code.call_before(at);
            let call = call.with_context(|| format!("the entry at {at:#x} in .text: no call"))?;
            let callee = call.and_then(|offset| functions.starting_at(offset));
            let expected = callee_of_entry(function.key);
            ensure!(
                callee.map(|it| it.key) == expected,
                "the entry at {at:#x} in .text does not call `{}`",
                expected.map(|key| key.to_string()).unwrap_or_default()
            );
            ensure!(
                own.contains(&entry.handler) && code.is_start(entry.handler),
                "the entry at {at:#x} in .text resumes at {:#x}, which is no instruction of it",
                entry.handler
            );
        }
        for handler in part(&self.handlers, function, |handler| handler.return_address) {
            let at = handler.return_address;
            ensure!(
                code.call_before(at).is_some(),
                "the exception handler at {at:#x} in .text is behind no call"
            );
            ensure!(
                own.contains(&handler.handler) && code.is_start(handler.handler),
                "the exception handler at {at:#x} in .text goes on at {:#x}, which is no \
                 instruction of its function",
                handler.handler
            );
        }
        Ok(())
    }
}

/// The rows of a sorted table that lie in a function.
fn part<'a, T>(rows: &'a [T], function: &Function, offset: impl Fn(&T) -> u32) -> &'a [T] {
    let start = rows.partition_point(|row| offset(row) < function.start);
    let end = rows.partition_point(|row| offset(row) < function.end);
    &rows[start..end]
}

/// Every function id stands for a function of the guest, always with the same type, or for null.
///
/// # Errors
/// If one does not.
pub(super) fn check_function_ids(
    image: &Image<'_>,
    text: &Text<'_>,
    functions: &Functions,
    metadata: &Metadata,
) -> Result<()> {
    let bytes = image.contents(section::FUNCTION_TABLE)?;
    let table = image
        .find(section::FUNCTION_TABLE)
        .unwrap_or_default()
        .start;
    let length = metadata.function_table_length as usize;
    let mut signatures = HashMap::new();
    let mut count = 0;
    for (id, [signature, code, low, high]) in rows(bytes)?.enumerate() {
        count += 1;
        let entry = FunctionEntry {
            signature,
            code: code.cast_signed(),
            context: (u64::from(high) << 32 | u64::from(low)).cast_signed(),
        };
        if entry == FunctionEntry::default() {
            continue;
        }
        ensure!(
            id != 0 && entry.signature != 0,
            "function id {id} is null, but has code"
        );
        let address = table.wrapping_add_signed(i64::from(entry.code));
        let offset = address.checked_sub(text.address);
        let function = offset.and_then(|it| functions.starting_at(u32::try_from(it).ok()?));
        let function = function.filter(|it| !is_entry(it.key)).with_context(|| {
            format!("function id {id} has its code at {address:#x}, where no function starts")
        })?;
        let home = match function.key {
            FuncKey::ModuleFunction(unit, _) => {
                let slab = metadata.units[unit].slab; // checked with the functions
                entry.context == i64::from(slab.0) * SLAB_STRIDE as i64
            }
            _ => {
                let slab = entry.context.div_euclid(SLAB_STRIDE as i64);
                entry.context.rem_euclid(SLAB_STRIDE as i64) == 0
                    && usize::try_from(slab).is_ok_and(|slab| slab < metadata.slabs.len())
            }
        };
        ensure!(
            home,
            "function id {id}, `{}`, has the context of another slab: {:#x}",
            function.key,
            entry.context
        );
        let known = signatures.entry(function.start).or_insert(entry.signature);
        ensure!(
            *known == entry.signature,
            "function id {id}, `{}`, has two types",
            function.key
        );
    }
    ensure!(
        count == length,
        "the function table has {count} entries; the metadata says {length}"
    );
    Ok(())
}
