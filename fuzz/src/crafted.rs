//! Random core modules with the shapes that linking is about, which wasm-smith seldom finds: many
//! small functions, calls of imported functions, indirect calls that succeed, tables that are
//! filled by one module and used by another, memories and tags that several modules share.
//!
//! Functions have one of few types, so that indirect calls match across modules. Only functions
//! that call take part in counting fuel; the others are as small as they look.

use crate::generate::FUEL;
use crate::interface::{Interface, Item};
use crate::random::Random;
use crate::value::Type;
use anyhow::{Context, Result};
use std::fmt::Write;
use wasmparser::{RefType, ValType};

/// The types of crafted functions.
const SIGNATURES: &[(&[Type], Option<Type>)] = &[
    (&[], None),
    (&[], Some(Type::I32)),
    (&[Type::I32], Some(Type::I32)),
    (&[Type::I32, Type::I32], Some(Type::I32)),
    (&[Type::I64], Some(Type::I64)),
    (&[Type::I32, Type::I64], None),
    (&[Type::F64], Some(Type::F64)),
    (&[Type::F32, Type::I32], Some(Type::F32)),
    // Those of the host's functions, which another component may take the place of.
    (&[Type::I64, Type::F64], Some(Type::F64)),
    (&[Type::F32, Type::I32, Type::I64], Some(Type::I64)),
    (&[Type::I32, Type::I32], Some(Type::F32)),
];

/// Where an item of an earlier module is imported from.
pub struct Import<'a> {
    /// The module's name.
    pub module: String,
    /// What it exports.
    pub interface: &'a Interface,
}

/// A function that crafted code may call.
#[derive(Clone)]
pub struct Function {
    /// Its name: that of an export, or as text has it.
    pub name: String,
    /// Its parameters, all numbers.
    pub params: Vec<Type>,
    /// Its result, a number.
    pub result: Option<Type>,
}

/// A function in a table.
#[derive(Clone)]
struct Element {
    table: String,
    index: usize,
    function: Function,
}

#[derive(Default)]
struct Module {
    imports: String,
    definitions: String,
    functions: Vec<Function>,
    memory: bool,
    /// What the module's own segments write.
    elements: Vec<Element>,
    /// The name of a table and its least length.
    tables: Vec<(String, u64)>,
    /// Name, type, whether it is mutable.
    globals: Vec<(String, Type, bool)>,
    /// Tags with an `i32`.
    tags: Vec<String>,
    /// The types that globals `$r` and the type's number refer to, and whether each is mutable.
    references: Vec<(usize, bool)>,
    exports: String,
    exported: usize,
}

/// A random module that may import from earlier ones, and functions of the host's, whose module
/// name is `host`.
///
/// # Errors
/// If the text made here is wrong.
pub fn module(
    host: &str,
    functions: &[Function],
    earlier: &[Import<'_>],
    random: &mut Random,
) -> Result<Vec<u8>> {
    let mut module = Module::default();
    for function in functions {
        if random.percent(30) {
            module.import_function(host, &function.name, &function.params, function.result);
        }
    }
    for import in earlier {
        for (name, item) in &import.interface.exports {
            module.import(&import.module, name, item, random);
        }
    }
    module.define(random);
    let text = module.text();
    wat::parse_str(&text).with_context(|| format!("a crafted module is wrong: {text}"))
}

fn text(ty: Type) -> &'static str {
    match ty {
        Type::I32 => "i32",
        Type::I64 => "i64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        _ => unreachable!("crafted modules have numbers only"),
    }
}

fn signature(params: &[Type], result: Option<Type>) -> String {
    let mut all = String::new();
    for ty in params {
        let _ = write!(all, "(param {}) ", text(*ty));
    }
    if let Some(ty) = result {
        let _ = write!(all, "(result {}) ", text(ty));
    }
    all
}

/// What a global is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

impl Module {
    fn import_function(&mut self, module: &str, name: &str, params: &[Type], result: Option<Type>) {
        let id = format!("$f{}", self.functions.len());
        let ty = signature(params, result);
        self.imports += &format!("(import \"{module}\" \"{name}\" (func {id} {ty}))\n");
        self.functions.push(Function {
            name: id,
            params: params.to_vec(),
            result,
        });
    }

