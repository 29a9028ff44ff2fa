//! Worlds whose hosts want something of their own: errors that may be traps, resources that they
//! never make, some of the unstable functions. Their bindings must compile, and link.

#![allow(dead_code)]

/// Errors of the host's own, also across interfaces and in the world itself; an error that is a
/// resource; and resources that the host never makes.
mod host_errors {
    trampette_bindgen::bindgen!({
        inline: "
            package test:fails;

            interface types {
                resource reason;
                variant code { missing(string), busy, because(reason) }
                type failure = code;
                resource socket {
                    constructor(port: u16);
                    send: func(bytes: list<u8>) -> result<u64, code>;
                }
                check: func() -> result<_, failure>;
            }
            interface files {
                use types.{code as error, socket};
                resource file {
                    write: func(bytes: list<u8>) -> result<u64, error>;
                    name: func() -> result<string, string>;
                }
                connect: func() -> result<socket, u8>;
            }
            world tool {
                enum refusal { never }
                import types;
                import files;
                import stop: func(why: list<string>) -> result<u32, refusal>;
                export run: func() -> result<_, refusal>;
            }
        ",
        with: {
            "test:fails/types/reason": std::io::Error,
            "test:fails/types/socket": !,
        },
        trappable: {
            "test:fails/types/code": std::io::Error,
            "refusal": Refused,
        },
    });

    pub enum Refused {
        Never,
        Trap(anyhow::Error),
    }

    struct Host(trampette_runtime::ResourceTable);

    use std::io;
    use test::fails::{files, types};
    use trampette_runtime::List;
    use trampette_runtime::Resource;

    impl types::ConvertCode for Host {
        fn convert_code(&mut self, error: io::Error) -> anyhow::Result<types::Code> {
            match error.kind() {
                io::ErrorKind::NotFound => Ok(types::Code::Missing(error.to_string())),
                io::ErrorKind::ResourceBusy => Ok(types::Code::Busy),
                io::ErrorKind::Other => Err(error.into()),
                _ => Ok(types::Code::Because(self.0.push(error)?)),
            }
        }
    }

    impl types::HostReason for Host {
        fn drop(&mut self, reason: Resource<io::Error>) -> anyhow::Result<()> {
            self.0.delete(reason)?;
            Ok(())
        }
    }

    impl types::Host for Host {
        fn check(&mut self) -> io::Result<()> {
            std::fs::metadata("/").map(drop)
        }
    }

    impl files::HostFile for Host {
        fn write(&mut self, _: Resource<files::File>, bytes: &[u8]) -> io::Result<u64> {
            Ok(bytes.len() as u64)
        }
        fn name(&mut self, _: Resource<files::File>) -> anyhow::Result<Result<String, String>> {
            Ok(Err(String::new()))
        }
        fn drop(&mut self, _: Resource<files::File>) -> anyhow::Result<()> {
            Ok(())
        }
    }

    impl files::Host for Host {
        fn connect(&mut self) -> anyhow::Result<Result<Resource<types::Socket>, u8>> {
            Ok(Err(1))
        }
    }

    impl ConvertRefusal for Host {
        fn convert_refusal(&mut self, error: Refused) -> anyhow::Result<Refusal> {
            match error {
                Refused::Never => Ok(Refusal::Never),
                Refused::Trap(error) => Err(error),
            }
        }
    }

    impl ToolImports for Host {
        fn stop(&mut self, why: List<'_, String>) -> Result<u32, Refused> {
            match why.len() {
                0 => Err(Refused::Never),
                _ => Err(Refused::Trap(anyhow::anyhow!("stopped"))),
            }
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = trampette_runtime::Linker::new();
        Tool::add_to_linker(&mut linker, |host: &mut Host| host).unwrap();
        // What a socket is, is said; what it does is not.
        let mut types = linker.instance("test:fails/types").unwrap();
        let name = "[method]socket.send";
        types.func_wrap::<(), (), _>(name, |_, ()| Ok(())).unwrap();
        types.resource::<()>("socket", |_, _| Ok(())).unwrap_err();
    }

