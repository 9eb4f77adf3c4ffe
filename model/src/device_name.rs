//! Devices by name.

use std::{fmt, str::FromStr};

/// A device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceName {
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU with this number, from 0: `cuda` is the first one, `cuda:1` the second.
    Cuda(u16),
    /// Generated kernels in the interpreter.
    Interp,
}

impl DeviceName {
    /// The first device of every kind.
    pub const ALL: &[DeviceName] = &[Self::Cpu, Self::Cuda(0), Self::Interp];

    /// The name of its kind on the command line.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Interp => "interp",
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(n @ 1..) => write!(f, "cuda:{n}"),
            other => f.write_str(other.kind()),
        }
    }
}

/// Where a model runs: the CPU, or one or more other devices, which divide the model's layers in this order:
/// `cuda:0,cuda:1`.
///
/// A GPU has one place in the list, because two would not give it more memory. Every `interp` is an interpreter with a
/// memory of its own, so a run on several devices can be tried without a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceNames(Vec<DeviceName>);

/// A text that is not a list of devices that can run a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDevicesError {
    /// A word is not a device.
    #[error("unknown device `{0}`: expected cpu, cuda, cuda:N or interp, or several but cpu: cuda:0,cuda:1")]
    Unknown(String),
    /// The CPU and other devices.
    #[error("the CPU does not share a model's layers with other devices: name cpu alone, or leave it out")]
    Cpu,
    /// A GPU has two places.
    #[error("GPU {0} is named twice: name each GPU once")]
    Twice(u16),
}

impl DeviceNames {
    /// Devices in the order of the layers that they have.
    ///
    /// # Errors
    /// If there is none, or they cannot run a model together.
    pub fn new(names: Vec<DeviceName>) -> Result<Self, ParseDevicesError> {
        if names.is_empty() {
            return Err(ParseDevicesError::Unknown(String::new()));
        }
        if names.len() > 1 && names.contains(&DeviceName::Cpu) {
            return Err(ParseDevicesError::Cpu);
        }
        for (i, name) in names.iter().enumerate() {
            if let DeviceName::Cuda(gpu) = *name
                && names[..i].contains(name)
            {
                return Err(ParseDevicesError::Twice(gpu));
            }
        }
        Ok(Self(names))
    }

    /// The devices; at least one.
    pub fn names(&self) -> &[DeviceName] {
        &self.0
    }

    /// Whether it is the CPU.
    pub fn is_cpu(&self) -> bool {
        self.0 == [DeviceName::Cpu]
    }

    /// Reads the devices at the beginning of a text, and returns the text after the colon that ends them.
    pub(crate) fn split(text: &str) -> Result<(Self, &str), ParseDevicesError> {
        let (mut names, mut rest) = (Vec::new(), text);
        loop {
            let word;
            (word, rest) = rest.split_at(rest.find([',', ':']).unwrap_or(rest.len()));
            let name = DeviceName::ALL.iter().find(|name| name.kind() == word);
            let mut name = *name.ok_or_else(|| ParseDevicesError::Unknown(word.to_owned()))?;
            if let (DeviceName::Cuda(_), Some((digits, after))) = (name, number(rest)) {
                let unknown = |_| ParseDevicesError::Unknown(format!("cuda:{digits}"));
                (name, rest) = (DeviceName::Cuda(digits.parse().map_err(unknown)?), after);
            }
            names.push(name);
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return Ok((Self::new(names)?, rest.strip_prefix(':').unwrap_or(rest))),
            }
        }
    }
}

/// The digits after a colon, up to the end of the device or of the text, and the rest.
fn number(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix(':')?;
    let (digits, rest) = digits.split_at(digits.find([',', ':']).unwrap_or(digits.len()));
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some((digits, rest))
}

impl From<DeviceName> for DeviceNames {
    fn from(name: DeviceName) -> Self {
        Self(vec![name])
    }
}

impl FromStr for DeviceNames {
    type Err = ParseDevicesError;
    fn from_str(text: &str) -> Result<Self, ParseDevicesError> {
        match Self::split(text)? {
            (names, "") if !text.ends_with(':') => Ok(names),
            _ => Err(ParseDevicesError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_in_order() {
        let read = |text: &str| text.parse::<DeviceNames>().map(|names| names.to_string());
        for text in ["cpu", "cuda", "interp", "cuda:1", "cuda,cuda:2", "interp,interp,cuda:3", "interp,cuda"] {
            assert_eq!(read(text), Ok(text.to_owned()));
        }
        assert_eq!(read("cuda:0,cuda:1"), Ok("cuda,cuda:1".into()));
        assert_eq!(read("cuda:0"), Ok("cuda".into()));
        let unknown = |word: &str| Err(ParseDevicesError::Unknown(word.to_owned()));
        for (text, word) in [
            ("", ""),
            ("gpu", "gpu"),
            ("cuda,", ""),
            ("cuda,,cuda:1", ""),
            ("interp:1", "interp:1"),
            ("cuda:", "cuda:"),
            ("cuda:one", "cuda:one"),
            ("cuda:70000", "cuda:70000"),
            ("cuda:0 ,cuda:1", "cuda:0 ,cuda:1"),
        ] {
            assert_eq!(read(text), unknown(word), "{text}");
        }
        assert_eq!(read("cpu,interp"), Err(ParseDevicesError::Cpu));
        assert_eq!(read("cpu,cpu"), Err(ParseDevicesError::Cpu));
        assert_eq!(read("cuda,interp,cuda:0"), Err(ParseDevicesError::Twice(0)));
    }
}
