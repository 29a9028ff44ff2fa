//! Checks that decoded metadata is consistent, so that the rest of the runtime can rely on every
//! id, size and extent in it.

use crate::memory::slab::memory_bytes;
use anyhow::{Result, bail, ensure};
use trampette_artifact::canonical::MAX_FLAT_ASYNC_PARAMS;
use trampette_artifact::ids::*;
use trampette_artifact::layout::{
    HOT_CONTEXT_SIZE, MAX_SLABS, PAGE_ALIGNMENT, ROOT_AND_CONTEXT_LIMIT, RootHeader,
};
use trampette_artifact::metadata::{
    CoreExportItem, CoreGlobalPlace, ExportItem, MemoryPlace, Metadata, Resource,
};
use trampette_artifact::native;
use trampette_artifact::types::{DefinedType, FuncType, Type};

/// Checks everything; `file_length` is the artifact's size in bytes.
pub(crate) fn metadata(metadata: &Metadata, file_length: u64) -> Result<()> {
    types(metadata)?;
    root(metadata)?;
    memories_and_tables(metadata)?;
    exception_globals(metadata)?;
    slabs(metadata, file_length)?;
    imports_and_exports(metadata)?;
    core(metadata)?;
    concurrency(metadata)?;
    for unit in &metadata.units {
        ensure!(
            unit.module.index() < metadata.modules.len()
                && unit.slab.index() < metadata.slabs.len(),
            "a unit of an unknown module or slab"
        );
    }
    Ok(())
}

fn check_type(metadata: &Metadata, ty: Type, limit: usize) -> Result<()> {
    if let Type::Defined(id) = ty {
        ensure!(
            id.index() < limit.min(metadata.types.len()),
            "type {id} refers to itself or is unknown"
        );
    }
    Ok(())
}

fn types(metadata: &Metadata) -> Result<()> {
    for (index, ty) in metadata.types.iter().enumerate() {
        let check = |ty: &Type| check_type(metadata, *ty, index);
        match ty {
            DefinedType::Record(fields) => fields.iter().try_for_each(|f| check(&f.ty))?,
            DefinedType::Variant(cases) => {
                cases
                    .iter()
                    .filter_map(|c| c.ty.as_ref())
                    .try_for_each(check)?;
            }
            DefinedType::Tuple(types) => types.iter().try_for_each(check)?,
            DefinedType::List(ty)
            | DefinedType::Option(ty)
            | DefinedType::FixedLengthList(ty, _) => check(ty)?,
            DefinedType::Map(key, value) => {
                check(key)?;
                check(value)?;
            }
            DefinedType::Result { ok, err } => {
                [ok, err].into_iter().flatten().try_for_each(check)?;
            }
            DefinedType::Own(id) | DefinedType::Borrow(id) => ensure!(
                id.index() < metadata.resources.len(),
                "a handle of an unknown resource"
            ),
            DefinedType::Stream(payload) | DefinedType::Future(payload) => {
                payload.iter().try_for_each(check)?;
            }
            DefinedType::Flags(_) | DefinedType::Enum(_) => {}
        }
    }
    Ok(())
}

fn check_function(metadata: &Metadata, ty: &FuncType) -> Result<()> {
    for ty in ty.values() {
        check_type(metadata, ty, usize::MAX)?;
    }
    let params = ty.params.iter().map(|param| param.ty);
    let size = native::record_layout(&metadata.types, params).0.size;
    ensure!(
        size < native::MAX_STRUCT_SIZE,
        "parameters of {size} bytes are more than the host exchanges"
    );
    Ok(())
}

fn root(metadata: &Metadata) -> Result<()> {
    let root = &metadata.root;
    let counts = [
        (root.imports, metadata.imports.len(), "imports"),
        (root.tables, metadata.tables.len(), "tables"),
        (root.memories, metadata.memories.len(), "memories"),
        (
            root.data_segments,
            metadata.data_segments.len(),
            "data segments",
        ),
        (
            root.element_segments,
            metadata.element_segments.len(),
            "element segments",
        ),
    ];
    for (count, expected, name) in counts {
        ensure!(
            count as usize == expected,
            "{expected} {name}, but the root has room for {count}"
        );
    }
    // Counts this small cannot overflow the layout's 32-bit arithmetic.
    let total: u64 = counts.iter().map(|(count, ..)| u64::from(*count)).sum();
    ensure!(
        total
            + u64::from(root.instances)
            + u64::from(root.core_imports)
            + u64::from(root.shared_memories)
            < 1 << 24,
        "the root is too large"
    );
    for resource in &metadata.resources {
        if let Resource::Defined { instance, .. } = resource {
            ensure!(
                instance.0 < root.instances,
                "a resource of an unknown component instance"
            );
        }
    }
    Ok(())
}

