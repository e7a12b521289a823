/* Where the time of a plan's runs goes: per instruction, kind and part of the model. */
#ifndef TENON_TOOLS_PROFILE_H
#define TENON_TOOLS_PROFILE_H

#include "ir/text.h"
#include "tools/roof.h"
#include "tools/trace.h"

/* An instruction, over all runs. Of branches and loops only their own time, without what they run:
 * the instructions of bodies are lines of their own. */
typedef struct ProfileLine {
    const char *opcode, *node, *group;
    int64_t calls;           /* of all runs */
    int64_t run, least, sum; /* nanoseconds: of the present run, the quickest, all */
    double flops, bytes;     /* of one run */
    RooflineType type;       /* of the arithmetic */
    int passes;              /* how often that is done: 2 for rows of two limbs */
    bool moves;
} ProfileLine;

typedef struct ProfileEvent {
    int32_t instruction;
    int64_t start, duration; /* nanoseconds since the run began */
} ProfileEvent;

#define PROFILE_DEPTH 64
typedef struct Profile {
    Arena *arena;
    const PlanRun *run;
    Roof roof;          /* looked at before the runs and after */
    ProfileLine *lines; /* per instruction of the plan */
    uint32_t count;
    int runs;
    bool first;                   /* the first run counts events, flops and bytes instead of time */
    int64_t inner[PROFILE_DEPTH]; /* time of what an open branch or loop has run, by depth */
    ProfileEvent *events;         /* of the last run, in the order they ended */
    size_t event_count, event_room;
    double began_ms;
} Profile;

/* Traces one run for what is counted; then each run between begin and end is measured. */
void profile_start(Tool *t, Profile *p, const PlanRun *r);
void profile_begin(Profile *p);
void profile_end(Profile *p);
/* Ends the trace. */
void profile_stop(Profile *p);

/* Tables: instructions by time, kinds, parts of the model. */
void profile_print(Tool *t, const Profile *p);
/* ,"roofline":{...},"profile":[...],"opcodes":[...],"modules":[...],"data_movement":{...} */
void profile_json(TextBuffer *x, const Profile *p);
/* The last run in Chrome's trace event format, which Perfetto opens. */
const char *profile_trace(const Profile *p);

#endif
