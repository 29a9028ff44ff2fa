//! Linking: compiled functions and a layout to one ELF file.
