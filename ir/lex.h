/* The lexer of the IR text: tokens with their places.
 *
 *     %0: f32[n] = add %x, %y   // here     ->  '%' "0" ':' "f32" '[' ... with comment "here" on
 * the token after "y"
 *
 * A word is a run of letters, digits, '_' and '.', so "c0", "0" and "1.5" are words; what a word
 * means is the parser's business. Expressions are not tokens: the parser hands their text to
 * ex_parse and goes on behind it. */
#ifndef TENON_IR_LEX_H
#define TENON_IR_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include "ir/fail.h"

typedef enum TokenKind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_PUNCTUATION } TokenKind;

typedef struct Token {
    TokenKind kind;
    const char *at;   /* where it begins in the text */
    const char *text; /* of a word or string (unescaped), terminated */
    char mark;        /* of a punctuation */
} Token;

typedef struct Lexer {
    Cx *cx;
    const char *text, *at; /* `at` is behind the present token */
    Token token;
    /* Began on the line of the token before the present one, and ends that line; else NULL. */
    const char *comment;
    const char *line_start; /* where lex_place counts on from */
    int line;
} Lexer;

void lex_init(Lexer *l, Cx *cx, const char *text); /* the first token is present */
void lex_next(Lexer *l);
void lex_seek(Lexer *l, const char *at); /* goes on at this place of the text */
bool lex_is(const Lexer *l, char mark);
bool lex_is_word(const Lexer *l, const char *word);
bool lex_accept(Lexer *l, char mark);
bool lex_accept_word(Lexer *l, const char *word);
void lex_expect(Lexer *l, char mark);
void lex_expect_word(Lexer *l, const char *word);
const char *lex_word(Lexer *l,
                     const char *what); /* takes a word; `what` was wanted, for the message */
const char *lex_string(Lexer *l, const char *what); /* takes a quoted string */
/* "line 3, column 14" of a place in the text. */
const char *lex_place(Lexer *l, const char *at);
_Noreturn void lex_fail(Lexer *l, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
