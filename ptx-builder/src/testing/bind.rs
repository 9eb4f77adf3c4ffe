//! Matches named inputs with a kernel's parameters.

use thiserror::Error;

use super::element::{self, Element};
use super::subject::short_name;
use crate::build::{ArgInfo, Scalar};
use crate::ir::{Kernel, Param};
use crate::parse::suggest::nearest;
use crate::types::{Kind, ScalarType};

/// A name or a type that does not match the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// No such kernel, or several and no name.
    #[error("{}; it has {}", match .name {
        Some(name) => format!("the module has no kernel `{name}`"),
        None => "the module has not one kernel, so name one with `kernel`".to_owned(),
    }, .known.join(", "))]
    Kernel {
        /// The requested name.
        name: Option<String>,
        /// The existing names.
        known: Vec<String>,
    },
    /// No such parameter.
    #[error("kernel `{kernel}` has no parameter `{name}`; it has {}{}", .known.join(", "), match .nearest {
        Some(nearest) => format!(" (did you mean `{nearest}`?)"),
        None => String::new(),
    })]
    Unknown {
        /// The kernel.
        kernel: String,
        /// The requested name.
        name: String,
        /// The existing names.
        known: Vec<String>,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// Parameters without a value.
    #[error("kernel `{kernel}` lacks {}", .missing.join(" and "))]
    Missing {
        /// The kernel.
        kernel: String,
        /// Each with its type and the method that sets it.
        missing: Vec<String>,
    },
    /// Two values for a parameter.
    #[error("parameter `{name}` of kernel `{kernel}` is given twice")]
    Twice {
        /// The kernel.
        kernel: String,
        /// The parameter.
        name: String,
    },
    /// A value of another type, or in another direction.
    #[error("parameter `{name}` of kernel `{kernel}` is {expected}, and got {got}")]
    Type {
        /// The kernel.
        kernel: String,
        /// The parameter.
        name: String,
        /// Its type, and the method that sets it.
        expected: String,
        /// The type that was passed.
        got: String,
    },
}

/// A test's value for a parameter.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub name: String,
    pub ty: ScalarType,
    pub value: Value,
}

/// The value itself, as bytes.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Vec<u8>),
    In(Vec<u8>),
    /// Uninitialized bytes.
    Out(u64),
    InOut(Vec<u8>),
}

impl Given {
    pub fn scalar<T: Element>(name: &str, value: T) -> Given {
        Given { name: name.to_owned(), ty: T::TY, value: Value::Scalar(element::to_bytes(&[value])) }
    }

    pub fn buffer<T: Scalar>(name: &str, value: Value) -> Given {
        Given { name: name.to_owned(), ty: T::TY, value }
    }

    /// Its text in messages.
    fn described(&self) -> String {
        let ty = rust_name(self.ty);
        match &self.value {
            Value::Scalar(_) => format!("the number `scalar(.., {ty})`"),
            Value::In(_) => format!("`input` of {ty}"),
            Value::Out(_) => format!("`output` of {ty}"),
            Value::InOut(_) => format!("`inout` of {ty}"),
        }
    }
}

/// What is known about a parameter's type.
enum Known {
    Scalar(ScalarType),
    /// With the elements' type, and whether the kernel reads and writes them, if the builder knows.
    Buffer(Option<(ScalarType, bool, bool)>),
    /// An array by value, which is more than a number.
    Array,
}

fn known(param: &Param, info: Option<ArgInfo>) -> Known {
    match info {
        Some(ArgInfo::Scalar(ty)) => Known::Scalar(ty),
        Some(ArgInfo::Buffer { ty, reads, writes, .. }) => Known::Buffer(Some((ty, reads, writes))),
        None if param.len.is_some() => Known::Array,
        None if param.pointer.is_some() => Known::Buffer(None),
        None => Known::Scalar(param.ty),
    }
}

