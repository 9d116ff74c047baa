// Times of launches, recorded while somebody asks for them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace opw::python {

struct LaunchRecord {
  std::string kernel;
  uint32_t grid[3];
  int64_t startNs; ///< of the monotonic clock
  int64_t durationNs;
  uint64_t thread; ///< the system's number of the thread that launched
};

/// Any thread may call these. Off: one load and one branch per launch.
bool isProfiling();
void setProfiling(bool on);
/// What was recorded since the last call, by the time at which the launches ended.
std::vector<LaunchRecord> takeLaunchRecords();

/// Records the launch that lasts from its making to its end, if profiling is on at its start.
class LaunchTimer {
public:
  LaunchTimer(const std::string &kernel, const uint32_t (&grid)[3]);
  ~LaunchTimer();
  LaunchTimer(const LaunchTimer &) = delete;
  LaunchTimer &operator=(const LaunchTimer &) = delete;

private:
  const std::string &kernel;
  const uint32_t (&grid)[3];
  int64_t startNs = -1;
};

} // namespace opw::python
