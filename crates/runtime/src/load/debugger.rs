//! Telling debuggers which file is mapped where.
//!
//! `perf` sees mappings of files by itself. `gdb` and `lldb` look for files of code only in the
//! dynamic linker's list, which artifacts are not in; but they also know an interface for compilers
//! in the process: a list of small object files in memory, and a function that is called when the
//! list changes, where a debugger has a breakpoint. Each loaded artifact is on that list with an
//! object that holds nothing but the address of `.text` and a "debug link" to the artifact's file,
//! from which the debugger then takes symbols, lines and how to unwind.
//!
//! Without a debugger this costs a lock and a few hundred bytes for each component.

use object::elf;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use trampette_artifact::crc::FILE_CRC;

/// An element of the list, as debuggers read it.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    size: u64,
}

/// The head of the list.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTERED: u32 = 1;
const UNREGISTERED: u32 = 2;

// Debuggers find both by name. They are weak because other compilers in the process may bring them
// along, and there is one list for all.
std::arch::global_asm!(
    ".pushsection .text.__jit_debug_register_code, \"ax\", @progbits",
    ".weak __jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    "__jit_debug_register_code:",
    "ret",
    ".size __jit_debug_register_code, . - __jit_debug_register_code",
    ".popsection",
    ".pushsection .data.__jit_debug_descriptor, \"aw\", @progbits",
    ".weak __jit_debug_descriptor",
    ".type __jit_debug_descriptor, @object",
    ".p2align 3",
    "__jit_debug_descriptor:",
    ".long 1, 0",
    ".quad 0, 0",
    ".size __jit_debug_descriptor, . - __jit_debug_descriptor",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "__jit_debug_descriptor"]
    static mut DESCRIPTOR: Descriptor;
    fn __jit_debug_register_code();
}

/// Held while the list is changed.
fn lock() -> MutexGuard<'static, ()> {
    static LIST: Mutex<()> = Mutex::new(());
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An artifact on the list; dropping it takes it off.
pub(crate) struct Registration {
    entry: *mut Entry,
    /// What the entry points to.
    _object: Vec<u8>,
}

// SAFETY: the entry is only touched under the lock.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

