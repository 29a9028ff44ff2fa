//! [`World`]: what a component imports and exports, for who wants to know without running it.
//!
//! The metadata has what running needs: structure, and ids. Names of imported types are in a
//! section of their own, decoded here and nowhere else; those of exported types are exports. A type
//! is one however many names it has, so a name stands for it only where its interface gives it one;
//! elsewhere it has the first name that any interface gives it. Types that WIT lets one write
//! without a name (lists, tuples and so on) are always written out.

use crate::load::component::Component;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use trampette_artifact::ids::{ResourceId, TypeId};
use trampette_artifact::metadata::{ExportItem, Metadata};
use trampette_artifact::spelling::{Names, Spelling};
use trampette_artifact::text::escaped;
use trampette_artifact::types::{DefinedType, FuncType, Type};
use trampette_artifact::world::{ImportedKind, Imports};

/// What a component imports and exports, with the names of its types ([`Component::world`]).
///
/// ```
/// # fn show(component: &trampette_runtime::Component) {
/// use trampette_runtime::WorldItemKind;
///
/// let world = component.world();
/// for item in world.exports() {
///     // `geometry:shapes/area@1.0.0 / measure: func(of: borrow<shape>, scale: point) -> f64`
///     println!("{} / {item}", item.instances().join(" / "));
///     if let WorldItemKind::Func(func) = item.kind() {
///         for (name, ty) in func.params() {
///             println!("  {name} is {ty}, that is {}", ty.definition());
///         }
///     }
/// }
/// # }
/// ```
pub struct World<'c> {
    metadata: &'c Metadata,
    imports: Vec<Entry<'c>>,
    exports: Vec<Entry<'c>>,
    /// Names that an instance, or the outermost level, gives to types.
    scopes: Vec<HashMap<TypeId, &'c str>>,
    /// The first name of each type.
    first: HashMap<TypeId, &'c str>,
}

struct Entry<'c> {
    path: Vec<&'c str>,
    kind: EntryKind<'c>,
    /// What it is in.
    scope: usize,
}

#[derive(Clone, Copy)]
enum EntryKind<'c> {
    Func(&'c FuncType),
    Resource,
    Type(Type),
    Instance,
    CoreModule,
    Other(&'c str),
}

/// Whether items of one kind are in a component: outermost levels are scopes too.
const IMPORTS: usize = 0;
const EXPORTS: usize = 1;

impl<'c> World<'c> {
    /// Reads the section of imports, which may be missing: functions are known without it.
    pub(crate) fn new(metadata: &'c Metadata, section: &'c [u8]) -> World<'c> {
        let mut world = World {
            metadata,
            imports: Vec::new(),
            exports: Vec::new(),
            scopes: vec![HashMap::new(), HashMap::new()],
            first: HashMap::new(),
        };
        match Imports::decode(section) {
            Ok(imports) => world.read_imports(imports),
            Err(_) => {
                for import in &metadata.imports {
                    world.imports.push(Entry {
                        path: import.path.iter().map(String::as_str).collect(),
                        kind: EntryKind::Func(&import.ty),
                        scope: IMPORTS,
                    });
                }
            }
        }
        let mut scopes = vec![EXPORTS];
        for export in &metadata.exports {
            let kind = match &export.item {
                ExportItem::Function { ty, .. } => EntryKind::Func(ty),
                ExportItem::HostFunc(id) => match metadata.imports.get(*id) {
                    Some(import) => EntryKind::Func(&import.ty),
                    None => continue,
                },
                ExportItem::Resource(_) => EntryKind::Resource,
                ExportItem::Type(ty) => EntryKind::Type(*ty),
                ExportItem::Instance => EntryKind::Instance,
                ExportItem::CoreModule(_) => EntryKind::CoreModule,
                ExportItem::Other(what) => EntryKind::Other(what),
            };
            let path = export.path.iter().map(String::as_str).collect();
            let entry = world.entry(path, kind, &mut scopes);
            world.exports.push(entry);
        }
        world
    }

    fn read_imports(&mut self, imports: Imports<'c>) {
        let (mut scopes, mut path) = (vec![IMPORTS], Vec::new());
        for item in imports.items {
            let Cow::Borrowed(name) = item.name else {
                continue;
            };
            let kind = match item.kind {
                ImportedKind::Instance => EntryKind::Instance,
                ImportedKind::Resource(_) => EntryKind::Resource,
                ImportedKind::Type(Type::Defined(id)) if self.metadata.types.get(id).is_none() => {
                    continue;
                }
                ImportedKind::Type(ty) => EntryKind::Type(ty),
                ImportedKind::Func(id) => match self.metadata.imports.get(id) {
                    Some(import) => EntryKind::Func(&import.ty),
                    None => continue,
                },
            };
            path.truncate(item.depth as usize);
            path.push(name);
            let entry = self.entry(path.clone(), kind, &mut scopes);
            self.imports.push(entry);
        }
    }

    /// An item after those before it, whose scopes are open.
    fn entry(
        &mut self,
        path: Vec<&'c str>,
        kind: EntryKind<'c>,
        scopes: &mut Vec<usize>,
    ) -> Entry<'c> {
        scopes.truncate(path.len().max(1));
        let scope = *scopes.last().expect("the outermost one stays");
        match (kind, path.last()) {
            (EntryKind::Instance, _) => {
                scopes.push(self.scopes.len());
                self.scopes.push(HashMap::new());
            }
            (EntryKind::Type(Type::Defined(id)), Some(name)) if self.is_nominal(id) => {
                self.scopes[scope].entry(id).or_insert(name);
                self.first.entry(id).or_insert(name);
            }
            _ => {}
        }
        Entry { path, kind, scope }
    }

    /// Whether WIT writes such types by name only.
    fn is_nominal(&self, id: TypeId) -> bool {
        matches!(
            self.metadata.types.get(id),
            Some(
                DefinedType::Record(_)
                    | DefinedType::Variant(_)
                    | DefinedType::Flags(_)
                    | DefinedType::Enum(_)
            )
        )
    }

    /// What it imports, in order; the items of an instance follow it.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = WorldItem<'_>> {
        self.items(&self.imports)
    }

    /// What it exports, in order; the items of an instance follow it.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = WorldItem<'_>> {
        self.items(&self.exports)
    }

    fn items<'w>(
        &'w self,
        entries: &'w [Entry<'c>],
    ) -> impl ExactSizeIterator<Item = WorldItem<'w>> {
        entries.iter().map(|entry| WorldItem { world: self, entry })
    }

    fn ty(&self, ty: Type, scope: usize) -> WorldType<'_> {
        WorldType {
            place: Place { world: self, scope },
            ty,
        }
    }
}

