//! Whether a component fits a world of WIT, and what is missing or extra if not.
//!
//! A component fits if it imports nothing that the world does not import, exports everything that
//! the world exports, and their types agree. Interface names match in compatible versions. The
//! check happens before anything is compiled, on the component's type alone; values never depend on
//! it.

use crate::options::{Wit, World};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wit_component::DecodedWasm;
use wit_parser::{
    Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId,
    WorldItem, WorldKey,
};

fn read(world: &World) -> Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::new();
    resolve.all_features = true;
    let read = match &world.wit {
        Wit::Path(path) => resolve.push_path(path).map(|(package, _)| package),
        Wit::Text(text) => resolve.push_str("world.wit", text),
    };
    let package = match read {
        Ok(package) => package,
        Err(error) => bail!("cannot read the WIT: {}", resolve.render_error(&error)),
    };
    let world = resolve.select_world(&[package], world.name.as_deref())?;
    Ok((resolve, world))
}

/// What a component imports and exports, in WIT.
pub(crate) struct Interface {
    resolve: Resolve,
    world: WorldId,
}

impl Interface {
    /// Reads it from the component's types.
    ///
    /// # Errors
    /// If some of it is nothing that WIT can say.
    pub(crate) fn decode(wasm: &[u8]) -> Result<Interface> {
        match wit_component::decode(wasm)? {
            DecodedWasm::Component(resolve, world) => {
                check_length(&resolve, wasm.len())?;
                Ok(Interface { resolve, world })
            }
            DecodedWasm::WitPackage(..) => {
                bail!("the bytes are a package of WIT, not a component")
            }
        }
    }
}

/// So many parts of types may be written out however short the component is.
const PARTS: u64 = 1 << 16;
/// And so many more for each of its bytes.
const PARTS_PER_BYTE: u64 = 4;

/// Refuses to write out types that are much longer than the component: types that name each other
/// twice double with each step.
fn check_length(resolve: &Resolve, component: usize) -> Result<()> {
    let mut lengths: HashMap<TypeId, u64> = HashMap::new();
    let functions = resolve
        .interfaces
        .iter()
        .flat_map(|(_, interface)| interface.functions.values());
    let worlds = resolve
        .worlds
        .iter()
        .flat_map(|(_, world)| world.imports.values().chain(world.exports.values()));
    let functions = functions.chain(worlds.filter_map(|item| match item {
        WorldItem::Function(function) => Some(function),
        _ => None,
    }));
    let mut all = 0_u64;
    for function in functions {
        let types = function
            .params
            .iter()
            .map(|param| &param.ty)
            .chain(&function.result);
        for ty in types {
            all = all.saturating_add(written_length(resolve, ty, &mut lengths));
        }
    }
    let most = PARTS.saturating_add(PARTS_PER_BYTE.saturating_mul(component as u64));
    if all > most {
        bail!("its types have {all} parts when they are written out, more than {most}");
    }
    Ok(())
}

/// How many parts a type has when all names but those of resources are written out. Looks at each
/// type once; the validator bounds how deep types are.
fn written_length(resolve: &Resolve, ty: &Type, lengths: &mut HashMap<TypeId, u64>) -> u64 {
    let Type::Id(id) = ty else { return 1 };
    if let Some(length) = lengths.get(id) {
        return *length;
    }
    let parts: Vec<&Type> = match &resolve.types[*id].kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .filter_map(|case| case.ty.as_ref())
            .collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().collect(),
        TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).collect(),
        TypeDefKind::Map(key, value) => vec![key, value],
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => vec![ty],
        TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().collect(),
        TypeDefKind::Enum(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Handle(_)
        | TypeDefKind::Resource
        | TypeDefKind::Unknown => Vec::new(),
    };
    let lengths_of_parts = parts
        .into_iter()
        .map(|ty| written_length(resolve, ty, lengths));
    let length = lengths_of_parts.fold(1, u64::saturating_add);
    lengths.insert(*id, length);
    length
}

