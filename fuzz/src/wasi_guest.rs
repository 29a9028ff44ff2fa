//! Guests whose exports are the functions of WASI that they import: a core module for preview 1, a
//! component, made of the WIT texts, for 0.2.

use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;
use trampette::CompileOptions;
use trampette_runtime::Component;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, FlatTypes, WasmType};
use wit_parser::{Function, FunctionKind, Handle, Resolve, Type, TypeDefKind, WorldId, WorldItem};

/// What a number of a call means, so that some calls get further than the first check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// A descriptor of preview 1.
    Descriptor,
    /// A handle of a resource of that name.
    Handle(String),
    /// Where a path, or other bytes, are; how long they are follows.
    Text,
    /// The length of what precedes.
    Length,
    /// Where a list of pointers and lengths is, or of subscriptions; the next is how many.
    List,
    /// How many there are.
    Count,
    /// Where a result is stored.
    Out,
    /// Any `i32`.
    Word,
    /// Any `i64`.
    Long,
}

/// Where a call's result tells of a new handle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gives {
    /// Nothing of interest.
    Nothing,
    /// The result is one.
    Handle(String),
    /// At the place for results is a byte, 0, and 4 bytes after it the handle.
    Fallible(String),
    /// At the place for results is where a list begins with one.
    First(String),
}

/// A function of a guest.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the export.
    pub export: String,
    /// The name of the function.
    pub name: String,
    /// Its parameters.
    pub params: Vec<Meaning>,
    /// Whether there is a result.
    pub returns: bool,
    /// What it gives.
    pub gives: Gives,
}

/// Functions of preview 1: `d` is a descriptor, `t` text and its length, `v` a list and its count,
/// `o` a place for a result, `i` and `l` other numbers. All give an `i32`.
const PREVIEW1: &[(&str, &str)] = &[
    ("args_get", "oo"),
    ("args_sizes_get", "oo"),
    ("clock_res_get", "io"),
    ("clock_time_get", "ilo"),
    ("environ_get", "oo"),
    ("environ_sizes_get", "oo"),
    ("fd_advise", "dlli"),
    ("fd_allocate", "dll"),
    ("fd_close", "d"),
    ("fd_datasync", "d"),
    ("fd_fdstat_get", "do"),
    ("fd_fdstat_set_flags", "di"),
    ("fd_fdstat_set_rights", "dll"),
    ("fd_filestat_get", "do"),
    ("fd_filestat_set_size", "dl"),
    ("fd_filestat_set_times", "dlli"),
    ("fd_pread", "dvlo"),
    ("fd_prestat_dir_name", "dt"),
    ("fd_prestat_get", "do"),
    ("fd_pwrite", "dvlo"),
    ("fd_read", "dvo"),
    ("fd_readdir", "dtlo"),
    ("fd_renumber", "dd"),
    ("fd_seek", "dlio"),
    ("fd_sync", "d"),
    ("fd_tell", "do"),
    ("fd_write", "dvo"),
    ("path_create_directory", "dt"),
    ("path_filestat_get", "dito"),
    ("path_filestat_set_times", "ditlli"),
    ("path_link", "ditdt"),
    ("path_open", "ditillio"),
    ("path_open", "ditillio"),
    ("path_open", "ditillio"),
    ("path_readlink", "dtto"),
    ("path_remove_directory", "dt"),
    ("path_rename", "dtdt"),
    ("path_symlink", "tdt"),
    ("path_unlink_file", "dt"),
    ("poll_oneoff", "oovo"),
    ("proc_raise", "i"),
    ("random_get", "t"),
    ("sched_yield", ""),
    ("sock_accept", "dio"),
    ("sock_recv", "dvioo"),
    ("sock_send", "dvio"),
    ("sock_shutdown", "di"),
];

