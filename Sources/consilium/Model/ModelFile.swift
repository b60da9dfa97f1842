import Bundles
import Files
import Mailbox
import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// A safetensors file in memory, ours or another program's. Read, not mapped: a person may name a file on a share.
struct ModelFile {
    /// Larger models do not fit the machines that this is for.
    private static let maximumBytes = 4 << 30

    let path: FilePath
    let header: SafetensorsHeader
    private let bytes: [UInt8]

    /// - Throws: ``CommandFailure`` that names the file, `FileError`.
    init(reading path: FilePath) throws {
        self.path = path
        bytes = try LocalFileSystem().readFile(path, limit: Self.maximumBytes)
        do {
            header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, profile: .interchange)
        } catch {
            throw CommandFailure(
                .badData, "\(path.string.printable): \(error.description.printable)",
                hint: "a model is a safetensors file")
        }
    }

    var size: Int { bytes.count }
    var digest: Digest { SHA256Hash.digest(of: bytes) }
    var content: [UInt8] { bytes }
    /// Weights and biases; BatchNorm's running statistics are none.
    var parameters: Int {
        header.entries.reduce(0) { $0 + ($1.layout.role == .bnStatistic ? 0 : $1.layout.count) }
    }

    /// What the file says of itself; nil for other programs' files.
    var metadata: ModelMetadata? { ModelMetadata(fields: header.metadata) }

    /// Of its probabilities.
    var calibration: Calibration { Calibration(temperature: metadata?.temperature ?? 1) }

    func tensors() throws -> TensorDictionary {
        try Safetensors.decode(bytes, profile: .interchange).tensors
    }

    /// The model that the file says it is.
    ///
    /// - Throws: ``CommandFailure`` that names the file and the first thing wrong with it.
    func model() throws -> Model {
        guard let metadata else {
            throw CommandFailure(
                .badData, "\(path.string.printable) does not say its architecture, classes and image size",
                hint: "make a model of it with 'consilium model import --arch ... --classes ... --output FILE'")
        }
        return try model(as: try ModelChoice(metadata).specification(from: path))
    }

    /// A pretrained file's model, and what is told of the head that was replaced; nil where none was.
    struct Imported {
        let model: Model
        let replacedHead: String?
    }

    /// The file's tensors as a model of the given kind, the head made anew where it is to be, or where another program's
    /// file has another one.
    func model(as specification: ModelSpecification, newHead: Bool, seed: UInt64) throws -> Imported {
        let tensors = try tensors()
        let fits = try Model.hasHead(of: specification, tensors)
        guard newHead || !fits && metadata == nil else {
            return Imported(model: try model(as: specification), replacedHead: nil)
        }
        let count = specification.classes.count
        let old = Model.headClasses(tensors).map { "the file's answers \($0) classes, this one \(count)" }
        do {
            return Imported(
                model: try Model(specification, backbone: tensors, seed: seed),
                replacedHead: old ?? "the file has none, this one answers \(count) classes")
        } catch {
            throw CommandFailure(
                .badData, "\(path.string.printable) is no \(specification.architecture.rawValue): \(error)")
        }
    }

    /// The file's tensors as a model of the given kind.
    func model(as specification: ModelSpecification) throws -> Model {
        do {
            return try Model(specification, tensors: try tensors())
        } catch let error as NetworkError {
            throw CommandFailure(
                .badData, "\(path.string.printable) is no \(specification.architecture.rawValue): \(error)")
        } catch let error as SafetensorsError {
            throw CommandFailure(.badData, "\(path.string.printable): \(error)")
        }
    }
}