/// Checks that a component, whose interface is `found`, fits a world.
///
/// # Errors
/// If the WIT cannot be read or has no such world, or if the component does not fit; the message
/// has a line for everything that is missing, extra or of another type.
pub(crate) fn check(wasm: &[u8], found: &Interface, world: &World) -> Result<()> {
    let (resolve, id) = read(world)?;
    let expected = Side::new(&resolve, id);
    let sides = Side::new(&found.resolve, found.world);
    let mut problems = Vec::new();
    // What the component needs must be there; then what the world promises must be.
    let allowed = |item: &Item| {
        let name = item.name.first().map_or("", String::as_str);
        world
            .allowed_imports
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let (needed, extra): (Vec<_>, Vec<_>) = sides
        .imports
        .into_iter()
        .partition(|(key, item)| expected.imports.contains_key(key) || !allowed(item));
    let needed: Items = needed.into_iter().collect();
    compare(Direction::Import, &needed, &expected.imports, &mut problems);
    compare(
        Direction::Export,
        &expected.exports,
        &sides.exports,
        &mut problems,
    );
    let name = world_name(&resolve, id);
    if !problems.is_empty() {
        let mut text = format!("the component does not fit the world `{name}`:");
        for problem in problems {
            write!(text, "\n  {problem}")?;
        }
        bail!(text);
    }
    // Identity of resources across interfaces is checked by validating an instantiation, in a world
    // that has what was allowed beside it.
    let (resolve, id) = match extra.is_empty() {
        true => (resolve, id),
        false => match with_imports(&resolve, id, found, allowed) {
            Some(extended) => extended,
            // Names and types of all items were compared.
            None => return Ok(()),
        },
    };
    wit_component::targets(&resolve, id, wasm, true)
        .with_context(|| format!("the component does not fit the world `{name}`"))
}

/// A world with the interfaces that a component imports and that are allowed beside it; `None` if
/// the two disagree on a package, or something else than an interface is imported.
fn with_imports(
    resolve: &Resolve,
    world: WorldId,
    found: &Interface,
    allowed: impl Fn(&Item) -> bool,
) -> Option<(Resolve, WorldId)> {
    let mut merged = resolve.clone();
    let remap = merged.merge(found.resolve.clone()).ok()?;
    for (key, item) in &found.resolve.worlds[found.world].imports {
        let name = vec![found.resolve.name_world_key(key)];
        let has = items(&merged, merged.worlds[world].imports.iter());
        let canonical = found.resolve.name_canonicalized_world_key(key);
        let as_item = Item {
            kind: "interface",
            name,
            ty: None,
        };
        if has.contains_key(&vec![canonical]) || !allowed(&as_item) {
            continue;
        }
        let mut item = item.clone();
        let (WorldKey::Interface(_), WorldItem::Interface { id, .. }) = (key, &mut item) else {
            return None;
        };
        *id = remap.map_interface(*id, Default::default()).ok()?;
        let key = WorldKey::Interface(*id);
        merged.worlds[world].imports.insert(key, item);
    }
    Some((merged, world))
}

fn world_name(resolve: &Resolve, id: WorldId) -> String {
    let world = &resolve.worlds[id];
    match world.package {
        Some(package) => resolve.id_of_name(package, &world.name),
        None => world.name.clone(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Import,
    Export,
}

/// What one world imports and exports: the items by canonical name, flat.
struct Side {
    imports: Items,
    exports: Items,
}

/// Items by the name that they are compared by.
type Items = BTreeMap<Vec<String>, Item>;

/// An item as messages spell it.
struct Item {
    kind: &'static str,
    /// The name with its version.
    name: Vec<String>,
    /// The type; `None` if there is nothing to compare.
    ty: Option<String>,
}

impl Side {
    fn new(resolve: &Resolve, id: WorldId) -> Side {
        let world = &resolve.worlds[id];
        Side {
            imports: items(resolve, world.imports.iter()),
            exports: items(resolve, world.exports.iter()),
        }
    }
}

fn items<'w>(
    resolve: &Resolve,
    world: impl Iterator<Item = (&'w WorldKey, &'w WorldItem)>,
) -> Items {
    let mut items = Items::new();
    for (key, item) in world {
        let canonical = resolve.name_canonicalized_world_key(key);
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Function(function) => {
                let item = function_item(resolve, vec![name], function);
                items.insert(vec![canonical], item);
            }
            WorldItem::Type { id, .. } => {
                if let Some(item) = resource_item(resolve, vec![name], *id) {
                    items.insert(vec![canonical], item);
                }
            }
            WorldItem::Interface { id, .. } => {
                interface_items(resolve, *id, &canonical, &name, &mut items);
            }
        }
    }
    items
}

fn interface_items(
    resolve: &Resolve,
    id: InterfaceId,
    canonical: &str,
    name: &str,
    items: &mut Items,
) {
    let interface = &resolve.interfaces[id];
    let path = |item: &str| vec![name.to_string(), item.to_string()];
    let key = |item: &str| vec![canonical.to_string(), item.to_string()];
    let before = items.len();
    for (item, function) in &interface.functions {
        items.insert(key(item), function_item(resolve, path(item), function));
    }
    for (item, ty) in &interface.types {
        if let Some(resource) = resource_item(resolve, path(item), *ty) {
            items.insert(key(item), resource);
        }
    }
    // An interface of nothing but types asks for nothing; types are compared where they are used.
    if items.len() > before {
        let item = Item {
            kind: "interface",
            name: vec![name.to_string()],
            ty: None,
        };
        items.insert(vec![canonical.to_string()], item);
    }
}

fn function_item(resolve: &Resolve, name: Vec<String>, function: &Function) -> Item {
    Item {
        kind: "function",
        name,
        ty: Some(function_type(resolve, function)),
    }
}

/// An item for a type that is a resource, and no alias of one.
fn resource_item(resolve: &Resolve, name: Vec<String>, id: TypeId) -> Option<Item> {
    matches!(resolve.types[id].kind, TypeDefKind::Resource).then_some(Item {
        kind: "resource",
        name,
        ty: None,
    })
}

/// Notes what `needed` has and `given` does not, or with another type.
fn compare(direction: Direction, needed: &Items, given: &Items, problems: &mut Vec<String>) {
    let word = match direction {
        Direction::Import => "import",
        Direction::Export => "export",
    };
    for (key, item) in needed {
        let parent_is_absent = key.len() > 1 && !given.contains_key(&key[..1]);
        if parent_is_absent {
            // Said once, of the interface.
            continue;
        }
        let (kind, name) = (item.kind, item.name.join(" / "));
        let Some(other) = given.get(key) else {
            problems.push(match direction {
                Direction::Import => format!("extra import: {kind} `{name}`"),
                Direction::Export => format!("missing export: {kind} `{name}`"),
            });
            continue;
        };
        // `expected` is the world's, whichever side needs it.
        let (expected, found) = match direction {
            Direction::Import => (other, item),
            Direction::Export => (item, other),
        };
        if expected.kind != found.kind {
            let (expected, found) = (expected.kind, found.kind);
            problems.push(format!(
                "{word} `{name}`: expected a {expected}, found a {found}"
            ));
        } else if let (Some(expected), Some(found)) = (&expected.ty, &found.ty)
            && expected != found
        {
            problems.push(format!(
                "{word} `{name}`: expected `{expected}`, found `{found}`"
            ));
        }
    }
}

/// A function's type with all names of types but resources' written out, so that equal types are
/// equal texts.
fn function_type(resolve: &Resolve, function: &Function) -> String {
    let start = match function.kind.is_async() {
        true => "async func",
        false => "func",
    };
    let params = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, type_text(resolve, &param.ty)));
    let params = params.collect::<Vec<_>>().join(", ");
    match &function.result {
        Some(ty) => format!("{start}({params}) -> {}", type_text(resolve, ty)),
        None => format!("{start}({params})"),
    }
}

