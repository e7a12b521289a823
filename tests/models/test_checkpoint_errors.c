/* Checkpoints that are wrong: each gets its own message, which names the key or the tensor, and no
 * plan.
 *
 * A case is tests/fixtures/bert-base with one piece of config.json replaced, or with tensors that
 * are missing, transposed or named otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"
#include "tests/support/scratch.h"

#define FIXTURE TENON_SOURCE_DIR "/tests/fixtures/bert-base"

/* --- config.json --- */

typedef struct ConfigCase {
    const char *from, *to; /* text of config.json */
    tenon_status code;
    const char *message; /* after "m/config.json: "; NULL = it compiles */
} ConfigCase;

#define MODEL_TYPES "supported are bert, roberta, xlm-roberta, distilbert, vit, gpt2"
#define WIDTH       "\"hidden_size\": 36"
#define WIDTH_RANGE "wanted an integer from 1 to 1048576"
#define LAYERS      "\"num_hidden_layers\": 2"
#define LAYER_RANGE "wanted an integer from 0 to 4096"
#define TYPE        "\"model_type\": \"bert\""
#define EPS         "\"layer_norm_eps\": 1e-12"
#define ACT         "\"hidden_act\": \"gelu\""

static const ConfigCase config_cases[] = {
    {TYPE, "\"model_type\": \"zebra\"", TENON_E_UNSUPPORTED,
     "model_type 'zebra' is unsupported; " MODEL_TYPES},
    {TYPE, "\"model_type\": \"../../etc/passwd\"", TENON_E_UNSUPPORTED,
     "model_type '../../etc/passwd' is unsupported; " MODEL_TYPES},
    {TYPE, "\"model_type\": null", TENON_E_UNSUPPORTED,
     "model_type '(none)' is unsupported; " MODEL_TYPES},
    {TYPE, "\"model_kind\": \"bert\"", TENON_E_UNSUPPORTED,
     "model_type '(none)' is unsupported; " MODEL_TYPES},
    {TYPE, "\"model_type\": 5", TENON_E_MODEL, "key 'model_type' is 5, wanted a string"},
    {"\"BertModel\"", "\"BertForNextSentencePrediction\"", TENON_E_UNSUPPORTED,
     "architecture 'BertForNextSentencePrediction' is unsupported; supported for 'bert' are "
     "BertModel, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification, "
     "BertForQuestionAnswering"},
    {WIDTH, "\"hidden_size\": 0", TENON_E_MODEL, "key 'hidden_size' is 0, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": -36", TENON_E_MODEL, "key 'hidden_size' is -36, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 36.5", TENON_E_MODEL, "key 'hidden_size' is 36.5, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": \"36\"", TENON_E_MODEL, "key 'hidden_size' is '36', " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": [36]", TENON_E_MODEL,
     "key 'hidden_size' is a list of 1, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 2147483648", TENON_E_MODEL,
     "key 'hidden_size' is 2147483648, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 4294967332", TENON_E_MODEL,
     "key 'hidden_size' is 4294967332, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 9223372036854775808", TENON_E_MODEL,
     "key 'hidden_size' is 9.2233720368547758e+18, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 1e30", TENON_E_MODEL, "key 'hidden_size' is 1e+30, " WIDTH_RANGE},
    {WIDTH, "\"hidden_size\": 1e400", TENON_E_FORMAT,
     "key 'hidden_size' is a number beyond the range of double"},
    {"\"num_attention_heads\": 3", "\"num_attention_heads\": 5", TENON_E_MODEL,
     "5 heads do not divide the width 36"},
    {LAYERS, "\"num_hidden_layers\": -1", TENON_E_MODEL,
     "key 'num_hidden_layers' is -1, " LAYER_RANGE},
    {LAYERS, "\"num_hidden_layers\": 1000000", TENON_E_MODEL,
     "key 'num_hidden_layers' is 1000000, " LAYER_RANGE},
    {LAYERS, "\"num_hidden_layers\": 2147483648", TENON_E_MODEL,
     "key 'num_hidden_layers' is 2147483648, " LAYER_RANGE},
    {EPS, "\"layer_norm_eps\": \"small\"", TENON_E_MODEL,
     "key 'layer_norm_eps' is 'small', wanted a number"},
    {EPS, "\"layer_norm_eps\": -1e-5", TENON_E_MODEL,
     "key 'layer_norm_eps' is -1e-05, wanted a number from 0 to 1"},
    {EPS, "\"layer_norm_eps\": 1e300", TENON_E_MODEL,
     "key 'layer_norm_eps' is 1e+300, wanted a number from 0 to 1"},
    {ACT, "\"hidden_act\": \"mish\"", TENON_E_UNSUPPORTED,
     "hidden_act is 'mish', an activation that is unsupported"},
    {ACT, "\"hidden_act\": \"\\u001b[31m\\n\"", TENON_E_UNSUPPORTED,
     "hidden_act is '\\x1b[31m\\x0a', an activation that is unsupported"},
    {ACT, "\"hidden_act\": \"gelu_python\"", TENON_OK, NULL},
    {ACT, "\"hidden_act\": \"gelu_accurate\"", TENON_OK, NULL},
    {ACT, ACT ", \"quantization_config\": {\"quant_method\": \"awq\"}", TENON_E_UNSUPPORTED,
     "quantization_config (method 'awq') is unsupported"},
    {ACT, ACT ", \"position_embedding_type\": \"relative_key\"", TENON_E_UNSUPPORTED,
     "position_embedding_type 'relative_key' is unsupported"},
    {"\"is_decoder\": false", "\"is_decoder\": true", TENON_E_UNSUPPORTED,
     "is_decoder is unsupported for this family"},
    {ACT, ACT ", \"auto_map\": {\"AutoModel\": \"/etc/evil.py\"}", TENON_OK, NULL},
};

