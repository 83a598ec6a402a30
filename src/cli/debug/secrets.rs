//! A configuration file without its secrets.
//!
//! What a secret is called cannot be known beforehand, so nothing is looked for: what stays is what is known to be
//! harmless, setting by setting, and everything else goes. Comments go too: old keys are kept in them.

use toml::{Table, Value};

/// What stands where something stood.
pub(super) const REMOVED: &str = "(removed)";

/// Settings that may be shown, by section.
const SHOWN: &[(&str, &[&str])] = &[
    ("node", &["name", "data_dir", "zone", "weight", "enable_chaos"]),
    ("listen", &["native", "http", "resp", "syslog", "http_names", "http_origins", "advertise"]),
    ("cluster", &["join", "bootstrap", "spare", "partitions", "replicas", "insecure", "key_file"]),
    (
        "store",
        &["durability", "segment_bytes", "cache_bytes", "record_cache_bytes", "reserve_bytes"],
    ),
    (
        "limits",
        &[
            "value_bytes",
            "requests_in_flight",
            "connections",
            "http_connections",
            "syslog_connections",
            "resp_connections",
            "connection_in_flight",
            "connection_unread_bytes",
            "peer_buffer_bytes",
        ],
    ),
    (
        "timing",
        &[
            "attempt",
            "request",
            "request_max",
            "breaker",
            "sync",
            "down_out_after",
            "stall",
            "connect",
            "stop",
        ],
    ),
    ("hints", &["max_entries", "max_items"]),
    ("scrub", &["every", "bytes_per_second"]),
    ("log", &["level"]),
    // Their password and token are none of them.
    ("resp", &[]),
    ("http", &[]),
];

/// Settings of the commented example that are never shown.
#[cfg(test)]
const SECRET: &[(&str, &str)] = &[("resp", "password"), ("http", "token")];

/// The file with nothing but harmless settings.
///
/// # Errors
/// It is not TOML. The error says where, and never what stands there.
pub(super) fn removed(text: &str) -> Result<String, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).unwrap_or_default().lines().count().max(1);
        format!("line {line} is not TOML")
    })?;
    let mut clean = Table::new();
    // A name that is not ours may itself be the secret, so these are only counted.
    let mut unknown = 0;
    for (section, value) in table {
        let Some((_, shown)) = SHOWN.iter().find(|(name, _)| *name == section) else {
            unknown += 1;
            continue;
        };
        let Value::Table(settings) = value else {
            unknown += 1;
            continue;
        };
        let mut kept = Table::new();
        for (name, value) in settings {
            if !shown.contains(&name.as_str()) {
                unknown += 1;
                continue;
            }
            kept.insert(name, if is_harmless(&value) { value } else { REMOVED.into() });
        }
        clean.insert(section, Value::Table(kept));
    }
    let body = toml::to_string(&clean).map_err(|_| "it cannot be written again".to_owned())?;
    let head = match unknown {
        0 => String::new(),
        _ => {
            format!("# {unknown} settings or sections that this version does not know: {REMOVED}\n")
        }
    };
    Ok(head + &body)
}

/// Names, addresses, sizes: short words without what only a login in an address has. Nothing nested.
fn is_harmless(value: &Value) -> bool {
    let is_word = |text: &str| !text.contains('@') && !text.contains("-----") && text.len() <= 256;
    match value {
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => true,
        Value::String(text) => is_word(text),
        Value::Array(list) => list.iter().all(|v| v.as_str().is_some_and(is_word)),
        Value::Datetime(_) | Value::Table(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANTED: &str = r#"
        # the old key was s3cr3t-comment
        "s3cr3t-section" = 1
        token = "s3cr3t-top"
        [node]
        name = "n1"
        password = "s3cr3t-password"
        zone = { inner = "s3cr3t-nested" }
        [cluster]
        join = ["10.0.0.1:7610", "user:s3cr3t-login@10.0.0.2:7610"]
        key = "s3cr3t-key"
        replicas = 3
        [listen]
        http = "127.0.0.1:7611" # s3cr3t-trailing
        [tls]
        private = """-----BEGIN PRIVATE KEY-----
        s3cr3t-pem"""
        [[auth.users]]
        hash = "s3cr3t-hash"
        [resp]
        password = "s3cr3t-resp"
    "#;

    #[test]
    fn nothing_is_left_of_any_secret_and_what_is_harmless_stays() {
        let clean = removed(PLANTED).unwrap();
        assert!(!clean.contains("s3cr3t"), "{clean}");
        for kept in ["name = \"n1\"", "replicas = 3", "127.0.0.1:7611", "(removed)"] {
            assert!(clean.contains(kept), "{kept}: {clean}");
        }
        clean.parse::<Table>().expect("it is still TOML");
    }

    #[test]
    fn an_error_does_not_quote_what_it_is_about() {
        let why = removed("[node]\nname = \"n1\"\nkey = s3cr3t !\n").unwrap_err();
        assert!(!why.contains("s3cr3t") && why.contains("line"), "{why}");
    }

    #[test]
    fn every_setting_of_the_commented_example_is_known_here() {
        let example = include_str!("../../../configs/node.toml");
        let table: Table = example.parse().unwrap();
        for (section, settings) in table {
            let (_, shown) =
                SHOWN.iter().find(|(name, _)| *name == section).expect("a known section");
            for name in settings.as_table().expect("a section").keys() {
                assert!(
                    shown.contains(&name.as_str())
                        != SECRET.contains(&(section.as_str(), name.as_str())),
                    "{section}.{name}: may it be shown? Say so in SHOWN, or in SECRET"
                );
            }
        }
    }
}