    /// Imports an item, sometimes, if crafted code can use it.
    fn import(&mut self, module: &str, name: &str, item: &Item, random: &mut Random) {
        let ty = match item {
            Item::Func(_, Some(signature))
                if signature.params.len() <= 8
                    && signature.results.len() <= 1
                    && signature.params.iter().all(|ty| ty.is_scalar())
                    && signature.results.iter().all(|ty| ty.is_scalar()) =>
            {
                if random.percent(40) {
                    let result = signature.results.first().copied();
                    self.import_function(module, name, &signature.params, result);
                }
                return;
            }
            Item::Memory(ty) if !self.memory && !ty.memory64 && random.percent(60) => {
                self.memory = true;
                "(memory $memory 0)".to_string()
            }
            Item::Table(ty)
                if ty.element_type == RefType::FUNCREF && !ty.table64 && random.percent(70) =>
            {
                let id = format!("$t{}", self.tables.len());
                self.tables.push((id.clone(), ty.initial));
                format!("(table {id} {} funcref)", ty.initial)
            }
            Item::Global(ty) if name != FUEL && random.percent(50) => {
                let Some(content) = Type::of(ty.content_type).filter(|ty| ty.is_scalar()) else {
                    return;
                };
                let id = format!("$g{}", self.globals.len());
                self.globals.push((id.clone(), content, ty.mutable));
                match ty.mutable {
                    true => format!("(global {id} (mut {}))", text(content)),
                    false => format!("(global {id} {})", text(content)),
                }
            }
            Item::Tag(ty)
                if ty.params() == [ValType::I32]
                    && ty.results().is_empty()
                    && random.percent(60) =>
            {
                let id = format!("$tag{}", self.tags.len());
                self.tags.push(id.clone());
                format!("(tag {id} (param i32))")
            }
            _ => return,
        };
        self.imports += &format!("(import \"{module}\" \"{name}\" {ty})\n");
    }

    fn export(&mut self, kind: &str, id: &str) {
        let name = format!("e{}", self.exported);
        self.exported += 1;
        self.exports += &format!("(export \"{name}\" ({kind} {id}))\n");
    }

    fn define(&mut self, random: &mut Random) {
        self.definitions += "(global $fuel (mut i32) (i32.const 1000))\n";
        self.exports += &format!("(export \"{FUEL}\" (global $fuel))\n");
        if !self.memory {
            let maximum = random.pick(&["", "1", "3"]);
            self.memory = true;
            self.definitions += &format!("(memory $memory 1 {maximum})\n");
            self.definitions += "(data (memory $memory) (i32.const 16) \"\\01\\02\\03\\ff\\fe\\80\\7f\\10 crafted data\")\n";
            self.export("memory", "$memory");
        }
        for (ty, mutable) in [(Type::I32, true), (Type::I64, true), (Type::I32, false)] {
            let id = format!("$g{}", self.globals.len());
            let name = text(ty);
            let declared = match mutable {
                true => format!("(mut {name})"),
                false => name.to_string(),
            };
            let value = random.below(1000);
            self.definitions += &format!("(global {id} {declared} ({name}.const {value}))\n");
            self.export("global", &id);
            self.globals.push((id, ty, mutable));
        }
        if self.tables.is_empty() || random.percent(50) {
            let id = format!("$t{}", self.tables.len());
            let length = random.pick(&[4u64, 8]);
            let maximum = random.pick(&["", "8", "20"]);
            self.definitions += &format!("(table {id} {length} {maximum} funcref)\n");
            self.tables.push((id.clone(), length));
            // One that only this module sees is never written by another.
            if random.percent(70) {
                self.export("table", &id);
            }
        }
        if self.tags.is_empty() || random.percent(30) {
            let id = format!("$tag{}", self.tags.len());
            self.definitions += &format!("(tag {id} (param i32))\n");
            self.export("tag", &id);
            self.tags.push(id);
        }
        let first = self.functions.len();
        for index in first..first + 3 + random.below(8) {
            let (params, result) = random.pick(SIGNATURES);
            self.functions.push(Function {
                name: format!("$f{index}"),
                params: params.to_vec(),
                result,
            });
        }
        self.fill_tables(random);
        // References that may change, and one that does not.
        for (index, (params, result)) in SIGNATURES.iter().enumerate() {
            let same = |f: &&Function| f.params == *params && f.result == *result;
            if let Some(function) = self.functions.iter().find(same) {
                let ty = match random.percent(50) {
                    true => format!("(mut (ref null $s{index}))"),
                    false => format!("(ref null $s{index})"),
                };
                let name = &function.name;
                self.definitions += &format!("(global $r{index} {ty} (ref.func {name}))\n");
                self.references.push((index, ty.contains("mut")));
            }
        }
        for index in first..self.functions.len() {
            self.define_function(index, random);
        }
    }

