import Tensors
import Testing

@Suite struct MachineMemoryTests {
    @Test func everyGroupAroundTheProcessMayLimitIt() {
        #expect(
            MachineMemory.controlGroupFiles(in: "0::/system.slice/cron.service\n") == [
                "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/system.slice/cron.service/memory.max",
            ])
        #expect(
            MachineMemory.controlGroupFiles(in: "8:pids:/\n4:memory,hugetlb:/a:b\n") == [
                "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/a:b/memory.limit_in_bytes",
            ])
        for text in ["", "\n", "nonsense", "4:memory", "4:memory:relative", ":::"] {
            #expect(MachineMemory.controlGroupFiles(in: text).isEmpty, "\(text)")
        }
    }

    @Test func noLimitIsNone() {
        #expect(MachineMemory.limit(in: "1073741824\n") == 1 << 30)
        for text in ["max\n", "9223372036854771712\n", "0", "", "-1", "99999999999999999999"] {
            #expect(MachineMemory.limit(in: text) == nil, "\(text)")
        }
    }

    @Test func thisMachineHasSome() {
        #expect(MachineMemory.bytes > 64 << 20 && MachineMemory.usual < MachineMemory.bytes)
    }
}
