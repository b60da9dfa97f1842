import ArgumentParser
import Bundles
import Federation
import Mailbox
import NeuralNetworks
import Reports
import Server
import SystemPackage
import Tensors
import Wire

/// Where a first model goes: a server's home, as its next version, or a file.
struct ModelDestination: ParsableArguments {
    @OptionGroup var home: HomeOption

    @Option(help: "File to write instead.", completion: .file(extensions: ["safetensors"]))
    var output: String?

    mutating func validate() throws {
        if home.home != nil, output != nil {
            throw ValidationError("--home and --output are two places: leave one out")
        }
    }

    /// Keeps the model. A server whose newest version is the same model already gets no second one, so that a killed
    /// command can be repeated.
    func keep(_ model: Model, origin: VersionRecord.Origin, note: String) throws -> KeptModel {
        let metadata = model.specification.metadata
        let encoded = try Safetensors.encode(model.tensors, metadata: metadata.fields)
        if let output {
            let path = Environment.path(output)
            let isNew = try OutputFile.write(encoded, to: path)
            return KeptModel(model, path: path, digest: SHA256Hash.digest(of: encoded), version: nil, isNew: isNew)
        }
        guard let home = try home.openIfAny(.server) else {
            throw CommandFailure(
                .usage, "the model has no place to go",
                hint: "name a server's home with --home, or a file with --output")
        }
        try home.requireOwnerOverRoot()
        let now = try Environment.now()
        guard let run = try ServerRun.open(home, now: now) else {
            throw CommandFailure.busy
        }
        try run.mailbox.requireSigning()
        let (record, isNew) = try install(encoded, metadata, origin: origin, note: note, in: home, now: now)
        try AuditLog(home).append(
            event: "version", subject: "version \(record.number)", detail: "\(origin.rawValue) \(record.model) \(note)",
            actor: HomeOption.actor, now: now)
        try run.mailbox.finish()
        let path = VersionStore(home: home).modelPath(record.number)
        return KeptModel(model, path: path, digest: record.model, version: record.number, isNew: isNew)
    }

    private func install(
        _ encoded: [UInt8], _ metadata: ModelMetadata, origin: VersionRecord.Origin, note: String, in home: Home,
        now: Timestamp
    ) throws -> (record: VersionRecord, isNew: Bool) {
        let store = VersionStore(home: home)
        if let head = try store.head().map({ try store.record($0) }) {
            if head.model == SHA256Hash.digest(of: encoded) { return (head, false) }
            if head.classes != metadata.classes {
                Console.warn(
                    "version \(head.number) has other classes (\(head.classes.joined(separator: ", "))); "
                        + "hospitals with an older invite count their pictures by those")
            }
        }
        let record = try store.install(encoded: encoded, metadata: metadata, origin: origin, note: note, now: now)
        return (record, true)
    }
}

/// A model that is in its place, as the commands tell it.
struct KeptModel {
    let specification: ModelSpecification
    let parameters: Int
    let path: FilePath
    let digest: Digest
    /// Nil for a file.
    let version: Int?
    /// False where the same was there before.
    let isNew: Bool

    init(_ model: Model, path: FilePath, digest: Digest, version: Int?, isNew: Bool) {
        specification = model.specification
        parameters = model.tensors.names.reduce(0) { sum, name in
            guard let entry = model.tensors[name], entry.role != .bnStatistic else { return sum }
            return sum + entry.tensor.count
        }
        self.path = path
        self.digest = digest
        self.version = version
        self.isNew = isNew
    }

    /// - Parameter place: what to call it; the version, or else the file, if nil.
    func print(_ output: OutputOptions, as place: String? = nil) {
        if output.json { return Console.print(json: json) }
        if output.quiet { return }
        let size = specification.imageSize
        let place = place ?? version.map { "version \($0)" } ?? path.string
        Console.print(
            "\(place)\(isNew ? "" : " was there already"): \(specification.architecture.rawValue), "
                + "\(specification.classes.count) classes, \(size) x \(size) pixels, \(parameters) parameters")
        if output.verbose { Console.print("\(path)\nsha256 \(digest)") }
    }

    private var json: JSONValue {
        [
            "schema_version": 1, "version": .optional(version) { .count($0) }, "file": .path(path),
            "architecture": .string(specification.architecture.rawValue), "classes": .texts(specification.classes),
            "image_size": .count(specification.imageSize), "parameters": .count(parameters),
            "sha256": .string(digest.hex), "new": .bool(isNew),
        ]
    }
}
