import Bundles
package import Configuration
import Federation
import Files
package import Logging
package import Mailbox
import SystemPackage
package import Tensors
package import Wire

/// What a hospital's run has to say.
package struct RunReport: RunReporting, Sendable {
    package var attention: [String] = []
    package var details: [String] = []
    /// Why sessions that are to be trained were not, each time; a person is told when it begins.
    package var untrained: [any Error] = []
    /// How far training came that a signal or the time budget ended, for whoever sits before it.
    package var stopped: [String] = []
    package init() {}
}

/// One hold on a hospital's home: the cron tick, or one of the hospital's commands.
///
/// The tick's order: desks, inbox, training, publications, clean-up. State is one file, `sessions/state.json`, written
/// before the mailbox forgets the bundle that changed it.
package final class ClientRun: ClientReading, HomeRun {
    package let home: Home
    package let configuration: ClientConfiguration
    package let mailbox: Mailbox
    package let now: Timestamp
    /// For everything that is computed on pictures.
    package let context: ComputeContext
    package let log = Logger(label: "consilium.client")
    package internal(set) var state: ClientState
    package var report = RunReport()
    private(set) var savedState: ClientState
    /// How many bundles this run was given.
    var received = 0
    /// Updates that the server does not have where it issued their rounds again, though nothing says that they arrived.
    var missed: Set<Digest> = []

    /// Room for features on disk without `cache` in the configuration.
    private static let usualCacheBytes: Int64 = 16_000_000_000

    /// - Returns: nil while another run holds the home.
    package static func open(
        _ home: Home, now: Timestamp, instructionSet: InstructionSet? = nil
    ) throws -> ClientRun? {
        let configuration = try ClientConfiguration.load(from: home)
        guard configuration.name == home.name else {
            throw ClientError(
                .badInput, "\(home.configurationPath): name is \(configuration.name), but this home is \(home.name)'s",
                hint: "put the old name back; the server knows this hospital by it")
        }
        let home = home.watchingShares(
            exchange: configuration.exchange.map { FilePath($0) }, patience: configuration.exchangeTimeout)
        if let exchange = configuration.exchange {
            try Exchange.requireNoPictures(
                FilePath(exchange), data: configuration.data.map { FilePath($0) }, of: home)
        }
        guard let mailbox = try Mailbox.open(home, now: now, encrypts: configuration.encrypt) else { return nil }
        let context = ComputeContext(
            workers: configuration.threads, instructionSet: instructionSet,
            memoryLimit: configuration.memory.map { Int($0) })
        return try ClientRun(home, configuration: configuration, mailbox: mailbox, now: now, context: context)
    }

    private init(
        _ home: Home, configuration: ClientConfiguration, mailbox: Mailbox, now: Timestamp, context: ComputeContext
    ) throws {
        self.home = home
        self.configuration = configuration
        self.mailbox = mailbox
        self.now = now
        self.context = context
        state = try ClientState.load(from: home)
        savedState = state
        forgetRevoked()
    }

    /// What revoked keys of the server said under whatever numbers keeps nothing back that another key says.
    func forgetRevoked() {
        let keys = mailbox.trust.signers.entries(of: server).map(\.key)
        state.forgetNumbers(
            of: Set(keys.filter { mailbox.trust.isRevoked($0) }.map(\.fingerprint)), enrolment: currentEnrolment)
    }

    /// What stands against this hospital at its server.
    var obstacle: (text: String, advice: String)? {
        state.obstacle(of: mailbox.identity, trust: mailbox.trust, server: server)
    }

    func saveState() throws {
        guard state != savedState else { return }
        let (path, bytes) = (ClientState.path(in: home), StrictJSON.serialize(state.json))
        // It would stop every command, also the one that distrusts whoever has sent so much.
        guard bytes.count <= ClientState.maximumBytes else {
            throw ClientError(
                .notAllowed,
                "\(path) would have \(bytes.count) bytes, more than the \(ClientState.maximumBytes) that are read again",
                hint: "nothing was changed; find out in the audit what \(server) sends, and call there")
        }
        try home.files.writeFile(path, bytes)
        savedState = state
    }

    // MARK: saying

    /// What a bundle of the server's brought about.
    ///
    /// - Parameter update: this hospital's own, where the bundle says what became of it.
    func say(_ notices: [ClientNotice], from delivery: VerifiedDelivery, update: Digest? = nil) throws {
        try say(
            notices, event: delivery.manifest.kind.rawValue, bundle: delivery.id, of: delivery.sender, update: update)
    }

    func say(
        _ notices: [ClientNotice], event: String, bundle: Digest, of sender: PartyName, update: Digest? = nil
    ) throws {
        for notice in notices {
            if notice.needsAttention { attention(notice.description) } else { detail(notice.description) }
        }
        let entries = notices.map { notice in
            let own = notice.isAboutUpdate ? update.map { "; update \($0)" } ?? "" : ""
            return "\(notice)\(own); from \(sender)"
        }
        if !entries.isEmpty { try audit(event, subject: bundle.hex, details: entries) }
    }

    // MARK: folders

    func featureCache(requireMemory: @escaping (Int) throws -> Void = { _ in }) -> FeatureCache {
        FeatureCache(
            folder: home.cache, files: files, limit: configuration.cache ?? Self.usualCacheBytes, context: context,
            requireMemory: requireMemory)
    }

    func checkpointPath(_ session: RandomID) -> FilePath { home.session(session).appending("checkpoint") }
    func updatePath(_ session: RandomID) -> FilePath { home.session(session).appending("update.safetensors") }
    func metricsPath(_ session: RandomID) -> FilePath { home.session(session).appending("metrics.json") }
}

extension ClientState {
    fileprivate static let maximumBytes = 64 << 20
    static func path(in home: Home) -> FilePath { home.sessions.appending("state.json") }

    /// The state on disk; an empty one where the home is new.
    package static func load(from home: Home) throws -> ClientState {
        let path = path(in: home)
        guard try home.files.exists(path) else { return ClientState() }
        let bytes = try home.files.readFile(path, limit: maximumBytes)
        do {
            return try ClientState(
                json: try StrictJSON.parse(bytes, maximumBytes: maximumBytes), context: "state.json")
        } catch {
            throw ClientError(.damaged, "\(path): \(error)", hint: "restore it from a backup")
        }
    }
}

extension ClientConfiguration {
    package static func load(from home: Home) throws -> ClientConfiguration {
        try ClientConfiguration(parsing: try home.readConfiguration(), file: home.configurationPath.string)
    }
}
