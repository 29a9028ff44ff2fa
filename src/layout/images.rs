//! Makes slabs' initial images from the writes that instantiation does.
//!
//! Writes may overlap (the last one counts) and be mostly zeros. An image is the pieces that
//! remain: sorted, disjoint, without long runs of zeros. The linker maps them in extents of
//! [`CONTEXT_ALIGNMENT`], so that a lonely byte costs a whole extent: when the extents would be out
//! of proportion to the data, the sparsest are copied at start-up instead.

use super::instantiate::Run;
use super::{ConstOperand, ConstValue, Layout};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::ids::{IdVec, SlabId};
use trampette_artifact::layout::CONTEXT_ALIGNMENT;

/// Runs of at least this many zeros are left out of images.
const ZERO_RUN: usize = 4 << 10;
/// Extents may take twice the data and this many bytes.
const SLACK: u64 = 1 << 20;

/// Bytes written at an offset from a slab's context pointer.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub offset: i64,
    pub bytes: Cow<'a, [u8]>,
}

type Pieces = Vec<(i64, Vec<u8>)>;

/// Fills in the images; `writes` are in order.
pub(super) fn prepare(writes: IdVec<SlabId, Vec<Write<'_>>>, layout: &mut Layout) {
    for (slab, writes) in layout.slabs.iter_mut().zip(writes) {
        slab.image = pieces(&writes);
    }
    move_sparse_groups(layout);
}

/// What is left of the writes.
fn pieces(writes: &[Write<'_>]) -> Pieces {
    let mut visible = visible_parts(writes);
    visible.sort_unstable_by_key(|(offset, _)| *offset);
    let mut pieces = Pieces::new();
    for (offset, bytes) in visible {
        for run in nonzero_runs(bytes) {
            append(&mut pieces, offset + run.start as i64, &bytes[run]);
        }
    }
    pieces
}

/// Appends to the last piece if only a few zeros lie between.
fn append(pieces: &mut Pieces, offset: i64, bytes: &[u8]) {
    if let Some((start, piece)) = pieces.last_mut() {
        let gap = (offset - *start) as usize - piece.len();
        // Context and memory are never in one extent.
        let same_part = (*start < 0) == (offset < 0);
        if same_part && gap < ZERO_RUN {
            piece.resize(piece.len() + gap, 0);
            piece.extend_from_slice(bytes);
            return;
        }
    }
    pieces.push((offset, bytes.to_vec()));
}

/// The parts of the writes that no later write covers, in no particular order.
fn visible_parts<'w>(writes: &'w [Write<'_>]) -> Vec<(i64, &'w [u8])> {
    // Disjoint ranges that do not touch: start to end.
    let mut covered: BTreeMap<i64, i64> = BTreeMap::new();
    let mut visible = Vec::with_capacity(writes.len());
    for write in writes.iter().rev() {
        let (start, end) = (write.offset, write.offset + write.bytes.len() as i64);
        if start == end {
            continue;
        }
        let before = covered.range(..=start).next_back();
        let overlapping: Vec<(i64, i64)> = before
            .filter(|(_, covered_end)| **covered_end >= start)
            .into_iter()
            .chain(covered.range(start + 1..=end))
            .map(|(start, end)| (*start, *end))
            .collect();
        let mut show = |from: i64, to: i64| {
            if from < to {
                let part = (from - start) as usize..(to - start) as usize;
                visible.push((from, &write.bytes[part]));
            }
        };
        let (mut at, mut union) = (start, (start, end));
        for (covered_start, covered_end) in overlapping {
            show(at, covered_start);
            at = at.max(covered_end);
            union = (union.0.min(covered_start), union.1.max(covered_end));
            covered.remove(&covered_start);
        }
        show(at, end);
        covered.insert(union.0, union.1);
    }
    visible
}

/// Splits at runs of zeros of at least [`ZERO_RUN`]; zeros at both ends are left out.
fn nonzero_runs(bytes: &[u8]) -> Vec<Range<usize>> {
    // A long run holds an aligned block of this size, whatever its own alignment.
    const BLOCK: usize = ZERO_RUN / 4;
    let is_zero = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) == 0;
    let skip_zeros = |from: usize| {
        let mut at = from;
        while bytes.get(at..at + BLOCK).is_some_and(is_zero) {
            at += BLOCK;
        }
        let rest = bytes[at..].iter().position(|byte| *byte != 0);
        rest.map_or(bytes.len(), |skipped| at + skipped)
    };
    let mut runs = Vec::new();
    let mut start = skip_zeros(0);
    let mut at = start;
    while start < bytes.len() {
        let mut block = at.next_multiple_of(BLOCK);
        while bytes.get(block..block + BLOCK).is_some_and(|b| !is_zero(b)) {
            block += BLOCK;
        }
        // The last nonzero byte before the block: not far, since the block before has one.
        let block = block.min(bytes.len());
        let zeros = match block + BLOCK <= bytes.len() {
            true => block,
            false => bytes.len(),
        };
        let before = bytes[start..zeros].iter().rposition(|byte| *byte != 0);
        let zeros = before.map_or(start, |last| start + last + 1);
        let next = skip_zeros(zeros);
        if next == bytes.len() || next - zeros >= ZERO_RUN {
            runs.push(start..zeros);
            start = next;
        }
        at = next;
    }
    runs
}

