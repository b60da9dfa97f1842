import Bundles
import Files
import Synchronization
import SystemPackage
import Testing

/// A disk that fails at any one operation, or a process that ends there.
@Suite("Age files on a failing disk")
struct AgeFaultTests {
    private static let plain = AgeProbe.pattern(140_000)

    /// Lets the N-th operation fail, counted from 0; with `isFinal` all that follow too, as after a kill.
    private final class Fault: Sendable {
        private let count = Atomic<Int>(0)
        private let failing: Int
        private let isFinal: Bool

        init(at failing: Int, isFinal: Bool) { (self.failing, self.isFinal) = (failing, isFinal) }

        var isReached: Bool { count.load(ordering: .relaxed) > failing }

        func step(_ operation: String, _ path: FilePath) throws(FileError) {
            let number = count.add(1, ordering: .relaxed).oldValue
            if number == failing || (isFinal && number > failing) { throw FileError(operation, path, .noSpace) }
        }
    }

    /// Runs `work` with a fault at every operation in turn until none is reached any more.
    private func withEveryFault(
        isFinal: Bool, _ work: (AgeFileSystem) throws(BundleError) -> Void, after check: (Bool) throws -> Void
    ) throws -> Int {
        for number in 0..<10_000 {
            let fault = Fault(at: number, isFinal: isFinal)
            var isDone = false
            do throws(BundleError) {
                try work(AgeFileSystem { operation, path throws(FileError) in try fault.step(operation, path) })
                isDone = true
            } catch {
                #expect(error.reason == .fileTrouble && error.cause?.code == .noSpace)
            }
            try check(isDone)
            if !fault.isReached { return number }
            #expect(!isDone)
        }
        Issue.record("no end of operations")
        return 0
    }

    @Test("decryption leaves the whole plaintext or nothing")
    func decryption() throws {
        try withTemporaryFolder { folder in
            let (sealed, opened) = (folder.appending("sealed"), folder.appending("opened"))
            try files.writeFile(sealed, try AgeWriter.encrypt(AgeFaultTests.plain, to: [AgeProbe.identity.recipient]))
            let count = try withEveryFault(isFinal: false) { (system) throws(BundleError) in
                try AgeReader.decrypt(sealed, with: [AgeProbe.identity], to: opened, limit: 1 << 20, files: system)
            } after: { isDone in
                let names = try files.list(folder).map(\.name)
                #expect(names == (isDone ? ["opened", "sealed"] : ["sealed"]))
            }
            #expect(count > 60)
            #expect(try files.readFile(opened, limit: 1 << 20) == AgeFaultTests.plain)
        }
    }

    @Test("a process that ends anywhere leaves the whole plaintext under its name, or a temporary file at most")
    func killedDecryption() throws {
        try withTemporaryFolder { folder in
            let (sealed, opened) = (folder.appending("sealed"), folder.appending("opened"))
            try files.writeFile(sealed, try AgeWriter.encrypt(AgeFaultTests.plain, to: [AgeProbe.identity.recipient]))
            _ = try withEveryFault(isFinal: true) { (system) throws(BundleError) in
                try AgeReader.decrypt(sealed, with: [AgeProbe.identity], to: opened, limit: 1 << 20, files: system)
            } after: { _ in
                if try files.exists(opened) {
                    #expect(try files.readFile(opened, limit: 1 << 20) == AgeFaultTests.plain)
                    try files.remove(opened)
                }
                try files.removeLeftovers(in: folder)
                #expect(try files.list(folder).map(\.name) == ["sealed"])
            }
        }
    }

    @Test("encryption leaves the old file or a whole new one, and nothing half written")
    func encryption() throws {
        try withTemporaryFolder { folder in
            let (source, sealed) = (folder.appending("plain"), folder.appending("sealed"))
            try files.writeFile(source, AgeFaultTests.plain)
            let count = try withEveryFault(isFinal: false) { (system) throws(BundleError) in
                try AgeWriter.encrypt(source, to: [AgeProbe.identity.recipient], at: sealed, files: system)
            } after: { isDone in
                let names = try files.list(folder).map(\.name)
                #expect(names == ["plain"] || names == ["plain", "sealed"])
                guard names.count == 2 else { return #expect(!isDone) }
                let bytes = try files.readFile(sealed, limit: 1 << 20)
                #expect(try AgeReader.decrypt(bytes, with: [AgeProbe.identity], limit: 1 << 20) == AgeFaultTests.plain)
                try files.remove(sealed)
            }
            #expect(count > 60)
        }
    }

    @Test("a source that is missing or no file, and a target without a folder, are file trouble")
    func places() throws {
        try withTemporaryFolder { folder in
            let (recipient, sealed) = (AgeProbe.identity.recipient, folder.appending("sealed"))
            try files.writeFile(sealed, try AgeWriter.encrypt([1], to: [recipient]))
            for (source, target) in [("missing", "opened"), (".", "opened"), ("sealed", "missing/opened")] {
                do throws(BundleError) {
                    try AgeReader.decrypt(
                        folder.appending(source), with: [AgeProbe.identity], to: folder.appending(target), limit: 9,
                        files: files)
                    Issue.record("\(source) was decrypted to \(target)")
                } catch {
                    #expect(error.reason == .fileTrouble && error.cause != nil)
                }
                do throws(BundleError) {
                    try AgeWriter.encrypt(
                        folder.appending(source), to: [recipient], at: folder.appending(target), files: files)
                    Issue.record("\(source) was encrypted to \(target)")
                } catch {
                    #expect(error.reason == .fileTrouble && error.cause != nil)
                }
            }
            #expect(try files.list(folder).map(\.name) == ["sealed"])
        }
    }
}
