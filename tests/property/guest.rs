//! Components in the text format whose functions give their values back.
//!
//! Each has a small library: a memory, a `realloc` that never reuses or preserves what it need not,
//! and that logs its calls and can be armed to return nonsense at one of them.

use super::types::{Flat, Ty, Width, discriminant_size, payload_offset};
use std::fmt::Write;

/// Size of every memory.
pub const MEMORY_BYTES: u64 = 320 << 16;
/// Where values that a component brings along start.
pub const IMAGES: u64 = 18 << 20;

/// A string encoding.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Encoding {
    Utf8,
    Utf16,
    Latin1OrUtf16,
}

impl Encoding {
    pub const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16];

    fn option(self) -> &'static str {
        match self {
            Encoding::Utf8 => "string-encoding=utf8",
            Encoding::Utf16 => "string-encoding=utf16",
            Encoding::Latin1OrUtf16 => "string-encoding=latin1+utf16",
        }
    }
}

/// Canonical options of one guest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Abi {
    pub encoding: Encoding,
    pub width: Width,
}

impl Abi {
    /// Every combination.
    pub fn all() -> Vec<Abi> {
        let of = |width| move |encoding| Abi { encoding, width };
        let all = Width::ALL.into_iter();
        all.flat_map(|width| Encoding::ALL.map(of(width))).collect()
    }
}

/// What an exported function does. Its result is always of its type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Body {
    /// Returns its parameter.
    Echo,
    /// Without a parameter: returns the value at that address.
    Return(u64),
    /// Passes its parameter to the import of the same name and returns the result.
    Forward,
    /// Without a parameter: passes the value at that address to the import of the same name and
    /// returns the result.
    Send(u64),
    /// Without a parameter: returns what the import of the same name does, without one too.
    Fetch,
    /// Passes its parameter to the function of the same number in a table, and returns the result,
    /// while turns are left; else returns its parameter.
    Turn,
}

/// An exported function.
pub struct Function {
    pub ty: Ty,
    pub body: Body,
}

/// A component.
pub struct Guest {
    pub abi: Abi,
    /// Named `f0`, `f1`, …
    pub functions: Vec<Function>,
    /// Bytes in the memory, from [`IMAGES`] on.
    pub data: Vec<u8>,
}

/// The component `inner` that imports from `outer` what it calls, with the functions of `inner` as
/// exports, and those that steer `outer` with the prefix `outer-`.
pub fn composition(inner: &Guest, outer: &Guest) -> String {
    let mut text = format!(
        "(component\n\
         (component $B\n{})\n\
         (component $A\n{})\n\
         (instance $b (instantiate $B))\n\
         (instance $a (instantiate $A (with \"b\" (instance $b))))\n",
        outer.definitions(),
        inner.definitions()
    );
    // Types need names in this component too; equal ones will do.
    let mut declarations = Declarations::new(Scope::Component);
    let mut exports = String::new();
    for (index, function) in inner.functions.iter().enumerate() {
        let ty = declarations.reference(&function.ty);
        let param = match function.body {
            Body::Echo | Body::Forward => format!("(param \"v\" {ty})"),
            _ => String::new(),
        };
        writeln!(
            exports,
            "(alias export $a \"f{index}\" (func $f{index}))\n\
             (export \"f{index}\" (func $f{index}) (func {param} (result {ty})))"
        )
        .unwrap();
    }
    for (instance, prefix) in [("$a", ""), ("$b", "outer-")] {
        for name in ["arm", "calls", "logged"] {
            writeln!(
                exports,
                "(alias export {instance} \"{name}\" (func ${prefix}{name}))\n\
                 (export \"{prefix}{name}\" (func ${prefix}{name}))"
            )
            .unwrap();
        }
    }
    text.push_str(&declarations.text);
    text.push_str(&exports);
    text + ")"
}

/// Limits of flattening.
const MAX_FLAT_PARAMS: usize = 16;

impl Guest {
    /// The component alone.
    pub fn component(&self) -> String {
        format!("(component\n{})", self.definitions())
    }

    fn imports(&self) -> bool {
        let needs = |body| matches!(body, Body::Forward | Body::Send(_) | Body::Fetch);
        self.functions.iter().any(|function| needs(function.body))
    }

