#include "core/cpu_count.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace opw::runtime {
namespace {

int32_t affinityCpus() {
  unsigned long mask[1024 / sizeof(unsigned long)]; // room for 8192 CPUs
  long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  if (bytes <= 0)
    return 1;
  int32_t n = 0;
  for (size_t i = 0; i < static_cast<size_t>(bytes) / sizeof mask[0]; ++i)
    for (unsigned long word = mask[i]; word != 0; word &= word - 1)
      ++n;
  return n > 0 ? n : 1;
}

bool readText(const char *path, char *text, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, text, room - 1);
  close(fd);
  if (n <= 0)
    return false;
  text[n] = 0;
  return true;
}

/// A decimal number; moves `p` behind it. -1 where there is none.
int64_t number(const char *&p) {
  while (*p == ' ')
    ++p;
  if (*p < '0' || *p > '9')
    return -1;
  int64_t v = 0;
  for (; *p >= '0' && *p <= '9' && v < int64_t{1} << 50; ++p)
    v = v * 10 + (*p - '0');
  return v;
}

int32_t cpusOf(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0)
    return INT32_MAX;
  int64_t n = (quota + period - 1) / period;
  return n < INT32_MAX ? static_cast<int32_t>(n) : INT32_MAX;
}

/// cgroup v2: "QUOTA PERIOD" or "max PERIOD" in cpu.max of `group` and of every group above it.
int32_t quotaV2(char *group) {
  int32_t least = INT32_MAX;
  for (;;) {
    char path[600], text[64];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    if (readText(path, text, sizeof text)) {
      const char *p = text;
      int64_t quota = number(p);
      int32_t n = quota < 0 ? INT32_MAX : cpusOf(quota, number(p));
      least = n < least ? n : least;
    }
    char *slash = strrchr(group, '/');
    if (!slash)
      return least;
    *slash = 0;
  }
}

int32_t quotaV1() {
  char quota[32], period[32];
  if (!readText("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
      !readText("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
    return INT32_MAX;
  const char *q = quota, *p = period;
  return cpusOf(number(q), number(p));
}

int32_t quotaCpus() {
  char text[1024], group[512] = "";
  if (readText("/proc/self/cgroup", text, sizeof text)) {
    const char *line = strstr(text, "0::/");
    if (line) {
      line += 3;
      size_t n = strcspn(line, "\n");
      if (n > 1 && n < sizeof group) {
        memcpy(group, line, n);
        group[n] = 0;
      }
    }
  }
  int32_t a = quotaV2(group), b = quotaV1();
  return a < b ? a : b;
}

} // namespace

int32_t usableCpus() {
  int32_t have = affinityCpus(), may = quotaCpus();
  return have < may ? have : may;
}

} // namespace opw::runtime
