//! Source positions that survive inlining.
//!
//! Cranelift keeps one 32-bit [`SourceLoc`] an instruction, and its inliner drops even that. A
//! position of ours is the byte offset of an instruction in the component, and the inlined calls
//! around it. While a function has no inlined calls a `SourceLoc` is the offset itself; with the
//! highest bit set it is an index into the function's [`Positions`].

use crate::codegen::OFFSET_LIMIT;
use crate::program::compiled::CompiledFunction;
use cranelift_codegen::ir::SourceLoc;
use rustc_hash::FxHashMap;
use trampette_artifact::key::{FuncKey, SymbolKey};
use trampette_artifact::sites::Site;
use trampette_artifact::tables::InlinedCall;

/// Where an instruction comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Position {
    /// Byte offset in the component; `None` in trampolines.
    pub source: Option<u32>,
    /// The innermost inlined call around it: an index of the function's [`Positions`].
    pub inlined: Option<u32>,
}

/// An inlined call of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Call {
    callee: FuncKey,
    /// Where the call was.
    at: Position,
}

/// The positions of one function that no offset alone can express.
#[derive(Clone, Default, Debug)]
pub(crate) struct Positions {
    calls: Vec<Call>,
    positions: Vec<Position>,
    index: FxHashMap<Position, u32>,
}

impl Positions {
    /// What a location stands for.
    pub(crate) fn decode(&self, location: SourceLoc) -> Position {
        match location {
            location if location.is_default() => Position {
                source: None,
                inlined: None,
            },
            location if location.bits() < OFFSET_LIMIT => Position {
                source: Some(location.bits()),
                inlined: None,
            },
            location => self.positions[(location.bits() - OFFSET_LIMIT) as usize],
        }
    }

    /// The functions whose bodies stand around a position in the place of calls, innermost first.
    #[cfg(feature = "cli")]
    pub(crate) fn callees(&self, position: Position) -> Vec<FuncKey> {
        let mut callees = Vec::new();
        let mut next = position.inlined;
        while let Some(call) = next.and_then(|call| self.calls.get(call as usize)) {
            callees.push(call.callee);
            next = call.at.inlined;
        }
        callees
    }

    fn encode(&mut self, position: Position) -> SourceLoc {
        if position.inlined.is_none() {
            return position
                .source
                .map_or_else(SourceLoc::default, SourceLoc::new);
        }
        let next = self.positions.len() as u32;
        let index = *self.index.entry(position).or_insert(next);
        if index == next {
            self.positions.push(position);
        }
        SourceLoc::new(OFFSET_LIMIT + index)
    }

    /// Begins an inlined call of `callee`, at the location of the call. The result turns the
    /// callee's locations into this function's.
    pub(crate) fn inline<'p>(
        &'p mut self,
        callee: FuncKey,
        callee_positions: &'p Positions,
        call: SourceLoc,
    ) -> Inlining<'p> {
        let own = self.calls.len() as u32;
        self.calls.push(Call {
            callee,
            at: self.decode(call),
        });
        for nested in &callee_positions.calls {
            let at = nested_position(nested.at, own);
            self.calls.push(Call { at, ..*nested });
        }
        Inlining {
            caller: self,
            callee: callee_positions,
            own,
            known: FxHashMap::default(),
        }
    }

    /// Puts places on compiled code: gives each site its source and inlined call, and keeps the
    /// calls that sites name. `places` are the sites without sources, and their locations.
    pub(crate) fn put_on(&self, function: &mut CompiledFunction, places: &[(Site, SourceLoc)]) {
        let positions: Vec<Position> = places.iter().map(|(_, at)| self.decode(*at)).collect();
        let mut used = vec![false; self.calls.len()];
        for position in &positions {
            let mut next = position.inlined;
            while let Some(call) = next.filter(|call| !used[*call as usize]) {
                used[call as usize] = true;
                next = self.calls[call as usize].at.inlined;
            }
        }
        let mut kept = vec![0; self.calls.len()];
        for (index, call) in self.calls.iter().enumerate().filter(|(at, _)| used[*at]) {
            kept[index] = function.inlined.len() as u32;
            let (namespace, number) = SymbolKey::Func(call.callee).encode();
            function.inlined.push(InlinedCall {
                namespace,
                index: number,
                source: call.at.source.unwrap_or(InlinedCall::NO_SOURCE),
                parent: call
                    .at
                    .inlined
                    .map_or(0, |parent| kept[parent as usize] + 1),
            });
        }
        let sites = places
            .iter()
            .zip(positions)
            .map(|((site, _), position)| Site {
                source: position.source,
                inlined: position.inlined.map(|call| kept[call as usize]),
                ..*site
            });
        function.sites.extend(sites);
    }
}

