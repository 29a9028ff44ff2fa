//! `.eh_frame`: how to walk through the frame of each function.

use super::functions::Functions;
use super::image::{Image, Text};
use anyhow::{Context, Result, bail, ensure};
use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use std::collections::BTreeSet;

const NAME: &str = ".eh_frame";

/// Each function has one description, of all of its code.
///
/// # Errors
/// If one has not.
pub(super) fn check(image: &Image<'_>, text: &Text<'_>, functions: &Functions) -> Result<()> {
    let frame = EhFrame::new(image.contents(NAME)?, LittleEndian);
    let address = image.find(NAME).unwrap_or_default().start;
    let bases = BaseAddresses::default()
        .set_eh_frame(address)
        .set_text(text.address);
    let mut described = BTreeSet::new();
    let mut entries = frame.entries(&bases);
    while let Some(entry) = entries.next().context("the unwind table is damaged")? {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let entry = partial.parse(EhFrame::cie_from_offset);
        let entry = entry.context("the unwind table is damaged")?;
        let start = entry.initial_address();
        let offset = start.checked_sub(text.address);
        let function = offset.and_then(|it| functions.starting_at(u32::try_from(it).ok()?));
        let function = function.with_context(|| {
            format!("the unwind table has {start:#x}, where no function starts")
        })?;
        ensure!(
            entry.len() == u64::from(function.end - function.start),
            "`{}` at {start:#x} has another length in the unwind table: {}",
            function.key,
            entry.len()
        );
        ensure!(
            described.insert(function.start),
            "`{}` at {start:#x} is in the unwind table twice",
            function.key
        );
    }
    let mut all = functions.all().iter();
    if let Some(function) = all.find(|it| !described.contains(&it.start)) {
        let at = text.file_offset(function.start);
        bail!("`{}` at {at:#x} is not in the unwind table", function.key);
    }
    Ok(())
}
