//! The one list of tensor types.

/// Calls a macro with every type: ggml's name and number, weights and bytes of a block, the format's module and type,
/// its kind of decoder, and its description.
macro_rules! for_each_type {
    ($with:ident) => {
        $with! {
            F32 0 1 4 plain::f32 floats, "IEEE binary32.";
            F16 1 1 2 plain::f16 floats, "IEEE binary16.";
            BF16 30 1 2 plain::bf16 floats, "The upper half of an IEEE binary32.";
            Q8_0 8 32 34 plain::Q8_0 bytes, "32 signed bytes and one f16 scale (ggml `block_q8_0`, 34 bytes).";
            Q4_K 12 256 144 q4k::Q4K own, "Superblocks of 256 4-bit weights (ggml `block_q4_K`, 144 bytes).";
            Q6_K 14 256 210 q6k::Q6K own, "Superblocks of 256 6-bit weights (ggml `block_q6_K`, 210 bytes).";
            Q4_0 2 32 18 q4_0::Q4_0 nibbles, "Blocks of 32 4-bit weights (ggml `block_q4_0`, 18 bytes).";
            Q4_1 3 32 20 q4_1::Q4_1 nibbles, "The same with a minimum (ggml `block_q4_1`, 20 bytes).";
            Q5_0 6 32 22 q5_0::Q5_0 nibbles, "Blocks of 32 5-bit weights (ggml `block_q5_0`, 22 bytes).";
            Q5_1 7 32 24 q5_1::Q5_1 nibbles, "The same with a minimum (ggml `block_q5_1`, 24 bytes).";
            IQ4_NL 20 32 18 iq4nl::IQ4NL nibbles, "Blocks of 32 of sixteen values (ggml `block_iq4_nl`, 18 bytes).";
            MXFP4 39 32 17 mxfp4::MXFP4 nibbles, "Blocks of 32 E2M1 numbers (ggml `block_mxfp4`, 17 bytes).";
            Q2_K 10 256 84 q2k::Q2K integers, "Superblocks of 256 2-bit weights (ggml `block_q2_K`, 84 bytes).";
            Q3_K 11 256 110 q3k::Q3K integers, "Superblocks of 256 3-bit weights (ggml `block_q3_K`, 110 bytes).";
            Q5_K 13 256 176 q5k::Q5K integers, "Superblocks of 256 5-bit weights (ggml `block_q5_K`, 176 bytes).";
            IQ4_XS 23 256 136 iq4xs::IQ4XS integers, "Superblocks of 256 of sixteen values (ggml `block_iq4_xs`, 136 bytes).";
            IQ3_S 21 256 110 iq3s::IQ3S integers, "Superblocks of 64 points of a grid of 512 (ggml `block_iq3_s`, 110 bytes).";
            IQ3_XXS 18 256 98 iq3xxs::IQ3XXS integers, "Superblocks of 64 points of a grid of 256 (ggml `block_iq3_xxs`, 98 bytes).";
            IQ2_S 22 256 82 iq2s::IQ2S integers, "Superblocks of 32 points of a grid of 1,024 (ggml `block_iq2_s`, 82 bytes).";
            IQ2_XS 17 256 74 iq2xs::IQ2XS integers, "Superblocks of 32 points of a grid of 512 (ggml `block_iq2_xs`, 74 bytes).";
            IQ2_XXS 16 256 66 iq2xxs::IQ2XXS integers, "Superblocks of 32 points of a grid of 256 (ggml `block_iq2_xxs`, 66 bytes).";
            IQ1_S 19 256 50 iq1s::IQ1S integers, "Superblocks of 32 points of a grid of 2,048 (ggml `block_iq1_s`, 50 bytes).";
            IQ1_M 29 256 56 iq1m::IQ1M integers, "The same with a scale for 16 weights (ggml `block_iq1_m`, 56 bytes).";
            TQ1_0 34 256 54 tq1_0::TQ1_0 integers, "Superblocks of 256 digits of base 3 (ggml `block_tq1_0`, 54 bytes).";
            TQ2_0 35 256 66 tq2_0::TQ2_0 integers, "Superblocks of 256 of -1, 0 and 1 in 2 bits (ggml `block_tq2_0`, 66 bytes).";
        }
    };
}

pub(crate) use for_each_type;