fn type_text(resolve: &Resolve, ty: &Type) -> String {
    let text = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => return defined_text(resolve, *id),
    };
    text.to_string()
}

fn defined_text(resolve: &Resolve, id: TypeId) -> String {
    let one = |ty: &Type| type_text(resolve, ty);
    let optional = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_string(), one);
    let list = |items: Vec<String>| items.join(", ");
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| format!("{}: {}", field.name, one(&field.ty));
            let fields = record.fields.iter().map(field).collect();
            format!("record {{ {} }}", list(fields))
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, one(ty)),
                None => case.name.clone(),
            };
            format!(
                "variant {{ {} }}",
                list(variant.cases.iter().map(case).collect())
            )
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter().map(|case| case.name.clone());
            format!("enum {{ {} }}", list(cases.collect()))
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter().map(|flag| flag.name.clone());
            format!("flags {{ {} }}", list(flags.collect()))
        }
        TypeDefKind::Tuple(tuple) => {
            format!("tuple<{}>", list(tuple.types.iter().map(one).collect()))
        }
        TypeDefKind::Option(ty) => format!("option<{}>", one(ty)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_string(),
            (Some(ok), None) => format!("result<{}>", one(ok)),
            (ok, err) => format!("result<{}, {}>", optional(ok), optional(err)),
        },
        TypeDefKind::List(element) => format!("list<{}>", one(element)),
        TypeDefKind::FixedLengthList(element, length) => {
            format!("list<{}, {length}>", one(element))
        }
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", one(key), one(value)),
        TypeDefKind::Handle(Handle::Own(id)) => resource_text(resolve, *id),
        TypeDefKind::Handle(Handle::Borrow(id)) => {
            format!("borrow<{}>", resource_text(resolve, *id))
        }
        TypeDefKind::Future(ty) => format!("future<{}>", optional(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", optional(ty)),
        TypeDefKind::Type(ty) => one(ty),
        TypeDefKind::Resource => resource_text(resolve, id),
        TypeDefKind::Unknown => "_".to_string(),
    }
}