    /// What the component fails with is what the WIT says.
    fn calls(tool: &Tool, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        let _: Result<(), Refusal> = tool.call_run(store)?;
        Ok(())
    }
}

/// A world that is written where it is needed, of the packages of `wit/`; equality of what has it.
mod interfaces {
    trampette_bindgen::bindgen!({
        path: "wit",
        interfaces: "
            include wasi:clocks/imports@0.2.12;
            import wasi:random/insecure-seed@0.2.12;
            export wasi:cli/run@0.2.12;
        ",
        features: ["clocks-timezone"],
        with: { "wasi:io/poll/pollable": ! },
    });

    use trampette_runtime::Resource;
    use wasi::clocks::wall_clock::Datetime;
    use wasi::clocks::{monotonic_clock, timezone, wall_clock};
    use wasi::io::poll;

    struct Host;

    impl poll::Host for Host {
        fn poll(
            &mut self,
            _: trampette_runtime::List<'_, Resource<poll::Pollable>>,
        ) -> anyhow::Result<Vec<u32>> {
            Ok(Vec::new())
        }
    }

    impl monotonic_clock::Host for Host {
        fn now(&mut self) -> anyhow::Result<u64> {
            Ok(0)
        }
        fn resolution(&mut self) -> anyhow::Result<monotonic_clock::Duration> {
            Ok(1)
        }
        fn subscribe_instant(&mut self, _: u64) -> anyhow::Result<Resource<poll::Pollable>> {
            anyhow::bail!("no pollables")
        }
        fn subscribe_duration(&mut self, _: u64) -> anyhow::Result<Resource<poll::Pollable>> {
            anyhow::bail!("no pollables")
        }
    }

    impl wall_clock::Host for Host {
        fn now(&mut self) -> anyhow::Result<Datetime> {
            wall_clock::Host::resolution(self)
        }
        fn resolution(&mut self) -> anyhow::Result<Datetime> {
            Ok(Datetime {
                seconds: 1,
                nanoseconds: 0,
            })
        }
    }

    impl timezone::Host for Host {
        fn display(&mut self, _: Datetime) -> anyhow::Result<timezone::TimezoneDisplay> {
            anyhow::bail!("no time zones")
        }
        fn utc_offset(&mut self, _: Datetime) -> anyhow::Result<i32> {
            Ok(0)
        }
    }

    impl wasi::random::insecure_seed::Host for Host {
        fn insecure_seed(&mut self) -> anyhow::Result<(u64, u64)> {
            Ok((1, 2))
        }
    }

    #[test]
    fn a_host_links() {
        fn equal<T: Eq>(_: &T) {}
        let mut linker = trampette_runtime::Linker::new();
        Interfaces::add_to_linker(&mut linker, |host: &mut Host| host).unwrap();
        equal(&wall_clock::Host::now(&mut Host).unwrap());
    }

    fn calls(world: &Interfaces, store: &mut trampette_runtime::Store<()>) -> anyhow::Result<()> {
        let _: Result<(), ()> = world.wasi_cli_run().call_run(store)?;
        Ok(())
    }
}

/// What the user asks for is derived for plain data, and not twice.
mod derives {
    trampette_bindgen::bindgen!({
        inline: "
            package test:derives;
            interface data {
                enum color { red, green }
                flags rights { read, write }
                record point { x: s32, y: s32, colors: list<color>, rights: rights }
                variant shape { empty, at(point), price(f64) }
                resource file;
                record held { file: own<file>, name: string }
                all: func(shape: shape, held: held);
            }
            world user { import data; export data; }
        ",
        additional_derives: [Clone, PartialEq, serde::Serialize, serde::Deserialize],
    });

    use test::derives::data::{Color, Point, Rights, Shape};

    #[test]
    fn types_are_written_and_read() -> Result<(), serde_json::Error> {
        let shape = Shape::At(Point {
            x: 1,
            y: -2,
            colors: vec![Color::Green],
            rights: Rights::WRITE,
        });
        let text = serde_json::to_string(&shape)?;
        assert_eq!(
            text,
            r#"{"At":{"x":1,"y":-2,"colors":["Green"],"rights":{"bits":2}}}"#
        );
        assert_eq!(serde_json::from_str::<Shape>(&text)?, shape);
        Ok(())
    }
}
