//! Values of the libraries with `async` functions.

use super::async_worlds::aecho::{Color, Item, Perms, Shape};
use super::async_worlds::jsasync::{Outcome, Person};
use super::values::{Dynamic, bits_of, flags_of};
use anyhow::{Result, bail};
use trampette_runtime::Val;

records! {
    Item { "id": id, "name": name, "tags": tags, "price": price, }
    Person { "name": name, "age": age, "tags": tags, }
}

variants! {
    Shape { "none": None, } { "circle": Circle, "rect": Rect, "label": Label, }
    Outcome { "skipped": Skipped, } { "done": Done, "failed": Failed, }
}

enums! {
    Color { "red": Red, "green": Green, "blue": Blue, }
}

flags! {
    Perms: ["read", "write", "exec"].map(String::from);
}
