/* Runs the text cases of tests/golden: IR text in, passes, IR text or a plan's listing out.
 *
 * A file holds cases separated by lines `---`. A case is any lines of comment, then
 *
 *     RUN: verify canon     the steps: `print` (nothing), `verify`, `canonical`, the name of a
 *                           pass, `fast` (as --conv fast), `bf16` or `int8` (as --precision), or
 *                           last `plan` (all passes, then the listing of the plan)
 *     module { ... }        what is parsed
 *     EXPECT:               the whole of what must come out of the last step, module { ... }
 *
 * or instead of EXPECT:
 *
 *     ERROR: a message      what parsing or a step must say
 *     UNCHANGED             the text comes out as it went in
 *
 * `test_golden --bless [FILE...]` writes what comes out into the files; the diff is the review. */
#include <glob.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/compile.h"
#include "backend/plan_write.h"
#include "ir/ir.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "tools/plan_text.h"

typedef struct Case {
    const char *head;  /* comments */
    const char *steps; /* behind RUN: */
    const char *input;
    const char *expect; /* "EXPECT:\n...", "ERROR: ...\n" or "UNCHANGED\n" */
    int line;
} Case;

/* --- steps --- */

/* NULL, or why the step fails. */
static const char *run_step(Graph *g, const char *name, Report *r) {
    if (!strcmp(name, "print")) return NULL;
    if (!strcmp(name, "verify")) return ir_verify(g);
    if (!strcmp(name, "canonical")) return ir_verify_canonical(g);
    const PassInfo *pass = pass_find(name);
    if (!pass)
        return arena_printf(&g->module->cx->arena, "there is no step and no pass '%s'", name);
    pass->run(g, r);
    return ir_verify(g);
}

static void close_plan(void *plan) {
    tenon_plan_close(plan);
}

/* Constants that a text gives by hash were read as zeros: the module with other elements, so that
 * they do not all become one. */
static Module *tell_apart(Module *m) {
    for (Constant *c = m->constants; c; c = c->next) {
        int64_t n = (int64_t)(c->bytes / tn_dtype_size(c->dtype));
        void *data = arena_copy(&m->cx->arena, c->data, c->bytes);
        for (int64_t i = 0; i < n && n > 16; i++)
            ir_store_f64(c->dtype, data, i, (double)(i + c->id));
        c->data = data;
    }
    return ir_parse(m->cx, ir_print(m), m);
}

/* Compiles the module and lists its plan as `tenon dump` does. */
static const char *list_plan(Module *m, Report *r) {
    const Module *given = m;
    m = tell_apart(m);
    m->fast_conv = given->fast_conv;
    m->bf16 = given->bf16;
    m->weight_bits = given->weight_bits;
    TextBuffer t = {.arena = &m->cx->arena};
    tenon_plan *plan;
    tenon_error err;
    size_t size;
    const void *bytes = plan_write_memory(compile_module(m, r, false), &size);
    tenon_status s = tenon_plan_open_memory(bytes, size, NULL, &plan, &err);
    if (s) tn_fail(m->cx, (TnStatus)s, "%s", err.text);
    tn_defer(m->cx, close_plan, plan);
    plan_text(plan, &t);
    return text_end(&t);
}

static const char *run_steps(Cx *cx, const Case *c, const char **error) {
    Module *m = ir_parse(cx, c->input, NULL);
    Report r;
    report_init(&r, cx);
    char *steps = arena_strdup(&cx->arena, c->steps), *rest;
    for (char *s = strtok_r(steps, " ", &rest); s; s = strtok_r(NULL, " ", &rest)) {
        if (!strcmp(s, "plan")) return list_plan(m, &r);
        if (!strcmp(s, "fast") || !strcmp(s, "bf16") || !strcmp(s, "int8")) {
            m->fast_conv |= !strcmp(s, "fast");
            m->bf16 |= !strcmp(s, "bf16");
            m->weight_bits = !strcmp(s, "int8") ? 8 : m->weight_bits;
            continue;
        }
        for (Graph *g = m->graphs; g; g = g->next) {
            *error = run_step(g, s, &r);
            if (*error) return NULL;
        }
    }
    return ir_print(m);
}

