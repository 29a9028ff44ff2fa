//! Which of a guest's DWARF sections an artifact keeps: those that backtraces read.
//!
//! What else a toolchain writes describes variables (`.debug_loc`) or is an index for debuggers
//! (`.debug_pubnames`), which nobody reads of an artifact: a third of a Rust or C++ guest's DWARF.
//! Nothing is compressed: a backtrace reads the few pages that it needs of the mapped file, where
//! compressed sections would have to be unpacked as a whole, and kept.

/// The sections, by name. Locations of variables are not among them.
const SECTIONS: [&str; 9] = [
    ".debug_abbrev",
    ".debug_addr",
    ".debug_info",
    ".debug_line",
    ".debug_line_str",
    ".debug_ranges",
    ".debug_rnglists",
    ".debug_str",
    ".debug_str_offsets",
];

/// Whether an artifact keeps a custom section of that name.
///
/// ```
/// use trampette_artifact::dwarf::is_kept;
///
/// assert!(is_kept(".debug_line") && !is_kept(".debug_loc") && !is_kept("name"));
/// ```
pub fn is_kept(section: &str) -> bool {
    SECTIONS.contains(&section)
}
