//! Requests, as they come: an array of strings, or a line of words for whoever types by hand.
//!
//! ```text
//!   *2␍␊ $3␍␊ GET␍␊ $1␍␊ k␍␊        every length is checked before anything is kept for it
//!   GET k␍␊                        inline: words, with quotes
//!   POST / HTTP/1.1                a browser that was lured here: nothing of it is executed
//! ```
//!
//! However the bytes are cut on their way, the requests are the same. What has come is kept once until a
//! request is whole.

use super::super::number::integer;
use bytes::{Bytes, BytesMut};

/// The longest line: of an inline request, and of a length.
const LINE_LIMIT: usize = 64 << 10;

/// How much one request may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most arguments.
    pub arguments: usize,
    /// The longest argument, in bytes.
    pub bulk: usize,
    /// All of it, in bytes.
    pub request: usize,
}

/// Where the next request begins nobody knows: the text is answered, and the connection closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// See the module.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    buffer: BytesMut,
    /// How far the request at the front of the buffer has been read.
    at: usize,
    /// So many bytes behind `at` have no line break in them.
    searched: usize,
    /// How many arguments are still to come, of an array.
    left: Option<usize>,
    /// The length of the argument that is coming.
    bulk: Option<usize>,
    /// Where the arguments that have come lie.
    found: Vec<(usize, usize)>,
}

impl Reader {
    /// A reader at the beginning of a connection.
    pub fn new(limits: Limits) -> Reader {
        let buffer = BytesMut::new();
        Reader { limits, buffer, at: 0, searched: 0, left: None, bulk: None, found: Vec::new() }
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes are kept.
    pub fn kept(&self) -> usize {
        self.buffer.len()
    }

    /// The next request if all of it has come.
    ///
    /// # Errors
    /// [`Broken`]; nothing of the request was taken, and nothing more is to be read.
    pub fn request(&mut self) -> Result<Option<Vec<Bytes>>, Broken> {
        loop {
            if self.at > self.limits.request {
                return Err(Broken("Protocol error: too big request".into()));
            }
            match (self.left, self.bulk) {
                (None, _) => match self.buffer.first() {
                    None => return Ok(None),
                    Some(b'*') => {
                        let Some((from, to)) = self.line("too big mbulk count string")? else {
                            return Ok(None);
                        };
                        let count = integer(&self.buffer[from + 1..to]);
                        match count {
                            Some(count @ 1..) if count as u64 <= self.limits.arguments as u64 => {
                                self.left = Some(count as usize);
                            }
                            // An empty array is no request.
                            Some(..=0) => drop(self.take()),
                            _ => return Err(broken("invalid multibulk length")),
                        }
                    }
                    Some(_) => match self.inline()? {
                        Some(words) if words.is_empty() => {}
                        other => return Ok(other),
                    },
                },
                (Some(0), _) => return Ok(Some(self.take())),
                (Some(_), None) => {
                    let Some((from, to)) = self.line("too big bulk count string")? else {
                        return Ok(None);
                    };
                    match self.buffer.get(from) {
                        Some(b'$') if from < to => {}
                        first => {
                            let first = char::from(first.copied().unwrap_or(b'\r'));
                            return Err(Broken(format!(
                                "Protocol error: expected '$', got '{first}'"
                            )));
                        }
                    }
                    match integer(&self.buffer[from + 1..to]) {
                        Some(length @ 0..) if length as u64 <= self.limits.bulk as u64 => {
                            self.bulk = Some(length as usize);
                        }
                        _ => return Err(broken("invalid bulk length")),
                    }
                }
                (Some(left), Some(length)) => {
                    // Both are bounded, so the sum is.
                    if self.at + length > self.limits.request {
                        return Err(broken("too big request"));
                    }
                    if self.buffer.len() < self.at + length + 2 {
                        return Ok(None);
                    }
                    let end = self.at + length;
                    if &self.buffer[end..end + 2] != b"\r\n" {
                        return Err(broken("expected CRLF behind a bulk string"));
                    }
                    self.found.push((self.at, end));
                    (self.at, self.searched) = (end + 2, 0);
                    (self.left, self.bulk) = (Some(left - 1), None);
                }
            }
        }
    }

    /// The line that begins at `at`, without its break; `None`: its end has not come.
    fn line(&mut self, too_long: &str) -> Result<Option<(usize, usize)>, Broken> {
        let from = self.at + self.searched;
        let Some(end) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len() - self.at;
            return if self.searched > LINE_LIMIT { Err(broken(too_long)) } else { Ok(None) };
        };
        let (begin, end) = (self.at, from + end);
        if end - begin > LINE_LIMIT {
            return Err(broken(too_long));
        }
        (self.at, self.searched) = (end + 1, 0);
        let end = if self.buffer[begin..end].ends_with(b"\r") { end - 1 } else { end };
        Ok(Some((begin, end)))
    }

    /// A line of words.
    fn inline(&mut self) -> Result<Option<Vec<Bytes>>, Broken> {
        let Some((from, to)) = self.line("too big inline request")? else { return Ok(None) };
        let words =
            words(&self.buffer[from..to]).ok_or_else(|| broken("unbalanced quotes in request"))?;
        let first = words.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        // A web page can make a browser send these, with lines of its choice behind them.
        if first == b"post" || first == b"host:" {
            return Err(Broken("this is no HTTP server: the connection is closed".into()));
        }
        self.take();
        Ok(Some(words.into_iter().map(Bytes::from).collect()))
    }

    /// The request that has come to its end.
    fn take(&mut self) -> Vec<Bytes> {
        let bytes = self.buffer.split_to(self.at).freeze();
        (self.at, self.searched, self.left, self.bulk) = (0, 0, None, None);
        // Copied, so that what is stored for long does not hold a whole buffer.
        self.found.drain(..).map(|(from, to)| Bytes::copy_from_slice(&bytes[from..to])).collect()
    }
}

fn broken(what: &str) -> Broken {
    Broken(format!("Protocol error: {what}"))
}

/// Words between spaces; with `"…"` and its escapes, or `'…'`. `None`: a quote is not closed, or not followed by a space.
fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        loop {
            match *rest {
                [] => break,
                [b'"', ref quoted @ ..] => {
                    rest = double(quoted, &mut word)?;
                    if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                }
                [b'\'', ref quoted @ ..] => {
                    rest = single(quoted, &mut word)?;
                    if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                }
                [space, ..] if space.is_ascii_whitespace() || space == 0 => break,
                [plain, ref others @ ..] => {
                    word.push(plain);
                    rest = others;
                }
            }
        }
        words.push(word);
        rest = match rest {
            [0, others @ ..] => others,
            others => others,
        }
        .trim_ascii_start();
    }
    Some(words)
}

fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'"', ref others @ ..] => return Some(others),
            [b'\\', b'x', high, low, ref others @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
                word.push(digit(high) << 4 | digit(low));
                rest = others;
            }
            [b'\\', escaped, ref others @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                rest = others;
            }
            [plain, ref others @ ..] => {
                word.push(plain);
                rest = others;
            }
        }
    }
}

fn single<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'\'', ref others @ ..] => return Some(others),
            [b'\\', b'\'', ref others @ ..] => {
                word.push(b'\'');
                rest = others;
            }
            [plain, ref others @ ..] => {
                word.push(plain);
                rest = others;
            }
        }
    }
}
