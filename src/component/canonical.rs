//! `canon` definitions: what is lifted becomes a [`LiftedFunction`], everything else a
//! [`Trampoline`]. (CanonicalABI.md, *Canonical Definitions* and *Flattening*.)

use super::flatten::{Flattener, Func, ScopeIndex, entry};
use crate::program::module::{CoreSignature, CoreType};
use crate::program::{
    CanonicalOptions, ConcurrentBuiltIn, CoreFunc, ErrorContextBuiltIn, LiftedFunction, Program,
    StringEncoding, Trampoline, TrampolineKind, Waiting, flatten,
};
use anyhow::{Context, Result, bail, ensure};
use trampette_artifact::canonical::{self, PointerWidth};
use trampette_artifact::ids::*;
use trampette_artifact::native;
use trampette_artifact::types::{FuncType, TypeTable};
use wasmparser::{CanonicalFunction, CanonicalOption};

/// What makes two trampolines the same: the same work for the same component instance.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum TrampolineIdentity {
    LowerImport(ImportId, CanonicalOptions),
    /// The lifted function, by its index among all.
    Adapter(usize, CanonicalOptions),
    ResourceNew(ResourceId, ComponentInstanceId),
    ResourceRep(ResourceId, ComponentInstanceId),
    ResourceDrop(ResourceId, ComponentInstanceId),
    ErrorContext(ErrorContextBuiltIn, CanonicalOptions),
    Concurrent(ConcurrentBuiltIn, CanonicalOptions),
}

impl CanonicalOptions {
    /// The width of addresses: the memory's, or 32 bits where no address occurs.
    pub(crate) fn width(&self) -> PointerWidth {
        self.memory.map_or(PointerWidth::P32, |(_, width)| width)
    }
}

