//! Models in several files: `NAME-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.

use super::{
    error::{GgufError, GgufErrorKind},
    open_part,
    parse::{Header, Split},
    storage::Storage,
};
use std::{path::Path, sync::Arc};

/// Reads the other parts of a model of which one is open: the first part's metadata, and the tensors of all parts.
/// Errors name the part.
pub(super) fn join(
    path: &Path,
    (file, storage, header): (&Arc<str>, Storage, Header),
    split: Split,
) -> Result<(Vec<Storage>, Header), GgufError> {
    let count = u64::from(split.count);
    let unnamed = || GgufError::new(file, GgufErrorKind::Split { count });
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
    let ending = |no: u32| format!("-{:05}-of-{:05}.gguf", u64::from(no) + 1, split.count);
    let stem = name.strip_suffix(&ending(split.no)).ok_or_else(unnamed)?;

    let mut own = Some((storage, header));
    let (mut storages, mut whole): (Vec<Storage>, Option<Header>) = (Vec::new(), None);
    for no in 0..split.count {
        let (name, storage, header) = match own.take() {
            Some((storage, header)) if no == split.no => (file.clone(), storage, header),
            other => {
                own = other;
                open_part(&path.with_file_name(format!("{stem}{}", ending(no))))?
            }
        };
        let found = header.split()?;
        if found != Some(Split { no, count: split.count }) {
            let of = |s: Split| format!("{} of {}", u64::from(s.no) + 1, s.count);
            let (found, expected) = (found.map_or("of no split model".into(), of), of(Split { no, ..split }));
            return Err(GgufError::new(&name, GgufErrorKind::Part { found, expected }));
        }
        let part = storages.len();
        storages.push(storage);
        match &mut whole {
            None => whole = Some(header),
            Some(whole) => {
                for (tensor, mut info) in header.tensors {
                    info.part = part;
                    if whole.tensors.contains_key(&tensor) {
                        let tensor = tensor.into();
                        return Err(GgufError::new(&name, GgufErrorKind::DuplicateTensor { tensor }));
                    }
                    whole.tensors.insert(tensor, info);
                }
            }
        }
    }
    let whole = whole.ok_or_else(unnamed)?;
    let (found, expected) = (whole.tensors.len(), whole.metadata.opt_u32("split.tensors.count")?.map(u64::from));
    match expected.filter(|expected| *expected != found as u64) {
        None => Ok((storages, whole)),
        Some(expected) => Err(GgufError::new(file, GgufErrorKind::PartTensors { found, count, expected })),
    }
}
