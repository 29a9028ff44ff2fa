//! The world: its interfaces, and where in Rust each of them is.

use crate::input::{Input, With};
use crate::names::{camel, snake};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use syn::{Error, LitStr, Result, Type};
use wit_parser::{
    Function, InterfaceId, Resolve, Type as WitType, TypeDefKind, TypeId, TypeOwner, WorldId,
    WorldItem, WorldKey,
};

/// Everything that generating one world needs to know.
pub(crate) struct Bindings<'a> {
    pub resolve: &'a Resolve,
    pub world: WorldId,
    /// Imported functions that are not `async`, and may have to wait.
    waits: HashSet<*const Function>,
    /// Imported interfaces, in order.
    pub imports: Vec<Interface>,
    /// Exported interfaces, in order.
    pub exports: Vec<Interface>,
    /// Rust types of imported resources, and the host's own errors in place of WIT's.
    mapped: HashMap<TypeId, Type>,
    /// Imported resources that the host never makes.
    absent: HashSet<TypeId>,
    /// The names by which generated code knows what is mapped.
    aliases: RefCell<Vec<(Ident, TypeId)>>,
    /// Types that are the error of some function's result.
    errors: HashSet<TypeId>,
    /// What types of plain data derive besides.
    pub derives: &'a [syn::Path],
}

/// An interface of the world.
pub(crate) struct Interface {
    pub id: InterfaceId,
    /// Its name in the component.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Where the module of an interface is.
pub(crate) enum Place {
    /// Generated, below the place where the macro is.
    Module(Vec<Ident>),
    /// The path of a module that exists.
    Existing(Type),
}

/// Who provides an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Import,
    Export,
}

/// Where code is generated.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub side: Side,
    /// The interface, unless it is the world itself.
    pub interface: Option<InterfaceId>,
    /// The modules that the code is in.
    pub path: &'s [Ident],
}

impl Scope<'_> {
    /// `super::super` …, to the place where the macro is; empty there.
    pub(crate) fn root(&self) -> TokenStream {
        self.path.iter().map(|_| quote!(super::)).collect()
    }
}

/// The result of a function whose error the host replaces by one of its own.
pub(crate) struct Trappable<'a> {
    pub ok: Option<&'a WitType>,
    /// The error in WIT, no alias of it.
    pub error: TypeId,
}

/// A function with where it belongs.
pub(crate) struct Item<'a> {
    /// The name in the component: `[method]counter.get`.
    pub name: &'a str,
    pub function: &'a Function,
}

