//! Submits launches to a stream or a graph.

use std::ffi::c_void;
use std::ptr;

use cudarc::driver::sys::{self, CUfunction, CUgraphExec, CUstream};
use smallvec::SmallVec;

use super::context::{Context, recording};
use super::{Cuda, CudaVersion, not_launched, raw};
use crate::backend::RawLaunch;
use crate::error::{DeviceError, LaunchError};

impl Cuda {
    /// Whether launches may overlap with the previous one: programmatic dependent launch exists since sm_90, and in
    /// captured graphs since CUDA 12.3.
    fn overlaps(&self, in_graph: bool) -> bool {
        self.context.gpu.sm >= 90 && (!in_graph || self.cuda >= CudaVersion(12030))
    }

    /// Submits a launch to a stream (or to the graph that the stream records).
    pub(super) fn submit(&self, stream: CUstream, launch: &RawLaunch, in_graph: bool) -> Result<(), DeviceError> {
        let mut attribute = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
        };
        let overlaps = launch.waits_itself && self.overlaps(in_graph);
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        let config = sys::CUlaunchConfig {
            gridDimX: gx,
            gridDimY: gy,
            gridDimZ: gz,
            blockDimX: bx,
            blockDimY: by,
            blockDimZ: bz,
            sharedMemBytes: launch.dynamic_shared,
            hStream: stream,
            attrs: &mut attribute,
            numAttrs: u32::from(overlaps),
        };
        let pointers = launch.params.iter().map(|p| p.as_ptr().cast_mut().cast::<c_void>());
        let mut pointers: SmallVec<[*mut c_void; 16]> = pointers.collect();
        let function: CUfunction = raw(launch.function);
        // SAFETY: the function is loaded. There is a pointer for each of its parameters, to as many bytes as it has
        // (checked when the call was bound). The driver copies them, the configuration and its attribute before it
        // returns. The kernel checks its memory accesses, or the caller of an `unsafe` function that bound or loaded it
        // promises that they are in bounds. That memory is kept until all pending work has ended (`Context::release`).
        let result = unsafe { sys::cuLaunchKernelEx(&config, function, pointers.as_mut_ptr(), ptr::null_mut()) };
        self.context.check("cuLaunchKernelEx", result).map_err(|e| not_launched(e, &launch.kernel))
    }

    /// Checks dynamic shared memory against what the kernel's static shared memory leaves.
    pub(super) fn check_shared(&self, launch: &RawLaunch) -> Result<(), DeviceError> {
        if launch.dynamic_shared == 0 {
            return Ok(());
        }
        let need = u64::from(static_shared(&self.context, raw(launch.function))?) + u64::from(launch.dynamic_shared);
        let most = u64::from(self.context.gpu.shared);
        if need > most {
            return Err(LaunchError::Shared { kernel: launch.kernel.to_string(), need, most }.into());
        }
        Ok(())
    }

    /// Records launches by capturing a separate stream.
    pub(super) fn capture(&self, launches: &[RawLaunch]) -> Result<CUgraphExec, DeviceError> {
        let stream = new_stream(&self.context)?;
        let recorded = self.record(stream, launches);
        // SAFETY: created above, destroyed once; its capture has ended, and nothing runs in it.
        let _ = unsafe { sys::cuStreamDestroy_v2(stream) };
        let graph = recorded?;
        let mut exec = ptr::null_mut();
        // SAFETY: the graph is whole; writes one pointer.
        let result = unsafe { sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0) };
        // SAFETY: created by the capture, destroyed once; the instantiated graph is a copy.
        let _ = unsafe { sys::cuGraphDestroy(graph) };
        self.context.check("cuGraphInstantiateWithFlags", result)?;
        Ok(exec)
    }

    fn record(&self, stream: CUstream, launches: &[RawLaunch]) -> Result<sys::CUgraph, DeviceError> {
        // The other modes invalidate the capture if calls that wait for the device occur in the meantime, and
        // compute-sanitizer makes such calls itself. Here only launches follow, so their protection is not needed.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        let _recording = recording();
        // SAFETY: the stream is ours, and only the launches below go to it.
        self.context.check("cuStreamBeginCapture", unsafe { sys::cuStreamBeginCapture_v2(stream, mode) })?;
        let submitted = launches.iter().try_for_each(|launch| self.submit(stream, launch, true));
        let mut graph = ptr::null_mut();
        // SAFETY: capturing since above; writes one pointer.
        let ended = unsafe { sys::cuStreamEndCapture(stream, &mut graph) };
        let recorded = submitted.and_then(|()| self.context.check("cuStreamEndCapture", ended));
        if recorded.is_err() && !graph.is_null() {
            // SAFETY: created by the capture, destroyed once.
            let _ = unsafe { sys::cuGraphDestroy(graph) };
        }
        recorded.map(|()| graph)
    }
}

/// A stream that does not synchronize with others.
pub(super) fn new_stream(context: &Context) -> Result<CUstream, DeviceError> {
    let mut stream = ptr::null_mut();
    let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
    // SAFETY: writes one pointer.
    context.check("cuStreamCreate", unsafe { sys::cuStreamCreate(&mut stream, flags) })?;
    Ok(stream)
}

/// Bytes of static shared memory of a kernel.
pub(super) fn static_shared(context: &Context, function: CUfunction) -> Result<u32, DeviceError> {
    let mut bytes = 0;
    let which = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
    context.enter()?;
    // SAFETY: the function is loaded; writes one integer.
    context.check("cuFuncGetAttribute", unsafe { sys::cuFuncGetAttribute(&mut bytes, which, function) })?;
    Ok(u32::try_from(bytes).unwrap_or(0))
}
