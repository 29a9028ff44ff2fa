//! Components whose core module has DWARF, made here.

// Not every test uses all of it.
#![allow(dead_code)]

use anyhow::Result;
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections,
};
use gimli::{DwAt, Encoding, Format, LineEncoding, LittleEndian, SectionId};
use wasm_encoder::{ComponentSectionId, Encode, RawSection};

/// Names and contents of sections.
pub type Bytes = Vec<(&'static str, Vec<u8>)>;

/// The sections of a unit whose code is line 7, column 3 of `/src/demo.c` up to `middle`, and line
/// 9, column 5 from there to `length`.
pub fn dwarf(middle: u64, length: u64) -> Result<Bytes> {
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

/// A component whose only export is the `run` of a module of two functions, with the sections that
/// `dwarf` makes, given the address of the second function.
pub fn component_of(module: &str, dwarf: impl FnOnce(u64) -> Result<Bytes>) -> Result<Vec<u8>> {
    let mut module = wat::parse_str(module)?;
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
    for (name, contents) in dwarf(starts[1] - code)? {
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
