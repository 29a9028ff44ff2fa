//! A layout as text, for `--emit plan`.

use super::functions::{id_at, reference_bits};
use super::{ConstValue, GlobalPlace, Layout, SettledTable, StartupAction};
use crate::program::module::CoreSignature;
use crate::program::{CoreFunc, Program};
use std::fmt::Write;
use trampette_artifact::demangle::shown;
use trampette_artifact::ids::*;
use trampette_artifact::metadata::MemoryPlace;
use trampette_artifact::tasks::CallShape;

impl Layout {
    /// Slabs, places in contexts, how tasks are called, ids of functions, image pieces, pairs of a
    /// write and a read, start-up actions, one a line.
    pub(crate) fn print(&self, program: &Program<'_>) -> String {
        let mut out = String::new();
        self.write(program, &mut out)
            .expect("writing to a string does not fail");
        out
    }

    fn write(&self, program: &Program<'_>, out: &mut String) -> std::fmt::Result {
        writeln!(out, "root: {} bytes", self.root.size())?;
        for (id, slab) in self.slabs.iter_with_ids() {
            write!(out, "{id}: context of {} bytes", slab.context_size)?;
            match slab.memory {
                Some(memory) => writeln!(out, ", {memory}")?,
                None => writeln!(out, ", no memory")?,
            }
            for (offset, bytes) in &slab.image {
                let sign = if *offset < 0 { "-" } else { "" };
                let (distance, length) = (offset.unsigned_abs(), bytes.len());
                writeln!(out, "  image at {sign}{distance:#x}: {length} bytes")?;
            }
        }
        for (id, unit) in program.core_instances.ids().zip(&self.units) {
            let name = &program.modules[unit.module].name;
            writeln!(out, "{id}: {} `{name}` in {}", unit.module, unit.slab)?;
        }
        for (id, memory) in self.memories.iter_with_ids() {
            write!(out, "{id}: {} pages", memory.minimum)?;
            if let Some(maximum) = memory.maximum {
                write!(out, " of at most {maximum}")?;
            }
            match memory.place {
                MemoryPlace::Slab(slab) => write!(out, " in {slab}")?,
                MemoryPlace::Shared(id) => write!(out, ", {id}")?,
            }
            let facts = self.facts.memories[id];
            let grows = if facts.grows { "" } else { ", fixed" };
            let written = if facts.written { "" } else { ", never written" };
            writeln!(out, "{grows}{written}")?;
        }
        for (id, table) in self.tables.iter_with_ids() {
            write!(out, "{id}: {} entries", table.minimum)?;
            let facts = self.facts.tables[id];
            if !facts.is_constant() {
                write!(out, " in {} at {}", table.slab, table.offset)?;
            }
            match (table.growable, self.settled_table(id)) {
                (true, _) => writeln!(out, ", room for {}", table.capacity)?,
                (false, None) => writeln!(out, ", fixed")?,
                (false, Some(table)) => writeln!(out, ", {}", sealed_text(table))?,
            }
        }
        for (id, place) in self.globals.iter_with_ids() {
            match place {
                GlobalPlace::Constant(value) => writeln!(out, "{id}: {}", text(value))?,
                GlobalPlace::Context { slab, offset, ty } => {
                    writeln!(out, "{id}: {ty:?} in {slab} at {}", offset.0)?;
                }
            }
        }
        for id in program.tasks.ids() {
            if let Some((lift, _)) = program.task(id) {
                let shape = match self.effects.shape(&program.types, lift) {
                    CallShape::Plain => "plain",
                    CallShape::InPlace => "in place",
                    CallShape::OnStack => "on a stack of its own",
                };
                writeln!(out, "{id}: called {shape}")?;
            }
        }
        for (index, signature) in self.signatures.iter().enumerate() {
            let id = SignatureId::new(index + 1);
            writeln!(out, "{id}: {}", signature_text(signature))?;
        }
        for (index, func) in self.functions.iter().enumerate() {
            let id = id_at(index);
            let signature = self.function_signatures[index];
            let only = match index < self.escaping {
                true => "",
                false => ", only in sealed tables",
            };
            writeln!(
                out,
                "{id}: {}: {signature}{only}",
                function_text(program, *func)
            )?;
        }
        for (id, bytes) in self.data_segments.iter_with_ids() {
            writeln!(out, "{id}: {} bytes", bytes.len())?;
        }
        for (id, items) in self.element_segments.iter_with_ids() {
            writeln!(out, "{id}: {} entries", items.len())?;
        }
        for (id, pair) in self.copy_pairs.iter_with_ids() {
            let side = |copy: Option<CopyId>| match copy {
                Some(copy) => copy.to_string(),
                None => "the host".to_string(),
            };
            let (write, read) = (side(pair.write), side(pair.read));
            writeln!(
                out,
                "{id}: elements move from {write} to {read} by code of their own"
            )?;
        }
        for (step, actions) in self.startup.iter().enumerate() {
            for action in actions {
                let action = action_text(program, action);
                match self.startup.len() {
                    1 => writeln!(out, "startup: {action}")?,
                    _ => writeln!(out, "startup of step {step}: {action}")?,
                }
            }
        }
        Ok(())
    }
}

