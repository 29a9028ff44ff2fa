//! Backtraces show source lines when a core module has DWARF. The module is made here: a trap in a
//! function, and a line table that says where all its code comes from. Hostile sections cost no
//! more than a bounded amount of time and memory for each backtrace that is printed.

#[path = "support/clock.rs"]
mod clock;
#[path = "support/dwarf.rs"]
mod support;

use anyhow::Result;
use gimli::write::{Address, AttributeValue, EndianVec, LineProgram, LineString, Sections};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, SectionId};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use support::{Bytes, component_of, dwarf};
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Linker, Store, Trap};

/// A component whose only export traps, with DWARF in its core module.
fn component() -> Result<Vec<u8>> {
    let module = r#"(module $demo
        (func $fail (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func (export "run") (drop (call $fail (i32.const 0)))))"#;
    component_of(module, |middle| dwarf(middle, 1000))
}

#[test]
fn backtraces_show_source_lines() -> Result<()> {
    backtrace_shows_source_lines(Inline::Never)
}

/// `fail` is part of `run`, which is part of the entry: each still has its line.
#[test]
fn backtraces_show_source_lines_of_inlined_functions() -> Result<()> {
    backtrace_shows_source_lines(Inline::Worthwhile)
}

fn backtrace_shows_source_lines(inline: Inline) -> Result<()> {
    let options = CompileOptions {
        inline,
        ..CompileOptions::default()
    };
    let artifact = trampette::compile_component(&component()?, &options)?;
    let component = artifact.load()?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    let error = run.call(&mut store, ()).expect_err("it divides by zero");
    assert!(error.downcast_ref::<Trap>().is_some());
    let text = format!("{error:#}");
    assert!(text.contains("integer divide by zero"), "{text}");
    assert!(text.contains("demo!fail"), "{text}");
    // Of `fail`, and of `run`, which called it.
    let lines = ["/src/demo.c:7:3", "/src/demo.c:9:5"].map(|line| text.find(line));
    assert!(lines[0].is_some() && lines[0] < lines[1], "{text}");
    assert_eq!(text.matches("/src/demo.c").count(), 2, "{text}");
    Ok(())
}

/// Counts bytes, and the most that there were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A module that calls itself more often than a backtrace has frames, and traps.
const DEEP: &str = r#"(module $demo
    (func $fail (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $fail (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.div_u (i32.const 1) (local.get 0)))))
    (func (export "run") (drop (call $fail (i32.const 200)))))"#;

/// Prints the trap of a component with such sections a few times: none takes long or much memory.
/// Gives the text.
fn prints_quickly(name: &str, sections: Bytes) -> Result<String> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE.lock();
    let wasm = component_of(DEEP, |_| Ok(sections))?;
    let options = CompileOptions::default();
    let component = trampette::compile_component(&wasm, &options)?.load()?;
    let mut text = String::new();
    for round in 0..3 {
        let mut store = Store::new(());
        let instance = Linker::new().instantiate(&mut store, &component)?;
        let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
        let error = run.call(&mut store, ()).expect_err("it divides by zero");
        let before = NOW.load(Relaxed);
        MOST.store(before, Relaxed);
        let start = clock::thread_time();
        text = error.to_string();
        let time = clock::thread_time() - start;
        let memory = MOST.load(Relaxed).saturating_sub(before);
        assert!(text.contains("demo!fail"), "{name}: {text}");
        assert!(memory < 64 << 20, "{name}, round {round}: {memory} bytes");
        assert!(text.len() < 1 << 20, "{name}: {} bytes of text", text.len());
        // Unoptimised.
        let limit = Duration::from_millis(1500);
        assert!(time < limit, "{name}, round {round}: {time:?}");
        eprintln!("{name}, round {round}: {time:?}, {memory} bytes");
    }
    Ok(text)
}

/// Replaces a section.
fn with(mut sections: Bytes, name: &'static str, contents: Vec<u8>) -> Bytes {
    sections.retain(|(other, _)| *other != name);
    sections.push((name, contents));
    sections
}

fn section<'s>(sections: &'s Bytes, name: &str) -> &'s [u8] {
    let found = sections.iter().find(|(other, _)| *other == name);
    &found.expect("a section").1
}

/// The line program with five million rows before its own, all of them at address 0.
fn many_rows() -> Result<Bytes> {
    let sections = dwarf(20, 1000)?;
    let mut lines = section(&sections, ".debug_line").to_vec();
    let header = u32::from_le_bytes(lines[6..10].try_into()?) as usize;
    // DW_LNS_copy: a row without change.
    lines.splice(10 + header..10 + header, vec![1; 5_000_000]);
    let length = lines.len() as u32 - 4;
    lines[..4].copy_from_slice(&length.to_le_bytes());
    Ok(with(sections, ".debug_line", lines))
}

