//! Paths and queries, taken apart by hand: keys are bytes, and an unknown parameter is a mistake.

use crate::quorum::{Consistency, QuorumRequest};
use crate::{Error, Result};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query {
    parameters: BTreeMap<String, Vec<u8>>,
}

impl Query {
    /// Takes a query apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a parameter that is not among `known`, and for one that stands twice.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Query> {
        let mut parameters = BTreeMap::new();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = String::from_utf8_lossy(&decode(name, true)?).into_owned();
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let known = if known.is_empty() { "none".into() } else { known };
                return Err(Error::Invalid(format!(
                    "parameter `{name}` is not known here: {known}"
                )));
            }
            let value = decode(value, true)?;
            if parameters.insert(name.clone(), value).is_some() {
                return Err(Error::Invalid(format!(
                    "parameter `{name}` stands twice: give it once"
                )));
            }
        }
        Ok(Query { parameters })
    }

    /// As bytes, if it is there.
    pub(super) fn bytes(&self, name: &str) -> Option<Bytes> {
        self.parameters.get(name).map(|value| Bytes::copy_from_slice(value))
    }

    /// As text, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.parameters.get(name) else { return Ok(None) };
        std::str::from_utf8(value)
            .map(Some)
            .map_err(|_| Error::Invalid(format!("parameter `{name}` is not UTF-8")))
    }

    /// As `true` or `false`; false when it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(Error::Invalid(format!("parameter `{name}` is `{other}`: use true or false")))
            }
        }
    }

    /// As a whole number within a range, if it is there.
    pub(super) fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            Error::Invalid(format!(
                "parameter `{name}` is `{text}`: use {} to {}",
                range.start(),
                range.end()
            ))
        })
    }

    /// How long the answer is worth something.
    pub(super) fn timeout(&self, longest: Duration) -> Result<Option<Duration>> {
        let Some(text) = self.text("timeout")? else { return Ok(None) };
        let timeout = crate::config::parse_duration(text)
            .map_err(|error| Error::Invalid(format!("parameter `timeout`: {error}")))?;
        if timeout.is_zero() || timeout > longest {
            return Err(Error::Invalid(format!(
                "parameter `timeout` is `{text}`: use 1ms to {} ms",
                longest.as_millis()
            )));
        }
        Ok(Some(timeout))
    }

    /// A length of time in milliseconds, if it is there.
    pub(super) fn duration(&self, name: &str) -> Result<Option<u64>> {
        self.text(name)?.map(|text| length(name, text)).transpose()
    }

    /// R or W, whichever of the two this request is about; the other one is checked and left alone.
    pub(super) fn quorum(&self, count: &str) -> Result<QuorumRequest> {
        let consistency = self.text("consistency")?.map(str::parse::<Consistency>).transpose()?;
        let mut counts = [None; 2];
        for (slot, name) in counts.iter_mut().zip(["r", "w"]) {
            *slot = self.number(name, 1..=255)?.map(|n| n as u8);
        }
        let count = if count == "r" { counts[0] } else { counts[1] };
        Ok(QuorumRequest { consistency, count, strict: self.flag("strict")? })
    }
}

/// A time to live, as people write it, in milliseconds.
///
/// # Errors
/// [`Error::Invalid`], also for none at all.
pub(super) fn milliseconds(text: &str) -> Result<u64> {
    length("ttl", text)
}

fn length(name: &str, text: &str) -> Result<u64> {
    let time = crate::config::parse_duration(text)
        .map_err(|error| Error::Invalid(format!("`{name}`: {error}")))?;
    let ms = u64::try_from(time.as_millis()).ok().filter(|ms| *ms > 0);
    ms.ok_or_else(|| Error::Invalid(format!("`{name}` is `{text}`: use 1ms or more")))
}

/// Turns `%41` into `A`; in a query a `+` is a blank.
///
/// # Errors
/// [`Error::Invalid`] when a `%` is not followed by two hexadecimal digits.
pub(super) fn decode(text: &str, plus_is_blank: bool) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()]
                    .map(|d| d.and_then(|d| char::from(d).to_digit(16)).map(|digit| digit as u8));
                let [Some(high), Some(low)] = digits else {
                    let error = format!("`{text}`: a % needs two hexadecimal digits after it");
                    return Err(Error::Invalid(error));
                };
                out.push(high << 4 | low);
            }
            b'+' if plus_is_blank => out.push(b' '),
            byte => out.push(byte),
        }
    }
    Ok(out)
}

/// The bucket and the key in `<prefix><bucket>/<key>`; the key may hold anything, `/` as it is or as `%2F`.
///
/// # Errors
/// [`Error::Invalid`]
pub(super) fn bucket_and_key(path: &str, prefix: &str) -> Result<(String, Bytes)> {
    let rest = path.strip_prefix(prefix).unwrap_or_default();
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket = String::from_utf8(decode(bucket, false)?)
        .map_err(|_| Error::Invalid("the bucket's name is not UTF-8".into()))?;
    let key = decode(key, false)?;
    if key.is_empty() {
        return Err(Error::Invalid(format!("the key is empty: ask for {prefix}BUCKET/KEY")));
    }
    Ok((bucket, key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bytes() {
        let check = |path: &str, bucket: &str, key: &[u8]| {
            let (b, k) = bucket_and_key(path, "/v1/kv/").expect(path);
            assert_eq!((b.as_str(), &k[..]), (bucket, key), "{path}");
        };
        check("/v1/kv/b/k", "b", b"k");
        check("/v1/kv/b/a%2Fb/c+d", "b", b"a/b/c+d");
        check("/v1/kv/b/%00%ff", "b", b"\0\xff");
        for wrong in
            ["/v1/kv/b", "/v1/kv/b/", "/v1/kv/b/%", "/v1/kv/b/%4", "/v1/kv/b/%zz", "/v1/kv/%ff/k"]
        {
            assert!(bucket_and_key(wrong, "/v1/kv/").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_parameter_is_known_and_stands_once() {
        let known = ["sort", "r", "w", "strict", "timeout", "consistency"];
        let parse = |query| Query::parse(Some(query), &known);
        let query = parse("sort=a%00+b&w=2&strict=true&consistency=ONE&timeout=2s").expect("fine");
        assert_eq!(query.bytes("sort").as_deref(), Some(&b"a\0 b"[..]));
        assert_eq!(
            query.quorum("w").expect("fine"),
            QuorumRequest { consistency: Some(Consistency::One), count: Some(2), strict: true }
        );
        assert_eq!(query.timeout(Duration::from_secs(5)), Ok(Some(Duration::from_secs(2))));
        assert!(query.timeout(Duration::from_secs(1)).is_err());
        assert!(parse("sorted=x").is_err_and(|e| e.to_string().contains("`sorted`")));
        assert!(parse("r=1&r=2").is_err());
        let step = Query::parse(Some("step=0s"), &["step"]).expect("known").duration("step");
        assert!(step.is_err_and(|error| error.to_string().contains("`step`")));
        for wrong in ["r=0", "w=256", "r=x", "strict=yes", "consistency=most"] {
            assert!(parse(wrong).expect(wrong).quorum("r").is_err(), "{wrong}");
        }
    }
}
