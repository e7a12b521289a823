/* The table of attributes, made of the text of each row ("axis:i=-1 keep:b"): once per process
 * under pthread_once, and never written again.
 *
 * Its sizes follow from the rows: an attribute has four characters at least ("n:k" and what ends
 * it), a word one ('|' or what ends it), and every character is kept twice at most. */
#include "ir/attrs.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT = 0
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) +(int)sizeof(attrs)
#include "ir/ops.def"
#undef OP
    , /* characters of all rows' attributes, with the NUL of each */
    MAX_ATTRS = TEXT / 4
};

static struct {
    pthread_once_t once;
    AttrRow rows[OP_COUNT];
    AttrInfo attrs[MAX_ATTRS]; /* of all rows, one after another, and the words of each */
    const char *const *words_of[MAX_ATTRS];
    int attr_count;
    char text[2 * TEXT]; /* names; words, each attribute's joined by '|' and then one by one */
    size_t text_used;
    const char *words[TEXT];
    int word_count;
    /* Defaults of ':d' attributes: constants that belong to no ExprCx; only ir_attr_equal and
     * attrs_default look at them. */
    Term terms[MAX_ATTRS];
    Expr exprs[MAX_ATTRS];
    int expr_count;
} table = {.once = PTHREAD_ONCE_INIT};

static const char *keep(const char *s, size_t n) {
    char *copy = table.text + table.text_used;
    memcpy(copy, s, n);
    copy[n] = 0;
    table.text_used += n + 1;
    return copy;
}

/* "relu|gelu|silu": the first word is the default. */
static void parse_words(AttrRow *row, const char *s, size_t n) {
    int i = row->count;
    row->attrs[i].words = keep(s, n);
    row->words[i] = table.words + table.word_count;
    for (const char *end = s + n; s < end;) {
        const char *bar = memchr(s, '|', (size_t)(end - s));
        if (!bar) bar = end;
        table.words[table.word_count++] = keep(s, (size_t)(bar - s));
        s = bar + 1;
    }
    table.word_count++; /* stays NULL: the end of the list */
    row->attrs[i].value.s = row->words[i][0];
}

static const Expr *default_dim(int64_t v) {
    Term *t = &table.terms[table.expr_count];
    Expr *e = &table.exprs[table.expr_count++];
    *t = (Term){.coef = {v, 1}};
    *e = (Expr){.count = v ? 1 : 0, .terms = t};
    return e;
}

static Attr unset(char kind) {
    if (kind == 'i') return (Attr){.i = ATTR_UNSET};
    return (Attr){0};
}

static void parse_default(AttrRow *row, const char *s, size_t n) {
    AttrInfo *a = &row->attrs[row->count];
    a->has_default = true;
    switch (a->kind) {
    case 'i': a->value.i = strtoll(s, NULL, 10); break;
    case 'f': a->value.f = strtod(s, NULL); break;
    case 'b': a->value.b = *s == '1'; break;
    case 'd': a->value.d = default_dim(strtoll(s, NULL, 10)); break;
    case 's': parse_words(row, s, n); break;
    case 't': a->value.t = TN_NONE; break; /* the only default there is */
    default: assert(false);
    }
}

/* One "name:kind" or "name:kind=default" of length n. */
static void parse_attr(AttrRow *row, const char *s, size_t n) {
    const char *colon = memchr(s, ':', n);
    assert(colon);
    AttrInfo *a = &row->attrs[row->count];
    size_t length = (size_t)(colon - s);
    a->name = keep(s, length);
    a->kind = colon[1];
    a->value = unset(a->kind);
    if (n > length + 2) parse_default(row, colon + 3, n - length - 3);
    row->count++;
    table.attr_count++;
}

static void parse_table(void) {
    for (int op = 0; op < OP_COUNT; op++) {
        const char *s = ir_op_info((OpKind)op)->attrs;
        table.rows[op] = (AttrRow){.attrs = table.attrs + table.attr_count,
                                   .words = table.words_of + table.attr_count};
        while (*s) {
            size_t n = strcspn(s, " ");
            if (n) parse_attr(&table.rows[op], s, n);
            s += n + strspn(s + n, " ");
        }
    }
}

const AttrRow *attrs_row(OpKind op) {
    pthread_once(&table.once, parse_table);
    return &table.rows[op];
}
