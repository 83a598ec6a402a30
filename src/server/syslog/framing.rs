//! A stream of bytes into messages (RFC 6587), each in its own way, told by its first byte.
//!
//! ```text
//!   17 <34>1 - - - - - …     a digit: so many bytes behind the space (octet counting)
//!   <34>Apr  5 06:07:08 …⏎   anything else: until the end of the line
//! ```
//!
//! However the bytes are cut on their way, the messages are the same; what is too long is skipped and never held.

use crate::logs::LINE_LIMIT;
use bytes::{Buf, Bytes, BytesMut};

/// The most digits of a count.
const COUNT_DIGITS: usize = 9;

/// What comes out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message with its length: it is complete by itself.
    Counted(Bytes),
    /// A line: the next one may go on with it.
    Line(Bytes),
    /// One that was longer than [`LINE_LIMIT`].
    TooLarge,
}

/// What begins with a digit and is no count: where the next message begins, nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Framing {
    buffer: BytesMut,
    /// So many bytes of the buffer have no line break in them.
    searched: usize,
    skipping: Skipping,
}

#[derive(Clone, Copy, Debug, Default)]
enum Skipping {
    #[default]
    Nothing,
    Bytes(usize),
    Line,
}

impl Framing {
    /// Takes what has come; the frames are read before more is pushed.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_amid(&self) -> bool {
        !self.buffer.is_empty() || !matches!(self.skipping, Skipping::Nothing)
    }

    /// The next message, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        loop {
            if !self.skip() {
                return Ok(None);
            }
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'0'..=b'9') => return self.counted(),
                Some(_) => match self.line() {
                    // Nothing between two line breaks, or behind a counted message.
                    Some(Frame::Line(line)) if line.is_empty() => {}
                    frame => return Ok(frame),
                },
            }
        }
    }

    /// The other side has ended: a last line may have no break. An error: it ended amid a counted message.
    pub(super) fn finish(&mut self) -> Result<Option<Frame>, Malformed> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        let skipped = std::mem::take(&mut self.skipping);
        self.searched = 0;
        match rest.first() {
            Some(b'0'..=b'9') => Err(Malformed),
            _ if matches!(skipped, Skipping::Bytes(_)) => Err(Malformed),
            None => Ok(None),
            Some(_) => {
                Ok(Some(Frame::Line(trimmed(rest))).filter(|f| *f != Frame::Line(Bytes::new())))
            }
        }
    }

    /// Whether nothing is left to be skipped.
    fn skip(&mut self) -> bool {
        match self.skipping {
            Skipping::Nothing => return true,
            Skipping::Bytes(count) => {
                let there = count.min(self.buffer.len());
                self.buffer.advance(there);
                self.skipping = Skipping::Bytes(count - there);
                if there < count {
                    return false;
                }
            }
            Skipping::Line => match self.buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => self.buffer.advance(end + 1),
                None => {
                    self.buffer.clear();
                    return false;
                }
            },
        }
        self.skipping = Skipping::Nothing;
        true
    }

    fn counted(&mut self) -> Result<Option<Frame>, Malformed> {
        let digits = self.buffer.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if self.buffer[0] == b'0' || digits > COUNT_DIGITS {
            return Err(Malformed);
        }
        match self.buffer.get(digits) {
            None => return Ok(None),
            Some(b' ') => {}
            Some(_) => return Err(Malformed),
        }
        let count = self.buffer[..digits].iter().fold(0, |n, d| n * 10 + usize::from(d - b'0'));
        if count > LINE_LIMIT {
            self.buffer.advance(digits + 1);
            self.skipping = Skipping::Bytes(count);
            return Ok(Some(Frame::TooLarge));
        }
        if self.buffer.len() < digits + 1 + count {
            return Ok(None);
        }
        self.buffer.advance(digits + 1);
        Ok(Some(Frame::Counted(trimmed(self.buffer.split_to(count).freeze()))))
    }

    fn line(&mut self) -> Option<Frame> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| end + self.searched) else {
            self.searched = self.buffer.len();
            // A break would be the next but one at most: it may be `\r\n`.
            if self.buffer.len() > LINE_LIMIT + 1 {
                (self.searched, self.skipping) = (0, Skipping::Line);
                self.buffer.clear();
                return Some(Frame::TooLarge);
            }
            return None;
        };
        self.searched = 0;
        let mut line = self.buffer.split_to(end + 1).freeze();
        // As much as is refused before the break has come.
        if end > LINE_LIMIT + 1 {
            return Some(Frame::TooLarge);
        }
        line.truncate(end);
        Some(Frame::Line(trimmed(line)))
    }
}

