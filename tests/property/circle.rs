//! Guests that call each other in a circle: an instance is called while it waits, several times.

use super::guest::{Declarations, Guest, Scope};
use std::fmt::Write;

/// Components that call each other in a circle: the functions of the outermost one, which take
/// turns, call the last of `siblings`, each of these calls the one before, and the first calls the
/// outermost again. Post-return functions do nothing: others still use what the memory holds.
pub fn circle(around: &Guest, siblings: &[Guest]) -> String {
    let mut text = format!("(component\n{}", around.definitions());
    let out = &mut text;
    let mut declarations = Declarations::new(Scope::Component);
    let mut first = String::new();
    for (index, function) in around.functions.iter().enumerate() {
        declarations.reference(&function.ty);
        write!(first, "(export \"f{index}\" (func $f{index}))").unwrap();
    }
    for n in declarations.named {
        write!(first, "(export \"t{n}\" (type $t{n}))").unwrap();
    }
    writeln!(out, "(instance $i0 {first})").unwrap();
    for (index, sibling) in siblings.iter().enumerate() {
        let (definitions, next) = (sibling.definitions(), index + 1);
        writeln!(
            out,
            "(component $C{index}\n{definitions})\n\
             (instance $i{next} (instantiate $C{index} (with \"b\" (instance $i{index}))))"
        )
        .unwrap();
    }
    let (mut imports, mut exports, mut elements) = (String::new(), String::new(), String::new());
    for (index, function) in around.functions.iter().enumerate() {
        let (last, options) = (siblings.len(), around.options());
        let ty = around.lowered(function);
        writeln!(
            out,
            "(core func $low{index} (canon lower (func $i{last} \"f{index}\") {options}))"
        )
        .unwrap();
        writeln!(
            imports,
            "(import \"\" \"f{index}\" (func $low{index} {ty}))"
        )
        .unwrap();
        write!(exports, "(export \"f{index}\" (func $low{index}))").unwrap();
        write!(elements, " $low{index}").unwrap();
    }
    writeln!(
        out,
        "(core module $fill\n{imports}(import \"\" \"table\" (table {} funcref))\n\
         (elem (i32.const 0) func{elements}))\n\
         (core instance (instantiate $fill (with \"\" (instance {exports}\n\
         (export \"table\" (table $main \"table\"))))))\n\
         (func (export \"turns\") (param \"n\" u32) (canon lift (core func $main \"turns\")))\n\
         (func (export \"left\") (result u32) (canon lift (core func $main \"left\"))))",
        around.functions.len()
    )
    .unwrap();
    let reset = |pointer| format!("(global.set $next ({pointer}.const 69633))");
    text.replace(&reset("i32"), "").replace(&reset("i64"), "")
}
