/* The lexer of the IR text. Any byte string gives tokens or one error with line and column. */
#include "ir/lex.h"

#include <stdarg.h>
#include <string.h>

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

const char *lex_place(Lexer *l, const char *at) {
    if (at < l->line_start) {
        l->line = 1;
        l->line_start = l->text;
    }
    for (const char *s = l->line_start; s < at; s++)
        if (*s == '\n') {
            l->line++;
            l->line_start = s + 1;
        }
    int column = (int)(at - l->line_start) + 1;
    return arena_printf(&l->cx->arena, "line %d, column %d", l->line, column);
}

void lex_fail(Lexer *l, const char *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(&l->cx->arena, fmt, ap);
    va_end(ap);
    tn_fail(l->cx, TN_E_MODEL, "%s: %s", lex_place(l, at), text);
}

/* Skips blanks and comments; keeps the comment that ends the line where it began. */
static void skip_blanks(Lexer *l) {
    bool same_line = l->at > l->text;
    l->comment = NULL;
    for (;;) {
        char c = *l->at;
        if (c == '\n') same_line = false;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
            continue;
        }
        if (c != '/' || l->at[1] != '/') return;
        const char *start = l->at + 2;
        l->at += strcspn(l->at, "\n");
        if (same_line) l->comment = arena_strndup(&l->cx->arena, start, (size_t)(l->at - start));
    }
}

/* `at` is behind the opening quote. \xNN is the only escape. */
static void take_string(Lexer *l) {
    const char *start = l->token.at;
    char *s = arena_alloc(&l->cx->arena, strcspn(l->at, "\"\n") + 1);
    size_t n = 0;
    for (; *l->at != '"'; l->at++) {
        if (!*l->at || *l->at == '\n') lex_fail(l, start, "the string has no end");
        char c = *l->at;
        if (c == '\\') {
            int high = l->at[1] == 'x' ? hex_digit(l->at[2]) : -1;
            int low = high >= 0 ? hex_digit(l->at[3]) : -1;
            if (low < 0 || high * 16 + low == 0)
                lex_fail(l, l->at, "unknown escape; only \\xNN is one");
            c = (char)(high * 16 + low);
            l->at += 3;
        }
        s[n++] = c;
    }
    l->at++;
    l->token.kind = TOKEN_STRING;
    l->token.text = s;
}

void lex_next(Lexer *l) {
    skip_blanks(l);
    l->token = (Token){.at = l->at};
    if (!*l->at) return;
    if (*l->at == '"') {
        l->at++;
        take_string(l);
        return;
    }
    size_t n = 0;
    while (is_word_byte(l->at[n])) n++;
    if (n) {
        l->token.kind = TOKEN_WORD;
        l->token.text = arena_strndup(&l->cx->arena, l->at, n);
        l->at += n;
        return;
    }
    l->token.kind = TOKEN_PUNCTUATION;
    l->token.mark = *l->at++;
}

void lex_init(Lexer *l, Cx *cx, const char *text) {
    *l = (Lexer){.cx = cx, .text = text, .at = text, .line_start = text, .line = 1};
    lex_next(l);
}

void lex_seek(Lexer *l, const char *at) {
    l->at = at;
    lex_next(l);
}

bool lex_is(const Lexer *l, char mark) {
    return l->token.kind == TOKEN_PUNCTUATION && l->token.mark == mark;
}

bool lex_is_word(const Lexer *l, const char *word) {
    return l->token.kind == TOKEN_WORD && !strcmp(l->token.text, word);
}

bool lex_accept(Lexer *l, char mark) {
    if (!lex_is(l, mark)) return false;
    lex_next(l);
    return true;
}

bool lex_accept_word(Lexer *l, const char *word) {
    if (!lex_is_word(l, word)) return false;
    lex_next(l);
    return true;
}

_Noreturn static void fail_wanted(Lexer *l, const char *what) {
    switch (l->token.kind) {
    case TOKEN_END: lex_fail(l, l->token.at, "%s expected, found the end of the text", what);
    case TOKEN_PUNCTUATION:
        lex_fail(l, l->token.at, "%s expected, found '%c'", what, l->token.mark);
    default: lex_fail(l, l->token.at, "%s expected, found '%.100s'", what, l->token.text);
    }
}

void lex_expect(Lexer *l, char mark) {
    if (!lex_accept(l, mark)) fail_wanted(l, (char[]){'\'', mark, '\'', 0});
}

void lex_expect_word(Lexer *l, const char *word) {
    if (!lex_accept_word(l, word)) fail_wanted(l, arena_printf(&l->cx->arena, "'%s'", word));
}

const char *lex_word(Lexer *l, const char *what) {
    if (l->token.kind != TOKEN_WORD) fail_wanted(l, what);
    const char *s = l->token.text;
    lex_next(l);
    return s;
}

const char *lex_string(Lexer *l, const char *what) {
    if (l->token.kind != TOKEN_STRING) fail_wanted(l, what);
    const char *s = l->token.text;
    lex_next(l);
    return s;
}