    fn takes_turns(&self) -> bool {
        let turns = |function: &Function| function.body == Body::Turn;
        self.functions.iter().any(turns)
    }

    pub(super) fn options(&self) -> String {
        format!(
            "(memory $memory) (realloc (core func $realloc)) {}",
            self.abi.encoding.option()
        )
    }

    pub(super) fn definitions(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        let options = self.options();
        let mut references = Vec::new();
        if self.imports() {
            let mut declarations = Declarations::new(Scope::Instance);
            let mut functions = String::new();
            for (index, function) in self.functions.iter().enumerate() {
                let ty = declarations.reference(&function.ty);
                let param = match function.body {
                    Body::Fetch => String::new(),
                    _ => format!("(param \"v\" {ty})"),
                };
                writeln!(
                    functions,
                    "(export \"f{index}\" (func {param} (result {ty})))"
                )
                .unwrap();
            }
            let types = declarations.text;
            writeln!(out, "(import \"b\" (instance $b\n{types}{functions}))").unwrap();
        }
        let scope = match self.imports() {
            true => Scope::Alias,
            false => Scope::Component,
        };
        let mut declarations = Declarations::new(scope);
        for function in &self.functions {
            references.push(declarations.reference(&function.ty));
        }
        out.push_str(&declarations.text);
        writeln!(out, "(core module $libc\n{})", self.library()).unwrap();
        out.push_str(
            "(core instance $libc (instantiate $libc))\n\
             (alias core export $libc \"memory\" (core memory $memory))\n",
        );
        for name in [
            "realloc", "arm", "calls", "logged", "post-i32", "post-i64", "post-f32", "post-f64",
        ] {
            writeln!(
                out,
                "(alias core export $libc \"{name}\" (core func ${name}))"
            )
            .unwrap();
        }

        let mut instances = String::new();
        if self.imports() {
            for index in 0..self.functions.len() {
                writeln!(
                    out,
                    "(core func $low{index} (canon lower (func $b \"f{index}\") {options}))"
                )
                .unwrap();
                write!(instances, "(export \"f{index}\" (func $low{index}))").unwrap();
            }
            instances = format!("(with \"b\" (instance {instances}))");
        }
        writeln!(out, "(core module $main\n{})", self.main()).unwrap();
        writeln!(
            out,
            "(core instance $main (instantiate $main (with \"libc\" (instance $libc)) {instances}))"
        )
        .unwrap();
        for (index, (function, ty)) in self.functions.iter().zip(&references).enumerate() {
            let param = match function.body {
                Body::Echo | Body::Forward | Body::Turn => format!("(param \"v\" {ty})"),
                _ => String::new(),
            };
            let result = self.results(&function.ty);
            writeln!(
                out,
                "(alias core export $main \"f{index}\" (core func $main{index}))\n\
                 (func $f{index} (export \"f{index}\") {param} (result {ty}) (canon lift \
                 (core func $main{index}) {options} (post-return (core func $post-{}))))",
                result.name()
            )
            .unwrap();
        }
        out.push_str(
            "(func (export \"arm\") (param \"at\" s32) (param \"kind\" u32) (canon lift (core func $arm)))\n\
             (func (export \"calls\") (result u32) (canon lift (core func $calls)))\n\
             (func (export \"logged\") (param \"call\" u32) (param \"field\" u32) (result u32) (canon lift (core func $logged)))\n",
        );
        text
    }

    fn spilled(&self, ty: &Ty) -> bool {
        ty.flat(self.abi.width).len() > MAX_FLAT_PARAMS
    }

    /// Core types of a parameter.
    fn params(&self, ty: &Ty) -> Vec<Flat> {
        match self.spilled(ty) {
            true => vec![self.abi.width.flat()],
            false => ty.flat(self.abi.width),
        }
    }

    /// The core type of a result of a lifted function.
    fn results(&self, ty: &Ty) -> Flat {
        match ty.flat(self.abi.width)[..] {
            [one] => one,
            _ => self.abi.width.flat(),
        }
    }

    /// The core type of what a function calls.
    pub(super) fn lowered(&self, function: &Function) -> String {
        let mut params = match function.body {
            Body::Fetch => Vec::new(),
            _ => self.params(&function.ty),
        };
        let mut result = format!("(result {})", self.results(&function.ty).name());
        if function.ty.flat(self.abi.width).len() > 1 {
            params.push(self.abi.width.flat());
            result.clear();
        }
        format!("(param {}) {result}", names(&params))
    }

