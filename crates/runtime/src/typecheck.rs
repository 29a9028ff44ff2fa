//! Matching a component's imports with a linker's definitions, and checking their types.
//!
//! Names of interfaces match in compatible versions (`versions.rs`). A resource that a component
//! imports is the one that the linker defines under its path; wherever a function's type refers to
//! it, a Rust type must say the same ([`crate::Resource`]).

use crate::host::HostFunc;
use crate::instance::HostDestructor;
use crate::linker::{Definition, HostResource, Namespace};
use crate::typed::{ResourceType, TypeContext};
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

/// What kind of item an import is.
#[derive(Clone, Copy)]
enum Kind {
    Function,
    Resource,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Resource => "resource",
        }
    }
}

/// A path for messages: `wasi:cli/stdout@0.2.6 / get-stdout`.
pub(crate) fn display_path(path: &[String]) -> String {
    path.join(" / ")
}

fn missing(kind: &str, path: &[String]) -> anyhow::Error {
    let (name, instances) = match path.split_last() {
        Some((name, instances)) => (name.as_str(), instances),
        None => ("", path),
    };
    let place = match instances {
        [] => String::new(),
        _ => format!(" in `{}`", display_path(instances)),
    };
    anyhow!(
        "component imports {kind} `{name}`{place}, but a matching implementation was not found in the linker"
    )
}

fn find<'l>(root: &'l Namespace, path: &[String], kind: Kind) -> Result<&'l Definition> {
    let Some((name, instances)) = path.split_last() else {
        bail!("component imports a {} without a name", kind.name());
    };
    let mut namespace = root;
    for (depth, instance) in instances.iter().enumerate() {
        namespace = match namespace.get(instance) {
            Some(Definition::Instance(inner)) => inner,
            Some(other) => bail!(
                "{}: expected an instance, found {}",
                display_path(&path[..=depth]),
                other.kind()
            ),
            None => return Err(missing("instance", &path[..=depth])),
        };
    }
    namespace
        .get(name)
        .ok_or_else(|| missing(kind.name(), path))
}

fn find_resource<'l>(root: &'l Namespace, path: &[String]) -> Result<&'l HostResource> {
    match find(root, path, Kind::Resource)? {
        Definition::Resource(resource) => Ok(resource),
        other => bail!(
            "{}: expected a resource, found {}",
            display_path(path),
            other.kind()
        ),
    }
}

fn find_func<'l>(root: &'l Namespace, path: &[String]) -> Result<&'l HostFunc> {
    match find(root, path, Kind::Function)? {
        Definition::Func(func) => Ok(func),
        other => bail!(
            "{}: expected a function, found {}",
            display_path(path),
            other.kind()
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
        let Ok(found) = find(root, path, Kind::Resource) else {
            continue;
        };
        match found {
            Definition::Resource(found) if resources.get(bound.index()) == Some(&found.ty) => {}
            Definition::Resource(_) => {
                bail!(
                    "{}: expected the resource that the import is bound to, found another",
                    display_path(path)
                )
            }
            other => bail!(
                "{}: expected a resource, found {}",
                display_path(path),
                other.kind()
            ),
        }
    }
    let cx = TypeContext::new(metadata, &resources);
    let mut functions = Vec::with_capacity(metadata.imports.len());
    for import in &metadata.imports {
        let func = find_func(root, &import.path)?;
        func.check(&import.ty, &cx)
            .map_err(|error| prefixed(&import.path, error))?;
        functions.push(func);
    }
    Ok(Matched {
        resources,
        destructors,
        functions,
    })
}

/// Puts an item's path before the outermost message of an error, as in `a:b/c / f: expected …`.
pub(crate) fn prefixed(path: &[String], error: anyhow::Error) -> anyhow::Error {
    let message = format!("{}: {error}", display_path(path));
    // The causes stay, as one text: an error's chain cannot be re-rooted.
    let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
    match causes.as_slice() {
        [] => anyhow!(message),
        causes => anyhow!(causes.join(": ")).context(message),
    }
}
