//! The listing of a [`Program`], for `--emit plan`.

use super::module::Module;
use super::*;
use std::fmt::{self, Write};
use trampette_artifact::canonical::PointerWidth;
use trampette_artifact::demangle::shown;
use trampette_artifact::metadata::{ExportItem, Resource};

impl Program<'_> {
    /// The plan as readable text: types, imports, modules, instances, steps, trampolines with their
    /// options, tasks, exports.
    pub(crate) fn print(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write_plan(&mut out);
        out
    }

    fn write_plan(&self, out: &mut String) -> fmt::Result {
        self.write_types(out)?;
        self.write_imports(out)?;
        self.write_instances(out)?;
        self.write_trampolines(out)?;
        self.write_tasks(out)?;
        self.write_exports(out)
    }

    fn write_types(&self, out: &mut String) -> fmt::Result {
        section(out, "types", self.types.len())?;
        for (index, _) in self.types.iter().enumerate() {
            let id = trampette_artifact::ids::TypeId::new(index);
            let ty = self
                .types
                .display(trampette_artifact::types::Type::Defined(id));
            writeln!(out, "  {id} = {}", shortened(&ty))?;
        }
        section(out, "resources", self.resources.len())?;
        for (index, resource) in self.resources.iter().enumerate() {
            match &resource.info {
                Resource::Imported { path } => {
                    writeln!(out, "  resource{index} imported {}", path.join("#"))?;
                }
                Resource::Defined { instance, name, .. } => {
                    write!(out, "  resource{index} `{name}` defined by {instance}")?;
                    if let Some(destructor) = resource.destructor {
                        write!(out, ", destructor {}", self.func_text(destructor))?;
                    }
                    writeln!(out)?;
                }
            }
        }
        Ok(())
    }

    fn write_imports(&self, out: &mut String) -> fmt::Result {
        section(out, "imports", self.imports.len())?;
        for (index, import) in self.imports.iter().enumerate() {
            let unused = if import.used { "" } else { " (unused)" };
            writeln!(
                out,
                "  import{index} {}: {}{unused}",
                import.path.join("#"),
                shortened(&self.types.display_func(&import.ty))
            )?;
        }
        Ok(())
    }

    fn write_instances(&self, out: &mut String) -> fmt::Result {
        section(out, "modules", self.modules.len())?;
        for (index, module) in self.modules.iter().enumerate() {
            writeln!(out, "  module{index} {}", module_text(module))?;
        }
        section(out, "instances", self.component_instances.len())?;
        for (index, instance) in self.component_instances.iter().enumerate() {
            writeln!(out, "  instance{index} {}", instance.name)?;
        }
        section(out, "steps", self.steps.len())?;
        for Step::InstantiateCore(id) in &self.steps {
            let Some(instance) = self.core_instances.get(*id) else {
                continue;
            };
            writeln!(
                out,
                "  {id} = instantiate {} in {}",
                instance.module, instance.component_instance
            )?;
            let module = self.modules.get(instance.module);
            let imports = module.map_or(&[][..], |module| &module.imports);
            for (import, item) in imports.iter().zip(&instance.imports) {
                let item = self.item_text(*item);
                writeln!(out, "    {} {} = {item}", import.module, import.name)?;
            }
            let defined = [
                list(&instance.memories),
                list(&instance.tables),
                list(&instance.globals),
                list(&instance.tags),
            ];
            let defined: Vec<&str> = defined.iter().map(String::as_str).collect();
            let defined: Vec<&str> = defined
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect();
            if !defined.is_empty() {
                writeln!(out, "    defines {}", defined.join(", "))?;
            }
            if let Some(start) = module.and_then(|module| module.start) {
                writeln!(out, "    starts function {start}")?;
            }
        }
        Ok(())
    }

    fn write_trampolines(&self, out: &mut String) -> fmt::Result {
        section(out, "trampolines", self.trampolines.len())?;
        for (index, trampoline) in self.trampolines.iter().enumerate() {
            let Trampoline { kind, signature } = trampoline;
            writeln!(out, "  trampoline{index} {} {signature}", kind.name())?;
            match kind {
                TrampolineKind::LowerImport {
                    import,
                    ty,
                    options,
                } => {
                    let path = self.imports.get(*import);
                    let path = path.map_or_else(String::new, |import| import.path.join("#"));
                    let ty = self.types.display_func(ty);
                    writeln!(out, "    {import} {path}: {}", shortened(&ty))?;
                    writeln!(out, "    caller {}", self.options_text(options))?;
                }
                TrampolineKind::Adapter { lift, ty, options } => {
                    let ty = self.types.display_func(ty);
                    writeln!(out, "    `{}`: {}", lift.name, shortened(&ty))?;
                    let callee = self.func_text(lift.func);
                    let lifted = self.options_text(&lift.options);
                    writeln!(out, "    callee {callee} {lifted}")?;
                    writeln!(out, "    caller {}", self.options_text(options))?;
                }
                TrampolineKind::Concurrent { built_in, options } => {
                    if let Some(text) = self.built_in_text(*built_in) {
                        writeln!(out, "    {text}")?;
                    }
                    writeln!(out, "    caller {}", self.options_text(options))?;
                }
                TrampolineKind::ErrorContext { options, .. } => {
                    writeln!(out, "    caller {}", self.options_text(options))?;
                }
                TrampolineKind::ResourceNew { resource, instance }
                | TrampolineKind::ResourceRep { resource, instance }
                | TrampolineKind::ResourceDrop { resource, instance } => {
                    writeln!(out, "    {resource} in {instance}")?;
                }
            }
        }
        Ok(())
    }

    /// Each lifted function that may run as a task with one of its callers.
    fn write_tasks(&self, out: &mut String) -> fmt::Result {
        section(out, "tasks", self.tasks.len())?;
        for (id, caller) in self.tasks.iter_with_ids() {
            let caller = match caller {
                TaskCaller::Export(export) => format!("the host as {export}"),
                TaskCaller::Adapter(trampoline) => trampoline.to_string(),
            };
            let callee = self.task(id).map(|(lift, _)| self.func_text(lift.func));
            let callee = callee.unwrap_or_default();
            writeln!(out, "  {id} {callee} called by {caller}")?;
        }
        Ok(())
    }

    fn write_exports(&self, out: &mut String) -> fmt::Result {
        section(out, "exports", self.exports.len())?;
        for export in &self.exports {
            let path = export.path.join("#");
            match &export.item {
                ExportItem::Function {
                    id,
                    ty,
                    post_return,
                } => {
                    let ty = self.types.display_func(ty);
                    writeln!(out, "  {id} {path}: {}", shortened(&ty))?;
                    if let Some(lift) = self.lifts.get(*id) {
                        let func = self.func_text(lift.func);
                        let options = self.options_text(&lift.options);
                        writeln!(out, "    lifts {func} {options}")?;
                    }
                    if *post_return {
                        writeln!(out, "    ends with post-return")?;
                    }
                }
                ExportItem::HostFunc(import) => writeln!(out, "  {path}: {import}")?,
                ExportItem::Resource(resource) => writeln!(out, "  {path}: {resource}")?,
                ExportItem::Type(ty) => {
                    let ty = self.types.display(*ty);
                    writeln!(out, "  {path}: type {}", shortened(&ty))?;
                }
                ExportItem::Instance => writeln!(out, "  {path}: instance")?,
                ExportItem::CoreModule(module) => writeln!(out, "  {path}: core {module}")?,
                ExportItem::Other(what) => writeln!(out, "  {path}: {what}")?,
            }
        }
        Ok(())
    }

    fn item_text(&self, item: CoreItem) -> String {
        match item {
            CoreItem::Func(func) => self.func_text(func),
            CoreItem::Memory(id) => id.to_string(),
            CoreItem::Table(id) => id.to_string(),
            CoreItem::Global(id) => id.to_string(),
            CoreItem::Tag(id) => id.to_string(),
        }
    }

    fn func_text(&self, func: CoreFunc) -> String {
        match func {
            CoreFunc::Module(instance, index) => {
                let module = self
                    .core_instances
                    .get(instance)
                    .and_then(|instance| self.modules.get(instance.module));
                let name = module.and_then(|m| m.function_name(m.index_of(index)));
                match name {
                    Some(name) => format!("{instance}.{index} `{}`", shown(name)),
                    None => format!("{instance}.{index}"),
                }
            }
            CoreFunc::Trampoline(id) => id.to_string(),
            CoreFunc::Intrinsic(intrinsic) => format!("intrinsic {}", intrinsic.name()),
            CoreFunc::Host(id) => id.to_string(),
        }
    }

    /// What a built-in of the asynchronous part does, where its kind does not say it.
    fn built_in_text(&self, built_in: ConcurrentBuiltIn) -> Option<String> {
        let ends = |ty| {
            let text = self.types.display(Type::Defined(ty));
            shortened(&text)
        };
        Some(match built_in {
            ConcurrentBuiltIn::TaskReturn { result, class } => {
                let result = result.map(|ty| self.types.display(ty));
                let result = result.map_or("nothing".to_string(), |text| shortened(&text));
                format!("returns {result}, return class {class}")
            }
            ConcurrentBuiltIn::ContextGet { slot, width }
            | ConcurrentBuiltIn::ContextSet { slot, width } => {
                format!("slot {slot}, {} bits", 8 * width.bytes())
            }
            ConcurrentBuiltIn::SubtaskCancel { is_async: true } => "async".to_string(),
            ConcurrentBuiltIn::EndsNew(ty) | ConcurrentBuiltIn::EndsForward(ty) => ends(ty),
            ConcurrentBuiltIn::EndCopy(id) => {
                let copy = self.copies.get_index(id.index())?;
                let verb = match copy.end {
                    EndKind::Reader => "reads",
                    EndKind::Writer => "writes",
                };
                format!("{id} {verb} {}", ends(copy.ty))
            }
            ConcurrentBuiltIn::EndOperate(ty, operation) => {
                format!("{} of {}", end_operation_text(operation), ends(ty))
            }
            ConcurrentBuiltIn::ThreadNew { table, argument } => {
                let bits = 8 * argument.bytes();
                format!("function in {table}, argument of {bits} bits")
            }
            ConcurrentBuiltIn::ThreadOperate(operation) => {
                thread_operation_text(operation).to_string()
            }
            _ => return None,
        })
    }

    fn options_text(&self, options: &CanonicalOptions) -> String {
        let mut text = format!("in {}", options.instance);
        text.push_str(match options.encoding {
            StringEncoding::Utf8 => "",
            StringEncoding::Utf16 => ", utf16",
            StringEncoding::Latin1OrUtf16 => ", latin1+utf16",
        });
        if let Some((memory, width)) = options.memory {
            let _ = write!(text, ", {memory}");
            if width == PointerWidth::P64 {
                text.push_str(" (64 bits)");
            }
        }
        if let Some(realloc) = options.realloc {
            let _ = write!(text, ", realloc {}", self.func_text(realloc));
        }
        if let Some(post_return) = options.post_return {
            let _ = write!(text, ", post-return {}", self.func_text(post_return));
        }
        match options.waiting {
            Waiting::Blocks => {}
            Waiting::Async => text.push_str(", async"),
            Waiting::Callback(callback) => {
                let _ = write!(text, ", async, callback {}", self.func_text(callback));
            }
        }
        text
    }
}

