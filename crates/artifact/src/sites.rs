//! Sites: the places in code that a trap or a backtrace can name, in `.trampette.sites`.
//!
//! A site is an instruction that may fault, or the last byte of a call, or where a loop begins: a
//! trap of kind [`TrapCode::Interrupt`], which no fault is. There are several for every
//! ten instructions, so they are packed: about two and a half bytes a site instead of sixteen. They
//! are still found without decoding more than one block, without allocating, and so from a signal
//! handler.
//!
//! ```text
//! count of blocks: u32
//! blocks: { first offset: u32, start of the block's bytes: u32 } …   sorted
//! bytes of the blocks, each of up to BLOCK sites:
//!   head:   kind (2 bits) | has a source (1 bit) | delta of the offset (5 bits; DELTA_FOLLOWS:
//!           a varint has it)
//!   code:   one byte, if the kind is OTHER_TRAP
//!   source: zigzag varint, relative to the source before it in the block, if it has one
//! ```
//!
//! Offsets count from the start of `.text`, and from the block's first offset within a block. Where
//! code of an inlined function begins or ends, a head with the kind INLINED (its other bits zero)
//! and a varint come between two sites: the inlined call that the following sites of the block are
//! part of, plus one, or 0 for none. Code without inlined calls pays nothing for them.

use crate::trap::TrapCode;

/// Sites a block.
const BLOCK: usize = 64;
/// Bytes of an entry of the index.
const INDEX_ENTRY: usize = 8;

const KIND_MASK: u8 = 0b11;
const CALL: u8 = 0;
const MEMORY_TRAP: u8 = 1;
const OTHER_TRAP: u8 = 2;
const INLINED: u8 = 3;
const HAS_SOURCE: u8 = 0b100;
const DELTA_SHIFT: u32 = 3;
const DELTA_FOLLOWS: u32 = 31;

/// A place in code that a trap or a backtrace can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Bytes from the start of `.text`.
    pub offset: u32,
    /// Why it may trap; [`TrapCode::Interrupt`] for a loop, `None` for a call.
    pub trap: Option<TrapCode>,
    /// Byte offset in the component's binary of the instruction that it comes from.
    pub source: Option<u32>,
    /// The inlined call that it is part of: an index in `.trampette.inlined`
    /// ([`crate::tables::InlinedCall`]).
    pub inlined: Option<u32>,
}

/// Packs sites, which are sorted by offset, each offset once.
pub fn encode(sites: &[Site]) -> Vec<u8> {
    let blocks = sites.chunks(BLOCK);
    let mut index = Vec::with_capacity(blocks.len() * INDEX_ENTRY);
    let mut bytes = Vec::with_capacity(sites.len() * 3);
    for block in blocks {
        index.extend(block[0].offset.to_le_bytes());
        index.extend((bytes.len() as u32).to_le_bytes());
        let (mut offset, mut source, mut inlined) = (block[0].offset, 0u32, None);
        for site in block {
            if site.inlined != inlined {
                inlined = site.inlined;
                bytes.push(INLINED);
                write_varint(&mut bytes, inlined.map_or(0, |call| call + 1));
            }
            let delta = site.offset - offset;
            offset = site.offset;
            let (kind, code) = match site.trap {
                None => (CALL, None),
                Some(TrapCode::MemoryOutOfBounds) => (MEMORY_TRAP, None),
                Some(other) => (OTHER_TRAP, Some(other.number())),
            };
            let has_source = if site.source.is_some() { HAS_SOURCE } else { 0 };
            bytes.push(kind | has_source | (delta.min(DELTA_FOLLOWS) << DELTA_SHIFT) as u8);
            if delta >= DELTA_FOLLOWS {
                write_varint(&mut bytes, delta);
            }
            bytes.extend(code);
            if let Some(this) = site.source {
                let delta = this.wrapping_sub(source) as i32;
                write_varint(&mut bytes, (delta << 1 ^ delta >> 31) as u32);
                source = this;
            }
        }
    }
    let count = (index.len() / INDEX_ENTRY) as u32;
    [&count.to_le_bytes()[..], &index, &bytes].concat()
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Packed sites, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Sites<'a> {
    index: &'a [u8],
    blocks: &'a [u8],
}

