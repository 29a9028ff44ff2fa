//! Bindings of the corpus's libraries whose functions are `async`; those of jsasync leave out what
//! is not called.

pub mod aecho {
    trampette_bindgen::bindgen!({
        inline: "
            package root:component;
            world root {
                record item { id: u64, name: string, tags: list<string>, price: f64 }
                variant shape { circle(f32), rect(tuple<f32, f32>), label(string), none }
                flags perms { read, write, exec }
                enum color { red, green, blue }

                export unit: async func();
                export echo-string: async func(s: string) -> string;
                export echo-bytes: async func(b: list<u8>) -> list<u8>;
                export echo-items: async func(l: list<item>) -> list<item>;
                export echo-shape: async func(s: shape, p: perms, o: option<s64>, c: color)
                    -> tuple<shape, perms, option<s64>, color>;
                export many: async func(a: u8, b: s8, c: u16, d: s16, e: u32, f: s32, g: u64,
                    h: s64, i: f32, j: f64, k: char, l: bool, m: string, n: list<string>,
                    o: option<u8>, p: result<u8, string>, q: tuple<u8, string>, r: color)
                    -> string;
                export slow-sum: async func(l: list<u32>, yields: u32) -> u64;
                export interleave: async func(n: u32, k: u32) -> list<string>;
                export checked-div: async func(a: s64, b: s64) -> result<s64, string>;
                export local-channel: async func(n: u32) -> u64;
                export crash: async func(yields: u32) -> u32;
                export plain: func(s: string) -> string;
            }
        ",
    });
}

pub mod apipe {
    trampette_bindgen::bindgen!({
        inline: "
            package root:component;
            world root {
                export numbers-sum: async func(n: u32) -> u64;
                export checksum: async func(len: u32, seed: u32, chunk: u32, read: u32)
                    -> tuple<u32, string>;
                export readings: async func(n: u32) -> list<string>;
                export lines: async func(text: string) -> result<list<string>, string>;
                export push-sum: async func(n: u32, chunk: u32) -> u64;
                export round-trip: async func(n: u32, chunk: u32) -> list<u32>;
                export early-drop: async func(n: u32, take: u32) -> list<string>;
                export futures: async func(n: u32) -> list<u32>;
                export parallel: async func(n: u32) -> u64;
            }
        ",
    });
}

pub mod cblock {
    trampette_bindgen::bindgen!({
        inline: "
            package root:component;
            world root {
                export steps: async func(n: u32) -> list<u32>;
                export jobs: async func(names: list<string>) -> list<string>;
                export stream-sum: async func(n: u32) -> u64;
                export future-of: async func(v: u32) -> u32;
            }
        ",
    });
}

pub mod jsasync {
    trampette_bindgen::bindgen!({
        inline: "
            package root:component;
            world root {
                record person { name: string, age: u32, tags: list<string> }
                variant outcome { done(string), failed(u32), skipped }

                export greet: async func(names: list<string>) -> string;
                export people: async func(l: list<person>) -> list<person>;
                export race: async func(n: u32) -> list<string>;
                export outcomes: async func(codes: list<s32>) -> list<outcome>;
                export parse: async func(text: string) -> result<string, string>;
                export words: async func(text: string) -> u32;
                export plain: func(n: u32) -> u32;
            }
        ",
    });
}