/// Pieces of a memory whose extents touch or overlap.
#[derive(Debug)]
struct Group {
    slab: SlabId,
    pieces: Range<usize>,
    data: u64,
    cost: u64,
}

fn extents(piece: &(i64, Vec<u8>)) -> Range<i64> {
    let alignment = CONTEXT_ALIGNMENT as i64;
    let end = piece.0 + piece.1.len() as i64;
    piece.0.div_euclid(alignment)..(end + alignment - 1).div_euclid(alignment)
}

fn groups(slab: SlabId, image: &Pieces) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut reach = None;
    for (index, piece) in image.iter().enumerate() {
        let extents = extents(piece);
        let data = piece.1.len() as u64;
        let shared = match (reach, groups.last_mut()) {
            // Touching extents do not save anything: only a shared one joins.
            (Some(reach), Some(group)) if extents.start < reach => {
                group.pieces.end = index + 1;
                group.data += data;
                group.cost += (extents.end - reach) as u64 * CONTEXT_ALIGNMENT;
                true
            }
            _ => false,
        };
        if !shared {
            groups.push(Group {
                slab,
                pieces: index..index + 1,
                data,
                cost: (extents.end - extents.start) as u64 * CONTEXT_ALIGNMENT,
            });
        }
        reach = Some(extents.end);
    }
    groups
}