    fn fill_tables(&mut self, random: &mut Random) {
        for (table, length) in self.tables.clone() {
            if length == 0 || random.percent(15) {
                continue;
            }
            let start = random.below(length as usize);
            let start = random.pick(&[0, 0, start]);
            let mut elements = String::new();
            for index in start..length as usize {
                let function = random.pick(&self.functions);
                elements += &format!("(ref.func {}) ", function.name);
                self.elements.push(Element {
                    table: table.clone(),
                    index,
                    function,
                });
            }
            self.definitions +=
                &format!("(elem (table {table}) (i32.const {start}) funcref {elements})\n");
        }
    }

    fn define_function(&mut self, index: usize, random: &mut Random) {
        let Function {
            name: id,
            params,
            result,
        } = self.functions[index].clone();
        let mut locals = params.clone();
        locals.push(Type::I32);
        locals.push(Type::I64);
        let mut body = Body {
            module: self,
            callees: index,
            locals,
            calls: false,
            labels: 0,
            left: 30,
            random,
        };
        let mut code = String::new();
        for _ in 0..body.random.below(4) {
            code += &body.statement();
        }
        code += &body.tail(result);
        let fuel = match body.calls {
            true => {
                "(if (i32.eqz (global.get $fuel)) (then unreachable))
                (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))\n"
            }
            false => "",
        };
        let ty = signature(&params, result);
        self.definitions += &format!("(func {id} {ty} (local i32) (local i64)\n{fuel}{code})\n");
        if random.percent(80) {
            self.export("func", &id);
        }
    }

    fn text(&self) -> String {
        // References to functions must be declared before code uses them.
        let names: Vec<&str> = self.functions.iter().map(|f| f.name.as_str()).collect();
        let declared = format!("(elem declare func {})\n", names.join(" "));
        let mut types = String::new();
        for (index, (params, result)) in SIGNATURES.iter().enumerate() {
            let _ = writeln!(
                types,
                "(type $s{index} (func {}))",
                signature(params, *result)
            );
        }
        format!(
            "(module\n{types}{}{}{}{declared})",
            self.imports, self.definitions, self.exports
        )
    }
}

/// A function in the making.
struct Body<'a> {
    module: &'a Module,
    /// How many of the module's functions may be called directly: those before this one.
    callees: usize,
    locals: Vec<Type>,
    calls: bool,
    labels: usize,
    /// How many more expressions there may be, about.
    left: usize,
    random: &'a mut Random,
}

