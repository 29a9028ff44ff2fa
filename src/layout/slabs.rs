//! Which slab each memory and each unit has.
//!
//! Every memory that is memory 0 of some core instance is the memory of a slab, which all core
//! instances with that memory 0 share, context pointer and all. Core instances without memory join
//! those they are connected with. Further memories (multi-memory) have slabs of their own.
//! Memories that are shared between threads have none: a slab belongs to one store.

use super::bind::defining_module;
use super::{Layout, SlabLayout};
use crate::program::{CoreFunc, CoreItem, Program};
use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::*;
use trampette_artifact::layout::MAX_SLABS;
use trampette_artifact::metadata::{Memory, MemoryPlace};

/// Fills in `slabs`, `memories` and the units' slabs.
pub(super) fn assign_slabs(program: &Program<'_>, layout: &mut Layout) -> Result<()> {
    let mut is_base: IdVec<MemoryId, bool> = vec![false; program.memories.len()].into();
    for unit in &layout.units {
        if let Some(memory) = unit.memories.first() {
            is_base[*memory] = true;
        }
    }
    let mut places: IdVec<MemoryId, _> = vec![None; program.memories.len()].into();
    let mut own = Vec::new();
    let mut shared = 0;
    for id in program.memories.ids() {
        match program.memory_type(id)?.shared {
            true => {
                places[id] = Some(MemoryPlace::Shared(SharedMemoryId(shared)));
                shared += 1;
            }
            false => own.push(id),
        }
    }
    let (bases, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|id| is_base[*id]);
    let mut own: Vec<_> = bases.into_iter().chain(others).collect();
    // Behind the last slab there is room for a memory of more than 4 GiB.
    let mut large = None;
    for (index, id) in own.iter().enumerate() {
        let place = MemoryPlace::Slab(SlabId(0));
        if large.is_none() && describe_memory(program, *id, place)?.may_be_large() {
            large = Some(index);
        }
    }
    if let Some(index) = large {
        let memory = own.remove(index);
        own.push(memory);
    }
    if own.len() > MAX_SLABS {
        let (module, _) = defining_module(program, program.memories[own[MAX_SLABS]], |m| {
            m.imported_memories
        })?;
        bail!(
            "there are {} memories, more than {MAX_SLABS} (one too many is in the core module at \
             offset {:#x})",
            own.len(),
            module.range.start
        );
    }
    for memory in own {
        let slab = layout.slabs.push(SlabLayout {
            memory: Some(memory),
            ..SlabLayout::default()
        });
        places[memory] = Some(MemoryPlace::Slab(slab));
    }
    if layout.slabs.is_empty() {
        layout.slabs.push(SlabLayout::default());
    }
    for (id, place) in places.iter_with_ids() {
        let place = place.context("a memory was given no place")?;
        let memory = describe_memory(program, id, place).with_context(|| format!("in {id}"))?;
        let bytes = u128::from(memory.minimum) << memory.page_size_log2;
        let reservation = memory.reservation(layout.slabs.len());
        ensure!(
            bytes <= u128::from(reservation),
            "in {id}: a memory of {bytes} bytes is larger than the limit of {reservation}"
        );
        layout.memories.push(memory);
    }
    assign_units(program, layout);
    Ok(())
}

fn describe_memory(program: &Program<'_>, id: MemoryId, place: MemoryPlace) -> Result<Memory> {
    let (module, at) = defining_module(program, program.memories[id], |m| m.imported_memories)?;
    let ty = module
        .memories
        .get(at)
        .context("its module does not define it")?;
    let page_size_log2 = ty.page_size_log2();
    Ok(Memory {
        place,
        minimum: ty.initial,
        maximum: ty.maximum,
        page_size_log2: page_size_log2 as u8,
        width: match ty.memory64 {
            true => PointerWidth::P64,
            false => PointerWidth::P32,
        },
    })
}

/// Units whose memory 0 has a slab take that; the others that of the first unit that they are
/// connected with, as far as connections reach, or slab 0.
fn assign_units(program: &Program<'_>, layout: &mut Layout) {
    let mut slabs: Vec<Option<SlabId>> = layout
        .units
        .iter()
        .map(|unit| layout.memories[*unit.memories.first()?].slab())
        .collect();
    let neighbours = neighbours(program);
    loop {
        let mut joined = Vec::new();
        for (index, slab) in slabs.iter().enumerate() {
            if slab.is_none()
                && let Some(slab) = neighbours[index].iter().find_map(|other| slabs[*other])
            {
                joined.push((index, slab));
            }
        }
        if joined.is_empty() {
            break;
        }
        for (index, slab) in joined {
            slabs[index] = Some(slab);
        }
    }
    for (unit, slab) in layout.units.iter_mut().zip(slabs) {
        unit.slab = slab.unwrap_or(SlabId(0));
    }
}

/// For each core instance those that it imports from or that import from it, in order.
fn neighbours(program: &Program<'_>) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); program.core_instances.len()];
    for (index, instance) in program.core_instances.iter().enumerate() {
        for item in &instance.imports {
            let other = match *item {
                CoreItem::Func(CoreFunc::Module(instance, _)) => instance,
                CoreItem::Func(_) => continue,
                CoreItem::Memory(id) => program.memories[id].instance,
                CoreItem::Table(id) => program.tables[id].instance,
                CoreItem::Global(id) => program.globals[id].instance,
                CoreItem::Tag(id) => program.tags[id].instance,
            };
            neighbours[index].push(other.index());
            neighbours[other.index()].push(index);
        }
    }
    for list in &mut neighbours {
        list.sort_unstable();
        list.dedup();
    }
    neighbours
}
