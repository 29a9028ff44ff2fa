//! Worlds whose bindings must compile, and implementations of their traits that show the types.

#![allow(dead_code)]

use anyhow::Result;
use trampette_runtime::{Linker, Resource};

/// Every type, imported and exported.
mod all_types {
    trampette_bindgen::bindgen!({
        inline: r#"
            package test:all@1.2.3;

            interface shapes {
                enum color { red, green, ultra-violet }
                flags perms { read, write, owner-a }
                /// A point.
                record point { x: s32, y: s32 }
                record person {
                    name: string, tags: list<string>, home: option<point>, favorite: color,
                    perms: perms,
                }
                variant shape { empty, circle(f64), rect(tuple<f64, f64>), portrait(person) }
                type bytes = list<u8>;
                type shapes = list<shape>;
                type paint = color;
                variant err { not-found(string), denied(perms), other }

                prims: func(a: bool, b: s8, c: u8, d: s16, e: u16, f: s32, g: u32, h: s64, i: u64,
                    j: f32, k: f64, l: char, m: string) -> string;
                many: func(a: u8, b: s8, c: u16, d: s16, e: u32, f: s32, g: u64, h: s64, i: f32,
                    j: f64, k: bool, l: char, m: string, n: u8, o: u16, p: u32, q: u64, r: f32,
                    s: f64, t: string) -> tuple<u8, string>;
                nothing: func();
                id-bytes: func(v: bytes) -> bytes;
                id-chars: func(v: list<char>) -> list<char>;
                id-shapes: func(v: shapes, p: paint) -> shapes;
                id-deep: func(v: list<list<list<tuple<u16, string>>>>)
                    -> list<list<list<tuple<u16, string>>>>;
                id-options: func(v: option<option<u32>>, w: option<string>, x: option<person>)
                    -> option<option<u32>>;
                results: func(a: result<u32, string>, b: result<u32>, c: result<_, err>, d: result)
                    -> result<person, err>;
                id-tuple: func(v: tuple<u8, u64, f32, string>, p: point, q: perms)
                    -> tuple<u8, u64, f32, string>;
                fixed: func(v: list<u32, 4>, w: list<string, 2>) -> list<point, 3>;
                maps: func(v: map<string, u32>) -> map<u32, list<string>>;
            }

            world everything { import shapes; export shapes; }
        "#,
    });

    use test::all::shapes::{self, Color, Err, Person, Point, Shape};
    use trampette_runtime::List;

    struct Host;

