/* CPU features by cpuid and XCR0; CPU count by affinity mask and cgroup quota.
 *
 * A level counts only if the operating system saves its registers: AVX2 needs XMM and YMM state,
 * AVX-512 the opmask and ZMM state too (Intel SDM volume 1, 13.3). */
#define _GNU_SOURCE /* sched_getaffinity */
#include "runtime/base/cpu.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const isa_names[TN_ISA_COUNT] = {"scalar", "avx2", "avx512", "avx512_vnni",
                                                    "avx512_bf16"};

#if defined(__x86_64__)
static uint32_t saved_state(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

TnIsa tn_cpu_isa(void) {
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned avx2 = 1u << 5, bmi2 = 1u << 8;
    const unsigned avx512f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return TN_ISA_SCALAR;
    const unsigned need1 = fma | osxsave | avx | f16c;
    if ((c & need1) != need1) return TN_ISA_SCALAR;
    uint32_t state = saved_state();
    if ((state & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return TN_ISA_SCALAR;
    if ((b & (avx2 | bmi2)) != (avx2 | bmi2)) return TN_ISA_SCALAR;
    if ((state & 0xe0) != 0xe0 || (b & avx512f_dq_bw_vl) != avx512f_dq_bw_vl) return TN_ISA_AVX2;
    const unsigned avx512_vnni = 1u << 11, avx512_bf16 = 1u << 5;
    if (!(c & avx512_vnni)) return TN_ISA_AVX512;
    bool bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & avx512_bf16;
    return bf16 ? TN_ISA_AVX512_BF16 : TN_ISA_AVX512_VNNI;
}
#else
TnIsa tn_cpu_isa(void) {
    return TN_ISA_SCALAR;
}
#endif

const char *tn_isa_name(TnIsa isa) {
    return (unsigned)isa < TN_ISA_COUNT ? isa_names[isa] : "unknown";
}

bool tn_isa_parse(const char *name, TnIsa *isa) {
    for (unsigned i = 0; i < TN_ISA_COUNT; i++) {
        if (strcmp(name, isa_names[i]) != 0) continue;
        *isa = (TnIsa)i;
        return true;
    }
    return false;
}

static int affinity_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than cpu_set_t holds */
    return n > 0 ? (int)n : 1;
}

/* The path of this process in the cgroup v2 tree ("0::/path"), or "" when it cannot be told. */
static void cgroup_path(char *path, size_t size) {
    path[0] = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f) return;
    char line[1024];
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(path, size, "%s", line + 3);
        break;
    }
    fclose(f);
}

/* CPUs that one group's quota allows, rounded up; 0 = no quota. v2 keeps "quota period" in cpu.max,
 * v1 two files. */
static int group_quota(const char *path) {
    char name[1200];
    long long quota = 0, period = 0;
    snprintf(name, sizeof name, "/sys/fs/cgroup%s/cpu.max", path);
    FILE *f = fopen(name, "re");
    if (f) {
        int n = fscanf(f, "%lld %lld", &quota, &period); /* "max 100000" reads no number */
        fclose(f);
        return n == 2 && quota > 0 && period > 0 ? (int)((quota - 1) / period + 1) : 0;
    }
    if (path[0]) return 0;
    f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
    if (!f) return 0;
    int n = fscanf(f, "%lld", &quota);
    fclose(f);
    f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
    if (!f) return 0;
    n += fscanf(f, "%lld", &period);
    fclose(f);
    return n == 2 && quota > 0 && period > 0 ? (int)((quota - 1) / period + 1) : 0;
}

int tn_cpu_count(void) {
    int count = affinity_count();
    char path[1024];
    cgroup_path(path, sizeof path);
    for (;;) { /* every ancestor's quota binds */
        if (strcmp(path, "/") == 0) path[0] = 0;
        int quota = group_quota(path);
        if (quota > 0 && quota < count) count = quota;
        char *slash = strrchr(path, '/');
        if (!slash) break;
        *slash = 0;
    }
    return count > 1 ? count : 1;
}
