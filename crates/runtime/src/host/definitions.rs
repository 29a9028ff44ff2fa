//! The tree of a linker's definitions: instances, functions and resource types by name.
//!
//! How it is filled is in `linker.rs`; how a component's imports are found in it, in `matching.rs`.

use crate::host::shims::HostFunc;
use crate::host::versions::compatible;
use crate::machine::instance::HostDestructor;
use crate::messages::ItemKind;
use crate::values::typed::ResourceType;
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// What may be defined again under a name that is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Shadowing {
    #[default]
    Refused,
    Allowed,
}

/// The definitions of one instance, or those at the root.
#[derive(Clone, Default)]
pub(crate) struct Namespace {
    items: BTreeMap<String, Definition>,
}

/// One definition.
#[derive(Clone)]
pub(crate) enum Definition {
    Instance(Namespace),
    Func(HostFunc),
    Resource(HostResource),
}

impl Definition {
    pub(crate) fn kind(&self) -> ItemKind {
        match self {
            Definition::Instance(_) => ItemKind::Instance,
            Definition::Func(_) => ItemKind::Function,
            Definition::Resource(_) => ItemKind::Resource,
        }
    }
}

/// A resource type that the host defines.
#[derive(Clone)]
pub(crate) struct HostResource {
    pub ty: ResourceType,
    pub destructor: HostDestructor,
}

impl Namespace {
    /// The definition of that name, or of the same interface in the newest compatible version.
    pub(crate) fn get(&self, name: &str) -> Option<&Definition> {
        let found = self.compatible_name(name)?;
        self.items.get(found)
    }

    /// Whether something is defined under a chain of names.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        match path {
            [] => false,
            [name] => self.get(name).is_some(),
            [instance, rest @ ..] => match self.get(instance) {
                Some(Definition::Instance(inner)) => inner.has(rest),
                Some(_) => true,
                None => false,
            },
        }
    }

    pub(crate) fn compatible_name(&self, name: &str) -> Option<&str> {
        if let Some((found, _)) = self.items.get_key_value(name) {
            return Some(found);
        }
        compatible(name, self.items.keys().map(String::as_str))
    }

    pub(crate) fn insert(
        &mut self,
        name: &str,
        definition: Definition,
        shadowing: Shadowing,
    ) -> Result<()> {
        if shadowing == Shadowing::Refused
            && let Some(previous) = self.items.get(name)
        {
            bail!("the name is taken by {}", previous.kind().with_article());
        }
        self.items.insert(name.to_string(), definition);
        Ok(())
    }

    /// The instance of that name, made if there is none.
    pub(crate) fn instance(&mut self, name: &str, shadowing: Shadowing) -> Result<&mut Namespace> {
        let new = || Definition::Instance(Namespace::default());
        let definition = self.items.entry(name.to_string()).or_insert_with(new);
        if shadowing == Shadowing::Allowed && !matches!(definition, Definition::Instance(_)) {
            *definition = new();
        }
        match definition {
            Definition::Instance(namespace) => Ok(namespace),
            other => bail!("the name is taken by {}", other.kind().with_article()),
        }
    }
}