/* --- running a case --- */

static char *read_fixture(const char *file, size_t *size) {
    char path[512];
    snprintf(path, sizeof path, FIXTURE "/%s", file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = malloc(1 << 20);
    assert_non_null(data);
    *size = fread(data, 1, (1 << 20) - 1, f);
    data[*size] = 0;
    fclose(f);
    return data;
}

static void write_config(const char *from, const char *to) {
    size_t size;
    char *text = read_fixture("config.json", &size), *at = strstr(text, from);
    FILE *f = fopen("m/config.json", "wb");
    assert_non_null(f);
    if (!at) fail_msg("the fixture's config.json does not say %s", from);
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
    free(text);
}

static void copy_weights(void) {
    size_t size;
    char *data = read_fixture("model.safetensors", &size);
    write_file("m/model.safetensors", data, size);
    free(data);
}

/* Compiles "m"; the message must be `wanted` (NULL: none), and a failure leaves no plan. */
static void expect_compile(tenon_status code, const char *wanted) {
    tenonc *c = tenonc_create(NULL);
    if (!tenonc_add(c, "m", NULL)) tenonc_compile(c, "m.plan");
    const tenonc_message *m = tenonc_error(c);
    assert_string_equal(m->code ? m->text : "", wanted ? wanted : "");
    assert_int_equal(m->code, code);
    assert_int_equal(access("m.plan", F_OK) == 0, code == TENON_OK);
    tenonc_destroy(c);
    remove("m.plan");
}

static int make_folder(void **state) {
    (void)state;
    return mkdir("m", 0777);
}

static int empty_folder(void **state) {
    (void)state;
    scratch_empty();
    return 0;
}

/* --- tests --- */

static void test_config(void **state) {
    (void)state;
    char message[1024];
    copy_weights();
    for (size_t i = 0; i < sizeof config_cases / sizeof *config_cases; i++) {
        const ConfigCase *c = &config_cases[i];
        write_config(c->from, c->to);
        snprintf(message, sizeof message, "m/config.json: %s", c->message ? c->message : "");
        expect_compile(c->code, c->message ? message : NULL);
    }
}

static void test_model_type_of_a_megabyte(void **state) {
    (void)state;
    size_t n = 1 << 20;
    char *to = malloc(n + 64);
    assert_non_null(to);
    strcpy(to, "\"model_type\": \"");
    size_t used = strlen(to);
    memset(to + used, 'a', n);
    strcpy(to + used + n, "\"");
    copy_weights();
    write_config(TYPE, to);
    free(to);
    expect_compile(
        TENON_E_UNSUPPORTED,
        "m/config.json: model_type "
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...' "
        "is unsupported; " MODEL_TYPES);
}

static void test_sizes_that_contradict_the_weights(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"intermediate_size\": 44", "\"intermediate_size\": 77",
         "m: tensor 'encoder.layer.0.intermediate.dense.weight' has shape [44, 36], wanted [77, "
         "36]"},
        {"\"vocab_size\": 83", "\"vocab_size\": 98",
         "m: tensor 'embeddings.word_embeddings.weight' has shape [83, 36], wanted [98, 36]"},
        {"\"max_position_embeddings\": 20", "\"max_position_embeddings\": 21",
         "m: tensor 'embeddings.position_embeddings.weight' has shape [20, 36], wanted [21, 36]"},
        {LAYERS, "\"num_hidden_layers\": 3",
         "m: tensor 'encoder.layer.2.attention.self.query.weight' of shape [36, 36] is missing"},
    };
    copy_weights();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_config(cases[i].from, cases[i].to);
        expect_compile(TENON_E_MODEL, cases[i].message);
    }
}

