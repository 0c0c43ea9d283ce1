//! Messages in the binary form of Protocol Buffers (<https://protobuf.dev/programming-guides/encoding/>), as far as
//! the messages here need it.
//!
//! What is written is canonical: fields in order, values that are the default left out. So equal messages are equal
//! bytes, on whose hash the protocol counts.

/// Bytes that are no message of the kind that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a well-formed message")]
pub struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// A message.
pub trait Message: Default + Clone {
    /// Adds its form to `out`.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes one field, if it is one of this message.
    ///
    /// # Errors
    /// If the value is none for this field.
    fn field(&mut self, tag: u32, value: Value<'_>) -> Result<()>;

    /// Its form.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads one. Fields that are not known are left out.
    ///
    /// # Errors
    /// If it is none.
    fn decode(mut bytes: &[u8]) -> Result<Self> {
        let mut message = Self::default();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let tag = u32::try_from(key >> 3).map_err(|_| Malformed)?;
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)?),
                1 => {
                    take(&mut bytes, 8)?;
                    Value::Other
                }
                2 => {
                    let size = usize::try_from(varint(&mut bytes)?).map_err(|_| Malformed)?;
                    Value::Bytes(take(&mut bytes, size)?)
                }
                5 => {
                    take(&mut bytes, 4)?;
                    Value::Other
                }
                _ => return Err(Malformed),
            };
            message.field(tag, value)?;
        }
        Ok(message)
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A number.
    Number(u64),
    /// Bytes, a text, a message, or several numbers.
    Bytes(&'a [u8]),
    /// Something of a size that no message here has.
    Other,
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(size).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(tag) << 3 | 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// What a field of a message can be.
pub trait Field {
    /// Adds it to `out`.
    fn put(&self, tag: u32, out: &mut Vec<u8>);

    /// Takes a value: in place of the one that it has, or to those that it has.
    ///
    /// # Errors
    /// If the value is none for this field.
    fn take(&mut self, value: Value<'_>) -> Result<()>;
}

impl Field for i64 {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if *self != 0 {
            put_varint(u64::from(tag) << 3, out);
            put_varint(*self as u64, out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Number(number) = value else { return Err(Malformed) };
        *self = number as i64;
        Ok(())
    }
}

impl Field for i32 {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        i64::from(*self).put(tag, out);
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Number(number) = value else { return Err(Malformed) };
        // negative numbers are written as if they were longer
        *self = number as i32;
        Ok(())
    }
}

impl Field for bool {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        i64::from(*self).put(tag, out);
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Number(number) = value else { return Err(Malformed) };
        *self = number != 0;
        Ok(())
    }
}

impl Field for Vec<i32> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            let mut packed = Vec::new();
            for number in self {
                put_varint(i64::from(*number) as u64, &mut packed);
            }
            put_bytes(tag, &packed, out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        match value {
            Value::Number(number) => self.push(number as i32),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    self.push(varint(&mut packed)? as i32);
                }
            }
            Value::Other => return Err(Malformed),
        }
        Ok(())
    }
}

impl Field for String {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_bytes(tag, self.as_bytes(), out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Bytes(bytes) = value else { return Err(Malformed) };
        *self = std::str::from_utf8(bytes).map_err(|_| Malformed)?.to_owned();
        Ok(())
    }
}

impl Field for Vec<String> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        for text in self {
            put_bytes(tag, text.as_bytes(), out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let mut text = String::new();
        text.take(value)?;
        self.push(text);
        Ok(())
    }
}

impl Field for Vec<u8> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_bytes(tag, self, out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Bytes(bytes) = value else { return Err(Malformed) };
        *self = bytes.to_vec();
        Ok(())
    }
}

impl Field for Vec<Vec<u8>> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        for bytes in self {
            put_bytes(tag, bytes, out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Bytes(bytes) = value else { return Err(Malformed) };
        self.push(bytes.to_vec());
        Ok(())
    }
}

