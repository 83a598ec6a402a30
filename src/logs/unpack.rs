//! What is packed is unpacked, by what it begins with: the name of a file says little, a pipe has none.
//!
//! ```text
//!   1f 8b          gzip, however many members   ┐
//!   28 b5 2f fd    zstd, however many frames    ├▶ lines
//!   anything else  as it is                     ┘
//! ```

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

/// How much is read at a time.
const BUFFER: usize = 128 << 10;

/// How many bytes tell what it is.
const MAGIC: usize = 4;

/// The bytes of `reader`, unpacked if they are packed.
pub fn open<'a>(mut reader: impl Read + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let mut magic = [0; MAGIC];
    let read = read_up_to(&mut reader, &mut magic)?;
    let whole = Cursor::new(magic).take(read as u64).chain(reader);
    let whole = BufReader::with_capacity(BUFFER, whole);
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))),
        // A frame, or one that is to be skipped, which parallel packers put in front.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            let unpacked = zstd::stream::read::Decoder::with_buffer(whole)?;
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
        _ => Box::new(whole),
    })
}

/// Fills the buffer; less only at the end. A pipe gives as little as it likes.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).expect("memory")
    }

    fn check(bytes: &[u8], expected: &str) {
        let mut text = String::new();
        open(bytes).expect("opens").read_to_string(&mut text).expect("unpacks");
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_packed_is_unpacked_and_the_rest_is_as_it_is() {
        check(b"", "");
        check(b"a", "a");
        check(b"a\nb\n", "a\nb\n");
        check(&gzip("a\nb\n"), "a\nb\n");
        check(&zstd("a\nb\n"), "a\nb\n");
    }

    #[test]
    fn several_members_are_read_through() {
        check(&[gzip("one\n"), gzip(""), gzip("two\n")].concat(), "one\ntwo\n");
        check(&[zstd("one\n"), zstd("two\n")].concat(), "one\ntwo\n");
    }

    #[test]
    fn what_is_cut_off_is_an_error_after_what_there_was() {
        let text: String =
            (0..50_000u32).map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761))).collect();
        for packed in [gzip(&text), zstd(&text)] {
            let mut bytes = Vec::new();
            let cut = &packed[..packed.len() / 2];
            open(cut).expect("opens").read_to_end(&mut bytes).expect_err("cut off");
            assert!(!bytes.is_empty() && text.as_bytes().starts_with(&bytes));
        }
    }
}