/// A guest of preview 1: its calls, and the core module.
///
/// # Errors
/// If it is not compiled.
pub fn preview1(version: &str) -> Result<(Vec<Call>, Component)> {
    let mut text = "(module ".to_string();
    let mut calls: Vec<Call> = Vec::new();
    for (name, spelling) in PREVIEW1 {
        let mut params = Vec::new();
        for letter in spelling.chars() {
            params.extend_from_slice(match letter {
                'd' => &[Meaning::Descriptor],
                't' => &[Meaning::Text, Meaning::Length],
                'v' => &[Meaning::List, Meaning::Count],
                'o' => &[Meaning::Out],
                'l' => &[Meaning::Long],
                _ => &[Meaning::Word],
            });
        }
        if *name == "poll_oneoff" {
            params = vec![Meaning::List, Meaning::Out, Meaning::Count, Meaning::Out];
        }
        if !calls.iter().any(|call| call.name == *name) {
            let types = params.iter().map(|param| match param {
                Meaning::Long => " i64",
                _ => " i32",
            });
            let types: String = types.collect();
            write!(
                text,
                r#"(import "{version}" "{name}" (func ${name} (param{types}) (result i32)))"#
            )?;
        }
        calls.push(Call {
            export: name.to_string(),
            name: name.to_string(),
            params,
            returns: true,
            gives: Gives::Nothing,
        });
    }
    let mut exported: Vec<&str> = PREVIEW1.iter().map(|(name, _)| *name).collect();
    exported.dedup();
    for name in exported {
        write!(text, r#"(export "{name}" (func ${name}))"#)?;
    }
    text += r#"(memory (export "memory") 4))"#;
    let wasm = wat::parse_str(&text)?;
    let artifact = trampette::compile_module(&wasm, &CompileOptions::default())?;
    Ok((calls, artifact.load()?))
}

/// The resource that a type is a handle of.
fn handle(resolve: &Resolve, ty: &Type) -> Option<String> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
            let mut resource = *resource;
            while let TypeDefKind::Type(Type::Id(other)) = &resolve.types[resource].kind {
                resource = *other;
            }
            resolve.types[resource].name.clone()
        }
        TypeDefKind::Type(other) => handle(resolve, other),
        _ => None,
    }
}

fn gives(resolve: &Resolve, result: &Type) -> Gives {
    if let Some(resource) = handle(resolve, result) {
        return Gives::Handle(resource);
    }
    let Type::Id(id) = result else {
        return Gives::Nothing;
    };
    match &resolve.types[*id].kind {
        TypeDefKind::Result(result) => {
            let ok = result.ok.as_ref().and_then(|ok| handle(resolve, ok));
            ok.map_or(Gives::Nothing, Gives::Fallible)
        }
        TypeDefKind::List(Type::Id(element)) => match &resolve.types[*element].kind {
            TypeDefKind::Tuple(tuple) => {
                let first = tuple.types.first().and_then(|ty| handle(resolve, ty));
                first.map_or(Gives::Nothing, Gives::First)
            }
            _ => Gives::Nothing,
        },
        _ => Gives::Nothing,
    }
}

fn meanings(resolve: &Resolve, func: &Function) -> Vec<Meaning> {
    let mut all = Vec::new();
    for param in &func.params {
        if let Some(resource) = handle(resolve, &param.ty) {
            all.push(Meaning::Handle(resource));
            continue;
        }
        let kind = match param.ty {
            Type::Id(id) => Some(&resolve.types[id].kind),
            _ => None,
        };
        match (&param.ty, kind) {
            (Type::String, _) | (_, Some(TypeDefKind::List(Type::U8))) => {
                all.extend([Meaning::Text, Meaning::Length]);
            }
            (_, Some(TypeDefKind::List(_))) => all.extend([Meaning::List, Meaning::Count]),
            (ty, _) => {
                let mut storage = [WasmType::I32; 17];
                let mut flat = FlatTypes::new(&mut storage);
                resolve.push_flat(ty, &mut flat);
                all.extend(flat.to_vec().into_iter().map(meaning));
            }
        }
    }
    all
}

fn meaning(ty: WasmType) -> Meaning {
    match ty {
        WasmType::I64 | WasmType::PointerOrI64 => Meaning::Long,
        _ => Meaning::Word,
    }
}

