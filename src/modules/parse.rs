//! [`ModuleBuilder`]: from a parser's payloads to a [`Module`], validating on the way.
//!
//! Function bodies are neither validated nor translated here: each is kept with what validates it,
//! and whoever translates it does both in one pass. What layout must know of bodies beforehand
//! (which tables, globals and segments instructions change: [`Uses`]; the calls of each) is found
//! by a quick look at their operators when the module is complete, in parallel.

use crate::program::module::*;
use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;
use wasmparser::{
    CompositeInnerType, ElementKind, ExternalKind, KnownCustom, Name, Operator, Payload, TableInit,
    TypeRef, Validator,
};

/// How many bodies one task of the pre-pass looks at.
const BODIES_PER_TASK: usize = 64;

/// Builds a [`Module`] from the payloads of one core module.
pub(crate) struct ModuleBuilder<'a> {
    component_bytes: &'a [u8],
    module: Module<'a>,
}

impl<'a> ModuleBuilder<'a> {
    /// Starts a module at `range` of `component_bytes`, the bytes that the outermost parser was
    /// given (of the module itself if it is not nested in a component).
    pub(crate) fn new(component_bytes: &'a [u8], range: Range<usize>) -> Self {
        let module = Module {
            range,
            ..Module::default()
        };
        ModuleBuilder {
            component_bytes,
            module,
        }
    }

    /// Validates and records one payload of the module, its header and end included.
    ///
    /// # Errors
    /// If the payload is invalid or uses the garbage collection proposal; with its byte offset.
    pub(crate) fn payload(
        &mut self,
        payload: &Payload<'a>,
        validator: &mut Validator,
    ) -> Result<()> {
        // A body is validated later, and its validator must be asked for only once.
        if let Payload::CodeSectionEntry(body) = payload {
            let validator = validator.code_section_entry(body)?;
            self.module.bodies.push(FunctionBody {
                body: body.clone(),
                known: copy_validator(&validator),
                validator: Mutex::new(Some(validator)),
                calls: None,
                controls: 0,
            });
            return Ok(());
        }
        validator.payload(payload)?;
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    let group = group?;
                    for (offset, ty) in group.clone().into_types_and_offsets() {
                        self.function_type(&ty, offset)?;
                    }
                    let types = group.into_types().collect();
                    self.module.recursion_groups.push(types);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports_with_offsets() {
                    let (offset, import) = import?;
                    self.import(import, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.module.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone().into_iter_with_offsets() {
                    let (offset, table) = table?;
                    let init = match table.init {
                        TableInit::RefNull => None,
                        TableInit::Expr(expr) => Some(expr),
                    };
                    self.table(table.ty, init, offset)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.module.memories.push(memory?);
                }
            }
            Payload::TagSection(section) => {
                for tag in section.clone() {
                    self.module.tags.push(tag?.func_type_idx);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.clone().into_iter_with_offsets() {
                    let (offset, global) = global?;
                    self.global(global.ty, Some(global.init_expr), offset)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let kind = entity_kind(export.kind);
                    self.module.exports.push((export.name, kind, export.index));
                }
            }
            Payload::StartSection { func, .. } => self.module.start = Some(*func),
            Payload::ElementSection(section) => {
                for element in section.clone() {
                    self.module.elements.push(element_segment(element?)?);
                }
            }
            Payload::CodeSectionStart {
                unchecked_range,
                count,
                ..
            } => {
                self.module.code_section_start = usize::try_from(unchecked_range.start)?;
                // The count was checked against the function section.
                self.module.bodies.reserve(*count as usize);
            }
            Payload::DataSection(section) => {
                for data in section.clone() {
                    let data = data?;
                    self.module.data.push(DataSegment {
                        mode: match data.kind {
                            wasmparser::DataKind::Passive => SegmentMode::Passive,
                            wasmparser::DataKind::Active {
                                memory_index,
                                offset_expr,
                            } => SegmentMode::Active {
                                index: memory_index,
                                offset: offset_expr,
                            },
                        },
                        bytes: data.data,
                    });
                }
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) => self.names(names),
                _ => {
                    let custom = (section.name(), section.data());
                    self.module.custom_sections.push(custom);
                }
            },
            // Headers, ends and counts say nothing that is kept; what does not belong into a core
            // module was refused by the validator.
            _ => {}
        }
        Ok(())
    }

