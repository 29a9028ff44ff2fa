//! Values of random types go through compiled components and come back equal: from the host to a
//! guest and back, through an import of the host, and from one guest to another, with every string
//! encoding and pointer width; around circles of guests too, which are called while they wait.
//! Values that are corrupted in memory trap as the Canonical ABI says, and so do handles in random
//! graphs of guests that call each other back.
//!
//! `TRAMPETTE_PROPERTY_CASES` is about how many pairs of type and value each test tries,
//! `TRAMPETTE_PROPERTY_SEED` where the random numbers start. A failure says the seed of its
//! component.

#[path = "property/allocations.rs"]
mod allocations;
#[path = "property/circle.rs"]
mod circle;
#[path = "property/flat.rs"]
mod flat;
#[path = "property/graphs.rs"]
mod graphs;
#[path = "property/guest.rs"]
mod guest;
#[path = "property/hostile.rs"]
mod hostile;
#[path = "property/image.rs"]
mod image;
#[path = "property/model.rs"]
mod model;
#[path = "property/random.rs"]
mod random;
#[path = "property/types.rs"]
mod types;

use anyhow::{Context, Result, ensure};
use graphs::Graph;
use guest::{Abi, Body, Function, Guest, composition};
use hostile::{Realloc, Way, instantiate};
use random::Random;
use trampette::CompileOptions;
use trampette::options::OptLevel;
use trampette_runtime::{Component, Store, Val};
use types::Ty;

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |text| text.parse().expect("a number"))
}

/// Pairs of type and value in one test that has that share, in percent, of all of them.
fn cases(share: usize) -> usize {
    setting("TRAMPETTE_PROPERTY_CASES", 600) * share / 100
}

/// Compiles a component in the text format.
fn compile(text: &str) -> Result<Component> {
    compile_at(OptLevel::Speed, text)
}

fn compile_at(opt_level: OptLevel, text: &str) -> Result<Component> {
    let options = CompileOptions {
        opt_level,
        ..CompileOptions::default()
    };
    let artifact = trampette::compile_component(&wat::parse_str(text)?, &options)?;
    artifact.load()
}