/// A world of the texts of WASI, with more exports.
fn world(exports: &str) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wasi/wit");
    resolve.push_dir(folder)?;
    let text =
        format!("package fuzz:guest; world guest {{ include wasi:cli/imports@0.2.12; {exports} }}");
    let package = resolve.push_str("guest.wit", &text)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    Ok((resolve, world))
}

/// A guest of 0.2: its calls, and the component, which also exports `poke` and `peek` for its
/// memory and `realloc` for where results go.
///
/// # Errors
/// If it is not compiled.
pub fn component() -> Result<(Vec<Call>, Component)> {
    let (resolve, probe) = world("")?;
    let mut calls = Vec::new();
    let mut exports = String::new();
    let mut imports = String::new();
    let mut body = String::new();
    let mut add = |module: &str, name: &str, mut params: Vec<Meaning>, stored, returns, gives| {
        let number = calls.len();
        if stored {
            params.push(Meaning::Out);
        }
        let (mut core, mut wit, mut gets) = (String::new(), Vec::new(), String::new());
        for (index, param) in params.iter().enumerate() {
            let (short, long) = match param {
                Meaning::Long => (" i64", "s64"),
                _ => (" i32", "s32"),
            };
            core += short;
            wit.push(format!("a{index}: {long}"));
            gets += &format!(" local.get {index}");
        }
        let (core_result, result) = match returns {
            true => ("(result i32)", " -> s32"),
            false => ("", ""),
        };
        exports += &format!("export c{number}: func({}){result};", wit.join(", "));
        imports += &format!(
            r#"(import "{module}" "{name}" (func $i{number} (param{core}) {core_result}))"#
        );
        body += &format!(
            r#"(func (export "c{number}") (param{core}) {core_result}{gets} call $i{number})"#
        );
        calls.push(Call {
            export: format!("c{number}"),
            name: format!("{module} {name}"),
            params,
            returns,
            gives,
        });
    };
    for (key, import) in &resolve.worlds[probe].imports {
        let WorldItem::Interface { id, .. } = import else {
            continue;
        };
        let module = resolve.name_world_key(key);
        for func in resolve.interfaces[*id].functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, func);
            // The few with 64-bit results are clocks; those of floats there are none.
            let wide = signature
                .results
                .first()
                .is_some_and(|ty| *ty != WasmType::I32);
            if wide || signature.indirect_params || !is_sync(func) {
                continue;
            }
            let params = meanings(&resolve, func);
            let gives = func
                .result
                .as_ref()
                .map_or(Gives::Nothing, |ty| gives(&resolve, ty));
            let returns = !signature.results.is_empty();
            add(
                &module,
                &func.name,
                params,
                signature.retptr,
                returns,
                gives,
            );
        }
        for (name, ty) in &resolve.interfaces[*id].types {
            if matches!(resolve.types[*ty].kind, TypeDefKind::Resource) {
                let drop = format!("[resource-drop]{name}");
                let params = vec![Meaning::Handle(name.clone())];
                add(&module, &drop, params, false, false, Gives::Nothing);
            }
        }
    }
    exports += "export poke: func(at: s32, value: s64); export peek: func(at: s32) -> s32;
                export realloc: func(at: s32);";
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const 0x20000))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $next
                (global.set $next (i32.add (global.get $next)
                    (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16)))))
            (func (export "realloc") (param i32) (global.set $next (local.get 0)))
            (func (export "poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
            (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
            {body})"#
    );
    let mut wasm = wat::parse_str(&text)?;
    let (resolve, guest) = world(&exports)?;
    embed_component_metadata(&mut wasm, &resolve, guest, StringEncoding::UTF8, false)?;
    let component = ComponentEncoder::default().module(&wasm)?.encode()?;
    let artifact = trampette::compile_component(&component, &CompileOptions::default());
    Ok((calls, artifact.context("the guest of WASI 0.2")?.load()?))
}

fn is_sync(func: &Function) -> bool {
    !matches!(
        func.kind,
        FunctionKind::AsyncFreestanding
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::AsyncStatic(_)
    )
}
