//! Whether a call is worth inlining.
//!
//! Sizes are weights of CLIF instructions before optimisation ([`size`]). A callee is worth it when
//! it is not larger than a limit:
//!
//! ```text
//! limit = (small + parameter × parameters + constant × constant arguments) × (loop if in a loop)
//! limit = max(limit, once)   if this is the only call, and nothing else needs the callee
//! ```
//!
//! Most modules come from a compiler that has inlined within them what it thought worth it, so a
//! call within one has a smaller factor for loops, and a smaller limit for only calls, than one
//! that crosses modules or components, which no compiler has seen as a whole before.
//!
//! A call is inlined while what a caller takes in stays within its budget.

use crate::options::{CompileOptions, Inline, OptLevel};
use cranelift_codegen::ir::{self, Opcode};

/// The numbers of the formula.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tunables {
    /// The size of what is always worth it: about that of the call that it replaces.
    pub small: u32,
    /// More for each parameter, which the call would move.
    pub parameter: u32,
    /// More for each argument that is a constant, and may fold something.
    pub constant: u32,
    /// Factor for calls in loops.
    pub in_loop: u32,
    /// The same for calls within a module.
    pub in_loop_within: u32,
    /// The size of what is worth it when no other call is left.
    pub once: u32,
    /// The same for calls within a module.
    pub once_within: u32,
    /// The size that a caller may take in beyond what it has itself.
    pub growth: u32,
    /// The size beyond which a caller takes in nothing: compile time is not linear in it.
    pub largest: u32,
}

impl Default for Tunables {
    fn default() -> Tunables {
        Tunables {
            small: 6,
            parameter: 2,
            constant: 3,
            in_loop: 5,
            in_loop_within: 2,
            once: 60,
            once_within: 30,
            growth: 600,
            largest: 20_000,
        }
    }
}

impl Tunables {
    /// How calls are inlined with those options; `None` if none is.
    pub(crate) fn of(options: &CompileOptions) -> Option<Tunables> {
        let wanted = options.inline == Inline::Worthwhile && options.opt_level != OptLevel::None;
        wanted.then(Tunables::default)
    }
}

/// What is known of all calls of a function before any is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callers {
    /// Whether a single call names it, and nothing else needs it.
    pub only: bool,
    /// Whether they all are in functions of its module.
    pub within_module: bool,
}

/// A call that could be inlined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallSite {
    /// The callee's size.
    pub size: u32,
    /// Its parameters, without the context.
    pub parameters: u32,
    /// How many arguments are constants.
    pub constants: u32,
    /// Whether the call is in a loop of the caller.
    pub in_loop: bool,
    /// Whether the callee is gone when this call is.
    pub only: bool,
    /// Whether caller and callee are functions of one module.
    pub within_module: bool,
}

impl Tunables {
    /// Whether any call could take in the callee: others are compiled at once.
    pub(crate) fn may_be_worth(&self, size: u32, parameters: u32, callers: Callers) -> bool {
        let best = CallSite {
            size,
            parameters,
            constants: parameters,
            in_loop: true,
            only: callers.only,
            within_module: callers.within_module,
        };
        size <= self.limit(&best)
    }

    fn limit(&self, site: &CallSite) -> u32 {
        let base = self.small + self.parameter * site.parameters + self.constant * site.constants;
        let (in_loop, once) = match site.within_module {
            true => (self.in_loop_within, self.once_within),
            false => (self.in_loop, self.once),
        };
        let limit = if site.in_loop { base * in_loop } else { base };
        if site.only { limit.max(once) } else { limit }
    }

    /// Whether a call is worth it, in a caller of `caller_size` that took in `taken` already.
    pub(crate) fn is_worth(&self, site: &CallSite, caller_size: u32, taken: u32) -> bool {
        site.size <= self.limit(site)
            && taken + site.size <= self.growth.max(caller_size)
            && caller_size + taken + site.size <= self.largest
    }
}

/// The size of a function: what its instructions weigh. Constants and jumps are free, a call weighs
/// as much as its arguments make it.
pub(crate) fn size(func: &ir::Function) -> u32 {
    let blocks = func.layout.blocks();
    let insts = blocks.flat_map(|block| func.layout.block_insts(block));
    insts.map(|inst| weight(func, inst)).sum()
}

fn weight(func: &ir::Function, inst: ir::Inst) -> u32 {
    match func.dfg.insts[inst].opcode() {
        Opcode::Iconst
        | Opcode::F32const
        | Opcode::F64const
        | Opcode::Jump
        | Opcode::Nop
        | Opcode::Return
        | Opcode::Uextend
        | Opcode::Ireduce
        | Opcode::SymbolValue => 0,
        opcode if opcode.is_call() => 3 + func.dfg.inst_args(inst).len() as u32,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_constants_and_last_calls_raise_the_limit() {
        let tunables = Tunables::default();
        let site = CallSite {
            size: 10,
            parameters: 2,
            constants: 0,
            in_loop: false,
            only: false,
            within_module: false,
        };
        let worth = |site: CallSite| tunables.is_worth(&site, 100, 0);
        assert!(worth(site));
        assert!(!worth(CallSite { size: 11, ..site }));
        assert!(worth(CallSite {
            size: 13,
            constants: 1,
            ..site
        }));
        assert!(worth(CallSite {
            size: 50,
            in_loop: true,
            ..site
        }));
        assert!(worth(CallSite {
            size: 60,
            only: true,
            ..site
        }));
        assert!(!worth(CallSite {
            size: 61,
            only: true,
            ..site
        }));
        let within = CallSite {
            within_module: true,
            ..site
        };
        assert!(worth(within));
        assert!(worth(CallSite {
            size: 20,
            in_loop: true,
            ..within
        }));
        assert!(!worth(CallSite {
            size: 21,
            in_loop: true,
            ..within
        }));
        assert!(worth(CallSite {
            size: 30,
            only: true,
            ..within
        }));
        assert!(!worth(CallSite {
            size: 31,
            only: true,
            ..within
        }));
    }

    #[test]
    fn a_caller_has_a_budget() {
        let tunables = Tunables::default();
        let site = CallSite {
            size: 6,
            parameters: 0,
            constants: 0,
            in_loop: false,
            only: false,
            within_module: false,
        };
        assert!(tunables.is_worth(&site, 100, tunables.growth - 6));
        assert!(!tunables.is_worth(&site, 100, tunables.growth - 5));
        assert!(!tunables.is_worth(&site, tunables.largest, 0));
    }
}
