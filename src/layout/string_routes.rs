//! Between which memories, and in which encodings, adapters carry strings. What carries one is some
//! hundred bytes of code, so adapters share it.

use crate::program::{CanonicalOptions, Program, TrampolineKind, Waiting};
use indexmap::IndexSet;
use trampette_artifact::ids::StringRouteId;

/// From one guest to another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StringRoute {
    /// The guest that strings come from.
    pub from: CanonicalOptions,
    /// The guest that they go to.
    pub to: CanonicalOptions,
}

impl StringRoute {
    /// Without the options that do not matter; none if there is a guest that has no strings.
    fn new(from: &CanonicalOptions, to: &CanonicalOptions) -> Option<StringRoute> {
        from.memory?;
        to.memory?;
        to.realloc?;
        let from = CanonicalOptions {
            realloc: None,
            post_return: None,
            waiting: Waiting::Blocks,
            ..from.clone()
        };
        let to = CanonicalOptions {
            post_return: None,
            waiting: Waiting::Blocks,
            ..to.clone()
        };
        Some(StringRoute { from, to })
    }
}

/// All routes of a program, each once.
#[derive(Debug, Default)]
pub(crate) struct StringRoutes(IndexSet<StringRoute>);

impl StringRoutes {
    /// Those that the adapters of a program may take.
    pub(super) fn of(program: &Program<'_>) -> StringRoutes {
        let mut routes = IndexSet::new();
        for trampoline in &program.trampolines {
            if let TrampolineKind::Adapter { lift, options, .. } = &trampoline.kind {
                routes.extend(StringRoute::new(options, &lift.options));
                routes.extend(StringRoute::new(&lift.options, options));
            }
        }
        StringRoutes(routes)
    }

    /// The route between two guests, if an adapter may take it.
    pub(crate) fn find(
        &self,
        from: &CanonicalOptions,
        to: &CanonicalOptions,
    ) -> Option<StringRouteId> {
        let route = StringRoute::new(from, to)?;
        self.0.get_index_of(&route).map(StringRouteId::new)
    }

    /// A route.
    pub(crate) fn get(&self, id: StringRouteId) -> Option<&StringRoute> {
        self.0.get_index(id.index())
    }
}
