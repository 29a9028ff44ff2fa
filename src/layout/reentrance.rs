//! Which component instances can run again while a call that they have made is under way
//! (Concurrency.md, *Reentrance*).
//!
//! The host cannot call back: the record of an entry locks the whole component. What is left are
//! calls between component instances, which a parent wires together: adapters, and the destructors
//! that `resource.drop` calls. They are the edges of a graph, and an instance runs again during a
//! call if the callee reaches it there. `realloc` and post-return functions leave no instance, so
//! they add no edges.
//!
//! Where nothing can run again, no code keeps track of what only a re-entrant call could see: see
//! `trampolines/adapter.rs` for lends, `trampolines/borrows.rs` for borrowed handles.

use super::strong_components::strongly_connected;
use crate::program::{Program, TrampolineKind};
use trampette_artifact::ids::{ComponentInstanceId, IdVec};
use trampette_artifact::metadata::Resource;

/// Who may call back whom. What is not known is taken to be called back.
#[derive(Debug, Default)]
pub(crate) struct Reentrance {
    /// The strongly connected component of each component instance in the graph of calls.
    groups: IdVec<ComponentInstanceId, u32>,
    /// Whether an adapter into each component instance has its caller in the same group.
    called_back: IdVec<ComponentInstanceId, bool>,
    /// The same, of adapters and drops that call destructors.
    entered_again: IdVec<ComponentInstanceId, bool>,
}

impl Reentrance {
    /// Finds it out for a program.
    pub(crate) fn of(program: &Program<'_>) -> Reentrance {
        let count = program.component_instances.len();
        let mut callees = vec![Vec::new(); count];
        for trampoline in &program.trampolines {
            if let Some((caller, callee)) = call(program, &trampoline.kind) {
                callees[caller.index()].push(callee.index());
            }
        }
        for callees in &mut callees {
            callees.sort_unstable();
            callees.dedup();
        }
        let groups: IdVec<ComponentInstanceId, u32> =
            strongly_connected(count, |instance| &callees[instance]).into();
        let mut called_back: IdVec<_, _> = vec![false; count].into();
        let mut entered_again = called_back.clone();
        for trampoline in &program.trampolines {
            if let Some((caller, callee)) = call(program, &trampoline.kind) {
                let is_again = groups[caller] == groups[callee];
                entered_again[callee] |= is_again;
                if let TrampolineKind::Adapter { .. } = trampoline.kind {
                    called_back[callee] |= is_again;
                }
            }
        }
        Reentrance {
            groups,
            called_back,
            entered_again,
        }
    }

    /// Whether code of `caller` can run during a call from it to `callee`.
    pub(crate) fn can_call_back(
        &self,
        caller: ComponentInstanceId,
        callee: ComponentInstanceId,
    ) -> bool {
        self.groups.get(caller) == self.groups.get(callee)
    }

    /// Whether a lifted function of an instance can be called while another one waits.
    pub(crate) fn is_called_back(&self, instance: ComponentInstanceId) -> bool {
        let called_back = self.called_back.get(instance);
        called_back.copied().unwrap_or(true)
    }

    /// The same of lifted functions and destructors.
    pub(crate) fn is_entered_again(&self, instance: ComponentInstanceId) -> bool {
        let entered_again = self.entered_again.get(instance);
        entered_again.copied().unwrap_or(true)
    }
}

