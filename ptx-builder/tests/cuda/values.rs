//! What the kernels have to compute (`values.txt`).

use half::{bf16, f16};

use crate::corpus::file;

pub struct Case {
    pub name: String,
    pub kernel: String,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared: u32,
    pub values: Vec<Value>,
    pub prints: Option<String>,
}

/// What an argument is, and what it holds afterwards.
pub enum Value {
    Scalar(Vec<u8>),
    In(Vec<u8>),
    InOut(Vec<u8>, Numbers),
    Out(Numbers),
}

pub struct Numbers {
    ty: String,
    pub bytes: Vec<u8>,
    /// How far from it another may be, as a part of it.
    far: f64,
}

impl Numbers {
    fn new(ty: &str, words: &[&str], far: f64) -> Numbers {
        Numbers { ty: ty.to_owned(), bytes: bytes(ty, words), far }
    }

    /// Which number is another, if one is: that which is no number may have any bits.
    pub fn compare(&self, found: &[u8]) -> Result<(), String> {
        let size = width(&self.ty);
        assert_eq!(found.len(), self.bytes.len());
        for (i, (wanted, found)) in self.bytes.chunks(size).zip(found.chunks(size)).enumerate() {
            let (a, b) = (number(&self.ty, wanted), number(&self.ty, found));
            let is_near = wanted == found || a.is_nan() && b.is_nan() || (a - b).abs() <= self.far * a.abs();
            if !is_near {
                return Err(format!("number {i} is {b} {found:02x?}, not {a} {wanted:02x?}"));
            }
        }
        Ok(())
    }
}

/// The bytes of a number of a type.
fn width(ty: &str) -> usize {
    ty.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().expect("a type such as f32") / 8
}

fn number(ty: &str, bytes: &[u8]) -> f64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(wide);
    match ty {
        "f16" => f16::from_bits(bits as u16).to_f64(),
        "bf16" => bf16::from_bits(bits as u16).to_f64(),
        "f32" => f32::from_bits(bits as u32).into(),
        "f64" => f64::from_bits(bits),
        _ => bits as f64,
    }
}

/// Numbers of a type as bytes; `3*5` is five times 3.
fn bytes(ty: &str, words: &[&str]) -> Vec<u8> {
    let one = |word: &str| {
        let float = || word.parse::<f64>().unwrap_or_else(|e| panic!("{word}: {e}"));
        let whole = || word.parse::<i128>().unwrap_or_else(|e| panic!("{word}: {e}"));
        match ty {
            "f16" => f16::from_f64(float()).to_le_bytes().to_vec(),
            "bf16" => bf16::from_f64(float()).to_le_bytes().to_vec(),
            "f32" => (float() as f32).to_le_bytes().to_vec(),
            "f64" => float().to_le_bytes().to_vec(),
            _ => whole().to_le_bytes()[..width(ty)].to_vec(),
        }
    };
    let many = |word: &&str| match word.split_once('*') {
        Some((word, count)) => one(word).repeat(count.parse().expect("a count")),
        None => one(word),
    };
    words.iter().flat_map(many).collect()
}

fn shape(word: &str) -> [u32; 3] {
    let mut shape = [1; 3];
    for (at, size) in shape.iter_mut().zip(word[1..].split(',')) {
        *at = size.parse().expect("a size");
    }
    shape
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in file("values.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let value = match &words[..] {
            ["case", name, grid, block, shared @ ..] => {
                cases.push(Case {
                    name: (*name).to_owned(),
                    kernel: name.split(':').next().expect("a name").to_owned(),
                    grid: shape(grid),
                    block: shape(block),
                    shared: shared.first().map_or(0, |s| s[1..].parse().expect("a size")),
                    values: Vec::new(),
                    prints: None,
                });
                continue;
            }
            ["prints", ..] => {
                let text = serde_json::from_str(&line["prints ".len()..]).expect("a string");
                cases.last_mut().expect("a case").prints = Some(text);
                continue;
            }
            ["in", ty, numbers @ ..] => Value::In(bytes(ty, numbers)),
            ["out", ty, numbers @ ..] => Value::Out(Numbers::new(ty, numbers, 0.0)),
            ["near", far, ty, numbers @ ..] => Value::Out(Numbers::new(ty, numbers, far.parse().expect("a number"))),
            ["inout", ty, numbers @ ..] => {
                let half = numbers.iter().position(|w| *w == "|").expect("what was before | what is after");
                Value::InOut(bytes(ty, &numbers[..half]), Numbers::new(ty, &numbers[half + 1..], 0.0))
            }
            ["bytes", hex] => {
                let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal");
                Value::Scalar((0..hex.len() / 2).map(byte).collect())
            }
            [ty, number] => Value::Scalar(bytes(ty, &[number])),
            _ => panic!("no value: {line}"),
        };
        cases.last_mut().expect("a case").values.push(value);
    }
    cases
}