    fn main(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        let pointer = self.abi.width.flat().name();
        for (index, function) in self.functions.iter().enumerate() {
            let ty = self.lowered(function);
            if self.imports() {
                writeln!(out, "(import \"b\" \"f{index}\" (func $low{index} {ty}))").unwrap();
            } else if self.takes_turns() {
                writeln!(out, "(type $low{index} (func {ty}))").unwrap();
            }
        }
        let index_type = if pointer == "i64" { "i64" } else { "" };
        writeln!(
            out,
            "(import \"libc\" \"memory\" (memory {index_type} 320 320))"
        )
        .unwrap();
        writeln!(
            out,
            "(import \"libc\" \"allocate\" (func $allocate (param {pointer} {pointer} {pointer} {pointer}) (result {pointer})))"
        )
        .unwrap();
        if self.takes_turns() {
            write!(
                out,
                "(table (export \"table\") {} funcref)\n\
                 (global $left (mut i32) (i32.const 0))\n\
                 (func (export \"turns\") (param i32) (global.set $left (local.get 0)))\n\
                 (func (export \"left\") (result i32) (global.get $left))\n",
                self.functions.len()
            )
            .unwrap();
        }
        for (index, function) in self.functions.iter().enumerate() {
            self.function(index, function, out);
        }
        text
    }

    fn function(&self, index: usize, function: &Function, out: &mut String) {
        let Abi { width, .. } = self.abi;
        let pointer = width.flat().name();
        let ty = &function.ty;
        let flat = ty.flat(width);
        let params = match function.body {
            Body::Echo | Body::Forward | Body::Turn => self.params(ty),
            _ => Vec::new(),
        };
        writeln!(
            out,
            "(func (export \"f{index}\") (param {}) (result {}) (local $at {pointer})",
            names(&params),
            self.results(ty).name()
        )
        .unwrap();
        let allocate = format!(
            "(local.set $at (call $allocate ({pointer}.const 0) ({pointer}.const 0) ({pointer}.const {}) ({pointer}.const {})))\n",
            ty.align(width),
            ty.size(width)
        );
        // Addresses are unsigned; too large ones are cut to the width.
        let signed = |address: u64| match width {
            Width::P32 => i64::from(address as u32),
            Width::P64 => address as i64,
        };
        let forward = |arguments: &[String], out: &mut String| {
            let arguments = arguments.join(" ");
            let call = |arguments: &str| match function.body {
                Body::Turn => {
                    format!("(call_indirect (type $low{index}) {arguments} (i32.const {index}))")
                }
                _ => format!("(call $low{index} {arguments})"),
            };
            match flat.len() {
                1 => writeln!(out, "{}", call(&arguments)).unwrap(),
                _ => {
                    out.push_str(&allocate);
                    let arguments = format!("{arguments} (local.get $at)");
                    writeln!(out, "{}\n(local.get $at)", call(&arguments)).unwrap();
                }
            }
        };
        let echo = |locals: &[String], out: &mut String| {
            if self.spilled(ty) || flat.len() == 1 {
                return out.push_str("(local.get 0)\n");
            }
            out.push_str(&allocate);
            let mut values = locals.iter().cloned().zip(flat.iter().copied());
            store(ty, 0, width, &mut values, out);
            out.push_str("(local.get $at)\n");
        };
        let locals: Vec<String> = (0..params.len())
            .map(|index| format!("(local.get {index})"))
            .collect();
        match function.body {
            Body::Echo => echo(&locals, out),
            Body::Turn => {
                let result = self.results(ty).name();
                writeln!(
                    out,
                    "(if (result {result}) (global.get $left)\n(then\n\
                     (global.set $left (i32.sub (global.get $left) (i32.const 1)))"
                )
                .unwrap();
                forward(&locals, out);
                out.push_str(")\n(else\n");
                echo(&locals, out);
                out.push_str("))\n");
            }
            Body::Return(address) if flat.len() == 1 => {
                writeln!(out, "{}", load(ty, address, width)[0]).unwrap();
            }
            Body::Return(address) => {
                writeln!(out, "({pointer}.const {})", signed(address)).unwrap()
            }
            Body::Forward => forward(&locals, out),
            Body::Send(address) if self.spilled(ty) => {
                forward(&[format!("({pointer}.const {})", signed(address))], out);
            }
            Body::Send(address) => forward(&load(ty, address, width), out),
            Body::Fetch => forward(&[], out),
        }
        out.push_str(")\n");
    }

