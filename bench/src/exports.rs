//! A: the host calls a component (`hostcall.wat`).

use crate::ours;
use crate::peer::Peer;
use crate::session::Session;
use anyhow::Result;
use std::hint::black_box;
use trampette_runtime as trampette;
use wasmtime::component::{Val as PeerVal, WasmList, WasmStr};

const FIXTURE: &str = "hostcall.wat";

/// A record of three numbers, for both engines.
#[derive(Clone, Copy, trampette::ComponentType, trampette::Lift, trampette::Lower)]
#[component(record)]
struct Point {
    x: f32,
    y: f32,
    z: f32,
}

/// The peer's.
mod peers {
    use wasmtime::component::{ComponentType, Lift, Lower};

    #[derive(ComponentType, Lift, Lower, Clone, Copy)]
    #[component(record)]
    pub struct Point {
        pub x: f32,
        pub y: f32,
        pub z: f32,
    }

    #[derive(ComponentType, Lift, Lower, Clone)]
    #[component(variant)]
    #[allow(dead_code)]
    pub enum Choice {
        #[component(name = "a")]
        A,
        #[component(name = "b")]
        B(u32),
        #[component(name = "c")]
        C(f64),
        #[component(name = "d")]
        D(String),
    }
}

#[derive(Clone, trampette::ComponentType, trampette::Lift, trampette::Lower)]
#[component(variant)]
#[allow(dead_code)]
enum Choice {
    A,
    B(u32),
    C(f64),
    D(String),
}

/// Declares the record of twenty fields once for each engine.
macro_rules! big_record {
    ($($field:ident: $ty:ty = $value:expr,)*) => {
        #[derive(trampette::ComponentType, trampette::Lift, trampette::Lower, Clone)]
        #[component(record)]
        struct Big { $($field: $ty,)* }

        impl Big {
            fn new() -> Big {
                Big { $($field: $value,)* }
            }
        }

        mod peers_big {
            use wasmtime::component::{ComponentType, Lift, Lower};

            #[derive(ComponentType, Lift, Lower, Clone)]
            #[component(record)]
            pub struct Big { $(pub $field: $ty,)* }

            impl Big {
                pub fn new() -> Big {
                    Big { $($field: $value,)* }
                }
            }
        }
    };
}

big_record! {
    a: u8 = 1, b: u16 = 2, c: u32 = 3, d: u64 = 4, e: i8 = -5, f: i16 = -6, g: i32 = -7, h: i64 = -8,
    i: f32 = 9.0, j: f64 = 10.0, k: bool = true, l: char = 'l', m: u32 = 13, n: u32 = 14, o: u64 = 15,
    p: f64 = 16.0, q: u8 = 17, r: bool = false, s: f32 = 19.0, t: u32 = 20,
}

type Mix = (Choice, Option<u64>, Result<u32, String>);
type PeerMix = (peers::Choice, Option<u64>, Result<u32, String>);

/// Runs the section.
pub fn run(session: &Session) {
    numbers(session);
    for (size, name) in [(16, "A.echo-string.16B"), (1024, "A.echo-string.1KiB")] {
        echo_string(session, name, size);
    }
    lists(session);
    records(session);
}

fn numbers(session: &Session) {
    session.compare(
        "A.nop",
        || ours::calls::<(), ()>(session, FIXTURE, "nop", |store, f| f.call(store, ())),
        |peer| peer.calls::<(), ()>(session, FIXTURE, "nop", |store, f| f.call(store, ())),
    );
    session.compare(
        "A.add",
        || {
            ours::calls::<(u32, u32), u32>(session, FIXTURE, "add", |store, f| {
                black_box(f.call(store, black_box((1, 2)))?);
                Ok(())
            })
        },
        |peer| {
            peer.calls::<(u32, u32), (u32,)>(session, FIXTURE, "add", |store, f| {
                black_box(f.call(store, black_box((1, 2)))?);
                Ok(())
            })
        },
    );
    session.compare(
        "A.add-dynamic",
        || ours_dynamic(session),
        |peer| peer_dynamic(session, peer),
    );
}

fn ours_dynamic(session: &Session) -> Result<crate::measure::Sample> {
    use trampette_runtime::{Linker, Store, Val};
    let component = session.component(FIXTURE)?;
    let mut store = Store::new(());
    let instance = Linker::new().instantiate(&mut store, &component)?;
    let func = instance
        .get_func(&mut store, "add")
        .expect("the fixture has it");
    Ok(crate::measure::repeated(move || {
        black_box(func.call_value(&mut store, black_box(&[Val::U32(1), Val::U32(2)]))?);
        Ok(())
    }))
}

