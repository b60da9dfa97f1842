import Glibc
import Synchronization
package import SystemPackage

/// Patience with one share, and the end of it. A mount whose other side is gone can hold a system call for ever, and no
/// program can end a call of its own that the kernel does not give back.
///
/// 1. Each operation runs on a thread of its own. When it has not ended in time, it is left behind, and the caller gets an
///    error that is the same for every operation: what a run says of it, it says once. An operation of many steps that goes
///    on when its time is over is asked to come to an end, and has the same time for that.
/// 2. From then on every operation on this share fails at once: nothing more is left behind.
/// 3. What a thread that was left behind uses (buffers, open files) stays its own.
/// 4. While such a thread lives, so does the lock of `lockPath`, even after the process was told to end: a call that ignores
///    SIGKILL keeps the process among the living. The next run finds the lock taken and does not touch the share, so that
///    cron does not add a hanging process every quarter of an hour.
package final class ShareGuard: Sendable {
    /// How long an operation may take where the configuration says nothing, in seconds.
    package static let usualPatience: Int64 = 120
    /// Flushing may take longer by what was written at this rate, in bytes a second: a poor stick.
    package static let slowestRate: Int64 = 1 << 20

    package let root: FilePath
    private let patience: Duration
    private let lockPath: FilePath?
    private let files: any FileSystem
    private let hangs = Atomic<Bool>(false)
    private let held = Mutex<Held>(Held())

    /// - Parameters:
    ///   - root: absolute.
    ///   - lockPath: on local disk, which `files` must be good for.
    package init(root: FilePath, patience: Duration, lockPath: FilePath?, files: any FileSystem) {
        self.root = root
        self.patience = patience
        self.lockPath = lockPath
        self.files = files
    }

    /// The same share, for a look that comes before the lock.
    package var withoutLock: ShareGuard {
        ShareGuard(root: root, patience: patience, lockPath: nil, files: files)
    }

    /// - Parameters:
    ///   - bytes: how much the operation may have to move.
    ///   - progress: of work that consists of many steps.
    ///   - work: must own everything that it uses.
    func run<Value>(
        moving bytes: Int64 = 0, watching progress: Progress? = nil, _ work: @escaping () throws(FileError) -> Value
    ) throws(FileError) -> Value {
        guard !hangs.load(ordering: .acquiring) else { throw silence }
        try takeLock()
        let outcome = Outcome<Value>()
        // The closure keeps this guard, and with it the lock, for as long as the thread lives.
        let call = BackgroundCall { [self] in
            outcome.set(Result { () throws(FileError) in try work() })
            withExtendedLifetime(self) {}
        }
        guard call.start() else {
            throw FileError.unreachable(root, .resourceTemporarilyUnavailable, hint: "no thread could be started")
        }
        var hasEnded = call.wait(patience + .seconds(bytes / Self.slowestRate))
        if !hasEnded, let progress, progress.end() { hasEnded = call.wait(patience) }
        guard hasEnded, let result = outcome.value else {
            hangs.store(true, ordering: .releasing)
            throw silence
        }
        return try result.get()
    }

    /// How work of many steps goes on.
    final class Progress: Sendable {
        private let steps = Atomic<Int>(0)
        private let ends = Atomic<Bool>(false)

        func advance() { steps.add(1, ordering: .relaxed) }
        var isToEnd: Bool { ends.load(ordering: .relaxed) }

        /// Asks for an end.
        /// - Returns: whether any step was made.
        func end() -> Bool {
            ends.store(true, ordering: .relaxed)
            return steps.load(ordering: .relaxed) > 0
        }
    }

    /// Lets go of an open file, whose closing may take its time or hang as well. On a share that hangs it stays open.
    func release(_ file: Unmanaged<AnyObject>) {
        try? run { () throws(FileError) in file.release() }
    }

    private var silence: FileError {
        let seconds = max(1, patience.components.seconds)
        return .unreachable(
            root, .timedOut,
            hint: "no answer in \(seconds) s; look after its server or its medium, 'umount -l' it and mount it again")
    }

    private func takeLock() throws(FileError) {
        guard let lockPath else { return }
        let isOurs = try held.withLock { (held) throws(FileError) in
            if !held.isTaken, let lock = try files.lock(lockPath) {
                held.lock = consume lock
                held.isTaken = true
            }
            return held.isTaken
        }
        guard isOurs else {
            throw .unreachable(
                root, .resourceBusy,
                hint: "an earlier run still hangs in it: 'umount -l' it, mount it again, and end that run")
        }
    }

    private struct Held: ~Copyable {
        var lock: FileLock?
        var isTaken = false
    }
}

/// What a call brought, for whoever waits for it.
private final class Outcome<Value>: @unchecked Sendable {
    private let stored = Mutex<Unchecked<Result<Value, FileError>>?>(nil)

    func set(_ result: Result<Value, FileError>) {
        let result = Unchecked(result)
        stored.withLock { $0 = result }
    }

    var value: Result<Value, FileError>? { stored.withLock { $0 }?.value }
}

/// Hands a value from one thread to another. Sound where the first one does not use it until the second is done.
struct Unchecked<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A closure on a thread of its own, and a wait for its end that has an end itself.
private final class BackgroundCall: @unchecked Sendable {
    private let body: () -> Void
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var mutex = pthread_mutex_t()
        var ended = pthread_cond_t()
        var hasEnded = false
    }

    init(_ body: @escaping () -> Void) {
        self.body = body
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        pthread_mutex_init(&state.pointee.mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Whoever sets the clock meanwhile neither shortens nor lengthens the wait.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(&state.pointee.ended, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(&state.pointee.ended)
        pthread_mutex_destroy(&state.pointee.mutex)
        state.deallocate()
    }

    /// - Returns: false if the system has no thread to give.
    func start() -> Bool {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<BackgroundCall>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        if code == 0 { pthread_detach(thread) } else { context.release() }
        return code == 0
    }

    private func run() {
        body()
        pthread_mutex_lock(&state.pointee.mutex)
        state.pointee.hasEnded = true
        pthread_cond_signal(&state.pointee.ended)
        pthread_mutex_unlock(&state.pointee.mutex)
    }

    /// - Returns: whether it has ended.
    func wait(_ limit: Duration) -> Bool {
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let (seconds, attoseconds) = limit.components
        until.tv_nsec += Int(attoseconds / 1_000_000_000)
        until.tv_sec += Int(seconds) + until.tv_nsec / 1_000_000_000
        until.tv_nsec %= 1_000_000_000
        pthread_mutex_lock(&state.pointee.mutex)
        defer { pthread_mutex_unlock(&state.pointee.mutex) }
        while !state.pointee.hasEnded {
            if pthread_cond_timedwait(&state.pointee.ended, &state.pointee.mutex, &until) != 0 { break }
        }
        return state.pointee.hasEnded
    }
}