impl Body<'_> {
    /// The last expression: the result, or a tail call.
    fn tail(&mut self, result: Option<Type>) -> String {
        if self.random.percent(15)
            && let Some(function) = self.callee(result)
        {
            let arguments = self.arguments(&function.params);
            return format!("(return_call {} {arguments})", function.name);
        }
        if self.random.percent(10) {
            return self.indirect("return_call_indirect", result);
        }
        match result {
            Some(ty) => self.expression(ty),
            None => self.statement(),
        }
    }

    /// A function with that result.
    fn callee(&mut self, result: Option<Type>) -> Option<Function> {
        let all = self.module.functions[..self.callees].iter();
        let all: Vec<_> = all.filter(|f| f.result == result).cloned().collect();
        if all.is_empty() {
            return None;
        }
        self.calls = true;
        Some(self.random.pick(&all))
    }

    fn arguments(&mut self, params: &[Type]) -> String {
        params.iter().map(|ty| self.expression(*ty)).collect()
    }

    fn indirect(&mut self, instruction: &str, result: Option<Type>) -> String {
        self.calls = true;
        let known = self.module.elements.iter();
        let known: Vec<_> = known.filter(|e| e.function.result == result).collect();
        if !known.is_empty() && self.random.percent(85) {
            let element = self.random.pick(&known).clone();
            let Element { table, index, .. } = element;
            let params = element.function.params;
            let arguments = self.arguments(&params);
            let index = match self.random.percent(50) {
                true => format!("(i32.const {index})"),
                // The same, but not for whom folds constants only.
                false => {
                    let value = self.expression(Type::I32);
                    format!("(i32.or (i32.const {index}) (i32.eq {value} (i32.const 0x1234567)))")
                }
            };
            let ty = signature(&params, result);
            return format!("({instruction} {table} {ty}{arguments}{index})");
        }
        let all = SIGNATURES.iter().filter(|(_, found)| *found == result);
        let all: Vec<_> = all.copied().collect();
        let (params, result) = self.random.pick(&all);
        let (table, length) = self.random.pick(&self.module.tables);
        let arguments = self.arguments(params);
        let index = match self.random.below(4) {
            0 => format!("(i32.const {})", self.random.below(length as usize + 1)),
            1 => self.expression(Type::I32),
            _ => {
                let index = self.expression(Type::I32);
                format!("(i32.rem_u {index} (i32.const {}))", length.max(1))
            }
        };
        let ty = signature(params, result);
        format!("({instruction} {table} {ty}{arguments}{index})")
    }

    /// A call of a reference.
    fn reference(&mut self, result: Option<Type>) -> Option<String> {
        let all = self.module.references.iter();
        let all = all.filter(|(ty, _)| SIGNATURES[*ty].1 == result);
        let all: Vec<_> = all.copied().collect();
        if all.is_empty() {
            return None;
        }
        self.calls = true;
        let (ty, mutable) = self.random.pick(&all);
        let arguments = self.arguments(SIGNATURES[ty].0);
        let mut before = String::new();
        if mutable && self.random.percent(20) {
            let condition = self.expression(Type::I32);
            before = format!("(if {condition} (then (global.set $r{ty} (ref.null $s{ty}))))");
        }
        Some(format!(
            "{before} (call_ref $s{ty} {arguments}(global.get $r{ty}))"
        ))
    }

    fn global(&mut self, ty: Type, access: Access) -> Option<String> {
        let all = self.module.globals.iter();
        let all =
            all.filter(|(_, found, mutable)| *found == ty && (*mutable || access == Access::Read));
        let all: Vec<_> = all.map(|(name, ..)| name.clone()).collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn local(&mut self, ty: Type) -> Option<usize> {
        let all = self.locals.iter().enumerate();
        let all = all.filter(|(_, found)| **found == ty);
        let all: Vec<_> = all.map(|(index, _)| index).collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn address(&mut self) -> String {
        let address = self.expression(Type::I32);
        match self.random.percent(95) {
            true => format!("(i32.and {address} (i32.const 0xfff))"),
            false => address,
        }
    }

    fn offset(&mut self) -> String {
        let offset = self.random.pick(&[0, 0, 0, 4, 8, 100, 0xeff0, 0x10000]);
        format!("offset={offset}")
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("$l{}", self.labels)
    }

    fn any_type(&mut self) -> Type {
        self.random
            .pick(&[Type::I32, Type::I32, Type::I64, Type::F32, Type::F64])
    }

    fn expression(&mut self, ty: Type) -> String {
        let name = text(ty);
        if self.left == 0 {
            return self.leaf(ty);
        }
        self.left -= 1;
        match self.random.below(16) {
            0 | 1 => self.leaf(ty),
            2 | 3 => match self.callee(Some(ty)) {
                Some(function) => {
                    let arguments = self.arguments(&function.params);
                    format!("(call {} {arguments})", function.name)
                }
                None => self.leaf(ty),
            },
            4 => self.indirect("call_indirect", Some(ty)),
            10 => match self.reference(Some(ty)) {
                Some(call) => format!("(block (result {name}) {call})"),
                None => self.leaf(ty),
            },
            5 => {
                let (offset, address) = (self.offset(), self.address());
                format!("({name}.load {offset} {address})")
            }
            6 => {
                let condition = self.expression(Type::I32);
                let (then, other) = (self.expression(ty), self.expression(ty));
                format!("(if (result {name}) {condition} (then {then}) (else {other}))")
            }
            7 => {
                let (a, b) = (self.expression(ty), self.expression(ty));
                let condition = self.expression(Type::I32);
                format!("(select {a} {b} {condition})")
            }
            8 => {
                let label = self.label();
                let (value, condition) = (self.expression(ty), self.expression(Type::I32));
                let (statement, last) = (self.statement(), self.expression(ty));
                format!(
                    "(block {label} (result {name}) (br_if {label} {value} {condition}) drop {statement} {last})"
                )
            }
            9 if ty == Type::I32 => {
                let label = self.label();
                let tag = self.random.pick(&self.module.tags);
                let body = self.expression(Type::I32);
                format!(
                    "(block {label} (result i32) (try_table (result i32) (catch {tag} {label}) {body}))"
                )
            }
            _ => self.operation(ty),
        }
    }

    fn leaf(&mut self, ty: Type) -> String {
        let name = text(ty);
        match self.random.below(4) {
            0 => {
                if let Some(global) = self.global(ty, Access::Read) {
                    return format!("(global.get {global})");
                }
            }
            1 => return format!("({name}.const {})", self.random.below(40)),
            _ => {
                if let Some(local) = self.local(ty) {
                    return format!("(local.get {local})");
                }
            }
        }
        format!("({name}.const {})", self.random.below(3))
    }

    fn operation(&mut self, ty: Type) -> String {
        const INTEGER: [&str; 14] = [
            "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "add", "sub",
            "div_u", "rem_s",
        ];
        const FLOAT: [&str; 8] = ["add", "sub", "mul", "div", "min", "max", "copysign", "sub"];
        let name = text(ty);
        if self.random.percent(60) {
            let operator = match ty {
                Type::I32 | Type::I64 => self.random.pick(&INTEGER),
                _ => self.random.pick(&FLOAT),
            };
            let (a, b) = (self.expression(ty), self.expression(ty));
            return format!("({name}.{operator} {a} {b})");
        }
        let from = self.any_type();
        let value = self.expression(from);
        match (ty, from) {
            (Type::I32, Type::I32) => match self.random.below(4) {
                0 => format!("(i32.eqz {value})"),
                1 => format!("(i32.load8_s (i32.and {value} (i32.const 255)))"),
                2 => "(memory.size)".to_string(),
                _ => {
                    let (table, length) = self.random.pick(&self.module.tables);
                    match length {
                        0 => format!("(table.size {table})"),
                        _ => format!(
                            "(ref.is_null (table.get {table} (i32.rem_u {value} (i32.const {length}))))"
                        ),
                    }
                }
            },
            (Type::I32, Type::I64) => match self.random.below(2) {
                0 => format!("(i32.wrap_i64 {value})"),
                _ => {
                    let other = self.expression(Type::I64);
                    format!("(i64.lt_s {value} {other})")
                }
            },
            (Type::I64, Type::I32) => format!("(i64.extend_i32_s {value})"),
            (Type::I32 | Type::I64, Type::F32 | Type::F64) => {
                format!("({name}.trunc_sat_{}_s {value})", text(from))
            }
            (Type::F32 | Type::F64, Type::I32 | Type::I64) => {
                format!("({name}.convert_{}_u {value})", text(from))
            }
            (Type::F32, Type::F64) => format!("(f32.demote_f64 {value})"),
            (Type::F64, Type::F32) => format!("(f64.promote_f32 {value})"),
            (Type::I64, _) => format!("(i64.clz {value})"),
            _ => format!("({name}.neg {value})"),
        }
    }

    fn statement(&mut self) -> String {
        if self.left == 0 {
            return String::new();
        }
        self.left -= 1;
        let ty = self.any_type();
        let name = text(ty);
        match self.random.below(15) {
            0 | 1 => {
                let (offset, address) = (self.offset(), self.address());
                let value = self.expression(ty);
                format!("({name}.store {offset} {address} {value})")
            }
            2 | 3 => match self.global(ty, Access::Write) {
                Some(global) => {
                    let value = self.expression(ty);
                    format!("(global.set {global} {value})")
                }
                None => String::new(),
            },
            4 | 5 => match self.local(ty) {
                Some(local) => {
                    let value = self.expression(ty);
                    format!("(local.set {local} {value})")
                }
                None => String::new(),
            },
            6 | 7 => match self.callee(None) {
                Some(function) => {
                    let arguments = self.arguments(&function.params);
                    format!("(call {} {arguments})", function.name)
                }
                None => self.indirect("call_indirect", None),
            },
            13 => self.reference(None).unwrap_or_default(),
            8 => {
                let condition = self.expression(Type::I32);
                let (then, other) = (self.statement(), self.statement());
                format!("(if {condition} (then {then}) (else {other}))")
            }
            9 => {
                let (condition, value) = (self.expression(Type::I32), self.expression(Type::I32));
                let tag = self.random.pick(&self.module.tags);
                format!("(if {condition} (then (throw {tag} {value})))")
            }
            10 if self.random.percent(30) => {
                let (table, length) = self.random.pick(&self.module.tables);
                let index = self.expression(Type::I32);
                let index = format!("(i32.rem_u {index} (i32.const {}))", length.max(1));
                let value = match self.module.functions.is_empty() || self.random.percent(20) {
                    true => "(ref.null func)".to_string(),
                    false => format!(
                        "(ref.func {})",
                        self.random.pick(&self.module.functions).name
                    ),
                };
                format!("(table.set {table} {index} {value})")
            }
            11 if self.random.percent(20) => {
                let (table, _) = self.random.pick(&self.module.tables);
                format!("(drop (table.grow {table} (ref.null func) (i32.const 1)))")
            }
            12 if self.random.percent(20) => "(drop (memory.grow (i32.const 1)))".to_string(),
            _ => {
                let value = self.expression(ty);
                format!("(drop {value})")
            }
        }
    }
}
