//! The CRC-32 of an artifact's file, which is the same for all of them.
//!
//! Debuggers find the file of code in memory by a "debug link": a path and the file's CRC-32, which
//! they compute and compare. So that the loader knows it without reading the file, the linker ends
//! each file with four bytes that make it [`FILE_CRC`]. It proves nothing.

/// The CRC-32 of every artifact.
pub const FILE_CRC: u32 = u32::from_le_bytes(*b"tram");

/// The polynomial of CRC-32 (ISO-HDLC), bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = (value >> 1) ^ ((value & 1) * POLYNOMIAL);
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut byte = 0;
    while byte < 256 {
        let mut table = 1;
        while table < 8 {
            let value = tables[table - 1][byte];
            tables[table][byte] = value >> 8 ^ tables[0][(value & 0xff) as usize];
            table += 1;
        }
        byte += 1;
    }
    tables
}

/// The register after some bytes, from that before them.
fn update(mut register: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let value = u64::from_le_bytes(*chunk) ^ u64::from(register);
        register = (0..8).fold(0, |sum, at| {
            sum ^ TABLES[7 - at][(value >> (8 * at)) as usize & 0xff]
        });
    }
    for byte in rest {
        register = register >> 8 ^ TABLES[0][(register as u8 ^ byte) as usize];
    }
    register
}

/// The CRC-32 of bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    !update(!0, bytes)
}

/// The bytes that, put behind others, make the CRC-32 of the whole [`FILE_CRC`].
pub fn closing_bytes(bytes: &[u8]) -> [u8; 4] {
    let mut wanted = !FILE_CRC;
    for _ in 0..4 {
        // The entry that was taken last is the only one with these highest bits.
        let top = wanted >> 24;
        let entry = TABLES[0].iter().position(|entry| entry >> 24 == top);
        let entry = entry.expect("the highest bytes of the table are a permutation");
        wanted = (wanted ^ TABLES[0][entry]) << 8 | entry as u32;
    }
    (wanted ^ update(!0, bytes)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_right() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(
            crc32(b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
    }

    #[test]
    fn closing_bytes_give_every_file_the_same_sum() {
        for length in [0, 1, 7, 8, 9, 1000] {
            let mut bytes: Vec<u8> = (0..length).map(|at| (at * 7 + 3) as u8).collect();
            bytes.extend(closing_bytes(&bytes));
            assert_eq!(crc32(&bytes), FILE_CRC);
        }
    }
}
