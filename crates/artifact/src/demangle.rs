//! Names of functions as the programmer wrote them: Rust's and C++'s mangled names are spelt out.
//! Whatever shows a guest's function shows the name that this gives: backtraces, symbols, listings,
//! pages and errors.

use crate::text::{escaped, shortened};
use std::fmt::{self, Write};

/// Bytes of a name that is shown, and of one that is spelt out.
const MAX_NAME: usize = 1024;
/// How deep types of a C++ name may be nested.
const MAX_DEPTH: u32 = 64;

/// A function's name as it may be shown: spelt out, and without control characters.
///
/// ```
/// use trampette_artifact::demangle::shown;
///
/// assert_eq!(shown("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
/// assert_eq!(shown("plain\n"), "plain\\n");
/// ```
pub fn shown(name: &str) -> String {
    escaped(&demangled(name)).to_string()
}

/// A function's name, spelt out, and shortened if it is very long.
pub fn demangled(name: &str) -> String {
    let spelt = match name.len() <= MAX_NAME {
        true => rust(name).or_else(|| cpp(name)),
        false => None,
    };
    spelt.unwrap_or_else(|| shortened(name.as_bytes(), MAX_NAME))
}

fn rust(name: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(name).ok()?;
    let mut out = Limited::default();
    // The alternate form leaves out the hash.
    write!(out, "{name:#}").ok()?;
    Some(out.0)
}

fn cpp(name: &str) -> Option<String> {
    if !name.starts_with("_Z") {
        return None;
    }
    let parsing = cpp_demangle::ParseOptions::default().recursion_limit(MAX_DEPTH);
    let symbol = cpp_demangle::Symbol::new_with_options(name, &parsing).ok()?;
    let printing = cpp_demangle::DemangleOptions::new().recursion_limit(MAX_DEPTH);
    let mut out = Limited::default();
    symbol.structured_demangle(&mut out, &printing).ok()?;
    Some(out.0)
}

/// Text that ends in an error when it gets too long: a short mangled name may stand for gigabytes.
#[derive(Default)]
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_NAME {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The processor time of this thread.
    fn thread_time() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap()
    }

    #[test]
    fn names_are_as_they_were_written() {
        let cases = [
            ("main", "main"),
            ("_ZN3foo3barE", "foo::bar"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)",
            ),
            ("_Z3addii", "add(int, int)"),
            ("_Zero", "_Zero"),
            ("_ZN", "_ZN"),
            (
                "core::fmt::write::h0123456789abcdef",
                "core::fmt::write::h0123456789abcdef",
            ),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(demangled(name), expected);
        }
    }

    /// Each doubles what the one before stands for.
    #[test]
    fn names_that_stand_for_gigabytes_are_left_as_they_are() {
        let mut cpp = "_Z1fPi".to_string();
        for level in 0..30 {
            let previous = match level {
                0 => "S_".to_string(),
                level => format!(
                    "S{}_",
                    std::char::from_digit(level - 1, 36)
                        .unwrap()
                        .to_ascii_uppercase()
                ),
            };
            cpp += &format!("PF{previous}{previous}E");
        }
        let long = format!("_ZN{}E", "3foo".repeat(100_000));
        let deep = format!("_Z1f{}i", "P".repeat(900));
        for name in [cpp, long, deep, "_R".to_string() + &"Y".repeat(1000)] {
            let start = thread_time();
            let shown = demangled(&name);
            assert!(shown.len() <= MAX_NAME + '…'.len_utf8());
            let time = thread_time() - start;
            assert!(time < Duration::from_millis(200), "{time:?}");
        }
    }
}