    /// The module, after the payload that ends it.
    ///
    /// # Errors
    /// If the range given to [`ModuleBuilder::new`] is not in the bytes.
    pub(crate) fn finish(self) -> Result<Module<'a>> {
        let mut module = self.module;
        module.bytes = self
            .component_bytes
            .get(module.range.clone())
            .with_context(|| {
                format!(
                    "the core module at {:#x}..{:#x} is truncated",
                    module.range.start, module.range.end
                )
            })?;
        module.uses = find_uses(&mut module);
        Ok(module)
    }

    fn function_type(&mut self, ty: &wasmparser::SubType, offset: u64) -> Result<()> {
        let CompositeInnerType::Func(func) = &ty.composite_type.inner else {
            bail!(
                "garbage collection types are not supported: {ty} at {}",
                at(offset)
            );
        };
        if !ty.is_final || !ty.supertype_idxs.is_empty() {
            bail!("subtypes are not supported: {ty} at {}", at(offset));
        }
        let all = |types: &[wasmparser::ValType]| -> Result<Box<[CoreType]>> {
            types.iter().map(|ty| type_at(*ty, offset)).collect()
        };
        self.module.types.push(CoreSignature {
            params: all(func.params())?,
            results: all(func.results())?,
        });
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>, offset: u64) -> Result<()> {
        let (kind, index) = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.module.functions.push(ty);
                (EntityKind::Func, &mut self.module.imported_functions)
            }
            TypeRef::Table(ty) => {
                self.table(ty, None, offset)?;
                (EntityKind::Table, &mut self.module.imported_tables)
            }
            TypeRef::Memory(ty) => {
                self.module.memories.push(ty);
                (EntityKind::Memory, &mut self.module.imported_memories)
            }
            TypeRef::Global(ty) => {
                self.global(ty, None, offset)?;
                (EntityKind::Global, &mut self.module.imported_globals)
            }
            TypeRef::Tag(ty) => {
                self.module.tags.push(ty.func_type_idx);
                (EntityKind::Tag, &mut self.module.imported_tags)
            }
        };
        self.module.imports.push(ModuleImport {
            module: import.module,
            name: import.name,
            kind,
            index: *index,
        });
        *index += 1;
        Ok(())
    }

    fn table(
        &mut self,
        ty: wasmparser::TableType,
        init: Option<wasmparser::ConstExpr<'a>>,
        offset: u64,
    ) -> Result<()> {
        let element = type_at(wasmparser::ValType::Ref(ty.element_type), offset)?;
        let CoreType::Ref(element) = element else {
            unreachable!("references have reference types");
        };
        self.module.tables.push(ModuleTable {
            ty,
            element,
            init,
            declared_at: offset,
        });
        Ok(())
    }

    fn global(
        &mut self,
        ty: wasmparser::GlobalType,
        init: Option<wasmparser::ConstExpr<'a>>,
        offset: u64,
    ) -> Result<()> {
        self.module.globals.push(ModuleGlobal {
            ty: type_at(ty.content_type, offset)?,
            declared: ty.content_type,
            mutable: ty.mutable,
            init,
        });
        Ok(())
    }

    /// Reads what is well-formed of a name section; custom sections are never errors.
    fn names(&mut self, section: wasmparser::NameSectionReader<'a>) {
        for name in section.into_iter().map_while(Result::ok) {
            match name {
                Name::Module { name, .. } => self.module.name = name.to_string(),
                Name::Function(names) => self.module.function_names.extend(
                    names
                        .map_while(Result::ok)
                        .map(|naming| (naming.index, naming.name.to_string())),
                ),
                _ => {}
            }
        }
        let names = &mut self.module.function_names;
        names.sort_by_key(|(index, _)| *index);
        names.dedup_by_key(|(index, _)| *index);
    }
}

