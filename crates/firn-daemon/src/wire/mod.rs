//! How the protocols write numbers, texts and lists: numbers little-endian in 64 bits, texts with their length
//! before them and zeros behind them up to a multiple of 8, lists with their length before them.
//!
//! What is read is not believed: memory grows with what has come and not with what was promised, and a
//! [`WireReader`] has a budget of bytes for what it keeps of one request.

pub mod framed;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use crate::error::{Error, Result};

/// The bytes that are kept of one request, if nothing else is said. The largest thing that a request holds
/// besides streams is a derivation or a closure of some 100,000 paths.
pub const BUDGET: u64 = 128 * 1024 * 1024;

/// The most things that a list may claim.
const MAX_ITEMS: u64 = 1 << 24;

/// What each item of a list costs of the budget, besides its bytes.
const ITEM_COST: u64 = 32;

/// At most so many bytes are set aside before any of them has come.
const STEP: usize = 64 * 1024;

/// Reads the protocols' primitives.
#[derive(Debug)]
pub struct WireReader<R> {
    source: R,
    budget: u64,
    left: u64,
}

impl<R: Read> WireReader<R> {
    /// A reader with the usual budget.
    pub fn new(source: R) -> Self {
        Self::with_budget(source, BUDGET)
    }

    /// A reader that keeps at most `budget` bytes of a request.
    pub fn with_budget(source: R, budget: u64) -> Self {
        Self { source, budget, left: budget }
    }

    /// A new request begins, with the whole budget.
    pub fn begin(&mut self) {
        self.left = self.budget;
    }

    /// The bytes beneath, for streams.
    pub fn raw(&mut self) -> &mut R {
        &mut self.source
    }

    fn spend(&mut self, bytes: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::protocol(format!(
                "a request of more than {} bytes was refused",
                self.budget
            ))),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// If the connection ends or breaks.
    pub fn number(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.source.read_exact(&mut bytes).map_err(Error::io("reading a number"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A number, or nothing if the connection ends before it.
    ///
    /// # Errors
    /// If the connection ends within it, or breaks.
    pub fn number_or_end(&mut self) -> Result<Option<u64>> {
        let mut bytes = [0; 8];
        let mut have = 0;
        while have < bytes.len() {
            match self.source.read(&mut bytes[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(Error::Disconnected("unexpected end-of-file".into())),
                Ok(got) => have += got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset && have == 0 => {
                    return Ok(None);
                }
                Err(e) => return Err(Error::io("reading a number")(e)),
            }
        }
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// A number that must fit in 32 bits.
    ///
    /// # Errors
    /// If it does not, or the connection ends.
    pub fn small(&mut self) -> Result<u32> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| {
            Error::protocol(format!("serialised integer {number} is too large for type 'j'"))
        })
    }

    /// A truth value: any number but 0 is true.
    ///
    /// # Errors
    /// If the connection ends.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.number()? != 0)
    }

    /// Bytes.
    ///
    /// # Errors
    /// If there are too many, the padding is not zero, or the connection ends.
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        let len = self.number()?;
        self.spend(len.saturating_add(ITEM_COST))?;
        let len = usize::try_from(len).map_err(|_| Error::protocol("string is too long"))?;
        let mut bytes = Vec::with_capacity(len.min(STEP));
        while bytes.len() < len {
            let have = bytes.len();
            // doubling, so that the other side has to send half of what is set aside
            let more = (len - have).min(have.max(STEP));
            bytes.resize(have + more, 0);
            self.source.read_exact(&mut bytes[have..]).map_err(Error::io("reading a string"))?;
        }
        self.padding(len)?;
        Ok(bytes)
    }

    /// Takes the zeros behind `len` bytes.
    ///
    /// # Errors
    /// If they are not zeros, or the connection ends.
    pub fn padding(&mut self, len: usize) -> Result<()> {
        let mut zeros = [0; 8];
        let zeros = &mut zeros[..len.next_multiple_of(8) - len];
        self.source.read_exact(zeros).map_err(Error::io("reading padding"))?;
        if zeros.iter().any(|b| *b != 0) {
            return Err(Error::protocol("non-zero padding"));
        }
        Ok(())
    }

    /// A text; bytes that are not UTF-8 are replaced only in messages, and refused here.
    ///
    /// # Errors
    /// As [`WireReader::bytes`], or if it is not UTF-8.
    pub fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?)
            .map_err(|_| Error::protocol("a text in the protocol is not UTF-8"))
    }

    /// A text for people, whose bytes need not be UTF-8.
    ///
    /// # Errors
    /// As [`WireReader::bytes`].
    pub fn message(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    /// A list, each of whose items `item` reads.
    ///
    /// # Errors
    /// If it claims too many items, or one cannot be read.
    pub fn list<T, C: Default + Extend<T>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<C> {
        let count = self.number()?;
        if count > MAX_ITEMS {
            return Err(Error::protocol(format!("a list of {count} items was refused")));
        }
        let mut items = C::default();
        for _ in 0..count {
            self.spend(ITEM_COST)?;
            let next = item(self)?;
            items.extend(std::iter::once(next));
        }
        Ok(items)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// As [`WireReader::list`].
    pub fn texts<C: Default + Extend<String>>(&mut self) -> Result<C> {
        self.list(Self::text)
    }
}

/// A reader of anything, as the messages' own readers take it.
pub type WireRead<'a> = WireReader<Box<dyn Read + Send + 'a>>;

/// Writes the protocols' primitives.
pub trait WireWrite: Write {
    /// A number.
    ///
    /// # Errors
    /// If the sink fails.
    fn number(&mut self, number: u64) -> io::Result<()> {
        self.write_all(&number.to_le_bytes())
    }

    /// A truth value.
    ///
    /// # Errors
    /// If the sink fails.
    fn bool(&mut self, value: bool) -> io::Result<()> {
        self.number(u64::from(value))
    }

    /// Bytes, with their length and padding.
    ///
    /// # Errors
    /// If the sink fails.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.write_all(bytes)?;
        self.write_all(&[0; 8][..bytes.len().next_multiple_of(8) - bytes.len()])
    }

    /// A text.
    ///
    /// # Errors
    /// If the sink fails.
    fn text(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// A list of texts.
    ///
    /// # Errors
    /// If the sink fails.
    fn texts<T: AsRef<str>>(
        &mut self,
        texts: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> io::Result<()>
    where
        Self: Sized,
    {
        let texts = texts.into_iter();
        self.number(texts.len() as u64)?;
        for text in texts {
            self.text(text.as_ref())?;
        }
        Ok(())
    }
}

impl<W: Write + ?Sized> WireWrite for W {}
