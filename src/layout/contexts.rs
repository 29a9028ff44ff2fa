//! Places globals and tables in the contexts of their slabs.
//!
//! From the context pointer down: stack limit and memory length, then the most used globals as far
//! as 8-bit displacements reach, the other globals, tables that never grow, and growable tables
//! with the room that they may grow into. Constant tables are in no context.

use super::bind::defining_module;
use super::consts::Constants;
use super::{GlobalPlace, Layout};
use crate::program::module::{CoreType, RefKind};
use crate::program::{Program, unit_of};
use anyhow::{Context, Result, bail};
use std::cmp::Reverse;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{
    CONTEXT_HOT_GLOBALS_END, ContextOffset, HOT_CONTEXT_SIZE, ROOT_AND_CONTEXT_LIMIT,
};
use trampette_artifact::metadata::{Table, TableElement};

/// Most entries that a growable table has room for, unless it has more from the start.
pub(super) const GROWABLE_TABLE_CAPACITY: u64 = 1 << 20;
/// Bytes of a table entry.
pub(super) const TABLE_ENTRY_SIZE: u64 = 4;
/// Alignment of tables and of the context's size.
const TABLE_ALIGNMENT: i64 = 16;

/// The free end of a context: offsets go down.
#[derive(Clone, Copy)]
struct Cursor {
    hot: i64,
    cold: i64,
}

impl Cursor {
    fn below(at: i64, size: i64, alignment: i64) -> i64 {
        (at - size) & -alignment
    }

    fn take_hot(&mut self, size: i64) -> Option<i64> {
        let at = Self::below(self.hot, size, size);
        (at >= -i64::from(HOT_CONTEXT_SIZE)).then(|| {
            self.hot = at;
            at
        })
    }

    fn take_cold(&mut self, size: i64, alignment: i64) -> i64 {
        self.cold = Self::below(self.cold, size, alignment);
        self.cold
    }
}

/// Fills in `globals`, `tables` and the sizes of the contexts.
pub(super) fn place(
    program: &Program<'_>,
    constants: &Constants,
    layout: &mut Layout,
) -> Result<()> {
    let start = Cursor {
        hot: CONTEXT_HOT_GLOBALS_END.into(),
        cold: -i64::from(HOT_CONTEXT_SIZE),
    };
    let mut cursors = vec![start; layout.slabs.len()].into();
    place_globals(program, constants, layout, &mut cursors)?;
    place_tables(program, layout, &mut cursors)?;
    let ids = layout.slabs.ids();
    for (id, (slab, cursor)) in ids.zip(layout.slabs.iter_mut().zip(&cursors)) {
        let size = -Cursor::below(cursor.cold, 0, TABLE_ALIGNMENT);
        slab.context_size = u32::try_from(size)
            .ok()
            .filter(|size| u64::from(*size) <= ROOT_AND_CONTEXT_LIMIT)
            .with_context(|| too_large(id, size as u64))?;
    }
    Ok(())
}

/// The message for a context, or a context and a root, beyond the limit.
pub(super) fn too_large(slab: SlabId, size: u64) -> String {
    format!(
        "the tables and globals of {slab} need {size} bytes, more than {ROOT_AND_CONTEXT_LIMIT}"
    )
}

fn offset(at: i64) -> Result<i32> {
    i32::try_from(at).context("tables and globals need more than 2 GiB")
}

fn place_globals(
    program: &Program<'_>,
    constants: &Constants,
    layout: &mut Layout,
    cursors: &mut IdVec<SlabId, Cursor>,
) -> Result<()> {
    let count = program.globals.len();
    layout.globals = vec![GlobalPlace::Constant(super::ConstValue::I32(0)); count].into();
    let mut variable = Vec::new();
    for (id, definition) in program.globals.iter_with_ids() {
        let (module, at) = defining_module(program, *definition, |m| m.imported_globals)?;
        let global = module
            .globals
            .get(at)
            .with_context(|| format!("{id} is not defined by its module"))?;
        let value = constants.globals[id].as_ref();
        let value = value.with_context(|| format!("no step of the plan initialises {id}"))?;
        let changes = global.mutable && layout.facts.globals[id].written;
        match (value.value(), changes) {
            (Some(value), false) => layout.globals[id] = GlobalPlace::Constant(value),
            _ => variable.push((id, definition.instance, global.ty)),
        }
    }
    // The most used first; the order of definition (the stack pointer is usually global 0) among
    // equals.
    variable.sort_by_key(|(id, ..)| (Reverse(layout.facts.globals[*id].accesses), *id));
    for (id, instance, ty) in variable {
        let slab = layout.units[unit_of(instance)].slab;
        let cursor = &mut cursors[slab];
        let size = match ty {
            CoreType::V128 => 16,
            _ => 8,
        };
        let at = match cursor.take_hot(size) {
            Some(at) => at,
            None => cursor.take_cold(size, size),
        };
        layout.globals[id] = GlobalPlace::Context {
            slab,
            offset: ContextOffset(offset(at)?),
            ty,
        };
    }
    Ok(())
}

fn place_tables(
    program: &Program<'_>,
    layout: &mut Layout,
    cursors: &mut IdVec<SlabId, Cursor>,
) -> Result<()> {
    for (id, definition) in program.tables.iter_with_ids() {
        let (module, at) = defining_module(program, *definition, |m| m.imported_tables)?;
        let table = module
            .tables
            .get(at)
            .with_context(|| format!("{id} is not defined by its module"))?;
        let minimum = table.ty.initial;
        let facts = layout.facts.tables[id];
        let maximum = table.ty.maximum.unwrap_or(u64::MAX);
        layout.tables.push(Table {
            slab: layout.units[unit_of(definition.instance)].slab,
            offset: 0,
            minimum,
            capacity: match facts.grows {
                true => maximum.min(GROWABLE_TABLE_CAPACITY).max(minimum),
                // Code has the entries itself.
                false if facts.is_constant() => 0,
                false => minimum,
            },
            element: match table.element {
                RefKind::Func if table.ty.element_type == wasmparser::RefType::FUNCREF => {
                    TableElement::Function
                }
                RefKind::Func => TableElement::TypedFunction,
                RefKind::Extern => TableElement::External,
                RefKind::Exn => TableElement::Exception,
            },
            growable: facts.grows,
        });
    }
    // Room to grow is the farthest away: the rest of the context stays together.
    let mut order: Vec<TableId> = layout.tables.ids().collect();
    order.sort_by_key(|id| (layout.tables[*id].growable, *id));
    for id in order {
        let table = &mut layout.tables[id];
        let cursor = &mut cursors[table.slab];
        let room = ROOT_AND_CONTEXT_LIMIT as i64 + cursor.cold;
        let size = table.capacity.checked_mul(TABLE_ENTRY_SIZE);
        let size = size.and_then(|size| i64::try_from(size).ok());
        let Some(size) = size.filter(|size| *size <= room) else {
            let (module, at) = defining_module(program, program.tables[id], |m| m.imported_tables)?;
            bail!(
                "with room for {} entries of {id} the tables and globals of {} need more than {} \
                 bytes (table {at} of a core module, at offset {:#x})",
                table.capacity,
                table.slab,
                ROOT_AND_CONTEXT_LIMIT,
                module.tables[at].declared_at
            );
        };
        let at = cursor.take_cold(size, TABLE_ALIGNMENT);
        table.offset = offset(at)?;
    }
    Ok(())
}
