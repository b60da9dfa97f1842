import Client
import Files
import Images
import NeuralNetworks
import Reports
import Synchronization
import SystemPackage
import Tensors
import Wire

/// What a model says of one picture that a person named.
struct PicturePrediction {
    enum Outcome {
        /// Of each class, most likely first; the order of the model's classes where they are equal.
        case classes([(name: String, probability: Double)])
        /// Why the picture cannot be used.
        case unusable(String)
    }

    /// As the person wrote it.
    let name: String
    let outcome: Outcome

    /// Pictures that are decoded at a time: bounds memory, and shows results early.
    static let batch = 64

    /// - Returns: one prediction for each name, in order.
    /// - Throws: ``NetworkError`` where the model fails on a picture that can be read.
    static func predict(
        _ names: [String], with predictor: Predictor, calibration: Calibration, mirror: Bool, context: ComputeContext
    ) throws -> [PicturePrediction] {
        let preprocessing = try Preprocessing(for: predictor.specification)
        let slots = Mutex([LoadedPicture](repeating: .unusable(""), count: names.count))
        context.parallel(tasks: names.count) { index, _ in
            let picture = LoadedPicture(reading: names[index], for: preprocessing)
            slots.withLock { $0[index] = picture }
        }
        let pictures = slots.withLock { $0 }
        var source = LoadedPictures(
            preprocessing: preprocessing,
            luma: pictures.compactMap { if case .luma(let luma) = $0 { luma } else { nil } })
        var all = try predictor.probabilities(of: source)
        if mirror {
            source.isMirrored = true
            all = averages(all, try predictor.probabilities(of: source))
        }
        var rows = all.map(calibration.apply)[...]
        return zip(names, pictures).map { name, picture in
            switch picture {
            case .unusable(let reason): PicturePrediction(name: name, outcome: .unusable(reason))
            case .luma:
                PicturePrediction(
                    name: name, outcome: .classes(rank(rows.popFirst() ?? [], predictor.specification.classes)))
            }
        }
    }

    private static func rank(_ row: [Float], _ classes: [String]) -> [(name: String, probability: Double)] {
        let order = row.indices.sorted { row[$0] != row[$1] ? row[$0] > row[$1] : $0 < $1 }
        return order.map { (classes[$0], Double(row[$0])) }
    }

    // MARK: words

    /// `picture.jpg: glioma 97.3 %`, with all classes on demand. For an unusable picture the reason.
    func text(verbose: Bool) -> String {
        switch outcome {
        case .unusable(let reason): "\(name.printable): \(reason.printable)"
        case .classes(let classes):
            "\(name.printable): "
                + classes.prefix(verbose ? classes.count : 1)
                .map { "\($0.name) \(Numbers.percent($0.probability))" }.joined(separator: ", ")
        }
    }

    var isUsable: Bool {
        if case .classes = outcome { true } else { false }
    }

    var json: JSONValue {
        switch outcome {
        case .unusable(let reason): ["path": .string(name), "error": .string(reason)]
        case .classes(let classes):
            [
                "path": .string(name), "class": .optional(classes.first) { .string($0.name) },
                "probability": .optional(classes.first) { .number($0.probability) },
                "probabilities": .object(
                    Dictionary(
                        classes.map { ($0.name, .number($0.probability)) }, uniquingKeysWith: { first, _ in first })),
            ]
        }
    }
}

/// A picture as far as it got: gray values in the model's size, or why there are none.
private enum LoadedPicture: Sendable {
    case luma([UInt8])
    case unusable(String)

    init(reading name: String, for preprocessing: Preprocessing) {
        do {
            let bytes = try LocalFileSystem().readFile(
                try InputFile.file(name), limit: ImageLimits.standard.maximumFileBytes)
            self = .luma(try preprocessing.load(bytes))
        } catch let failure as CommandFailure {
            self = .unusable(failure.reason(of: name))
        } catch let error as FileError {
            self = .unusable("cannot be read: \(error.code.description.lowercased())")
        } catch {
            self = .unusable("\(error)")
        }
    }
}

extension CommandFailure {
    /// The message without the name that it begins with.
    fileprivate func reason(of name: String) -> String {
        let prefix = "\(name.printable): "
        return message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
    }
}

/// Decoded pictures as a network's input.
private struct LoadedPictures: PictureSource {
    let preprocessing: Preprocessing
    let luma: [[UInt8]]
    var isMirrored = false

    var count: Int { luma.count }

    /// Nobody knows; nothing asks either, where probabilities are all that is wanted.
    func label(_ index: Int) -> Int { 0 }

    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) {
        let size = preprocessing.imageSize
        var image = LumaImage(width: size, height: size, pixels: luma[index])
        if isMirrored { image = image.mirrored() }
        image.pixels.withUnsafeBufferPointer { preprocessing.normalise($0, into: picture) }
    }
}