impl<M: Message> Field for Option<M> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        if let Some(message) = self {
            put_bytes(tag, &message.encode(), out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Bytes(bytes) = value else { return Err(Malformed) };
        *self = Some(M::decode(bytes)?);
        Ok(())
    }
}

impl<M: Message> Field for Vec<M> {
    fn put(&self, tag: u32, out: &mut Vec<u8>) {
        for message in self {
            put_bytes(tag, &message.encode(), out);
        }
    }

    fn take(&mut self, value: Value<'_>) -> Result<()> {
        let Value::Bytes(bytes) = value else { return Err(Malformed) };
        self.push(M::decode(bytes)?);
        Ok(())
    }
}

/// Declares messages: each field with its number, in order of these.
macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        struct $name:ident { $($(#[$about:meta])* $tag:literal $field:ident: $kind:ty,)* }
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default, PartialEq, Eq)]
            pub struct $name {
                $($(#[$about])* pub $field: $kind,)*
            }

            impl $crate::wire::proto::Message for $name {
                fn write(&self, out: &mut Vec<u8>) {
                    let _ = &out;
                    $($crate::wire::proto::Field::put(&self.$field, $tag, out);)*
                }

                fn field(
                    &mut self,
                    tag: u32,
                    value: $crate::wire::proto::Value<'_>,
                ) -> ::std::result::Result<(), $crate::wire::proto::Malformed> {
                    match tag {
                        $($tag => $crate::wire::proto::Field::take(&mut self.$field, value),)*
                        _ => {
                            let _ = value;
                            Ok(())
                        }
                    }
                }
            }
        )*
    };
}
pub(crate) use messages;

#[cfg(test)]
mod tests {
    use super::*;

    messages! {
        /// One with each kind of field.
        struct All {
            1 text: String,
            2 number: i64,
            3 small: i32,
            4 flag: bool,
            5 bytes: Vec<u8>,
            6 texts: Vec<String>,
            7 numbers: Vec<i32>,
            8 inner: Option<Inner>,
            9 inners: Vec<Inner>,
            10 blobs: Vec<Vec<u8>>,
        }
        /// Part of it.
        struct Inner { 100 value: String, }
    }

    #[test]
    fn messages_survive() {
        let inner = Inner { value: "i".into() };
        let all = All {
            text: "é".into(),
            number: -5,
            small: i32::MIN,
            flag: true,
            bytes: vec![0, 255],
            texts: vec!["".into(), "x".into()],
            numbers: vec![-1, 300],
            inner: Some(Inner::default()),
            inners: vec![inner.clone(), inner],
            blobs: vec![vec![], vec![1]],
        };
        assert_eq!(All::decode(&all.encode()), Ok(all));
        assert_eq!(All::default().encode(), b"");
    }

    #[test]
    fn the_form_is_that_of_protocol_buffers() {
        // the examples of its documentation
        let number = All { number: 150, ..All::default() };
        assert_eq!(number.encode(), [0x10, 0x96, 0x01]);
        let text = All { text: "testing".into(), ..All::default() };
        assert_eq!(text.encode(), b"\x0a\x07testing");
        // packed or one by one
        let numbers = All { numbers: vec![3, 270, 86942], ..All::default() };
        assert_eq!(numbers.encode(), b"\x3a\x06\x03\x8e\x02\x9e\xa7\x05");
        assert_eq!(All::decode(b"\x38\x03\x38\x8e\x02\x38\x9e\xa7\x05"), Ok(numbers));
        // unknown fields of any size are left out
        let unknown = b"\xfa\x01\x01x\xf9\x0112345678\xfd\x011234\xf8\x01\x00";
        assert_eq!(All::decode(unknown), Ok(All::default()));
    }

    #[test]
    fn broken_messages_are_refused() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05abc",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x0a\x01\xff",
            b"\x08\x00",
            b"\x42\x02\x0a\x05",
        ] {
            assert_eq!(All::decode(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