    fn library(&self) -> String {
        let pointer = self.abi.width.flat().name();
        // Blocks stand for no conversion.
        let (index_type, extend, narrow) = match self.abi.width {
            Width::P32 => ("", "(block (result i32) ", "(block (result i32) "),
            Width::P64 => ("i64", "(i64.extend_i32_u ", "(i32.wrap_i64 "),
        };
        let mut data = String::new();
        for byte in &self.data {
            write!(data, "\\{byte:02x}").unwrap();
        }
        LIBRARY
            .replace("INDEX", index_type)
            .replace("(EXTEND ", extend)
            .replace("(NARROW ", narrow)
            .replace("MEMORY", &MEMORY_BYTES.to_string())
            .replace("IMAGES", &IMAGES.to_string())
            .replace("DATA", &data)
            .replace("PTR", pointer)
    }
}

/// `realloc` always moves, fills what is new with bytes that are no zeros, and what is old too.
/// `arm` makes one of its calls return nonsense: 0 is misaligned (if the alignment can be), 1 one
/// unit behind the end, 2 the last aligned address at all, 3 the last that is a little too far.
const LIBRARY: &str = r#"
(memory (export "memory") INDEX 320 320)
(data (PTR.const IMAGES) "DATA")
(global $next (mut PTR) (PTR.const 69633))
(global $calls (mut i32) (i32.const 0))
(global $bad_call (mut i32) (i32.const -1))
(global $bad_kind (mut i32) (i32.const 0))
(func $log (param $field i32) (param $value PTR)
  (i32.store
    (PTR.add (PTR.const 1024) (EXTEND (i32.add (i32.mul (global.get $calls) (i32.const 16)) (i32.mul (local.get $field) (i32.const 4)))))
    (NARROW (local.get $value))))
(func $allocate (export "allocate") (param $old PTR) (param $old_size PTR) (param $align PTR) (param $size PTR) (result PTR)
  (local $new PTR)
  (local.set $new
    (PTR.and
      (PTR.add (global.get $next) (PTR.sub (local.get $align) (PTR.const 1)))
      (PTR.sub (PTR.const 0) (local.get $align))))
  (global.set $next (PTR.add (local.get $new) (local.get $size)))
  (if (PTR.gt_u (global.get $next) (PTR.const IMAGES)) (then unreachable))
  (memory.fill (local.get $new) (i32.const 0xaa) (local.get $size))
  (memory.copy (local.get $new) (local.get $old)
    (select (local.get $old_size) (local.get $size) (PTR.lt_u (local.get $old_size) (local.get $size))))
  (memory.fill (local.get $old) (i32.const 0xee) (local.get $old_size))
  (local.get $new))
