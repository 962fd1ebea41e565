/* A libcuda.so.1 whose cuInit answers as the file scenario.txt beside it says: `cuInit CODE` or `cuInit hang`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cuInit(unsigned flags) {
    Dl_info info;
    char path[4096], line[256], word[128];
    (void)flags;
    if (!dladdr((void *)cuInit, &info) || strlen(info.dli_fname) > 4000) return 999;
    strcpy(path, info.dli_fname);
    strcpy(strrchr(path, '/') + 1, "scenario.txt");
    FILE *file = fopen(path, "r");
    int code = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "cuInit %127s", word) == 1) {
            while (!strcmp(word, "hang")) pause();
            if (!strcmp(word, "crash")) abort();
            code = atoi(word);
        }
    if (file) fclose(file);
    return code;
}
int cuDriverGetVersion(int *version) { *version = 12080; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuGetErrorName(int code, const char **name) { *name = code == 804 ? "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE" : "CUDA_ERROR_OF_THE_STUB"; return 0; }
