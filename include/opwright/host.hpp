// opwright/host.hpp - services that a program gives to the ops it calls, for plugin.hpp.
#ifndef OPWRIGHT_HOST_HPP
#define OPWRIGHT_HOST_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <opwright/plugin.h>

namespace opwright {

namespace detail {
struct HostBridge;
}

/// Services of a program that calls ops, for one that has a pool of threads or an allocator. What is empty is done by
/// the plugin's own runtime. An exception of parallelFor, threads or allocate ends the call and comes out of it.
struct Host {
  /// A part of a launch: call it with ranges that do not overlap and cover [0, count), from any threads.
  class Body {
  public:
    void operator()(int64_t begin, int64_t end) const noexcept {
      if (opw_status_t s = function(argument, begin, end)) {
        opw_status_t none = OPW_OK;
        status->compare_exchange_strong(none, s);
      }
    }

  private:
    friend struct detail::HostBridge;
    Body(opw_body_t f, void *arg, std::atomic<opw_status_t> &first) : function(f), argument(arg), status(&first) {}
    opw_body_t function;
    void *argument;
    std::atomic<opw_status_t> *status;
  };
  /// Returns, or throws, when no thread is in `body` any more; ranges smaller than `grain` do not pay.
  std::function<void(int64_t count, int64_t grain, const Body &body)> parallelFor;
  std::function<int32_t()> threads;
  std::function<void *(size_t bytes, size_t align)> allocate; ///< null: refused
  std::function<void(void *)> release;                        ///< must not throw
  std::function<void(int32_t level, const char *text)> log;   ///< 1 error to 4 debug; any thread; must not throw
};

namespace detail {

/// A host's services as plugin.h has them. Exceptions do not cross the library: they wait here until it has returned.
struct HostBridge {
  const Host &host;
  std::exception_ptr failure;

  opw_host_t table() {
    opw_host_t t{};
    t.struct_size = sizeof t;
    t.ctx = this;
    if (host.parallelFor)
      t.parallel_for = [](void *self, int64_t count, int64_t grain, opw_body_t body, void *arg) -> opw_status_t {
        auto &bridge = *static_cast<HostBridge *>(self);
        std::atomic<opw_status_t> status{OPW_OK};
        return bridge.guard<opw_status_t>(OPW_E_HOST, [&] {
          bridge.host.parallelFor(count, grain, Host::Body(body, arg, status));
          return status.load();
        });
      };
    if (host.threads)
      t.threads = [](void *self) {
        auto &bridge = *static_cast<HostBridge *>(self);
        return bridge.guard<int32_t>(1, [&] { return bridge.host.threads(); });
      };
    if (host.allocate)
      t.allocate = [](void *self, int32_t, int32_t, void *, size_t bytes, size_t align) {
        auto &bridge = *static_cast<HostBridge *>(self);
        return bridge.guard<void *>(nullptr, [&] { return bridge.host.allocate(bytes, align); });
      };
    if (host.release)
      t.release = [](void *self, int32_t, int32_t, void *, void *memory) noexcept {
        static_cast<HostBridge *>(self)->host.release(memory);
      };
    if (host.log)
      t.log = [](void *self, int32_t level, const char *text) noexcept {
        static_cast<HostBridge *>(self)->host.log(level, text);
      };
    return t;
  }
  template <class R, class Function> R guard(R failed, Function &&function) noexcept {
    try {
      return function();
    } catch (...) {
      failure = std::current_exception();
      return failed;
    }
  }
};

} // namespace detail
} // namespace opwright
#endif