/// Whether both are the same value; NaNs are all equal.
fn same(a: &Val, b: &Val) -> bool {
    let boxed = |a: &Option<Box<Val>>, b: &Option<Box<Val>>| match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let all = |a: &[Val], b: &[Val]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (a, b) {
        (Val::Float32(a), Val::Float32(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Val::Float64(a), Val::Float64(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Val::List(a), Val::List(b)) | (Val::Tuple(a), Val::Tuple(b)) => all(a, b),
        (Val::Map(a), Val::Map(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        (Val::Record(a), Val::Record(b)) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
        }
        (Val::Variant(a, x), Val::Variant(b, y)) => a == b && boxed(x, y),
        (Val::Option(a), Val::Option(b)) => boxed(a, b),
        (Val::Result(Ok(a)), Val::Result(Ok(b))) => boxed(a, b),
        (Val::Result(Err(a)), Val::Result(Err(b))) => boxed(a, b),
        _ => a == b,
    }
}

/// Makes the type one that is passed in memory: around it are fields that fill the registers.
fn spilled(ty: Ty) -> Ty {
    let mut fields = vec![Ty::U8, ty];
    fields.extend(std::iter::repeat_n(Ty::U8, 16));
    Ty::Tuple(fields)
}

/// Random types, some of them spilled.
fn random_types(random: &mut Random, count: usize) -> Vec<Ty> {
    let one = |random: &mut Random| match (random.ty(), random.percent(30)) {
        (ty, true) => spilled(ty),
        (ty, false) => ty,
    };
    (0..count).map(|_| one(random)).collect()
}

/// How values travel.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// Host to guest and back.
    Guest(Abi),
    /// Through a guest to an import of the host and back.
    Import(Abi),
    /// Through one guest to another and back.
    Guests(Abi, Abi),
    /// Around a circle of three guests, several times, and back.
    Circle([Abi; 3]),
}

impl Route {
    fn text(self, types: &[Ty]) -> String {
        let guest = |abi, body| Guest {
            abi,
            functions: types
                .iter()
                .map(|ty| Function {
                    ty: ty.clone(),
                    body,
                })
                .collect(),
            data: Vec::new(),
        };
        match self {
            Route::Guest(abi) => guest(abi, Body::Echo).component(),
            Route::Import(abi) => guest(abi, Body::Forward).component(),
            Route::Guests(a, b) => composition(&guest(a, Body::Forward), &guest(b, Body::Echo)),
            Route::Circle([a, b, c]) => circle::circle(
                &guest(a, Body::Turn),
                &[guest(b, Body::Forward), guest(c, Body::Forward)],
            ),
        }
    }

    /// Sends values of some types; says which of them does not come back.
    fn check(self, types: &[Ty], values: usize, random: &mut Random) -> Result<()> {
        let component = compile(&self.text(types))?;
        self.check_compiled(&component, types, values, random)
    }

    fn check_compiled(
        self,
        component: &Component,
        types: &[Ty],
        values: usize,
        random: &mut Random,
    ) -> Result<()> {
        let mut store = Store::new(());
        let imports = match self {
            Route::Import(_) => types.len(),
            _ => 0,
        };
        let mut instance = instantiate(&mut store, component, imports)?;
        for (index, ty) in types.iter().enumerate() {
            if let Route::Circle(_) = self {
                // Its memories only fill up.
                store = Store::new(());
                instance = instantiate(&mut store, component, imports)?;
            }
            let func = instance.get_func(&mut store, format!("f{index}"));
            let func = func.context("no such function")?;
            for _ in 0..values {
                let value = random.value(ty);
                if let Route::Circle(_) = self {
                    let turns = Val::U32(random.below(6) as u32);
                    hostile::call(&mut store, &instance, "turns", &[turns])?;
                }
                let results = func.call(&mut store, std::slice::from_ref(&value));
                let context = || format!("f{index}: {ty:?}\nof {value:?}");
                let results = results.with_context(context)?;
                ensure!(
                    results.len() == 1 && same(&results[0], &value),
                    "f{index}: {ty:?}\nof {value:?}\nreturned {results:?}"
                );
                if let Route::Circle(_) = self {
                    let left = hostile::call(&mut store, &instance, "left", &[])?;
                    ensure!(left == [Val::U32(0)], "{left:?} turns are left");
                }
            }
        }
        Ok(())
    }
}

/// Tries about that many pairs over all routes, evenly.
#[track_caller]
fn check_all(routes: &[Route], pairs: usize) {
    const VALUES: usize = 4;
    let types_each = pairs.div_ceil(routes.len() * VALUES).max(1);
    let seed = setting("TRAMPETTE_PROPERTY_SEED", 1) as u64;
    for (index, route) in routes.iter().enumerate() {
        let mut left = types_each;
        let mut batch = 0;
        while left > 0 {
            let count = left.min(16);
            let seed = seed << 32 | (index as u64) << 16 | batch;
            let mut random = Random::new(seed);
            let types = random_types(&mut random, count);
            if let Err(error) = route.check(&types, VALUES, &mut random) {
                let path =
                    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed:x}.wat"));
                std::fs::write(&path, route.text(&types)).unwrap();
                panic!("seed {seed:#x}, {route:?}, {}: {error:?}", path.display());
            }
            left -= count;
            batch += 1;
        }
    }
}

/// A type of every kind in every encoding, width and direction, compiled without optimisation: in
/// registers, and all of them together in memory.
#[test]
fn every_kind_of_type_goes_and_comes_back() {
    let all = types::every_kind();
    let mut batches: Vec<Vec<Ty>> = all.chunks(24).map(<[Ty]>::to_vec).collect();
    batches.push(vec![Ty::Tuple(all)]);
    let all = Abi::all().into_iter();
    let routes = all.flat_map(|abi| [Route::Guest(abi), Route::Import(abi)]);
    let mut random = Random::new(setting("TRAMPETTE_PROPERTY_SEED", 1) as u64);
    for route in routes {
        for types in &batches {
            let component = compile_at(OptLevel::None, &route.text(types)).unwrap();
            if let Err(error) = route.check_compiled(&component, types, 3, &mut random) {
                panic!("{route:?}: {error:?}");
            }
        }
    }
}

#[test]
fn host_to_guest_and_back() {
    let routes: Vec<Route> = Abi::all().into_iter().map(Route::Guest).collect();
    check_all(&routes, cases(30));
}

#[test]
fn guest_to_import_and_back() {
    let routes: Vec<Route> = Abi::all().into_iter().map(Route::Import).collect();
    check_all(&routes, cases(30));
}

#[test]
fn guest_to_guest_and_back() {
    let routes: Vec<Route> = all_pairs()
        .into_iter()
        .map(|(a, b)| Route::Guests(a, b))
        .collect();
    check_all(&routes, cases(250));
}

#[test]
fn around_a_circle_of_guests_and_back() {
    let routes: Vec<Route> = all_pairs()
        .into_iter()
        .enumerate()
        .map(|(index, (a, b))| {
            let all = Abi::all();
            Route::Circle([a, b, all[(index + index / all.len()) % all.len()]])
        })
        .collect();
    check_all(&routes, cases(30));
}

#[test]
fn handles_in_graphs_of_guests_follow_the_model() {
    const SCRIPTS: usize = 25;
    let start = setting("TRAMPETTE_PROPERTY_SEED", 1) as u64;
    for batch in 0..cases(200).div_ceil(SCRIPTS) as u64 {
        let seed = start << 32 | 1 << 30 | batch;
        let mut random = Random::new(seed);
        let graph = Graph::random(&mut random);
        if let Err(error) = model::check(&graph, SCRIPTS, &mut random) {
            let path =
                std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{seed:x}.wat"));
            std::fs::write(&path, graph.text()).unwrap();
            panic!("seed {seed:#x}, {graph:?}, {}: {error:?}", path.display());
        }
    }
}

/// Every pair of canonical options.
fn all_pairs() -> Vec<(Abi, Abi)> {
    let pairs = |a: Abi| Abi::all().into_iter().map(move |b| (a, b));
    Abi::all().into_iter().flat_map(pairs).collect()
}

/// Checks about `count` damaged values or calls on all ways, evenly.
#[track_caller]
fn check_hostile<W: Copy + std::fmt::Debug>(
    ways: &[W],
    count: usize,
    check: impl Fn(W, usize, &mut Random) -> Result<()>,
) {
    let each = count.div_ceil(ways.len());
    let start = setting("TRAMPETTE_PROPERTY_SEED", 1) as u64;
    for (index, way) in ways.iter().enumerate() {
        for (batch, done) in (0..each).step_by(16).enumerate() {
            let seed = start << 32 | 1 << 31 | (index as u64) << 16 | batch as u64;
            let result = check(*way, 16.min(each - done), &mut Random::new(seed));
            if let Err(error) = result {
                panic!("seed {seed:#x}, {way:?}: {error:?}");
            }
        }
    }
}

#[test]
fn damaged_values_trap_on_their_way_to_the_host() {
    let all = Abi::all().into_iter();
    let ways: Vec<Way> = all
        .flat_map(|abi| [Way::Result(abi), Way::Argument(abi)])
        .collect();
    check_hostile(&ways, cases(20), Way::check);
}

#[test]
fn damaged_values_trap_between_guests() {
    let both = |(a, b)| [Way::ArgumentBetween(a, b), Way::ResultBetween(a, b)];
    let ways: Vec<Way> = all_pairs().into_iter().flat_map(both).collect();
    check_hostile(&ways, cases(30), Way::check);
}

#[test]
fn nonsense_from_realloc_traps() {
    let all = Abi::all().into_iter();
    let mut ways: Vec<Realloc> = all
        .flat_map(|abi| [Realloc::Export(abi), Realloc::Import(abi)])
        .collect();
    let both = |(a, b)| [Realloc::Callee(a, b), Realloc::Caller(a, b)];
    ways.extend(all_pairs().into_iter().flat_map(both));
    check_hostile(&ways, cases(30), Realloc::check);
}