impl<'p, 'a> Flattener<'p, 'a> {
    /// Interprets a `canon` definition.
    pub(super) fn canonical(
        &mut self,
        scope: ScopeIndex,
        function: &CanonicalFunction,
    ) -> Result<()> {
        let instance = self.scopes[scope].component_instance;
        let func = match function {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let lift = self.lift(scope, *core_func_index, *type_index, options)?;
                self.lifts.push(lift);
                self.lift_offsets.push(self.offset);
                let func = Func::Lifted(self.lifts.len() - 1);
                self.scopes[scope].funcs.push(func);
                return Ok(());
            }
            CanonicalFunction::Lower {
                func_index,
                options,
            } => {
                let func = entry(&self.scopes[scope].funcs, *func_index, "function")?;
                self.lower(scope, func, options)?
            }
            CanonicalFunction::ResourceNew { resource } => {
                let resource = self.resource_at(scope, *resource)?;
                self.trampoline(
                    TrampolineIdentity::ResourceNew(resource, instance),
                    i32s(1, 1),
                    |_| TrampolineKind::ResourceNew { resource, instance },
                )
            }
            CanonicalFunction::ResourceRep { resource } => {
                let resource = self.resource_at(scope, *resource)?;
                self.trampoline(
                    TrampolineIdentity::ResourceRep(resource, instance),
                    i32s(1, 1),
                    |_| TrampolineKind::ResourceRep { resource, instance },
                )
            }
            CanonicalFunction::ResourceDrop { resource } => {
                let resource = self.resource_at(scope, *resource)?;
                self.trampoline(
                    TrampolineIdentity::ResourceDrop(resource, instance),
                    i32s(1, 0),
                    |_| TrampolineKind::ResourceDrop { resource, instance },
                )
            }
            CanonicalFunction::ErrorContextNew { options } => {
                let options = self.options(scope, options)?;
                self.error_context(ErrorContextBuiltIn::New, options)
            }
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                let options = self.options(scope, options)?;
                self.error_context(ErrorContextBuiltIn::DebugMessage, options)
            }
            CanonicalFunction::ErrorContextDrop => {
                let options = self.options(scope, &[])?;
                self.error_context(ErrorContextBuiltIn::Drop, options)
            }
            other => self.concurrent(scope, other)?,
        };
        self.scopes[scope].core_funcs.push(func);
        Ok(())
    }

    fn error_context(
        &mut self,
        built_in: ErrorContextBuiltIn,
        options: CanonicalOptions,
    ) -> CoreFunc {
        let pointer = CoreType::pointer(options.width());
        let (params, results) = match built_in {
            ErrorContextBuiltIn::New => (vec![pointer; 2], vec![CoreType::I32]),
            ErrorContextBuiltIn::DebugMessage => (vec![CoreType::I32, pointer], Vec::new()),
            ErrorContextBuiltIn::Drop => (vec![CoreType::I32], Vec::new()),
        };
        let signature = CoreSignature {
            params: params.into(),
            results: results.into(),
        };
        self.trampoline(
            TrampolineIdentity::ErrorContext(built_in, options.clone()),
            signature,
            |_| TrampolineKind::ErrorContext { built_in, options },
        )
    }

    fn lift(
        &mut self,
        scope: ScopeIndex,
        core_func: u32,
        ty: u32,
        options: &[CanonicalOption],
    ) -> Result<LiftedFunction> {
        let func = entry(&self.scopes[scope].core_funcs, core_func, "core function")?;
        let ty = self.func_type_at(scope, ty)?;
        let options = self.options(scope, options)?;
        ensure!(
            ty.is_async || !options.waiting.is_async(),
            "the canonical option `async` needs a function of an `async` type"
        );
        let class = flatten::return_class(&self.program.types, ty.result, &options);
        self.program.return_classes.insert(class);
        let program = &self.program;
        check_parameters(&program.types, &ty, options.width())
            .with_context(|| format!("cannot lift core function {core_func}"))?;
        let expected = flatten::lifted(&program.types, &ty, options.width(), options.waiting);
        let actual = program.signature(func)?;
        ensure!(
            actual == expected,
            "a core function of type {expected} is needed to lift {}, but core function \
             {core_func} has the type {actual}",
            program.types.display_func(&ty)
        );
        if let Some(post_return) = options.post_return {
            let actual = program.signature(post_return)?;
            ensure!(
                actual == expected.post_return(),
                "the post-return function must take the results of {expected}, but it has the \
                 type {actual}"
            );
        }
        Ok(LiftedFunction {
            func,
            signature: expected,
            ty,
            options,
            name: String::new(),
        })
    }

    fn lower(
        &mut self,
        scope: ScopeIndex,
        func: Func,
        options: &[CanonicalOption],
    ) -> Result<CoreFunc> {
        let options = self.options(scope, options)?;
        let ty = match func {
            Func::Intrinsic(intrinsic) => return Ok(CoreFunc::Intrinsic(intrinsic)),
            Func::Imported(import) => self.import_types[import].clone(),
            Func::Lifted(lift) => self.lifts[lift].ty.clone(),
        };
        let types = &self.program.types;
        let name = || match func {
            Func::Imported(import) => self.program.imports[import].path.join("#"),
            _ => types.display_func(&ty),
        };
        check_parameters(types, &ty, options.width())
            .and_then(|()| match func {
                Func::Imported(_) => check_native_parameters(types, &ty),
                _ => Ok(()),
            })
            .with_context(|| format!("cannot lower `{}`", name()))?;
        let signature = flatten::lowered(types, &ty, options.width(), options.waiting);
        Ok(match func {
            Func::Imported(import) => {
                self.program.imports[import].used = true;
                self.trampoline(
                    TrampolineIdentity::LowerImport(import, options.clone()),
                    signature,
                    |_| TrampolineKind::LowerImport {
                        import,
                        ty,
                        options,
                    },
                )
            }
            Func::Lifted(lift) => self.trampoline(
                TrampolineIdentity::Adapter(lift, options.clone()),
                signature,
                |this| TrampolineKind::Adapter {
                    lift: this.lifts[lift].clone(),
                    ty,
                    options,
                },
            ),
            Func::Intrinsic(intrinsic) => CoreFunc::Intrinsic(intrinsic),
        })
    }

    /// The trampoline of that identity, made if it is the first.
    pub(super) fn trampoline(
        &mut self,
        identity: TrampolineIdentity,
        signature: CoreSignature,
        kind: impl FnOnce(&Self) -> TrampolineKind,
    ) -> CoreFunc {
        if let Some(id) = self.trampolines.get(&identity) {
            return CoreFunc::Trampoline(*id);
        }
        let kind = kind(self);
        let trampoline = Trampoline { kind, signature };
        let id = self.program.trampolines.push(trampoline);
        self.trampolines.insert(identity, id);
        CoreFunc::Trampoline(id)
    }

    pub(super) fn options(
        &self,
        scope: ScopeIndex,
        options: &[CanonicalOption],
    ) -> Result<CanonicalOptions> {
        let scope = &self.scopes[scope];
        let core_func = |index: u32| entry(&scope.core_funcs, index, "core function");
        let mut result = CanonicalOptions {
            instance: scope.component_instance,
            encoding: StringEncoding::Utf8,
            memory: None,
            realloc: None,
            post_return: None,
            waiting: Waiting::Blocks,
        };
        for option in options {
            match option {
                CanonicalOption::UTF8 => result.encoding = StringEncoding::Utf8,
                CanonicalOption::UTF16 => result.encoding = StringEncoding::Utf16,
                CanonicalOption::CompactUTF16 => result.encoding = StringEncoding::Latin1OrUtf16,
                CanonicalOption::Memory(index) => {
                    let memory = entry(&scope.core_memories, *index, "core memory")?;
                    result.memory = Some((memory, self.program.memory_width(memory)?));
                }
                CanonicalOption::Realloc(index) => result.realloc = Some(core_func(*index)?),
                CanonicalOption::PostReturn(index) => {
                    result.post_return = Some(core_func(*index)?);
                }
                // `callback` comes with `async`, in any order.
                CanonicalOption::Async if result.waiting == Waiting::Blocks => {
                    result.waiting = Waiting::Async;
                }
                CanonicalOption::Async => {}
                CanonicalOption::Callback(index) => {
                    result.waiting = Waiting::Callback(core_func(*index)?);
                }
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    bail!("the canonical options of garbage collection are not supported")
                }
            }
        }
        if let Some(realloc) = result.realloc {
            check_realloc(&self.program, realloc, result.width())?;
        }
        if let Waiting::Callback(callback) = result.waiting {
            let actual = self.program.signature(callback)?;
            ensure!(
                actual == i32s(3, 1),
                "the callback must have the type {}, but it has {actual}",
                i32s(3, 1)
            );
        }
        Ok(result)
    }
}