/// As `imports` and `exports`, an item a line.
impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |entries| self.items(entries).collect::<Vec<_>>();
        f.debug_struct("World")
            .field("imports", &all(&self.imports))
            .field("exports", &all(&self.exports))
            .finish()
    }
}

/// Something that a component imports or exports. It is shown as WIT, without the instances that it
/// is in: `open: func(path: string) -> result<own<file>, error-code>`.
///
/// ```
/// # fn list(component: &trampette_runtime::Component) {
/// for item in component.world().imports() {
///     println!("{} is {item}", item.path().join(" / "));
/// }
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct WorldItem<'w> {
    world: &'w World<'w>,
    entry: &'w Entry<'w>,
}

/// What an item of a [`World`] is.
///
/// ```
/// # fn count(component: &trampette_runtime::Component) -> usize {
/// use trampette_runtime::WorldItemKind;
///
/// let world = component.world();
/// world.imports().filter(|item| matches!(item.kind(), WorldItemKind::Func(_))).count()
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WorldItemKind<'w> {
    /// A function.
    Func(WorldFunc<'w>),
    /// A resource type.
    Resource,
    /// A value type; the item is its name.
    Type(WorldType<'w>),
    /// An instance, whose items follow.
    Instance,
    /// A core module.
    CoreModule,
    /// Something that hosts cannot use: what it is.
    Other(&'w str),
}

impl<'w> WorldItem<'w> {
    /// The names of the instances that it is in, and its own.
    pub fn path(&self) -> &'w [&'w str] {
        &self.entry.path
    }

    /// Its own name.
    pub fn name(&self) -> &'w str {
        self.path().last().copied().unwrap_or_default()
    }

    /// The names of the instances that it is in, the outermost first.
    pub fn instances(&self) -> &'w [&'w str] {
        self.path()
            .split_last()
            .map_or(&[], |(_, instances)| instances)
    }

    /// What it is.
    pub fn kind(&self) -> WorldItemKind<'w> {
        let place = Place {
            world: self.world,
            scope: self.entry.scope,
        };
        match self.entry.kind {
            EntryKind::Func(ty) => WorldItemKind::Func(WorldFunc { place, ty }),
            EntryKind::Resource => WorldItemKind::Resource,
            EntryKind::Type(ty) => WorldItemKind::Type(WorldType { place, ty }),
            EntryKind::Instance => WorldItemKind::Instance,
            EntryKind::CoreModule => WorldItemKind::CoreModule,
            EntryKind::Other(what) => WorldItemKind::Other(what),
        }
    }
}