/// A resource's own name, whatever it is called where it is used.
fn resource_text(resolve: &Resolve, mut id: TypeId) -> String {
    while let TypeDefKind::Type(Type::Id(next)) = resolve.types[id].kind {
        id = next;
    }
    resolve.types[id].name.clone().unwrap_or_default()
}

/// The world that a component implements, as WIT, or `None` if WIT cannot say it. `interface` is
/// what was decoded of it already.
///
/// It is for listings only: a component that the printer cannot cope with is compiled all the same,
/// also if the printer panics. (What the panic hook says of that is the host program's to choose.)
pub(crate) fn for_listings(wasm: &[u8], interface: Option<Interface>) -> Option<String> {
    let work = || describe(interface.map_or_else(|| Interface::decode(wasm), Ok)?);
    let described = catch_unwind(AssertUnwindSafe(work));
    described.ok()?.ok()
}

/// The world as WIT; an error if it has imports or exports that WIT cannot express.
fn describe(interface: Interface) -> Result<String> {
    let Interface { mut resolve, world } = interface;
    let package = resolve.worlds[world]
        .package
        .context("the world is in no package")?;
    check_uses(&resolve)?;
    // Names of the package and of the world are made up when decoding.
    let name = &mut resolve.packages[package].name;
    if name.namespace == "root" {
        name.name = "component".to_string();
    }
    let others: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != package)
        .collect();
    let mut printer = wit_component::WitPrinter::default();
    printer.print(&resolve, package, &others)?;
    Ok(printer.output.to_string())
}

