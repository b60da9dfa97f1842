import Dispatch
import Synchronization
import Tensors

/// One batch's pictures, to be read.
struct BatchRequest: Equatable, Sendable {
    let indices: [Int]
    /// Seeds the augmentation; nil reads the pictures as they are.
    let epoch: Int?
}

/// Fills batches ahead of need, beside the computation, in one of two buffers by turns.
///
/// Which thread fills a picture, and when, has no influence on what is filled. Not for use by several threads.
final class BatchLoader {
    private let data: any PictureSource
    private let pictureCount: Int
    private let slots: [FloatPointer]
    private let context: ComputeContext
    private let queue = DispatchQueue(label: "consilium.batches")
    private let group = DispatchGroup()
    private let failure = FirstFailure()
    private var pending: BatchRequest?
    private var turn = 0

    /// - Parameter slots: two buffers of a batch each, which outlive the loader.
    init(
        data: any PictureSource, pictureCount: Int, slots: [UnsafeMutablePointer<Float>], context: ComputeContext
    ) {
        self.data = data
        self.pictureCount = pictureCount
        self.slots = slots.map { FloatPointer(pointer: $0) }
        self.context = context
    }

    deinit { group.wait() }

    /// The pictures of `request`, valid until the next call. Starts on `next` before it returns.
    func load(_ request: BatchRequest, next: BatchRequest?) throws -> UnsafePointer<Float> {
        if pending != request {
            // Nothing was announced, or something else: after a start or a resumption.
            group.wait()
            start(request)
        }
        group.wait()
        let ready = slots[turn]
        pending = nil
        if let error = failure.take() { throw error }
        turn = (turn + 1) % slots.count
        if let next { start(next) }
        return UnsafePointer(ready.pointer)
    }

    private func start(_ request: BatchRequest) {
        pending = request
        let (data, count, context, slot, failure) = (data, pictureCount, context, slots[turn], failure)
        queue.async(group: group) {
            context.parallel(tasks: request.indices.count) { task, _ in
                let picture = UnsafeMutableBufferPointer(start: slot.pointer + task * count, count: count)
                do {
                    try data.fill(request.indices[task], epoch: request.epoch, into: picture)
                } catch {
                    failure.note(error, task: task)
                }
            }
        }
    }
}

/// A pointer that is handed to workers, which write to disjoint parts.
struct FloatPointer: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
}

/// Keeps the failure of the lowest task, so that the same error is told whatever the scheduling.
final class FirstFailure: Sendable {
    private struct Failure {
        let task: Int
        let error: any Error
    }
    private let first = Mutex<Failure?>(nil)

    func note(_ error: any Error, task: Int) {
        first.withLock { known in
            if task < known?.task ?? Int.max { known = Failure(task: task, error: error) }
        }
    }

    func take() -> (any Error)? {
        first.withLock { known in
            defer { known = nil }
            return known?.error
        }
    }
}