impl<'a> Bindings<'a> {
    pub(crate) fn new(input: &'a Input) -> Result<Bindings<'a>> {
        let resolve = &input.resolve;
        let mut bindings = Bindings {
            resolve,
            world: input.world,
            imports: Vec::new(),
            exports: Vec::new(),
            mapped: HashMap::new(),
            absent: HashSet::new(),
            aliases: RefCell::default(),
            errors: HashSet::new(),
            derives: &input.derives,
            waits: HashSet::new(),
        };
        let world = &resolve.worlds[input.world];
        for (key, item) in &world.imports {
            if let WorldItem::Interface { id, .. } = item {
                let interface = bindings.interface(key, *id, Side::Import);
                bindings.imports.push(interface);
            }
        }
        for (key, item) in &world.exports {
            if let WorldItem::Interface { id, .. } = item {
                let interface = bindings.interface(key, *id, Side::Export);
                bindings.exports.push(interface);
            }
        }
        for with in &input.with {
            bindings.apply(with)?;
        }
        bindings.find_errors();
        for with in &input.trappable {
            bindings.apply_trappable(with)?;
        }
        for name in &input.waits {
            let function = bindings.imported_function(name)?;
            bindings.waits.insert(std::ptr::from_ref(function));
        }
        Ok(bindings)
    }

    fn interface(&self, key: &WorldKey, id: InterfaceId, side: Side) -> Interface {
        let mut path = Vec::new();
        if side == Side::Export {
            path.push(Ident::new("exports", Span::call_site()));
        }
        match (key, &self.resolve.interfaces[id]) {
            (WorldKey::Name(name), _) => path.push(snake(name)),
            (WorldKey::Interface(_), interface) => {
                if let Some(package) = interface.package {
                    let name = &self.resolve.packages[package].name;
                    path.push(snake(&name.namespace));
                    path.push(match &name.version {
                        Some(version) if self.has_other_version(package) => {
                            snake(&format!("{}-{version}", name.name).replace(['+', '.'], "-"))
                        }
                        _ => snake(&name.name),
                    });
                }
                path.push(snake(interface.name.as_deref().unwrap_or_default()));
            }
        }
        Interface {
            id,
            name: self.resolve.name_world_key(key),
            place: Place::Module(path),
        }
    }

    /// Whether the world uses two versions of the package.
    fn has_other_version(&self, package: wit_parser::PackageId) -> bool {
        let name = &self.resolve.packages[package].name;
        let world = &self.resolve.worlds[self.world];
        let items = world.imports.values().chain(world.exports.values());
        items
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => self.resolve.interfaces[*id].package,
                _ => None,
            })
            .map(|other| &self.resolve.packages[other].name)
            .any(|other| {
                other.namespace == name.namespace
                    && other.name == name.name
                    && other.version != name.version
            })
    }

    /// Whether a name of `with` is that of the interface, with or without a version.
    fn is_named(&self, interface: &Interface, name: &str) -> bool {
        let without_version = || interface.name.split('@').next();
        interface.name == name || without_version() == Some(name)
    }

    fn apply(&mut self, with: &With) -> Result<()> {
        let named = |interface: &Interface| self.is_named(interface, &with.name);
        if let Some(position) = self.imports.iter().position(named) {
            let Type::Path(_) = &with.rust else {
                return Err(Error::new(with.span, "expected the path of a module"));
            };
            self.imports[position].place = Place::Existing(with.rust.clone());
            return Ok(());
        }
        match self.imported_type(&with.name) {
            Some(id) if matches!(self.resolve.types[id].kind, TypeDefKind::Resource) => {
                match &with.rust {
                    Type::Never(_) => drop(self.absent.insert(id)),
                    rust => drop(self.mapped.insert(id, rust.clone())),
                }
                Ok(())
            }
            _ => Err(Error::new(
                with.span,
                format!("the world imports no interface or resource `{}`", with.name),
            )),
        }
    }

    fn apply_trappable(&mut self, with: &With) -> Result<()> {
        let error = self.imported_type(&with.name).map(|id| self.resolved(id));
        match error.filter(|id| self.is_error(*id)) {
            Some(id) => {
                self.mapped.insert(id, with.rust.clone());
                Ok(())
            }
            None => Err(Error::new(
                with.span,
                format!(
                    "the world imports no type `{}` that functions fail with",
                    with.name
                ),
            )),
        }
    }

    /// The type of that name: `package:name/interface/type`, or one of the world itself.
    fn imported_type(&self, name: &str) -> Option<TypeId> {
        match name.rsplit_once('/') {
            Some((interface, name)) => self
                .imports
                .iter()
                .find(|candidate| self.is_named(candidate, interface))
                .and_then(|found| self.resolve.interfaces[found.id].types.get(name))
                .copied(),
            None => match self.resolve.worlds[self.world]
                .imports
                .get(&WorldKey::Name(name.to_string()))
            {
                Some(WorldItem::Type { id, .. }) => Some(*id),
                _ => None,
            },
        }
    }

    /// The function that `waits` names: `package:name/interface/function`, with the resource before
    /// a method, or one of the world itself.
    fn imported_function(&self, name: &LitStr) -> Result<&'a Function> {
        let wanted = name.value();
        let is_wanted = |function: &&'a Function| {
            let path = function.name.rsplit(']').next();
            path == Some(wanted.rsplit('/').next().unwrap_or_default())
        };
        let resolve = self.resolve;
        let found = match wanted.rsplit_once('/') {
            Some((interface, _)) => self
                .imports
                .iter()
                .find(|candidate| self.is_named(candidate, interface))
                .and_then(|found| {
                    let functions = resolve.interfaces[found.id].functions.values();
                    functions.into_iter().find(is_wanted)
                }),
            None => self
                .world_functions(Side::Import)
                .into_iter()
                .map(|item| item.function)
                .find(is_wanted),
        };
        match found {
            Some(function) if !function.kind.is_async() => Ok(function),
            Some(_) => Err(Error::new(
                name.span(),
                format!("`{wanted}` is `async`, and may wait without being named here"),
            )),
            None => Err(Error::new(
                name.span(),
                format!("the world imports no function `{wanted}`"),
            )),
        }
    }

    /// Whether an imported function may have to wait, although it is not `async`.
    pub(crate) fn waits(&self, function: &Function) -> bool {
        self.waits.contains(&std::ptr::from_ref(function))
    }

    /// Whether the host never makes such a resource.
    pub(crate) fn is_absent(&self, resource: TypeId) -> bool {
        self.absent.contains(&resource)
    }

    /// What an imported function succeeds and fails with, if the host has an error of its own for
    /// it.
    pub(crate) fn trappable(&self, function: &Function) -> Option<Trappable<'a>> {
        let WitType::Id(result) = function.result? else {
            return None;
        };
        let TypeDefKind::Result(result) = &self.resolve.types[self.resolved(result)].kind else {
            return None;
        };
        let Some(WitType::Id(error)) = result.err else {
            return None;
        };
        let error = self.resolved(error);
        self.mapped.contains_key(&error).then_some(Trappable {
            ok: result.ok.as_ref(),
            error,
        })
    }

    /// The types among these that the host has errors of its own for.
    pub(crate) fn trappable_errors(&self, types: impl IntoIterator<Item = TypeId>) -> Vec<TypeId> {
        let is_trappable = |id: &TypeId| self.is_error(*id) && self.mapped.contains_key(id);
        types.into_iter().filter(is_trappable).collect()
    }

    /// The alias, at the place where the macro is, of the Rust type that a resource or error is
    /// said to be.
    pub(crate) fn mapped(&self, id: TypeId) -> Option<Ident> {
        self.mapped.get(&id)?;
        let mut aliases = self.aliases.borrow_mut();
        if let Some((alias, _)) = aliases.iter().find(|(_, other)| *other == id) {
            return Some(alias.clone());
        }
        let alias = Ident::new(&format!("__With{}", aliases.len()), Span::call_site());
        aliases.push((alias.clone(), id));
        Some(alias)
    }

    /// The definitions of those aliases that were used. They are where the macro is, because that
    /// is where the types' paths mean something.
    pub(crate) fn alias_definitions(&self) -> TokenStream {
        let aliases = self.aliases.borrow();
        let define = |(alias, id): &(Ident, TypeId)| {
            let ty = &self.mapped[id];
            quote! {
                #[doc(hidden)]
                #[allow(private_interfaces)]
                pub type #alias = #ty;
            }
        };
        aliases.iter().map(define).collect()
    }

    /// Functions that the world imports or exports itself.
    pub(crate) fn world_functions(&self, side: Side) -> Vec<Item<'a>> {
        let world = &self.resolve.worlds[self.world];
        let items = match side {
            Side::Import => &world.imports,
            Side::Export => &world.exports,
        };
        items
            .values()
            .filter_map(|item| match item {
                WorldItem::Function(function) => Some(Item {
                    name: &function.name,
                    function,
                }),
                _ => None,
            })
            .collect()
    }

    /// Types that the world itself has.
    pub(crate) fn world_types(&self) -> Vec<TypeId> {
        let world = &self.resolve.worlds[self.world];
        let items = world.imports.values().chain(world.exports.values());
        items
            .filter_map(|item| match item {
                WorldItem::Type { id, .. } => Some(*id),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn interface_functions(&self, id: InterfaceId) -> Vec<Item<'a>> {
        let functions = self.resolve.interfaces[id].functions.values();
        functions
            .map(|function| Item {
                name: &function.name,
                function,
            })
            .collect()
    }

    /// The type that a chain of aliases ends at.
    pub(crate) fn resolved(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(WitType::Id(next)) = self.resolve.types[id].kind {
            id = next;
        }
        id
    }

    /// Whether a resource (no alias of one) is one that the component defines, seen from a scope.
    /// What the world itself uses of an interface is always imported, also where a function that it
    /// exports uses it.
    pub(crate) fn is_guest_resource(&self, id: TypeId, scope: Scope<'_>) -> bool {
        match self.resolve.types[id].owner {
            TypeOwner::Interface(owner) => {
                scope.side == Side::Export
                    && scope.interface.is_some()
                    && self.exports.iter().any(|e| e.id == owner)
            }
            _ => false,
        }
    }

    /// The path of a named type, seen from a scope.
    pub(crate) fn path(&self, id: TypeId, scope: Scope<'_>) -> TokenStream {
        let name = camel(self.resolve.types[id].name.as_deref().unwrap_or("unnamed"));
        self.beside(id, name, scope)
    }

    /// The path of what has a name in the module that a type is in, seen from a scope.
    pub(crate) fn beside(&self, id: TypeId, name: Ident, scope: Scope<'_>) -> TokenStream {
        let definition = &self.resolve.types[id];
        let TypeOwner::Interface(owner) = definition.owner else {
            let root = scope.root();
            return quote!(#root #name);
        };
        if scope.interface == Some(owner) {
            return name.to_token_stream();
        }
        let module = self.module(owner, scope);
        quote!(#module::#name)
    }

    /// The path of an interface's module, seen from a scope.
    fn module(&self, id: InterfaceId, scope: Scope<'_>) -> TokenStream {
        let find = |list: &'_ [Interface]| list.iter().position(|interface| interface.id == id);
        let exported = || find(&self.exports).map(|i| &self.exports[i]);
        let imported = || find(&self.imports).map(|i| &self.imports[i]);
        // What an exported interface uses is the exported one if there is one.
        let found = match scope.side {
            Side::Import => imported().or_else(exported),
            Side::Export => exported().or_else(imported),
        };
        match found.map(|interface| &interface.place) {
            Some(place) => self.place(place, scope),
            None => quote!(missing_interface),
        }
    }

    /// The path of a module, seen from a scope.
    pub(crate) fn place(&self, place: &Place, scope: Scope<'_>) -> TokenStream {
        let root = scope.root();
        match place {
            Place::Module(path) if scope.path.is_empty() => quote!(self::#(#path)::*),
            Place::Module(path) => quote!(#root #(#path)::*),
            Place::Existing(ty) => {
                let text = ty.to_token_stream().to_string();
                let global = text.starts_with("::") || text.starts_with("crate");
                match global {
                    true => ty.to_token_stream(),
                    false => quote!(#root #ty),
                }
            }
        }
    }

    /// Whether the type is the error of some function's result.
    pub(crate) fn is_error(&self, id: TypeId) -> bool {
        self.errors.contains(&id)
    }

    fn find_errors(&mut self) {
        let interfaces = self.imports.iter().chain(&self.exports);
        let functions = interfaces
            .flat_map(|interface| self.interface_functions(interface.id))
            .chain(self.world_functions(Side::Import))
            .chain(self.world_functions(Side::Export));
        let errors = functions.filter_map(|item| {
            let WitType::Id(result) = item.function.result? else {
                return None;
            };
            match &self.resolve.types[self.resolved(result)].kind {
                TypeDefKind::Result(result) => match result.err {
                    Some(WitType::Id(error)) => Some(self.resolved(error)),
                    _ => None,
                },
                _ => None,
            }
        });
        self.errors = errors.collect();
    }
}