impl Known {
    fn described(&self) -> String {
        match self {
            Known::Scalar(ty) => format!("a number, `scalar(.., {})`", rust_name(*ty)),
            Known::Buffer(None) => "a buffer, `input`, `output` or `inout`".to_owned(),
            Known::Buffer(Some((ty, reads, writes))) => match (reads, writes) {
                (_, false) => format!("read, `input` of {}", rust_name(*ty)),
                (false, true) => format!("written, `output` of {}", rust_name(*ty)),
                (true, true) => format!("read and written, `inout` of {}", rust_name(*ty)),
            },
            Known::Array => "an array by value, for which this harness has no method".to_owned(),
        }
    }

    fn takes(&self, given: &Given) -> bool {
        match (self, &given.value) {
            // Other compilers pass a pointer as a 64-bit number.
            (Known::Scalar(ty), Value::Scalar(_)) => same_number(*ty, given.ty),
            (Known::Scalar(ty), _) => ty.bits() == 64 && ty.kind() != Kind::Float,
            (Known::Buffer(None), Value::Scalar(_)) | (Known::Array, _) => false,
            (Known::Buffer(None), _) => true,
            (Known::Buffer(Some((ty, reads, writes))), value) => {
                let direction = match value {
                    Value::Scalar(_) => false,
                    Value::In(_) => *reads && !*writes,
                    Value::Out(_) => !*reads && *writes,
                    Value::InOut(_) => *writes,
                };
                // A buffer of any type can be passed as bytes.
                direction && (*ty == given.ty || given.ty == ScalarType::U8)
            }
        }
    }
}

/// PTX of other compilers also passes numbers as untyped bits.
fn same_number(declared: ScalarType, given: ScalarType) -> bool {
    declared == given || declared.kind() == Kind::Bits && declared.bits() == given.bits()
}

pub(super) fn rust_name(ty: ScalarType) -> String {
    match ty.kind() {
        Kind::Signed => format!("i{}", ty.bits()),
        _ => ty.to_string(),
    }
}

/// The error for a parameter that does not exist.
pub(super) fn unknown(kernel: &Kernel, name: &str) -> BindError {
    let known: Vec<String> = kernel.params.iter().map(|p| short_name(kernel, p).to_owned()).collect();
    // A replaced single letter is not a typing error.
    let nearest = nearest(name, known.iter().map(String::as_str)).filter(|n| n.len() > 1);
    BindError::Unknown { kernel: kernel.name.clone(), name: name.to_owned(), known, nearest }
}

/// The values of the parameters, in their order.
pub(super) fn bind<'g>(
    kernel: &Kernel,
    args: Option<&[ArgInfo]>,
    given: &'g [Given],
) -> Result<Vec<&'g Given>, BindError> {
    let name_of = |p: &Param| short_name(kernel, p).to_owned();
    let mut bound: Vec<Option<&Given>> = vec![None; kernel.params.len()];
    for g in given {
        let index = kernel.params.iter().position(|p| short_name(kernel, p) == g.name || p.name == g.name);
        let index = index.ok_or_else(|| unknown(kernel, &g.name))?;
        let param = &kernel.params[index];
        let known = known(param, args.and_then(|a| a.get(index)).copied());
        if !known.takes(g) {
            let (kernel, name) = (kernel.name.clone(), name_of(param));
            return Err(BindError::Type { kernel, name, expected: known.described(), got: g.described() });
        }
        if bound[index].replace(g).is_some() {
            return Err(BindError::Twice { kernel: kernel.name.clone(), name: name_of(param) });
        }
    }
    let missing: Vec<String> = (0..)
        .zip(&kernel.params)
        .zip(&bound)
        .filter(|(_, b)| b.is_none())
        .map(|((i, p), _)| {
            let info = args.and_then(|a: &[ArgInfo]| a.get(i as usize)).copied();
            format!("`{}` ({})", name_of(p), known(p, info).described())
        })
        .collect();
    if missing.is_empty() {
        Ok(bound.into_iter().flatten().collect())
    } else {
        Err(BindError::Missing { kernel: kernel.name.clone(), missing })
    }
}
