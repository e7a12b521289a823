/* Which keys the rows of attention may see.
 *
 * A key mask is one run of allowed keys as a rule, with gaps inside it at times. A row sees what
 * causality and windows leave of that run:
 *
 *     causal         keys [0, p]                        p = row + offset
 *     window         keys [p - left, p + right]
 *     TN_ATTENTION_BAND: keys outside the window are no masked keys but none at all, except the
 *                    first `sinks`; [from, to) are those that exist
 *
 * What becomes of masked keys: attention_softmax.c. */
#include <string.h>
#include "runtime/kernels/attention.h"

/* Whether some of n bytes is zero: eight at a time, unless they are apart. */
static bool some_is_zero(const uint8_t *p, int64_t stride, int64_t n) {
    const uint64_t ones = UINT64_MAX / 255;
    int64_t i = 0;
    for (uint64_t word; stride == 1 && i + 8 <= n; i += 8) {
        memcpy(&word, p + i, sizeof word);
        if ((word - ones) & ~word & ones << 7) return true;
    }
    while (i < n && p[i * stride]) i++;
    return i < n;
}

/* Masks as a rule are one run of allowed keys. */
Keys tn_attention_keys(const Attention *a, int64_t b, float *allowed) {
    Keys keys = {.end = a->keys};
    if (!a->in[KEY_MASK].data) return keys;
    const int64_t *stride = a->in[KEY_MASK].strides;
    const uint8_t *mask = (const uint8_t *)a->in[KEY_MASK].data + b * stride[0];
    keys.allowed = allowed;
    while (keys.first < a->keys && !mask[keys.first * stride[1]]) allowed[keys.first++] = 0;
    while (keys.end > keys.first && !mask[(keys.end - 1) * stride[1]]) keys.end--;
    keys.gaps = some_is_zero(mask + keys.first * stride[1], stride[1], keys.end - keys.first);
    for (int64_t t = keys.first; t < keys.end; t++)
        allowed[t] = !keys.gaps || mask[t * stride[1]] ? 1 : 0;
    for (int64_t t = keys.end; t < a->keys + TN_PANEL; t++) allowed[t] = 0;
    return keys;
}

Row tn_attention_row(const Attention *a, const Keys *keys, int64_t b, int64_t h, int64_t i) {
    Row row = {.b = b, .h = h, .i = i, .to = a->keys, .end = a->keys};
    if (a->ranged) {
        int64_t p = i + a->offset;
        if (a->p.flags & TN_ATTENTION_CAUSAL) row.end = p + 1;
        if (a->p.window_right >= 0 && row.end > p + a->p.window_right + 1)
            row.end = p + a->p.window_right + 1;
        if (a->p.window_left >= 0) row.first = p - a->p.window_left;
    }
    if (a->band) {
        row.from = attention_clamp(row.first, a->sinks, a->keys);
        row.to = attention_clamp(row.end, row.from, a->keys);
    }
    row.first =
        attention_clamp(row.first, keys->first < row.from ? row.from : keys->first, a->keys);
    row.end = attention_clamp(row.end, 0, keys->end);
    if (row.end < row.first && a->sinks) row.first = row.end = row.from;
    row.blind = row.first >= row.end && !a->sinks;
    const TnTensor *mask = &a->in[QUERY_MASK];
    if (mask->data)
        row.blind |= !((const uint8_t *)mask->data)[b * mask->strides[0] + i * mask->strides[1]];
    return row;
}
