//! Calls of the corpus's libraries whose functions are `async`, in each of the three ways that
//! bindings have.

use super::async_worlds::{aecho, apipe, cblock, jsasync};
use super::block_on::block_on;
use super::cases::{Arguments, done};

use anyhow::{Result, bail};
use trampette_runtime::{Instance, Store, Val};
use trampette_wasi::WasiCtx;

/// How an `async` function is called.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// By the thread, which waits.
    Blocking,
    /// By a future that drives the store.
    Async,
    /// By a future of several that the store drives.
    Concurrent,
}

pub const WAYS: [Way; 3] = [Way::Blocking, Way::Async, Way::Concurrent];

/// A call in some way: the methods for each, the arguments where they are borrowed, and owned.
macro_rules! call {
    (
        $world:ident, $store:ident, $way:ident,
        $blocking:ident, $waits:ident, $concurrent:ident,
        ($($borrowed:expr),*), ($($owned:expr),*)
    ) => {
        done(match $way {
            Way::Blocking => $world.$blocking($store, $($borrowed),*)?,
            Way::Async => block_on($world.$waits($store, $($owned),*))?,
            Way::Concurrent => {
                let run = $store.run_concurrent(async |cx| {
                    $world.$concurrent(cx, $($owned),*).await
                });
                block_on(run)??
            }
        })
    };
}

pub fn call_aecho(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    way: Way,
) -> Result<Option<Val>> {
    use aecho::{Color, Item, Perms, Shape};
    let world = aecho::Root::new(&mut *store, instance)?;
    match name {
        "unit" => call!(
            world,
            store,
            way,
            call_unit,
            call_unit_async,
            call_unit_concurrent,
            (),
            ()
        ),
        "echo-string" => {
            let s: String = a.next()?;
            call!(
                world,
                store,
                way,
                call_echo_string,
                call_echo_string_async,
                call_echo_string_concurrent,
                (&s),
                (s)
            )
        }
        "echo-bytes" => {
            let b: Vec<u8> = a.next()?;
            call!(
                world,
                store,
                way,
                call_echo_bytes,
                call_echo_bytes_async,
                call_echo_bytes_concurrent,
                (&b),
                (b)
            )
        }
        "echo-items" => {
            let l: Vec<Item> = a.next()?;
            call!(
                world,
                store,
                way,
                call_echo_items,
                call_echo_items_async,
                call_echo_items_concurrent,
                (&l),
                (l)
            )
        }
        "echo-shape" => {
            let (s, p, o, c): (Shape, Perms, Option<i64>, Color) =
                (a.next()?, a.next()?, a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_echo_shape,
                call_echo_shape_async,
                call_echo_shape_concurrent,
                (&s, p, o, c),
                (s, p, o, c)
            )
        }
        "many" => call_many(&world, store, a, way),
        "slow-sum" => {
            let (l, yields): (Vec<u32>, u32) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_slow_sum,
                call_slow_sum_async,
                call_slow_sum_concurrent,
                (&l, yields),
                (l, yields)
            )
        }
        "interleave" => {
            let (n, k) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_interleave,
                call_interleave_async,
                call_interleave_concurrent,
                (n, k),
                (n, k)
            )
        }
        "checked-div" => {
            let (x, y) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_checked_div,
                call_checked_div_async,
                call_checked_div_concurrent,
                (x, y),
                (x, y)
            )
        }
        "local-channel" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_local_channel,
                call_local_channel_async,
                call_local_channel_concurrent,
                (n),
                (n)
            )
        }
        "crash" => {
            let yields = a.next()?;
            call!(
                world,
                store,
                way,
                call_crash,
                call_crash_async,
                call_crash_concurrent,
                (yields),
                (yields)
            )
        }
        "plain" => done(world.call_plain(store, &a.next::<String>()?)?),
        other => bail!("no typed call is written for `{other}`"),
    }
}

