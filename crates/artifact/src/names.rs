//! Names of a module's functions, in `.trampette.custom`: a sorted table that is searched in place,
//! so that loading an artifact costs nothing for them and a backtrace decodes only the names it
//! prints.
//!
//! The table is the number of names, then for each its function index and where its text ends (all
//! 32-bit, little-endian, at any alignment), then the texts one after the other.

/// Encodes names, which are sorted by function index. Those that would not fit 4 GiB are left out.
pub fn encode(names: &[(u32, String)]) -> Vec<u8> {
    let mut end = 0u32;
    let ends = names.iter().map_while(|(_, name)| {
        end = end.checked_add(u32::try_from(name.len()).ok()?)?;
        Some(end)
    });
    let ends: Vec<u32> = ends.collect();
    let names = &names[..ends.len()];
    let mut bytes = (names.len() as u32).to_le_bytes().to_vec();
    for ((index, _), end) in names.iter().zip(&ends) {
        bytes.extend(index.to_le_bytes());
        bytes.extend(end.to_le_bytes());
    }
    for (_, name) in names {
        bytes.extend(name.as_bytes());
    }
    bytes
}

/// The name of a function in an encoded table; `None` if it has none or the table is damaged.
pub fn find(table: &[u8], function: u32) -> Option<&str> {
    let number = |at: usize| {
        let bytes = table.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let count = number(0)? as usize;
    let entry = |index: usize| Some((number(4 + 8 * index)?, number(8 + 8 * index)?));
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match entry(middle)?.0 {
            found if found < function => low = middle + 1,
            _ => high = middle,
        }
    }
    let (found, end) = entry(low).filter(|_| low < count)?;
    let start = match low {
        0 => 0,
        _ => entry(low - 1)?.1,
    };
    let texts = table.get(4 + 8 * count..)?;
    let text = texts.get(start as usize..end as usize)?;
    (found == function).then(|| std::str::from_utf8(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_index() {
        let names = [(0, "zero"), (3, ""), (4, "vier"), (u32::MAX, "last")];
        let names = names.map(|(index, name)| (index, name.to_string()));
        let table = encode(&names);
        for (index, name) in &names {
            assert_eq!(find(&table, *index), Some(name.as_str()));
        }
        for missing in [1, 2, 5, u32::MAX - 1] {
            assert_eq!(find(&table, missing), None);
        }
        assert_eq!(find(&encode(&[]), 0), None);
    }

    #[test]
    fn damaged_tables_have_no_names() {
        let table = encode(&[(1, "one".to_string()), (2, "two".to_string())]);
        for length in 0..table.len() {
            assert_eq!(find(&table[..length], 2), None);
        }
        let mut huge = table.clone();
        huge[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(find(&huge, 2), None);
        let mut backwards = table;
        backwards[8..12].copy_from_slice(&100u32.to_le_bytes());
        assert_eq!(find(&backwards, 2), None);
    }
}
