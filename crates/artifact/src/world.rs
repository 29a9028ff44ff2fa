//! What a component imports, with the names of types: `.trampette.world` (postcard).
//!
//! Running needs only the functions and resources of [`crate::metadata`]; names of types are for
//! who asks what a component wants. So they are in a section that loading does not read. What it
//! exports is in the metadata, types and all.

use crate::ids::{ImportId, ResourceId};
use crate::types::Type;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a component imports, in order; items of an instance follow it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Imports<'a> {
    /// The items.
    #[serde(borrow)]
    pub items: Vec<ImportedItem<'a>>,
}

/// An imported item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportedItem<'a> {
    /// How many instances it is in: those before it that are less deep, the last one of each depth.
    pub depth: u32,
    /// Its name in the innermost of them.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// What it is.
    pub kind: ImportedKind,
}

/// What an imported item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ImportedKind {
    /// An instance.
    Instance,
    /// A function.
    Func(ImportId),
    /// A resource type, or another name of one.
    Resource(ResourceId),
    /// A value type.
    Type(Type),
}

impl<'a> Imports<'a> {
    /// The bytes of `.trampette.world`.
    ///
    /// # Errors
    /// If serialisation fails, which only running out of memory causes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_stdvec(self).context("cannot encode what the component imports")
    }

    /// Reads `.trampette.world`. Ids may be of anything.
    ///
    /// # Errors
    /// If the bytes are not what [`Imports::encode`] makes.
    pub fn decode(bytes: &'a [u8]) -> Result<Imports<'a>> {
        postcard::from_bytes(bytes).context("the names of what the component imports are damaged")
    }
}