/// Refuses parameters that no memory can hold. (Validation bounds each, and results are one value.)
fn check_parameters(types: &TypeTable, ty: &FuncType, width: PointerWidth) -> Result<()> {
    let params = ty.params.iter().map(|param| param.ty);
    let size = canonical::record_layout(types, params, width).0.size;
    ensure!(
        size <= width.most_bytes(),
        "the parameters take {size} bytes together, more than a memory with {}-bit addresses holds",
        8 * width.bytes()
    );
    Ok(())
}

/// Refuses parameters that are more than the host exchanges in one struct.
pub(super) fn check_native_parameters(types: &TypeTable, ty: &FuncType) -> Result<()> {
    let params = ty.params.iter().map(|param| param.ty);
    let size = native::record_layout(types, params).0.size;
    ensure!(
        size < native::MAX_STRUCT_SIZE,
        "the parameters take {size} bytes together; the host exchanges fewer than {}",
        native::MAX_STRUCT_SIZE
    );
    Ok(())
}

fn check_realloc(program: &Program<'_>, realloc: CoreFunc, width: PointerWidth) -> Result<()> {
    let expected = CoreSignature::realloc(width);
    let actual = program.signature(realloc)?;
    ensure!(
        actual == expected,
        "the realloc function must have the type {expected}, but it has {actual}"
    );
    Ok(())
}

/// So many parameters and results of type `i32`.
pub(super) fn i32s(params: usize, results: usize) -> CoreSignature {
    CoreSignature {
        params: vec![CoreType::I32; params].into(),
        results: vec![CoreType::I32; results].into(),
    }
}
