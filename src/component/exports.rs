//! What the outermost component exports, with instances spread out into paths.

use super::canonical::check_native_parameters;
use super::flatten::{Flattener, Func, InstanceIndex, Item};
use super::types::TypeValue;
use anyhow::{Context, Result};
use trampette_artifact::metadata::{Export, ExportItem};
use trampette_artifact::types::FuncType;
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};

/// What validation found as the type of something exported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Declared {
    /// The outermost component's own.
    Root,
    /// An instance of this type.
    Instance(ComponentInstanceTypeId),
    /// Something that has no exports.
    Other,
    /// It is not in the type: the type that is ascribed to its instance is narrower.
    Hidden,
}

impl<'p, 'a> Flattener<'p, 'a> {
    /// Fills the program's exports from those of the outermost instance.
    pub(super) fn export_all(&mut self, root: InstanceIndex) -> Result<()> {
        self.export_instance(root, &[], Declared::Root)
    }

    /// Exports what the type says that is ascribed to the instance, which may have more.
    fn export_instance(
        &mut self,
        instance: InstanceIndex,
        path: &[&'a str],
        declared: Declared,
    ) -> Result<()> {
        // Exporting changes no instance, so its items can be taken for the time being.
        let items = std::mem::take(&mut self.instances[instance]);
        for (name, item) in &items {
            let declared = self.declared(declared, name);
            if declared == Declared::Hidden {
                continue;
            }
            let mut path = path.to_vec();
            path.push(name);
            self.count_path(&path)?;
            self.export_item(*item, &path, declared)
                .with_context(|| format!("in the export `{}`", path.join("#")))?;
        }
        self.instances[instance] = items;
        Ok(())
    }

    /// The type of an export of something with that type.
    fn declared(&self, declared: Declared, name: &str) -> Declared {
        let Some(types) = self.types else {
            return Declared::Other;
        };
        let item = match declared {
            Declared::Root => types.as_ref().component_item_for_export(name),
            Declared::Instance(id) => types[id].exports.get(name),
            Declared::Other => return Declared::Other,
            Declared::Hidden => None,
        };
        match item.map(|item| item.ty) {
            Some(ComponentEntityType::Instance(id)) => Declared::Instance(id),
            Some(_) => Declared::Other,
            None => Declared::Hidden,
        }
    }

    fn export_item(
        &mut self,
        item: Item<'p, 'a>,
        path: &[&'a str],
        declared: Declared,
    ) -> Result<()> {
        let item = match item {
            Item::CoreModule(module) => ExportItem::CoreModule(module),
            Item::Func(Func::Lifted(lift)) => self.export_lifted(lift, path)?,
            Item::Func(Func::Imported(import)) => {
                check_native_parameters(&self.program.types, &self.import_types[import])?;
                self.program.imports[import].used = true;
                ExportItem::HostFunc(import)
            }
            Item::Func(Func::Intrinsic(_)) => {
                ExportItem::Other("an unsafe intrinsic, exported".to_string())
            }
            Item::Type(TypeValue::Resource(resource)) => ExportItem::Resource(resource),
            Item::Type(TypeValue::Value(ty)) => ExportItem::Type(ty),
            Item::Type(other) => ExportItem::Other(format!("a {}", other.kind())),
            Item::Component(_) => ExportItem::Other("a component".to_string()),
            Item::Instance(instance) => {
                self.push_export(ExportItem::Instance, path);
                return self.nested(|this| this.export_instance(instance, path, declared));
            }
        };
        self.push_export(item, path);
        Ok(())
    }

    fn export_lifted(&mut self, lift: usize, path: &[&'a str]) -> Result<ExportItem> {
        let offset = self.lift_offsets[lift];
        let mut lift = self.lifts[lift].clone();
        check_native_parameters(&self.program.types, &lift.ty)
            .with_context(|| format!("the function that is lifted at offset {offset:#x}"))?;
        lift.name = path.join("#");
        Ok(ExportItem::Function {
            ty: FuncType::clone(&lift.ty),
            post_return: lift.options.post_return.is_some(),
            id: self.program.lifts.push(lift),
        })
    }

    fn push_export(&mut self, item: ExportItem, path: &[&'a str]) {
        let path = path.iter().map(|name| name.to_string()).collect();
        self.program.exports.push(Export { path, item });
    }
}
