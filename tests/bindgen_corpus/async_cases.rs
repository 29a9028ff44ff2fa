//! Calls of the corpus's libraries whose functions are `async`, in each of the three ways that
//! bindings have.

use super::async_worlds::aecho::{self, Color, Item, Perms, Shape};
use super::async_worlds::{apipe, cblock, jsasync};
use super::block_on::block_on;
use super::cases::{Arguments, done};
use super::ways::Way;

use anyhow::{Result, bail};
use trampette_runtime::{Instance, Store, Val};
use trampette_wasi::WasiCtx;

/// A function that calls those of a library. For each of these: its name and arguments, the method
/// that blocks, with the arguments as it takes them, and the two that take all of them owned; in
/// the end the same of functions that are not `async`.
macro_rules! library {
    (
        $(#[$attribute:meta])*
        $call:ident: $root:ty {
            $(
                $name:literal($($arg:ident $(: $ty:ty)?),*) =>
                    $blocking:ident($($borrowed:expr),*), $waits:ident, $concurrent:ident;
            )*
            $(
                plain $plain_name:literal($plain_arg:ident: $plain_ty:ty) =>
                    $plain:ident($plain_borrowed:expr);
            )*
        }
    ) => {
        $(#[$attribute])*
        pub fn $call(
            store: &mut Store<WasiCtx>,
            instance: &Instance,
            name: &str,
            args: &mut Arguments,
            way: Way,
        ) -> Result<Option<Val>> {
            let world = <$root>::new(&mut *store, instance)?;
            match name {
                $($name => {
                    $(let $arg $(: $ty)? = args.next()?;)*
                    done(match way {
                        Way::Blocking => world.$blocking(store, $($borrowed),*)?,
                        Way::Async => block_on(world.$waits(store, $($arg),*))?,
                        Way::Concurrent => block_on(store.run_concurrent(async |cx| {
                            world.$concurrent(cx, $($arg),*).await
                        }))??,
                    })
                })*
                $($plain_name => {
                    let $plain_arg: $plain_ty = args.next()?;
                    done(world.$plain(store, $plain_borrowed)?)
                })*
                other => bail!("no typed call is written for `{other}`"),
            }
        }
    };
}

library! {
    #[allow(
        clippy::many_single_char_names,
        reason = "so the parameters are called"
    )]
    call_aecho: aecho::Root {
        "unit"() => call_unit(), call_unit_async, call_unit_concurrent;
        "echo-string"(s: String) =>
            call_echo_string(&s), call_echo_string_async, call_echo_string_concurrent;
        "echo-bytes"(b: Vec<u8>) =>
            call_echo_bytes(&b), call_echo_bytes_async, call_echo_bytes_concurrent;
        "echo-items"(l: Vec<Item>) =>
            call_echo_items(&l), call_echo_items_async, call_echo_items_concurrent;
        "echo-shape"(s: Shape, p: Perms, o: Option<i64>, c: Color) =>
            call_echo_shape(&s, p, o, c), call_echo_shape_async, call_echo_shape_concurrent;
        "many"(
            a, b, c, d, e, f, g, h, i, j, k: char, l: bool, m: String, n: Vec<String>,
            o: Option<u8>, p: Result<u8, String>, q: (u8, String), r
        ) =>
            call_many(
                a, b, c, d, e, f, g, h, i, j, k, l, &m, &n,
                o, p.as_ref().copied().map_err(String::as_str), (q.0, &q.1), r
            ),
            call_many_async, call_many_concurrent;
        "slow-sum"(l: Vec<u32>, yields: u32) =>
            call_slow_sum(&l, yields), call_slow_sum_async, call_slow_sum_concurrent;
        "interleave"(n, k) =>
            call_interleave(n, k), call_interleave_async, call_interleave_concurrent;
        "checked-div"(x, y) =>
            call_checked_div(x, y), call_checked_div_async, call_checked_div_concurrent;
        "local-channel"(n) =>
            call_local_channel(n), call_local_channel_async, call_local_channel_concurrent;
        "crash"(yields) => call_crash(yields), call_crash_async, call_crash_concurrent;
        plain "plain"(s: String) => call_plain(&s);
    }
}

library! {
    call_apipe: apipe::Root {
        "numbers-sum"(n) =>
            call_numbers_sum(n), call_numbers_sum_async, call_numbers_sum_concurrent;
        "checksum"(len, seed, chunk, read) =>
            call_checksum(len, seed, chunk, read), call_checksum_async, call_checksum_concurrent;
        "readings"(n) => call_readings(n), call_readings_async, call_readings_concurrent;
        "lines"(text: String) => call_lines(&text), call_lines_async, call_lines_concurrent;
        "push-sum"(n, chunk) =>
            call_push_sum(n, chunk), call_push_sum_async, call_push_sum_concurrent;
        "round-trip"(n, chunk) =>
            call_round_trip(n, chunk), call_round_trip_async, call_round_trip_concurrent;
        "early-drop"(n, take) =>
            call_early_drop(n, take), call_early_drop_async, call_early_drop_concurrent;
        "futures"(n) => call_futures(n), call_futures_async, call_futures_concurrent;
        "parallel"(n) => call_parallel(n), call_parallel_async, call_parallel_concurrent;
    }
}

library! {
    call_cblock: cblock::Root {
        "steps"(n) => call_steps(n), call_steps_async, call_steps_concurrent;
        "jobs"(names: Vec<String>) => call_jobs(&names), call_jobs_async, call_jobs_concurrent;
        "stream-sum"(n) => call_stream_sum(n), call_stream_sum_async, call_stream_sum_concurrent;
        "future-of"(v) => call_future_of(v), call_future_of_async, call_future_of_concurrent;
    }
}

library! {
    call_jsasync: jsasync::Root {
        "greet"(names: Vec<String>) =>
            call_greet(&names), call_greet_async, call_greet_concurrent;
        "people"(l: Vec<jsasync::Person>) =>
            call_people(&l), call_people_async, call_people_concurrent;
        "race"(n) => call_race(n), call_race_async, call_race_concurrent;
        "outcomes"(codes: Vec<i32>) =>
            call_outcomes(&codes), call_outcomes_async, call_outcomes_concurrent;
        "parse"(text: String) => call_parse(&text), call_parse_async, call_parse_concurrent;
        "words"(text: String) => call_words(&text), call_words_async, call_words_concurrent;
        plain "plain"(n: u32) => call_plain(n);
    }
}