fn at(offset: u64) -> String {
    format!("byte offset {offset:#x}")
}

fn type_at(ty: wasmparser::ValType, offset: u64) -> Result<CoreType> {
    core_type(ty).with_context(|| format!("in the definition at {}", at(offset)))
}

fn entity_kind(kind: ExternalKind) -> EntityKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => EntityKind::Func,
        ExternalKind::Table => EntityKind::Table,
        ExternalKind::Memory => EntityKind::Memory,
        ExternalKind::Global => EntityKind::Global,
        ExternalKind::Tag => EntityKind::Tag,
    }
}

fn element_segment(element: wasmparser::Element<'_>) -> Result<ElementSegment<'_>> {
    Ok(ElementSegment {
        mode: match element.kind {
            ElementKind::Passive => SegmentMode::Passive,
            ElementKind::Declared => SegmentMode::Declared,
            ElementKind::Active {
                table_index,
                offset_expr,
            } => SegmentMode::Active {
                index: table_index.unwrap_or(0),
                offset: offset_expr,
            },
        },
        items: match element.items {
            wasmparser::ElementItems::Functions(functions) => {
                ElementItems::Functions(functions.into_iter().collect::<Result<_, _>>()?)
            }
            wasmparser::ElementItems::Expressions(_, expressions) => {
                ElementItems::Expressions(expressions.into_iter().collect::<Result<_, _>>()?)
            }
        },
    })
}

/// Looks at the operators of all bodies: what the module does as a whole, and the calls of each
/// body. Validation will report a body that does not parse, with its offset; until then it may do
/// anything.
fn find_uses(module: &mut Module<'_>) -> Uses {
    let (tables, memories) = (module.tables.len(), module.memories.len());
    let (globals, data, elements) = (
        module.globals.len(),
        module.data.len(),
        module.elements.len(),
    );
    let none = || Uses {
        written_tables: vec![false; tables],
        grown_tables: vec![false; tables],
        read_tables: vec![false; tables],
        written_memories: vec![false; memories],
        grown_memories: vec![false; memories],
        written_globals: vec![false; globals],
        global_accesses: vec![0; globals],
        used_data: vec![false; data],
        used_elements: vec![false; elements],
        referenced_functions: Vec::new(),
    };
    let mut uses = module
        .bodies
        .as_mut_slice()
        .par_chunks_mut(BODIES_PER_TASK)
        .fold(none, |mut uses, bodies| {
            for body in bodies {
                let (body_of, controls) = (&body.body, &mut body.controls);
                body.calls = look_at_body(body_of, &mut uses, controls).ok();
                if body.calls.is_none() {
                    uses.assume_everything();
                }
            }
            uses
        })
        .reduce(none, merge_uses);
    uses.referenced_functions.sort_unstable();
    uses.referenced_functions.dedup();
    uses
}

impl Uses {
    /// What is not known may do whatever there is to do.
    fn assume_everything(&mut self) {
        let flags = [
            &mut self.written_tables,
            &mut self.grown_tables,
            &mut self.read_tables,
            &mut self.written_memories,
            &mut self.grown_memories,
            &mut self.written_globals,
            &mut self.used_data,
            &mut self.used_elements,
        ];
        flags.into_iter().for_each(|flags| flags.fill(true));
    }
}

/// The calls of a body; what else it does goes to `uses`.
fn look_at_body(
    body: &wasmparser::FunctionBody<'_>,
    uses: &mut Uses,
    controls: &mut u32,
) -> wasmparser::Result<Box<[Call]>> {
    // Indices are not validated yet: those out of range mark nothing.
    fn mark(flags: &mut [bool], index: u32) {
        if let Some(flag) = flags.get_mut(index as usize) {
            *flag = true;
        }
    }
    let mut calls = Vec::new();
    // What the operator before has put on the stack, if it is a constant.
    let mut constant: Option<u64> = None;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let before = constant.take();
        match operators.read()? {
            Operator::I32Const { value } => constant = Some(value.cast_unsigned().into()),
            Operator::I64Const { value } => constant = Some(value.cast_unsigned()),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                calls.push(Call::Direct {
                    function: function_index,
                });
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            }
            | Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => calls.push(Call::Indirect {
                table: table_index,
                ty: type_index,
                entry: before.map(|index| u32::try_from(index).unwrap_or(u32::MAX)),
            }),
            Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                calls.push(Call::Reference);
            }
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. } => *controls += 1,
            Operator::GlobalGet { global_index } => uses.count_global(global_index),
            Operator::GlobalSet { global_index } => {
                uses.count_global(global_index);
                mark(&mut uses.written_globals, global_index);
            }
            Operator::TableGet { table } => mark(&mut uses.read_tables, table),
            Operator::TableSet { table } | Operator::TableFill { table } => {
                mark(&mut uses.written_tables, table);
            }
            Operator::TableCopy {
                dst_table,
                src_table,
            } => {
                mark(&mut uses.written_tables, dst_table);
                mark(&mut uses.read_tables, src_table);
            }
            Operator::TableGrow { table } => {
                mark(&mut uses.written_tables, table);
                mark(&mut uses.grown_tables, table);
            }
            Operator::TableInit { elem_index, table } => {
                mark(&mut uses.written_tables, table);
                mark(&mut uses.used_elements, elem_index);
            }
            Operator::ElemDrop { elem_index } => mark(&mut uses.used_elements, elem_index),
            Operator::MemoryInit { data_index, mem } => {
                mark(&mut uses.used_data, data_index);
                mark(&mut uses.written_memories, mem);
            }
            Operator::DataDrop { data_index } => mark(&mut uses.used_data, data_index),
            Operator::MemoryCopy { dst_mem: mem, .. } | Operator::MemoryFill { mem } => {
                mark(&mut uses.written_memories, mem);
            }
            Operator::MemoryGrow { mem } => mark(&mut uses.grown_memories, mem),
            Operator::RefFunc { function_index }
                if uses.referenced_functions.last() != Some(&function_index) =>
            {
                uses.referenced_functions.push(function_index);
            }
            operator => {
                if let Some(memory) = stored_memory(&operator) {
                    mark(&mut uses.written_memories, memory);
                }
            }
        }
    }
    Ok(calls.into())
}

