//! `moe-group`: which tokens of a pass each expert has.

use ptxgen_builder::build::{In, Out};

use super::Experts;
use super::error::CatalogueError;
use super::limits::check_tokens;
use super::stage::{Resources, Stage};
use crate::device::{expert_pairs, pass};

/// The parameters: the ids of the tokens' experts, [tokens, used], the
/// [pass](crate::device::pass), where each expert's list begins and the end,
/// [experts + 1], and the lists, [tokens * used]: places in `ids`, which are
/// `token * used + rank`, in order.
pub type GroupArgs = (In<u32>, In<u32>, Out<u32>, Out<u32>);

/// Warps of a block, an expert each.
const WARPS: u32 = 4;

/// Groups the experts' ids of up to `tokens` tokens.
///
/// # Errors
/// For sizes that the kernel does not support.
pub fn moe_group(name: &'static str, experts: Experts, tokens: u32) -> Result<Stage<GroupArgs>, CatalogueError> {
    let Experts { count, used } = experts;
    experts.check(name)?;
    check_tokens(name, tokens)?;
    let entry = format!("moe_group_{count}_{used}_{tokens}");
    let resources = Resources::new([count.div_ceil(WARPS), 1, 1], WARPS * 32);
    let names = ["ids", "state", "offsets", "pairs"];
    Stage::<GroupArgs>::new(name, (&entry, names), resources, move |k, (ids, state, offsets, pairs), block| {
        let thread = k.thread_x();
        let lane = thread & 31;
        let expert = block.x(k) * WARPS + (thread >> 5);
        let all = pass::tokens(k, state, tokens) * used;
        k.if_(expert.lt(count), |k| {
            let start = expert_pairs(k, (ids, all), expert, pairs, lane);
            offsets.at(expert).store_if(k, lane.eq(0), start);
            offsets.plus(count).store_if(k, thread.eq(0) & expert.eq(0), all);
        });
    })
}