/// Thousands of inlined functions around every address, whose name is a megabyte long.
fn many_inlined() -> Result<Bytes> {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 4,
    };
    let mut dwarf = gimli::write::Dwarf::new();
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let encoding_of_lines = LineEncoding::default();
    let file = text(&"f".repeat(100_000));
    let directory = text("/src");
    let mut lines = LineProgram::new(encoding, encoding_of_lines, directory, None, file, None);
    lines.begin_sequence(Some(Address::Constant(0)));
    lines.row().line = 7;
    lines.generate_row();
    lines.end_sequence(1000);
    let name = dwarf.strings.add("n".repeat(1_000_000));
    let unit = dwarf.units.add(gimli::write::Unit::new(encoding, lines));
    let unit = dwarf.units.get_mut(unit);
    let root = unit.root();
    let all = |entry: &mut gimli::write::DebuggingInformationEntry| {
        entry.set(gimli::DW_AT_name, AttributeValue::StringRef(name));
        let zero = AttributeValue::Address(Address::Constant(0));
        entry.set(gimli::DW_AT_low_pc, zero);
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(1000));
    };
    all(unit.get_mut(root));
    let lines = AttributeValue::LineProgramRef;
    unit.get_mut(root).set(gimli::DW_AT_stmt_list, lines);
    let function = unit.add(root, gimli::DW_TAG_subprogram);
    all(unit.get_mut(function));
    for _ in 0..20_000 {
        let inlined = unit.add(function, gimli::DW_TAG_inlined_subroutine);
        all(unit.get_mut(inlined));
    }
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections)?;
    let mut all = Vec::new();
    sections.for_each(|id: SectionId, data| -> Result<()> {
        all.push((id.name(), data.slice().to_vec()));
        Ok(())
    })?;
    Ok(all)
}

/// An abbreviation of a hundred thousand attributes without bytes, and a million entries of it.
fn wide_entries() -> Result<Bytes> {
    let mut sections = dwarf(20, 1000)?;
    let mut abbreviations = section(&sections, ".debug_abbrev").to_vec();
    abbreviations.pop(); // the end of the table
    abbreviations.extend([2, 0x2e, 0]); // code 2, a subprogram, no children
    for _ in 0..100_000 {
        abbreviations.extend([0x3f, 0x19]); // DW_AT_external, DW_FORM_flag_present
    }
    abbreviations.extend([0, 0, 0]);
    sections = with(sections, ".debug_abbrev", abbreviations);
    let mut info = section(&sections, ".debug_info").to_vec();
    info.extend(vec![2; 1_000_000]);
    let length = info.len() as u32 - 4;
    info[..4].copy_from_slice(&length.to_le_bytes());
    Ok(with(sections, ".debug_info", info))
}

/// Fifty thousand units, each with the same table of abbreviations, which is long.
fn many_units() -> Result<Bytes> {
    let mut sections = dwarf(20, 1000)?;
    let mut abbreviations = section(&sections, ".debug_abbrev").to_vec();
    abbreviations.pop();
    for _ in 0..20_000 {
        abbreviations.extend([0x80, 0x01, 0x2e, 0, 0, 0]); // code 128, again and again
    }
    abbreviations.push(0);
    sections = with(sections, ".debug_abbrev", abbreviations);
    let info = section(&sections, ".debug_info").repeat(50_000);
    Ok(with(sections, ".debug_info", info))
}

/// Ranges without end: a unit's list of a million of them.
fn many_ranges() -> Result<Bytes> {
    let sections = dwarf(20, 1000)?;
    // Code 1, a unit with DW_AT_ranges as an offset and DW_AT_stmt_list.
    let abbreviations = vec![1, 0x11, 0, 0x55, 0x17, 0x10, 0x17, 0, 0, 0];
    let mut info = vec![0; 4];
    info.extend([4, 0, 0, 0, 0, 0, 4, 1]);
    info.extend([0; 8]);
    let length = info.len() as u32 - 4;
    info[..4].copy_from_slice(&length.to_le_bytes());
    let mut ranges = Vec::new();
    for begin in 0..1_000_000u32 {
        ranges.extend((begin + 2000).to_le_bytes());
        ranges.extend((begin + 2001).to_le_bytes());
    }
    ranges.extend([0; 8]);
    let sections = with(sections, ".debug_abbrev", abbreviations);
    let sections = with(sections, ".debug_info", info);
    Ok(with(sections, ".debug_ranges", ranges))
}

#[test]
fn hostile_dwarf_costs_bounded_time_and_memory() -> Result<()> {
    let text = prints_quickly("rows", many_rows()?)?;
    // What is within the budget is still found.
    assert!(text.contains("/src/demo.c:9:5"), "{text}");
    prints_quickly("inlined", many_inlined()?)?;
    prints_quickly("wide entries", wide_entries()?)?;
    prints_quickly("units", many_units()?)?;
    prints_quickly("ranges", many_ranges()?)?;
    Ok(())
}