/* --- weights --- */

typedef enum WeightFault { MISSING, TRANSPOSED, OTHER_PREFIX, INTEGERS } WeightFault;

/* Writes the fixture's weights with a fault in tensor `name` (or in all of them). */
static void write_weights(WeightFault fault, const char *name) {
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    if (setjmp(failed)) fail_msg("%s", cx.message);
    SafeTensors *st = st_open(&cx, FIXTURE "/model.safetensors");
    StTensor *t = ARENA_ARRAY(&cx.arena, StTensor, st_count(st));
    size_t count = 0;
    for (size_t i = 0; i < st_count(st); i++) {
        StTensor w = *st_at(st, i);
        bool chosen = !strcmp(w.name, name);
        if (fault == MISSING && chosen) continue;
        if (fault == TRANSPOSED && chosen) {
            w.dims[0] = st_at(st, i)->dims[1];
            w.dims[1] = st_at(st, i)->dims[0];
        }
        if (fault == INTEGERS && chosen) w.dtype = TN_I32;
        if (fault == OTHER_PREFIX) w.name = arena_printf(&cx.arena, "model.%s", w.name);
        t[count++] = w;
    }
    st_write(&cx, "m/model.safetensors", t, count);
    cx_free(&cx);
}

static void test_weights(void **state) {
    (void)state;
    const char *inner = "encoder.layer.1.intermediate.dense.weight";
    write_config(ACT, ACT);
    expect_compile(TENON_E_IO,
                   "m: no weights: neither 'model.safetensors' nor 'model.safetensors.index.json'");
    write_weights(MISSING, inner);
    expect_compile(
        TENON_E_MODEL,
        "m: tensor 'encoder.layer.1.intermediate.dense.weight' of shape [44, 36] is missing");
    write_weights(TRANSPOSED, inner);
    expect_compile(TENON_E_MODEL, "m: tensor 'encoder.layer.1.intermediate.dense.weight' has shape "
                                  "[36, 44], wanted [44, 36]");
    write_weights(OTHER_PREFIX, "");
    expect_compile(TENON_E_MODEL,
                   "m: tensor 'embeddings.word_embeddings.weight' of shape [83, 36] is missing; "
                   "there is 'model.embeddings.word_embeddings.weight'");
    write_weights(INTEGERS, inner);
    expect_compile(TENON_E_UNSUPPORTED, "m: tensor 'encoder.layer.1.intermediate.dense.weight' has "
                                        "element type i32; f32, f16, bf16 and f64 are supported");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, make_folder, empty_folder),
        cmocka_unit_test_setup_teardown(test_model_type_of_a_megabyte, make_folder, empty_folder),
        cmocka_unit_test_setup_teardown(test_sizes_that_contradict_the_weights, make_folder,
                                        empty_folder),
        cmocka_unit_test_setup_teardown(test_weights, make_folder, empty_folder),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
