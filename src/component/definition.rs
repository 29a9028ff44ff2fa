//! A component as lists of definitions: what the binary says, in order, validated but not yet
//! interpreted. Nested components and core modules are collected component-wide and named by index,
//! so nothing here nests (and nothing recurses, however deep the input).

use super::parse::{features, invalid};
use crate::modules::parse::ModuleBuilder;
use crate::options::Proposals;
use crate::program::module::Module;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::ops::Range;
use trampette_artifact::ids::{IdVec, ModuleId};
use wasmparser::types::Types;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance,
    ComponentName, ComponentType, CoreType, FromReader, Instance, KnownCustom, Parser, Payload,
    SectionLimited, ValidPayload, Validator,
};

/// Index of a component among all components nested anywhere in the input; 0 is the outermost.
pub(super) type DefinitionIndex = usize;

/// Everything that a component's bytes define.
pub(super) struct Definitions<'a> {
    /// Components in order of appearance.
    pub components: Vec<ComponentDefinition<'a>>,
    /// Core modules in order of appearance.
    pub modules: IdVec<ModuleId, Module<'a>>,
    /// The types of the outermost component's imports and exports.
    pub types: Option<Types>,
}

/// One component, uninterpreted.
#[derive(Default)]
pub(super) struct ComponentDefinition<'a> {
    /// Its definitions in order, with their byte offsets.
    pub definitions: Vec<(u64, Definition<'a>)>,
    /// Its name, from the name section.
    pub name: Option<&'a str>,
    /// Names of its instances, from the name section.
    pub instance_names: HashMap<u32, &'a str>,
}

/// One definition.
pub(super) enum Definition<'a> {
    CoreType(CoreType<'a>),
    CoreModule(ModuleId),
    CoreInstance(Instance<'a>),
    Component(DefinitionIndex),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Type(ComponentType<'a>),
    Canonical(CanonicalFunction),
    Start,
    Import(ComponentImport<'a>),
    Export(ComponentExport<'a>),
}

impl<'a> Definitions<'a> {
    /// Reads and validates a component.
    ///
    /// # Errors
    /// If the bytes are no valid component.
    pub(super) fn read(bytes: &'a [u8], proposals: Proposals) -> Result<Definitions<'a>> {
        Reader {
            bytes,
            proposals,
            validator: Validator::new_with_features(features(proposals)),
            result: Definitions {
                components: vec![ComponentDefinition::default()],
                modules: IdVec::new(),
                types: None,
            },
            open: vec![0],
        }
        .read()
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    proposals: Proposals,
    validator: Validator,
    result: Definitions<'a>,
    /// The components around the current position, innermost last.
    open: Vec<DefinitionIndex>,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Definitions<'a>> {
        let mut parser = Parser::new(0);
        parser.set_features(features(self.proposals));
        let mut module: Option<ModuleBuilder<'a>> = None;
        for payload in parser.parse_all(self.bytes) {
            let payload = payload.map_err(|error| self.invalid(&error))?;
            match &mut module {
                None => module = self.payload(payload)?,
                Some(builder) => {
                    builder
                        .payload(&payload, &mut self.validator)
                        .and_then(|()| match payload {
                            Payload::End(_) => match module.take() {
                                Some(builder) => {
                                    self.result.modules.push(builder.finish()?);
                                    Ok(())
                                }
                                None => Ok(()),
                            },
                            _ => Ok(()),
                        })
                        .with_context(|| {
                            format!("invalid core module {}", self.result.modules.len())
                        })?;
                }
            }
        }
        if !self.open.is_empty() {
            bail!(
                "invalid component: it ends inside a section (at offset {:#x})",
                self.bytes.len()
            );
        }
        Ok(self.result)
    }

    /// Validates and records a payload of a component. Returns the builder of the core module that
    /// starts with it.
    fn payload(&mut self, payload: Payload<'a>) -> Result<Option<ModuleBuilder<'a>>> {
        let valid = self.validator.payload(&payload);
        let valid = valid.map_err(|error| self.invalid(&error))?;
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let range = self.range(&unchecked_range)?;
                let id = self.result.modules.next_id();
                self.push(unchecked_range.start, Definition::CoreModule(id))?;
                return Ok(Some(ModuleBuilder::new(self.bytes, range)));
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                self.range(&unchecked_range)?;
                let index = self.result.components.len();
                self.push(unchecked_range.start, Definition::Component(index))?;
                self.result.components.push(ComponentDefinition::default());
                self.open.push(index);
            }
            Payload::End(_) => {
                self.open.pop();
                if let (ValidPayload::End(types), []) = (valid, &self.open[..]) {
                    self.result.types = Some(types);
                }
            }
            Payload::InstanceSection(section) => self.section(section, Definition::CoreInstance)?,
            Payload::ComponentInstanceSection(section) => {
                self.section(section, Definition::Instance)?;
            }
            Payload::ComponentAliasSection(section) => self.section(section, Definition::Alias)?,
            Payload::CoreTypeSection(section) => self.section(section, Definition::CoreType)?,
            Payload::ComponentTypeSection(section) => self.section(section, Definition::Type)?,
            Payload::ComponentCanonicalSection(section) => {
                self.section(section, Definition::Canonical)?;
            }
            Payload::ComponentStartSection { range, .. } => {
                self.push(range.start, Definition::Start)?;
            }
            Payload::ComponentImportSection(section) => {
                self.section(section, Definition::Import)?
            }
            Payload::ComponentExportSection(section) => {
                self.section(section, Definition::Export)?
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    self.names(names);
                }
            }
            // Versions need no record; sections of core modules were refused by the
            // validator.
            _ => {}
        }
        Ok(None)
    }

    fn range(&self, range: &Range<u64>) -> Result<Range<usize>> {
        let end = usize::try_from(range.end).ok();
        let start = usize::try_from(range.start).ok();
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= self.bytes.len() => Ok(start..end),
            _ => bail!(
                "invalid component: unexpected end-of-file: the section at offset {:#x} ends at \
                 {:#x}, after the end of the input at {:#x}",
                range.start,
                range.end,
                self.bytes.len()
            ),
        }
    }

    fn section<T: FromReader<'a>>(
        &mut self,
        section: SectionLimited<'a, T>,
        define: impl Fn(T) -> Definition<'a>,
    ) -> Result<()> {
        for item in section.into_iter_with_offsets() {
            let (offset, item) = item.map_err(|error| self.invalid(&error))?;
            self.push(offset, define(item))?;
        }
        Ok(())
    }

    fn push(&mut self, offset: u64, definition: Definition<'a>) -> Result<()> {
        self.current()?.definitions.push((offset, definition));
        Ok(())
    }

    fn current(&mut self) -> Result<&mut ComponentDefinition<'a>> {
        self.open
            .last()
            .and_then(|index| self.result.components.get_mut(*index))
            .context("invalid component: something follows its end")
    }

    /// Reads what is well-formed of a name section; custom sections are never errors.
    fn names(&mut self, names: wasmparser::ComponentNameSectionReader<'a>) {
        let Ok(component) = self.current() else {
            return;
        };
        for name in names.into_iter().map_while(Result::ok) {
            match name {
                ComponentName::Component { name, .. } => component.name = Some(name),
                ComponentName::Instances(names) => {
                    let names = names.into_iter().map_while(Result::ok);
                    component
                        .instance_names
                        .extend(names.map(|naming| (naming.index, naming.name)));
                }
                _ => {}
            }
        }
    }

    /// The text of the parser's error has the offset.
    fn invalid(&self, error: &wasmparser::Error) -> anyhow::Error {
        invalid(self.bytes, self.proposals, error)
    }
}
