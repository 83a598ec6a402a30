//! What differs between two texts, line by line: `-` was written down, `+` is what came.

/// The longest common subsequence decides what stays; scripts are short.
pub fn lines(golden: &str, came: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (golden.lines().collect(), came.lines().collect());
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for with in (0..new.len()).rev() {
            common[at][with] = match old[at] == new[with] {
                true => common[at + 1][with + 1] + 1,
                false => common[at + 1][with].max(common[at][with + 1]),
            };
        }
    }
    let (mut at, mut with, mut out) = (0, 0, String::new());
    while at < old.len() || with < new.len() {
        let same = at < old.len() && with < new.len() && old[at] == new[with];
        let gone =
            with == new.len() || (at < old.len() && common[at + 1][with] >= common[at][with + 1]);
        let (sign, line) = match (same, gone) {
            (true, _) => (' ', old[at]),
            (false, true) => ('-', old[at]),
            (false, false) => ('+', new[with]),
        };
        out += &format!("{sign} {line}\n");
        at += usize::from(same || gone);
        with += usize::from(same || !gone);
    }
    out
}

#[test]
fn a_diff_shows_what_is_gone_and_what_is_new() {
    let check = |old: &str, new: &str, expected: &str| assert_eq!(lines(old, new), expected);
    check("a\nb\n", "a\nb\n", "  a\n  b\n");
    check("a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n  c\n");
    check("", "a\n", "+ a\n");
    check("a\nb\n", "b\nc\n", "- a\n  b\n+ c\n");
}
