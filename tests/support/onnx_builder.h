/* ONNX files from a few lines of text, for tests.
 *
 *     write_model("m.onnx", "in x f32 [batch, 4]\n"
 *                           "const w f32 [2] 0.5 1\n"
 *                           "a, b = Split x {axis=1 num_outputs=2}\n"
 *                           "out a f32");
 *
 * Lines: "in NAME TYPE [DIMS]", "const NAME TYPE [DIMS] NUMBERS", "out NAME TYPE", "opset N" and
 * nodes, "OUTPUTS = OPERATOR INPUTS {ATTRIBUTES}"; `-` leaves an input or output out. A dim that is
 * no number is a symbol, `?` one without a name. Attributes are name=2, name=2.0, name=word,
 * name=[1,2], name=[1.0], name=[word] or name=TYPE[NUMBERS] (a vector), without spaces inside. A
 * node's name is its first output's, its domain may precede its operator: "y = com.example::Op x";
 * operators of com.microsoft import version 1 of it.
 *
 * Lines from "body NAME" to "end" are a graph that later lines name: y = If c {then_branch=@NAME}.
 * Lines from "function DOMAIN::NAME INPUTS -> OUTPUTS | ATTRIBUTES" to "end" are a function; an
 * attribute without a value has no default, and name=$other refers to the function's. */
#ifndef TENON_TESTS_SUPPORT_ONNX_BUILDER_H
#define TENON_TESTS_SUPPORT_ONNX_BUILDER_H

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/support/onnx_bytes.h"
#include "tests/support/scratch.h"

typedef struct OnnxText {
    const char *at, *end; /* what is left of the line */
} OnnxText;

static inline void onnx_skip(OnnxText *t) {
    while (t->at < t->end && strchr(" ,{}", *t->at)) t->at++;
}

/* The next word, up to a separator, in a buffer that the next call reuses; "" at the end. A bracket
 * that begins one is a word. */
static inline const char *onnx_word_of(OnnxText *t) {
    static char word[4096];
    size_t n = 0;
    onnx_skip(t);
    if (t->at < t->end && strchr("[]", *t->at)) {
        word[n++] = *t->at++;
    } else {
        bool attribute = false; /* its value may have commas and brackets */
        while (t->at < t->end && !strchr(attribute ? " }" : " ,{}]", *t->at) &&
               n < sizeof word - 1) {
            attribute = attribute || *t->at == '=';
            word[n++] = *t->at++;
        }
    }
    word[n] = 0;
    return word;
}

typedef struct OnnxTypeWord {
    const char *name;
    int number;
    size_t size;
} OnnxTypeWord;

static inline OnnxTypeWord onnx_type_word(const char *name) {
    static const OnnxTypeWord types[] = {
        {"f32", 1, 4},    {"u8", 2, 1},   {"i8", 3, 1},   {"i32", 6, 4},  {"i64", 7, 8},
        {"string", 8, 0}, {"bool", 9, 1}, {"f16", 10, 2}, {"f64", 11, 8}, {"c64", 14, 8},
        {"f8", 17, 1},    {"i4", 22, 1},  {NULL, 0, 0}};
    const OnnxTypeWord *t = types;
    while (t->name && strcmp(t->name, name) != 0) t++;
    return *t;
}

static inline void onnx_put_number(Bytes *data, OnnxTypeWord type, const char *text) {
    int64_t i = strtoll(text, NULL, 10);
    double d = strtod(text, NULL);
    float f = (float)d;
    if (type.number == 1)
        bytes_put(data, &f, sizeof f);
    else if (type.number == 11)
        bytes_put(data, &d, sizeof d);
    else
        bytes_put(data, &i, type.size);
}

/* "[2, 3]" as lengths; returns how many. */
static inline int onnx_lengths(OnnxText *t, int64_t *dims) {
    int rank = 0;
    onnx_word_of(t); /* [ */
    for (const char *w = onnx_word_of(t); *w && *w != ']' && rank < 16; w = onnx_word_of(t))
        dims[rank++] = strtoll(w, NULL, 10);
    return rank;
}

static inline Bytes onnx_text_tensor(OnnxText *t, const char *name, OnnxTypeWord type) {
    int64_t dims[16];
    Bytes data = {0};
    int rank = onnx_lengths(t, dims);
    Bytes tensor = onnx_tensor_head(name, type.number, rank, dims);
    for (const char *w = onnx_word_of(t); *w; w = onnx_word_of(t)) onnx_put_number(&data, type, w);
    bytes_field_message(&tensor, 9, &data);
    return tensor;
}

