//! Guests that hand out damaged values, and guests whose `realloc` returns nonsense.

use super::allocations::{Allocation, Allocations, Source};
use super::guest::{Abi, Body, Function, Guest, composition};
use super::image::{Expected, Images, beyond};
use super::random::Random;
use super::types::Ty;
use super::{compile, random_types, same};
use anyhow::{Context, Result, bail, ensure};
use trampette_runtime::{Component, Instance, Linker, Store, Trap, TrapCode, Val};

/// On which way a damaged value is found.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// As the result of an export.
    Result(Abi),
    /// As the parameter of an import.
    Argument(Abi),
    /// As the parameter of a function of another guest.
    ArgumentBetween(Abi, Abi),
    /// As the result of a function of another guest, which is called by the first.
    ResultBetween(Abi, Abi),
}

/// A value in memory, damaged or not.
struct Case {
    ty: Ty,
    value: Val,
    address: u64,
    expected: Expected,
}

impl Way {
    fn abi(self) -> Abi {
        match self {
            Way::Result(abi) | Way::Argument(abi) => abi,
            Way::ArgumentBetween(from, _) | Way::ResultBetween(_, from) => from,
        }
    }

    /// A string out of bounds has another text between guests.
    fn trap(self, code: TrapCode) -> TrapCode {
        match (self, code) {
            (Way::Result(_) | Way::Argument(_), code) => code,
            (_, TrapCode::StringOutOfBounds) => TrapCode::StringContentOutOfBounds,
            (_, code) => code,
        }
    }

    fn text(self, cases: &[Case], data: &[u8]) -> String {
        let guest = |abi, body: fn(u64) -> Body, data: &[u8]| Guest {
            abi,
            functions: cases
                .iter()
                .map(|case| Function {
                    ty: case.ty.clone(),
                    body: body(case.address),
                })
                .collect(),
            data: data.to_vec(),
        };
        match self {
            Way::Result(abi) => guest(abi, Body::Return, data).component(),
            Way::Argument(abi) => guest(abi, Body::Send, data).component(),
            Way::ArgumentBetween(a, b) => {
                composition(&guest(a, Body::Send, data), &guest(b, |_| Body::Echo, &[]))
            }
            Way::ResultBetween(a, b) => composition(
                &guest(a, |_| Body::Fetch, &[]),
                &guest(b, Body::Return, data),
            ),
        }
    }

    /// Damages values of random types; says which is not found out as it must be.
    pub fn check(self, count: usize, random: &mut Random) -> Result<()> {
        let mut images = Images::new(self.abi());
        let mut cases = Vec::new();
        while cases.len() < count {
            let ty = random_types(random, 1).remove(0);
            let value = random.value(&ty);
            let address = images.add(&ty, &value, random);
            let mut case = Case {
                ty,
                value,
                address,
                expected: Expected::Same,
            };
            if !self.damage_address(&mut case, random) {
                match images.damage(random) {
                    Some(expected) => case.expected = expected,
                    None if random.percent(90) => continue,
                    None => {}
                }
            }
            cases.push(case);
        }
        let text = self.text(&cases, &images.bytes);
        let component = compile(&text)?;
        for (index, case) in cases.iter().enumerate() {
            self.check_case(&component, cases.len(), index, case)
                .with_context(|| {
                    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile.wat");
                    let _ = std::fs::write(&path, &text);
                    let Case { ty, value, address, expected } = case;
                    format!(
                        "{}: f{index}: {ty:?}\nof {value:?}\nat {address:#x}, expected {expected:?}",
                        path.display()
                    )
                })?;
        }
        Ok(())
    }

    /// Sometimes makes the address of the value itself a bad one, if it is passed by its address.
    fn damage_address(self, case: &mut Case, random: &mut Random) -> bool {
        let width = self.abi().width;
        let limit = match self {
            Way::Argument(_) | Way::ArgumentBetween(..) => 16,
            Way::Result(_) | Way::ResultBetween(..) => 1,
        };
        if case.ty.flat(width).len() <= limit || !random.percent(10) {
            return false;
        }
        let (size, align) = (case.ty.size(width) as u64, case.ty.align(width) as u64);
        (case.address, case.expected) = match random.below(3) {
            0 if align > 1 => (
                case.address + align / 2,
                Expected::Trap(TrapCode::UnalignedPointer),
            ),
            1 => (
                align.wrapping_neg(),
                Expected::Trap(TrapCode::PointerOutOfBounds),
            ),
            _ => (
                beyond(size, align),
                Expected::Trap(TrapCode::PointerOutOfBounds),
            ),
        };
        true
    }

    fn check_case(
        self,
        component: &Component,
        count: usize,
        index: usize,
        case: &Case,
    ) -> Result<()> {
        let mut store = Store::new(());
        let imports = matches!(self, Way::Argument(_));
        let instance = instantiate(&mut store, component, if imports { count } else { 0 })?;
        let result = call(&mut store, &instance, &format!("f{index}"), &[]);
        match case.expected {
            Expected::Same => {
                let results = result?;
                ensure!(same(&results[0], &case.value), "it returned {results:?}");
                Ok(())
            }
            Expected::Trap(code) => expect_trap(result, self.trap(code)),
        }
    }
}

/// Instantiates a component that imports `count` functions, which return their arguments.
pub fn instantiate(store: &mut Store<()>, component: &Component, count: usize) -> Result<Instance> {
    let mut linker = Linker::new();
    if count > 0 {
        let mut instance = linker.instance("b")?;
        for index in 0..count {
            instance.func_new(&format!("f{index}"), |_, arguments, results| {
                results[0] = arguments[0].clone();
                Ok(())
            })?;
        }
    }
    linker.instantiate(store, component)
}

