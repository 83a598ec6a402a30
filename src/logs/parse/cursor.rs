//! A place in a line, and what can be read from there. It stands still where it does not find what was asked for,
//! except in the middle of a number.

/// The longest colour that is skipped: `ESC [ 38;5;208 m`, with room.
const COLOUR: usize = 24;

/// A place in a line. What it eats is ASCII, so it never stands inside a character.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Cursor<'a> {
        Cursor { line, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    /// The byte so many behind the next.
    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.line.as_bytes().get(self.at + ahead).copied()
    }

    /// What is left of the line.
    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or("")
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let eats = byte.is_ascii() && self.peek() == Some(byte);
        self.at += usize::from(eats);
        eats
    }

    /// Eats one of these, and says which.
    pub(super) fn eat_one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| byte.is_ascii() && bytes.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn eat_str(&mut self, text: &str) -> bool {
        let eats = self.rest().starts_with(text);
        self.at += if eats { text.len() } else { 0 };
        eats
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// A number of exactly so many digits, at most nine; more may follow.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.line.as_bytes().get(self.at..self.at + count)?;
        let mut number = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        self.at += count;
        Some(number)
    }

    /// A number of at most so many digits, and of at least one.
    pub(super) fn number(&mut self, most: usize) -> Option<u32> {
        let is_digit = |ahead: &usize| self.peek_at(*ahead).is_some_and(|b| b.is_ascii_digit());
        let count = (0..most).take_while(is_digit).count();
        if count == 0 { None } else { self.digits(count) }
    }

    /// The digits of a fraction of a second, as nanoseconds; what is finer is eaten and forgotten.
    pub(super) fn fraction(&mut self) -> Option<u32> {
        let (mut nanos, mut unit) = (0, 100_000_000);
        let from = self.at;
        while let Some(digit) = self.peek().map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
            nanos += u32::from(digit) * unit;
            unit /= 10;
            self.at += 1;
        }
        (self.at > from).then_some(nanos)
    }

    /// Three letters as an English month: 1 to 12.
    pub(super) fn month(&mut self) -> Option<u32> {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let name = self.line.as_bytes().get(self.at..self.at + 3)?;
        let index = MONTHS.chunks_exact(3).position(|month| month == name)?;
        self.at += 3;
        Some(index as u32 + 1)
    }
}

/// The line without a byte order mark and colours at its beginning.
pub(super) fn without_colours(line: &str) -> &str {
    if !matches!(line.as_bytes(), [0x1b | 0xef, ..]) {
        return line;
    }
    let mut line = line.strip_prefix('\u{feff}').unwrap_or(line);
    while let length @ 1.. = colour_length(line.as_bytes()) {
        line = line.get(length..).unwrap_or("");
    }
    line
}

/// How long the colour is that these bytes begin with; 0: they begin with none.
pub(super) fn colour_length(bytes: &[u8]) -> usize {
    let [0x1b, b'[', rest @ ..] = bytes else { return 0 };
    let end = rest.iter().take(COLOUR).position(|b| !b.is_ascii_digit() && *b != b';');
    end.filter(|end| rest[*end] == b'm').map_or(0, |end| end + 3)
}
