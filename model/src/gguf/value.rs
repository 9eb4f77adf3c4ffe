//! Metadata values.

use super::types::ValueType;

/// Defines the two enums of value kinds, which differ only in the list.
macro_rules! kinds {
    ($($kind:ident($ty:ty) $doc:literal)*) => {
        /// A metadata value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $(#[doc = $doc] $kind($ty),)*
            /// Text.
            Str(Box<str>),
            /// A list of values of one type.
            Array(Array),
        }

        /// A list of metadata values of one type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Array {
            $(#[doc = $doc] $kind(Vec<$ty>),)*
            /// Texts.
            Str(Strings),
            /// Lists.
            Array(Vec<Array>),
        }

        impl Value {
            /// The value's type.
            pub fn ty(&self) -> ValueType {
                match self {
                    $(Self::$kind(_) => ValueType::$kind,)*
                    Self::Str(_) => ValueType::Str,
                    Self::Array(_) => ValueType::Array,
                }
            }
        }

        impl Array {
            /// The type of the elements.
            pub fn element(&self) -> ValueType {
                match self {
                    $(Self::$kind(_) => ValueType::$kind,)*
                    Self::Str(_) => ValueType::Str,
                    Self::Array(_) => ValueType::Array,
                }
            }

            /// The number of elements.
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$kind(v) => v.len(),)*
                    Self::Str(v) => v.len(),
                    Self::Array(v) => v.len(),
                }
            }
        }

        $(impl From<$ty> for Value {
            fn from(v: $ty) -> Self {
                Self::$kind(v)
            }
        })*
    };
}
kinds! {
    U8(u8) "Unsigned 8 bits."
    I8(i8) "Signed 8 bits."
    U16(u16) "Unsigned 16 bits."
    I16(i16) "Signed 16 bits."
    U32(u32) "Unsigned 32 bits."
    I32(i32) "Signed 32 bits."
    F32(f32) "IEEE binary32."
    Bool(bool) "True or false."
    U64(u64) "Unsigned 64 bits."
    I64(i64) "Signed 64 bits."
    F64(f64) "IEEE binary64."
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Str(v.into())
    }
}

impl From<String> for Value {
    fn from(v: String) -> Self {
        Self::Str(v.into())
    }
}

impl From<Array> for Value {
    fn from(v: Array) -> Self {
        Self::Array(v)
    }
}

impl Value {
    /// The type as text: `array of string` for a list of texts.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Array(a) => format!("{} of {}", self.ty(), a.element()),
            _ => self.ty().to_string(),
        }
    }

    /// The value of any integer type.
    pub fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(v) => v.into(),
            Self::I8(v) => v.into(),
            Self::U16(v) => v.into(),
            Self::I16(v) => v.into(),
            Self::U32(v) => v.into(),
            Self::I32(v) => v.into(),
            Self::U64(v) => v.into(),
            Self::I64(v) => v.into(),
            _ => return None,
        })
    }
}

impl Array {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A list of texts in one allocation (a vocabulary has 150,000 of them).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    /// Appends a text.
    pub fn push(&mut self, s: &str) {
        self.text.push_str(s);
        self.ends.push(self.text.len());
    }

    /// The number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text at `index`.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |i| self.ends[i]);
        Some(&self.text[start..end])
    }

    /// The texts in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let s = &self.text[start..end];
            start = end;
            s
        })
    }
}

impl<S: AsRef<str>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(iter: I) -> Self {
        let mut out = Self::default();
        for s in iter {
            out.push(s.as_ref());
        }
        out
    }
}
