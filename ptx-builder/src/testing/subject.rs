//! The subject of a test.

use std::borrow::Cow;

use crate::build::{AnyKernel, ArgInfo, Args, Kernel};
use crate::ir;
use crate::print::{PrintOptions, print};
use crate::target::Target;
use crate::verify::{Validated, VerifyErrors};

/// The target for which tests verify a kernel; verify it yourself for another target.
pub const TARGET: Target = Target::SM_90;

/// A verified module, or a kernel, which is verified for [`TARGET`].
pub trait Subject {
    /// The verified module.
    ///
    /// # Errors
    /// Everything that is wrong with the kernel, each with its line in the source.
    fn validated(&self) -> Result<Cow<'_, Validated>, VerifyErrors>;

    /// The types of the parameters, if the subject knows more than its module.
    fn args(&self) -> Option<&[ArgInfo]>;
}

impl Subject for Validated {
    fn validated(&self) -> Result<Cow<'_, Validated>, VerifyErrors> {
        Ok(Cow::Borrowed(self))
    }

    fn args(&self) -> Option<&[ArgInfo]> {
        None
    }
}

impl<A: Args> Subject for Kernel<A> {
    fn validated(&self) -> Result<Cow<'_, Validated>, VerifyErrors> {
        self.verify(TARGET).map(Cow::Owned)
    }

    fn args(&self) -> Option<&[ArgInfo]> {
        Some(A::INFO)
    }
}

impl Subject for AnyKernel {
    fn validated(&self) -> Result<Cow<'_, Validated>, VerifyErrors> {
        self.verify(TARGET).map(Cow::Owned)
    }

    fn args(&self) -> Option<&[ArgInfo]> {
        Some(AnyKernel::args(self))
    }
}

/// The PTX of a kernel or module, as [`print`] writes it without line information.
///
/// # Panics
/// If the kernel does not verify; the message has the reasons and lines.
#[track_caller]
pub fn ptx(subject: &impl Subject) -> String {
    match subject.validated() {
        Ok(module) => print(&module, &PrintOptions::default()),
        Err(errors) => panic!("{errors}"),
    }
}

/// The only kernel of a module, or the one with this name, by its index; or the existing names.
pub(super) fn find_kernel(module: &Validated, name: Option<&str>) -> Result<usize, Vec<String>> {
    let kernels = &module.module().kernels;
    let found = match name {
        Some(name) => kernels.iter().position(|k| k.name == name),
        None => (kernels.len() == 1).then_some(0),
    };
    found.ok_or_else(|| kernels.iter().map(|k| k.name.clone()).collect())
}

/// A parameter's name in the source: the builder adds the kernel's name as prefix.
pub(super) fn short_name<'a>(kernel: &ir::Kernel, param: &'a ir::Param) -> &'a str {
    kernel.short_name(param)
}
