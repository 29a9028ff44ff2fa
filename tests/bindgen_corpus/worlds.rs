//! Bindings of the corpus's libraries.
//!
//! The WIT here says what the tests call: bindings look up what they know, and nothing else.

pub mod alltypes {
    trampette_bindgen::bindgen!({
        inline: "
            package trampette:alltypes@0.1.0;

            interface prims {
                id-bool: func(v: bool) -> bool;
                id-u8: func(v: u8) -> u8;
                id-s8: func(v: s8) -> s8;
                id-u16: func(v: u16) -> u16;
                id-s16: func(v: s16) -> s16;
                id-u32: func(v: u32) -> u32;
                id-s32: func(v: s32) -> s32;
                id-u64: func(v: u64) -> u64;
                id-s64: func(v: s64) -> s64;
                id-f32: func(v: f32) -> f32;
                id-f64: func(v: f64) -> f64;
                id-char: func(v: char) -> char;
                id-string: func(v: string) -> string;
                next-char: func(v: char) -> option<char>;
                reverse-string: func(v: string) -> string;
                string-stats: func(v: string) -> tuple<u32, u32, option<char>>;
                many-params: func(a: u8, b: s8, c: u16, d: s16, e: u32, f: s32, g: u64, h: s64,
                    i: f32, j: f64, k: bool, l: char, m: string, n: u8, o: u16, p: u32, q: u64,
                    r: f32, s: f64, t: string) -> string;
                many-results: func(seed: u32) -> tuple<u8, s8, u16, s16, u32, s32, u64, s64, f32,
                    f64, bool, char, string>;
                no-result: func(v: string);
                last-note: func() -> string;
            }

            interface shapes {
                enum color { red, green, blue, ultra-violet }
                flags perms { read, write, exec, owner-a, owner-b }
                flags wide {
                    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17,
                    f18, f19, f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31
                }
                record point { x: s32, y: s32 }
                record person {
                    name: string, age: u8, tags: list<string>, home: option<point>,
                    favorite: color, perms: perms,
                }
                variant shape {
                    empty, circle(f64), rect(tuple<f64, f64>), polygon(list<point>),
                    portrait(person), label(string),
                }
                variant num { i(s32), l(u64), f(f32), d(f64), c(char), b(bool), h(s8) }
                variant err { not-found(string), denied(perms), code(u32), other }
                record tree-node { value: s64, children: list<u32> }

                id-color: func(v: color) -> color;
                colors: func() -> list<color>;
                id-perms: func(v: perms) -> perms;
                invert-perms: func(v: perms) -> perms;
                id-wide: func(v: wide) -> wide;
                id-point: func(v: point) -> point;
                id-person: func(v: person) -> person;
                birthday: func(v: person) -> person;
                id-shape: func(v: shape) -> shape;
                area: func(v: shape) -> result<f64, string>;
                id-num: func(v: num) -> num;
                nums: func(v: list<num>) -> list<num>;
                id-list-u8: func(v: list<u8>) -> list<u8>;
                fill-bytes: func(n: u32, seed: u8) -> list<u8>;
                sum-bytes: func(v: list<u8>) -> u64;
                id-list-u64: func(v: list<u64>) -> list<u64>;
                id-list-bool: func(v: list<bool>) -> list<bool>;
                id-list-char: func(v: list<char>) -> list<char>;
                id-list-f64: func(v: list<f64>) -> list<f64>;
                sort-strings: func(v: list<string>) -> list<string>;
                transpose: func(m: list<list<f32>>) -> list<list<f32>>;
                id-deep: func(v: list<list<list<tuple<u16, string>>>>)
                    -> list<list<list<tuple<u16, string>>>>;
                id-option: func(v: option<string>) -> option<string>;
                id-option-option: func(v: option<option<u32>>) -> option<option<u32>>;
                id-result: func(v: result<u32, string>) -> result<u32, string>;
                id-result-ok-only: func(v: result<u32>) -> result<u32>;
                id-result-err-only: func(v: result<_, err>) -> result<_, err>;
                id-result-none: func(v: result) -> result;
                id-tuple: func(v: tuple<u8, u64, f32, string>) -> tuple<u8, u64, f32, string>;
                lookup: func(people: list<person>, name: string) -> result<person, err>;
                shapes-summary: func(v: list<shape>) -> list<tuple<string, option<f64>>>;
                tree-sum: func(nodes: list<tree-node>, root: u32) -> result<s64, err>;
            }

            interface things {
                resource counter {
                    constructor(start: s64);
                    inc: func(by: s64) -> s64;
                    get: func() -> s64;
                    merge: static func(a: counter, b: borrow<counter>) -> counter;
                }
                resource bag {
                    constructor();
                    put: func(item: string) -> u32;
                    items: func() -> list<string>;
                    split: func(at: u32) -> result<bag, string>;
                }
                make-counters: func(n: u32) -> list<counter>;
                sum-counters: func(cs: list<borrow<counter>>) -> s64;
                pick: func(which: option<counter>) -> result<counter, string>;
                live: func() -> u32;
                script: func(ops: list<tuple<string, s64>>) -> list<s64>;
            }

            world all-types { export prims; export shapes; export things; }
        ",
    });
}

pub mod js_library {
    trampette_bindgen::bindgen!({
        inline: "
            package trampette:jslib@0.1.0;
            interface api {
                record stat { word: string, count: u32, len: u8 }
                variant json { null, boolean(bool), number(f64), text(string), items(list<string>) }
                hello: func(name: string) -> string;
                word-count: func(text: string) -> list<stat>;
                classify: func(src: string) -> result<json, string>;
                reverse-bytes: func(b: list<u8>) -> list<u8>;
                fib: func(n: u32) -> u64;
                regex-replace: func(s: string, pattern: string, by: string) -> string;
            }
            world jslib { export api; }
        ",
    });
}

pub mod compose {
    trampette_bindgen::bindgen!({
        inline: "
            package trampette:compose@0.1.0;
            interface types {
                record order { sku: string, qty: u32, price: f64, tags: list<string> }
                record line { sku: string, total: f64, note: option<string> }
                variant op { set(tuple<string, string>), get(string), del(string), keys, size }
                variant reply { done, value(option<string>), names(list<string>), count(u32) }
            }
            interface frontend {
                use types.{order, line, op, reply};
                greet: func(name: string) -> string;
                shout-all: func(names: list<string>) -> list<string>;
                bytes-trip: func(n: u32, key: u8) -> tuple<u32, u64, bool>;
                orders: func(o: list<order>) -> result<tuple<list<line>, f64>, string>;
                kv-script: func(ops: list<op>) -> list<reply>;
                kv-merge: func(a: list<tuple<string, string>>, b: list<tuple<string, string>>)
                    -> tuple<list<string>, u32, string>;
                stress: func(n: u32) -> tuple<u32, u32, u64>;
                fail: func(what: string) -> result<string, string>;
            }
            world composition { export frontend; }
        ",
    });
}