    impl shapes::Host for Host {
        fn prims(
            &mut self,
            _: bool,
            _: i8,
            _: u8,
            _: i16,
            _: u16,
            _: i32,
            _: u32,
            _: i64,
            _: u64,
            _: f32,
            _: f64,
            _: char,
            m: &str,
        ) -> anyhow::Result<String> {
            Ok(m.to_string())
        }
        fn many(
            &mut self,
            a: u8,
            _: i8,
            _: u16,
            _: i16,
            _: u32,
            _: i32,
            _: u64,
            _: i64,
            _: f32,
            _: f64,
            _: bool,
            _: char,
            _: &str,
            _: u8,
            _: u16,
            _: u32,
            _: u64,
            _: f32,
            _: f64,
            t: &str,
        ) -> anyhow::Result<(u8, String)> {
            Ok((a, t.to_string()))
        }
        fn nothing(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
        fn id_bytes(&mut self, v: &[u8]) -> anyhow::Result<Vec<u8>> {
            Ok(v.to_vec())
        }
        fn id_chars(&mut self, v: &[char]) -> anyhow::Result<Vec<char>> {
            Ok(v.to_vec())
        }
        fn id_shapes(&mut self, v: List<'_, Shape>, p: Color) -> anyhow::Result<shapes::Shapes> {
            assert_ne!(p, Color::UltraViolet);
            Ok(v.to_vec())
        }
        fn id_deep(
            &mut self,
            v: List<'_, Vec<Vec<(u16, String)>>>,
        ) -> anyhow::Result<Vec<Vec<Vec<(u16, String)>>>> {
            Ok(v.to_vec())
        }
        fn id_options(
            &mut self,
            v: Option<Option<u32>>,
            _: Option<&str>,
            _: Option<Person>,
        ) -> anyhow::Result<Option<Option<u32>>> {
            Ok(v)
        }
        fn results(
            &mut self,
            _: Result<u32, &str>,
            _: Result<u32, ()>,
            c: Result<(), Err>,
            _: Result<(), ()>,
        ) -> anyhow::Result<Result<Person, Err>> {
            Ok(c.map(|()| Person {
                name: String::new(),
                tags: Vec::new(),
                home: Some(Point { x: 1, y: 2 }),
                favorite: Color::Red,
                perms: shapes::Perms::READ | shapes::Perms::OWNER_A,
            }))
        }
        fn id_tuple(
            &mut self,
            (a, b, c, d): (u8, u64, f32, &str),
            _: Point,
            _: shapes::Perms,
        ) -> anyhow::Result<(u8, u64, f32, String)> {
            Ok((a, b, c, d.to_string()))
        }
        fn fixed(&mut self, v: [u32; 4], _: [&str; 2]) -> anyhow::Result<[Point; 3]> {
            Ok([Point {
                x: v[0] as i32,
                y: 0,
            }; 3])
        }
        fn maps(
            &mut self,
            v: List<'_, (String, u32)>,
        ) -> anyhow::Result<std::collections::BTreeMap<u32, Vec<String>>> {
            Ok(v.iter().map(|(k, v)| (v, vec![k.to_string()])).collect())
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = super::Linker::new();
        Everything::add_to_linker(&mut linker, |host: &mut Host| host).unwrap();
        let again = shapes::add_to_linker(&mut linker, |host: &mut Host| host).unwrap_err();
        assert_eq!(
            format!("{again:#}"),
            "linker `test:all/shapes@1.2.3` function `prims`: the name is taken by a function"
        );
        let error: Box<dyn std::error::Error> = Box::new(Err::NotFound("x".to_string()));
        assert_eq!(error.to_string(), "NotFound(\"x\")");
    }

    /// The exported copies are types of their own.
    fn calls(world: &Everything, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        use exports::test::all::shapes::{Err, Point, Shape};
        let shapes = world.test_all_shapes();
        let _: Vec<u8> = shapes.call_id_bytes(&mut *store, &[1, 2])?;
        let _: Vec<Shape> = shapes.call_id_shapes(
            &mut *store,
            &[Shape::Empty, Shape::Rect((1.0, 2.0))],
            exports::test::all::shapes::Color::Green,
        )?;
        let _: Option<Option<u32>> =
            shapes.call_id_options(&mut *store, Some(None), Some("w"), None)?;
        let found = shapes.call_results(&mut *store, Ok(1), Err(()), Err(&Err::Other), Ok(()))?;
        let _: Result<exports::test::all::shapes::Person, Err> = found;
        let point = Point { x: 1, y: 2 };
        let tuple = (1, 2, 3.0, "four");
        let perms = exports::test::all::shapes::Perms::all();
        let _ = shapes.call_id_tuple(&mut *store, tuple, point, perms)?;
        let _: [Point; 3] = shapes.call_fixed(&mut *store, [1, 2, 3, 4], ["a", "b"])?;
        let map = [("a".to_string(), 1)].into();
        let _ = shapes.call_maps(&mut *store, &map)?;
        shapes.call_nothing(store)
    }
}

/// Resources that the host defines, one of which is a Rust type of the host's; used across
/// interfaces, by records, and in exports.
mod host_resources {
    trampette_bindgen::bindgen!({
        inline: "
            package test:files;

            interface types {
                resource file {
                    constructor(path: string);
                    read: func(length: u32) -> list<u8>;
                    merge: static func(a: file, b: borrow<file>) -> file;
                    drop: func();
                    new: func();
                }
                resource dir;
                record entry { name: string, file: file }
            }
            interface open {
                use types.{file, dir as folder, entry};
                type handle = file;
                %list: func(dir: borrow<folder>) -> list<entry>;
                open: func(files: list<borrow<handle>>, more: option<file>) -> result<handle, folder>;
            }
            interface process {
                use types.{file, entry};
                run: func(input: file, log: borrow<file>, all: list<borrow<file>>) -> list<entry>;
            }
            world tool {
                resource token { value: func() -> u32; }
                use types.{file};
                import open;
                import log: func(to: borrow<file>, text: string, %with: borrow<token>);
                import config: interface { get: func(key: string) -> option<string>; }
                export process;
                export main: func(arguments: list<string>, %with: token) -> result<file>;
                export hooks: interface { use types.{entry}; on: func(e: entry); }
            }
        ",
        world: "tool",
        with: {
            "test:files/types/file": MyFile,
            "token": super::Token,
        },
    });

    struct MyFile;
    struct Host;

    use super::Resource;
    use test::files::types::{Dir, Entry};