#[allow(
    clippy::many_single_char_names,
    reason = "so the parameters are called"
)]
fn call_many(
    world: &aecho::Root,
    store: &mut Store<WasiCtx>,
    args: &mut Arguments,
    way: Way,
) -> Result<Option<Val>> {
    let (a, b, c, d, e) = (
        args.next()?,
        args.next()?,
        args.next()?,
        args.next()?,
        args.next()?,
    );
    let (f, g, h, i, j) = (
        args.next()?,
        args.next()?,
        args.next()?,
        args.next()?,
        args.next()?,
    );
    let (k, l, m): (char, bool, String) = (args.next()?, args.next()?, args.next()?);
    let (n, o): (Vec<String>, Option<u8>) = (args.next()?, args.next()?);
    let (p, q): (Result<u8, String>, (u8, String)) = (args.next()?, args.next()?);
    let r = args.next()?;
    call!(
        world,
        store,
        way,
        call_many,
        call_many_async,
        call_many_concurrent,
        (
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            &m,
            &n,
            o,
            p.as_ref().copied().map_err(String::as_str),
            (q.0, &q.1),
            r
        ),
        (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
    )
}

pub fn call_apipe(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    way: Way,
) -> Result<Option<Val>> {
    let world = apipe::Root::new(&mut *store, instance)?;
    match name {
        "numbers-sum" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_numbers_sum,
                call_numbers_sum_async,
                call_numbers_sum_concurrent,
                (n),
                (n)
            )
        }
        "checksum" => {
            let (len, seed, chunk, read) = (a.next()?, a.next()?, a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_checksum,
                call_checksum_async,
                call_checksum_concurrent,
                (len, seed, chunk, read),
                (len, seed, chunk, read)
            )
        }
        "readings" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_readings,
                call_readings_async,
                call_readings_concurrent,
                (n),
                (n)
            )
        }
        "lines" => {
            let text: String = a.next()?;
            call!(
                world,
                store,
                way,
                call_lines,
                call_lines_async,
                call_lines_concurrent,
                (&text),
                (text)
            )
        }
        "push-sum" => {
            let (n, chunk) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_push_sum,
                call_push_sum_async,
                call_push_sum_concurrent,
                (n, chunk),
                (n, chunk)
            )
        }
        "round-trip" => {
            let (n, chunk) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_round_trip,
                call_round_trip_async,
                call_round_trip_concurrent,
                (n, chunk),
                (n, chunk)
            )
        }
        "early-drop" => {
            let (n, take) = (a.next()?, a.next()?);
            call!(
                world,
                store,
                way,
                call_early_drop,
                call_early_drop_async,
                call_early_drop_concurrent,
                (n, take),
                (n, take)
            )
        }
        "futures" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_futures,
                call_futures_async,
                call_futures_concurrent,
                (n),
                (n)
            )
        }
        "parallel" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_parallel,
                call_parallel_async,
                call_parallel_concurrent,
                (n),
                (n)
            )
        }
        other => bail!("no typed call is written for `{other}`"),
    }
}

pub fn call_cblock(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    way: Way,
) -> Result<Option<Val>> {
    let world = cblock::Root::new(&mut *store, instance)?;
    match name {
        "steps" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_steps,
                call_steps_async,
                call_steps_concurrent,
                (n),
                (n)
            )
        }
        "jobs" => {
            let names: Vec<String> = a.next()?;
            call!(
                world,
                store,
                way,
                call_jobs,
                call_jobs_async,
                call_jobs_concurrent,
                (&names),
                (names)
            )
        }
        "stream-sum" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_stream_sum,
                call_stream_sum_async,
                call_stream_sum_concurrent,
                (n),
                (n)
            )
        }
        "future-of" => {
            let v = a.next()?;
            call!(
                world,
                store,
                way,
                call_future_of,
                call_future_of_async,
                call_future_of_concurrent,
                (v),
                (v)
            )
        }
        other => bail!("no typed call is written for `{other}`"),
    }
}

pub fn call_jsasync(
    store: &mut Store<WasiCtx>,
    instance: &Instance,
    name: &str,
    a: &mut Arguments,
    way: Way,
) -> Result<Option<Val>> {
    let world = jsasync::Root::new(&mut *store, instance)?;
    match name {
        "greet" => {
            let names: Vec<String> = a.next()?;
            call!(
                world,
                store,
                way,
                call_greet,
                call_greet_async,
                call_greet_concurrent,
                (&names),
                (names)
            )
        }
        "people" => {
            let l: Vec<jsasync::Person> = a.next()?;
            call!(
                world,
                store,
                way,
                call_people,
                call_people_async,
                call_people_concurrent,
                (&l),
                (l)
            )
        }
        "race" => {
            let n = a.next()?;
            call!(
                world,
                store,
                way,
                call_race,
                call_race_async,
                call_race_concurrent,
                (n),
                (n)
            )
        }
        "outcomes" => {
            let codes: Vec<i32> = a.next()?;
            call!(
                world,
                store,
                way,
                call_outcomes,
                call_outcomes_async,
                call_outcomes_concurrent,
                (&codes),
                (codes)
            )
        }
        "parse" => {
            let text: String = a.next()?;
            call!(
                world,
                store,
                way,
                call_parse,
                call_parse_async,
                call_parse_concurrent,
                (&text),
                (text)
            )
        }
        "words" => {
            let text: String = a.next()?;
            call!(
                world,
                store,
                way,
                call_words,
                call_words_async,
                call_words_concurrent,
                (&text),
                (text)
            )
        }
        "plain" => done(world.call_plain(store, a.next()?)?),
        other => bail!("no typed call is written for `{other}`"),
    }
}
