/* Element types of operands against the sets that ops.def gives them.
 *
 * A set is a text such as "float" or "i32|i64"; a row has one per operand, separated by spaces, and
 * the last one holds for all further operands. "=" is no set but the type of operand 0, "=1" that
 * of operand 1, and "~" that of operand 0 or the other one of f32 and bf16. */
#include <string.h>
#include "ir/infer.h"

static bool word_has(const char *word, size_t length, TnDType t) {
    static const struct {
        const char *name;
        bool floats, integers, narrow;
    } classes[] = {{"any", true, true, true},
                   {"number", true, true, false},
                   {"float", true, false, false},
                   {"integer", false, true, false}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strlen(classes[i].name) != length || memcmp(word, classes[i].name, length) != 0)
            continue;
        if (tn_is_narrow(t) && !classes[i].narrow) return false;
        return t == TN_BOOL     ? classes[i].narrow
               : tn_is_float(t) ? classes[i].floats
                                : classes[i].integers;
    }
    return strlen(tn_dtype_name(t)) == length && memcmp(word, tn_dtype_name(t), length) == 0;
}

static bool set_has(const char *set, size_t length, TnDType t) {
    for (const char *end = set + length; set < end;) {
        const char *bar = memchr(set, '|', (size_t)(end - set));
        size_t word = (size_t)((bar ? bar : end) - set);
        if (word_has(set, word, t)) return true;
        set += word + 1;
    }
    return false;
}

bool infer_set_has(const char *set, TnDType t) {
    return set_has(set, strlen(set), t);
}

/* "i32 or i64" */
static const char *set_text(Cx *cx, const char *set, size_t length) {
    const char *bar = memchr(set, '|', length);
    size_t first = bar ? (size_t)(bar - set) : length;
    const char *word = arena_strndup(&cx->arena, set, first);
    if (!bar) return word;
    return arena_printf(&cx->arena, "%s or %s", word, set_text(cx, bar + 1, length - first - 1));
}

static void check_set(const Node *n, int i, const char *set, size_t length) {
    Cx *cx = n->graph->module->cx;
    TnDType t = infer_input(n, i)->dtype;
    if (!set_has(set, length, t))
        tn_fail(cx, TN_E_MODEL, "operand %d has type %s, not %s", i, tn_dtype_name(t),
                set_text(cx, set, length));
}

void infer_dtype(const Node *n, int i, const char *set) {
    check_set(n, i, set, strlen(set));
}

static void check_same(const Node *n, int i, int other) {
    TnDType a = infer_input(n, other)->dtype, b = infer_input(n, i)->dtype;
    if (a != b)
        tn_fail(n->graph->module->cx, TN_E_MODEL, "operands have types %s and %s", tn_dtype_name(a),
                tn_dtype_name(b));
}

static bool mixes(TnDType t) {
    return t == TN_F32 || t == TN_BF16;
}

static void check_mixed(const Node *n, int i) {
    bool mixed = mixes(infer_input(n, 0)->dtype) && mixes(infer_input(n, i)->dtype);
    if (!mixed) check_same(n, i, 0);
}

TnDType infer_to(const Node *n, const char *attr) {
    TnDType x = infer_input(n, 0)->dtype, to = attr_dtype(n, attr);
    if (to == TN_NONE || to == x) return x;
    if (!mixes(to) || !mixes(x))
        tn_fail(n->graph->module->cx, TN_E_MODEL, "the result of %s cannot be %s", tn_dtype_name(x),
                tn_dtype_name(to));
    return to;
}

void infer_check_types(const Node *n) {
    const char *set = ir_op_info(n->op)->types;
    for (int i = 0; i < n->input_count; i++) {
        size_t length = strcspn(set, " ");
        if (n->inputs[i] && *set == '=')
            check_same(n, i, length > 1 ? set[1] - '0' : 0);
        else if (n->inputs[i] && *set == '~')
            check_mixed(n, i);
        else if (n->inputs[i])
            check_set(n, i, set, length);
        if (set[length]) set += length + 1;
    }
}
