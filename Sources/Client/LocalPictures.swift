package import Federation
package import Files
import Glibc
package import Images
package import NeuralNetworks
package import SystemPackage
package import Tensors

extension LoadedDataset: PictureSource {}

/// A hospital's own pictures, loaded for one model: what is trained on, and what only measures.
package struct LocalPictures: Sendable {
    package let training: LoadedDataset
    package let validation: LoadedDataset
    package let warnings: [String]

    /// The same pictures are always the validation pictures, in every session and round, whatever the plan's seed: a
    /// picture that one session trained on must not measure the next.
    private static let splitSeed: UInt64 = 1

    package var skipped: [SkippedImage] { training.skipped }

    /// - Parameters:
    ///   - folder: of class folders; they must be exactly the model's classes.
    ///   - validation: the fraction kept for measuring.
    ///   - seed: of the augmentation.
    /// - Throws: ``ClientError`` where no picture can be trained on, or the disk fails (`temporary`), `ImageError` where the folder is not usable.
    package static func load(
        _ folder: FilePath, specification: ModelSpecification, augmentation: Federation.Augmentation,
        validation: Double, seed: UInt64, files: any FileSystem, context: ComputeContext
    ) throws -> LocalPictures {
        let scan: DatasetScan
        do throws(ImageError) {
            scan = try Dataset.scan(folder, classes: specification.classes, files: files)
        } catch {
            // A folder that its disk withholds is not one without pictures.
            guard error.reason == .storageFailed else { throw error }
            throw ClientError(.temporary, error.description, hint: "the next run tries again")
        }
        // Half of the machine: the network and the rest of the hospital's work need the other half.
        try LoadedDataset.requireMemory(scan, imageSize: specification.imageSize, available: MachineMemory.bytes / 2)
        let whole = LoadedDataset(
            scan, preprocessing: try Preprocessing(for: specification),
            augmentation: try Images.Augmentation(
                rotationDegrees: augmentation.rotation, zoom: augmentation.zoom, shift: augmentation.shift,
                horizontalFlip: augmentation.horizontalFlip, brightness: augmentation.brightness,
                contrast: augmentation.contrast), seed: seed, files: files, context: context)
        // A broken picture is left out. One that its disk withholds is not: without it, it would quietly be another training.
        if let failed = whole.skipped.first(where: { $0.error.reason == .storageFailed }) {
            let count = whole.skipped.count { $0.error.reason == .storageFailed }
            throw ClientError(
                .temporary, "\(count) of the \(scan.items.count) pictures \(failed.error) just now",
                hint: "see to the disk or share of \(folder); the next run tries again")
        }
        guard whole.count > 0 else {
            throw ClientError(
                .missing, "none of the \(scan.items.count) pictures can be read",
                hint: "run 'consilium data check' on the folder")
        }
        let lost = try whole.requireClasses(2)
        let parts = try whole.split(validation: validation, seed: splitSeed)
        guard parts.training.count > 0 else {
            throw ClientError(.missing, "no picture is left to train on", hint: "lower 'validation' in consilium.yaml")
        }
        return LocalPictures(training: parts.training, validation: parts.validation, warnings: scan.warnings + lost)
    }
}

extension Preprocessing {
    /// What the architecture expects of its input.
    package init(for specification: ModelSpecification) throws(ImageError) {
        try self.init(
            imageSize: specification.imageSize, channels: specification.inputChannels,
            mean: specification.normalization.mean, std: specification.normalization.std,
            crop: specification.crop == .head)
    }
}