(func (export "realloc") (param $old PTR) (param $old_size PTR) (param $align PTR) (param $size PTR) (result PTR)
  (local $new PTR)
  (local.set $new (call $allocate (local.get $old) (local.get $old_size) (local.get $align) (local.get $size)))
  (if (i32.lt_u (global.get $calls) (i32.const 4000)) (then
    (call $log (i32.const 0) (local.get $old))
    (call $log (i32.const 1) (local.get $old_size))
    (call $log (i32.const 2) (local.get $align))
    (call $log (i32.const 3) (local.get $size))))
  (if (i32.eq (global.get $calls) (global.get $bad_call)) (then
    (block $done
      (if (i32.eqz (global.get $bad_kind)) (then
        (if (PTR.gt_u (local.get $align) (PTR.const 1)) (then
          (local.set $new (PTR.add (local.get $new) (PTR.const 1)))
          (br $done)))))
      (if (i32.eq (global.get $bad_kind) (i32.const 2)) (then
        (local.set $new (PTR.sub (PTR.const 0) (local.get $align)))
        (br $done)))
      (if (i32.and (i32.eq (global.get $bad_kind) (i32.const 3)) (PTR.ne (local.get $size) (PTR.const 0))) (then
        (local.set $new (PTR.sub (PTR.const MEMORY)
          (PTR.and (PTR.sub (local.get $size) (PTR.const 1)) (PTR.sub (PTR.const 0) (local.get $align)))))
        (br $done)))
      (local.set $new (PTR.add (PTR.const MEMORY) (local.get $align))))))
  (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
  (local.get $new))
(func (export "arm") (param $call i32) (param $kind i32)
  (global.set $calls (i32.const 0))
  (global.set $bad_call (local.get $call))
  (global.set $bad_kind (local.get $kind)))
(func (export "calls") (result i32) (global.get $calls))
(func (export "logged") (param $call i32) (param $field i32) (result i32)
  (i32.load (PTR.add (PTR.const 1024) (EXTEND (i32.add (i32.mul (local.get $call) (i32.const 16)) (i32.mul (local.get $field) (i32.const 4)))))))
(func (export "post-i32") (param i32) (global.set $next (PTR.const 69633)))
(func (export "post-i64") (param i64) (global.set $next (PTR.const 69633)))
(func (export "post-f32") (param f32) (global.set $next (PTR.const 69633)))
(func (export "post-f64") (param f64) (global.set $next (PTR.const 69633)))
"#;

fn names(flat: &[Flat]) -> String {
    let names: Vec<&str> = flat.iter().map(|flat| flat.name()).collect();
    names.join(" ")
}

/// Core code that stores flat values at `$at` plus `offset`, in the canonical layout.
fn store(
    ty: &Ty,
    offset: usize,
    width: Width,
    values: &mut dyn Iterator<Item = (String, Flat)>,
    out: &mut String,
) {
    let mut put = |instruction: &str, offset: usize, value: &str| {
        writeln!(
            out,
            "({instruction} offset={offset} (local.get $at) {value})"
        )
        .unwrap();
    };
    let mut next = || values.next().expect("as many as the type has").0;
    match ty {
        Ty::Bool | Ty::S8 | Ty::U8 => put("i32.store8", offset, &next()),
        Ty::S16 | Ty::U16 => put("i32.store16", offset, &next()),
        Ty::S32 | Ty::U32 | Ty::Char => put("i32.store", offset, &next()),
        Ty::S64 | Ty::U64 => put("i64.store", offset, &next()),
        Ty::F32 => put("f32.store", offset, &next()),
        Ty::F64 => put("f64.store", offset, &next()),
        Ty::Flags(_) => match ty.size(width) {
            1 => put("i32.store8", offset, &next()),
            2 => put("i32.store16", offset, &next()),
            _ => put("i32.store", offset, &next()),
        },
        Ty::String | Ty::List(_) | Ty::Map(..) => {
            let instruction = format!("{}.store", width.flat().name());
            put(&instruction, offset, &next());
            put(&instruction, offset + width.bytes(), &next());
        }
        _ => {
            if let Some(fields) = ty.fields() {
                for (field, at) in fields.into_iter().zip(ty.offsets(width)) {
                    store(field, offset + at, width, values, out);
                }
                return;
            }
            let cases = ty.cases().expect("the rest are variants");
            let discriminant = next();
            match discriminant_size(cases.len()) {
                1 => put("i32.store8", offset, &discriminant),
                2 => put("i32.store16", offset, &discriminant),
                _ => put("i32.store", offset, &discriminant),
            }
            let joined: Vec<(String, Flat)> = ty.flat(width)[1..]
                .iter()
                .map(|flat| (values.next().expect("as many as the type has").0, *flat))
                .collect();
            let payload = offset + payload_offset(&cases, width);
            for (index, case) in cases.iter().enumerate() {
                let Some(case) = case else { continue };
                writeln!(out, "(if (i32.eq {discriminant} (i32.const {index})) (then").unwrap();
                let mut own = joined
                    .iter()
                    .zip(case.flat(width))
                    .map(|((value, have), want)| (coerce(value, *have, want), want));
                store(case, payload, width, &mut own, out);
                out.push_str("))\n");
            }
        }
    }
}

/// Expressions for the flat values of what is in memory. Bits that lifting must ignore are set.
fn load(ty: &Ty, at: u64, width: Width) -> Vec<String> {
    let pointer = width.flat().name();
    let get = |instruction: &str, at: u64| format!("({instruction} ({pointer}.const {at}))");
    let stray = |instruction: &str, bits: u32| {
        vec![format!(
            "(i32.or (i32.const {bits:#x}) {})",
            get(instruction, at)
        )]
    };
    let size = ty.size(width);
    match ty {
        Ty::Bool => vec![get("i32.load8_u", at)],
        Ty::S8 | Ty::U8 => stray("i32.load8_u", 0xa5c3_7e00),
        Ty::S16 | Ty::U16 => stray("i32.load16_u", 0xa5c3_0000),
        Ty::Flags(_) if size == 1 => stray("i32.load8_u", 0xa5c3_7e00),
        Ty::Flags(_) if size == 2 => stray("i32.load16_u", 0xa5c3_0000),
        Ty::S32 | Ty::U32 | Ty::Char | Ty::Flags(_) => vec![get("i32.load", at)],
        Ty::S64 | Ty::U64 => vec![get("i64.load", at)],
        Ty::F32 => vec![get("f32.load", at)],
        Ty::F64 => vec![get("f64.load", at)],
        Ty::String | Ty::List(_) | Ty::Map(..) => {
            let load = format!("{pointer}.load");
            vec![get(&load, at), get(&load, at + width.bytes() as u64)]
        }
        _ => {
            if let Some(fields) = ty.fields() {
                let fields = fields.into_iter().zip(ty.offsets(width));
                let one = |(field, offset): (&Ty, usize)| load(field, at + offset as u64, width);
                return fields.flat_map(one).collect();
            }
            let cases = ty.cases().expect("the rest are variants");
            let discriminant = match discriminant_size(cases.len()) {
                1 => get("i32.load8_u", at),
                2 => get("i32.load16_u", at),
                _ => get("i32.load", at),
            };
            let payload = at + payload_offset(&cases, width) as u64;
            let joined = &ty.flat(width)[1..];
            let mut values: Vec<String> = joined.iter().map(|flat| unused(*flat)).collect();
            for (index, case) in cases.iter().enumerate() {
                let Some(case) = case else { continue };
                let own = load(case, payload, width).into_iter().zip(case.flat(width));
                for (slot, (value, have)) in own.enumerate() {
                    let value = join(&value, have, joined[slot]);
                    values[slot] = format!(
                        "(if (result {}) (i32.eq {discriminant} (i32.const {index})) (then {value}) (else {}))",
                        joined[slot].name(),
                        values[slot]
                    );
                }
            }
            values.insert(0, discriminant);
            values
        }
    }
}

/// What is passed where a variant's case has no value: anything.
fn unused(flat: Flat) -> String {
    format!("({}.const 119)", flat.name())
}

/// A case's flat value as the joined one. Where it is wider, the other half is ignored.
fn join(value: &str, have: Flat, want: Flat) -> String {
    let widen = |value: &str| {
        format!("(i64.or (i64.const 0x5aa5_c33c_0000_0000) (i64.extend_i32_u {value}))")
    };
    match (have, want) {
        (Flat::F32, Flat::I32) => format!("(i32.reinterpret_f32 {value})"),
        (Flat::I32, Flat::I64) => widen(value),
        (Flat::F32, Flat::I64) => widen(&format!("(i32.reinterpret_f32 {value})")),
        (Flat::F64, Flat::I64) => format!("(i64.reinterpret_f64 {value})"),
        _ => {
            assert_eq!(have, want, "`join` makes no other pairs");
            value.to_string()
        }
    }
}

/// A joined flat value as one of the case's type.
fn coerce(value: &str, have: Flat, want: Flat) -> String {
    match (have, want) {
        (Flat::I32, Flat::F32) => format!("(f32.reinterpret_i32 {value})"),
        (Flat::I64, Flat::I32) => format!("(i32.wrap_i64 {value})"),
        (Flat::I64, Flat::F32) => format!("(f32.reinterpret_i32 (i32.wrap_i64 {value}))"),
        (Flat::I64, Flat::F64) => format!("(f64.reinterpret_i64 {value})"),
        _ => {
            assert_eq!(have, want, "`join` makes no other pairs");
            value.to_string()
        }
    }
}

/// Where types are declared.
#[derive(Clone, Copy, PartialEq)]
pub enum Scope {
    /// In a component that exports them.
    Component,
    /// In the type of an imported instance.
    Instance,
    /// In a component that imports that instance as `$b`.
    Alias,
}

/// Declarations of types, `$t0`, `$t1`, … in the order in which they are needed. What has labels
/// must have a name to be used in an exported function.
pub struct Declarations {
    scope: Scope,
    count: usize,
    /// Which of them are exported as `t0`, `t1`, …
    pub named: Vec<usize>,
    text: String,
}

impl Declarations {
    pub fn new(scope: Scope) -> Self {
        Declarations {
            scope,
            count: 0,
            named: Vec::new(),
            text: String::new(),
        }
    }

    /// Declares the type and returns how to refer to it.
    pub fn reference(&mut self, ty: &Ty) -> String {
        let mut all = |types: &mut dyn Iterator<Item = &Ty>| -> Vec<String> {
            types.map(|ty| self.reference(ty)).collect()
        };
        let labels = |letter: char, count: usize| {
            let all: Vec<String> = (0..count).map(|i| format!("\"{letter}{i}\"")).collect();
            all.join(" ")
        };
        let (named, definition) = match ty {
            Ty::Bool => return "bool".into(),
            Ty::S8 => return "s8".into(),
            Ty::U8 => return "u8".into(),
            Ty::S16 => return "s16".into(),
            Ty::U16 => return "u16".into(),
            Ty::S32 => return "s32".into(),
            Ty::U32 => return "u32".into(),
            Ty::S64 => return "s64".into(),
            Ty::U64 => return "u64".into(),
            Ty::F32 => return "f32".into(),
            Ty::F64 => return "f64".into(),
            Ty::Char => return "char".into(),
            Ty::String => return "string".into(),
            Ty::List(element) => (false, format!("(list {})", self.reference(element))),
            Ty::FixedLengthList(element, count) => {
                (false, format!("(list {} {count})", self.reference(element)))
            }
            Ty::Map(key, value) => {
                let parts = all(&mut [&**key, &**value].into_iter());
                (false, format!("(map {})", parts.join(" ")))
            }
            Ty::Record(fields) => {
                let mut text = "(record".to_string();
                for (index, field) in all(&mut fields.iter()).iter().enumerate() {
                    write!(text, " (field \"f{index}\" {field})").unwrap();
                }
                (true, text + ")")
            }
            Ty::Tuple(fields) => {
                let fields = all(&mut fields.iter());
                (false, format!("(tuple {})", fields.join(" ")))
            }
            Ty::Variant(cases) => {
                let mut text = "(variant".to_string();
                for (index, case) in cases.iter().enumerate() {
                    let payload = case.as_ref().map(|ty| self.reference(ty));
                    write!(text, " (case \"c{index}\" {})", payload.unwrap_or_default()).unwrap();
                }
                (true, text + ")")
            }
            Ty::Enum(count) => (true, format!("(enum {})", labels('e', *count))),
            Ty::Flags(count) => (true, format!("(flags {})", labels('g', *count))),
            Ty::Option(some) => (false, format!("(option {})", self.reference(some))),
            Ty::Result(ok, err) => {
                let ok = ok.as_ref().map(|ty| self.reference(ty)).unwrap_or_default();
                let err = err
                    .as_ref()
                    .map(|ty| format!("(error {})", self.reference(ty)));
                (false, format!("(result {ok} {})", err.unwrap_or_default()))
            }
        };
        let n = self.count;
        self.count += 1;
        if named {
            self.named.push(n);
        }
        let out = &mut self.text;
        match (named, self.scope) {
            (false, _) => writeln!(out, "(type $t{n} {definition})"),
            (true, Scope::Component) => {
                writeln!(
                    out,
                    "(type $d{n} {definition}) (export $t{n} \"t{n}\" (type $d{n}))"
                )
            }
            (true, Scope::Instance) => writeln!(
                out,
                "(type $d{n} {definition}) (export \"t{n}\" (type $t{n} (eq $d{n})))"
            ),
            (true, Scope::Alias) => writeln!(
                out,
                "(alias export $b \"t{n}\" (type $d{n})) (export $t{n} \"t{n}\" (type $d{n}))"
            ),
        }
        .unwrap();
        format!("$t{n}")
    }
}