impl fmt::Display for WorldItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = escaped(self.name());
        match self.kind() {
            WorldItemKind::Func(func) => write!(f, "{name}: {func}"),
            WorldItemKind::Resource => write!(f, "resource {name}"),
            WorldItemKind::Type(ty) => {
                // `record point { … }`, but `type path = string`.
                let definition = ty.definition();
                match definition.split_once(" {") {
                    Some((keyword, rest)) if ty.is_nominal() => {
                        write!(f, "{keyword} {name} {{{rest}")
                    }
                    _ => write!(f, "type {name} = {definition}"),
                }
            }
            WorldItemKind::Instance => write!(f, "{name}: interface"),
            WorldItemKind::CoreModule => write!(f, "{name}: core module"),
            WorldItemKind::Other(what) => write!(f, "{name}: {what}"),
        }
    }
}

impl fmt::Debug for WorldItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for instance in self.instances() {
            write!(f, "{} / ", escaped(instance))?;
        }
        fmt::Display::fmt(self, f)
    }
}

/// Where a type is spelled.
#[derive(Clone, Copy)]
struct Place<'w> {
    world: &'w World<'w>,
    scope: usize,
}

impl<'w> Place<'w> {
    fn name(self, id: TypeId) -> Option<&'w str> {
        let world = self.world;
        let name = world.scopes[self.scope].get(&id);
        name.or_else(|| world.first.get(&id)).copied()
    }

    fn spelling(self) -> Spelling<'w, Place<'w>> {
        Spelling {
            types: &self.world.metadata.types,
            names: self,
        }
    }
}

impl Names for Place<'_> {
    fn resource(&self, id: ResourceId) -> Cow<'_, str> {
        self.world.metadata.resource_name(id)
    }

    fn ty(&self, id: TypeId) -> Option<&str> {
        self.name(id)
    }
}

/// The type of a function in a [`World`]: shown as `func(x: u32, at: point) -> string`.
///
/// ```
/// # fn signature(func: trampette_runtime::WorldFunc<'_>) {
/// let params: Vec<String> = func.params().map(|(_, ty)| ty.to_string()).collect();
/// println!("takes ({}), gives {:?}", params.join(", "), func.result());
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct WorldFunc<'w> {
    place: Place<'w>,
    ty: &'w FuncType,
}

impl<'w> WorldFunc<'w> {
    /// Its parameters' names and types.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&'w str, WorldType<'w>)> {
        let place = self.place;
        let params = self.ty.params.iter();
        params.map(move |param| (param.name.as_str(), place.world.ty(param.ty, place.scope)))
    }

    /// Its result, if it has one.
    pub fn result(&self) -> Option<WorldType<'w>> {
        let place = self.place;
        self.ty.result.map(|ty| WorldType { place, ty })
    }

    /// Whether it is `async`.
    pub fn is_async(&self) -> bool {
        self.ty.is_async
    }
}

impl fmt::Display for WorldFunc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.spelling().func(self.ty))
    }
}

impl fmt::Debug for WorldFunc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A type in a [`World`]. It is shown as WIT spells it where it is used: by name if it is a record,
/// a variant, flags or an enum, or else by structure: `list<tuple<string, point>>`. What would be
/// very long ends in `…`.
///
/// ```
/// # fn describe(ty: trampette_runtime::WorldType<'_>) {
/// use trampette_runtime::TypeShape;
///
/// if let TypeShape::Record(fields) = ty.shape() {
///     for (name, field) in fields {
///         println!("{}.{name}: {field}", ty.name().unwrap_or("record"));
///     }
/// }
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct WorldType<'w> {
    place: Place<'w>,
    ty: Type,
}

