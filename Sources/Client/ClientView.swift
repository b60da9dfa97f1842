import Bundles
package import Configuration
import Federation
package import Files
import Images
package import Mailbox
package import NeuralNetworks
package import SystemPackage
package import Tensors
package import Wire

/// What a hospital's home says of its models and pictures, to the run that holds it and to whoever only looks. Writes nothing.
package protocol ClientReading {
    var home: Home { get }
    var configuration: ClientConfiguration { get }
    var state: ClientState { get }
    /// For everything that is computed on pictures.
    var context: ComputeContext { get }
}

/// A look at a home that needs neither its lock nor a disk that can be written to: a training that takes the night keeps
/// nobody from seeing where it stands. The state is that of one moment, since it is replaced whole.
package struct ClientView: ClientReading {
    package let home: Home
    package let configuration: ClientConfiguration
    package let state: ClientState
    package let context: ComputeContext

    package init(_ home: Home, instructionSet: InstructionSet? = nil) throws {
        self.home = home
        configuration = try ClientConfiguration.load(from: home)
        state = try ClientState.load(from: home)
        context = ComputeContext(
            workers: configuration.threads, instructionSet: instructionSet,
            memoryLimit: configuration.memory.map { Int($0) })
    }
}

/// How an offered model does on the hospital's own validation pictures.
package struct OfferScores {
    package let asSent: ClassificationMetrics
    /// With the BatchNorm statistics of this hospital; nil where the plan freezes BatchNorm.
    package let fitted: ClassificationMetrics?
}

extension ClientReading {
    package var files: any FileSystem { home.files }
    package var server: PartyName { home.record.server }

    /// The pictures' folder, as configured.
    package func dataFolder() throws -> FilePath {
        guard let data = configuration.data else {
            throw ClientError(
                .missing, "\(home.configurationPath) names no pictures",
                hint: "set 'data' to the folder of class folders")
        }
        return home.root.pushing(FilePath(data))
    }

    func basePath(_ session: RandomID) -> FilePath { home.session(session).appending("base.safetensors") }

    func requireMemory(_ planned: Int) throws {
        let limit = context.memoryLimit
        guard planned > limit else { return }
        let what = configuration.memory == nil ? "this machine has room for" : "'memory' in consilium.yaml allows"
        throw ClientError(
            .notAllowed, "training needs \(planned >> 20) MiB, \(what) \(limit >> 20) MiB",
            hint: "ask the server for a smaller batch_size or image_size"
                + (configuration.memory == nil ? "" : ", or raise it"))
    }

    // MARK: models

    /// The received global over the frozen base, checked against the architecture.
    func globalModel(of session: ClientSession) throws -> Model {
        let bundle = try BundleReader.open(home.archived(session.global.bundle), files: files).verified()
        return try model(in: bundle, plan: session.plan, base: nil, session: session)
    }

    /// - Parameters:
    ///   - base: the bundle that carries the frozen tensors, where they just came.
    ///   - session: whose frozen tensors are used otherwise; nil for a session that is seen for the first time.
    /// - Throws: ``ClientError`` `.badInput`, `NetworkError`, `SafetensorsError` where the model is not one for this plan.
    func model(in bundle: VerifiedBundle, plan: Plan, base: VerifiedBundle?, session: ClientSession?) throws -> Model {
        guard let architecture = Architecture(rawValue: plan.architecture) else {
            throw ClientError(
                .badInput, "this version cannot train the architecture '\(plan.architecture)'",
                hint: "update consilium")
        }
        let specification = try ModelSpecification(
            architecture: architecture, classes: plan.classes, imageSize: plan.imageSize,
            crop: plan.crop)
        var tensors = TensorDictionary()
        if let base {
            tensors = try Safetensors.decode(try base.payload("base.safetensors", limit: ClientRun.modelBytes)).tensors
        } else if let session, session.baseBundle != nil {
            guard try !hasLostBase(session) else {
                throw ClientError(
                    .missing, "the frozen part of the model is gone from sessions/",
                    hint: "ask the server's admin for 'server reissue'")
            }
            tensors = try Safetensors.decode(try files.readFile(basePath(session.id), limit: ClientRun.modelBytes))
                .tensors
        }
        let trained = try Safetensors.decode(try bundle.payload("model.safetensors", limit: ClientRun.modelBytes))
            .tensors
        return try Model(specification, tensors: tensors.merging(trained))
    }

    /// Whether the frozen tensors came once and are not there any more.
    func hasLostBase(_ session: ClientSession) throws -> Bool {
        try session.baseBundle != nil && !files.exists(basePath(session.id))
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

    private func session(of offer: Offer) throws -> ClientSession {
        guard let session = state.session(offer.session), session.global.bundle == offer.bundle else {
            throw ClientError(.damaged, "the session of version \(offer.version) is not on record")
        }
        return session
    }

    /// The session's training, set up as for one more round, of which only the statistics are wanted.
    func fitting(_ model: Model, _ offer: Offer) throws -> LocalTraining {
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
