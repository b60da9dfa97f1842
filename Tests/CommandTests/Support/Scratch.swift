import Foundation
import Glibc

/// Temporary folders, all under two that go when the process ends.
enum Scratch {
    private static let base = ProcessInfo.processInfo.environment["TMPDIR"]

    private static let root: String = {
        let made = makeRoot(in: base ?? "/tmp")
        atexit { try? FileManager.default.removeItem(atPath: Scratch.root) }
        return made
    }()

    private static let memory: String = {
        guard base == nil, access("/dev/shm", W_OK) == 0 else { return root }
        let made = makeRoot(in: "/dev/shm")
        atexit { try? FileManager.default.removeItem(atPath: Scratch.memory) }
        return made
    }()

    private static func makeRoot(in base: String) -> String {
        var template = Array("\(base)/consilium-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("cannot make a temporary folder in \(base)") }
        return template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? base
        }
    }

    static func folder() throws -> String { try folder(in: root) }

    /// In memory, where the system has such a place and `TMPDIR` names no other: for tests that flush thousands of files to a
    /// disk which nobody unplugs. Whoever makes it removes it.
    static func folderInMemory() throws -> String { try folder(in: memory) }

    private static func folder(in root: String) throws -> String {
        let path = "\(root)/\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}

/// Phantom pictures and enrolled homes, made once for the whole run and only copied from then on.
enum Material {
    static let classes = "glioma,meningioma,notumor,pituitary"

    /// `client-1`, `client-2`, `client-3` and `test`, class folders of 32 x 32 phantoms.
    static let pictures = Result { () throws -> String in
        let folder = try Scratch.folder()
        let steps = [
            ["data", "synthesize", "pictures", "--per-class", "32", "--size", "32", "--seed", "1"],
            ["data", "split", "pictures", "split", "--clients", "3", "--test", "0.2", "--seed", "1"],
        ]
        for step in steps {
            let outcome = try Program.run(step, in: folder)
            guard outcome.status == 0 else { throw TestTrouble("\(step.joined(separator: " ")): \(outcome)") }
        }
        return folder + "/split"
    }

    /// A server `S` with version 0, and the hospitals `a`, `b`, `c` with their enrolments still in their outboxes.
    static let initialised = Result { () throws -> String in
        let world = World(root: try Scratch.folder())
        try world.makeHomes()
        return world.root
    }

    /// The same, enrolled on both sides.
    static let enrolled = Result { () throws -> String in
        let world = World(root: try Scratch.folder())
        try world.makeHomes()
        try world.enrol()
        return world.root
    }
}