/* ValueInfoProto; without brackets no shape is declared. */
static inline Bytes onnx_text_value(OnnxText *t) {
    Bytes info = {0}, type = {0}, tensor = {0}, shape = {0};
    bytes_field_text(&info, 1, onnx_word_of(t));
    const char *word = onnx_word_of(t);
    if (*word)
        bytes_field_int(&tensor, 1, isdigit(*word) ? atoi(word) : onnx_type_word(word).number);
    onnx_skip(t);
    if (*onnx_word_of(t) == '[') {
        for (const char *w = onnx_word_of(t); *w && *w != ']'; w = onnx_word_of(t)) {
            Bytes dim = {0};
            if (isdigit(*w) || *w == '-')
                bytes_field_int(&dim, 1, strtoll(w, NULL, 10));
            else if (*w != '?')
                bytes_field_text(&dim, 2, w);
            bytes_field_message(&shape, 1, &dim);
        }
        bytes_field_message(&tensor, 2, &shape);
    }
    if (tensor.size) bytes_field_message(&type, 1, &tensor);
    if (type.size) bytes_field_message(&info, 2, &type);
    bytes_free(&tensor);
    bytes_free(&type);
    return info;
}

static inline void onnx_text_float(Bytes *b, uint32_t field, const char *text) {
    float f = strtof(text, NULL);
    bytes_tag(b, field, 5);
    bytes_put(b, &f, sizeof f);
}

/* "[1,2]", "[1.0,2.0]" or "[up,down]" after `name=`: INTS, FLOATS or STRINGS. */
static inline void onnx_text_list(Bytes *a, char *text) {
    bool floats = strchr(text, '.') != NULL, words = isalpha((unsigned char)text[1]);
    for (char *w = strtok(text, "[],"); w; w = strtok(NULL, "[],")) {
        if (words)
            bytes_field_text(a, 9, w);
        else if (floats)
            onnx_text_float(a, 7, w);
        else
            bytes_field_int(a, 8, strtoll(w, NULL, 10));
    }
    bytes_field_int(a, 20, words ? 8 : floats ? 6 : 7);
}

static inline void onnx_text_attribute_tensor(Bytes *a, char *text) {
    char *bracket = strchr(text, '[');
    *bracket = 0;
    OnnxTypeWord type = onnx_type_word(text);
    Bytes data = {0};
    int64_t count = 0;
    for (char *w = strtok(bracket + 1, "],"); w; w = strtok(NULL, "],"), count++)
        onnx_put_number(&data, type, w);
    Bytes tensor = onnx_tensor_head("value", type.number, 1, &count);
    bytes_field_message(&tensor, 9, &data);
    bytes_field_message(a, 5, &tensor);
    bytes_field_int(a, 20, 4);
}

/* Graphs that attributes may name. */
typedef struct OnnxBody {
    char name[32];
    Bytes graph;
} OnnxBody;

static OnnxBody onnx_bodies[64];
static int onnx_body_count;

static inline void onnx_put_body(Bytes *a, const char *name) {
    for (int i = 0; i < onnx_body_count; i++)
        if (!strcmp(onnx_bodies[i].name, name))
            bytes_field_bytes(a, 6, onnx_bodies[i].graph.data, onnx_bodies[i].graph.size);
    bytes_field_int(a, 20, 5);
}

/* "name=value" as an AttributeProto */
static inline Bytes onnx_text_attribute(char *text) {
    Bytes a = {0};
    char *value = strchr(text, '=');
    assert(value);
    *value++ = 0;
    bytes_field_text(&a, 1, text);
    if (*value == '@') {
        onnx_put_body(&a, value + 1);
    } else if (*value == '$') {
        bytes_field_text(&a, 21, value + 1);
    } else if (*value == '[') {
        onnx_text_list(&a, value);
    } else if (strchr(value, '[')) {
        onnx_text_attribute_tensor(&a, value);
    } else if (!isdigit((unsigned char)*value) && *value != '-') {
        bytes_field_text(&a, 4, value);
        bytes_field_int(&a, 20, 3);
    } else if (strchr(value, '.')) {
        onnx_text_float(&a, 2, value);
        bytes_field_int(&a, 20, 1);
    } else {
        bytes_field_int(&a, 3, strtoll(value, NULL, 10));
        bytes_field_int(&a, 20, 2);
    }
    return a;
}

static inline const char *onnx_or_empty(const char *word) {
    return strcmp(word, "-") == 0 ? "" : word;
}

static inline Bytes onnx_text_node(OnnxText *t) {
    Bytes node = {0};
    char word[4096];
    while (snprintf(word, sizeof word, "%s", onnx_word_of(t)), strcmp(word, "=") != 0)
        bytes_field_text(&node, 2, onnx_or_empty(word));
    snprintf(word, sizeof word, "%s", onnx_word_of(t));
    char *colon = strstr(word, "::");
    if (colon) *colon = 0;
    if (colon) bytes_field_text(&node, 7, word);
    bytes_field_text(&node, 4, colon ? colon + 2 : word);
    while (snprintf(word, sizeof word, "%s", onnx_word_of(t)), *word) {
        if (strchr(word, '=')) {
            Bytes attribute = onnx_text_attribute(word);
            bytes_field_message(&node, 5, &attribute);
        } else {
            bytes_field_text(&node, 1, onnx_or_empty(word));
        }
    }
    return node;
}

