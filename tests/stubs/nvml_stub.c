/* A libnvidia-ml.so.1 that answers as the file scenario.txt beside it says. Built by tests/stubs/driver_stub.py.
 *
 * Lines: `FUNCTION CODE` makes a call return a code, `FUNCTION hang` makes it wait for ever,
 * `lost_after N` lets the first N questions to a card pass and answers 15 (GPU is lost) to all later ones,
 * `lost_card N` answers 15 for that card only, `cards N`, `used_mib N`, `reasons N`, `busy PERCENT`,
 * `process PID`, `process_mib N` (of the one process, which is on card 0), `crash FUNCTION`,
 * `lanes N` and `generation N` (of the PCIe link, at most).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int asked;

static int find(const char *name, char *word, size_t size) {
    Dl_info info;
    char path[4096], line[256], key[128], value[128];
    if (!dladdr((void *)find, &info) || strlen(info.dli_fname) > 4000) return 0;
    strcpy(path, info.dli_fname);
    strcpy(strrchr(path, '/') + 1, "scenario.txt");
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int found = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%127s %127s", key, value) == 2 && !strcmp(key, name)) {
            snprintf(word, size, "%s", value);
            found = 1;
        }
    fclose(file);
    return found;
}

static long number(const char *name, long otherwise) {
    char word[128];
    return find(name, word, sizeof word) ? atol(word) : otherwise;
}

static int system_call(const char *name) {
    char word[128];
    if (find("crash", word, sizeof word) && !strcmp(word, name)) abort();
    if (!find(name, word, sizeof word)) return 0;
    while (!strcmp(word, "hang")) pause();
    return atoi(word);
}

static int card_call(const char *name) {
    long limit = number("lost_after", -1);
    if (limit >= 0 && asked++ >= limit) return 15;
    return system_call(name);
}

#define SYSTEM int code = system_call(__func__); if (code) return code
#define CARD \
    int code = card_call(__func__); \
    if (code) return code; \
    if ((long)handle == number("lost_card", -2) + 1) return 15
typedef void *card;

const char *nvmlErrorString(int code) { (void)code; return "words of the stub"; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; SYSTEM; return 0; }
int nvmlInit_v2(void) { SYSTEM; return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { SYSTEM; snprintf(text, size, "570.169"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { SYSTEM; *version = 12080; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { SYSTEM; *count = number("cards", 2); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, card *handle) { CARD; *handle = (card)(long)(index + 1); return 0; }
int nvmlDeviceGetName(card handle, char *text, unsigned size) {
    CARD;
    snprintf(text, size, "NVIDIA GeForce RTX 30%d0 Ti", handle == (card)1 ? 8 : 6);
    return 0;
}
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char text[32]; };
int nvmlDeviceGetPciInfo_v3(card handle, struct pci *found) {
    CARD;
    memset(found, 0, sizeof *found);
    found->bus = (unsigned)(long)handle;
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(card handle, int *major, int *minor) { (void)handle; CARD; *major = 8; *minor = 6; return 0; }
struct memory { unsigned long long total, free, used; };
int nvmlDeviceGetMemoryInfo(card handle, struct memory *found) {
    (void)handle;
    CARD;
    found->total = 12288ULL << 20;
    found->used = (unsigned long long)number("used_mib", 812) << 20;
    found->free = found->total - found->used;
    return 0;
}
int nvmlDeviceGetTemperature(card handle, int sensor, unsigned *value) { (void)handle; (void)sensor; CARD; *value = 41; return 0; }
int nvmlDeviceGetPowerUsage(card handle, unsigned *value) { (void)handle; CARD; *value = 21000; return 0; }
int nvmlDeviceGetEnforcedPowerLimit(card handle, unsigned *value) { (void)handle; CARD; *value = 350000; return 0; }
int nvmlDeviceGetPowerManagementDefaultLimit(card handle, unsigned *value) { (void)handle; CARD; *value = 350000; return 0; }
int nvmlDeviceGetClockInfo(card handle, int kind, unsigned *value) { (void)handle; (void)kind; CARD; *value = 210; return 0; }
int nvmlDeviceGetMaxClockInfo(card handle, int kind, unsigned *value) { (void)handle; (void)kind; CARD; *value = 2100; return 0; }
int nvmlDeviceGetCurrentClocksEventReasons(card handle, unsigned long long *value) { (void)handle; CARD; *value = number("reasons", 1); return 0; }
int nvmlDeviceGetTotalEccErrors(card handle, int kind, int counter, unsigned long long *value) { (void)handle; (void)kind; (void)counter; CARD; *value = 0; return 0; }
int nvmlDeviceGetRemappedRows(card handle, unsigned *a, unsigned *b, unsigned *c, unsigned *d) { (void)handle; CARD; *a = *b = *c = *d = 0; return 0; }
int nvmlDeviceGetCurrPcieLinkGeneration(card handle, unsigned *value) { (void)handle; CARD; *value = 1; return 0; }
int nvmlDeviceGetCurrPcieLinkWidth(card handle, unsigned *value) { (void)handle; CARD; *value = 16; return 0; }
int nvmlDeviceGetMaxPcieLinkWidth(card handle, unsigned *value) { (void)handle; CARD; *value = number("lanes", 16); return 0; }
int nvmlDeviceGetComputeMode(card handle, unsigned *value) { (void)handle; CARD; *value = number("compute_mode", 0); return 0; }
int nvmlDeviceGetMigMode(card handle, unsigned *now, unsigned *next) { (void)handle; CARD; *now = *next = 0; return 0; }
struct rates { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(card handle, struct rates *found) { (void)handle; CARD; found->gpu = number("busy", 0); found->memory = number("memory_busy", 0); return 0; }
int nvmlDeviceGetFanSpeed(card handle, unsigned *value) { (void)handle; CARD; *value = 30; return 0; }
int nvmlDeviceGetPcieThroughput(card handle, int counter, unsigned *value) { (void)handle; CARD; *value = counter ? 2048 : 1024; return 0; }
int nvmlDeviceGetMaxPcieLinkGeneration(card handle, unsigned *value) { (void)handle; CARD; *value = number("generation", 4); return 0; }
int nvmlDeviceGetPersistenceMode(card handle, unsigned *value) { (void)handle; CARD; *value = 1; return 0; }
struct process { unsigned id; unsigned long long used; unsigned instance, compute; };
int nvmlDeviceGetComputeRunningProcesses_v3(card handle, unsigned *count, struct process *rows) {
    CARD;
    if (handle != (card)1) { *count = 0; return 0; }
    if (!rows || *count < 1) { *count = 1; return 7; }
    rows[0].id = (unsigned)number("process", 1);
    rows[0].used = (unsigned long long)number("process_mib", 614) << 20;
    *count = 1;
    return 0;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(card handle, unsigned *count, struct process *rows) { (void)handle; (void)rows; CARD; *count = 0; return 0; }
