import Bundles
package import Configuration
package import Federation
package import Files
package import Logging
package import Mailbox
import SystemPackage
package import Wire

/// What a server's run has to say.
package struct RunReport: RunReporting, Equatable, Sendable {
    package var attention: [String] = []
    package var details: [String] = []
    /// A session has paused for want of a quorum and the admin is told now, once (exit status 69).
    package var isShortOfQuorum = false
    package init() {}
}

/// One hold on a server's home: the cron tick, or one of the admin's commands.
///
/// The tick's order: desk moves, enrolments, inbox, sessions, publications, clean-up. Each step may be killed anywhere and
/// be done again: what a bundle brings is written to its session before the mailbox forgets the bundle, and sessions take
/// the same event twice without change.
package final class ServerRun: HomeRun {
    package let home: Home
    package let configuration: ServerConfiguration
    package let mailbox: Mailbox
    package let now: Timestamp
    package let log = Logger(label: "consilium.server")
    let versions: VersionStore
    let store: SessionStore
    private let desk: DeskStore
    private let savedRecords: DeskRecords

    package internal(set) var records: DeskRecords
    package internal(set) var sessions: [Session]
    /// Sessions whose state cannot be read. What comes for them waits.
    let unreadable: Set<RandomID>
    package var report = RunReport()
    /// Whether this is the cron tick, whose exit status tells of a pause; an admin's command must not use that up.
    var isTick = false
    /// How many bundles this run was given.
    var received = 0
    /// What lies on a desk, by id; looked at once and kept up to date while bundles are taken in.
    var deskContents: [FilePath: Set<Digest>] = [:]

    package var files: any FileSystem { home.files }

    /// - Returns: nil while another run holds the home.
    package static func open(_ home: Home, now: Timestamp) throws -> ServerRun? {
        let configuration = try ServerConfiguration.load(from: home)
        guard configuration.name == home.name else {
            throw ServerError(
                .badInput, "\(home.configurationPath): name is \(configuration.name), but this home is \(home.name)'s",
                hint: "put the old name back; others know this server by it")
        }
        let home = home.watchingShares(
            exchange: configuration.exchange.map { FilePath($0) }, patience: configuration.exchangeTimeout)
        guard let mailbox = try Mailbox.open(home, now: now, encrypts: configuration.encrypt) else {
            return nil
        }
        return try ServerRun(home, configuration: configuration, mailbox: mailbox, now: now)
    }

    private init(
        _ home: Home, configuration: ServerConfiguration, mailbox: Mailbox, now: Timestamp
    ) throws {
        self.home = home
        self.configuration = configuration
        self.mailbox = mailbox
        self.now = now
        versions = VersionStore(home: home)
        try versions.removeMarks()
        store = SessionStore(home: home)
        desk = DeskStore(home: home)
        records = try desk.load()
        savedRecords = records
        var skipped: Set<RandomID> = []
        var problems: [String] = []
        sessions = try store.load(records: records) { id, error in
            skipped.insert(id)
            problems.append("session \(id.hex) cannot be read and waits; the others go on: \(error)")
        }
        unreadable = skipped
        report.attention += problems
    }

    /// Does one thing's work; trouble with it is told, and keeps no other thing back.
    ///
    /// - Throws: what stops everything; see ``isTransient(_:)``.
    func isolated(_ subject: @autoclosure () -> String, _ work: () throws -> Void) throws {
        do {
            try work()
        } catch {
            guard !isTransient(error) else { throw error }
            attention("\(subject()): \(error)")
        }
    }

    func saveRecords() throws {
        if records != savedRecords { try desk.save(records) }
    }

    // MARK: saying

    /// Says something to a person once in the life of this home.
    func announce(_ key: String, _ line: @autoclosure () -> String) {
        if records.announced.announce(key) { attention(line()) }
    }

    // MARK: sessions

    func session(_ id: RandomID) -> Session? { sessions.first { $0.id == id } }

    /// By its name, newest first, or by the beginning of its identifier (at least four digits).
    package func session(named text: String) throws -> Session {
        let upper = text.uppercased() + "@"
        if let found = sessions.last(where: { $0.name == text || $0.name.hasPrefix(upper) }) { return found }
        let matches = text.utf8.count >= 4 ? sessions.filter { $0.id.hex.hasPrefix(text) } : []
        guard matches.count == 1, let found = matches.first else {
            let known = sessions.suffix(10).map(\.name).joined(separator: ", ")
            throw ServerError(
                .missing, "there is no session '\(text)'",
                hint: known.isEmpty ? "none has begun yet" : "there are \(known)")
        }
        return found
    }

    /// Takes an event into a session, saves that, and says and audits what came of it.
    ///
    /// - Parameter bundles: what brought the event about, for the audit, where the event itself does not say it.
    /// - Throws: `FederationError` `.notAllowed` where the session's state does not allow it; nothing has changed then.
    func apply(_ event: SessionEvent, to id: RandomID, about bundles: [Digest] = []) throws {
        guard let index = sessions.firstIndex(where: { $0.id == id }) else { return }
        var changed = sessions[index]
        let effects = try changed.apply(event, now: now)
        // An update that is left out changes nothing else, and is on record all the same.
        if !effects.isEmpty {
            let entries = Self.entries(
                for: effects, of: event, about: bundles, before: sessions[index], after: changed)
            try audit("session", subject: id.hex, details: entries)
        }
        if changed != sessions[index] { try store.save(changed) }
        sessions[index] = changed
        for effect in effects {
            let line = "session \(changed.name): \(effect)"
            if effect.needsAttention { attention(line) } else { detail(line) }
        }
    }
}

extension ServerConfiguration {
    /// A home's configuration, whose values for plans are ones that a plan may have.
    package static func load(from home: Home) throws -> ServerConfiguration {
        let file = home.configurationPath.string
        let configuration = try ServerConfiguration(parsing: try home.readConfiguration(), file: file)
        try PlanDefaults.check(layer: configuration.planDefaults, context: file)
        return configuration
    }
}