/* Nodes go to field `nodes` of the graph or function. */
static inline void onnx_text_line(OnnxText line, Bytes *graph, uint32_t nodes, int *opset) {
    OnnxText rest = line;
    char name[4096];
    snprintf(name, sizeof name, "%s", onnx_word_of(&rest));
    Bytes part = {0};
    if (strcmp(name, "opset") == 0) {
        *opset = atoi(onnx_word_of(&rest));
    } else if (strcmp(name, "const") == 0) {
        snprintf(name, sizeof name, "%s", onnx_word_of(&rest));
        OnnxTypeWord type = onnx_type_word(onnx_word_of(&rest));
        part = onnx_text_tensor(&rest, name, type);
        bytes_field_message(graph, 5, &part);
    } else if (strcmp(name, "in") == 0 || strcmp(name, "out") == 0) {
        part = onnx_text_value(&rest);
        bytes_field_message(graph, name[0] == 'i' ? 11 : 12, &part);
    } else if (*name) {
        part = onnx_text_node(&line);
        bytes_field_message(graph, nodes, &part);
    }
}

/* "function DOMAIN::NAME INPUTS -> OUTPUTS | ATTRIBUTES": what is left of the line. */
static inline Bytes onnx_text_function(OnnxText *t) {
    Bytes f = {0};
    char word[4096];
    uint32_t field = 4;
    snprintf(word, sizeof word, "%s", onnx_word_of(t));
    char *colon = strstr(word, "::");
    *colon = 0;
    bytes_field_text(&f, 10, word);
    bytes_field_text(&f, 1, colon + 2);
    while (snprintf(word, sizeof word, "%s", onnx_word_of(t)), *word) {
        if (!strcmp(word, "->")) {
            field = 5;
        } else if (strchr(word, '=')) {
            Bytes attribute = onnx_text_attribute(word);
            bytes_field_message(&f, 11, &attribute);
        } else if (!strcmp(word, "|")) {
            field = 6;
        } else {
            bytes_field_text(&f, field, word);
        }
    }
    return f;
}

/* Lines up to "end" go to a graph or function of their own. */
typedef struct OnnxBlock {
    Bytes graph, function;
    bool is_function;
    char name[32];
} OnnxBlock;

/* Ends the innermost block: a body is kept under its name, a function goes to the model. */
static inline void onnx_end_block(OnnxBlock *b, Bytes *functions) {
    if (b->is_function) {
        bytes_put(&b->function, b->graph.data, b->graph.size);
        bytes_free(&b->graph);
        bytes_field_message(functions, 25, &b->function);
        return;
    }
    OnnxBody *body = &onnx_bodies[onnx_body_count++];
    snprintf(body->name, sizeof body->name, "%s", b->name);
    body->graph = b->graph;
}

/* The bytes of a model of opset 20, unless a line says otherwise; "opset 0" imports another domain
 * only. */
static inline Bytes onnx_text_model(const char *text) {
    OnnxBlock blocks[16] = {0};
    Bytes model = {0}, functions = {0};
    int opset = 20, depth = 0;
    bool microsoft = strstr(text, "com.microsoft::") != NULL;
    onnx_body_count = 0;
    while (*text) {
        size_t n = strcspn(text, "\n");
        OnnxText line = {text, text + n}, rest = line;
        char word[64];
        snprintf(word, sizeof word, "%s", onnx_word_of(&rest));
        if (!strcmp(word, "body") || !strcmp(word, "function")) {
            OnnxBlock *b = &blocks[++depth];
            *b = (OnnxBlock){.is_function = *word == 'f'};
            if (b->is_function) b->function = onnx_text_function(&rest);
            if (!b->is_function) snprintf(b->name, sizeof b->name, "%s", onnx_word_of(&rest));
        } else if (!strcmp(word, "end")) {
            onnx_end_block(&blocks[depth--], &functions);
        } else {
            onnx_text_line(line, &blocks[depth].graph, blocks[depth].is_function ? 7 : 1, &opset);
        }
        text += n + (text[n] == '\n');
    }
    bytes_field_int(&model, 1, 8);
    bytes_field_message(&model, 7, &blocks[0].graph);
    bytes_put(&model, functions.data, functions.size);
    bytes_free(&functions);
    onnx_put_opset(&model, opset ? "" : "other", opset ? opset : 1);
    if (microsoft) onnx_put_opset(&model, "com.microsoft", 1);
    for (int i = 0; i < onnx_body_count; i++) bytes_free(&onnx_bodies[i].graph);
    return model;
}

static inline void write_model(const char *path, const char *text) {
    Bytes model = onnx_text_model(text);
    write_file(path, model.data, model.size);
    bytes_free(&model);
}

#endif
