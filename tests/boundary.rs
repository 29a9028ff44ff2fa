//! What a guest and the host give each other, at its edges: each made-up pointer, length, handle or
//! flat value has its trap, what is good passes unchanged, and nothing else is written.
//!
//! The same edges between two guests are in `tests/adapters.rs`; random types, values and damage
//! are in `tests/property.rs`. The guests are in `tests/components/boundary`.

use anyhow::{Context, Result};
use trampette::CompileOptions;
use trampette_runtime::{
    Component, Instance, Linker, Resource, ResourceAny, Store, Trap, TrapCode, Val,
};

/// Bytes of every guest's memory.
const END: u64 = 64 << 16;

/// Compiles a guest after putting texts in the place of words.
fn compile(name: &str, words: &[(&str, &str)]) -> Result<Component> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/components/boundary");
    let mut text = std::fs::read_to_string(format!("{folder}/{name}.wat"))?;
    for (word, meaning) in words {
        text = text.replace(word, meaning);
    }
    let wasm = wat::parse_str(&text)?;
    let artifact = trampette::compile_component(&wasm, &CompileOptions::default())?;
    artifact.load()
}

/// Calls an export; its only result, if it has one. Errors other than traps are failures.
fn call<T: 'static>(
    store: &mut Store<T>,
    instance: &Instance,
    name: &str,
    args: &[Val],
) -> Result<Option<Val>, TrapCode> {
    let func = instance.get_func(&mut *store, name);
    let func = func.unwrap_or_else(|| panic!("no export {name}"));
    match func.call(store, args) {
        Ok(results) => Ok(results.into_iter().next()),
        Err(error) => match error.downcast_ref::<Trap>() {
            Some(trap) => Err(trap.kind()),
            None => panic!("{name}: {error:?}"),
        },
    }
}

/// A guest that passes what it likes to a function of the host.
struct Arguments {
    component: Component,
    linker: Linker<Vec<Val>>,
}

impl Arguments {
    /// One whose function takes a type with those flat core types.
    fn new(ty: &str, encoding: &str, core: &str) -> Result<Arguments> {
        let argument = |(index, ty): (usize, &str)| match ty {
            "i64" => format!("(local.get {index})"),
            _ => format!("(i32.wrap_i64 (local.get {index}))"),
        };
        let arguments: Vec<_> = core.split(' ').enumerate().map(argument).collect();
        let words = [
            ("DECLARED", ty),
            ("ENCODING", encoding),
            ("CORE", core),
            ("ARGUMENTS", &arguments.join(" ")),
        ];
        let mut linker = Linker::<Vec<Val>>::new();
        linker
            .instance("host")?
            .func_new("f", |mut caller, args, _| {
                caller.data_mut().extend_from_slice(args);
                Ok(())
            })?;
        Ok(Arguments {
            component: compile("arguments", &words)?,
            linker,
        })
    }

    /// What the host gets if these bytes are at address 64 and the guest passes two numbers.
    fn pass(&self, bytes: &[u8], a: u64, b: u64) -> Result<Val, TrapCode> {
        let mut store = Store::new(Vec::new());
        let instance = self.linker.instantiate(&mut store, &self.component);
        let instance = instance.expect("it is instantiated");
        let bytes = Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect());
        call(&mut store, &instance, "write", &[bytes])?;
        call(&mut store, &instance, "pass", &[Val::U64(a), Val::U64(b)])?;
        Ok(store.into_data().pop().expect("the host was called"))
    }
}

