// arch: sm_80
// Votes, matches and warp reductions of integers.
extern "C" __global__ void warp_vote(const int *x, const long long *wide, unsigned *out, int threshold)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int v = x[i];
    unsigned full = 0xffffffffu;
    unsigned r = __ballot_sync(full, v > threshold);
    if (__any_sync(full, v < 0))
        r ^= 1u;
    if (__all_sync(full, v != 7))
        r ^= 2u;
    int same;
    r += __match_any_sync(full, v);
    r += __match_all_sync(full, v, &same);
    r += __match_any_sync(full, wide[i]);
    if (same)
        r += 5;
    r += __reduce_add_sync(full, v);
    r += __reduce_max_sync(full, v);
    r += __reduce_min_sync(full, (unsigned)v);
    r ^= __reduce_xor_sync(full, (unsigned)v);
    r ^= __reduce_or_sync(full, (unsigned)v) & __reduce_and_sync(full, (unsigned)v);
    if (v & 1)
        r += __popc(__activemask());
    __syncwarp();
    out[i] = r;
}
