import Bundles
import Configuration
import Federation
import Files
import Images
import Mailbox
package import NeuralNetworks
package import SystemPackage
import Tensors
import Wire

/// From an offered model to the one that `predict` uses.
extension ClientRun {
    /// How an offered model does on the hospital's own validation pictures.
    package struct OfferScores {
        package let asSent: ClassificationMetrics
        /// With the BatchNorm statistics of this hospital; nil where the plan freezes BatchNorm.
        package let fitted: ClassificationMetrics?
    }

    /// A model as `predict` will find it.
    struct Installation {
        let offer: Offer
        let bytes: [UInt8]
        /// What of this hospital is in it.
        let note: String
    }

    /// Makes what is installed: with the BatchNorm statistics of this hospital's training pictures where BatchNorm was
    /// trained (``LocalTraining/fitted()`` says why), and with a temperature fitted on its validation pictures. Writes
    /// nothing; doing it again makes the same bytes.
    ///
    /// - Parameter asSent: keeps everything as it came.
    /// - Throws: ``ClientError`` where the pictures are there to be fitted on, but not now: accepted as sent the model would
    ///   stay so for good.
    func prepare(_ offer: Offer, asSent: Bool) throws -> Installation {
        var model = try offeredModel(offer)
        var calibration = Calibration.none
        var notes: [String] = []
        if !asSent {
            do {
                let training = try fitting(model, offer)
                tellSkipped(training.pictures)
                if let fitted = try training.fitted() {
                    model = fitted
                    notes.append("BatchNorm statistics of \(training.pictures.training.count) own pictures")
                }
                if let fitted = try training.calibration(of: model) {
                    calibration = fitted
                    notes.append("temperature fitted on \(training.pictures.validation.count) own pictures")
                }
            } catch let error as ClientError where error.code == .temporary {
                throw error
            } catch let error as ImageError where [.folderMissing, .folderUnreadable].contains(error.reason) {
                throw ClientError(
                    error.reason == .folderMissing ? .missing : .unreadable, error.description,
                    hint: "see to 'data' in consilium.yaml, or use 'consilium client accept \(offer.version) --as-sent'"
                )
            } catch {
                attention("version \(offer.version) is installed as sent, not fitted to this hospital: \(error)")
            }
        }
        let specification = model.specification
        let metadata = ModelMetadata(
            architecture: specification.architecture.rawValue, classes: specification.classes,
            imageSize: specification.imageSize, crop: specification.crop, temperature: calibration.temperature)
        let note = notes.isEmpty ? "as sent" : notes.joined(separator: ", ")
        let fields = metadata.fields.merging(["fitted": note]) { $1 }
        return Installation(offer: offer, bytes: try Safetensors.encode(model.tensors, metadata: fields), note: note)
    }

    /// Writes the model where `predict` finds it. Doing it again writes the same bytes.
    func install(_ installation: Installation, actor: String) throws {
        let offer = installation.offer
        let path = modelPath(version: offer.version)
        try files.writeFile(path, installation.bytes)
        try audit(
            "version-accepted", subject: offer.bundle.hex, detail: "version \(offer.version), \(installation.note)",
            actor: actor)
        state.change(offer: offer.bundle) { $0.status = .accepted }
        try saveState()
        attention("version \(offer.version) is installed: \(path)")
    }

    package func score(_ offer: Offer) throws -> OfferScores {
        let training = try fitting(try offeredModel(offer), offer)
        let validation = training.pictures.validation
        return OfferScores(
            asSent: try evaluate(training.global, on: validation, context: training.context),
            fitted: try training.fitted().map { try evaluate($0, on: validation, context: training.context) })
    }

    /// The whole model of a final global.
    package func offeredModel(_ offer: Offer) throws -> Model { try globalModel(of: try session(of: offer)) }

    package func modelPath(version: Int) -> FilePath {
        home.models.appending("\(home.name)_FinalGlobal_v\(version).safetensors")
    }

    private func session(of offer: Offer) throws -> ClientSession {
        guard let session = state.session(offer.session), session.global.bundle == offer.bundle else {
            throw ClientError(.damaged, "the session of version \(offer.version) is not on record")
        }
        return session
    }

    /// The session's training, set up as for one more round, of which only the statistics are wanted.
    private func fitting(_ model: Model, _ offer: Offer) throws -> LocalTraining {
        let plan = try session(of: offer).plan
        let pictures = try LocalPictures.load(
            try dataFolder(), specification: model.specification, augmentation: .none,
            validation: configuration.validation, seed: 0, files: files, context: context)
        let training = LocalTraining(
            plan: plan, round: plan.rounds, client: home.name, global: model, pictures: pictures, context: context)
        try requireMemory(try training.plannedBytes())
        return training
    }
}