#[test]
fn flat_values_are_wrapped_checked_and_reinterpreted() -> Result<()> {
    let floats = Arguments::new("(result f64 (error f32))", "utf8", "i32 i64")?;
    let ok = |value| Ok(Val::Result(Ok(Some(Box::new(Val::Float64(value))))));
    let error = |value| Ok(Val::Result(Err(Some(Box::new(Val::Float32(value))))));
    let single = u64::from(2.5f32.to_bits());
    assert_eq!(floats.pass(b"", 0, 1.5f64.to_bits()), ok(1.5));
    assert_eq!(floats.pass(b"", 1, single), error(2.5));
    assert_eq!(floats.pass(b"", 1, single | 7 << 32), error(2.5));
    let invalid = Err(TrapCode::InvalidDiscriminant);
    assert_eq!(floats.pass(b"", 2, 0), invalid);

    let one = |ty| Arguments::new(ty, "utf8", "i32");
    let bools = one("bool")?;
    assert_eq!(bools.pass(b"", 0x100, 0), Ok(Val::Bool(true)));
    assert_eq!(bools.pass(b"", 0, 0), Ok(Val::Bool(false)));
    assert_eq!(one("u8")?.pass(b"", 0x1ff, 0), Ok(Val::U8(0xff)));
    let names = |all: &[&str]| Ok(Val::Flags(all.iter().map(|name| (*name).into()).collect()));
    let flags = one(r#"(flags "a" "b" "c")"#)?;
    assert_eq!(flags.pass(b"", 0xff, 0), names(&["a", "b", "c"]));
    assert_eq!(flags.pass(b"", 0xfa, 0), names(&["b"]));
    let cases = one(r#"(enum "a" "b")"#)?;
    assert_eq!(cases.pass(b"", 1, 0), Ok(Val::Enum("b".into())));
    assert_eq!(cases.pass(b"", 0x100, 0), invalid);
    let chars = one("char")?;
    assert_eq!(chars.pass(b"", 0x10_ffff, 0), Ok(Val::Char('\u{10ffff}')));
    for bad in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
        assert_eq!(chars.pass(b"", bad, 0), Err(TrapCode::InvalidChar));
    }
    Ok(())
}

#[test]
fn bad_pointers_of_lists_are_refused() -> Result<()> {
    let words = Arguments::new("(list u32)", "utf8", "i32 i32")?;
    let list = |all: &[u32]| Ok(Val::List(all.iter().map(|word| Val::U32(*word)).collect()));
    let bytes: Vec<u8> = (0..12).collect();
    let three = list(&[0x0302_0100, 0x0706_0504, 0x0b0a_0908]);
    assert_eq!(words.pass(&bytes, 64, 3), three);
    assert_eq!(words.pass(b"", END, 0), list(&[]));
    assert_eq!(words.pass(b"", END - 8, 2), list(&[0, 0]));
    // Registers carry garbage above 32-bit values.
    assert_eq!(words.pass(&bytes, 64 | 9 << 40, 3 | 9 << 40), three);
    for (pointer, length, code) in [
        (END - 8, 3, TrapCode::ListOutOfBounds),
        (END + 4, 0, TrapCode::ListOutOfBounds),
        (66, 0, TrapCode::UnalignedPointer),
        (64, 1 << 26, TrapCode::ListTooLong),
        (64, 0xffff_ffff, TrapCode::ListTooLong),
    ] {
        let found = words.pass(b"", pointer, length);
        assert_eq!(found, Err(code), "{pointer:#x} {length:#x}");
    }
    Ok(())
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "abc",
    "hello",
    "12345678",
    "0123456789abcdef0123456789abcdef",
    "é",
    "grüße",
    "0123456789abcdef0123456789abcdé",
    "日本語",
    "ÿ then 日",
    "a longer text with more than thirty-two bytes, and 🦀",
];

#[test]
fn bad_strings_are_refused() -> Result<()> {
    let utf8 = Arguments::new("string", "utf8", "i32 i32")?;
    for good in TEXTS {
        let length = good.len() as u64;
        assert_eq!(utf8.pass(good.as_bytes(), 64, length), Ok(Val::from(good)));
        // Every byte that is not ASCII is seen, wherever it is.
        for at in 0..good.len().min(33) {
            let mut bad = good.as_bytes().to_vec();
            bad[at] = 0xff;
            let refused = utf8.pass(&bad, 64, length);
            assert_eq!(refused, Err(TrapCode::InvalidUtf8), "{good} {at}");
        }
    }
    let refuse = |guest: &Arguments, bytes: &[u8], pointer: u64, length: u64, code| {
        let found = guest.pass(bytes, pointer, length);
        assert_eq!(found, Err(code), "{bytes:x?} {pointer:#x} {length:#x}");
    };
    refuse(&utf8, b"ab\xc3", 64, 3, TrapCode::IncompleteUtf8);
    refuse(&utf8, b"", END - 2, 3, TrapCode::StringOutOfBounds);
    refuse(&utf8, b"", 64, 1 << 28, TrapCode::StringTooLong);

    let utf16 = Arguments::new("string", "utf16", "i32 i32")?;
    refuse(&utf16, b"", 65, 0, TrapCode::UnalignedPointer);
    refuse(&utf16, b"", 64, 1 << 27, TrapCode::StringTooLong);
    refuse(&utf16, b"\0\xd8", 64, 1, TrapCode::InvalidUtf16);
    refuse(&utf16, b"", END - 2, 2, TrapCode::StringOutOfBounds);

    let either = Arguments::new("string", "latin1+utf16", "i32 i32")?;
    refuse(&either, b"", 65, 0, TrapCode::UnalignedPointer);
    assert_eq!(either.pass(b"abc", 64, 3), Ok(Val::from("abc")));
    let tag = 1 << 31;
    refuse(&either, b"\0\xdc", 64, tag | 1, TrapCode::InvalidUtf16);
    refuse(&either, b"", 64, tag | 1 << 27, TrapCode::StringTooLong);
    Ok(())
}

/// A guest to which the host gives values, at a place of the guest's choice.
struct Results {
    store: Store<()>,
    instance: Instance,
}

impl Results {
    /// One whose import returns a value of that type.
    fn new(ty: &str, encoding: &str, value: &Val) -> Result<Results> {
        let component = compile("results", &[("DECLARED", ty), ("ENCODING", encoding)])?;
        let mut linker = Linker::new();
        let value = value.clone();
        linker
            .instance("host")?
            .func_new("f", move |_, _, results| {
                results[0] = value.clone();
                Ok(())
            })?;
        let mut store = Store::new(());
        let instance = linker.instantiate(&mut store, &component)?;
        Ok(Results { store, instance })
    }

    /// Calls an export that has numbers as parameters.
    fn call(&mut self, name: &str, args: &[u64]) -> Result<Option<Val>, TrapCode> {
        let args: Vec<Val> = args.iter().map(|arg| Val::U32(*arg as u32)).collect();
        call(&mut self.store, &self.instance, name, &args)
    }

    fn bytes(&mut self, at: u64, count: u64) -> Result<Vec<u8>> {
        let Ok(Some(Val::List(bytes))) = self.call("read", &[at, count]) else {
            anyhow::bail!("`read` returns a list");
        };
        let byte = |byte: Val| match byte {
            Val::U8(byte) => Some(byte),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = bytes.into_iter().map(byte).collect();
        bytes.context("`read` returns bytes")
    }
}

#[test]
fn results_of_imports_go_through_realloc_and_the_pointer() -> Result<()> {
    let guest = || Results::new("string", "utf8", &Val::from("grüße"));
    let mut good = guest()?;
    // Twice: the flag that forbids to leave while `realloc` runs is set back.
    for _ in 0..2 {
        assert_eq!(good.call("fetch", &[64]), Ok(None));
    }
    assert_eq!(good.bytes(64, 8)?, [0, 4, 0, 0, 7, 0, 0, 0]);
    assert_eq!(good.bytes(1024, 7)?, "grüße".as_bytes());
    for (pointer, realloc, code) in [
        (66, 1024, TrapCode::UnalignedPointer),
        (END - 4, 1024, TrapCode::PointerOutOfBounds),
        (64, END - 6, TrapCode::ReallocOutOfBounds),
    ] {
        let mut bad = guest()?;
        assert_eq!(bad.call("place", &[realloc]), Ok(None));
        assert_eq!(bad.call("fetch", &[pointer]), Err(code), "{pointer:#x}");
    }
    assert_eq!(guest()?.call("leave", &[]), Err(TrapCode::CannotLeave));
    Ok(())
}

/// The host's stack has bytes between the fields of a native struct that are none of the guest's
/// business: fields are copied, never the gaps.
#[test]
fn padding_of_results_stays_on_the_host() -> Result<()> {
    let part = |seed: u8| {
        let word = u32::from_le_bytes([seed + 1, seed + 2, seed + 3, seed + 4]);
        Val::Tuple(vec![Val::U8(seed), Val::U32(word), Val::U8(seed + 5)])
    };
    // Where its bytes are, one by one.
    let place = |at: usize, seed: u8| {
        let offsets = [0, 4, 5, 6, 7, 8].into_iter().zip(seed..);
        offsets.map(move |(offset, byte)| (at + offset, byte))
    };
    let parts = (0..6).map(|index| part(1 + 6 * index)).collect();
    let in_parts = (0..6).flat_map(|index| place(12 * index, 1 + 6 * index as u8));
    let some = Val::Option(Some(Box::new(Val::U64(0x1817_1615_1413_1211))));
    // The tag of the option is one byte, then seven bytes of padding.
    let numbers = (24..34).zip(0x11..).chain([(16, 1)]);
    let part_text = "(tuple u8 u32 u8)";
    // A type, a value, and the bytes that are written, by their places.
    type Case = (String, Val, Vec<(usize, u8)>);
    let cases: [Case; 3] = [
        (part_text.into(), part(1), place(0, 1).collect()),
        (
            format!("(list {part_text} 6)"),
            Val::List(parts),
            in_parts.collect(),
        ),
        (
            format!("(tuple {part_text} (option u64) u16)"),
            Val::Tuple(vec![part(1), some, Val::U16(0x1a19)]),
            place(0, 1).chain(numbers).collect(),
        ),
    ];
    for (ty, value, written) in cases {
        let mut expected = vec![0xaa; 192];
        for (at, byte) in written {
            expected[at] = byte;
        }
        let mut guest = Results::new(&ty, "utf8", &value)?;
        assert_eq!(guest.call("fetch", &[64]), Ok(None));
        assert_eq!(guest.bytes(64, 192)?, expected, "{ty}");
    }
    Ok(())
}

#[test]
fn memory_from_realloc_is_checked_again() -> Result<()> {
    for (encoding, place, code) in [
        ("utf8", END - 2, TrapCode::ReallocOutOfBounds),
        ("utf8", 0xffff_ffff, TrapCode::ReallocOutOfBounds),
        ("utf16", 65, TrapCode::ReallocUnaligned),
        ("utf16", END - 4, TrapCode::ReallocOutOfBounds),
        ("latin1+utf16", 65, TrapCode::ReallocUnaligned),
    ] {
        let mut guest = Results::new("string", encoding, &Val::from(""))?;
        assert_eq!(guest.call("place", &[place]), Ok(None));
        let Results { store, instance } = &mut guest;
        let found = call(store, instance, "take", &[Val::from("abc")]);
        assert_eq!(found, Err(code), "{encoding} {place:#x}");
    }
    Ok(())
}

/// A resource of the host.
struct Thing;

/// What the host saw: arguments of functions, and what was dropped.
#[derive(Default)]
struct Seen {
    args: Vec<u32>,
    dropped: Vec<u32>,
}

fn things() -> Result<Linker<Seen>> {
    type One = (Resource<Thing>,);
    type Two = (Resource<Thing>, Resource<Thing>);
    type Many = (Vec<Resource<Thing>>, Resource<Thing>);
    let mut linker = Linker::<Seen>::new();
    let mut host = linker.instance("host")?;
    host.resource::<Thing>("r", |mut caller, rep| {
        caller.data_mut().dropped.push(rep);
        Ok(())
    })?;
    for name in ["own", "borrow"] {
        host.func_wrap::<One, (), _>(name, |mut caller, (a,)| {
            caller.data_mut().args = vec![a.rep()];
            Ok(())
        })?;
    }
    for name in ["borrow-own", "own-own"] {
        host.func_wrap::<Two, (), _>(name, |mut caller, (a, b)| {
            caller.data_mut().args = vec![a.rep(), b.rep()];
            Ok(())
        })?;
    }
    host.func_wrap::<Many, (), _>("list-own", |mut caller, (all, b)| {
        let mut args: Vec<u32> = all.iter().map(|thing| thing.rep()).collect();
        args.push(b.rep());
        caller.data_mut().args = args;
        Ok(())
    })?;
    Ok(linker)
}

/// What a function of the host got, and which of the two owned handles are still there.
type Passed = (Vec<u32>, Vec<u32>);

#[test]
fn handles_of_the_hosts_resources_are_representations_outside() -> Result<()> {
    let component = compile("handles", &[])?;
    let linker = things()?;
    let pass = |name: &str, a: u32, b: u32| -> Result<Passed, TrapCode> {
        let mut store = Store::new(Seen::default());
        let instance = linker.instantiate(&mut store, &component);
        let instance = instance.expect("it is instantiated");
        type Args = (Resource<Thing>, Resource<Thing>, Resource<Thing>, u32, u32);
        let run = instance.get_typed_func::<Args, ()>(&mut store, name);
        let [x, y, z] = [70, 80, 90].map(Resource::new);
        let run = run.expect("an export");
        if let Err(error) = run.call(&mut store, (x, y, z, a, b)) {
            return Err(error.downcast_ref::<Trap>().expect("a trap").kind());
        }
        // Nothing is lent any more: what is there can be dropped. The first that is not ends it.
        let here = |handle| match name {
            "own" => handle != a,
            "borrow" => true,
            "own-own" => handle != a && handle != b,
            _ => handle != b,
        };
        let (here, gone): (Vec<u32>, Vec<u32>) = [1, 2].into_iter().partition(|h| here(*h));
        for handle in here {
            call(&mut store, &instance, "drop", &[Val::U32(handle)])?;
        }
        if let Some(handle) = gone.first() {
            let again = call(&mut store, &instance, "drop", &[Val::U32(*handle)]);
            assert_eq!(again, Err(TrapCode::UnknownHandle));
        }
        let seen = store.into_data();
        Ok((seen.args, seen.dropped))
    };
    let passed = |args: &[u32], left: &[u32]| Ok((args.to_vec(), left.to_vec()));
    assert_eq!(pass("own", 1, 0), passed(&[70], &[80]));
    assert_eq!(pass("borrow", 2, 0), passed(&[80], &[70, 80]));
    assert_eq!(pass("borrow", 3, 0), passed(&[90], &[70, 80]));
    assert_eq!(pass("borrow-own", 1, 2), passed(&[70, 80], &[70]));
    assert_eq!(pass("list-own", 1, 2), passed(&[70, 90, 80], &[70]));
    assert_eq!(pass("own-own", 2, 1), passed(&[80, 70], &[]));
    for (name, a, b, code) in [
        ("borrow-own", 1, 1, TrapCode::HandleLent),
        ("list-own", 1, 1, TrapCode::HandleLent),
        ("own-own", 1, 1, TrapCode::UnknownHandle),
        ("own", 0, 0, TrapCode::UnknownHandle),
        ("own", 4, 0, TrapCode::UnknownHandle),
        ("own", 3, 0, TrapCode::HandleNotOwned),
    ] {
        assert_eq!(pass(name, a, b), Err(code), "{name} {a} {b}");
    }

    // This guest does not drop what it borrows.
    let mut store = Store::new(Seen::default());
    let instance = linker.instantiate(&mut store, &component)?;
    let keep = instance.get_typed_func::<(Resource<Thing>,), ()>(&mut store, "keep")?;
    let error = keep.call(&mut store, (Resource::new(33),)).unwrap_err();
    let trap = error.downcast_ref::<Trap>().context("a trap")?;
    assert_eq!(trap.kind(), TrapCode::BorrowsRemain);
    Ok(())
}

#[test]
fn handles_of_a_guests_resource_are_the_hosts_outside() -> Result<()> {
    let component = compile("defined", &[])?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let make = instance.get_typed_func::<(u32,), ResourceAny>(&mut store, "make")?;
    let take = instance.get_typed_func::<(ResourceAny,), u32>(&mut store, "take")?;
    let look = instance.get_typed_func::<(ResourceAny,), u32>(&mut store, "look")?;
    let fifty = make.call(&mut store, (50,))?;
    // The definer gets the representation itself; the handle stays the host's.
    assert_eq!(look.call(&mut store, (fifty,))?, 50);
    assert_eq!(look.call(&mut store, (fifty,))?, 50);
    assert_eq!(take.call(&mut store, (fifty,))?, 5001);
    assert!(take.call(&mut store, (fifty,)).is_err());

    // Two handles that are one: the runtime knows it when asked, the code when it takes the second.
    type Pair = (ResourceAny, ResourceAny);
    let pair = instance.get_typed_func::<Pair, ()>(&mut store, "pair")?;
    let sixty = make.call(&mut store, (60,))?;
    let error = pair.call(&mut store, (sixty, sixty)).unwrap_err();
    let trap = error.downcast_ref::<Trap>().context("a trap")?;
    assert_eq!(trap.kind(), TrapCode::UnknownHostHandle);
    Ok(())
}

#[test]
fn lists_of_handles_go_and_come_back() -> Result<()> {
    for (pointer, memory, size) in [("i32", "", "4"), ("i64", "i64", "8")] {
        let words = [("POINTER", pointer), ("MEMORY", memory), ("SIZE", size)];
        let component = compile("lists-of-handles", &words)?;
        let mut store = Store::new(Seen::default());
        let mut linker = Linker::<Seen>::new();
        let mut host = linker.instance("host")?;
        host.resource::<Thing>("r", |_, _| Ok(()))?;
        let instance = linker.instantiate(&mut store, &component)?;

        type Hosts = Vec<Resource<Thing>>;
        let hosts = instance.get_typed_func::<(Hosts,), Hosts>(&mut store, "hosts")?;
        type Guests = Vec<ResourceAny>;
        let guests = instance.get_typed_func::<(Guests,), Guests>(&mut store, "guests")?;
        let make = instance.get_typed_func::<(u32,), ResourceAny>(&mut store, "make")?;
        let take = instance.get_typed_func::<(ResourceAny,), u32>(&mut store, "take")?;
        for reps in [&[][..], &[7], &[1, 2, 3, 4, 5]] {
            let given = reps.iter().map(|rep| Resource::new(*rep)).collect();
            let back = hosts.call(&mut store, (given,))?;
            let back: Vec<u32> = back.iter().map(Resource::rep).collect();
            assert_eq!(back, reps, "{pointer}");

            let mut given = Vec::new();
            for rep in reps {
                given.push(make.call(&mut store, (*rep,))?);
            }
            let mut back = Vec::new();
            for handle in guests.call(&mut store, (given,))? {
                back.push(take.call(&mut store, (handle,))?);
            }
            assert_eq!(back, reps, "{pointer}");
        }
    }
    Ok(())
}
