//! What can change in a program: facts over the instructions of all core modules, the start-up
//! actions, the canonical definitions and what the host reaches.
//!
//! A core module's instructions were looked at when it was parsed
//! ([`Uses`](crate::program::module::Uses)). Here they are brought together by definition, since an
//! entity has a name in every core instance that imports it. What is not found to be constant is
//! taken to change.

use super::UnitBinding;
use crate::program::module::SegmentMode;
use crate::program::{
    ConcurrentBuiltIn, CoreItem, Instantiation, Program, Step, TrampolineKind, unit_of,
};
use trampette_artifact::ids::{GlobalId, IdVec, MemoryId, TableId, UnitId};

/// Most entries of a table whose contents are constants.
const SEALED_TABLE_LIMIT: u64 = 1 << 20;
/// Most entries of all such tables together: so many, and so many for each byte of core modules.
const SEALED_ENTRIES: u64 = 64 << 10;
const SEALED_ENTRIES_PER_BYTE: u64 = 4;

/// What can change in a program.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Of each table.
    pub tables: IdVec<TableId, TableFacts>,
    /// Of each memory.
    pub memories: IdVec<MemoryId, MemoryFacts>,
    /// Of each global.
    pub globals: IdVec<GlobalId, GlobalFacts>,
}

/// What can happen to a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TableFacts {
    /// Its length may change.
    pub grows: bool,
    /// Some instruction or the host may change its entries.
    pub changes: bool,
    /// Code that can see it runs before instantiation has written all of its entries.
    pub late: bool,
    /// Its entries may become references elsewhere.
    pub read: bool,
}

impl TableFacts {
    /// Whether its entries are the same whenever code runs.
    pub(crate) fn is_sealed(self) -> bool {
        !self.changes && !self.late
    }

    /// Whether it is sealed and no running code sees its entries as references.
    pub(crate) fn is_constant(self) -> bool {
        self.is_sealed() && !self.read
    }
}

/// What can happen to a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct MemoryFacts {
    /// Its length may change.
    pub grows: bool,
    /// Its bytes may change after code has run that can see it.
    pub written: bool,
}

/// What can happen to a global.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct GlobalFacts {
    /// Its value may change.
    pub written: bool,
    /// How many instructions name it.
    pub accesses: u64,
}

/// Finds the facts of a program whose units are bound.
pub(super) fn find(program: &Program<'_>, units: &IdVec<UnitId, UnitBinding>) -> Facts {
    let mut facts = Facts {
        tables: vec![TableFacts::default(); program.tables.len()].into(),
        memories: vec![MemoryFacts::default(); program.memories.len()].into(),
        globals: vec![GlobalFacts::default(); program.globals.len()].into(),
    };
    facts.instructions(program, units);
    facts.late_segments(program, units);
    facts.canonical_definitions(program);
    facts.threads(program);
    facts.host(program);
    let bytes: u64 = program.modules.iter().map(|m| m.bytes.len() as u64).sum();
    let mut sealed_entries = SEALED_ENTRIES + SEALED_ENTRIES_PER_BYTE * bytes;
    for (table, definition) in facts.tables.iter_mut().zip(&program.tables) {
        let module = program.module_of(definition.instance);
        let length = module.and_then(|module| {
            let index = module.imported_tables + definition.index;
            Some(module.tables.get(index as usize)?.ty.initial)
        });
        let limit = SEALED_TABLE_LIMIT.min(sealed_entries);
        match length.filter(|length| *length <= limit) {
            Some(length) if !table.changes => sealed_entries -= length,
            Some(_) => {}
            // Too large to be written down.
            None => table.changes = true,
        }
    }
    facts
}

