//! A model on any of the devices.

use crate::{
    Engine,
    batch::{BatchRoom, BatchSession},
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions, Progress},
    device_name::{DeviceName, DeviceNames, ParseDevicesError},
    gguf::Gguf,
    kv::{KvType, ParseKvError},
    load_error::LoadError,
};
use ptxgen_dsl::precision::{ParsePolicyError, Policy};
use ptxgen_runtime::Device;
use std::{fmt, path::PathBuf, str::FromStr};

/// Devices and policy of a run: `cpu:act=f32,acc=f64,kv=f16`, `cuda:0,cuda:1:act=q8k`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSpec {
    /// The devices.
    pub devices: DeviceNames,
    /// The numeric policy.
    pub policy: Policy,
    /// Type of the KV cache.
    pub kv: KvType,
    /// Threads of the CPU; `None` means one per core. Not part of the text.
    pub threads: Option<usize>,
}

/// A text that does not describe a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRunError {
    /// The word before the colon is not a device.
    #[error("unknown device `{0}`: expected cpu, cuda or interp, as in `cpu:act=q8k,acc=f32`, or a trace's file")]
    Device(String),
    /// The devices cannot run a model together.
    #[error(transparent)]
    Devices(ParseDevicesError),
    /// A part of the policy.
    #[error(transparent)]
    Policy(#[from] ParsePolicyError),
    /// The cache's type.
    #[error(transparent)]
    Kv(#[from] ParseKvError),
}

impl FromStr for RunSpec {
    type Err = ParseRunError;
    fn from_str(s: &str) -> Result<Self, ParseRunError> {
        let (devices, rest) = DeviceNames::split(s).map_err(|e| match e {
            ParseDevicesError::Unknown(device) => ParseRunError::Device(device),
            other => ParseRunError::Devices(other),
        })?;
        let mut kv = KvType::default();
        let mut policy = Vec::new();
        for part in rest.split(',') {
            match part.strip_prefix("kv=") {
                Some(ty) => kv = ty.parse()?,
                None => policy.push(part),
            }
        }
        Ok(Self { devices, policy: policy.join(",").parse()?, kv, threads: None })
    }
}

impl fmt::Display for RunSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{},kv={}", self.devices, self.policy, self.kv)
    }
}

/// A run, or the trace of one: the value of `--left` and `--right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SideSpec {
    /// `DEVICE` or `DEVICE:act=..,acc=..`.
    Run(RunSpec),
    /// A name with an extension that is not a device.
    File(PathBuf),
}

impl FromStr for SideSpec {
    type Err = ParseRunError;
    fn from_str(s: &str) -> Result<Self, ParseRunError> {
        match s.parse() {
            Ok(run) => Ok(Self::Run(run)),
            Err(ParseRunError::Device(_)) if std::path::Path::new(s).extension().is_some() => Ok(Self::File(s.into())),
            Err(e) => Err(e),
        }
    }
}

/// A model on its device.
#[derive(Debug)]
pub enum LoadedModel<'g> {
    /// On the CPU.
    Cpu(Box<CpuModel<'g>>),
    /// On GPUs, or in the interpreter.
    Device(Box<DeviceModel>),
}

impl<'g> LoadedModel<'g> {
    /// Loads a model, for a session of `capacity` positions; `progress` is called for weights that are copied to a
    /// device.
    ///
    /// # Errors
    /// If there is no such device, or it cannot run the model.
    pub fn load(
        gguf: &'g Gguf,
        run: RunSpec,
        capacity: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        Ok(Self::load_fitting(gguf, run, &mut |_| capacity, progress)?.0)
    }

