//! The trained model that is part of the source.

use crate::gguf::{Gguf, GgufError};

/// The name of the bundled model in messages.
const NAME: &str = "tiny-rust-moe-Q4_K_M.gguf (bundled)";

/// The bundled model's file, aligned to 64 bytes; `None` in a package from a registry, which does not contain it (see
/// `model/data/README.md`).
fn bundled_bytes() -> Option<&'static [u8]> {
    #[cfg(bundled)]
    {
        #[repr(C, align(64))]
        struct Aligned<B: ?Sized>(B);
        static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/tiny-rust-moe-Q4_K_M.gguf"));
        Some(&MODEL.0)
    }
    #[cfg(not(bundled))]
    None
}

/// Opens the bundled model, in place: nothing is copied.
///
/// # Errors
/// If the built-in file is damaged.
pub fn bundled() -> Option<Result<Gguf, GgufError>> {
    bundled_bytes().map(|bytes| Gguf::from_static(NAME, bytes))
}

#[cfg(all(test, bundled))]
mod tests {
    use super::*;
    use crate::gguf::TensorType;

    #[test]
    fn bundled_model_opens_in_place() {
        let gguf = bundled().unwrap().unwrap();
        assert_eq!(gguf.version(), 3);
        assert_eq!(gguf.tensors().len(), 75);
        assert_eq!(gguf.metadata().str("general.architecture").unwrap(), "qwen3moe");
        assert_eq!(gguf.metadata().u32("qwen3moe.block_count").unwrap(), 6);
        let down = gguf.tensor("blk.2.ffn_down_exps.weight").unwrap();
        assert_eq!((down.dims, down.ty), (&[256, 256, 16][..], TensorType::Q6_K));
        assert_eq!(down.outer(15).rows(), 256);
        assert!(down.data.as_ptr().addr().is_multiple_of(32));
        let norm = gguf.tensor("output_norm.weight").unwrap().f32s().unwrap();
        assert!(matches!(norm, std::borrow::Cow::Borrowed(w) if w.len() == 256));
    }

    #[test]
    fn bundled_model_is_a_qwen3_moe() {
        let gguf = bundled().unwrap().unwrap();
        let config = crate::ModelConfig::from_gguf(&gguf).unwrap();
        assert_eq!(config, crate::synth::Preset::Tiny.config());
        assert_eq!(config.kv_bytes_per_token(4), 6 * 2 * 128 * 4);
    }
}