impl Facts {
    fn instructions(&mut self, program: &Program<'_>, units: &IdVec<UnitId, UnitBinding>) {
        for unit in units {
            let uses = &program.modules[unit.module].uses;
            for (index, table) in unit.tables.iter().enumerate() {
                let facts = &mut self.tables[*table];
                facts.grows |= uses.grown_tables[index];
                facts.changes |= uses.written_tables[index];
                facts.read |= uses.read_tables[index];
            }
            for (index, memory) in unit.memories.iter().enumerate() {
                let facts = &mut self.memories[*memory];
                facts.grows |= uses.grown_memories[index];
                facts.written |= uses.written_memories[index];
            }
            for (index, global) in unit.globals.iter().enumerate() {
                let facts = &mut self.globals[*global];
                facts.written |= uses.written_globals[index];
                facts.accesses += u64::from(uses.global_accesses[index]);
            }
        }
    }

    /// Active segments that are written when a start function has run since their table or memory
    /// came to life. (That an earlier one may not fit is left out of account: then no more code
    /// runs.)
    fn late_segments(&mut self, program: &Program<'_>, units: &IdVec<UnitId, UnitBinding>) {
        let mut tables_seen: IdVec<TableId, bool> = vec![false; self.tables.len()].into();
        let mut memories_seen: IdVec<MemoryId, bool> = vec![false; self.memories.len()].into();
        let mut created = Vec::new();
        for step in &program.steps {
            let Step::InstantiateCore(id) = *step;
            let (instance, unit) = (&program.core_instances[id], &units[unit_of(id)]);
            let module = &program.modules[unit.module];
            created.push(instance);
            for segment in &module.elements {
                if let SegmentMode::Active { index, .. } = segment.mode {
                    let table = unit.tables[index as usize];
                    self.tables[table].late |= tables_seen[table];
                }
            }
            for segment in &module.data {
                if let SegmentMode::Active { index, .. } = segment.mode {
                    let memory = unit.memories[index as usize];
                    self.memories[memory].written |= memories_seen[memory];
                }
            }
            if module.start.is_some() {
                for instance in created.drain(..) {
                    let tables = instance.tables.iter();
                    tables.for_each(|table| tables_seen[*table] = true);
                    let memories = instance.memories.iter();
                    memories.for_each(|memory| memories_seen[*memory] = true);
                }
            }
        }
    }

    /// Values are lowered into the memories that canonical options name.
    fn canonical_definitions(&mut self, program: &Program<'_>) {
        for options in program.canonical_options() {
            if let Some((memory, _)) = options.memory {
                self.memories[memory].written = true;
            }
        }
    }

    /// Threads begin with a function that is a value of a table: it has an id at run time.
    fn threads(&mut self, program: &Program<'_>) {
        for trampoline in &program.trampolines {
            if let TrampolineKind::Concurrent {
                built_in: ConcurrentBuiltIn::ThreadNew { table, .. },
                ..
            } = trampoline.kind
            {
                self.tables[table].changes = true;
                self.tables[table].read = true;
            }
        }
    }

    /// What the host reaches it may change; between steps that it takes one by one anything may
    /// happen, and segments are written by the steps.
    fn host(&mut self, program: &Program<'_>) {
        for export in &program.core_exports {
            match export.item {
                CoreItem::Table(id) => {
                    self.tables[id] = TableFacts {
                        grows: true,
                        changes: true,
                        late: true,
                        read: true,
                    };
                }
                CoreItem::Memory(id) => {
                    self.memories[id] = MemoryFacts {
                        grows: true,
                        written: true,
                    };
                }
                CoreItem::Global(id) => self.globals[id].written = true,
                CoreItem::Func(_) | CoreItem::Tag(_) => {}
            }
        }
        // Another store may grow and write a shared memory.
        for (facts, definition) in self.memories.iter_mut().zip(&program.memories) {
            let module = program.module_of(definition.instance);
            let shared = module.and_then(|module| {
                let index = module.imported_memories + definition.index;
                Some(module.memories.get(index as usize)?.shared)
            });
            if shared != Some(false) {
                facts.grows = true;
                facts.written = true;
            }
        }
        if program.instantiation == Instantiation::StepByStep {
            for table in &mut self.tables {
                table.changes = true;
            }
            for memory in &mut self.memories {
                memory.grows = true;
                memory.written = true;
            }
        }
    }
}