/// Calls an export.
pub fn call(
    store: &mut Store<()>,
    instance: &Instance,
    name: &str,
    args: &[Val],
) -> Result<Vec<Val>> {
    let func = instance.get_func(&mut *store, name.to_string());
    func.with_context(|| format!("no function {name}"))?
        .call(store, args)
}

fn expect_trap(result: Result<Vec<Val>>, code: TrapCode) -> Result<()> {
    let error = match result {
        Ok(results) => bail!("it returned {results:?}"),
        Err(error) => error,
    };
    let kind = error.downcast_ref::<Trap>().map(Trap::kind);
    let text = format!("wasm trap: {}", code.text(0));
    match kind == Some(code) && format!("{error:#}").starts_with(&text) {
        true => Ok(()),
        false => Err(error.context("another error")),
    }
}

/// Whose `realloc` returns nonsense, on which way.
#[derive(Clone, Copy, Debug)]
pub enum Realloc {
    /// That of a guest which the host calls.
    Export(Abi),
    /// That of a guest which calls an import.
    Import(Abi),
    /// That of a guest which another one calls.
    Callee(Abi, Abi),
    /// That of a guest which calls another one.
    Caller(Abi, Abi),
}

impl Realloc {
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
            Realloc::Export(abi) => guest(abi, Body::Echo).component(),
            Realloc::Import(abi) => guest(abi, Body::Forward).component(),
            Realloc::Callee(a, b) | Realloc::Caller(a, b) => {
                composition(&guest(a, Body::Forward), &guest(b, Body::Echo))
            }
        }
    }

    /// Lets `realloc` fail at one of its calls for a value of each of some random types.
    pub fn check(self, count: usize, random: &mut Random) -> Result<()> {
        let types = random_types(random, count);
        let component = compile(&self.text(&types))?;
        for (index, ty) in types.iter().enumerate() {
            let value = random.value(ty);
            self.check_value(&component, count, (index, ty), &value, random)
                .with_context(|| format!("f{index}: {ty:?}\nof {value:?}"))?;
        }
        Ok(())
    }

    /// The calls of that `realloc`.
    fn allocations(self, ty: &Ty, value: &Val) -> Vec<Allocation> {
        let (Realloc::Export(abi)
        | Realloc::Import(abi)
        | Realloc::Callee(_, abi)
        | Realloc::Caller(abi, _)) = self;
        let mut allocations = Allocations::new(abi);
        match self {
            Realloc::Export(_) => allocations.param(ty, value, Source::Host),
            Realloc::Import(_) => {
                allocations.param(ty, value, Source::Host);
                allocations.result(ty, value, Source::Host);
            }
            Realloc::Callee(caller, _) => {
                allocations.param(ty, value, Source::Guest(caller.encoding));
            }
            Realloc::Caller(_, callee) => {
                allocations.param(ty, value, Source::Host);
                allocations.result(ty, value, Source::Guest(callee.encoding));
            }
        }
        allocations.all
    }

    fn check_value(
        self,
        component: &Component,
        count: usize,
        (index, ty): (usize, &Ty),
        value: &Val,
        random: &mut Random,
    ) -> Result<()> {
        let prefix = match self {
            Realloc::Callee(..) => "outer-",
            _ => "",
        };
        let imports = match self {
            Realloc::Import(_) => count,
            _ => 0,
        };
        let name = format!("f{index}");
        let (arm, calls, logged) = (
            format!("{prefix}arm"),
            format!("{prefix}calls"),
            format!("{prefix}logged"),
        );
        let mut store = Store::new(());
        let instance = instantiate(&mut store, component, imports)?;
        let results = call(&mut store, &instance, &name, std::slice::from_ref(value))?;
        ensure!(same(&results[0], value), "it returned {results:?}");
        let allocations = self.allocations(ty, value);
        let [Val::U32(made)] = call(&mut store, &instance, &calls, &[])?[..] else {
            bail!("`calls` returns a number");
        };
        ensure!(
            made as usize == allocations.len(),
            "{made} calls of realloc instead of {allocations:?}"
        );
        if allocations.is_empty() {
            return Ok(());
        }
        // The guest logs only so many.
        for (index, allocation) in allocations.iter().enumerate().take(4000) {
            let expected = [allocation.old_size, allocation.align, allocation.size];
            for (field, expected) in expected.into_iter().enumerate() {
                let arguments = [Val::U32(index as u32), Val::U32(field as u32 + 1)];
                let logged = call(&mut store, &instance, &logged, &arguments)?;
                ensure!(
                    logged == [Val::U32(expected)],
                    "field {field} of call {index} is {logged:?}, expected {allocation:?} of {allocations:?}"
                );
            }
        }
        let any = random.below(allocations.len());
        let bad = random.pick(&[0, allocations.len() - 1, any]);
        let allocation = &allocations[bad];
        let kind = random.below(4) as u32;
        let expected = match kind == 0 && allocation.align > 1 {
            true => allocation.misaligned(),
            false => allocation.outside(),
        };

        let mut store = Store::new(());
        let instance = instantiate(&mut store, component, imports)?;
        call(
            &mut store,
            &instance,
            &arm,
            &[Val::S32(bad as i32), Val::U32(kind)],
        )?;
        let result = call(&mut store, &instance, &name, std::slice::from_ref(value));
        expect_trap(result, expected).with_context(|| {
            format!("call {bad} of {made}, nonsense {kind}, expected {expected:?}")
        })
    }
}
