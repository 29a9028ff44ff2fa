//! Backtraces show source lines when a core module has DWARF. The module is made here: a trap in a
//! function, and a line table that says where all its code comes from.

use anyhow::Result;
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections,
};
use gimli::{DwAt, Encoding, Format, LineEncoding, LittleEndian, SectionId};
use trampette::CompileOptions;
use trampette::options::Inline;
use trampette_runtime::{Linker, Store, Trap};
use wasm_encoder::{ComponentSectionId, Encode, RawSection};

/// The sections of a unit whose code is line 7, column 3 of `/src/demo.c` up to `middle`, and line
/// 9, column 5 from there to `length`.
fn dwarf(middle: u64, length: u64) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 4,
    };
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut lines = LineProgram::new(
        encoding,
        LineEncoding::default(),
        text("/src"),
        None,
        text("demo.c"),
        None,
    );
    let directory = lines.default_directory();
    let file = lines.add_file(text("demo.c"), directory, None);
    lines.begin_sequence(Some(Address::Constant(0)));
    let row = lines.row();
    (row.file, row.line, row.column) = (file, 7, 3);
    lines.generate_row();
    let row = lines.row();
    (row.address_offset, row.file, row.line, row.column) = (middle, file, 9, 5);
    lines.generate_row();
    lines.end_sequence(length);

    let mut unit = DwarfUnit::new(encoding);
    unit.unit.line_program = lines;
    let root = unit.unit.root();
    let entry = unit.unit.get_mut(root);
    let mut set = |name: DwAt, value| entry.set(name, value);
    set(
        gimli::DW_AT_name,
        AttributeValue::String(b"demo.c".to_vec()),
    );
    set(
        gimli::DW_AT_comp_dir,
        AttributeValue::String(b"/src".to_vec()),
    );
    set(
        gimli::DW_AT_low_pc,
        AttributeValue::Address(Address::Constant(0)),
    );
    set(gimli::DW_AT_high_pc, AttributeValue::Udata(length));
    set(gimli::DW_AT_stmt_list, AttributeValue::LineProgramRef);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections)?;
    let mut all = Vec::new();
    sections.for_each(|id: SectionId, data| -> Result<()> {
        if !data.slice().is_empty() {
            all.push((id.name(), data.slice().to_vec()));
        }
        Ok(())
    })?;
    Ok(all)
}

/// A component whose only export traps, with DWARF in its core module.
fn component() -> Result<Vec<u8>> {
    let mut module = wat::parse_str(
        r#"(module $demo
            (func $fail (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
            (func (export "run") (drop (call $fail (i32.const 0)))))"#,
    )?;
    // DWARF counts from the start of the code section's contents; the second function starts there.
    let mut starts = Vec::new();
    let mut code = 0;
    for payload in wasmparser::Parser::new(0).parse_all(&module) {
        match payload? {
            wasmparser::Payload::CodeSectionStart {
                unchecked_range, ..
            } => code = unchecked_range.start,
            wasmparser::Payload::CodeSectionEntry(body) => starts.push(body.range().start),
            _ => {}
        }
    }
    for (name, contents) in dwarf(starts[1] - code, 1000)? {
        let mut body = Vec::new();
        name.encode(&mut body);
        body.extend(contents);
        module.push(0);
        body.encode(&mut module);
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&RawSection {
        id: ComponentSectionId::CoreModule.into(),
        data: &module,
    });
    let rest = wat::parse_str(
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    )?;
    // Everything of this component but its (other) module.
    let mut nested_end = 0;
    for payload in wasmparser::Parser::new(0).parse_all(&rest) {
        let payload = payload?;
        if let wasmparser::Payload::ModuleSection {
            unchecked_range, ..
        } = &payload
        {
            nested_end = unchecked_range.end as usize;
            continue;
        }
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let (start, end) = (range.start as usize, range.end as usize);
        if start >= nested_end && id != 0 {
            let data = &rest[start..end];
            component.section(&RawSection { id, data });
        }
    }
    Ok(component.finish())
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