/// WIT can use a type of another interface only by that interface's name; the printer panics if it
/// has none.
fn check_uses(resolve: &Resolve) -> Result<()> {
    for (_, ty) in &resolve.types {
        let TypeDefKind::Type(Type::Id(used)) = ty.kind else {
            continue;
        };
        let owner = resolve.types[used].owner;
        if let TypeOwner::Interface(interface) = owner
            && owner != ty.owner
            && resolve.interfaces[interface].name.is_none()
        {
            let name = ty.name.as_deref().unwrap_or_default();
            bail!("the type `{name}` is of an interface that WIT has no name for");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_parser::abi::{AbiVariant, WasmType};

    const WIT: &str = "
        package test:w@1.2.0;
        interface log {
            resource file { write: func(text: string); }
            record entry { level: u32, text: string }
            open: func(name: string) -> file;
            note: func(e: entry);
        }
        interface api { run: func(a: list<u32>) -> u32; stop: func(); }
        world plugin { import log; export api; export main: func() -> u32; }
    ";

    fn world(wit: &str) -> World {
        World {
            wit: Wit::Text(wit.to_string()),
            name: Some("plugin".to_string()),
            allowed_imports: Vec::new(),
        }
    }

    fn check_component(wasm: &[u8], world: &World) -> Result<()> {
        check(wasm, &Interface::decode(wasm)?, world)
    }

    /// A component of a world in WIT, whose functions trap.
    fn component(wit: &str) -> Vec<u8> {
        let (resolve, world) = read(&world(wit)).unwrap();
        let mut module = wat::parse_str(core_module(&resolve, world)).unwrap();
        let encoding = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)
            .unwrap();
        let mut encoder = wit_component::ComponentEncoder::default();
        encoder.module(&module).unwrap();
        encoder.encode().unwrap()
    }

    /// A core module that imports and exports every function of a world.
    fn core_module(resolve: &Resolve, world: WorldId) -> String {
        let (mut imports, mut exports) = (String::new(), String::new());
        let world = &resolve.worlds[world];
        each_function(resolve, world.imports.iter(), |interface, function| {
            let ty = core_type(resolve, AbiVariant::GuestImport, function);
            let module = interface.unwrap_or("$root");
            let name = &function.name;
            writeln!(imports, "(import {module:?} {name:?} (func {ty}))").unwrap();
        });
        each_function(resolve, world.exports.iter(), |interface, function| {
            let ty = core_type(resolve, AbiVariant::GuestExport, function);
            let start = interface.map_or(String::new(), |name| format!("{name}#"));
            let name = format!("{start}{}", function.name);
            writeln!(exports, "(func (export {name:?}) {ty} unreachable)").unwrap();
        });
        format!(
            "(module {imports} (memory (export \"memory\") 1)
                (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
                {exports})"
        )
    }

    fn each_function<'w>(
        resolve: &Resolve,
        items: impl Iterator<Item = (&'w WorldKey, &'w WorldItem)>,
        mut emit: impl FnMut(Option<&str>, &Function),
    ) {
        for (key, item) in items {
            match item {
                WorldItem::Function(function) => emit(None, function),
                WorldItem::Interface { id, .. } => {
                    let name = resolve.name_world_key(key);
                    let functions = resolve.interfaces[*id].functions.values();
                    functions.for_each(|function| emit(Some(&name), function));
                }
                WorldItem::Type { .. } => {}
            }
        }
    }

    fn core_type(resolve: &Resolve, variant: AbiVariant, function: &Function) -> String {
        let signature = resolve.wasm_signature(variant, function);
        let types = |types: &[WasmType]| {
            let names = types.iter().map(|ty| match ty {
                WasmType::I64 | WasmType::PointerOrI64 => "i64",
                WasmType::F32 => "f32",
                WasmType::F64 => "f64",
                WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
            });
            names.collect::<Vec<_>>().join(" ")
        };
        let (params, results) = (types(&signature.params), types(&signature.results));
        format!("(param {params}) (result {results})")
    }

    fn problems(wit: &str) -> String {
        match check_component(&component(wit), &world(WIT)) {
            Ok(()) => "fits".to_string(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_component_of_the_world_fits() {
        assert_eq!(problems(WIT), "fits");
        // Fewer imports, more exports, and a compatible version are fine.
        let other = WIT
            .replace("1.2.0", "1.9.1")
            .replace("note: func(e: entry);", "")
            .replace("export main", "export more: func(); export main");
        assert_eq!(problems(&other), "fits");
    }

    #[test]
    fn what_is_missing_or_extra_is_named() {
        let other = WIT
            .replace("note:", "add: func(); note:")
            .replace("import log", "import log; import beep: func()")
            .replace("stop: func();", "")
            .replace("export main: func() -> u32;", "");
        assert_eq!(
            problems(&other),
            "the component does not fit the world `test:w/plugin@1.2.0`:\
             \n  extra import: function `beep`\
             \n  extra import: function `test:w/log@1.2.0 / add`\
             \n  missing export: function `main`\
             \n  missing export: function `test:w/api@1.2.0 / stop`"
        );
        let other = WIT.replace("1.2.0", "2.0.0");
        assert_eq!(
            problems(&other),
            "the component does not fit the world `test:w/plugin@1.2.0`:\
             \n  extra import: interface `test:w/log@2.0.0`\
             \n  missing export: interface `test:w/api@1.2.0`"
        );
    }

    #[test]
    fn imports_beside_the_world_are_allowed_by_name() {
        let other = "interface place { resource out; }
            interface other { use place.{out}; to: func() -> out; }";
        let extra = WIT
            .replace("interface api", &format!("{other}\ninterface api"))
            .replace("import log;", "import log; import other;");
        let mut allowing = world(WIT);
        allowing.allowed_imports = vec!["test:w/place".into(), "test:w/oth".into()];
        let wasm = component(&extra);
        check_component(&wasm, &allowing).unwrap();
        allowing.allowed_imports.pop();
        let error = check_component(&wasm, &allowing).unwrap_err().to_string();
        assert!(
            error.ends_with("\n  extra import: interface `test:w/other@1.2.0`"),
            "{error}"
        );
        // What the world has must still fit.
        allowing.allowed_imports = vec![String::new()];
        let wasm = component(&extra.replace("level: u32", "level: u8"));
        let error = check_component(&wasm, &allowing).unwrap_err().to_string();
        assert!(
            error.contains("import `test:w/log@1.2.0 / note`"),
            "{error}"
        );
    }

    #[test]
    fn other_types_are_shown() {
        let other = WIT
            .replace("level: u32", "level: u8")
            .replace("a: list<u32>", "a: list<u64>")
            .replace("main: func() -> u32", "main: func() -> u64");
        assert_eq!(
            problems(&other),
            "the component does not fit the world `test:w/plugin@1.2.0`:\
             \n  import `test:w/log@1.2.0 / note`: expected `func(e: record { level: u32, text: \
             string })`, found `func(e: record { level: u8, text: string })`\
             \n  export `main`: expected `func() -> u32`, found `func() -> u64`\
             \n  export `test:w/api@1.2.0 / run`: expected `func(a: list<u32>) -> u32`, found \
             `func(a: list<u64>) -> u32`"
        );
    }

    #[test]
    fn worlds_that_do_not_exist_are_refused() {
        let wasm = component(WIT);
        let mut missing = world(WIT);
        missing.name = Some("other".to_string());
        let error = check_component(&wasm, &missing).unwrap_err();
        assert!(format!("{error:#}").contains("`other`"), "{error:#}");
        let error = check_component(&wasm, &world("package a:b; world {")).unwrap_err();
        assert!(format!("{error:#}").contains("world.wit:1"), "{error:#}");
        let path = World {
            wit: Wit::Path("no/such/folder".into()),
            name: None,
            allowed_imports: Vec::new(),
        };
        let error = check_component(&wasm, &path).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/folder"), "{error:#}");
    }

    #[test]
    fn a_component_describes_its_world() {
        let text = describe(Interface::decode(&component(WIT)).unwrap()).unwrap();
        for line in [
            "import test:w/log@1.2.0;",
            "export test:w/api@1.2.0;",
            "export main: func() -> u32;",
            "run: func(a: list<u32>) -> u32;",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