/// The call between component instances that a trampoline makes: from where, and to where.
fn call(
    program: &Program<'_>,
    kind: &TrampolineKind,
) -> Option<(ComponentInstanceId, ComponentInstanceId)> {
    match kind {
        TrampolineKind::Adapter { lift, options, .. } => {
            Some((options.instance, lift.options.instance))
        }
        TrampolineKind::ResourceDrop { resource, instance } => {
            let definition = program.resources.get(*resource)?;
            definition.destructor?;
            match definition.info {
                Resource::Defined {
                    instance: definer, ..
                } => Some((*instance, definer)),
                Resource::Imported { .. } => None,
            }
        }
        TrampolineKind::LowerImport { .. }
        | TrampolineKind::ErrorContext { .. }
        | TrampolineKind::Concurrent { .. }
        | TrampolineKind::ResourceNew { .. }
        | TrampolineKind::ResourceRep { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::module::CoreSignature;
    use crate::program::{
        CanonicalOptions, ComponentInstance, CoreFunc, LiftedFunction, ResourceDefinition,
        StringEncoding, Trampoline,
    };
    use std::sync::Arc;
    use trampette_artifact::ids::{CoreInstanceId, DefinedFunc, ResourceId};
    use trampette_artifact::types::FuncType;

    const A: ComponentInstanceId = ComponentInstanceId(0);
    const B: ComponentInstanceId = ComponentInstanceId(1);
    const C: ComponentInstanceId = ComponentInstanceId(2);

    /// Defined by `A`, with a destructor.
    const DESTROYED: ResourceId = ResourceId(0);
    /// Defined by `A`, without one.
    const PLAIN: ResourceId = ResourceId(1);

    fn adapter(caller: ComponentInstanceId, callee: ComponentInstanceId) -> TrampolineKind {
        let ty = Arc::new(FuncType {
            params: Vec::new(),
            result: None,
            is_async: false,
        });
        let options = |instance| CanonicalOptions {
            instance,
            encoding: StringEncoding::Utf8,
            memory: None,
            realloc: None,
            post_return: None,
            waiting: crate::program::Waiting::Blocks,
        };
        TrampolineKind::Adapter {
            lift: LiftedFunction {
                func: CoreFunc::Module(CoreInstanceId(0), DefinedFunc(0)),
                signature: CoreSignature::default(),
                ty: ty.clone(),
                options: options(callee),
                name: String::new(),
            },
            ty,
            options: options(caller),
        }
    }

    fn drop_of(resource: ResourceId, instance: ComponentInstanceId) -> TrampolineKind {
        TrampolineKind::ResourceDrop { resource, instance }
    }

    /// What is found in a program of three instances with these trampolines.
    fn of(kinds: impl IntoIterator<Item = TrampolineKind>) -> Reentrance {
        let destructor = CoreFunc::Module(CoreInstanceId(0), DefinedFunc(1));
        let resource = |destructor: Option<CoreFunc>| ResourceDefinition {
            info: Resource::Defined {
                instance: A,
                has_destructor: destructor.is_some(),
                name: String::new(),
            },
            destructor,
        };
        let trampoline = |kind| Trampoline {
            kind,
            signature: CoreSignature::default(),
        };
        Reentrance::of(&Program {
            component_instances: vec![ComponentInstance::default(); 3].into(),
            resources: vec![resource(Some(destructor)), resource(None)].into(),
            trampolines: kinds.into_iter().map(trampoline).collect(),
            ..Program::default()
        })
    }

    #[test]
    fn calls_in_one_direction_are_not_called_back() {
        let found = of([adapter(A, B), adapter(B, C), adapter(A, C)]);
        for (caller, callee) in [(A, B), (B, C), (A, C)] {
            assert!(!found.can_call_back(caller, callee));
        }
        assert!([A, B, C].iter().all(|at| !found.is_called_back(*at)));
    }

    #[test]
    fn a_cycle_of_adapters_calls_everyone_on_it_back() {
        let found = of([adapter(A, B), adapter(B, A), adapter(B, C)]);
        assert!(found.can_call_back(A, B) && found.can_call_back(B, A));
        assert!(found.is_called_back(A) && found.is_called_back(B));
        // Off the cycle: a call from there to `C` ends before anything runs again.
        assert!(!found.can_call_back(B, C) && !found.is_called_back(C));

        let found = of([adapter(A, B), adapter(B, C), adapter(C, A)]);
        assert!(found.can_call_back(A, B) && found.can_call_back(C, A));
        assert!([A, B, C].iter().all(|at| found.is_called_back(*at)));
    }

    #[test]
    fn a_destructor_closes_a_cycle() {
        let found = of([adapter(A, B), drop_of(DESTROYED, B)]);
        assert!(found.can_call_back(A, B));
        // What runs again in `A` is a destructor, to which nothing is lent; it can call `B` again.
        assert!(!found.is_called_back(A) && found.is_called_back(B));
        assert!(found.is_entered_again(A) && found.is_entered_again(B));
        // Without a destructor nothing runs; and who drops what it defines calls only itself.
        for (kind, again) in [(drop_of(PLAIN, B), false), (drop_of(DESTROYED, A), true)] {
            let found = of([adapter(A, B), kind]);
            assert!(!found.can_call_back(A, B));
            assert!(!found.is_called_back(A) && !found.is_called_back(B));
            assert_eq!(found.is_entered_again(A), again);
            assert!(!found.is_entered_again(B));
        }
    }

    #[test]
    fn a_call_of_oneself_is_a_cycle() {
        let found = of([adapter(A, A), adapter(A, B)]);
        assert!(found.can_call_back(A, A) && found.is_called_back(A));
        assert!(!found.can_call_back(A, B) && !found.is_called_back(B));
    }

    #[test]
    fn what_is_not_known_is_called_back() {
        let found = Reentrance::default();
        assert!(found.can_call_back(A, B) && found.is_called_back(A));
    }
}
