//! The functions of the CUDA runtime that kernels call.

use super::Exec;
use crate::interp::mask::lanes;
use crate::interp::program::Callee;
use crate::interp::report::FindingKind;
use crate::interp::state::Stop;
use crate::table::{WARP, window};

/// Strings are read up to this many bytes.
const LONGEST: u64 = 4096;

/// A block's output is kept up to this many bytes.
const MOST_PRINTED: usize = 16 << 20;

impl Exec<'_> {
    pub(super) fn call(&mut self, callee: Callee) -> Result<(), Stop> {
        match callee {
            Callee::Print => self.print(),
            Callee::AssertFail => self.assert_fail(),
        }
    }

    /// `vprintf(format, arguments)`, lane after lane.
    fn print(&mut self) -> Result<(), Stop> {
        let (formats, arguments) = (self.src_zero(0), self.src_zero(1));
        let mut results = [0; WARP];
        for lane in lanes(self.mask) {
            let format = self.string(lane, formats[lane])?;
            let (text, conversions) = self.formatted(lane, &format, arguments[lane])?;
            keep(&mut self.st.printed, &text, MOST_PRINTED);
            results[lane] = conversions;
        }
        self.set(0, &results);
        Ok(())
    }

    /// `__assertfail(message, file, line, function, size of a character)`.
    fn assert_fail(&mut self) -> Result<(), Stop> {
        let Some(lane) = lanes(self.mask).next() else { return Ok(()) };
        let [message, file, line, function] = [0, 1, 2, 3].map(|i| self.src_zero(i)[lane]);
        let (message, file) = (self.string(lane, message)?, self.string(lane, file)?);
        let function = self.string(lane, function)?;
        let [x, y, z] = self.warp.tid.map(|d| d[lane]);
        let what =
            format!("{file}:{}: {function}: thread ({x}, {y}, {z}): assertion `{message}` failed", line & 0xffff_ffff);
        Err(self.fault(FindingKind::Assertion, self.mask, what))
    }

    /// A value in memory at a generic address, as the lane reads it.
    fn peek(&mut self, lane: usize, address: u64, bytes: u32) -> Result<u64, Stop> {
        let space = window::space_of(address);
        let mut at = [0; WARP];
        at[lane] = address.wrapping_sub(window::base(space));
        let mut values = [0u128; WARP];
        self.check(space, 1 << lane, &at, bytes)?;
        let unwritten = self.read(space, 1 << lane, &at, bytes, false, &mut values);
        self.unwritten(space, unwritten, &at, bytes);
        Ok(values[lane] as u64)
    }

    /// The string at a generic address.
    fn string(&mut self, lane: usize, address: u64) -> Result<String, Stop> {
        let mut bytes = Vec::new();
        for i in 0..LONGEST {
            match self.peek(lane, address.wrapping_add(i), 1)? as u8 {
                0 => break,
                byte => bytes.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a format with the arguments that lie at a generic address, each aligned to its size; and how many
    /// there were.
    fn formatted(&mut self, lane: usize, format: &str, arguments: u64) -> Result<(String, u64), Stop> {
        let (mut text, mut count, mut at) = (String::new(), 0, arguments);
        let mut rest = format;
        while let Some(start) = rest.find('%') {
            text.push_str(&rest[..start]);
            let Some((spec, len)) = Spec::of(&rest[start..]) else {
                text.push('%');
                rest = &rest[start + 1..];
                continue;
            };
            rest = &rest[start + len..];
            if spec.conversion == '%' {
                text.push('%');
                continue;
            }
            let mut next = |this: &mut Self, bytes: u32| {
                at = at.next_multiple_of(u64::from(bytes));
                let value = this.peek(lane, at, bytes);
                at += u64::from(bytes);
                value
            };
            let width = if spec.width == Some(Spec::ASKED) { Some(next(self, 4)? as i32) } else { spec.width };
            let precision =
                if spec.precision == Some(Spec::ASKED) { Some(next(self, 4)? as i32) } else { spec.precision };
            let value = next(self, spec.bytes())?;
            count += 1;
            let body = match spec.conversion {
                's' => {
                    let whole = self.string(lane, value)?;
                    let most = precision.and_then(|p| usize::try_from(p).ok()).unwrap_or(usize::MAX);
                    whole.chars().take(most).collect()
                }
                _ => spec.number(value, precision),
            };
            text.push_str(&spec.padded(body, width));
        }
        text.push_str(rest);
        Ok((text, count))
    }
}

/// A conversion of a format: `%-08.3llx`.
struct Spec {
    left: bool,
    zeros: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: Option<i32>,
    precision: Option<i32>,
    long: bool,
    conversion: char,
}

/// Adds a text, if there is room for all of it.
fn keep(printed: &mut String, text: &str, most: usize) {
    if printed.len() + text.len() <= most {
        printed.push_str(text);
    }
}

impl Spec {
    /// A width or precision that an argument gives, `*`.
    const ASKED: i32 = i32::MIN;

    /// The conversion that a text begins with, and how long that is; none where there is none.
    fn of(text: &str) -> Option<(Spec, usize)> {
        let mut spec = Spec {
            left: false,
            zeros: false,
            plus: false,
            space: false,
            alternate: false,
            width: None,
            precision: None,
            long: false,
            conversion: '%',
        };
        let bytes = text.as_bytes();
        let mut i = 1;
        loop {
            match *bytes.get(i)? {
                b'-' => spec.left = true,
                b'0' => spec.zeros = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                _ => break,
            }
            i += 1;
        }
        let number = |i: &mut usize| {
            if bytes.get(*i) == Some(&b'*') {
                *i += 1;
                return Some(Self::ASKED);
            }
            let start = *i;
            while bytes.get(*i).is_some_and(u8::is_ascii_digit) {
                *i += 1;
            }
            text[start..*i].parse().ok()
        };
        spec.width = number(&mut i);
        if bytes.get(i) == Some(&b'.') {
            i += 1;
            spec.precision = Some(number(&mut i).unwrap_or(0));
        }
        // Of `long` and `size_t`, arguments have 64 bits.
        while let Some(b'h' | b'l' | b'j' | b'z' | b't' | b'L') = bytes.get(i) {
            spec.long |= bytes[i] != b'h';
            i += 1;
        }
        spec.conversion = char::from(*bytes.get(i)?);
        "diouxXeEfFgGaAcsp%".contains(spec.conversion).then_some((spec, i + 1))
    }

    /// Bytes of its argument.
    fn bytes(&self) -> u32 {
        match self.conversion {
            'd' | 'i' | 'o' | 'u' | 'x' | 'X' if !self.long => 4,
            'c' => 4,
            _ => 8,
        }
    }

    fn number(&self, value: u64, precision: Option<i32>) -> String {
        let signed = if self.long { value as i64 } else { i64::from(value as i32) };
        let unsigned = if self.long { value } else { value & 0xffff_ffff };
        let float = f64::from_bits(value);
        let places = precision.and_then(|p| usize::try_from(p).ok());
        let (sign, digits) = match self.conversion {
            'd' | 'i' => (signed < 0, signed.unsigned_abs().to_string()),
            'u' => (false, unsigned.to_string()),
            'o' => (false, format!("{}{unsigned:o}", if self.alternate { "0" } else { "" })),
            'x' => (false, format!("{}{unsigned:x}", if self.alternate && unsigned != 0 { "0x" } else { "" })),
            'X' => (false, format!("{}{unsigned:X}", if self.alternate && unsigned != 0 { "0X" } else { "" })),
            'p' => return format!("{value:#x}"),
            'c' => return char::from(value as u8).to_string(),
            kind => (float.is_sign_negative() && !float.is_nan(), real(float.abs(), kind, places.unwrap_or(6))),
        };
        let digits = match (self.conversion, places) {
            ('d' | 'i' | 'u' | 'o' | 'x' | 'X', Some(least)) => format!("{digits:0>least$}"),
            _ => digits,
        };
        let sign = match (sign, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) if "dieEfFgGaA".contains(self.conversion) => "+",
            (_, _, true) if "dieEfFgGaA".contains(self.conversion) => " ",
            _ => "",
        };
        format!("{sign}{digits}")
    }

    fn padded(&self, body: String, width: Option<i32>) -> String {
        let left = self.left || width.is_some_and(|w| w < 0);
        let missing = (width.unwrap_or(0).unsigned_abs() as usize).min(4096).saturating_sub(body.chars().count());
        let zeros = self.zeros && !left && !matches!(self.conversion, 's' | 'c' | 'p');
        match (left, zeros) {
            (true, _) => body + &" ".repeat(missing),
            (_, true) => {
                let sign = usize::from(body.starts_with(['-', '+', ' ']));
                format!("{}{}{}", &body[..sign], "0".repeat(missing), &body[sign..])
            }
            _ => " ".repeat(missing) + &body,
        }
    }
}

/// A number that is not negative, as C writes it.
fn real(x: f64, kind: char, places: usize) -> String {
    let upper = kind.is_ascii_uppercase();
    let text = match kind.to_ascii_lowercase() {
        _ if x.is_nan() => "nan".to_owned(),
        _ if x.is_infinite() => "inf".to_owned(),
        'f' => format!("{x:.places$}"),
        'e' => exponential(x, places),
        'a' => hexadecimal(x),
        _ => {
            let places = places.max(1);
            let exponent = if x == 0.0 { 0 } else { power(&exponential(x, places - 1)) };
            let text = match exponent {
                e if e < -4 || e >= places as i32 => exponential(x, places - 1),
                e => format!("{x:.*}", (places as i32 - 1 - e).max(0) as usize),
            };
            shortened(&text)
        }
    };
    if upper { text.to_uppercase() } else { text }
}

fn exponential(x: f64, places: usize) -> String {
    let text = format!("{x:.places$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// The power of ten of a text with an exponent.
fn power(text: &str) -> i32 {
    text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or_default()
}

/// Without the zeros that end its fraction.
fn shortened(text: &str) -> String {
    let (digits, exponent) = text.find('e').map_or((text, ""), |at| text.split_at(at));
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{exponent}")
}

fn hexadecimal(x: f64) -> String {
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    let (whole, exponent) = match (exponent, fraction) {
        (0, 0) => (0, 0),
        (0, _) => (0, -1022),
        (e, _) => (1, e - 1023),
    };
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("0x{whole}{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::{Spec, keep};

    #[test]
    fn what_has_no_room_is_left_out_whole() {
        let mut printed = "ab".to_owned();
        for text in ["cde", "fg", "h", "i"] {
            keep(&mut printed, text, 5);
        }
        assert_eq!(printed, "abcde");
        let mut printed = "ab".to_owned();
        for text in ["cdef", "fg", "h", "i"] {
            keep(&mut printed, text, 5);
        }
        assert_eq!(printed, "abfgh");
    }

    #[test]
    fn what_is_no_conversion_is_text() {
        for text in ["%", "%-", "%5", "%5.", "%.3", "%l", "%y", "%5.2y", "%\u{e9}"] {
            assert!(Spec::of(text).is_none(), "{text}");
        }
        // Its length is where it ends, whatever comes then.
        for (text, len) in [("%d.", 2), ("%-5.3lldd", 8), ("%*.*fx", 5), ("%%d", 2), ("% +#0-d5", 7)] {
            assert_eq!(Spec::of(text).map(|(_, len)| len), Some(len), "{text}");
        }
    }

    #[test]
    fn a_width_is_bounded() {
        for (format, width) in
            [("%5000d", 4096), ("%05000d", 4096), ("%-4097d", 4096), ("%4096d", 4096), ("%4095d", 4095)]
        {
            assert_eq!(one(format, 7).len(), width, "{format}");
        }
    }

    fn one(format: &str, value: u64) -> String {
        let (spec, len) = Spec::of(format).unwrap_or_else(|| panic!("{format} is no conversion"));
        let number = spec.padded(spec.number(value, spec.precision), spec.width);
        number + &format[len..]
    }

    /// As glibc writes them.
    #[test]
    fn conversions() {
        for (format, value, text) in [
            ("%d", 0xffff_ffff, "-1"),
            ("%5d", 42, "   42"),
            ("%-5d", 42, "42   "),
            ("%05d", 0xffff_ffd6, "-0042"),
            ("%+d", 7, "+7"),
            ("%.3d", 7, "007"),
            ("%u", 0xffff_ffff, "4294967295"),
            ("%lld", u64::MAX, "-1"),
            ("%llu", u64::MAX, "18446744073709551615"),
            ("%#x", 255, "0xff"),
            ("%08X", 0xabc, "00000ABC"),
            ("%c", 65, "A"),
            ("%5c|", 65, "    A|"),
            ("%p", 255, "0xff"),
            ("%#p", 0, "0x0"),
            ("%08p", 255, "    0xff"),
            ("%o", 8, "10"),
            ("%#o", 8, "010"),
            ("%x", 0xffff_ffff_0000_00ff, "ff"),
            ("%lx", 0xf_0000_00ff, "f000000ff"),
            ("%hx", 0xf_0000_00ff, "ff"),
            ("%#x", 0, "0"),
            ("%#X", 171, "0XAB"),
            ("%#X", 0, "0"),
            ("% d", 7, " 7"),
            ("% u", 7, "7"),
            ("%+u", 7, "7"),
            ("% d", 0xffff_ffff, "-1"),
            ("%+d", 0xffff_ffff, "-1"),
            ("%+05d", 7, "+0007"),
            ("% 05d", 7, " 0007"),
            ("%-05d|", 7, "7    |"),
            ("%.0d", 7, "7"),
            ("%i", 7, "7"),
        ] {
            assert_eq!(one(format, value), text, "{format}");
        }
        for (format, value, text) in [
            ("%f", 1.5, "1.500000"),
            ("%.2f", -2.345, "-2.35"),
            ("%.0f", 2.5, "2"),
            ("%e", 12345.678, "1.234568e+04"),
            ("%E", 0.0, "0.000000E+00"),
            ("%g", 100000.0, "100000"),
            ("%g", 1000000.0, "1e+06"),
            ("%g", 0.0001, "0.0001"),
            ("%g", 0.00001, "1e-05"),
            ("%10.3g", 1234.5, "  1.23e+03"),
            ("%a", 1.0, "0x1p+0"),
            ("%a", 0.1, "0x1.999999999999ap-4"),
            ("%f", f64::INFINITY, "inf"),
            ("%F", f64::NAN, "NAN"),
            ("%08.3f", -1.5, "-001.500"),
            ("%+f", 1.5, "+1.500000"),
            ("% e", 1.5, " 1.500000e+00"),
            ("%f", -0.0, "-0.000000"),
            ("%f", -f64::NAN, "nan"),
            ("%e", 0.00012, "1.200000e-04"),
            ("%g", 0.0, "0"),
            ("%g", 100.5, "100.5"),
            ("%g", 1.0, "1"),
            ("%.0g", 15.0, "2e+01"),
            ("%.1g", 15.0, "2e+01"),
            ("%.3g", 100.0, "100"),
            ("%.3g", 1000.0, "1e+03"),
            ("%G", 1e-10, "1E-10"),
            ("%a", 0.0, "0x0p+0"),
            ("%a", f64::from_bits(1), "0x0.0000000000001p-1022"),
            ("%A", 2.5, "0X1.4P+1"),
        ] {
            assert_eq!(one(format, f64::to_bits(value)), text, "{format}");
        }
    }
}