fn peer_dynamic(session: &Session, peer: &Peer) -> Result<crate::measure::Sample> {
    use wasmtime::Store;
    use wasmtime::component::Linker;
    let component = peer.component(session, FIXTURE)?;
    let mut store = Store::new(&peer.engine, ());
    let instance = Linker::new(&peer.engine).instantiate(&mut store, &component)?;
    let func = instance
        .get_func(&mut store, "add")
        .expect("the fixture has it");
    Ok(crate::measure::repeated(move || {
        let mut results = [PeerVal::U32(0)];
        let args = [PeerVal::U32(1), PeerVal::U32(2)];
        func.call(&mut store, black_box(&args), &mut results)?;
        black_box(results);
        Ok(())
    }))
}

/// A string in, the same string out, viewed where the guest has it.
fn echo_string(session: &Session, bench: &str, size: usize) {
    let text: &'static str = "a".repeat(size).leak();
    session.compare(
        bench,
        || {
            ours::calls::<(&str,), String>(session, FIXTURE, "echo-string", move |store, f| {
                f.call_view(store, (black_box(text),), |text| {
                    black_box(text);
                    Ok(())
                })
            })
        },
        |peer| {
            peer.calls::<(&str,), (WasmStr,)>(
                session,
                FIXTURE,
                "echo-string",
                move |mut store, f| {
                    let (echo,) = f.call(&mut store, (black_box(text),))?;
                    black_box(echo.to_str(&*store)?);
                    Ok(())
                },
            )
        },
    );
}

fn lists(session: &Session) {
    let bytes: &'static [u8] = vec![7u8; 4096].leak();
    session.compare(
        "A.take-u8.4KiB",
        || {
            ours::calls::<(&[u8],), u32>(session, FIXTURE, "take-bytes", |store, f| {
                black_box(f.call(store, (black_box(bytes),))?);
                Ok(())
            })
        },
        |peer| {
            peer.calls::<(&[u8],), (u32,)>(session, FIXTURE, "take-bytes", |store, f| {
                black_box(f.call(store, (black_box(bytes),))?);
                Ok(())
            })
        },
    );
    let (x, y, z) = (1.0, 2.0, 3.0);
    let points: &'static [Point] = vec![Point { x, y, z }; 1000].leak();
    let peers_points: &'static [peers::Point] = vec![peers::Point { x, y, z }; 1000].leak();
    session.compare(
        "A.take-points.x1000",
        || {
            ours::calls::<(&[Point],), u32>(session, FIXTURE, "take-points", |store, f| {
                black_box(f.call(store, (black_box(points),))?);
                Ok(())
            })
        },
        |peer| {
            peer.calls::<(&[peers::Point],), (u32,)>(session, FIXTURE, "take-points", |store, f| {
                black_box(f.call(store, (black_box(peers_points),))?);
                Ok(())
            })
        },
    );
    session.compare(
        "A.give-u8.64KiB",
        || {
            ours::calls::<(u32,), Vec<u8>>(session, FIXTURE, "give-bytes", |store, f| {
                f.call_view(store, (black_box(65536),), |bytes| {
                    black_box(bytes);
                    Ok(())
                })
            })
        },
        |peer| {
            peer.calls::<(u32,), (WasmList<u8>,)>(session, FIXTURE, "give-bytes", |store, f| {
                let (bytes,) = f.call(&mut *store, (black_box(65536),))?;
                black_box(bytes.as_le_slice(&*store));
                Ok(())
            })
        },
    );
}

fn records(session: &Session) {
    session.compare(
        "A.big-record",
        || {
            let big: &'static Big = Box::leak(Box::new(Big::new()));
            ours::calls::<(&Big,), Big>(session, FIXTURE, "echo-big", move |store, f| {
                black_box(f.call(store, (black_box(big),))?);
                Ok(())
            })
        },
        |peer| {
            use peers_big::Big;
            let big = Big::new();
            peer.calls::<(Big,), (Big,)>(session, FIXTURE, "echo-big", move |store, f| {
                black_box(f.call(store, (black_box(big.clone()),))?);
                Ok(())
            })
        },
    );
    session.compare(
        "A.mix",
        || {
            ours::calls::<Mix, Mix>(session, FIXTURE, "mix", |store, f| {
                let mix = (Choice::C(1.0), Some(2), Ok(3));
                let _ = black_box(f.call(store, black_box(mix))?);
                Ok(())
            })
        },
        |peer| {
            peer.calls::<PeerMix, (PeerMix,)>(session, FIXTURE, "mix", |store, f| {
                let mix = (peers::Choice::C(1.0), Some(2), Ok(3));
                let _ = black_box(f.call(store, black_box(mix))?);
                Ok(())
            })
        },
    );
}
