//! Numbers and texts one after another: what a block is made of.

/// Bytes that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Appends.
#[derive(Default)]
pub(crate) struct Columns(pub(crate) Vec<u8>);

impl Columns {
    /// Seven bits a byte, the lowest first.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small where it is near zero, on either side.
    pub(crate) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Where a value is not what is expected, for most are: how many, then the distance and the value of each.
    pub(crate) fn exceptions(&mut self, values: impl Iterator<Item = (usize, u64)>) {
        let (mut count, mut listed, mut before) = (0, Columns::default(), 0);
        for (at, value) in values {
            listed.number((at - before) as u64);
            listed.number(value);
            (count, before) = (count + 1, at);
        }
        self.number(count);
        self.0.append(&mut listed.0);
    }
}

/// Takes what was appended, in the same order. Lengths are believed only as far as there are bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed)
    }

    /// A number of things each of which takes a byte at least.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if count <= self.0.len() { Ok(count) } else { Err(Malformed) }
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.count()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed)
    }

    /// Calls `set` with each exception; a place is below `end`.
    pub(crate) fn exceptions(
        &mut self,
        end: usize,
        mut set: impl FnMut(usize, u64) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let mut at = 0usize;
        for _ in 0..self.count()? {
            let distance = usize::try_from(self.number()?).map_err(|_| Malformed)?;
            at = at.checked_add(distance).filter(|at| *at < end).ok_or(Malformed)?;
            set(at, self.number()?)?;
        }
        Ok(())
    }
}
