//! Worlds with functions of `async` types, whose bindings must compile, and hosts and callers that
//! show the types.

#![allow(dead_code)]

/// Every kind of function that can be `async`, in interfaces and in the world itself, beside ones
/// that are not; with every form of parameter, with streams and futures, and with errors of the
/// host's own.
mod functions {
    trampette_bindgen::bindgen!({
        inline: "
            package test:later;

            interface files {
                enum code { missing, denied }
                record entry { name: string, size: u64 }
                resource file {
                    constructor(path: string);
                    open: static async func(path: string) -> result<file, code>;
                    read: async func(offset: u64, length: u32) -> result<list<u8>, code>;
                    size: func() -> u64;
                    drop: async func();
                }
                %list: async func(path: option<string>, but: list<string>) -> list<entry>;
                copy: async func(%from: borrow<file>, to: file, cx: u8) -> result<_, code>;
                watch: async func(changes: stream<entry>, until: future<u64>)
                    -> tuple<stream<entry>, future>;
                flush: async func();
            }
            interface jobs {
                use files.{entry, file};
                resource job {
                    constructor(of: file);
                    start: static async func(entries: list<entry>) -> job;
                    wait: async func(store: u32) -> result<u32, string>;
                }
                all: async func(jobs: list<borrow<job>>, log: borrow<file>) -> list<job>;
                count: func() -> u32;
            }
            world tool {
                enum refusal { never }
                import files;
                import ask: async func(question: string) -> result<string, refusal>;
                import note: async func(text: string);
                export jobs;
                export run: async func(arguments: list<string>, input: stream<u8>)
                    -> result<stream<u8>, error-context>;
                export run-async: func() -> u32;
                export stop: async func();
            }
        ",
        with: { "test:later/files/file": File },
        trappable: { "test:later/files/code": std::io::Error },
    });

    pub struct File(String);

    /// A part of the store's data.
    #[derive(Default)]
    struct Disk {
        reads: u32,
    }

    use anyhow::Result;
    use exports::test::later::jobs::Job;
    use std::io;
    use test::later::files::{self, Entry};
    use trampette_runtime::{Access, Accessor, FutureReader, Resource, Store, StreamReader};

    impl files::ConvertCode for Disk {
        fn convert_code(&mut self, error: io::Error) -> Result<files::Code> {
            match error.kind() {
                io::ErrorKind::NotFound => Ok(files::Code::Missing),
                _ => Err(error.into()),
            }
        }
    }

    impl files::HostFile for Disk {
        fn new(&mut self, path: &str) -> Result<Resource<File>> {
            Ok(Resource::new(path.len() as u32))
        }

        async fn open(_: impl Access<Self>, _: String) -> io::Result<Resource<File>> {
            Err(io::ErrorKind::NotFound.into())
        }

        async fn read(
            cx: impl Access<Self>,
            file: Resource<File>,
            offset: u64,
            length: u32,
        ) -> io::Result<Vec<u8>> {
            std::future::ready(()).await;
            let counted = cx.with(|disk| disk.reads += 1);
            counted.map_err(io::Error::other)?;
            Ok(vec![file.rep() as u8; offset as usize + length as usize])
        }

        fn size(&mut self, _: Resource<File>) -> Result<u64> {
            Ok(u64::from(self.reads))
        }

        /// Not the end of a file, but a function that the WIT calls so.
        async fn drop_(_: impl Access<Self>, _: Resource<File>) -> Result<()> {
            Ok(())
        }

        fn drop(&mut self, _: Resource<File>) -> Result<()> {
            Ok(())
        }
    }

    impl files::Host for Disk {
        async fn list(
            cx: impl Access<Self>,
            path: Option<String>,
            but: Vec<String>,
        ) -> Result<Vec<Entry>> {
            let size = cx.with(|disk| u64::from(disk.reads))?;
            let names = path.into_iter().chain(but);
            Ok(names.map(|name| Entry { name, size }).collect())
        }

        async fn copy(
            _: impl Access<Self>,
            _: Resource<File>,
            _: Resource<File>,
            _: u8,
        ) -> io::Result<()> {
            Ok(())
        }

        /// What makes a stream needs the store.
        async fn watch(
            cx: impl Access<Self>,
            changes: StreamReader<Entry>,
            until: FutureReader<u64>,
        ) -> Result<(StreamReader<Entry>, FutureReader<()>)> {
            drop(until);
            cx.store().with(|mut caller| {
                let over = FutureReader::new(&mut caller, async { Ok(()) })?;
                Ok((changes, over))
            })?
        }

