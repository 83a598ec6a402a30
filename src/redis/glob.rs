//! Patterns of `KEYS` and `SCAN`: `*`, `?`, `[a-c]`, `[^x]` and `\`, on bytes.
//!
//! Only the last `*` is ever tried again, so the time is at most the product of both lengths.

/// Whether all of `text` fits.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last star, and how much text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], text[t]) {
            Some(length) => (p, t) = (p + length, t + 1),
            None => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (p, t) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How long the first element of the pattern is, if it fits this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (escaped == byte).then_some(2),
        [b'[', ref class @ ..] => {
            let (fits, length) = in_class(class, byte);
            fits.then_some(1 + length)
        }
        [plain, ..] => (plain == byte).then_some(1),
    }
}

/// Whether it is one of a class, and how long that is; one that is not closed goes to the end.
fn in_class(class: &[u8], byte: u8) -> (bool, usize) {
    let is_not = class.first() == Some(&b'^');
    let mut at = usize::from(is_not);
    let mut fits = false;
    loop {
        match *class.get(at..).unwrap_or_default() {
            [] => return (fits != is_not, class.len()),
            [b']', ..] => return (fits != is_not, at + 1),
            [b'\\', escaped, ..] => {
                fits |= escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                fits |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [plain, ..] => {
                fits |= plain == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("[abc", "c", true),
            ("key:*", "key:", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches("a*".repeat(1_000).as_bytes(), "a".repeat(900).as_bytes()));
    }
}
