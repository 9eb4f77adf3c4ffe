//! The sampling that a model's publisher recommends: `general.sampling.*` of a file.

use crate::{
    gguf::{Gguf, GgufError},
    sample::Sampling,
};

/// A file's recommendations; `None` where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommended {
    /// `temp`.
    pub temperature: Option<f64>,
    /// `top_k`; 0 or less means all.
    pub top_k: Option<usize>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `min_p`.
    pub min_p: Option<f64>,
    /// `penalty_repeat`.
    pub repeat_penalty: Option<f64>,
    /// `penalty_last_n`.
    pub penalty_last: Option<usize>,
    /// Keys of `general.sampling` that are not supported.
    pub unknown: Vec<String>,
}

const PREFIX: &str = "general.sampling.";

impl Recommended {
    /// Reads the keys (llama.cpp's `LLM_KV_GENERAL_SAMPLING_*`).
    ///
    /// # Errors
    /// If one has another type or an invalid value; names it.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, GgufError> {
        let m = gguf.metadata();
        let number = |name: &str, least: f64, most: f64, expected| {
            let key = format!("{PREFIX}{name}");
            // The intended number: 0.7, and not the f32 next to it.
            let value = m.opt_f32(&key)?.map(|v| v.to_string().parse().unwrap_or(f64::from(v)));
            match value.filter(|v| !(least..=most).contains(v)) {
                Some(value) => Err(m.out_of_range(&key, expected, &value.to_string())),
                None => Ok(value),
            }
        };
        let count = |name: &str| m.opt_count(&format!("{PREFIX}{name}"));
        let known = ["temp", "top_k", "top_p", "min_p", "penalty_repeat", "penalty_last_n"];
        let unknown = m.iter().filter_map(|(key, _)| key.strip_prefix(PREFIX));
        Ok(Self {
            temperature: number("temp", 0.0, 100.0, "0 to 100")?,
            top_k: count("top_k")?,
            top_p: number("top_p", f64::MIN_POSITIVE, 1.0, "above 0, at most 1")?,
            min_p: number("min_p", 0.0, 1.0, "0 to 1")?,
            repeat_penalty: number("penalty_repeat", f64::MIN_POSITIVE, 100.0, "above 0, at most 100")?,
            penalty_last: count("penalty_last_n")?,
            unknown: unknown.filter(|name| !known.contains(name)).map(|name| format!("{PREFIX}{name}")).collect(),
        })
    }

    /// Sampling as recommended; greedy if the file has no temperature.
    pub fn sampling(&self) -> Sampling {
        let usual = Sampling::default();
        Sampling {
            temperature: self.temperature.unwrap_or(usual.temperature),
            top_k: self.top_k.unwrap_or(usual.top_k),
            top_p: self.top_p.unwrap_or(usual.top_p),
            min_p: self.min_p.unwrap_or(usual.min_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(usual.repeat_penalty),
            penalty_last: self.penalty_last.unwrap_or(usual.penalty_last),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{GgufWriter, Value};

    fn read(pairs: &[(&str, Value)]) -> Result<Recommended, String> {
        let mut w = GgufWriter::new();
        for (key, value) in pairs {
            w.set(&format!("{PREFIX}{key}"), value.clone());
        }
        let gguf = Gguf::from_bytes("m.gguf", &w.to_bytes(&[]).unwrap()).unwrap();
        Recommended::from_gguf(&gguf).map_err(|e| e.to_string())
    }

    #[test]
    fn keys_are_read_and_checked() {
        assert_eq!(read(&[]).unwrap().sampling(), Sampling::default());
        let found = read(&[("temp", 0.7f32.into()), ("top_k", 20i32.into()), ("mirostat", 1i32.into())]).unwrap();
        assert_eq!((found.temperature, found.top_k, found.top_p), (Some(0.7), Some(20), None));
        assert_eq!(found.unknown, ["general.sampling.mirostat"]);
        assert_eq!(read(&[("top_k", (-1i32).into())]).unwrap().top_k, Some(0));
        for (key, value) in
            [("temp", f32::NAN), ("temp", -1.0), ("top_p", 0.0), ("min_p", 1.5), ("penalty_repeat", 0.0)]
        {
            let error = read(&[(key, value.into())]).unwrap_err();
            assert!(error.starts_with(&format!("m.gguf: key \"general.sampling.{key}\" is ")), "{error}");
        }
        assert!(read(&[("temp", "hot".into())]).unwrap_err().contains("is of type string, expected a float"));
    }
}
