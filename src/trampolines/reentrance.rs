//! Which component instances a call enters, and their `may_enter` flags
//! (CanonicalABI.md, *Component Instances*).
//!
//! Calls from the host are covered by the `entry_sp` of slab 0's root, which the native entries
//! keep: it stands for the flag of the component itself. What is left are child instances, and of
//! those only the children of an instance that can call back into its children: a child is
//! re-entered only through a parent that calls between components ("donut wrapping"). All other
//! flags are never read, and so never written.

use crate::codegen::emitter::Emitter;
use crate::program::{Program, TrampolineKind};
use cranelift_codegen::ir::{InstBuilder, types};
use std::mem::offset_of;
use trampette_artifact::ids::ComponentInstanceId;
use trampette_artifact::layout::{InstanceState, RootOffset};
use trampette_artifact::metadata::Resource;
use trampette_artifact::trap::TrapCode;

/// Where a component instance's flags are in slab 0's root.
pub(crate) fn flags_field(e: &Emitter<'_, '_>, instance: ComponentInstanceId) -> RootOffset {
    let state = e.session.layout.root.instance(instance);
    RootOffset(state.0 + offset_of!(InstanceState, flags) as u32)
}

/// Raises [`TrapCode::CannotLeave`] if the instance may not call canonical built-ins now.
pub(crate) fn check_may_leave(e: &mut Emitter<'_, '_>, instance: ComponentInstanceId) {
    if !e.session.layout.leaving_is_observable(instance) {
        return;
    }
    let field = flags_field(e, instance);
    let flags = e.load_root(types::I32, field);
    let bit = e.i32(InstanceState::MAY_LEAVE);
    let may = e.builder.ins().band(flags, bit);
    let may_not = e.builder.ins().bxor(may, bit);
    e.trap_if(may_not, TrapCode::CannotLeave, None);
}

/// The instances whose flags a call must test, clear and set again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Crossing {
    entering: Vec<ComponentInstanceId>,
}

impl Crossing {
    /// The crossing of a call from `caller` (the host: `None`) to a function that `callee` lifts.
    pub(crate) fn new(
        program: &Program<'_>,
        caller: Option<ComponentInstanceId>,
        callee: ComponentInstanceId,
    ) -> Crossing {
        let inside: Vec<_> = caller
            .map(|caller| self_and_ancestors(program, caller).collect())
            .unwrap_or_default();
        let entering = self_and_ancestors(program, callee)
            .filter(|instance| !inside.contains(instance))
            .filter(|instance| flag_is_observable(program, *instance))
            .collect();
        Crossing { entering }
    }

    /// Raises `code` if one of the instances may not be entered.
    pub(crate) fn check(&self, e: &mut Emitter<'_, '_>, code: TrapCode) {
        for instance in &self.entering {
            let field = flags_field(e, *instance);
            let flags = e.load_root(types::I32, field);
            let bit = e.i32(InstanceState::MAY_ENTER);
            let may = e.builder.ins().band(flags, bit);
            let may_not = e.builder.ins().bxor(may, bit);
            e.trap_if(may_not, code, None);
        }
    }

    /// [`Crossing::check`], then marks the instances as entered.
    pub(crate) fn enter(&self, e: &mut Emitter<'_, '_>, code: TrapCode) {
        self.check(e, code);
        for instance in &self.entering {
            let field = flags_field(e, *instance);
            let flags = e.load_root(types::I32, field);
            let others = e.i32(!InstanceState::MAY_ENTER);
            let flags = e.builder.ins().band(flags, others);
            e.store_root(flags, field);
        }
    }

    /// Marks the instances as left, on normal return. A trap leaves them entered: it locks the whole
    /// component.
    pub(crate) fn leave(&self, e: &mut Emitter<'_, '_>) {
        for instance in &self.entering {
            let field = flags_field(e, *instance);
            let flags = e.load_root(types::I32, field);
            let bit = e.i32(InstanceState::MAY_ENTER);
            let flags = e.builder.ins().bor(flags, bit);
            e.store_root(flags, field);
        }
    }
}

fn self_and_ancestors<'p>(
    program: &'p Program<'_>,
    instance: ComponentInstanceId,
) -> impl Iterator<Item = ComponentInstanceId> + 'p {
    std::iter::successors(Some(instance), |instance| {
        program.component_instances[instance.index()].parent
    })
}

/// Whether `outer` is `inner` or one of its ancestors.
pub(crate) fn contains(
    program: &Program<'_>,
    outer: ComponentInstanceId,
    inner: ComponentInstanceId,
) -> bool {
    self_and_ancestors(program, inner).any(|instance| instance == outer)
}

/// Whether code of the instance can run while a call from it to an instance inside it is under way:
/// something inside calls it back.
pub(crate) fn can_be_reentered(program: &Program<'_>, instance: ComponentInstanceId) -> bool {
    program.trampolines.iter().any(|trampoline| {
        let (caller, callee) = match &trampoline.kind {
            TrampolineKind::Adapter { lift, options, .. } => {
                (options.instance, lift.options.instance)
            }
            TrampolineKind::ResourceDrop { resource, instance } => {
                let definition = &program.resources[resource.index()];
                match definition.info {
                    Resource::Defined {
                        instance: definer, ..
                    } if definition.destructor.is_some() => (*instance, definer),
                    _ => return false,
                }
            }
            _ => return false,
        };
        callee == instance && caller != instance && contains(program, instance, caller)
    })
}

/// Whether anything can find the instance's `may_enter` cleared, other than the host.
fn flag_is_observable(program: &Program<'_>, instance: ComponentInstanceId) -> bool {
    let Some(parent) = program.component_instances[instance.index()].parent else {
        return false;
    };
    program.trampolines.iter().any(|trampoline| {
        let caller = match &trampoline.kind {
            TrampolineKind::Adapter { options, .. } => options.instance,
            // The destructor may be a child's.
            TrampolineKind::ResourceDrop { resource, instance } => {
                match program.resources[resource.index()].info {
                    Resource::Defined {
                        instance: definer, ..
                    } if definer != *instance => *instance,
                    _ => return false,
                }
            }
            _ => return false,
        };
        caller == parent
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trampolines::testing::{CHILD, PARENT, program};

    #[test]
    fn only_children_of_a_calling_parent_have_flags() {
        let mut program = program();
        let entering =
            |program: &Program<'_>, caller, callee| Crossing::new(program, caller, callee).entering;
        // From the host: the lock covers the component itself, the child's flag is its own.
        assert_eq!(entering(&program, None, CHILD), [CHILD]);
        assert_eq!(entering(&program, None, PARENT), []);
        // Down into the child, up into the parent, and staying.
        assert_eq!(entering(&program, Some(PARENT), CHILD), [CHILD]);
        assert_eq!(entering(&program, Some(CHILD), PARENT), []);
        assert_eq!(entering(&program, Some(CHILD), CHILD), []);
        // A parent that never calls between components cannot re-enter its child.
        program.trampolines.truncate(3);
        assert!(Crossing::new(&program, None, CHILD).entering.is_empty());
    }
}
