//! What a scraper would say of `/metrics`: a strict reader of OpenMetrics text, written from its
//! specification and not from what we print.

use super::http::ask;
use super::*;
use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// A sample's name, labels and value.
type Sample = (String, Labels, f64);

/// A metric family.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: Option<String>,
    unit: Option<String>,
    samples: Vec<Sample>,
}

/// Reads all of it, or says which line is wrong.
fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in body.split_terminator('\n') {
        let wrong = |why: &str| format!("{why}: {line}");
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').ok_or_else(|| wrong("no name"))?;
            let (name, rest) = rest.split_once(' ').ok_or_else(|| wrong("no text"))?;
            if name != current {
                if !is_name(name) || families.contains_key(name) {
                    return Err(wrong("a bad name, or a family in two places"));
                }
                current = name.to_owned();
            }
            let family = families.entry(current.clone()).or_default();
            if !family.samples.is_empty() {
                return Err(wrong("said after the first sample"));
            }
            let before = match word {
                "TYPE" => !std::mem::replace(&mut family.kind, rest.to_owned()).is_empty(),
                "HELP" => family.help.replace(rest.to_owned()).is_some(),
                "UNIT" => family.unit.replace(rest.to_owned()).is_some(),
                _ => true,
            };
            if before {
                return Err(wrong("said twice, or not a word"));
            }
        } else {
            let sample = sample(line).ok_or_else(|| wrong("not a sample"))?;
            let family = families.get_mut(&current).ok_or_else(|| wrong("of no family"))?;
            let suffix =
                sample.0.strip_prefix(&current).ok_or_else(|| wrong("of another family"))?;
            let fits = match family.kind.as_str() {
                "counter" => suffix == "_total" && sample.2 >= 0.0 && sample.2.is_finite(),
                "gauge" => suffix.is_empty(),
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                _ => false,
            };
            if !fits {
                return Err(wrong("does not fit its family's type"));
            }
            family.samples.push(sample);
        }
    }
    families.iter().try_for_each(|(name, family)| check(name, family))?;
    Ok(families)
}

fn check(name: &str, family: &Family) -> Result<(), String> {
    if family.kind.is_empty() || family.help.as_ref().is_none_or(|help| help.trim().is_empty()) {
        return Err(format!("{name} has no TYPE or no HELP"));
    }
    if family.unit.as_ref().is_some_and(|unit| !name.ends_with(&format!("_{unit}"))) {
        return Err(format!("{name} does not end with its unit"));
    }
    let mut seen = BTreeSet::new();
    for (sample, labels, _) in &family.samples {
        if !seen.insert((sample, labels)) {
            return Err(format!("{sample} {labels:?} is there twice"));
        }
    }
    if family.kind == "histogram" { check_histogram(name, family) } else { Ok(()) }
}

/// Buckets of one label set stand together, in order, each with all that is in those before it; the last
/// is `+Inf` and holds as many as `_count` says.
fn check_histogram(name: &str, family: &Family) -> Result<(), String> {
    #[derive(Default)]
    struct Row {
        /// Bounds and counts.
        buckets: Vec<(f64, f64)>,
        count: Option<f64>,
        has_sum: bool,
    }
    let mut rows: BTreeMap<Labels, Row> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let le = labels.remove("le");
        let row = rows.entry(labels).or_default();
        match (sample.strip_prefix(name), le) {
            (Some("_bucket"), Some(le)) => {
                row.buckets.push((le.parse().map_err(|_| format!("{name}: le={le}"))?, *value));
            }
            (Some("_count"), None) => row.count = Some(*value),
            (Some("_sum"), None) => row.has_sum = true,
            _ => {
                return Err(format!("{name}: le where there is no bucket, or the other way round"));
            }
        }
    }
    for (labels, Row { buckets, count, has_sum }) in rows {
        let grows = buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1);
        let last = buckets.last().copied();
        if !grows || !has_sum || last != count.map(|count| (f64::INFINITY, count)) {
            return Err(format!("{name} {labels:?}: {buckets:?} of {count:?}"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inside.split_once("=\"")?;
            let (value, after) = unquote(after)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            match after.strip_prefix(',') {
                Some(next) => inside = next,
                None => {
                    rest = after.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    // One space, a number, and nothing after it: no timestamp, no exemplar of ours.
    let value = rest.strip_prefix(' ').filter(|value| !value.contains(' '))?;
    is_name(name).then_some((name.to_owned(), labels, value.parse().ok()?))
}

/// The text up to the closing quote, and what comes after that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    None
}

/// What a node exposes, read strictly.
pub(super) fn scrape(at: SocketAddr) -> BTreeMap<String, f64> {
    let (status, _, body) = ask(at, "GET", "/metrics", &[], b"");
    assert_eq!(status, 200);
    let text = String::from_utf8(body).expect("text");
    let families = parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    assert!(families.keys().all(|name| name.starts_with("quorate_")), "{:?}", families.keys());
    let samples = families.into_values().flat_map(|family| family.samples);
    let plain = samples.filter(|(_, labels, _)| labels.is_empty());
    plain.map(|(name, _, value)| (name, value)).collect()
}

#[test]
fn a_strict_scraper_takes_everything() {
    let node = Node::start();
    let now = scrape(node.http());
    assert_eq!(now["quorate_turns_total"].fract(), 0.0);
    // With every kind of request, and refusals on several ports.
    ask(node.http(), "PUT", "/v1/kv/b/k", &[], b"v");
    ask(node.http(), "GET", "/v1/kv/b/k?colour=red", &[], b"");
    assert!(node.client().closes_after(b"no frame at all, but long enough to be one: 0123456789"));
    eventually("refusals are counted", || {
        node.rejected("native", "magic") > 0 && node.metric("quorate_events_total") > 0
    });
    scrape(node.http());
}

#[test]
fn the_reader_is_strict() {
    let fine = "# HELP a x\n# TYPE a counter\na_total{l=\"1\"} 1\na_total{l=\"\\\"\"} 2\n";
    assert_eq!(parse(&format!("{fine}# EOF\n")).map(|all| all["a"].samples.len()), Ok(2));
    let histogram = "# HELP h x\n# TYPE h histogram\n# UNIT h s\n";
    for wrong in [
        fine,
        &format!("{fine}# EOF"),
        &format!("{fine}\n# EOF\n"),
        &format!("{fine}# HELP a x\n# EOF\n"),
        &format!("{fine}a_total{{l=\"1\"}} 3\n# EOF\n"),
        &format!("{fine}# HELP b x\n# TYPE b gauge\n# HELP a x\n# EOF\n"),
        "# HELP a x\n# HELP a x\n# TYPE a gauge\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\n# EOF\n",
        "# HELP a x\n# TYPE a counter\na 1\n# EOF\n",
        "# HELP a x\n# TYPE a gauge\na{l=\"1\",l=\"2\"} 1\n# EOF\n",
        "# HELP a x\n# TYPE a gauge\na{l=1} 1\n# EOF\n",
        "# HELP a x\n# TYPE a gauge\na  1\n# EOF\n",
        "# HELP a x\n# TYPE a gauge\na one\n# EOF\n",
        "a 1\n# EOF\n",
        &format!("{histogram}# EOF\n"),
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n# EOF\n",
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# EOF\n",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
