//! Interface names with versions: which of them can stand for another.

/// The numbers of a semantic version, pre-release and build metadata apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

/// Takes `wasi:cli/run@0.2.6` apart. `None` without a version, or with one that only matches
/// exactly (0.0.x, pre-releases).
fn parse(name: &str) -> Option<(&str, Version)> {
    let (base, version) = name.rsplit_once('@')?;
    // Build metadata does not matter; a pre-release is compatible with nothing else.
    let version = version.split_once('+').map_or(version, |(start, _)| start);
    let mut numbers = version.split('.').map(number);
    let version = Version {
        major: numbers.next()??,
        minor: numbers.next()??,
        patch: numbers.next()??,
    };
    let exact = version.major == 0 && version.minor == 0;
    (numbers.next().is_none() && !exact).then_some((base, version))
}

fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

/// The newest of `names` that is the same interface as `wanted` in a compatible version: the same
/// major version, or for 0.x the same minor version.
pub(crate) fn compatible<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let (base, version) = parse(wanted)?;
    let track = |v: Version| match v.major {
        0 => (0, v.minor),
        major => (major, 0),
    };
    names
        .into_iter()
        .filter_map(|name| Some((name, parse(name)?)))
        .filter(|(_, (other, v))| *other == base && track(*v) == track(version))
        .max_by_key(|(_, (_, v))| *v)
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::compatible;

    #[test]
    fn versions_of_one_track_are_compatible() {
        let names = [
            "wasi:cli/run@0.2.0",
            "wasi:cli/run@0.2.10",
            "wasi:cli/run@0.2.9",
            "wasi:cli/run@0.3.0",
            "wasi:cli/stdout@0.2.0",
            "a:b/c@1.2.0",
            "a:b/c@0.0.1",
            "a:b/c@2.0.0-rc.1",
            "run",
        ];
        let find = |wanted| compatible(wanted, names);
        assert_eq!(find("wasi:cli/run@0.2.6"), Some("wasi:cli/run@0.2.10"));
        assert_eq!(find("wasi:cli/run@0.2.99"), Some("wasi:cli/run@0.2.10"));
        assert_eq!(find("wasi:cli/run@0.3.1"), Some("wasi:cli/run@0.3.0"));
        assert_eq!(find("wasi:cli/run@0.4.0"), None);
        assert_eq!(find("a:b/c@1.0.0"), Some("a:b/c@1.2.0"));
        assert_eq!(find("a:b/c@1.9.9+meta"), Some("a:b/c@1.2.0"));
        assert_eq!(find("a:b/c@0.0.2"), None);
        assert_eq!(find("a:b/c@2.0.0"), None);
        assert_eq!(find("a:b/c"), None);
        assert_eq!(find("wasi:cli/run@0.2"), None);
        assert_eq!(find("wasi:cli/run@0.02.0"), None);
        assert_eq!(find("run"), None);
    }
}
