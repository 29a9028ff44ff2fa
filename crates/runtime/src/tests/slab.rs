//! Slabs with images that the loader accepts: mapped, written, reset and grown again.

use crate::load::validate;
use crate::memory::mapping::{FileMapping, sealed_copy};
use crate::memory::slab::{KEPT_PAGES, Pool, SlabPlan};
use std::io::Write;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{MemoryId, SlabId};
use trampette_artifact::layout::{CONTEXT_ALIGNMENT, RootHeader, RootLayout, SLAB_STRIDE};
use trampette_artifact::metadata::{Extent, Memory, MemoryPlace, Metadata, Slab};

/// Pages of each memory: more than stay resident.
const MINIMUM: u64 = 1024;

fn metadata() -> Metadata {
    let memory = |slab| Memory {
        place: MemoryPlace::Slab(SlabId(slab)),
        minimum: MINIMUM,
        maximum: None,
        page_size_log2: 16,
        width: PointerWidth::P32,
    };
    let slab = |memory, extents| Slab {
        context_size: 4096,
        memory: Some(MemoryId(memory)),
        extents,
        written: true,
    };
    Metadata {
        slabs: vec![
            slab(
                0,
                vec![Extent {
                    file_offset: CONTEXT_ALIGNMENT,
                    target: CONTEXT_ALIGNMENT as i64,
                    length: 100,
                }],
            ),
            slab(1, vec![]),
        ]
        .into(),
        memories: vec![memory(0), memory(1)].into(),
        root: RootLayout {
            instances: 1,
            memories: 2,
            ..RootLayout::default()
        },
        ..Metadata::default()
    }
}

#[test]
fn images_are_mapped_written_and_reset() {
    // Few pages are restored one by one, many are given back.
    written_and_reset(0);
    written_and_reset(2 * KEPT_PAGES);
}

fn written_and_reset(more_pages: usize) {
    let metadata = metadata();
    validate::metadata(&metadata, 1 << 20).unwrap();
    let plan = SlabPlan::new(&metadata);
    let file = sealed_copy(|file| {
        let mut bytes = vec![0; 2 * CONTEXT_ALIGNMENT as usize];
        bytes[CONTEXT_ALIGNMENT as usize..][..100].fill(7);
        Ok(file.write_all(&bytes)?)
    })
    .unwrap();
    let pool = Pool::default();
    let set = pool.take(&plan, &file).unwrap();
    let base = set.context(SlabId(0));
    assert_eq!(base.addr().get() % CONTEXT_ALIGNMENT as usize, 0);
    assert_eq!(
        set.context(SlabId(1)).addr().get() - base.addr().get(),
        SLAB_STRIDE as usize
    );
    // SAFETY: inside the memory and context that were just mapped.
    unsafe {
        assert_eq!(base.add(65536 + 99).read(), 7);
        assert_eq!(base.add(65536 + 100).read(), 0);
        base.add(65536).write(1);
        base.add(5).write(2);
        for page in 0..more_pages {
            base.add((2 << 16) + page * 4096).write(6);
        }
        base.sub(8).write(3);
        set.grow_memory(&plan, SlabId(0), MINIMUM << 16, (MINIMUM + 1) << 16)
            .unwrap();
        base.add((MINIMUM << 16) as usize).write(4);
        let header = set.root(SlabId(0)).cast::<RootHeader>().as_ptr();
        (&raw mut (*header).memory_length).write((MINIMUM + 1) << 16);
        base.add(SLAB_STRIDE as usize + 9).write(8);
    }
    assert!(set.in_memory_or_guard(&plan, base.addr().get()));
    assert!(set.in_memory_or_guard(&plan, base.addr().get() + (5 << 30)));
    assert!(!set.in_memory_or_guard(&plan, base.addr().get() - 1));
    assert!(!set.in_memory_or_guard(&plan, base.addr().get() + (6 << 30)));

    let source = FileMapping::new(file.try_clone().unwrap()).unwrap();
    pool.put(set, &plan, source.file_bytes().as_ptr());
    let set = pool.take(&plan, &file).unwrap();
    assert_eq!(set.context(SlabId(0)), base);
    // SAFETY: as above.
    unsafe {
        assert_eq!(base.add(65536).read(), 7);
        assert_eq!(base.add(5).read(), 0);
        assert_eq!(base.sub(8).read(), 0);
        assert_eq!(base.add(SLAB_STRIDE as usize + 9).read(), 0);
        for page in 0..more_pages {
            assert_eq!(base.add((2 << 16) + page * 4096).read(), 0);
        }
        set.grow_memory(&plan, SlabId(0), MINIMUM << 16, (MINIMUM + 1) << 16)
            .unwrap();
        assert_eq!(base.add((MINIMUM << 16) as usize).read(), 0);
    }
}