/// The memory that an access may write: by a store, or an atomic access of any kind.
fn stored_memory(operator: &Operator<'_>) -> Option<u32> {
    macro_rules! find {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match operator {
                $(Operator::$op { .. } => find!(@memarg $op $($($arg)*)?),)*
                _ => None,
            }
        };
        (@memarg $op:ident memarg $($lane:ident)?) => {
            match operator {
                Operator::$op { memarg, .. } if const { writes(stringify!($op)) } => Some(memarg),
                _ => None,
            }
        };
        (@memarg $op:ident $($other:ident)*) => { None };
    }
    let memarg: Option<&wasmparser::MemArg> = wasmparser::for_each_operator!(find);
    match memarg?.target {
        wasmparser::MemArgTarget::Memory(memory) => Some(memory),
        wasmparser::MemArgTarget::Array(_) => None,
    }
}

/// Whether the operator of a name may write; only those that are known to load do not.
const fn writes(operator: &str) -> bool {
    const fn has(text: &[u8], part: &[u8]) -> bool {
        let mut at = 0;
        while at + part.len() <= text.len() {
            let mut same = 0;
            while same < part.len() && text[at + same] == part[same] {
                same += 1;
            }
            if same == part.len() {
                return true;
            }
            at += 1;
        }
        false
    }
    !has(operator.as_bytes(), b"Load") || has(operator.as_bytes(), b"Atomic")
}