    impl test::files::types::HostFile for Host {
        fn new(&mut self, path: &str) -> anyhow::Result<Resource<MyFile>> {
            Ok(Resource::new(path.len() as u32))
        }
        fn read(&mut self, self_: Resource<MyFile>, length: u32) -> anyhow::Result<Vec<u8>> {
            Ok(vec![self_.rep() as u8; length as usize])
        }
        fn merge(
            &mut self,
            a: Resource<MyFile>,
            _: Resource<MyFile>,
        ) -> anyhow::Result<Resource<MyFile>> {
            Ok(a)
        }
        fn drop_(&mut self, _: Resource<MyFile>) -> anyhow::Result<()> {
            Ok(())
        }
        fn new_(&mut self, _: Resource<MyFile>) -> anyhow::Result<()> {
            Ok(())
        }
        fn drop(&mut self, _: Resource<MyFile>) -> anyhow::Result<()> {
            Ok(())
        }
    }

    impl test::files::types::HostDir for Host {
        fn drop(&mut self, _: Resource<Dir>) -> anyhow::Result<()> {
            Ok(())
        }
    }

    impl test::files::types::Host for Host {}

    impl test::files::open::Host for Host {
        fn list(&mut self, _: Resource<Dir>) -> anyhow::Result<Vec<Entry>> {
            Ok(Vec::new())
        }
        fn open(
            &mut self,
            files: trampette_runtime::List<'_, Resource<MyFile>>,
            _: Option<Resource<MyFile>>,
        ) -> anyhow::Result<Result<Resource<MyFile>, Resource<Dir>>> {
            Ok(files.get(0).ok_or(Resource::new(0)))
        }
    }

    impl config::Host for Host {
        fn get(&mut self, _: &str) -> anyhow::Result<Option<String>> {
            Ok(None)
        }
    }

    impl HostToken for Host {
        fn value(&mut self, token: Resource<Token>) -> anyhow::Result<u32> {
            Ok(token.rep())
        }
        fn drop(&mut self, _: Resource<Token>) -> anyhow::Result<()> {
            Ok(())
        }
    }

    impl ToolImports for Host {
        fn log(&mut self, _: Resource<MyFile>, _: &str, _: Resource<Token>) -> anyhow::Result<()> {
            Ok(())
        }
    }

    /// The implementation may be a part of the store's data.
    #[test]
    fn a_host_links() {
        let mut linker = super::Linker::<(u32, Host)>::new();
        Tool::add_to_linker(&mut linker, |data| &mut data.1).unwrap();
    }

    fn calls(tool: &Tool, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        let file = || Resource::<MyFile>::new(1);
        let all = [file(), file()];
        let entries: Vec<Entry> =
            tool.test_files_process()
                .call_run(&mut *store, file(), &file(), &all)?;
        tool.hooks().call_on(&mut *store, &entries[0])?;
        let _: Result<Resource<MyFile>, ()> =
            tool.call_main(store, &["a".to_string()], Resource::new(3))?;
        Ok(())
    }
}

struct Token;

/// Resources that the component defines.
mod guest_resources {
    trampette_bindgen::bindgen!({
        inline: "
            package test:things;
            interface types { resource bag; record point { x: u32 } }
            interface things {
                use types.{bag, point};
                resource counter {
                    constructor(start: s64);
                    get: func() -> s64;
                    merge: static func(a: counter, b: borrow<counter>) -> counter;
                    into-bag: func(at: point) -> bag;
                }
                record pair { left: counter, right: option<counter> }
                pairs: func(all: list<borrow<counter>>, p: pair) -> list<pair>;
            }
            world w { export types; export things; }
        ",
    });

    use exports::test::things::things::{Counter, Pair};
    use exports::test::things::types::{Bag, Point};

    fn calls(world: &W, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        let things = world.test_things_things();
        let counter: Counter = things.counter().call_constructor(&mut *store, 1)?;
        let _: i64 = things.counter().call_get(&mut *store, counter)?;
        let merged = things.counter().call_merge(&mut *store, counter, counter)?;
        let bag: Bag = things
            .counter()
            .call_into_bag(&mut *store, merged, Point { x: 1 })?;
        bag.resource_drop(&mut *store)?;
        let pair = Pair {
            left: merged,
            right: None,
        };
        let pairs: Vec<Pair> = things.call_pairs(&mut *store, &[counter], pair)?;
        assert!(pairs[0].left.owned(store));
        Ok(())
    }
}

/// An interface with a resource that is imported and exported: two resources. What the world itself
/// uses, also in what it exports, is the imported one; what another exported interface uses is the
/// exported one.
mod both_sides {
    trampette_bindgen::bindgen!({
        inline: "
            package test:both;
            interface types { resource file { size: func() -> u64; } record pair { a: file } }
            interface open { use types.{file, pair}; open: func(p: pair) -> list<file>; }
            world both {
                use types.{file};
                import types;
                export types;
                export open;
                export inline: interface {
                    resource lock { constructor(f: u32); held: static func(l: borrow<lock>) -> bool; }
                    all: func() -> list<lock>;
                }
                export main: func(f: file, more: list<borrow<file>>) -> option<file>;
            }
        ",
        with: { "test:both/types/file": super::Token },
    });

