import Bundles
import Foundation
import Testing
import Wire

/// The steps that most stories are made of.
extension World {
    /// Lets hospitals ask and brings the requests to the server's desk, in this order: REQ-1 is the first one's.
    func request(_ homes: [String] = everybody, rounds: Int = 1, _ more: [String] = []) throws {
        for home in homes {
            let outcome = try run(["client", "request", "--home", home, "--rounds", "\(rounds)"] + more)
            try #require(outcome.status == 0, "\(outcome)")
            try carry(home, to: "S")
            try succeed("server", "run", "--home", "S")
        }
    }

    /// Moves all pending requests into a session's folder, as DESIGN has it.
    func approveAll(_ session: String) throws {
        try shell(
            "mkdir -p S/requests/approved/\(session) && mv S/requests/pending/*.tar S/requests/approved/\(session)/")
        try succeed("server", "run", "--home", "S")
    }

    /// A running session in which all these hospitals have what the server sent them, but have not trained.
    func startSession(
        _ name: String = "spring", _ homes: [String] = everybody, rounds: Int = 1, _ more: [String] = []
    ) throws {
        try request(homes, rounds: rounds, more)
        try approveAll(name)
    }

    /// Brings a hospital what the server sent, and runs its tick.
    @discardableResult
    func visit(_ home: String) throws -> Outcome {
        try carry("S", to: home)
        return try succeed("client", "run", "--home", home, "--verbose")
    }

    /// Brings a hospital's bundles to the server; runs no tick.
    func answer(_ home: String) throws { try carry(home, to: "S") }

    @discardableResult
    func serve() throws -> Outcome { try succeed("server", "run", "--home", "S", "--verbose") }

    /// One journey: every hospital trains and answers, then the server runs.
    @discardableResult
    func journey(_ homes: [String] = everybody) throws -> Outcome {
        for home in homes {
            try visit(home)
            try answer(home)
        }
        return try serve()
    }

    // MARK: looks

    func session(_ name: String) throws -> JSONValue {
        let sessions = try json("server", "sessions", "--home", "S")["sessions"].items
        return try #require(sessions.first { $0["name"].text == name }, "there is no session \(name)")
    }

    func history(_ name: String) throws -> [JSONValue] {
        try json("server", "history", name, "--home", "S")["sessions"][0]["rounds"].items
    }

    func status(_ home: String) throws -> JSONValue { try json("client", "status", "--home", home) }

    /// The weights of a version.
    func model(_ version: Int) throws -> [UInt8] {
        let digits = "\(version)"
        let folder = String(repeating: "0", count: 4 - digits.count) + digits
        return try bytes("S/versions/\(folder)/model.safetensors")
    }

    /// The signed archive of a bundle from an outbox, opened with the key of the home that made it: in `opened/`.
    func opened(_ bundle: String) throws -> String {
        guard bundle.hasSuffix(".age") else { return bundle }
        let home = String(bundle.prefix { $0 != "/" })
        let file = "opened/" + (bundle as NSString).lastPathComponent.dropLast(4)
        try shell("mkdir -p opened")
        let identity = try AgeIdentity(identityFile: try bytes("\(home)/identity/age.txt"))
        let archive = try AgeReader.decrypt(try bytes(bundle), with: [identity], limit: 1 << 28)
        try Data(archive).write(to: URL(fileURLWithPath: path(file)))
        return file
    }

    /// The newest update in a hospital's outbox.
    func update(_ home: String) throws -> String {
        "\(home)/outbox/" + (try #require(names("\(home)/outbox", "update").last, "hospital \(home) sent no update"))
    }
}

/// A closed round's line about a hospital, from `history --json`.
extension JSONValue {
    func fate(of client: String) -> String? {
        self["participants"].items.first { $0["client"].text == client }?["fate"].text
    }

    subscript(_ key: String) -> JSONValue {
        if case .object(let fields) = self { fields[key] ?? .null } else { .null }
    }
    subscript(_ index: Int) -> JSONValue { items.indices.contains(index) ? items[index] : .null }
    var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .integer(let number) = self { Int(number) } else { nil } }
    var texts: [String] { items.compactMap(\.text) }
}
