//! Guests that are written as core modules, with the names of the canonical ABI, and the world that
//! makes a component of them.

use anyhow::Result;

/// A component of a core module's text, for a world `guest` that consists of these items.
pub fn component(source: &str, items: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::new();
    resolve.push_dir("wit")?;
    let world = format!("package tests:guest;\nworld guest {{ {items} }}\n");
    let package = resolve.push_str("guest.wit", &world)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    let mut module = wat::parse_str(source)?;
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder.module(&module)?.encode()
}
