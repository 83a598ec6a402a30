//! Durations as `250ms`, sizes as `64KiB`, lists of addresses: as people write them.

use super::Durability;
use crate::time::Duration;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::SocketAddr;

/// A number of bytes; in text `4096`, `64KiB`, `1MiB` or `2GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// As a count that fits this machine.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// `host:port` of nodes; in text a list, or one string with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<String>);

/// Reads `250ms`, `10s`, `15m`, `2h` or `7d`.
///
/// # Errors
/// What would have been right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 250ms, 10s, 15m, 2h or 7d");
    let (number, unit) = take_apart(text).ok_or_else(wrong)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads `4096`, `64KiB`, `1MiB` or `2GiB`, in bytes.
///
/// # Errors
/// What would have been right.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write 4096, 64KiB, 1MiB or 2GiB");
    let (number, unit) = take_apart(text).ok_or_else(wrong)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(bytes).ok_or_else(wrong)
}

fn take_apart(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

pub(super) fn duration_or_never<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    if matches!(text.as_str(), "0" | "never") {
        return Ok(Duration::ZERO);
    }
    parse_duration(&text).map_err(D::Error::custom)
}

/// As `"127.0.0.1:7612"`, or `"none"`.
pub(super) fn address_or_none<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    if text == "none" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!("`{text}` is not an address such as 127.0.0.1:7612, or none"))
    })
}

/// As `"10s"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(D::Error::custom)
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl Visitor<'_> for Sizes {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 4096 or \"64KiB\"")
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Size, E> {
                u64::try_from(value).map(Size).map_err(|_| E::custom("a size is not negative"))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Size, E> {
                Ok(Size(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Size, E> {
                parse_size(value).map(Size).map_err(E::custom)
            }
        }
        from.deserialize_any(Sizes)
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        let list = match Either::deserialize(from)
            .map_err(|_| D::Error::custom("expected addresses such as [\"127.0.0.1:7610\"]"))?
        {
            Either::One(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Either::Many(list) => list,
        };
        let list: Vec<String> = list.into_iter().filter(|address| !address.is_empty()).collect();
        for address in &list {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none_or(|port| port == 0) {
                return Err(D::Error::custom(format!(
                    "`{address}` is not host:port, such as 127.0.0.1:7610"
                )));
            }
        }
        Ok(Addresses(list))
    }
}

impl<'de> Deserialize<'de> for Durability {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "sync" {
            return Ok(Durability::Sync);
        }
        text.strip_prefix("interval(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|inner| parse_duration(inner).ok())
            .filter(|duration| !duration.is_zero())
            .map(Durability::Interval)
            .ok_or_else(|| {
                D::Error::custom(format!("`{text}`: write \"sync\" or \"interval(100ms)\""))
            })
    }
}
