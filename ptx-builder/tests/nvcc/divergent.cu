// arch: sm_75
// Divergent loops: break, continue, early return and nested loops.
extern "C" __global__ void collatz(const unsigned long long *start, unsigned *steps, unsigned limit)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long v = start[i];
    if (v == 0)
        return;
    unsigned n = 0;
    while (v != 1) {
        if (n >= limit) {
            n = 0xffffffffu;
            break;
        }
        v = (v & 1) ? 3 * v + 1 : v >> 1;
        n++;
    }
    steps[i] = n;
}

extern "C" __global__ void search(const int *table, const int *keys, int *found, int n)
{
    int key = keys[threadIdx.x];
    int low = 0, high = n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (table[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    int hits = 0;
    for (int i = low; i < n; i++) {
        if (table[i] != key)
            break;
        if (i % 3 == 0)
            continue;
        for (int j = i; j > 0 && table[j] == table[j - 1]; j -= 2)
            hits++;
    }
    found[threadIdx.x] = hits;
}