/// Bounds the size of the images: the sparsest groups of pieces become actions that come before all
/// others, since what they write is there before any code runs.
fn move_sparse_groups(layout: &mut Layout) {
    let mut all = Vec::new();
    for (id, slab) in layout.slabs.iter_with_ids() {
        all.extend(groups(id, &slab.image));
    }
    let data: u64 = all.iter().map(|group| group.data).sum();
    let mut cost: u64 = all.iter().map(|group| group.cost).sum();
    let bound = 2 * data + SLACK;
    if cost <= bound {
        return;
    }
    // Contexts must be mapped; there are few.
    all.retain(|group| layout.slabs[group.slab].image[group.pieces.start].0 >= 0);
    // Sparsest first: data / cost, compared without rounding.
    all.sort_by(|a, b| {
        let left = u128::from(a.data) * u128::from(b.cost);
        let right = u128::from(b.data) * u128::from(a.cost);
        left.cmp(&right)
    });
    let mut moved = Vec::new();
    for group in all {
        if cost <= bound {
            break;
        }
        cost -= group.cost;
        moved.push(group);
    }
    // From the end, so that the positions of the others stay valid.
    moved.sort_by_key(|group| std::cmp::Reverse((group.slab, group.pieces.start)));
    let mut copies = Vec::new();
    for group in moved {
        let slab = &mut layout.slabs[group.slab];
        let memory = slab.memory.expect("offsets from 0 on are in a memory");
        let width = layout.memories[memory].width;
        let pieces: Pieces = slab.image.drain(group.pieces).collect();
        for (offset, bytes) in pieces.into_iter().rev() {
            let value = match width {
                PointerWidth::P32 => ConstValue::I32(offset as u32 as i32),
                PointerWidth::P64 => ConstValue::I64(offset),
            };
            copies.push((memory, offset as u64, ConstOperand::Value(value), bytes));
        }
    }
    let mut actions = Vec::new();
    for copies in copies.chunk_by(|a, b| a.0 == b.0) {
        let mut run = Run::default();
        for (memory, offset, value, bytes) in copies {
            run.push(*memory, Some(*offset), value.clone(), bytes);
        }
        layout.copy_run(run, &mut actions);
    }
    layout.startup[0].splice(0..0, actions);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: i64, bytes: &[u8]) -> Write<'_> {
        Write {
            offset,
            bytes: Cow::Borrowed(bytes),
        }
    }

    #[test]
    fn later_writes_win() {
        let writes = [
            write(10, b"aaaaaaaaaa"),
            write(12, b"bb"),
            write(18, b"cccc"),
            write(8, b"ddd"),
            write(30, b""),
        ];
        assert_eq!(pieces(&writes), [(8, b"dddabbaaaacccc".to_vec())]);
        let writes = [write(12, b"bb"), write(10, b"aaaaaaaaaa")];
        assert_eq!(pieces(&writes), [(10, b"aaaaaaaaaa".to_vec())]);
    }

    #[test]
    fn a_write_of_zeros_clears() {
        let zeros = [0; 3 * ZERO_RUN];
        let ones = [1; 3 * ZERO_RUN];
        let writes = [write(0, &ones), write(1, &zeros[2..])];
        assert_eq!(
            pieces(&writes),
            [(0, vec![1]), (3 * ZERO_RUN as i64 - 1, vec![1])]
        );
    }

    #[test]
    fn long_runs_of_zeros_split_and_short_ones_do_not() {
        for run in [ZERO_RUN - 1, ZERO_RUN, ZERO_RUN + 1, 10 * ZERO_RUN + 5] {
            for lead in [0, 1, 1023, 1024, 5000] {
                let mut bytes = vec![0; lead];
                bytes.push(1);
                bytes.extend(vec![0; run]);
                bytes.push(2);
                bytes.extend(vec![0; lead]);
                let (first, second) = (lead, lead + run + 1);
                let expected = match run < ZERO_RUN {
                    true => vec![(first, second + 1)],
                    false => vec![(first, first + 1), (second, second + 1)],
                };
                let runs = nonzero_runs(&bytes).into_iter();
                let runs: Vec<_> = runs.map(|run| (run.start, run.end)).collect();
                assert_eq!(runs, expected, "{run} {lead}");
                // The same when the zeros are not written at all.
                let writes = [write(0, &[1]), write(run as i64 + 1, &[2])];
                assert_eq!(pieces(&writes).len(), expected.len());
            }
        }
        assert_eq!(nonzero_runs(&[]), []);
        assert_eq!(nonzero_runs(&[0; 9999]), []);
    }

    #[test]
    fn context_and_memory_stay_apart() {
        let writes = [write(0, &[2]), write(-1, &[1])];
        assert_eq!(pieces(&writes), [(-1, vec![1]), (0, vec![2])]);
    }

    #[test]
    fn overlaps_agree_with_a_plain_array() {
        // A small generator is enough: positions and lengths that collide often.
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let mut plain = vec![0u8; 400];
            let sources: Vec<(i64, Vec<u8>)> = (0..random(12))
                .map(|_| {
                    let value = random(3) as u8;
                    (random(300) as i64, vec![value; random(90) as usize])
                })
                .collect();
            let writes: Vec<Write<'_>> = sources.iter().map(|(o, b)| write(*o, b)).collect();
            for (offset, bytes) in &sources {
                plain[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            let mut built = vec![0u8; 400];
            for (offset, bytes) in pieces(&writes) {
                built[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(built, plain);
        }
    }
}
