import Glibc
import Synchronization

/// SIGINT and SIGTERM during training: the step is finished, the place is saved, the next run goes on there.
enum StopSignal {
    private static let received = Atomic<Bool>(false)

    static func install() {
        let handler: @convention(c) (Int32) -> Void = { _ in StopSignal.received.store(true, ordering: .relaxed) }
        signal(SIGINT, handler)
        signal(SIGTERM, handler)
    }

    static var isReceived: Bool { received.load(ordering: .relaxed) }
}
