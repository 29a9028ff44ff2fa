//! Small programs for tests, made by hand from core modules in the text format.

use crate::modules::parse::ModuleBuilder;
use crate::program::module::{EntityKind, Module};
use crate::program::*;
use std::collections::HashMap;
use trampette_artifact::ids::*;

/// Builds a program of core instances that import from each other by name.
#[derive(Default)]
pub(crate) struct TestProgram {
    pub program: Program<'static>,
    exports: HashMap<(String, String), CoreItem>,
}

impl TestProgram {
    /// Instantiates each module under its name, in order.
    pub(crate) fn new(modules: &[(&str, &str)]) -> Self {
        Self::with_functions(&[], modules)
    }

    /// The same with functions that modules import as `"" "name"`.
    pub(crate) fn with_functions(functions: &[(&str, CoreFunc)], modules: &[(&str, &str)]) -> Self {
        let mut test = TestProgram::default();
        for (name, func) in functions {
            let key = (String::new(), name.to_string());
            test.exports.insert(key, CoreItem::Func(*func));
        }
        test.program
            .component_instances
            .push(ComponentInstance::default());
        for (name, text) in modules {
            test.instantiate(name, text);
        }
        test
    }

    fn instantiate(&mut self, name: &str, text: &str) {
        let module = parse_module(text);
        let program = &mut self.program;
        let imports = module.imports.iter().map(|import| {
            let key = (import.module.to_string(), import.name.to_string());
            self.exports[&key]
        });
        let imports: Vec<CoreItem> = imports.collect();
        let module = program.modules.push(module);
        let id = program.instantiate(module, ComponentInstanceId(0), imports);
        let module = &program.modules[module];
        let instance = &program.core_instances[id];
        for (export, kind, index) in &module.exports {
            let item = resolve(module, instance, id, *kind, *index);
            self.exports
                .insert((name.to_string(), export.to_string()), item);
        }
    }
}

fn resolve(
    module: &Module<'_>,
    instance: &CoreInstance,
    id: CoreInstanceId,
    kind: EntityKind,
    index: u32,
) -> CoreItem {
    let mut imports = module.imports.iter().zip(&instance.imports);
    if let Some((_, item)) = imports.find(|(i, _)| i.kind == kind && i.index == index) {
        return *item;
    }
    let at = |imported: u32| (index - imported) as usize;
    match kind {
        EntityKind::Func => CoreItem::Func(CoreFunc::Module(
            id,
            DefinedFunc(index - module.imported_functions),
        )),
        EntityKind::Memory => CoreItem::Memory(instance.memories[at(module.imported_memories)]),
        EntityKind::Table => CoreItem::Table(instance.tables[at(module.imported_tables)]),
        EntityKind::Global => CoreItem::Global(instance.globals[at(module.imported_globals)]),
        EntityKind::Tag => CoreItem::Tag(instance.tags[at(module.imported_tags)]),
    }
}

/// Parses and validates a lone module; its bytes live as long as the test.
pub(crate) fn parse_module(text: &str) -> Module<'static> {
    let bytes = Box::leak(wat::parse_str(text).expect("valid text").into_boxed_slice());
    let mut validator = wasmparser::Validator::new();
    let mut builder = ModuleBuilder::new(bytes, 0..bytes.len());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        builder
            .payload(&payload.expect("well-formed"), &mut validator)
            .expect("valid");
    }
    builder.finish().expect("complete")
}
