/* Reads handwritten digits with a plan, through the C API alone.
 *
 *     digits_show PLAN pictures.bin [OTHER.plan]
 *
 * pictures.bin holds one record of 65 bytes per picture: the label, then 8x8 intensities 0..16. The
 * program draws a row of them with the plan's answer under each, and counts the right answers over
 * all. Given a second plan it runs that too and says how far the two differ. Exit status 0; 1 if
 * something failed or the plans disagree.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/tenon.h"

enum {
    SIDE = 8,
    PIXELS = SIDE * SIDE,
    RECORD = 1 + PIXELS,
    CLASSES = 10,
    DRAWN = 8,
    PER_LINE = 4,
    MAX_PICTURES = 10000
};

typedef struct Pictures {
    int count;
    unsigned char *records; /* [count, RECORD] */
    float *pixel_values;    /* [count, 1, SIDE, SIDE], what the model takes */
} Pictures;

static int fail(const char *what, const char *why) {
    fprintf(stderr, "digits_show: %s: %s\n", what, why);
    return -1;
}

static int read_pictures(const char *path, Pictures *p) {
    FILE *f = fopen(path, "rb");
    if (!f) return fail(path, strerror(errno));
    p->records = malloc((size_t)MAX_PICTURES * RECORD);
    size_t count = p->records ? fread(p->records, RECORD, MAX_PICTURES, f) : 0;
    fclose(f);
    p->count = (int)count;
    p->pixel_values = malloc(count * PIXELS * sizeof(float));
    if (count == 0 || !p->pixel_values) return fail(path, "no pictures");
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < PIXELS; k++)
            p->pixel_values[i * PIXELS + k] = (float)p->records[i * RECORD + 1 + k] / 8.0f - 1.0f;
    }
    return 0;
}

/* logits [count, CLASSES] of all pictures in one run of the plan. */
static int run_plan(const char *path, const Pictures *p, float *logits) {
    tenon_error err;
    tenon_plan *plan = NULL;
    tenon_session *session = NULL;
    tenon_tensor in = {
        .dtype = TENON_F32, .rank = 4, .dims = {p->count, 1, SIDE, SIDE}, .data = p->pixel_values};
    tenon_tensor out = {.dtype = TENON_F32,
                        .rank = 2,
                        .dims = {p->count, CLASSES},
                        .data = logits,
                        .bytes = (size_t)p->count * CLASSES * sizeof(float)};
    int ok = tenon_plan_open(path, NULL, &plan, &err) == TENON_OK &&
             tenon_session_create(plan, NULL, &session, &err) == TENON_OK &&
             tenon_session_bind(session, "pixel_values", &in, &err) == TENON_OK &&
             tenon_session_bind(session, "logits", &out, &err) == TENON_OK &&
             tenon_session_run(session, &err) == TENON_OK;
    if (!ok) fail(path, err.text);
    tenon_session_destroy(session);
    tenon_plan_close(plan);
    return ok ? 0 : -1;
}

static int answer(const float *logits) {
    int best = 0;
    for (int c = 1; c < CLASSES; c++) {
        if (logits[c] > logits[best]) best = c;
    }
    return best;
}

/* One line of pictures: two columns of text per pixel, darker characters for more ink. */
static void draw_line(const Pictures *p, const int *which, int n, const float *logits) {
    static const char *const shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
    for (int row = 0; row < SIDE; row++) {
        for (int i = 0; i < n; i++) {
            const unsigned char *pixels = p->records + (size_t)which[i] * RECORD + 1 + row * SIDE;
            for (int col = 0; col < SIDE; col++)
                fputs(shades[pixels[col] > 13 ? 4 : (pixels[col] + 3) / 4], stdout);
            fputs("  ", stdout);
        }
        putchar('\n');
    }
    for (int i = 0; i < n; i++) {
        int said = answer(logits + (size_t)which[i] * CLASSES);
        int is = p->records[(size_t)which[i] * RECORD];
        char text[32];
        snprintf(text, sizeof text, "%d", said);
        if (said != is) snprintf(text, sizeof text, "%d (is %d)", said, is);
        printf("  %-*s", 2 * SIDE, text);
    }
    printf("\n\n");
}

static void draw(const Pictures *p, const int *which, int n, const float *logits) {
    for (int i = 0; i < n; i += PER_LINE)
        draw_line(p, which + i, n - i < PER_LINE ? n - i : PER_LINE, logits);
}

/* Draws the first pictures, then those that were read wrongly; prints how many were right. */
static void show(const Pictures *p, const float *logits) {
    int first[DRAWN] = {0}, wrong[DRAWN] = {0}, drawn = 0, wrong_count = 0, right = 0;
    for (int i = 0; i < p->count; i++) {
        if (answer(logits + (size_t)i * CLASSES) == p->records[(size_t)i * RECORD]) {
            right++;
        } else if (wrong_count < DRAWN) {
            wrong[wrong_count++] = i;
        }
        if (drawn < DRAWN) first[drawn++] = i;
    }
    draw(p, first, drawn, logits);
    if (wrong_count) printf("Read wrongly:\n\n");
    draw(p, wrong, wrong_count, logits);
    printf("%d of %d pictures right (%.1f %%)\n", right, p->count, 100.0 * right / p->count);
}

/* Says how far the logits of the two plans are apart; fails
 * if any pair is further than 1e-4 or not a number. */
static int compare(const Pictures *p, const float *a, const float *b) {
    float largest = 0.0f;
    int apart = 0;
    for (int i = 0; i < p->count * CLASSES; i++) {
        float d = fabsf(a[i] - b[i]);
        if (d > largest) largest = d;
        apart += !(d <= 1e-4f);
    }
    printf("both plans: largest difference between two logits %.2g\n", (double)largest);
    return apart == 0 ? 0 : fail("compare", "the plans disagree");
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: digits_show PLAN pictures.bin [OTHER.plan]\n");
        return 2;
    }
    Pictures p = {0};
    float *logits = calloc((size_t)2 * MAX_PICTURES * CLASSES, sizeof(float));
    int status = logits ? read_pictures(argv[2], &p) : -1;
    float *others = logits ? logits + (size_t)MAX_PICTURES * CLASSES : NULL;
    if (status == 0) status = run_plan(argv[1], &p, logits);
    if (status == 0) show(&p, logits);
    if (status == 0 && argc == 4) status = run_plan(argv[3], &p, others);
    if (status == 0 && argc == 4) status = compare(&p, logits, others);
    free(p.records);
    free(p.pixel_values);
    free(logits);
    return status == 0 ? 0 : 1;
}
