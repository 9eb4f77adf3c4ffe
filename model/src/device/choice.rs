//! The choice of kernels for products with tensors.

use super::LoadError;
use crate::gguf::TensorType;
use ptxgen_dsl::catalogue::{KernelId, Role};

/// The storage of a matrix, as kernels distinguish it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In superblocks; uses Q8_K activations under act = q8k.
    Quantized,
    /// In another type; uses f32 activations.
    Plain,
}

impl Kind {
    pub(super) fn of(ty: TensorType) -> Kind {
        if ty.reads_q8k() { Kind::Quantized } else { Kind::Plain }
    }
}

/// The kernel with this role for matrices of a type.
///
/// # Errors
/// If there is none; `tensor` names the matrix.
pub(super) fn kernel(role: Role, ty: TensorType, tensor: impl FnOnce() -> String) -> Result<KernelId, LoadError> {
    let expected = "a type that its kernels read";
    known(KernelId::Matrix(role, ty)).ok_or_else(|| LoadError::NoKernel { tensor: tensor(), ty, expected })
}

/// The kernel, if it is in the catalogue.
fn known(id: KernelId) -> Option<KernelId> {
    id.entry().map(|_| id)
}

/// The kernels for matrices whose input is a norm.
pub(super) struct Reader {
    /// For one token, fused with the norm.
    pub(super) normed: KernelId,
    /// For one token.
    pub(super) one: KernelId,
    /// For a pass.
    pub(super) pass: KernelId,
}

/// Queries, keys and values in one launch, if there is such a kernel.
pub(super) fn merged_projections([q, k, v]: [TensorType; 3]) -> Option<Reader> {
    let of = |normed| (q == k).then_some(KernelId::Projections { normed, qk: q, v }).and_then(known);
    let (normed, one) = (of(true)?, of(false)?);
    Some(Reader { normed, one, pass: one })
}

/// The fused kernels of the experts' gate and up projections, if both have the same superblock type.
pub(super) fn gate_up(gate: TensorType, up: TensorType) -> Option<Reader> {
    let of = |role| (gate == up).then_some(KernelId::Matrix(role, gate)).and_then(known);
    Some(Reader { normed: of(Role::NormGateUp)?, one: of(Role::GateUp)?, pass: of(Role::GroupedGateUp)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_kernels_for_every_role_of_a_matrix() {
        use Role::{
            DownAdded, Embedding, Experts, ExpertsDown, GroupedDown, GroupedExperts, Product, ProductAdded,
            RoutedDownAdded,
        };
        for ty in TensorType::ALL {
            let own: &[Role] = match Kind::of(ty) {
                Kind::Quantized => &[DownAdded, RoutedDownAdded, GroupedDown, GroupedExperts],
                Kind::Plain => &[Experts, ExpertsDown],
            };
            for role in [Product, ProductAdded, Embedding].iter().chain(own) {
                assert!(kernel(*role, ty, String::new).is_ok(), "{ty} {role:?}");
            }
            let quantized = Kind::of(ty) == Kind::Quantized;
            assert_eq!(
                (gate_up(ty, ty).is_some(), merged_projections([ty; 3]).is_some()),
                (quantized, quantized),
                "{ty}"
            );
        }
    }

    #[test]
    fn a_role_that_no_kernel_has_is_an_error_that_names_the_tensor() {
        let error = kernel(Role::Experts, TensorType::Q4_K, || "blk.0.ffn_up_exps.weight".into()).unwrap_err();
        assert!(error.to_string().starts_with("no kernel takes tensor 'blk.0.ffn_up_exps.weight' as Q4_K"), "{error}");
    }
}