fn end_operation_text(operation: EndOperation) -> &'static str {
    match operation {
        EndOperation::CancelRead => "cancel-read",
        EndOperation::CancelReadAsync => "async cancel-read",
        EndOperation::CancelWrite => "cancel-write",
        EndOperation::CancelWriteAsync => "async cancel-write",
        EndOperation::DropReadable => "drop-readable",
        EndOperation::DropWritable => "drop-writable",
    }
}

fn thread_operation_text(operation: ThreadOperation) -> &'static str {
    match operation {
        ThreadOperation::ResumeLater => "resume-later",
        ThreadOperation::Suspend => "suspend",
        ThreadOperation::SuspendThenResume => "suspend-then-resume",
        ThreadOperation::YieldThenResume => "yield-then-resume",
        ThreadOperation::SuspendThenPromote => "suspend-then-promote",
        ThreadOperation::YieldThenPromote => "yield-then-promote",
    }
}

fn section(out: &mut String, name: &str, count: usize) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    if !out.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{name}: {count}")
}

fn module_text(module: &Module<'_>) -> String {
    let name = match module.name.as_str() {
        "" => "(unnamed)".to_string(),
        name => format!("`{name}`"),
    };
    format!(
        "{name} at {:#x}..{:#x}: {} functions, {} imports, {} exports",
        module.range.start,
        module.range.end,
        module.bodies.len(),
        module.imports.len(),
        module.exports.len()
    )
}

/// A range of consecutive ids, as text; empty if there are none.
fn list<T: fmt::Display>(ids: &[T]) -> String {
    match ids {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}..{last}"),
    }
}

/// A text of at most a few lines: types can be very long when they are spelt out.
fn shortened(text: &str) -> String {
    const MOST: usize = 240;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
