//! Carries out the plan as far as it can be when compiling: what instantiation writes goes into
//! images; from the point on where code has run that could see or change the place, it becomes
//! [`StartupAction`]s.
//!
//! A memory or table that comes to life after the last start function so far has been seen by no
//! code, so its segments are static even then. Globals always are: their initial values are
//! constants, and only their own instance and later ones can reach them.

use super::consts::{Constants, UnitConstants};
use super::contexts::TABLE_ENTRY_SIZE;
use super::functions::reference_bits;
use super::images::{self, Write};
use super::{ConstOperand, ConstValue, GlobalPlace, Layout, StartupAction, UnitBinding};
use crate::program::module::{Module, SegmentMode};
use crate::program::{Instantiation as Mode, Program, Step, unit_of};
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::ops::ControlFlow;
use trampette_artifact::ids::*;
use trampette_artifact::metadata::MemoryPlace;
use trampette_artifact::trap::TrapCode;

/// Most bytes in all images of initial values of tables that are not null. Beyond, tables are
/// filled at start-up: an artifact does not grow with a number in its input.
const INITIAL_VALUES_LIMIT: u64 = 64 << 10;

/// Fills in images, run-time segments and start-up actions.
pub(super) fn instantiate(
    program: &Program<'_>,
    constants: &Constants,
    layout: &mut Layout,
) -> Result<()> {
    keep_passive_segments(program, constants, layout);
    // What earlier steps have done is not known when compiling: then only what no code can have
    // seen yet is static, the initial values of globals and tables.
    let (steps, seen) = match program.instantiation {
        Mode::AtOnce => (1, false),
        Mode::StepByStep => (program.steps.len(), true),
    };
    layout.startup = vec![Vec::new(); steps];
    let mut instantiation = Instantiation {
        step: 0,
        writes: layout.slabs.iter().map(|_| Vec::new()).collect(),
        memory_seen: vec![seen; layout.memories.len()].into(),
        table_seen: vec![seen; layout.tables.len()].into(),
        created_memories: Vec::new(),
        created_tables: Vec::new(),
        initial_values: 0,
        layout,
    };
    instantiation.write_globals(constants);
    for (index, step) in program.steps.iter().enumerate() {
        if program.instantiation == Mode::StepByStep {
            instantiation.step = index;
        }
        let Step::InstantiateCore(id) = *step;
        let flow = instantiation.core_instance(program, constants, id)?;
        if flow.is_break() && program.instantiation == Mode::AtOnce {
            break;
        }
    }
    let writes = instantiation.writes;
    images::prepare(writes, layout);
    Ok(())
}

/// Gives ids to the passive segments that instructions use.
fn keep_passive_segments(program: &Program<'_>, constants: &Constants, layout: &mut Layout) {
    for (unit, values) in layout.units.iter_mut().zip(&constants.units) {
        let module = &program.modules[unit.module];
        for (index, segment) in module.data.iter().enumerate() {
            if matches!(segment.mode, SegmentMode::Passive) && module.uses.used_data[index] {
                let id = layout.data_segments.push(segment.bytes.to_vec());
                unit.data_segments[index] = Some(id);
            }
        }
        for (index, segment) in module.elements.iter().enumerate() {
            if matches!(segment.mode, SegmentMode::Passive) && module.uses.used_elements[index] {
                let id = layout.element_segments.push(values.elements[index].clone());
                unit.element_segments[index] = Some(id);
            }
        }
    }
}

struct Instantiation<'l, 'a> {
    layout: &'l mut Layout,
    /// Whose actions are added.
    step: usize,
    /// What is written into each slab before any code runs, in order.
    writes: IdVec<SlabId, Vec<Write<'a>>>,
    /// Whether code may have seen or changed each memory.
    memory_seen: IdVec<MemoryId, bool>,
    /// Whether code may have seen or changed each table.
    table_seen: IdVec<TableId, bool>,
    created_memories: Vec<MemoryId>,
    created_tables: Vec<TableId>,
    /// Bytes of initial values of tables in `writes`.
    initial_values: u64,
}

