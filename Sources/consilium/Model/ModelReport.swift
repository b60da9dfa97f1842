import Federation
import Mailbox
import NeuralNetworks
import Reports
import Server
import SystemPackage
import Tensors
import Wire

/// What `model info` says of a model.
struct ModelReport {
    private let location: ModelLocation
    private let file: ModelFile
    /// Nil where the file does not lie in a server's home.
    private let record: VersionRecord?
    /// Why the model cannot be used; nil also for a file that does not say what it is.
    let problem: CommandFailure?

    init(_ location: ModelLocation) throws {
        self.location = location
        file = try location.open()
        if let home = location.home, home.role == .server, let version = location.version {
            record = try VersionStore(home: home).record(version)
        } else {
            record = nil
        }
        var problem: CommandFailure?
        do {
            if file.metadata != nil { _ = try file.model() }
        } catch let failure as CommandFailure {
            problem = failure
        }
        if let record, record.model != file.digest {
            problem = CommandFailure(
                .badData, "\(file.path): its digest is not the one on record", hint: "restore it from a backup")
        }
        self.problem = problem
    }

    private var layouts: [TensorLayout] { file.header.entries.map(\.layout) }

    func text(verbose: Bool) -> String {
        let known = file.metadata
        let size = known.map { "\($0.imageSize) x \($0.imageSize) pixels" }
        var facts = [
            ("file", file.path.string.printable),
            ("architecture", known?.architecture.printable ?? "not said"),
            ("image size", size ?? "not said"),
            ("classes", known?.classes.joined(separator: ", ").printable ?? "not said"),
            ("parameters", "\(file.parameters) in \(layouts.count) tensors, \(Numbers.bytes(Int64(file.size)))"),
            ("sha256", file.digest.hex),
        ]
        if let version = location.version { facts.append(("version", "\(version)" + origin)) }
        if let note = record?.note, !note.isEmpty { facts.append(("note", note.printable)) }
        if known != nil { facts.append(("usable", problem.map { "no: \($0.message)" } ?? "yes")) }
        let isTold = layouts.contains { !$0.part.isEmpty }
        let tables = verbose ? [tensorTable] : isTold ? [partTable] : []
        return ([FactList(facts).text] + tables).joined(separator: "\n\n")
    }

    private var origin: String {
        guard let record else { return "" }
        let origin =
            switch record.origin {
            case .imported: "imported"
            case .initialized: "random weights"
            case .session: "session \(record.sessionName), \(counted(record.rounds, "round"))"
            }
        return ", \(origin), saved \(record.created.rfc3339)"
    }

    /// In the architecture's order, where it is known.
    private var parts: [(name: String, tensors: Int, parameters: Int)] {
        let order = file.metadata.flatMap { Architecture(rawValue: $0.architecture)?.parts } ?? []
        let groups = Dictionary(grouping: layouts, by: \.part)
        let names = order.filter { groups[$0] != nil } + groups.keys.filter { !order.contains($0) }.sorted()
        return names.map { name in
            let own = groups[name] ?? []
            return (name, own.count, own.reduce(0) { $0 + $1.count })
        }
    }

    private var partTable: String {
        var table = TextTable([("part", .left), ("tensors", .right), ("parameters", .right)])
        for part in parts {
            table.add([part.name.isEmpty ? "not said" : part.name, "\(part.tensors)", "\(part.parameters)"])
        }
        return table.text
    }

    private var tensorTable: String {
        var table = TextTable([("tensor", .left), ("part", .left), ("type", .left), ("shape", .left)])
        for entry in file.header.entries {
            let shape = entry.layout.shape.map { "\($0)" }.joined(separator: " x ")
            table.add([entry.layout.name, entry.layout.part, entry.type.rawValue, shape])
        }
        return table.text
    }

    var json: JSONValue {
        let known = file.metadata
        return [
            "schema_version": 1, "file": .path(file.path), "size": .count(file.size),
            "sha256": .string(file.digest.hex), "architecture": .optional(known?.architecture) { .string($0) },
            "classes": .optional(known?.classes) { .texts($0) },
            "image_size": .optional(known?.imageSize) { .count($0) },
            "parameters": .count(file.parameters),
            "parts": .array(
                parts.map {
                    ["name": .string($0.name), "tensors": .count($0.tensors), "parameters": .count($0.parameters)]
                }),
            "tensors": .array(
                file.header.entries.map { entry in
                    [
                        "name": .string(entry.layout.name), "part": .string(entry.layout.part),
                        "role": .string(entry.layout.role.rawValue), "type": .string(entry.type.rawValue),
                        "shape": .array(entry.layout.shape.map { .count($0) }),
                    ]
                }),
            "version": .optional(location.version) { .count($0) },
            "origin": .optional(record) { .string($0.origin.rawValue) },
            "created": .optional(record) { .string($0.created.rfc3339) },
            "note": .optional(record) { .string($0.note) },
            "usable": known == nil ? .null : .bool(problem == nil),
            "problem": .optional(problem) { .string($0.message) },
        ]
    }
}

/// Names and values, one a line, the values aligned.
struct FactList {
    private let facts: [(name: String, value: String)]

    init(_ facts: [(String, String)]) { self.facts = facts }

    var text: String {
        let width = facts.map(\.name.count).max() ?? 0
        return facts.map { fact in
            fact.name + String(repeating: " ", count: width - fact.name.count + 2) + fact.value
        }.joined(separator: "\n")
    }
}