    use super::{Resource, Token};
    use exports::test::both::types::{self as exported, Pair};

    fn calls(world: &Both, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        let more = [Resource::new(2)];
        let _: Option<Resource<Token>> = world.call_main(&mut *store, Resource::new(1), &more)?;
        let locks = world.inline().call_all(&mut *store)?;
        let _: bool = world.inline().lock().call_held(&mut *store, locks[0])?;
        let lock: exports::inline::Lock = locks[0];
        lock.resource_drop(&mut *store)?;
        let a = exported::File::from_any(lock.into_any());
        let files: Vec<exported::File> =
            world.test_both_open().call_open(&mut *store, Pair { a })?;
        let _: u64 = world.test_both_types().file().call_size(store, files[0])?;
        Ok(())
    }
}

/// Streams, futures and error contexts, in both directions, alone and inside of other types.
mod ends {
    trampette_bindgen::bindgen!({
        inline: "
            package test:ends;
            interface bodies {
                record body { bytes: stream<u8>, trailers: future<result<list<string>, u8>> }
                type lines = stream<string>;
                open: func(name: string) -> result<body, error-context>;
                send: func(b: body, others: list<lines>) -> future;
                wait: func(until: future<u64>, why: option<error-context>) -> stream;
            }
            world w { import bodies; export bodies; }
        ",
        additional_derives: [Hash],
    });

    use test::ends::bodies::{Body, Host, Lines};
    use trampette_runtime::{
        Access, AccessMut, ErrorContext, FutureReader, Linker, List, StreamReader,
    };

    struct Bodies {
        opened: u32,
    }

    impl Host for Bodies {
        /// What makes streams and futures has the store, and the host in it.
        fn open(
            cx: &mut impl AccessMut<Self>,
            name: &str,
        ) -> anyhow::Result<Result<Body, ErrorContext>> {
            cx.host().opened += 1;
            if name.is_empty() {
                return Ok(Err(ErrorContext::new(name)));
            }
            let later = cx.access();
            let trailers = async move {
                let opened = later.with(|bodies| bodies.opened)?;
                Ok(Ok(vec![opened.to_string()]))
            };
            Ok(Ok(Body {
                bytes: StreamReader::from_vec(&mut *cx, name.into())?,
                trailers: FutureReader::new(cx, trailers)?,
            }))
        }

        fn send(
            _: &mut impl AccessMut<Self>,
            b: Body,
            others: List<'_, Lines>,
        ) -> anyhow::Result<FutureReader<()>> {
            let _: StreamReader<u8> = b.bytes;
            let _: FutureReader<Result<Vec<String>, u8>> = b.trailers;
            anyhow::bail!("{} others", others.len())
        }

        fn wait(
            _: &mut impl AccessMut<Self>,
            until: FutureReader<u64>,
            why: Option<ErrorContext>,
        ) -> anyhow::Result<StreamReader<()>> {
            anyhow::bail!("{until:?}, {why:?}")
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = Linker::<(u8, Bodies)>::new();
        W::add_to_linker(&mut linker, |data| &mut data.1).unwrap();
    }