impl<'a> Instantiation<'_, 'a> {
    fn write_globals(&mut self, constants: &Constants) {
        for (place, value) in self.layout.globals.iter().zip(&constants.globals) {
            let value = value.as_ref().and_then(ConstOperand::value);
            let (GlobalPlace::Context { slab, offset, .. }, Some(value)) = (place, value) else {
                continue;
            };
            self.writes[*slab].push(Write {
                offset: offset.0.into(),
                bytes: Cow::Owned(value.to_bytes()),
            });
        }
    }

    /// Breaks when instantiation always traps: nothing after it happens.
    fn core_instance(
        &mut self,
        program: &Program<'a>,
        constants: &Constants,
        id: CoreInstanceId,
    ) -> Result<ControlFlow<()>> {
        let instance = &program.core_instances[id];
        let module = &program.modules[instance.module];
        let values = &constants.units[unit_of(id)];
        for global in &instance.globals {
            match &constants.globals[*global] {
                None | Some(ConstOperand::Value(_)) => {}
                // The host writes it.
                Some(ConstOperand::Global(id)) if id == global => {}
                Some(value) => self.action(StartupAction::InitGlobal {
                    global: *global,
                    value: value.clone(),
                }),
            }
        }
        for (table, value) in instance.tables.iter().zip(&values.tables) {
            self.initialise_table(*table, *value);
        }
        self.created_memories.extend(&instance.memories);
        self.created_tables.extend(&instance.tables);
        if self.elements(module, id, values)?.is_break()
            || self.data(module, id, values)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        if let Some(start) = module.start {
            let func = self.unit(id).functions[start as usize];
            self.action(StartupAction::Call(func));
            // It may reach whatever exists, by way of trampolines too.
            for memory in self.created_memories.drain(..) {
                self.memory_seen[memory] = true;
            }
            for table in self.created_tables.drain(..) {
                self.table_seen[table] = true;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn unit(&self, id: CoreInstanceId) -> &UnitBinding {
        &self.layout.units[unit_of(id)]
    }

    fn initialise_table(&mut self, id: TableId, value: Option<FunctionId>) {
        let table = &self.layout.tables[id];
        let Some(value) = value.filter(|_| !self.layout.facts.tables[id].is_constant()) else {
            return;
        };
        // The length of a context is limited.
        let bytes = table.minimum * TABLE_ENTRY_SIZE;
        if self.initial_values + bytes > INITIAL_VALUES_LIMIT {
            self.action(StartupAction::FillTable { table: id, value });
            // Its segments come after that.
            self.table_seen[id] = true;
            return;
        }
        self.initial_values += bytes;
        let entry = reference_bits(Some(value)).to_le_bytes();
        self.writes[table.slab].push(Write {
            offset: table.offset.into(),
            bytes: Cow::Owned(entry.repeat(table.minimum as usize)),
        });
    }

    fn elements(
        &mut self,
        module: &Module<'a>,
        id: CoreInstanceId,
        values: &UnitConstants,
    ) -> Result<ControlFlow<()>> {
        let mut run = Run::default();
        for (index, segment) in module.elements.iter().enumerate() {
            let SegmentMode::Active { index: table, .. } = segment.mode else {
                continue;
            };
            let table_id = self.unit(id).tables[table as usize];
            let items = &values.elements[index];
            let (value, offset) = segment_offset(values.element_offsets[index].as_ref())?;
            let (Some(offset), false) = (offset, self.table_seen[table_id]) else {
                if !run.takes(table_id, offset) {
                    self.copy_elements(std::mem::take(&mut run));
                }
                run.push(table_id, offset, value, &items[..]);
                continue;
            };
            let table = &self.layout.tables[table_id];
            if !fits(offset, items.len(), table.minimum) {
                self.copy_elements(run);
                return Ok(self.trap(TrapCode::TableAccessOutOfBounds));
            }
            if self.layout.facts.tables[table_id].is_constant() {
                continue;
            }
            self.writes[table.slab].push(Write {
                offset: i64::from(table.offset) + (offset * TABLE_ENTRY_SIZE) as i64,
                bytes: Cow::Owned(
                    items
                        .iter()
                        .flat_map(|id| reference_bits(*id).to_le_bytes())
                        .collect(),
                ),
            });
        }
        self.copy_elements(run);
        Ok(ControlFlow::Continue(()))
    }

    fn copy_elements(&mut self, run: Run<'_, TableId, Option<FunctionId>>) {
        if let Some(count) = run.is_many() {
            let table = run.target.expect("a run of segments has a target");
            let bits = |id: &Option<FunctionId>| reference_bits(*id).to_le_bytes();
            let segment = self.layout.data_segments.push(run.packed(bits));
            self.action(StartupAction::CopyManyElements {
                segment,
                count,
                table,
            });
            return;
        }
        for (table, offset, items) in run.segments {
            let segment = self.layout.element_segments.push(items.to_vec());
            self.action(StartupAction::CopyElements {
                segment,
                length: items.len() as u64,
                table,
                offset,
            });
        }
    }

    fn copy_data(&mut self, run: Run<'_, MemoryId, u8>) {
        let mut actions = std::mem::take(&mut self.layout.startup[self.step]);
        self.layout.copy_run(run, &mut actions);
        self.layout.startup[self.step] = actions;
    }

    fn data(
        &mut self,
        module: &Module<'a>,
        id: CoreInstanceId,
        values: &UnitConstants,
    ) -> Result<ControlFlow<()>> {
        let mut run = Run::default();
        for (index, segment) in module.data.iter().enumerate() {
            let SegmentMode::Active { index: memory, .. } = segment.mode else {
                continue;
            };
            let memory_id = self.unit(id).memories[memory as usize];
            let (value, offset) = segment_offset(values.data_offsets[index].as_ref())?;
            let place = self.layout.memories[memory_id].place;
            let seen = self.memory_seen[memory_id];
            let (MemoryPlace::Slab(slab), Some(offset), false) = (place, offset, seen) else {
                if !run.takes(memory_id, offset) {
                    self.copy_data(std::mem::take(&mut run));
                }
                run.push(memory_id, offset, value, segment.bytes);
                continue;
            };
            let memory = &self.layout.memories[memory_id];
            // The minimum was checked against the reservation.
            let length = memory.minimum << memory.page_size_log2;
            if !fits(offset, segment.bytes.len(), length) {
                self.copy_data(run);
                return Ok(self.trap(TrapCode::MemoryOutOfBounds));
            }
            self.writes[slab].push(Write {
                offset: offset as i64,
                bytes: Cow::Borrowed(segment.bytes),
            });
        }
        self.copy_data(run);
        Ok(ControlFlow::Continue(()))
    }

    fn trap(&mut self, code: TrapCode) -> ControlFlow<()> {
        self.action(StartupAction::Trap(code));
        ControlFlow::Break(())
    }

    fn action(&mut self, action: StartupAction) {
        self.layout.startup[self.step].push(action);
    }
}

/// From so many segments on, one action in a loop copies them: code for each takes more.
const MANY: usize = 64;

/// Segments that are copied to one place after the other when the component is instantiated; all to
/// the same memory or table at known offsets, or a single one.
pub(super) struct Run<'s, I, T> {
    target: Option<I>,
    offsets: Vec<u64>,
    segments: Vec<(I, ConstOperand, &'s [T])>,
}

impl<I, T> Default for Run<'_, I, T> {
    fn default() -> Self {
        Run {
            target: None,
            offsets: Vec::new(),
            segments: Vec::new(),
        }
    }
}

impl<'s, I: Copy + PartialEq, T> Run<'s, I, T> {
    /// Whether one more belongs to it.
    fn takes(&self, target: I, offset: Option<u64>) -> bool {
        let all_known = self.offsets.len() == self.segments.len();
        self.segments.is_empty() || all_known && offset.is_some() && self.target == Some(target)
    }

    /// One more.
    pub(super) fn push(
        &mut self,
        target: I,
        offset: Option<u64>,
        value: ConstOperand,
        content: &'s [T],
    ) {
        self.target = Some(target);
        self.offsets.extend(offset);
        self.segments.push((target, value, content));
    }

    /// How many there are, if they are many.
    fn is_many(&self) -> Option<u64> {
        (self.segments.len() >= MANY).then_some(self.segments.len() as u64)
    }

    /// Offsets and lengths, then the contents.
    fn packed<const N: usize>(&self, bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
        let mut packed = Vec::new();
        for (offset, (.., content)) in self.offsets.iter().zip(&self.segments) {
            packed.extend(offset.to_le_bytes());
            packed.extend((content.len() as u64).to_le_bytes());
        }
        let contents = self.segments.iter().flat_map(|(.., content)| *content);
        packed.extend(contents.flat_map(bytes));
        packed
    }
}

impl Layout {
    /// Adds the actions that copy data into memories; the bytes become run-time segments.
    pub(super) fn copy_run(
        &mut self,
        run: Run<'_, MemoryId, u8>,
        actions: &mut Vec<StartupAction>,
    ) {
        if let Some(count) = run.is_many() {
            let memory = run.target.expect("a run of segments has a target");
            let segment = self.data_segments.push(run.packed(|byte| [*byte]));
            actions.push(StartupAction::CopyManyData {
                segment,
                count,
                memory,
            });
            return;
        }
        for (memory, offset, bytes) in run.segments {
            let segment = self.data_segments.push(bytes.to_vec());
            actions.push(StartupAction::CopyData {
                segment,
                length: bytes.len() as u64,
                memory,
                offset,
            });
        }
    }
}

/// An offset, also as an unsigned number if it is known when compiling.
pub(super) fn segment_offset(
    operand: Option<&ConstOperand>,
) -> Result<(ConstOperand, Option<u64>)> {
    let operand = operand.context("a segment has no offset")?;
    let offset = match operand.value() {
        Some(ConstValue::I32(offset)) => Some(u64::from(offset as u32)),
        Some(ConstValue::I64(offset)) => Some(offset as u64),
        Some(other) => bail!("the offset of a segment is {other:?}"),
        None => None,
    };
    Ok((operand.clone(), offset))
}

/// Whether a segment of `count` entries or bytes is inside of what has a length.
pub(super) fn fits(offset: u64, count: usize, length: u64) -> bool {
    offset
        .checked_add(count as u64)
        .is_some_and(|end| end <= length)
}