/* What the case gives, in the form of `expect`; lives in `arena`. */
static const char *outcome(const Case *c, Arena *arena) {
    Cx cx;
    jmp_buf failed;
    const char *volatile result = NULL;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed) == 0) {
        const char *error = NULL, *text = run_steps(&cx, c, &error);
        if (error)
            result = arena_printf(arena, "ERROR: %s\n", error);
        else if (!strcmp(text, c->input))
            result = "UNCHANGED\n";
        else
            result = arena_printf(arena, "EXPECT:\n%s", text);
    } else {
        result = arena_printf(arena, "ERROR: %s\n", cx.message);
    }
    cx_free(&cx);
    return result;
}

/* --- files --- */

static char *read_text(Arena *arena, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    TextBuffer t = {.arena = arena};
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) text_add_bytes(&t, piece, n);
    fclose(f);
    return (char *)text_end(&t);
}

static bool starts_line(const char *s, const char *word) {
    return !strncmp(s, word, strlen(word));
}

/* The first line from s on that begins with one of the words; else the end. */
static char *find_line(char *s, const char *const *words) {
    for (;;) {
        for (int i = 0; words[i]; i++)
            if (starts_line(s, words[i])) return s;
        char *end = strchr(s, '\n');
        if (!end) return s + strlen(s);
        s = end + 1;
    }
}

/* The text up to `end`, as a string of its own. */
static const char *piece(Arena *arena, const char *from, const char *end) {
    return arena_strndup(arena, from, (size_t)(end - from));
}

/* Takes the case at *s and moves *s behind the line that ends it. False if it has no RUN: or no
 * expectation. */
static bool next_case(Arena *arena, char **s, Case *c) {
    char *run = find_line(*s, (const char *const[]){"RUN:", "---", NULL});
    if (!starts_line(run, "RUN:")) return false;
    char *input = run + strcspn(run, "\n");
    c->head = piece(arena, *s, run);
    c->steps = piece(arena, run + 4, input);
    if (*input) input++;
    char *expect = find_line(input, (const char *const[]){"EXPECT:", "ERROR:", "UNCHANGED", NULL});
    char *end = find_line(expect, (const char *const[]){"---", NULL});
    c->input = piece(arena, input, expect);
    c->expect = piece(arena, expect, end);
    *s = *end ? end + strcspn(end, "\n") + 1 : end;
    return *expect != 0;
}

/* --- running --- */

static void report(const char *path, const Case *c, const char *got) {
    const char *e = c->expect, *g = got;
    int line = 1;
    for (; *e && *e == *g; e++, g++)
        if (*e == '\n') line++;
    printf("%s:%d: differs in line %d of what was expected; got\n%s\n", path, c->line, line, got);
}

static int line_of(const char *text, const char *at) {
    int line = 1;
    for (; text < at; text++)
        if (*text == '\n') line++;
    return line;
}

/* How many cases fail; with `bless`, writes what comes out. */
static int run_file(const char *path, bool bless, int *cases) {
    Arena arena = {.alloc = tn_default_alloc()};
    TextBuffer out = {.arena = &arena};
    char *text = read_text(&arena, path), *s = text;
    int failed = 0;
    if (!text) printf("%s: cannot be read\n", path);
    for (Case c; text && *s; (*cases)++) {
        const char *start = s;
        c.line = line_of(text, s);
        if (!next_case(&arena, &s, &c)) {
            printf("%s:%d: a case without RUN: or expectation\n", path, c.line);
            failed++;
            break;
        }
        const char *got = outcome(&c, &arena);
        if (strcmp(got, c.expect) != 0) {
            if (!bless) report(path, &c, got);
            failed++;
        }
        text_format(&out, "%s%sRUN:%s\n", start == text ? "" : "---\n", c.head, c.steps);
        text_add(&out, c.input);
        text_add(&out, got);
    }
    if (text && bless && failed) {
        FILE *f = fopen(path, "wb");
        if (f) {
            fputs(text_end(&out), f);
            fclose(f);
        }
    }
    arena_free(&arena);
    return text ? failed : 1;
}

int main(int argc, char **argv) {
    bool bless = getenv("TENON_BLESS") != NULL;
    int failed = 0, cases = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--bless")) {
            bless = true;
            continue;
        }
        failed += run_file(argv[i], bless, &cases);
        files++;
    }
    glob_t found;
    if (!files && glob(TENON_SOURCE_DIR "/tests/golden/*/*.txt", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            failed += run_file(found.gl_pathv[i], bless, &cases);
        globfree(&found);
    }
    printf("%d cases, %d %s\n", cases, failed, bless ? "written anew" : "failed");
    return (failed && !bless) || !cases;
}