/// Tasks, and reads and writes of streams and futures.
fn concurrency(metadata: &Metadata) -> Result<()> {
    let root = &metadata.root;
    ensure!(
        root.cells == 0 || root.cells == root.instances,
        "cells of {} component instances, of which there are {}",
        root.cells,
        root.instances
    );
    let check = |instance: ComponentInstanceId| {
        ensure!(
            instance.0 < root.cells,
            "a task of an unknown component instance"
        );
        Ok(())
    };
    let plan = &metadata.concurrency;
    for task in &plan.tasks {
        check(task.instance)?;
        task.caller.into_iter().try_for_each(check)?;
        ensure!(
            task.async_params as usize <= MAX_FLAT_ASYNC_PARAMS,
            "a task has {} flat parameters",
            task.async_params
        );
    }
    for call in &plan.host_calls {
        check(call.instance)?;
        ensure!(
            call.import.index() < metadata.imports.len(),
            "an asynchronous call of an unknown import"
        );
    }
    for copy in &plan.copies {
        check(copy.instance)?;
        let (Some(DefinedType::Stream(payload) | DefinedType::Future(payload)), memory) =
            (metadata.types.get(copy.ty), copy.memory)
        else {
            bail!("a read or write of an unknown type");
        };
        ensure!(
            memory.is_none_or(|memory| memory.index() < metadata.memories.len()),
            "a read or write in an unknown memory"
        );
        ensure!(
            payload.is_none() || memory.is_some(),
            "a read or write of elements without a memory"
        );
    }
    for pair in &plan.pairs {
        let known = |copy: Option<CopyId>| copy.is_none_or(|id| id.index() < plan.copies.len());
        ensure!(
            known(pair.write) && known(pair.read) && pair.write.or(pair.read).is_some(),
            "elements between unknown reads and writes"
        );
    }
    ensure!(
        plan.pairs.as_slice().is_sorted(),
        "pairs of reads and writes are not sorted"
    );
    Ok(())
}

/// The interface of core modules.
fn core(metadata: &Metadata) -> Result<()> {
    let Some(core) = &metadata.core else {
        return Ok(());
    };
    ensure!(
        core.imports.len() == metadata.root.core_imports as usize,
        "{} core imports, but the root has room for {}",
        core.imports.len(),
        metadata.root.core_imports
    );
    for import in &core.imports {
        let memory = import.memory;
        ensure!(
            memory.is_none_or(|memory| memory.index() < metadata.memories.len()),
            "the import {} uses no memory",
            import.name
        );
    }
    for import in &core.memories {
        let memory = metadata.memories.get(import.memory);
        ensure!(
            memory.is_some_and(|memory| memory.shared().is_some()),
            "the import {} is not a shared memory",
            import.name
        );
    }
    for import in &core.globals {
        let place = CoreGlobalPlace::Context {
            slab: import.slab,
            offset: import.offset,
        };
        ensure!(
            global_is_placed(metadata, place),
            "the import {} is of nothing",
            import.name
        );
    }
    for export in &core.exports {
        let known = match &export.item {
            CoreExportItem::Func { unit, .. } => unit.index() < metadata.units.len(),
            CoreExportItem::HostFunc(import) => import.index() < core.imports.len(),
            CoreExportItem::Memory(id) => id.index() < metadata.memories.len(),
            CoreExportItem::Table(id) => id.index() < metadata.tables.len(),
            CoreExportItem::Global { place, .. } => global_is_placed(metadata, *place),
            CoreExportItem::Tag(_) => true,
        };
        ensure!(known, "the export {} is of nothing", export.name);
    }
    Ok(())
}

fn global_is_placed(metadata: &Metadata, place: CoreGlobalPlace) -> bool {
    let CoreGlobalPlace::Context { slab, offset } = place else {
        return true;
    };
    let slab = metadata.slabs.get(slab);
    slab.is_some_and(|slab| {
        let offset = i64::from(offset);
        offset >= -i64::from(slab.context_size) && offset <= -8
    })
}

