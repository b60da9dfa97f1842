import Glibc

/// A clock that nobody sets: for budgets, patience and how long something took; it tells no date.
package enum MonotonicClock {
    /// Since some moment before the process began.
    package static func nanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    package static func seconds() -> Double { Double(nanoseconds()) / 1e9 }
}
