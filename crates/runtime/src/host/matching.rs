//! Matching a component's imports with a linker's definitions, and checking their types.
//!
//! Names of interfaces match in compatible versions (`versions.rs`). A resource that a component
//! imports is the one that the linker defines under its path; wherever a function's type refers to
//! it, a Rust type must say the same ([`crate::Resource`]).

use crate::host::definitions::{Definition, HostResource, Namespace};
use crate::host::shims::HostFunc;
use crate::machine::instance::HostDestructor;
use crate::messages::{ItemKind, about, display_import, display_item, display_path};
use crate::values::typed::{ResourceType, TypeContext};
use anyhow::{Result, anyhow, bail};
use std::sync::Arc;
use trampette_artifact::ids::ResourceId;
use trampette_artifact::metadata::{Metadata, Resource};

/// A component's imports with what satisfies them.
pub(crate) struct Matched<'l> {
    /// What every resource type is to the host, by [`ResourceId`].
    pub resources: Arc<[ResourceType]>,
    /// Destructors of imported resources, by [`ResourceId`].
    pub destructors: Vec<Option<HostDestructor>>,
    /// Functions, in the order of the imports.
    pub functions: Vec<&'l HostFunc>,
}

fn missing(kind: ItemKind, path: &[String]) -> anyhow::Error {
    let (name, instances) = match path.split_last() {
        Some((name, instances)) => (name.as_str(), instances),
        None => ("", path),
    };
    let place = match instances {
        [] => String::new(),
        _ => format!(" in `{}`", display_path(instances)),
    };
    let kind = kind.name();
    anyhow!(
        "component imports {kind} `{name}`{place}, but a matching implementation was not found in the linker"
    )
}

fn find<'l>(root: &'l Namespace, path: &[String], kind: ItemKind) -> Result<&'l Definition> {
    let Some((name, instances)) = path.split_last() else {
        bail!("component imports a {} without a name", kind.name());
    };
    let mut namespace = root;
    for (depth, instance) in instances.iter().enumerate() {
        namespace = match namespace.get(instance) {
            Some(Definition::Instance(inner)) => inner,
            Some(other) => {
                let item = display_item("import", ItemKind::Instance, &path[..=depth]);
                bail!(
                    "{item}: expected an instance, found {} in the linker",
                    other.kind().with_article()
                )
            }
            None => return Err(missing(ItemKind::Instance, &path[..=depth])),
        };
    }
    namespace.get(name).ok_or_else(|| missing(kind, path))
}

fn find_resource<'l>(root: &'l Namespace, path: &[String]) -> Result<&'l HostResource> {
    match find(root, path, ItemKind::Resource)? {
        Definition::Resource(resource) => Ok(resource),
        other => Err(not_a_resource(path, other)),
    }
}

fn not_a_resource(path: &[String], found: &Definition) -> anyhow::Error {
    let item = display_item("import", ItemKind::Resource, path);
    let found = found.kind().with_article();
    anyhow!("{item}: expected a resource, found {found} in the linker")
}

fn find_func<'l>(root: &'l Namespace, path: &[String]) -> Result<&'l HostFunc> {
    match find(root, path, ItemKind::Function)? {
        Definition::Func(func) => Ok(func),
        other => bail!(
            "{}: expected a function, found {} in the linker",
            display_import(path),
            other.kind().with_article()
        ),
    }
}

/// Matches and checks every import of a component.
///
/// # Errors
/// The first import that is missing or has another type, by its path.
pub(crate) fn match_imports<'l>(root: &'l Namespace, metadata: &Metadata) -> Result<Matched<'l>> {
    let mut resources = Vec::with_capacity(metadata.resources.len());
    let mut destructors = Vec::with_capacity(metadata.resources.len());
    for (index, resource) in metadata.resources.iter().enumerate() {
        let (ty, destructor) = match resource {
            Resource::Imported { path } => {
                let host = find_resource(root, path)?;
                (host.ty, Some(host.destructor.clone()))
            }
            Resource::Defined { .. } => (ResourceType::Guest(ResourceId::new(index)), None),
        };
        resources.push(ty);
        destructors.push(destructor);
    }
    let resources: Arc<[ResourceType]> = resources.into();
    for (path, bound) in &metadata.resource_bounds {
        // What is not supplied is not missed: the bound says what it is.
        let Ok(found) = find(root, path, ItemKind::Resource) else {
            continue;
        };
        match found {
            Definition::Resource(found) if resources.get(bound.index()) == Some(&found.ty) => {}
            Definition::Resource(_) => {
                let bound = metadata.resource_name(*bound);
                bail!(
                    "{}: expected resource `{bound}`, which the import is bound to, found another",
                    display_item("import", ItemKind::Resource, path)
                )
            }
            other => return Err(not_a_resource(path, other)),
        }
    }
    let cx = TypeContext::new(metadata, &resources);
    let mut functions = Vec::with_capacity(metadata.imports.len());
    for import in &metadata.imports {
        let func = find_func(root, &import.path)?;
        func.check(&import.ty, &cx).map_err(|error| {
            let types = anyhow!(
                "the component imports `{}`, the linker has `{}`",
                cx.display_func(&import.ty),
                func.describe()
            );
            types.context(about(display_import(&import.path), &error))
        })?;
        functions.push(func);
    }
    Ok(Matched {
        resources,
        destructors,
        functions,
    })
}