fn memories_and_tables(metadata: &Metadata) -> Result<()> {
    let mut shared = 0;
    for (index, memory) in metadata.memories.iter().enumerate() {
        let placed = match memory.place {
            MemoryPlace::Slab(slab) => {
                let slab = metadata.slabs.get(slab);
                slab.is_some_and(|slab| slab.memory == Some(MemoryId::new(index)))
            }
            MemoryPlace::Shared(id) => {
                shared += 1;
                id.index() + 1 == shared
            }
        };
        ensure!(placed, "memory {index} is not that of its slab");
        ensure!(memory.page_size_log2 <= 16, "memory {index} has odd pages");
        ensure!(
            memory_bytes(memory)
                .is_some_and(|bytes| bytes <= memory.reservation(metadata.slabs.len())),
            "memory {index} is too large"
        );
    }
    ensure!(
        shared == metadata.root.shared_memories as usize,
        "{shared} shared memories, but the root has room for {}",
        metadata.root.shared_memories
    );
    for (index, table) in metadata.tables.iter().enumerate() {
        let context = metadata.slabs.get(table.slab);
        let bytes = table.capacity.checked_mul(4);
        let inside = context.is_some_and(|slab| {
            let end = bytes.and_then(|b| i64::try_from(b).ok());
            let end = end.and_then(|b| b.checked_add(i64::from(table.offset)));
            i64::from(table.offset) >= -i64::from(slab.context_size)
                && table.offset % 4 == 0
                && end.is_some_and(|end| end <= 0)
        });
        ensure!(
            inside && (table.minimum <= table.capacity || table.capacity == 0 && !table.growable),
            "table {index} does not fit its context"
        );
    }
    Ok(())
}

fn exception_globals(metadata: &Metadata) -> Result<()> {
    for (slab, offset) in &metadata.exception_globals {
        let context = metadata.slabs.get(*slab);
        let inside =
            context.is_some_and(|slab| i64::from(offset.0) >= -i64::from(slab.context_size));
        ensure!(
            inside && offset.0 <= -4 && offset.0 % 4 == 0,
            "a global for exceptions is outside of its context"
        );
    }
    Ok(())
}

fn slabs(metadata: &Metadata, file_length: u64) -> Result<()> {
    ensure!(!metadata.slabs.is_empty(), "it has no slab");
    ensure!(
        metadata.slabs.len() <= MAX_SLABS,
        "it has {} slabs; the limit is {MAX_SLABS}",
        metadata.slabs.len()
    );
    for (index, slab) in metadata.slabs.iter().enumerate() {
        let root = match index {
            0 => u64::from(metadata.root.size()),
            _ => size_of::<RootHeader>() as u64,
        };
        let context = u64::from(slab.context_size).next_multiple_of(PAGE_ALIGNMENT);
        ensure!(
            slab.context_size >= HOT_CONTEXT_SIZE as u32 && slab.context_size % 16 == 0,
            "slab {index} has an odd context"
        );
        ensure!(
            root + context < ROOT_AND_CONTEXT_LIMIT,
            "slab {index} has too large a context"
        );
        let mut memory = 0;
        if let Some(id) = slab.memory {
            let found = metadata.memories.get(id);
            ensure!(
                found.is_some_and(|memory| memory.slab() == Some(SlabId::new(index))),
                "slab {index} has the memory of another"
            );
            memory = found.and_then(memory_bytes).unwrap_or(0);
        }
        let mut next = -(context as i64);
        for extent in &slab.extents {
            let end = extent.file_offset.checked_add(extent.length);
            let target_end = extent
                .length
                .checked_next_multiple_of(PAGE_ALIGNMENT)
                .and_then(|length| i64::try_from(length).ok())
                .and_then(|length| extent.target.checked_add(length));
            ensure!(
                extent.file_offset % PAGE_ALIGNMENT == 0
                    && extent.target.rem_euclid(PAGE_ALIGNMENT as i64) == 0
                    && extent.length > 0
                    && end.is_some_and(|end| end <= file_length)
                    && extent.target >= next
                    && target_end
                        .is_some_and(|end| end <= memory.next_multiple_of(PAGE_ALIGNMENT) as i64),
                "slab {index} has an extent out of bounds"
            );
            next = target_end.unwrap_or(i64::MAX);
        }
    }
    Ok(())
}

fn imports_and_exports(metadata: &Metadata) -> Result<()> {
    for import in &metadata.imports {
        check_function(metadata, &import.ty)?;
    }
    for export in &metadata.exports {
        match &export.item {
            ExportItem::Function { id, ty, .. } => {
                ensure!(
                    id.index() < metadata.exports.len(),
                    "an export with an odd number"
                );
                check_function(metadata, ty)?;
            }
            ExportItem::HostFunc(id) => ensure!(
                id.index() < metadata.imports.len(),
                "an export of an unknown import"
            ),
            ExportItem::Resource(id) => ensure!(
                id.index() < metadata.resources.len(),
                "an export of an unknown resource"
            ),
            ExportItem::Type(ty) => check_type(metadata, *ty, usize::MAX)?,
            ExportItem::CoreModule(id) => ensure!(
                id.index() < metadata.modules.len(),
                "an export of an unknown module"
            ),
            ExportItem::Instance | ExportItem::Other(_) => {}
        }
    }
    Ok(())
}
