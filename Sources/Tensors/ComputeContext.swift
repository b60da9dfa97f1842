import Dispatch
import Glibc
import Synchronization

/// How much of the machine a computation may use (workers, instruction set, memory), and how convolutions are computed.
/// Results depend on the instruction set and on that method only, never on the number of workers or on scheduling.
package struct ComputeContext: Sendable {
    package let workers: Int
    package let instructionSet: InstructionSet
    package let convolutionMethod: ConvolutionMethod
    /// What tensors may take, in bytes. Planned before anything is computed; what does not fit is cut or refused.
    package let memoryLimit: Int

    /// - Parameters:
    ///   - workers: threads that share a parallel region; by default the processors that are online.
    ///   - instructionSet: by default the best that this processor has.
    ///   - convolutionMethod: by default the fastest for every shape.
    ///   - memoryLimit: by default ``MachineMemory/usual``.
    /// - Precondition: `workers` is positive and the processor supports `instructionSet`.
    package init(
        workers: Int? = nil, instructionSet: InstructionSet? = nil, convolutionMethod: ConvolutionMethod = .automatic,
        memoryLimit: Int? = nil
    ) {
        let workers = workers ?? ComputeContext.onlineProcessors
        let instructionSet = instructionSet ?? .best
        precondition(workers > 0, "a computation needs at least one worker")
        precondition(instructionSet.isSupported, "this processor has no \(instructionSet.rawValue)")
        self.workers = workers
        self.instructionSet = instructionSet
        self.convolutionMethod = convolutionMethod
        self.memoryLimit = memoryLimit ?? MachineMemory.usual
    }

    package func with(memoryLimit: Int) -> ComputeContext {
        ComputeContext(
            workers: workers, instructionSet: instructionSet, convolutionMethod: convolutionMethod,
            memoryLimit: memoryLimit)
    }

    package static var onlineProcessors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Runs `body` once for every task in `0..<tasks`, on up to `workers` threads, and returns when all are done.
    /// Tasks are handed out in order by an atomic counter; `worker` is below `workers` and no two bodies run at the same
    /// time with the same worker, so it may index scratch memory. Waking another core costs about 100 microseconds: give
    /// one task (it runs inline) to less than about 200 microseconds of work.
    package func parallel(tasks: Int, _ body: @Sendable (_ task: Int, _ worker: Int) -> Void) {
        let threads = min(workers, tasks)
        guard threads > 1 else {
            for task in 0..<max(0, tasks) { body(task, 0) }
            return
        }
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: threads) { worker in
            while true {
                let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard task < tasks else { return }
                body(task, worker)
            }
        }
    }

    /// Splits `0..<count` into contiguous ranges of at least `grain` elements and runs `body` on each in parallel.
    /// For work whose result does not depend on where it is cut (element by element); reductions use fixed blocks.
    package func parallel(count: Int, grain: Int, _ body: @Sendable (_ range: Range<Int>) -> Void) {
        guard count > 0 else { return }
        let tasks = max(1, min(4 * workers, count / max(1, grain)))
        guard tasks > 1, workers > 1 else { return body(0..<count) }
        // Multiples of 16 floats: two workers never write to one cache line.
        let step = ((count + tasks - 1) / tasks + 15) / 16 * 16
        parallel(tasks: (count + step - 1) / step) { task, _ in
            body(task * step..<min(count, (task + 1) * step))
        }
    }

    /// Runs tasks in parallel where `flops` floating point operations are worth waking the other cores; else inline.
    func parallel(tasks: Int, flops: Int, _ body: @Sendable (_ task: Int, _ worker: Int) -> Void) {
        if flops < ComputeContext.parallelFlops {
            for task in 0..<max(0, tasks) { body(task, 0) }
        } else {
            parallel(tasks: tasks, body)
        }
    }

    /// About 200 microseconds on one core with AVX-512.
    private static let parallelFlops = 20_000_000
}