    fn calls(world: &W, store: &mut trampette_runtime::Store<Bodies>) -> anyhow::Result<()> {
        let bodies = world.test_ends_bodies();
        let body = bodies.call_open(&mut *store, "a")?;
        let body: exports::test::ends::bodies::Body =
            body.map_err(|error| anyhow::anyhow!("{}", error.debug_message()))?;
        let lines = StreamReader::from_vec(&mut *store, vec!["one".to_string()])?;
        let _: FutureReader<()> = bodies.call_send(&mut *store, &body, &[lines])?;
        let until = FutureReader::new(&mut *store, async { Ok(1) })?;
        let _: StreamReader<()> = bodies.call_wait(&mut *store, until, None)?;
        Ok(())
    }
}

/// Names that mean something in Rust, and names of what generated code itself uses.
mod keywords {
    trampette_bindgen::bindgen!({
        inline: "
            package crate:self;
            interface %type {
                record %self { %type: u32, %self: u32, %move: %string-type }
                type %string-type = string;
                enum %enum { %self, %else, ok, none, some, err }
                variant %variant { %self(%self), %async, %list(list<%option>) }
                record %option { some: u32 }
                record %result { ok: u32 }
                record vec { a: u32 }
                record native { a: u32, b: u8 }
                variant payload { native(native), payload }
                flags %flags { %self, native, bits }
                record %list { %list: list<native> }
                record %host { a: u32 }
                record guest { a: u32 }
                record type-context { a: u32 }
                %fn: func(%self: %self, %mut: %list, store: %option, host: %host, get: %result)
                    -> result<option<%variant>, %result>;
                %match: func(caller: native, instance: payload, linker: vec) -> %flags;
                new: func();
                f1-2: func() -> %enum;
            }
            world %impl {
                import %type;
                export %type;
                export %loop: func(store: u32, %self: string) -> u32;
                export new: func();
                export instance: func();
            }
        ",
    });

    struct Data;

    use crate_::self_::type_ as imported;

    impl imported::Host_ for Data {
        fn fn_(
            &mut self,
            _: imported::Self_,
            _: imported::List,
            _: imported::Option,
            _: imported::Host,
            _: imported::Result,
        ) -> anyhow::Result<Result<Option<imported::Variant>, imported::Result>> {
            Ok(Ok(Some(imported::Variant::Async)))
        }
        fn match_(
            &mut self,
            _: imported::Native,
            _: imported::Payload,
            _: imported::Vec,
        ) -> anyhow::Result<imported::Flags> {
            Ok(imported::Flags::SELF)
        }
        fn new(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
        fn f1_2(&mut self) -> anyhow::Result<imported::Enum> {
            Ok(imported::Enum::Else)
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = super::Linker::new();
        Impl::add_to_linker(&mut linker, |data: &mut Data| data).unwrap();
    }

    fn calls(world: &Impl, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        world.call_new(&mut *store)?;
        world.call_instance(&mut *store)?;
        world.crate_self_type().call_new(&mut *store)?;
        let _: u32 = world.call_loop(store, 1, "a")?;
        Ok(())
    }
}

/// Two versions of one package, packages with several files, and types used over several steps.
mod versions {
    trampette_bindgen::bindgen!({
        path: ["wit/fixtures/clock.wit", "wit/fixtures/clock-next.wit"],
        inline: "
            package test:user;
            interface relay { use dep:clock/types@0.2.0.{instant}; type moment = instant; }
            world user {
                use relay.{moment as point};
                import dep:clock/clock@0.2.0;
                import dep:clock/clock@0.3.0-rc.1;
                export later: func(by: point) -> point;
            }
        ",
        world: "test:user/user",
    });

    struct Host;

    impl dep::clock_0_2_0::clock::Host for Host {
        fn now(&mut self) -> anyhow::Result<dep::clock_0_2_0::types::Instant> {
            Ok(dep::clock_0_2_0::types::Instant { seconds: 1 })
        }
    }

    impl dep::clock_0_3_0_rc_1::clock::Host for Host {
        fn now(&mut self) -> anyhow::Result<u64> {
            Ok(1)
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = super::Linker::new();
        User::add_to_linker(&mut linker, |host: &mut Host| host).unwrap();
        let moment: test::user::relay::Moment = Point { seconds: 3 };
        assert_eq!(moment, dep::clock_0_2_0::types::Instant { seconds: 3 });
    }
}

/// Interfaces whose bindings exist: those of another world.
mod shared_interfaces {
    trampette_bindgen::bindgen!({
        path: "wit/fixtures/clock.wit",
        world: "with-clock",
        with: { "dep:clock/types": super::versions::dep::clock_0_2_0::types },
    });

    struct Host;

    impl dep::clock::clock::Host for Host {
        fn now(&mut self) -> anyhow::Result<super::versions::dep::clock_0_2_0::types::Instant> {
            Ok(super::versions::dep::clock_0_2_0::types::Instant { seconds: 2 })
        }
    }
}

#[test]
fn hosts_of_two_worlds_share_a_linker() -> Result<()> {
    let mut linker = Linker::<()>::new();
    assert!(linker.instance("a:b/c").is_ok());
    let _: Resource<Token> = Resource::new(0);
    Ok(())
}