        /// What is not an `async fn` can do something before there is a future.
        fn flush(_: impl Access<Self>) -> impl Future<Output = Result<()>> + Send + 'static {
            std::future::ready(Ok(()))
        }
    }

    impl ToolImports for Disk {
        async fn ask(_: impl Access<Self>, question: String) -> Result<Result<String, Refusal>> {
            Ok(match question.as_str() {
                "" => Err(Refusal::Never),
                _ => Ok(question),
            })
        }

        /// The future goes on with the store, whatever becomes of the call.
        async fn note(cx: impl Access<Self>, text: String) -> Result<()> {
            cx.store().spawn(async move {
                let _ = cx.with(|disk| disk.reads += text.len() as u32);
            })
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = trampette_runtime::Linker::<(u32, Disk)>::new();
        Tool::add_to_linker(&mut linker, |data| &mut data.1).unwrap();
        // It is an interface of its own too, and each function is there once.
        let again = files::add_to_linker(&mut linker, |data: &mut (u32, Disk)| &mut data.1);
        assert!(again.is_err());
    }

    fn calls(tool: &Tool, store: &mut Store<(u32, Disk)>) -> Result<()> {
        let input = StreamReader::from_vec(&mut *store, vec![1])?;
        let _ = tool.call_run(&mut *store, &["a".to_string()], input)?;
        let _: u32 = tool.call_run_async(&mut *store)?;
        tool.call_stop(&mut *store)?;
        let jobs = tool.test_later_jobs();
        let job: Job = jobs.job().call_start(&mut *store, &[])?;
        let _: Result<u32, String> = jobs.job().call_wait(&mut *store, job, 1)?;
        let _: Vec<Job> = jobs.call_all(&mut *store, &[job], &Resource::new(1))?;
        Ok(())
    }

    /// What is called from a future owns its parameters; the name of what the WIT names stays.
    async fn awaits(tool: Tool, store: &mut Store<(u32, Disk)>) -> Result<u32> {
        let input = StreamReader::from_vec(&mut *store, vec![1])?;
        let arguments = vec!["a".to_string()];
        let _ = tool.call_run_async_(&mut *store, arguments, input).await?;
        tool.call_stop_async(&mut *store).await?;
        let jobs = tool.test_later_jobs().clone();
        let job = jobs.job().call_start_async(&mut *store, vec![]).await?;
        let code = store
            .run_concurrent(async |cx| {
                let wait = jobs.job().call_wait_concurrent(cx, job, 1);
                let stop = tool.call_stop_concurrent(cx);
                stop.await?;
                wait.await
            })
            .await??;
        code.map_err(anyhow::Error::msg)
    }

    /// Futures of calls can be sent, and outlive what made them.
    fn sends(tool: Tool, cx: Accessor<(u32, Disk)>) -> Result<()> {
        let stop = tool.call_stop_concurrent(cx);
        drop(tool);
        cx.spawn(async move {
            let _ = stop.await;
        })
    }
}

/// Types whose names are those that type parameters usually have.
mod names {
    trampette_bindgen::bindgen!({
        inline: "
            package test:names;
            interface letters {
                record t { t: u32 }
                record u { u: t }
                record s { s: u }
                resource g;
                swap: func(t: t, u: u) -> s;
                later: async func(s: s, g: g) -> result<t, u>;
            }
            world w { import letters; export letters; }
        ",
    });

    use anyhow::Result;
    use test::names::letters::{G, Host, HostG, S, T, U};
    use trampette_runtime::{Access, Resource};

    struct Letters;

    impl HostG for Letters {
        fn drop(&mut self, _: Resource<G>) -> Result<()> {
            Ok(())
        }
    }

    impl Host for Letters {
        fn swap(&mut self, _: T, u: U) -> Result<S> {
            Ok(S { s: u })
        }

        async fn later(_: impl Access<Self>, s: S, _: Resource<G>) -> Result<Result<T, U>> {
            Ok(Ok(s.s.u))
        }
    }

    #[test]
    fn a_host_links() {
        let mut linker = trampette_runtime::Linker::new();
        W::add_to_linker(&mut linker, |host: &mut Letters| host).unwrap();
    }
}
