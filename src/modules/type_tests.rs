//! Tests of canonical types ([`CanonicalTypes`]) with types as modules declare them.

use super::bind::parse_module;
use crate::program::module::CoreSignature;
use crate::program::types::CanonicalTypes;

fn ids(types: &mut CanonicalTypes, text: &str) -> Vec<u32> {
    let wasm = wat::parse_str(text).unwrap();
    let module = parse_module(&wasm).unwrap();
    let ids = types.intern_module(&module);
    ids.into_iter().map(|id| id.0).collect()
}

#[test]
fn equal_types_of_any_module_are_one() {
    let mut types = CanonicalTypes::default();
    let text = "(module (type (func (param i64))) (type (func)) (type (func (param i64))))";
    assert_eq!(ids(&mut types, text), [1, 2, 1]);
    assert_eq!(ids(&mut types, "(module (type (func)))"), [2]);
    assert_eq!(types.intern(&CoreSignature::default()).0, 2);
    assert_eq!(types.iter().count(), 2);
}

#[test]
fn references_are_told_apart_exactly() {
    let mut types = CanonicalTypes::default();
    let text = "(module (type $f (func)) (type (func (param funcref)))
        (type (func (param (ref func)))) (type (func (param (ref $f)))) (type (func (param (ref null $f)))))";
    assert_eq!(ids(&mut types, text), [1, 2, 3, 4, 5]);
    // The same declared type under another index.
    let text =
        "(module (type (func (result i32))) (type $g (func)) (type (func (param (ref $g)))))";
    assert_eq!(ids(&mut types, text), [6, 1, 4]);
}

#[test]
fn groups_are_equal_as_a_whole() {
    let mut types = CanonicalTypes::default();
    let pair =
        "(module (rec (type $a (func (param (ref $b)))) (type $b (func (result (ref $a))))))";
    assert_eq!(ids(&mut types, pair), [1, 2]);
    let again = "(module (type (func)) (rec (type $a (func (param (ref $b)))) (type $b (func (result (ref $a))))))";
    assert_eq!(ids(&mut types, again), [3, 1, 2]);
    // A type in a group is not the same type alone, and the order counts.
    let alone = "(module (rec (type (func)) (type (func))))";
    assert_eq!(ids(&mut types, alone), [4, 5]);
    let recursive = "(module (type $r (func (param (ref $r)))))";
    assert_eq!(ids(&mut types, recursive), [6]);
    assert_eq!(ids(&mut types, recursive), [6]);
}