/// Without the ends of lines and of strings that some send with a message.
pub(super) fn trimmed(mut message: Bytes) -> Bytes {
    let kept = message.iter().rposition(|byte| !b"\r\n\0".contains(byte)).map_or(0, |at| at + 1);
    message.truncate(kept);
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Frames = (Vec<Frame>, Result<Option<Frame>, Malformed>);

    /// All frames of what comes in these pieces, and how it ends.
    fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Frames {
        let (mut framing, mut all) = (Framing::default(), Vec::new());
        for piece in pieces {
            framing.push(piece);
            loop {
                match framing.next() {
                    Ok(Some(frame)) => all.push(frame),
                    Ok(None) => break,
                    Err(malformed) => return (all, Err(malformed)),
                }
            }
        }
        (all, framing.finish())
    }

    fn line(text: &'static str) -> Frame {
        Frame::Line(Bytes::from_static(text.as_bytes()))
    }

    fn counted(text: &'static str) -> Frame {
        Frame::Counted(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn each_message_says_by_its_first_byte_how_it_is_framed() {
        type Ended = Result<Option<Frame>, Malformed>;
        let cases: [(&str, Vec<Frame>, Ended); 9] = [
            ("<1>a\n<2>b\r\n", vec![line("<1>a"), line("<2>b")], Ok(None)),
            ("4 <1>a5 <2>b\n", vec![counted("<1>a"), counted("<2>b")], Ok(None)),
            ("7 <1>a\n b<2>c\n", vec![counted("<1>a\n b"), line("<2>c")], Ok(None)),
            ("4 <1>a\n\n\n<2>b", vec![counted("<1>a")], Ok(Some(line("<2>b")))),
            ("9 <1>a", vec![], Err(Malformed)),
            ("0 <1>a", vec![], Err(Malformed)),
            ("4<1>a", vec![], Err(Malformed)),
            ("1234567890 <1>a", vec![], Err(Malformed)),
            ("2031-04-05 plain\n", vec![], Err(Malformed)),
        ];
        for (text, wanted, end) in cases {
            assert_eq!(frames([text.as_bytes()]), (wanted, end), "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_skipped_and_the_next_one_taken() {
        let long = vec![b'x'; LINE_LIMIT + 2];
        let text = [&b"<1>a\n"[..], &long, b"\n<2>b\n"].concat();
        let wanted = (vec![line("<1>a"), Frame::TooLarge, line("<2>b")], Ok(None));
        assert_eq!(frames([&text[..]]), wanted);
        assert_eq!(frames(text.chunks(60_000)), wanted);
        let counted = [format!("{} ", long.len()).as_bytes(), &long, b"<2>b\n"].concat();
        assert_eq!(frames([&counted[..]]), (vec![Frame::TooLarge, line("<2>b")], Ok(None)));
        let longest = [&long[..LINE_LIMIT], b"\r\n"].concat();
        assert_eq!(
            frames([&longest[..]]).0,
            [Frame::Line(Bytes::from(long[..LINE_LIMIT].to_vec()))]
        );
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(
            text in "(<[0-9]>[a-z]{0,9}\r?\n|[0-9]{1,2} [a-z\n]{0,12}|\n){0,8}",
            cuts in prop::collection::vec(1_usize..9, 1..60),
        ) {
            let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(frames(pieces), frames([text.as_bytes()]));
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = frames(bytes.chunks(7));
        }

        #[test]
        fn what_was_framed_comes_out(messages in prop::collection::vec(("<[a-z\n]{0,20}x", any::<bool>()), 0..9)) {
            let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
            for (text, is_counted) in messages {
                let text = if is_counted { text } else { text.replace('\n', " ") };
                if is_counted {
                    bytes.extend(format!("{} {text}", text.len()).bytes());
                    wanted.push(Frame::Counted(text.into()));
                } else {
                    bytes.extend(format!("{text}\n").bytes());
                    wanted.push(Frame::Line(text.into()));
                }
            }
            prop_assert_eq!(frames([&bytes[..]]), (wanted, Ok(None)));
        }
    }
}
