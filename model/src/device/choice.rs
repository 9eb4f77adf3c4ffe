//! Which kernels multiply which tensors.

use super::LoadError;
use crate::gguf::TensorType;
use ptxgen_dsl::catalogue::{Role, kernel_for};

/// How a matrix is stored, as kernels are divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In superblocks; reads Q8_K activations under act = q8k.
    Quantized,
    /// In another type; reads f32 activations.
    Plain,
}

impl Kind {
    pub(super) fn of(ty: TensorType) -> Kind {
        if ty.reads_q8k() { Kind::Quantized } else { Kind::Plain }
    }
}

/// The kernel that does this with matrices of a type.
///
/// # Errors
/// If there is none; `tensor` names the matrix.
pub(super) fn kernel(role: Role, ty: TensorType, tensor: impl FnOnce() -> String) -> Result<&'static str, LoadError> {
    let expected = "a type that its kernels read";
    kernel_for(role, ty).map(|e| e.name).ok_or_else(|| LoadError::NoKernel { tensor: tensor(), ty, expected })
}

/// The kernels for matrices that read a norm.
pub(super) struct Reader {
    /// For one token, the norm with it.
    pub(super) normed: &'static str,
    /// For one token.
    pub(super) one: &'static str,
    /// For a pass.
    pub(super) pass: &'static str,
}

/// The kernels of three roles for one type, if there are all three.
fn reader(ty: TensorType, roles: [Role; 3]) -> Option<Reader> {
    let [normed, one, pass] = roles.map(|role| kernel_for(role, ty).map(|e| e.name));
    Some(Reader { normed: normed?, one: one?, pass: pass? })
}

/// Queries, keys and values in one launch, where there is such a kernel.
pub(super) fn merged_projections([q, k, v]: [TensorType; 3]) -> Option<Reader> {
    // The mix of Q4_K_M files.
    if (q, k, v) == (TensorType::Q4_K, TensorType::Q4_K, TensorType::Q6_K) {
        return Some(Reader { normed: "norm-qkv-q6k-v", one: "qkv-q6k-v", pass: "qkv-q6k-v" });
    }
    let alike = q == k && k == v;
    alike.then(|| reader(q, [Role::NormProjections, Role::Projections, Role::Projections])).flatten()
}

/// The kernels of the experts' gate and up projections together, where both have one type of superblocks.
pub(super) fn gate_up(gate: TensorType, up: TensorType) -> Option<Reader> {
    let roles = [Role::NormGateUp, Role::GateUp, Role::GroupedGateUp];
    (gate == up).then(|| reader(gate, roles)).flatten()
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
