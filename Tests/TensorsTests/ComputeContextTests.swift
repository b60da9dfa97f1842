import Foundation
import Tensors
import Testing

/// A lock that ThreadSanitizer sees: of a contended `Mutex` it does not see the library's part, and reports a race.
private final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }
}

/// Rules of ``ComputeContext`` and ``AlignedArena``:
/// 1. Every task runs exactly once, and never two at a time with one worker number.
/// 2. No task is no call; ranges cover their count without gaps and begin at multiples of 16.
/// 3. An arena is aligned to a huge page and full of zeros.
@Suite struct ComputeContextTests {
    @Test("runs every task once", arguments: [1, 2, 5], [0, 1, 2, 100])
    func tasks(workers: Int, tasks: Int) {
        let context = ComputeContext(workers: workers)
        let runs = Locked([Int](repeating: 0, count: tasks))
        let busy = Locked([Bool](repeating: false, count: workers))
        context.parallel(tasks: tasks) { task, worker in
            let free = busy.withLock { busy in
                defer { busy[worker] = true }
                return !busy[worker]
            }
            #expect(free)
            runs.withLock { $0[task] += 1 }
            busy.withLock { $0[worker] = false }
        }
        #expect(runs.withLock { $0.allSatisfy { $0 == 1 } })
    }

    @Test("cuts ranges without gaps", arguments: [0, 1, 15, 16, 17, 1000, 12345])
    func ranges(count: Int) {
        let found = Locked([Range<Int>]())
        ComputeContext(workers: 3).parallel(count: count, grain: 10) { range in found.withLock { $0.append(range) } }
        let ranges = found.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
        #expect(ranges.reduce(0) { $1.lowerBound == $0 && !$1.isEmpty ? $1.upperBound : -1 } == count)
        #expect(ranges.allSatisfy { $0.lowerBound % 16 == 0 })
    }

    @Test("knows what this processor has")
    func instructionSets() {
        #expect(InstructionSet.scalar.isSupported)
        #expect(InstructionSet.best.isSupported)
        #expect(ComputeContext().workers >= 1)
        #expect(ComputeContext().instructionSet == .best)
    }

    @Test("makes aligned arenas of zeros", arguments: [0, 1, 1_000_000])
    func arenas(count: Int) {
        let arena = AlignedArena(count: count)
        #expect(UInt(bitPattern: arena.base) % UInt(AlignedArena.alignment) == 0)
        #expect(arena.slice(offset: 0, count: count).allSatisfy { $0 == 0 })
        #expect(arena.slice(offset: count, count: 0).isEmpty)
    }
}
