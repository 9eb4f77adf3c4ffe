//! Checked launches: the additional parameters of a guarded kernel, and its reports.

use std::fmt;
use std::sync::Arc;

use ptxgen_builder::build::ArgInfo;
use ptxgen_builder::guard::{GuardedKernel, Object, RECORD_BYTES, Record, Violation, Wrong};
use ptxgen_builder::interp::{Finding, FindingKind, Report};
use ptxgen_builder::ir::{Kernel, Module, Symbol};
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::Validated;
use smallvec::SmallVec;

use crate::element::ParamBytes;
use crate::error::{AccessError, DeviceError};

/// Memory to which a device writes a [`Record`] and which the host reads. It is freed on drop, which must not happen
/// before the launches that may write it have ended.
pub(crate) trait Slot: Send + Sync + fmt::Debug {
    /// Its address on the device.
    fn address(&self) -> u64;
    /// The current contents.
    fn words(&self) -> [u32; RECORD_BYTES / 4];
    /// Resets it to zeros.
    fn clear(&self);
}

/// The data that a call needs to check its launches.
#[derive(Debug)]
pub(crate) struct Watch {
    slot: Box<dyn Slot>,
    guarded: Arc<GuardedKernel>,
    /// The unmodified module, and the index of this kernel in it.
    module: Arc<Validated>,
    index: usize,
    /// Bytes of each parameter's buffer; 0 if the parameter is not a buffer.
    lengths: SmallVec<[u64; 8]>,
    elements: SmallVec<[Option<ScalarType>; 8]>,
    dynamic_shared: u32,
}

impl Watch {
    pub(crate) fn new(
        slot: Box<dyn Slot>,
        guarded: &Arc<GuardedKernel>,
        module: &Arc<Validated>,
        index: usize,
        lengths: SmallVec<[u64; 8]>,
        infos: impl Iterator<Item = Option<ArgInfo>>,
        dynamic_shared: u32,
    ) -> Watch {
        let element = |info| match info {
            Some(ArgInfo::Buffer { ty, .. }) => Some(ty),
            _ => None,
        };
        let (guarded, module, elements) = (guarded.clone(), module.clone(), infos.map(element).collect());
        Watch { slot, guarded, module, index, lengths, elements, dynamic_shared }
    }

    /// The parameters after the kernel's own.
    pub(crate) fn extras(&self) -> impl Iterator<Item = ParamBytes> {
        self.guarded.extras.iter().map(|extra| {
            let value = extra.value(self.slot.address(), |object| self.length(object));
            ParamBytes::from_slice(&value.to_le_bytes()[..extra.bytes()])
        })
    }

    fn length(&self, object: Object) -> u64 {
        match object {
            Object::Buffer(i) => self.lengths.get(i as usize).copied().unwrap_or(0),
            Object::Array(_) | Object::Dynamic => self.dynamic_shared.into(),
        }
    }

    /// The first violation, if there was one; reported only once.
    pub(crate) fn take(&self) -> Option<AccessError> {
        let record = Record::read(&self.slot.words())?;
        self.slot.clear();
        let module = self.module.module();
        let kernel = &module.kernels[self.index];
        let violation = self.guarded.explain(&record, |object| self.length(object));
        let (what, instruction, loc) = match &violation {
            Some(v) => (self.describe(module, kernel, v), v.text.clone(), v.loc.clone()),
            // The kernel has written to memory that it does not own, so no details are reliable.
            None => ("made an access outside of its buffers".to_owned(), String::new(), kernel.loc.clone()),
        };
        let (kernel, block, thread) = (kernel.name.clone(), record.block, record.thread);
        Some(AccessError { kernel, what, block, thread, instruction, loc, finding: None })
    }

    /// `reads x[20] of 20`.
    fn describe(&self, module: &Module, kernel: &Kernel, v: &Violation) -> String {
        let touches = v.touch;
        let Some(object) = v.object else {
            let names = (0..kernel.params.len()).filter(|&i| self.lengths[i] > 0).map(|i| name(kernel, i));
            let names: Vec<&str> = names.collect();
            return format!("{touches} memory outside of all of its buffers ({})", names.join(", "));
        };
        let variable = |symbol: Symbol| match symbol {
            Symbol::Kernel(i) => kernel.variables.get(i as usize),
            Symbol::Module(i) => module.variables.get(i as usize),
            Symbol::Param(_) => None,
        };
        let (name, element, length) = match object {
            Object::Buffer(i) => {
                let i = i as usize;
                let element = self.elements.get(i).copied().flatten().map_or(v.element, ScalarType::bytes);
                (name(kernel, i), element, self.length(object))
            }
            Object::Array(symbol) => match variable(symbol) {
                Some(v) => (v.name.as_str(), v.ty.bytes(), v.bytes().unwrap_or(0)),
                None => ("an array", v.element, 0),
            },
            Object::Dynamic => ("dynamic shared memory", v.element, self.dynamic_shared.into()),
        };
        let what = v.describe(name, element, length);
        match v.wrong {
            Wrong::Misaligned => format!("{touches} {what}, at an address that is not a multiple of the access's size"),
            Wrong::BulkSize => format!("{touches} {what}, with a bulk copy of {} bytes, not a multiple of 16", v.bytes),
            _ => format!("{touches} {what}"),
        }
    }
}

/// A parameter's name in the source.
fn name(kernel: &Kernel, param: usize) -> &str {
    let full = kernel.params.get(param).map_or("", |p| p.name.as_str());
    full.strip_prefix(kernel.name.as_str()).and_then(|rest| rest.strip_prefix('_')).unwrap_or(full)
}

/// What the interpreter found of this kind, in the words of checked launches.
fn outside(finding: &Finding, block: [u32; 3]) -> Option<AccessError> {
    let what = match finding.kind {
        FindingKind::OutOfBounds => "made an access outside of its buffers and arrays",
        FindingKind::Misaligned => "made an access at an address that is not a multiple of its size",
        _ => return None,
    };
    let lane = finding.lanes.trailing_zeros().min(31);
    let number = finding.warp * 32 + lane;
    let [x, y] = [block[0].max(1), block[1].max(1)];
    Some(AccessError {
        kernel: finding.kernel.clone(),
        what: what.to_owned(),
        block: finding.block,
        thread: [number % x, number / x % y, number / x / y],
        instruction: finding.site.text.clone(),
        loc: finding.site.loc.clone(),
        finding: Some(Box::new(finding.clone())),
    })
}

/// Findings are errors on this device; an access outside is what it is on a GPU, if it is all that was found.
pub(crate) fn clean(report: Report, block: [u32; 3]) -> Result<(), DeviceError> {
    if report.is_clean() {
        return Ok(());
    }
    let access = match &report.findings[..] {
        [only] => outside(only, block),
        _ => None,
    };
    Err(match access {
        Some(access) => DeviceError::Access(Box::new(access)),
        None => DeviceError::Findings(Box::new(report)),
    })
}