impl Registration {
    /// Puts an artifact's file, which is mapped at `base` and its code at `text`, on the list.
    pub(crate) fn new(file: &OwnedFd, base: usize, text: &Range<usize>) -> Registration {
        let object = object(&path_of(file), base, text);
        let entry = Box::into_raw(Box::new(Entry {
            next: null_mut(),
            previous: null_mut(),
            file: object.as_ptr(),
            size: object.len() as u64,
        }));
        let _lock = lock();
        // SAFETY: the list is changed only under the lock (by this runtime), its entries live until
        // they are taken off, and the function does nothing.
        unsafe {
            let list = &raw mut DESCRIPTOR;
            (*entry).next = (*list).first;
            if !(*list).first.is_null() {
                (*(*list).first).previous = entry;
            }
            (*list).first = entry;
            (*list).relevant = entry;
            (*list).action = REGISTERED;
            __jit_debug_register_code();
        }
        Registration {
            entry,
            _object: object,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _lock = lock();
        // SAFETY: as for registering; the entry came from a box.
        unsafe {
            let list = &raw mut DESCRIPTOR;
            let Entry { next, previous, .. } = *self.entry;
            match previous.is_null() {
                true => (*list).first = next,
                false => (*previous).next = next,
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            (*list).relevant = self.entry;
            (*list).action = UNREGISTERED;
            __jit_debug_register_code();
            drop(Box::from_raw(self.entry));
        }
    }
}

/// A path under which a debugger of this process can open a file: its own, or for a file in memory
/// that of the descriptor.
fn path_of(file: &OwnedFd) -> PathBuf {
    let number = file.as_raw_fd();
    let path = std::fs::read_link(format!("/proc/self/fd/{number}"));
    match path {
        Ok(path) if path.exists() => path,
        _ => PathBuf::from(format!("/proc/{}/fd/{number}", std::process::id())),
    }
}

const NAMES: &[u8] = b"\0.text\0.gnu_debuglink\0.shstrtab\0\0";
const HEADER: usize = 64;
const SECTION: usize = 64;

/// The object in memory: section headers, and a debug link.
fn object(path: &Path, base: usize, text: &Range<usize>) -> Vec<u8> {
    let mut link = path.as_os_str().as_bytes().to_vec();
    link.push(0);
    link.resize(link.len().next_multiple_of(4), 0);
    link.extend(FILE_CRC.to_le_bytes());
    let names_at = HEADER + link.len();
    let sections_at = (names_at + NAMES.len()).next_multiple_of(8);

    let mut bytes = vec![0x7f, b'E', b'L', b'F', elf::ELFCLASS64, elf::ELFDATA2LSB];
    bytes.push(elf::EV_CURRENT);
    bytes.resize(16, 0);
    bytes.extend(elf::ET_REL.to_le_bytes());
    bytes.extend(elf::EM_X86_64.to_le_bytes());
    bytes.extend(u32::from(elf::EV_CURRENT).to_le_bytes());
    // Sections of the object and of the file are the same to gdb if they are as far behind what the
    // headers call the entry point, which is 0 in the file. There are no program headers.
    for field in [base, 0, sections_at] {
        bytes.extend((field as u64).to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for field in [HEADER as u16, 0, 0, SECTION as u16, 4, 3] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(&link);
    bytes.extend(NAMES);
    bytes.resize(sections_at, 0);

    let code = u64::from(elf::SHF_ALLOC | elf::SHF_EXECINSTR);
    let (start, length) = (text.start as u64, text.len() as u64);
    let mut section = |name: u32, kind: u32, flags: u64, address: u64, offset: usize, size: u64| {
        bytes.extend(name.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        for field in [flags, address, offset as u64, size, 0, 1, 0] {
            bytes.extend(field.to_le_bytes());
        }
    };
    section(0, elf::SHT_NULL, 0, 0, 0, 0);
    section(1, elf::SHT_NOBITS, code, start, HEADER, length);
    section(7, elf::SHT_PROGBITS, 0, 0, HEADER, link.len() as u64);
    section(22, elf::SHT_STRTAB, 0, 0, names_at, NAMES.len() as u64);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection};

    #[test]
    fn the_object_is_a_file_of_its_own() {
        let text = 0x7000_1000..0x7000_3000;
        let bytes = object(Path::new("/tmp/app.elf"), 0x7000_0000, &text);
        let file = object::File::parse(&bytes[..]).unwrap();
        assert_eq!(file.entry(), 0x7000_0000);
        let found = file.section_by_name(".text").unwrap();
        assert_eq!((found.address(), found.size()), (0x7000_1000, 0x2000));
        let link = file.gnu_debuglink().unwrap();
        assert_eq!(link, Some((&b"/tmp/app.elf"[..], FILE_CRC)));
    }

    /// Other tests of the process have entries on the list too.
    #[test]
    fn entries_come_and_go_in_any_order() {
        let listed = || {
            let _lock = lock();
            let mut found = Vec::new();
            // SAFETY: the list is read under the lock.
            let mut next = unsafe { DESCRIPTOR.first };
            while !next.is_null() {
                found.push(next);
                // SAFETY: an entry of the list.
                next = unsafe { (*next).next };
            }
            found
        };
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let file = OwnedFd::from(file);
        let mut all: Vec<_> = (0..4)
            .map(|_| Registration::new(&file, 0, &(1..2)))
            .collect();
        for index in [1, 2, 0, 0] {
            let found = listed();
            assert!(all.iter().all(|one| found.contains(&one.entry)));
            drop(all.remove(index));
        }
        // The list is still one that ends.
        listed();
    }
}
