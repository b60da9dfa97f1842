import Bundles
import Configuration
import Federation
import Files
import Images
import Mailbox
import NeuralNetworks
package import SystemPackage
import Tensors
import Wire

/// From an offered model to the one that `predict` uses.
extension ClientRun {
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

    /// Writes the model where `predict` finds it, in place of another one of its number. Doing it again writes the same bytes.
    func install(_ installation: Installation, actor: String) throws {
        let offer = installation.offer
        let path = modelPath(version: offer.version)
        try makeWay(for: offer, actor: actor)
        try files.writeFile(path, installation.bytes)
        try audit(
            "version-accepted", subject: offer.bundle.hex,
            detail: "version \(offer.version) from \(server), \(installation.note)",
            actor: actor)
        state.change(offer: offer.bundle) { $0.status = .accepted }
        try saveState()
        attention("version \(offer.version) is installed: \(path)")
    }

    /// Where `predict` does not look. Nothing is lost: somebody may have to find out what was wrong with it.
    var rejectedModels: FilePath { home.models.appending("rejected") }

    /// Doing it again changes nothing. It may be there though it was never accepted: an acceptance was stopped.
    ///
    /// What was not accepted leaves alone the model of an offer of the same number that is: ``makeWay(for:actor:)`` says why
    /// that is the one that lies there. An earlier version of this program could leave two accepted ones; then nobody knows.
    ///
    /// - Returns: where its model lies now; nil where there was none.
    func takeOutOfUse(_ offer: Offer) throws -> FilePath? {
        let path = modelPath(version: offer.version)
        let others = state.offers.filter { $0.version == offer.version && $0.bundle != offer.bundle }
        let mark = others.isEmpty ? "" : "-\(offer.bundle.short)"
        let isAnothers = offer.status != .accepted && others.contains { $0.status == .accepted }
        guard let stem = path.stem else { return nil }
        let target = rejectedModels.appending("\(stem)\(mark).safetensors")
        guard !isAnothers, try files.exists(path) else { return try files.exists(target) ? target : nil }
        try files.makeDirectories(rejectedModels)
        try files.move(from: path, to: target)
        return target
    }

    package func modelPath(version: Int) -> FilePath {
        home.models.appending("\(home.name)_FinalGlobal_v\(version).safetensors")
    }
}
