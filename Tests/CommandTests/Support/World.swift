import Foundation
import Testing
import Wire

/// A server `S` (ministry) and hospitals `a`, `b`, `c` (hospital-a, ...) in a folder of their own, driven only through the
/// program, with a clock of their own.
final class World {
    let root: String
    /// What `CONSILIUM_NOW` says.
    var now = Timestamp(seconds: 1_772_352_000)
    /// Beside `CONSILIUM_NOW`.
    var environment: [String: String] = [:]
    static let everybody = ["a", "b", "c"]

    init(root: String) { self.root = root }

    /// Homes that know each other.
    static func enrolled() throws -> World { try copy(of: Material.enrolled) }
    /// Homes whose enrolments were not carried yet.
    static func initialised() throws -> World { try copy(of: Material.initialised) }
    /// An empty folder.
    static func empty() throws -> World { World(root: try Scratch.folder()) }

    private static func copy(of template: Result<String, any Error>) throws -> World { try copy(of: template.get()) }

    /// What lies in another folder, in one of its own.
    /// - Parameter isPassing: the copy is one of thousands, and goes at once.
    static func copy(of folder: String, isPassing: Bool = false) throws -> World {
        let world = isPassing ? World(root: try Scratch.folderInMemory()) : try empty()
        try world.shell("cp -a '\(folder)'/. .")
        return world
    }

    /// DESIGN's first lines. Small steps and one epoch, so that a round takes a moment.
    func makeHomes(size: Int = 32, batchSize: Int = 8) throws {
        try succeed("server", "init", "--home", "S", "--name", "ministry")
        try configure("S", "learning_rate: 0.001\nbatch_size: \(batchSize)\nlocal_epochs: 1")
        try succeed(
            "model", "init", "--home", "S", "--arch", "smallcnn", "--classes", Material.classes, "--size", "\(size)",
            "--seed", "1")
        try succeed("server", "invite", "--home", "S")
        try shell("cp S/outbox/*.tar invite.tar")
        let pictures = try Material.pictures.get()
        for (index, home) in Self.everybody.enumerated() {
            try succeed(
                "client", "init", "--home", home, "--name", "hospital-\(home)", "--invite", "invite.tar", "--data",
                "\(pictures)/client-\(index + 1)")
        }
    }

    func enrol() throws {
        try shell("cp a/outbox/* b/outbox/* c/outbox/* S/inbox/")
        try succeed("server", "run", "--home", "S")
        try shell("mv S/enrolments/pending/*.tar S/enrolments/approved/")
        try succeed("server", "run", "--home", "S")
        for home in Self.everybody {
            try carry("S", to: home)
            try succeed("client", "run", "--home", home)
        }
    }

    // MARK: commands

    func run(_ arguments: [String]) throws -> Outcome {
        let clock = ["CONSILIUM_NOW": now.rfc3339]
        return try Program.run(arguments, in: root, environment: environment.merging(clock) { $1 })
    }

    func run(_ arguments: String...) throws -> Outcome { try run(arguments) }

    func start(_ arguments: String...) throws -> RunningProgram {
        let clock = ["CONSILIUM_NOW": now.rfc3339]
        return try Program.start(arguments, in: root, environment: environment.merging(clock) { $1 })
    }

    /// A command that has to end with 0.
    @discardableResult
    func succeed(_ arguments: String..., at location: SourceLocation = #_sourceLocation) throws -> Outcome {
        let outcome = try run(arguments)
        try #require(outcome.status == 0, "\(arguments.joined(separator: " ")): \(outcome)", sourceLocation: location)
        return outcome
    }

    /// The JSON document of a command that has to end with 0.
    func json(_ arguments: String..., at location: SourceLocation = #_sourceLocation) throws -> JSONValue {
        let outcome = try run(arguments + ["--json"])
        try #require(outcome.status == 0, "\(arguments.joined(separator: " ")): \(outcome)", sourceLocation: location)
        return try StrictJSON.parse(Array(outcome.output.utf8), maximumBytes: 64 << 20)
    }

    @discardableResult
    func shell(_ line: String, at location: SourceLocation = #_sourceLocation) throws -> Outcome {
        let outcome = try Program.shell(line, in: root)
        try #require(outcome.status == 0, "\(line): \(outcome)", sourceLocation: location)
        return outcome
    }

    // MARK: folders

    func path(_ relative: String) -> String { root + "/" + relative }
    func exists(_ relative: String) -> Bool { FileManager.default.fileExists(atPath: path(relative)) }
    func bytes(_ relative: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(relative))))
    }
    func text(_ relative: String) throws -> String { String(decoding: try bytes(relative), as: UTF8.self) }
    func write(_ text: String, to relative: String) throws {
        try text.write(toFile: path(relative), atomically: true, encoding: .utf8)
    }

    /// Names in a folder, sorted, without hidden ones; none where there is no folder.
    func names(_ folder: String) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: path(folder))) ?? []
        return all.filter { !$0.hasPrefix(".") }.sorted()
    }

    func names(_ folder: String, _ kind: String) -> [String] { names(folder).filter { $0.hasPrefix(kind + "-") } }

    /// Appends lines to a home's `consilium.yaml`.
    func configure(_ home: String, _ lines: String) throws {
        try write(try text("\(home)/consilium.yaml") + lines + "\n", to: "\(home)/consilium.yaml")
    }

    /// `cp FROM/outbox/* TO/inbox/`.
    func carry(_ from: String, to other: String) throws {
        for name in names("\(from)/outbox") { try carry("\(from)/outbox/\(name)", as: "\(other)/inbox/\(name)") }
    }

    func carry(_ file: String, as copy: String) throws {
        if exists(copy) { try FileManager.default.removeItem(atPath: path(copy)) }
        try FileManager.default.copyItem(atPath: path(file), toPath: path(copy))
    }

    /// Changes one byte of a file, whatever it is.
    func damage(_ file: String, at offset: Int) throws {
        var content = try bytes(file)
        content[offset] ^= 1
        try Data(content).write(to: URL(fileURLWithPath: path(file)))
    }

    func advance(days: Int64 = 0, seconds: Int64 = 0) {
        now = Timestamp(seconds: now.seconds + days * 86_400 + seconds)
    }
}