fn merge_uses(mut left: Uses, right: Uses) -> Uses {
    fn or(left: &mut [bool], right: &[bool]) {
        for (left, right) in left.iter_mut().zip(right) {
            *left |= right;
        }
    }
    or(&mut left.written_tables, &right.written_tables);
    or(&mut left.grown_tables, &right.grown_tables);
    or(&mut left.read_tables, &right.read_tables);
    or(&mut left.written_memories, &right.written_memories);
    or(&mut left.grown_memories, &right.grown_memories);
    or(&mut left.written_globals, &right.written_globals);
    or(&mut left.used_data, &right.used_data);
    or(&mut left.used_elements, &right.used_elements);
    for (left, right) in left.global_accesses.iter_mut().zip(right.global_accesses) {
        *left = left.saturating_add(right);
    }
    left.referenced_functions.extend(right.referenced_functions);
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use trampette_artifact::ids::DefinedFunc;

    /// Parses a lone module, or the modules directly inside a component.
    fn parse(bytes: &[u8]) -> Result<Vec<Module<'_>>> {
        let mut validator = Validator::new();
        let mut modules = Vec::new();
        let mut current = None;
        for payload in wasmparser::Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::Version {
                    encoding: wasmparser::Encoding::Module,
                    ..
                } if current.is_none() => {
                    current = Some(ModuleBuilder::new(bytes, 0..bytes.len()));
                }
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    validator.payload(&payload)?;
                    let range = unchecked_range.start as usize..unchecked_range.end as usize;
                    current = Some(ModuleBuilder::new(bytes, range));
                    continue;
                }
                _ => {}
            }
            let Some(mut builder) = current.take() else {
                validator.payload(&payload)?;
                continue;
            };
            builder.payload(&payload, &mut validator)?;
            match payload {
                Payload::End(_) => modules.push(builder.finish()?),
                _ => current = Some(builder),
            }
        }
        Ok(modules)
    }

    fn parse_text(text: &str) -> Result<Vec<Module<'static>>> {
        // Tests are short-lived.
        parse(Box::leak(wat::parse_str(text)?.into_boxed_slice()))
    }

    const EVERYTHING: &str = r#"(module $m
        (type $t (func (param i32) (result i64)))
        (import "a" "f" (func $f (type $t)))
        (import "a" "g" (global $g i32))
        (import "b" "m" (memory 1))
        (import "b" "t" (table 1 funcref))
        (table $own 2 8 externref)
        (table $third 2 funcref)
        (global $h (mut i64) (i64.const 7))
        (global $unused (mut i64) (i64.const 7))
        (func $own_function (param i32)
            (global.set $h (i64.const 1))
            (drop (table.grow $own (ref.null extern) (i32.const 1)))
            (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 0))
            (table.init $third $declared (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (ref.func $f)))
        (start $start)
        (func $start)
        (elem (table 0) (i32.const 0) func $f $own_function)
        (elem $declared declare func $f)
        (data (i32.const 4) "active")
        (data $passive "passive")
        (data $other "other")
        (export "x" (func $own_function))
        (export "m" (memory 0)))"#;

    #[test]
    fn a_body_that_does_not_parse_may_do_anything() -> Result<()> {
        let mut bytes = wat::parse_str(
            "(module (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0))
                (data \"x\") (elem func) (func i32.const 1 drop))",
        )?;
        let body = [0x41, 0x01, 0x1a];
        let at = bytes.windows(3).position(|window| window == body);
        // No operator has this number.
        bytes[at.unwrap()] = 0xff;
        let modules = parse(Box::leak(bytes.into_boxed_slice()))?;
        let module = &modules[0];
        let uses = &module.uses;
        assert!(module.bodies.iter().all(|body| body.calls.is_none()));
        for (flags, what) in [
            (&uses.written_tables, "written tables"),
            (&uses.grown_tables, "grown tables"),
            (&uses.read_tables, "read tables"),
            (&uses.written_memories, "written memories"),
            (&uses.grown_memories, "grown memories"),
            (&uses.written_globals, "written globals"),
            (&uses.used_data, "data"),
            (&uses.used_elements, "elements"),
        ] {
            assert_eq!(flags[..], [true], "{what}");
        }
        Ok(())
    }

    #[test]
    fn records_a_module() -> Result<()> {
        let modules = parse_text(EVERYTHING)?;
        let m = &modules[0];
        assert_eq!(m.name, "m");
        assert_eq!(m.range, 0..m.bytes.len());
        assert_eq!((m.functions.len(), m.imported_functions), (3, 1));
        assert_eq!((m.tables.len(), m.imported_tables), (3, 1));
        assert_eq!((m.memories.len(), m.imported_memories), (1, 1));
        assert_eq!((m.globals.len(), m.imported_globals), (3, 1));
        let imports = m.imports.iter().map(|i| (i.name, i.kind, i.index));
        assert_eq!(
            imports.collect::<Vec<_>>(),
            [
                ("f", EntityKind::Func, 0),
                ("g", EntityKind::Global, 0),
                ("m", EntityKind::Memory, 0),
                ("t", EntityKind::Table, 0),
            ]
        );
        assert_eq!(m.tables[1].element, RefKind::Extern);
        assert_eq!(m.signature(0).results[..], [CoreType::I64]);
        assert_eq!(m.function_name(1), Some("own_function"));
        assert_eq!(m.start, Some(2));
        assert_eq!(m.bodies.len(), 2);
        assert_eq!(m.exports[1], ("m", EntityKind::Memory, 0));
        assert_eq!(m.uses.written_tables, [false, true, true]);
        assert_eq!(m.uses.grown_tables, [false, true, false]);
        assert_eq!(m.uses.written_globals, [false, true, false]);
        assert_eq!(m.uses.global_accesses, [0, 1, 0]);
        assert_eq!(m.uses.used_data, [false, true, false]);
        assert_eq!(m.uses.used_elements, [false, true]);
        assert_eq!(m.uses.referenced_functions, [0]);
        let body = m.bodies[DefinedFunc(0)]
            .validator
            .lock()
            .unwrap()
            .take()
            .unwrap();
        body.into_validator(Default::default())
            .validate(&m.bodies[DefinedFunc(0)].body)?;
        Ok(())
    }

    #[test]
    fn offsets_are_relative_to_the_component() -> Result<()> {
        let lone = parse_text(EVERYTHING)?;
        let nested = parse_text(&format!("(component (core module) (core {}", {
            format!("{})", &EVERYTHING[1..])
        }))?;
        let (lone, nested) = (&lone[0], &nested[1]);
        assert!(nested.range.start > 8);
        assert_eq!(nested.bytes, lone.bytes);
        assert_eq!(
            nested.code_section_start - nested.range.start,
            lone.code_section_start
        );
        // Contents start with the number of bodies.
        assert_eq!(lone.bytes[lone.code_section_start], 2);
        let start = |module: &Module<'_>| module.bodies[DefinedFunc(0)].body.range().start as usize;
        assert_eq!(start(nested) - nested.range.start, start(lone));
        Ok(())
    }

    #[test]
    fn a_body_that_does_not_parse_is_left_to_validation() -> Result<()> {
        // The body is `global.set` with a truncated index.
        let bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\x24\x80";
        let modules = parse(bytes)?;
        assert_eq!(modules[0].bodies.len(), 1);
        let body = modules[0].bodies[DefinedFunc(0)]
            .validator
            .lock()
            .unwrap()
            .take();
        let mut body = body.unwrap().into_validator(Default::default());
        let error = body
            .validate(&modules[0].bodies[DefinedFunc(0)].body)
            .unwrap_err();
        assert!(error.offset() > 8);
        Ok(())
    }

    #[test]
    fn garbage_collection_is_refused_with_its_offset() {
        for text in [
            "(module (type (struct)))",
            "(module (type (sub (func))))",
            "(module (table 1 anyref))",
            "(module (import \"\" \"\" (global i31ref)))",
            "(module (func (param eqref)))",
        ] {
            let error = format!("{:#}", parse_text(text).unwrap_err());
            assert!(error.contains("not supported"), "{error}");
            assert!(error.contains("byte offset 0x"), "{error}");
        }
    }
}