    /// As [`load`](Self::load), for a session whose capacity `choose` determines from the number of positions that fit
    /// into free memory. Returns the model and the capacity.
    ///
    /// # Errors
    /// If there is no such device, or it cannot run the model.
    pub fn load_fitting(
        gguf: &'g Gguf,
        run: RunSpec,
        choose: &mut dyn FnMut(&dyn Fn() -> usize) -> usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Self, usize), LoadError> {
        let RunSpec { devices, policy, kv, threads } = run;
        if devices.is_cpu() {
            let options = CpuOptions { policy, kv, threads, simd: None };
            let model = CpuModel::load(gguf, options)?;
            let capacity = choose(&|| model.fitting(gguf));
            return Ok((Self::Cpu(Box::new(model)), capacity));
        }
        let devices = devices.names().iter().filter_map(|name| match *name {
            DeviceName::Cpu => None,
            DeviceName::Cuda(gpu) => Some(Device::cuda(gpu.into()).map_err(LoadError::NoDevice)),
            DeviceName::Interp => Some(Ok(Device::interp())),
        });
        let devices = devices.collect::<Result<Vec<_>, _>>()?;
        let options = DeviceOptions { policy, kv, ..DeviceOptions::default() };
        // An error here also prevents loading the model, which reports it.
        let capacity = choose(&|| DeviceModel::fitting(&devices, gguf, options).unwrap_or(0));
        let model = DeviceModel::load_on(&devices, gguf, options, capacity, progress)?;
        Ok((Self::Device(Box::new(model)), capacity))
    }

    /// An empty sequence for `capacity` tokens.
    ///
    /// # Errors
    /// If that exceeds the model's context, or there is not enough memory.
    pub fn session(&self, capacity: usize) -> Result<Box<dyn Engine + '_>, LoadError> {
        Ok(match self {
            Self::Cpu(model) => Box::new(model.new_session(capacity)?),
            Self::Device(model) => Box::new(model.new_session(capacity)?),
        })
    }

    /// Pages of a batch's cache that fit into free memory next to the model and the rest of such a batch.
    ///
    /// # Errors
    /// If the device does not report free memory, or there is no kernel for a part of the model.
    pub fn fitting_pages(&self, gguf: &Gguf, room: BatchRoom) -> Result<usize, LoadError> {
        match self {
            Self::Cpu(model) => Ok(model.fitting_pages(gguf)),
            Self::Device(model) => model.fitting_pages(room),
        }
    }

    /// An empty batch with this capacity.
    ///
    /// # Errors
    /// If a sequence may have more positions than the model's context, or there is not enough memory.
    pub fn batch(&self, room: BatchRoom) -> Result<BatchSession<'_>, LoadError> {
        match self {
            Self::Cpu(model) => model.new_batch(room),
            Self::Device(model) => model.new_batch(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen_dsl::precision::{Acc, Act};

    #[test]
    fn ways_to_run_are_read() {
        let run: RunSpec = "interp:act=q8k,kv=f16,acc=f64".parse().unwrap();
        assert_eq!(run.to_string(), "interp:act=q8k,acc=f64,kv=f16");
        assert_eq!(
            (run.devices, run.policy, run.kv),
            (DeviceName::Interp.into(), Policy::new(Act::Q8K, Acc::F64), KvType::F16)
        );
        for (text, devices) in
            [("cuda:0,cuda:1:act=q8k,kv=f16", "cuda,cuda:1"), ("interp,interp:kv=f16,act=q8k", "interp,interp")]
        {
            let run: RunSpec = text.parse().unwrap();
            assert_eq!(run.to_string(), format!("{devices}:act=q8k,acc=f32,kv=f16"));
            assert_eq!(run.to_string().parse(), Ok(run));
        }
        assert_eq!("cpu".parse::<RunSpec>().unwrap().to_string(), "cpu:act=f32,acc=f32,kv=f32");
        let wrong = |s: &str| s.parse::<RunSpec>().unwrap_err().to_string();
        assert_eq!(
            wrong("gpu:"),
            "unknown device `gpu`: expected cpu, cuda or interp, as in `cpu:act=q8k,acc=f32`, or a trace's file"
        );
        assert!(wrong("cuda,cuda:act=q8k").starts_with("GPU 0 is named twice"));
        assert!(wrong("interp,act=q8k").starts_with("unknown device `act=q8k`"));
        assert_eq!("a/b.safetensors".parse(), Ok(SideSpec::File("a/b.safetensors".into())));
        assert!(matches!("cpu:acc=f64".parse(), Ok(SideSpec::Run(_))));
        assert!("cpu.x:acc=f6".parse::<SideSpec>().is_ok() && "cpu:acc=f6".parse::<SideSpec>().is_err());
        assert_eq!(wrong("cpu:act=q4"), "unknown act `q4`: expected f32 or q8k");
        assert_eq!(wrong("cpu:kv=f8"), "unknown KV cache type `f8`: expected f32 or f16");
        assert!(wrong("cpu:f64").starts_with("unknown policy `f64`"));
    }
}
