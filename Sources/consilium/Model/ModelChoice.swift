import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// What a person, or a file, says a model is; not yet checked.
struct ModelChoice {
    /// Side of the square input, in pixels, where a command is told none.
    static func usualSize(of architecture: String) -> Int {
        (Architecture(rawValue: architecture) ?? .smallcnn).usualImageSize
    }

    let architecture: String
    let classes: [String]
    let size: Int
    let crop: InputCrop

    init(architecture: String, classes: [String], size: Int, crop: InputCrop = .none) {
        self.architecture = architecture
        self.classes = classes
        self.size = size
        self.crop = crop
    }

    init(_ metadata: ModelMetadata) {
        self.init(
            architecture: metadata.architecture, classes: metadata.classes, size: metadata.imageSize,
            crop: metadata.crop)
    }

    /// `glioma, meningioma,notumor` as names; blanks around them do not count.
    static func classes(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { name in
            String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    /// - Parameter file: what said it, if no person did.
    /// - Throws: ``CommandFailure`` for what is unknown or out of range: bad data if a file says it. Class names are also
    ///   folder names, and are signed into messages: 1 to 64 bytes, printable, no `/`, no `.` first.
    func specification(from file: FilePath? = nil) throws(CommandFailure) -> ModelSpecification {
        do throws(CommandFailure) {
            return try checked()
        } catch {
            guard let file else { throw error }
            throw CommandFailure(.badData, "\(file.string.printable): \(error.message)")
        }
    }

    private func checked() throws(CommandFailure) -> ModelSpecification {
        guard let known = Architecture(rawValue: architecture) else {
            let names = Architecture.allCases.map(\.rawValue)
            let near = didYouMean(architecture, among: names).map { "did you mean \($0)?" }
            throw CommandFailure(
                .usage, "there is no architecture '\(architecture.printable)'",
                hint: near ?? "known are: \(names.joined(separator: ", "))")
        }
        for name in classes where !Self.isClassName(name) {
            throw CommandFailure(
                .usage, "'\(name.printable)' cannot be a class name",
                hint: "write --classes a,b,c with names of 1 to 64 bytes, without '/' and with no '.' first")
        }
        do throws(NetworkError) {
            return try ModelSpecification(architecture: known, classes: classes, imageSize: size, crop: crop)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
    }

    private static func isClassName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && !name.hasPrefix(".") && !name.contains("/") && name == name.printable
    }
}

extension ModelSpecification {
    var metadata: ModelMetadata {
        ModelMetadata(architecture: architecture.rawValue, classes: classes, imageSize: imageSize, crop: crop)
    }
}

extension Architecture {
    /// For help texts: the names without heads.
    static var backboneNames: String { Backbone.allCases.map(\.rawValue).joined(separator: ", ") }
}