/// What a [`WorldType`] consists of.
///
/// ```
/// # fn is_text(ty: trampette_runtime::WorldType<'_>) -> bool {
/// use trampette_runtime::TypeShape;
///
/// match ty.shape() {
///     TypeShape::String => true,
///     TypeShape::Option(some) => is_text(some),
///     _ => false,
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum TypeShape<'w> {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    /// Names and types of fields.
    Record(Vec<(&'w str, WorldType<'w>)>),
    /// Names and payloads of cases.
    Variant(Vec<(&'w str, Option<WorldType<'w>>)>),
    List(WorldType<'w>),
    FixedLengthList(WorldType<'w>, u32),
    Map(WorldType<'w>, WorldType<'w>),
    Tuple(Vec<WorldType<'w>>),
    Flags(&'w [String]),
    Enum(&'w [String]),
    Option(WorldType<'w>),
    Result {
        ok: Option<WorldType<'w>>,
        err: Option<WorldType<'w>>,
    },
    /// The resource's name.
    Own(Cow<'w, str>),
    /// The resource's name.
    Borrow(Cow<'w, str>),
    /// `stream<T>`, or `stream` without elements.
    Stream(Option<WorldType<'w>>),
    /// `future<T>`, or `future` without a value.
    Future(Option<WorldType<'w>>),
}

impl<'w> WorldType<'w> {
    /// The name that the interface gives it, or else another one: of a record, a variant, flags or
    /// an enum.
    pub fn name(&self) -> Option<&'w str> {
        match self.ty {
            Type::Defined(id) => self.place.name(id),
            _ => None,
        }
    }

    /// What it is, as WIT spells it, even if it has a name; its parts by their names:
    /// `record { from: point, to: point }`.
    pub fn definition(&self) -> String {
        self.place.spelling().definition(self.ty)
    }

    fn is_nominal(&self) -> bool {
        matches!(self.ty, Type::Defined(id) if self.place.world.is_nominal(id))
    }

    /// What it consists of.
    pub fn shape(&self) -> TypeShape<'w> {
        let place = self.place;
        let part = |ty: &Type| WorldType { place, ty: *ty };
        let optional = |ty: &Option<Type>| ty.as_ref().map(part);
        let metadata = place.world.metadata;
        let id = match self.ty {
            Type::Bool => return TypeShape::Bool,
            Type::S8 => return TypeShape::S8,
            Type::U8 => return TypeShape::U8,
            Type::S16 => return TypeShape::S16,
            Type::U16 => return TypeShape::U16,
            Type::S32 => return TypeShape::S32,
            Type::U32 => return TypeShape::U32,
            Type::S64 => return TypeShape::S64,
            Type::U64 => return TypeShape::U64,
            Type::F32 => return TypeShape::F32,
            Type::F64 => return TypeShape::F64,
            Type::Char => return TypeShape::Char,
            Type::String => return TypeShape::String,
            Type::ErrorContext => return TypeShape::ErrorContext,
            Type::Defined(id) => id,
        };
        match &metadata.types[id] {
            DefinedType::Record(fields) => {
                let fields = fields.iter();
                TypeShape::Record(fields.map(|f| (f.name.as_str(), part(&f.ty))).collect())
            }
            DefinedType::Variant(cases) => {
                let cases = cases.iter();
                TypeShape::Variant(cases.map(|c| (c.name.as_str(), optional(&c.ty))).collect())
            }
            DefinedType::List(element) => TypeShape::List(part(element)),
            DefinedType::FixedLengthList(element, length) => {
                TypeShape::FixedLengthList(part(element), *length)
            }
            DefinedType::Map(key, value) => TypeShape::Map(part(key), part(value)),
            DefinedType::Tuple(types) => TypeShape::Tuple(types.iter().map(part).collect()),
            DefinedType::Flags(names) => TypeShape::Flags(names),
            DefinedType::Enum(names) => TypeShape::Enum(names),
            DefinedType::Option(some) => TypeShape::Option(part(some)),
            DefinedType::Result { ok, err } => TypeShape::Result {
                ok: optional(ok),
                err: optional(err),
            },
            DefinedType::Own(id) => TypeShape::Own(metadata.resource_name(*id)),
            DefinedType::Borrow(id) => TypeShape::Borrow(metadata.resource_name(*id)),
            DefinedType::Stream(payload) => TypeShape::Stream(optional(payload)),
            DefinedType::Future(payload) => TypeShape::Future(optional(payload)),
        }
    }
}

impl fmt::Display for WorldType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.spelling().ty(self.ty))
    }
}

impl fmt::Debug for WorldType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Component {
    /// What the component imports and exports, as items with the names of their types. Nothing is
    /// kept: each call decodes it anew, in time that grows with the number of items.
    ///
    /// ```no_run
    /// # fn show(component: &trampette_runtime::Component) {
    /// // Its WIT: record point { x: s32, y: s32 }
    /// //          import plot: func(points: list<point>) -> string;
    /// let world = component.world();
    /// let imports: Vec<String> = world.imports().map(|item| item.to_string()).collect();
    /// assert_eq!(
    ///     imports,
    ///     ["record point { x: s32, y: s32 }", "plot: func(points: list<point>) -> string"]
    /// );
    /// # }
    /// ```
    pub fn world(&self) -> World<'_> {
        World::new(self.metadata(), self.world_section())
    }
}
