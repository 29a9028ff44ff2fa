//! Slab images as page-aligned extents: what an instance maps privately instead of writing it.

use crate::layout::SlabLayout;
use anyhow::{Result, ensure};
use trampette_artifact::ids::{IdVec, SlabId};
use trampette_artifact::layout::PAGE_ALIGNMENT;
use trampette_artifact::metadata::Extent;

/// The contents of `.trampette.image` and the extents of each slab. File offsets are relative to
/// the section until it is placed.
pub(crate) struct Images {
    /// Page-aligned pieces.
    pub bytes: Vec<u8>,
    /// Extents by slab.
    pub extents: Vec<Vec<Extent>>,
}

/// Pads the pieces of every slab's image to pages; pieces that share a page share an extent.
///
/// # Errors
/// If pieces overlap or are not in order.
pub(crate) fn extents(slabs: &IdVec<SlabId, SlabLayout>) -> Result<Images> {
    let mut images = Images {
        bytes: Vec::new(),
        extents: Vec::new(),
    };
    for slab in slabs {
        let mut extents: Vec<Extent> = Vec::new();
        let mut written = i64::MIN;
        for (offset, bytes) in slab.image.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            ensure!(
                *offset >= written,
                "pieces of a slab's image overlap at {offset:#x}"
            );
            written = offset + bytes.len() as i64;
            let page = offset.div_euclid(PAGE_ALIGNMENT as i64) * PAGE_ALIGNMENT as i64;
            match extents.last_mut() {
                // The piece begins in or right after the last page of the previous extent.
                Some(last) if page <= last.target + last.length as i64 => {}
                _ => extents.push(Extent {
                    file_offset: images.bytes.len() as u64,
                    target: page,
                    length: 0,
                }),
            }
            let extent = extents.last_mut().expect("one was just pushed");
            let end = (written - extent.target) as u64;
            extent.length = extent.length.max(end.next_multiple_of(PAGE_ALIGNMENT));
            let start = extent.file_offset as usize;
            images.bytes.resize(start + extent.length as usize, 0);
            let at = start + (offset - extent.target) as usize;
            images.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        }
        images.extents.push(extents);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slab(image: Vec<(i64, Vec<u8>)>) -> SlabLayout {
        SlabLayout {
            image,
            ..SlabLayout::default()
        }
    }

    #[test]
    fn neighbouring_pieces_share_pages_and_far_ones_do_not() {
        let pieces = vec![
            (-64, vec![1; 64]),
            (16, vec![2; 8]),
            (0x1_0000, vec![3; 0x1001]),
        ];
        let images = extents(&[slab(pieces), slab(vec![])].into()).unwrap();
        let expected = [
            Extent {
                file_offset: 0,
                target: -0x1000,
                length: 0x2000,
            },
            Extent {
                file_offset: 0x2000,
                target: 0x1_0000,
                length: 0x2000,
            },
        ];
        assert_eq!(images.extents, vec![expected.to_vec(), vec![]]);
        assert_eq!(images.bytes.len(), 0x4000);
        assert_eq!(images.bytes[0xfff], 1);
        assert_eq!(images.bytes[0x1010], 2);
        assert_eq!(images.bytes[0x2000], 3);
    }

    #[test]
    fn overlapping_pieces_are_refused() {
        assert!(extents(&[slab(vec![(0, vec![1; 8]), (4, vec![2; 8])])].into()).is_err());
    }
}