impl<'a> Sites<'a> {
    /// Reads a section; `None` if its index does not fit it. What the blocks hold is checked when
    /// they are looked at.
    pub fn parse(section: &'a [u8]) -> Option<Sites<'a>> {
        if section.is_empty() {
            return Some(Sites {
                index: &[],
                blocks: &[],
            });
        }
        let count = u32::from_le_bytes(section.get(..4)?.try_into().ok()?);
        let length = usize::try_from(count).ok()?.checked_mul(INDEX_ENTRY)?;
        let index = section.get(4..length.checked_add(4)?)?;
        Some(Sites {
            index,
            blocks: &section[4 + length..],
        })
    }

    /// Every site, in order; `None` if any byte is not as [`encode`] writes it, or a site does not
    /// come behind the one before it.
    pub fn all(&self) -> Option<Vec<Site>> {
        let blocks = self.index.len() / INDEX_ENTRY;
        let mut sites: Vec<Site> = Vec::new();
        for block in 0..blocks {
            let (first, start) = self.entry(block);
            let end = match block + 1 < blocks {
                true => self.entry(block + 1).1,
                false => self.blocks.len(),
            };
            let mut reader = Reader {
                bytes: self.blocks.get(start..end)?,
            };
            let mut site = Site {
                offset: first,
                trap: None,
                source: None,
                inlined: None,
            };
            let (count, mut source) = (sites.len(), 0);
            while !reader.bytes.is_empty() {
                reader.site(&mut site, &mut source)?;
                if sites.last().is_some_and(|last| last.offset >= site.offset) {
                    return None;
                }
                sites.push(site);
            }
            let full = sites.len() - count == BLOCK || block + 1 == blocks;
            if !full || sites.get(count)?.offset != first {
                return None;
            }
        }
        Some(sites)
    }

    fn entry(&self, block: usize) -> (u32, usize) {
        let at = block * INDEX_ENTRY;
        let word = |at: usize| {
            u32::from_le_bytes([
                self.index[at],
                self.index[at + 1],
                self.index[at + 2],
                self.index[at + 3],
            ])
        };
        (word(at), word(at + 4) as usize)
    }

    /// The last site at or before `offset`. Neither allocates nor panics, whatever the bytes are.
    pub fn at_or_before(&self, offset: u32) -> Option<Site> {
        let (mut low, mut high) = (0, self.index.len() / INDEX_ENTRY);
        while low < high {
            let middle = (low + high) / 2;
            if self.entry(middle).0 <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let (first, start) = self.entry(low.checked_sub(1)?);
        let mut reader = Reader {
            bytes: self.blocks.get(start..)?,
        };
        let mut site = Site {
            offset: first,
            trap: None,
            source: None,
            inlined: None,
        };
        let (mut found, mut source) = (None, 0);
        for _ in 0..BLOCK {
            if reader.site(&mut site, &mut source).is_none() || site.offset > offset {
                break;
            }
            found = Some(site);
        }
        found
    }

    /// The site at exactly `offset`.
    pub fn at(&self, offset: u32) -> Option<Site> {
        self.at_or_before(offset)
            .filter(|site| site.offset == offset)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads the next site over the one before it; `source` is the last one that a site had.
    fn site(&mut self, site: &mut Site, source: &mut u32) -> Option<()> {
        let mut head = self.byte()?;
        if head & KIND_MASK == INLINED {
            site.inlined = self.varint()?.checked_sub(1);
            head = self.byte()?;
        }
        let mut delta = u32::from(head) >> DELTA_SHIFT;
        if delta == DELTA_FOLLOWS {
            delta = self.varint()?;
        }
        site.offset = site.offset.checked_add(delta)?;
        site.trap = match head & KIND_MASK {
            MEMORY_TRAP => Some(TrapCode::MemoryOutOfBounds),
            OTHER_TRAP => Some(TrapCode::from_number(self.byte()?)?),
            _ => None,
        };
        let has_source = head & HAS_SOURCE != 0;
        if has_source {
            let zigzag = self.varint()?;
            *source = source.wrapping_add(zigzag >> 1 ^ (zigzag & 1).wrapping_neg());
        }
        site.source = has_source.then_some(*source);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u32) -> Vec<Site> {
        let site = |i: u32| Site {
            offset: i * 3 + i / 7 * 40 + i / 50 * 5000,
            trap: match i % 5 {
                0 => None,
                4 => Some(TrapCode::IntegerDivisionByZero),
                _ => Some(TrapCode::MemoryOutOfBounds),
            },
            source: (i % 11 != 3).then_some(i.wrapping_mul(2_654_435_761) >> (i % 30)),
            inlined: (i / 9 % 3 == 1).then_some(i / 9 * 100),
        };
        (0..count).map(site).collect()
    }

    #[test]
    fn sites_round_trip() {
        for count in [0, 1, 2, 63, 64, 65, 1000] {
            let sites = sample(count);
            let bytes = encode(&sites);
            let packed = Sites::parse(&bytes).unwrap();
            assert_eq!(packed.all().as_ref(), Some(&sites));
            for (position, site) in sites.iter().enumerate() {
                assert_eq!(packed.at(site.offset), Some(*site));
                let next = sites.get(position + 1).map_or(u32::MAX, |next| next.offset);
                assert_eq!(packed.at_or_before(next - 1), Some(*site));
                if next > site.offset + 1 {
                    assert_eq!(packed.at(site.offset + 1), None);
                }
            }
        }
        assert_eq!(Sites::parse(&[]).unwrap().at(7), None);
    }

    #[test]
    fn damaged_bytes_give_wrong_answers_at_worst() {
        let bytes = encode(&sample(200));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            if let Some(sites) = Sites::parse(&damaged) {
                for offset in (0..20_000).step_by(97) {
                    let _ = sites.at(offset);
                }
                let _ = sites.all();
            }
            if let Some(sites) = Sites::parse(&bytes[..at]) {
                let _ = sites.at(1000);
            }
        }
    }

    #[test]
    fn common_sites_take_two_bytes() {
        let sites: Vec<Site> = (0..640)
            .map(|i| Site {
                offset: i * 9,
                trap: Some(TrapCode::MemoryOutOfBounds),
                source: Some(5000 + i * 7),
                inlined: None,
            })
            .collect();
        let bytes = encode(&sites);
        assert!(bytes.len() < 640 * 2 + 10 * 12, "{} bytes", bytes.len());
    }
}
