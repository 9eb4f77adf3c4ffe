//! Lookup of metadata by key and type.

use super::{
    error::{GgufError, GgufErrorKind},
    value::{Array, Strings, Value},
};
use crate::suggest::nearest;
use indexmap::IndexMap;
use std::sync::Arc;

/// The key-value pairs of a file, in the file's order.
///
/// The typed getters return an error that names the file and the key if the key is missing or has another type;
/// [`get`](Self::get) returns a value of any type. An integer may be stored in any integer type that can represent it,
/// a float in either float type.
#[derive(Debug, Clone)]
pub struct Metadata {
    file: Arc<str>,
    entries: IndexMap<Box<str>, Value>,
}

impl Metadata {
    pub(super) fn new(file: Arc<str>, entries: IndexMap<Box<str>, Value>) -> Self {
        Self { file, entries }
    }

    /// All pairs in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(k, v)| (&**k, v))
    }

    /// The value of `key`, if present.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    fn error(&self, kind: GgufErrorKind) -> GgufError {
        GgufError::new(&self.file, kind)
    }

    fn wrong(&self, key: &str, expected: &'static str, found: &Value) -> GgufError {
        self.error(GgufErrorKind::KeyType { key: key.into(), expected, found: found.describe() })
    }

    fn need<T>(&self, key: &str, found: Option<T>) -> Result<T, GgufError> {
        found.ok_or_else(|| {
            self.error(GgufErrorKind::MissingKey {
                key: key.into(),
                near: nearest(key, self.entries.keys().map(|k| &**k)).map(Into::into),
            })
        })
    }

    /// An integer, as u32.
    pub(crate) fn opt_u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let wide = value.integer().ok_or_else(|| self.wrong(key, "an integer", value))?;
        match u32::try_from(wide) {
            Ok(v) => Ok(Some(v)),
            Err(_) => Err(self.error(GgufErrorKind::KeyRange {
                key: key.into(),
                expected: "0 to 4294967295",
                value: wide.to_string(),
            })),
        }
    }

    /// A count; a negative number, which llama.cpp treats as unset, becomes 0.
    pub(crate) fn opt_count(&self, key: &str) -> Result<Option<usize>, GgufError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let wide = value.integer().ok_or_else(|| self.wrong(key, "an integer", value))?;
        Ok(Some(usize::try_from(wide.max(0)).unwrap_or(usize::MAX)))
    }

    /// An invalid value.
    pub(crate) fn out_of_range(&self, key: &str, expected: &'static str, value: &str) -> GgufError {
        self.error(GgufErrorKind::KeyRange { key: key.into(), expected, value: value.into() })
    }

    /// An integer, as u32.
    pub fn u32(&self, key: &str) -> Result<u32, GgufError> {
        self.opt_u32(key).and_then(|v| self.need(key, v))
    }

    /// A float of either width, as f32 (rounded to nearest even).
    pub(crate) fn opt_f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(v)) => Ok(Some(*v)),
            Some(Value::F64(v)) => Ok(Some(*v as f32)),
            Some(other) => Err(self.wrong(key, "a float", other)),
        }
    }

    /// A float of either width, as f32 (rounded to nearest even).
    pub fn f32(&self, key: &str) -> Result<f32, GgufError> {
        self.opt_f32(key).and_then(|v| self.need(key, v))
    }

    /// A bool.
    pub(crate) fn opt_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(v)) => Ok(Some(*v)),
            Some(other) => Err(self.wrong(key, "a bool", other)),
        }
    }

    /// A text.
    pub(crate) fn opt_str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(v)) => Ok(Some(v)),
            Some(other) => Err(self.wrong(key, "a string", other)),
        }
    }

    /// A text.
    pub fn str(&self, key: &str) -> Result<&str, GgufError> {
        self.opt_str(key).and_then(|v| self.need(key, v))
    }

    /// A list of texts.
    pub(crate) fn opt_strings(&self, key: &str) -> Result<Option<&Strings>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(Array::Str(v))) => Ok(Some(v)),
            Some(other) => Err(self.wrong(key, "an array of strings", other)),
        }
    }

    /// A list of texts.
    pub fn strings(&self, key: &str) -> Result<&Strings, GgufError> {
        self.opt_strings(key).and_then(|v| self.need(key, v))
    }

    /// A list of i32.
    pub(crate) fn opt_i32s(&self, key: &str) -> Result<Option<&[i32]>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(Array::I32(v))) => Ok(Some(v)),
            Some(other) => Err(self.wrong(key, "an array of i32", other)),
        }
    }
}