/// A position in a callee as one of the caller, whose inlined call `own` it is part of.
fn nested_position(position: Position, own: u32) -> Position {
    Position {
        source: position.source,
        inlined: Some(position.inlined.map_or(own, |call| own + 1 + call)),
    }
}

/// Locations of one callee on their way into a caller.
pub(crate) struct Inlining<'p> {
    caller: &'p mut Positions,
    callee: &'p Positions,
    own: u32,
    known: FxHashMap<u32, SourceLoc>,
}

impl Inlining<'_> {
    /// The caller's location for one of the callee's.
    pub(crate) fn location(&mut self, location: SourceLoc) -> SourceLoc {
        let Inlining {
            caller,
            callee,
            own,
            known,
        } = self;
        *known
            .entry(location.bits())
            .or_insert_with(|| caller.encode(nested_position(callee.decode(location), *own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trampette_artifact::ids::{DefinedFunc, UnitId};

    fn function(index: u32) -> FuncKey {
        FuncKey::ModuleFunction(UnitId(0), DefinedFunc(index))
    }

    fn empty(key: FuncKey) -> CompiledFunction {
        CompiledFunction {
            key,
            code: Vec::new(),
            alignment: 1,
            relocations: Vec::new(),
            sites: Vec::new(),
            source_offsets: Vec::new(),
            inlined: Vec::new(),
            entries: Vec::new(),
            handlers: Vec::new(),
            unwind: None,
            listing: None,
            #[cfg(feature = "cli")]
            lines: Vec::new(),
        }
    }

    #[test]
    fn chains_of_inlined_calls_keep_their_places() {
        // 2 is inlined in 1, which is inlined twice in 0.
        let leaf = Positions::default();
        let mut middle = Positions::default();
        let in_middle = middle
            .inline(function(2), &leaf, SourceLoc::new(110))
            .location(SourceLoc::new(210));
        let mut outer = Positions::default();
        let mut first = outer.inline(function(1), &middle, SourceLoc::new(10));
        let _unused = first.location(SourceLoc::new(111));
        let mut second = outer.inline(function(1), &middle, SourceLoc::new(20));
        let (deep, shallow) = (
            second.location(in_middle),
            second.location(SourceLoc::new(112)),
        );
        let site = Site {
            offset: 0,
            trap: None,
            source: None,
            inlined: None,
        };
        let mut compiled = empty(function(0));
        let places = [deep, shallow, SourceLoc::new(30), SourceLoc::default()];
        outer.put_on(&mut compiled, &places.map(|at| (site, at)));
        let sites: Vec<_> = compiled
            .sites
            .iter()
            .map(|s| (s.source, s.inlined))
            .collect();
        assert_eq!(
            sites,
            [
                (Some(210), Some(1)),
                (Some(112), Some(0)),
                (Some(30), None),
                (None, None)
            ]
        );
        // The first call has no site left, and is not kept.
        let calls: Vec<_> = compiled
            .inlined
            .iter()
            .map(|c| (c.index, c.source, c.parent))
            .collect();
        let index = |key| SymbolKey::Func(key).encode().1;
        assert_eq!(
            calls,
            [(index(function(1)), 20, 0), (index(function(2)), 110, 1)]
        );
    }

    #[test]
    fn code_of_trampolines_has_a_place_in_the_chain_but_no_source() {
        let mut caller = Positions::default();
        let location = caller
            .inline(function(7), &Positions::default(), SourceLoc::new(5))
            .location(SourceLoc::default());
        assert!(!location.is_default());
        let position = caller.decode(location);
        assert_eq!((position.source, position.inlined), (None, Some(0)));
    }
}
