//! Text of messages: what guests choose, on its way to a terminal or a log; numbers of bytes.

use std::fmt::{self, Write};

/// Text as it may be shown: control characters, and characters that change the direction of text
/// or break lines, are spelt (`\n`, `\u{1b}`).
///
/// ```
/// use trampette_artifact::text::escaped;
///
/// assert_eq!(escaped("a\x1b[31mb").to_string(), "a\\u{1b}[31mb");
/// assert_eq!(escaped("größer → 0").to_string(), "größer → 0");
/// ```
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped {
        text,
        lines: Lines::Escaped,
    }
}

/// A number of bytes as messages say it: in the largest unit of which it is a whole number.
///
/// ```
/// use trampette_artifact::text::Bytes;
///
/// assert_eq!(Bytes(128 << 20).to_string(), "128 MiB");
/// assert_eq!(Bytes(1000).to_string(), "1000 bytes");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |(shift, _): &(u32, &str)| self.0 != 0 && self.0.is_multiple_of(1 << shift);
        match units.into_iter().find(whole) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// The same for text of several lines that was put together here: line breaks and tabs stay.
pub fn escaped_lines(text: &str) -> Escaped<'_> {
    Escaped {
        text,
        lines: Lines::Kept,
    }
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    text: &'a str,
    lines: Lines,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lines {
    Escaped,
    Kept,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        let special = |c: char| is_special(c) && !(self.lines == Lines::Kept && "\n\t".contains(c));
        while let Some(at) = rest.find(special) {
            f.write_str(&rest[..at])?;
            let c = rest[at..].chars().next().unwrap_or_default();
            match c {
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Whether a character does something else than to look like itself.
fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Marks, embeddings, overrides and isolates of direction; separators of lines; a mark
            // that hides.
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As much of a text as a message has room for: at most `limit` bytes, with `…` where something was
/// cut off.
pub fn shortened(text: &[u8], limit: usize) -> String {
    let cut = text.get(..limit).unwrap_or(text);
    let mut short = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < text.len() {
        // The cut may have been inside a character.
        while short.ends_with('\u{fffd}') {
            short.pop();
        }
        let _ = short.write_char('…'); // cannot fail
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_spelt() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("naïve 漢字 🦀 \\n", "naïve 漢字 🦀 \\n"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("x\u{202e}y\u{2066}", "x\\u{202e}y\\u{2066}"),
            ("\u{2028}\u{feff}\u{7f}", "\\u{2028}\\u{feff}\\u{7f}"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text).to_string(), expected);
        }
        assert_eq!(
            escaped_lines("a\n\tb\r\x1b").to_string(),
            "a\n\tb\\r\\u{1b}"
        );
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let shown = escaped(&c.to_string()).to_string();
            assert!(!shown.contains(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened(b"abc", 3), "abc");
        assert_eq!(shortened(b"abcd", 3), "abc…");
        assert_eq!(shortened("aé漢".as_bytes(), 2), "a…");
        assert_eq!(shortened("aé漢".as_bytes(), 5), "aé…");
        assert_eq!(shortened(b"a\xff", 2), "a\u{fffd}");
    }
}