fn text(value: &ConstValue) -> String {
    match value {
        ConstValue::I32(value) => format!("i32 {value}"),
        ConstValue::I64(value) => format!("i64 {value}"),
        ConstValue::F32(bits) => format!("f32 {:?}", f32::from_bits(*bits)),
        ConstValue::F64(bits) => format!("f64 {:?}", f64::from_bits(*bits)),
        ConstValue::V128(bytes) => format!("v128 {:#034x}", u128::from_le_bytes(*bytes)),
        ConstValue::Ref(0) => "null".to_string(),
        ConstValue::Ref(id) => format!("ref {id}"),
    }
}

fn sealed_text(table: &SettledTable) -> String {
    let kind = if table.late { "sealed late" } else { "sealed" };
    let mut text = kind.to_string();
    if let Some(signature) = table.signature {
        text += &format!(", all {signature}");
    }
    if table.has_null {
        text += ", some null";
    }
    let entries = table.entries.iter();
    let ids: Vec<String> = entries.map(|id| reference_bits(*id).to_string()).collect();
    text + ": " + &ids.join(" ")
}

fn signature_text(signature: &CoreSignature) -> String {
    let list = |types: &[_]| {
        let types: Vec<_> = types.iter().map(|ty| format!("{ty:?}")).collect();
        types.join(", ")
    };
    let (params, results) = (list(&signature.params), list(&signature.results));
    format!("({params}) -> ({results})")
}

fn function_text(program: &Program<'_>, func: CoreFunc) -> String {
    match func {
        CoreFunc::Module(instance, index) => {
            let module = program.core_instances.get(instance);
            let module = module.and_then(|i| program.modules.get(i.module));
            let name = module.and_then(|m| m.function_name(m.index_of(index)));
            match name {
                Some(name) => format!("{instance} function {} `{}`", index.0, shown(name)),
                None => format!("{instance} function {}", index.0),
            }
        }
        CoreFunc::Trampoline(id) => match program.trampolines.get(id) {
            Some(trampoline) => format!("{id} {}", trampoline.kind.name()),
            None => id.to_string(),
        },
        CoreFunc::Intrinsic(intrinsic) => format!("intrinsic {}", intrinsic.name()),
        CoreFunc::Host(id) => format!("host {id}"),
    }
}

fn action_text(program: &Program<'_>, action: &StartupAction) -> String {
    match action {
        StartupAction::CopyData {
            segment,
            length,
            memory,
            offset,
        } => format!("copy {length} bytes of {segment} to {memory} at {offset:?}"),
        StartupAction::CopyElements {
            segment,
            length,
            table,
            offset,
        } => format!("copy {length} entries of {segment} to {table} at {offset:?}"),
        StartupAction::CopyManyData { count, memory, .. } => {
            format!("copy {count} data segments to {memory}")
        }
        StartupAction::CopyManyElements { count, table, .. } => {
            format!("copy {count} element segments to {table}")
        }
        StartupAction::FillTable { table, value } => format!("fill {table} with {value}"),
        StartupAction::InitGlobal { global, value } => format!("set {global} to {value:?}"),
        StartupAction::Call(func) => format!("call {}", function_text(program, *func)),
        StartupAction::Trap(code) => format!("trap: {}", code.text(0)),
    }
}
