import Bundles
package import Files
package import SystemPackage
package import Wire

/// The folder in which a server or a client keeps everything. All paths of the layout are made here and nowhere else.
///
/// Desks, state and keys must lie on local disk. Only `inbox`, `outbox` and an exchange may be on a share; they may be
/// symbolic links to folders.
package struct Home: Sendable {
    /// Absolute.
    package let root: FilePath
    package let record: HomeRecord
    package let files: any FileSystem

    package var role: HomeRole { record.role }
    package var name: PartyName { record.name }
    package var federation: RandomID { record.federation }

    package var configurationPath: FilePath { root.appending("consilium.yaml") }
    package var identity: FilePath { root.appending("identity") }
    package var trust: FilePath { root.appending("trust") }
    package var inbox: FilePath { root.appending("inbox") }
    package var outbox: FilePath { root.appending("outbox") }
    package var enrolments: FilePath { root.appending("enrolments") }
    package var requests: FilePath { root.appending("requests") }
    package var plans: FilePath { root.appending("plans") }
    package var updates: FilePath { root.appending("updates") }
    package var sessions: FilePath { root.appending("sessions") }
    package var versions: FilePath { root.appending("versions") }
    package var models: FilePath { root.appending("models") }
    package var quarantine: FilePath { root.appending("quarantine") }
    package var archive: FilePath { root.appending("archive") }
    package var audit: FilePath { root.appending("audit") }
    package var cache: FilePath { root.appending("cache") }
    package var history: FilePath { root.appending("history") }

    package func session(_ id: RandomID) -> FilePath { sessions.appending(id.hex) }
    package func version(_ number: Int) -> FilePath {
        let digits = String(number)
        return versions.appending(String(repeating: "0", count: max(0, 4 - digits.count)) + digits)
    }
    package func archived(_ id: Digest) -> FilePath { archive.appending(id.hex + ".tar") }

    // MARK: the mailbox's own state

    var state: FilePath { root.appending("mailbox") }
    var recordPath: FilePath { state.appending("home.json") }
    /// The record of a home that is still being made.
    private var beginningPath: FilePath { state.appending("init.json") }
    var lockPath: FilePath { state.appending("lock") }
    /// For whoever asks who holds the home; see ``RunLock``.
    package var lockFile: FilePath { lockPath }
    var ledgerPath: FilePath { state.appending("ledger.json") }
    var auditHeadPath: FilePath { state.appending("audit-head.json") }
    var clockPath: FilePath { state.appending("clock.json") }
    var settlingPath: FilePath { state.appending("settling.json") }
    var exchangePath: FilePath { state.appending("exchange.json") }
    /// Held while a share is used; see `ShareGuard`.
    func shareLockPath(_ share: String) -> FilePath { state.appending("\(share).share-lock") }
    var exchangeSettlingPath: FilePath { state.appending("exchange-settling.json") }
    /// Copies of what is being looked at; emptied at the start of each run.
    var spool: FilePath { state.appending("spool") }
    /// Our own bundles, by id, until they are retired.
    var outgoing: FilePath { state.appending("outgoing") }
    var held: FilePath { state.appending("held") }

    func heldPath(_ id: Digest) -> FilePath { held.appending(id.hex + ".tar") }
    func outgoingPath(_ id: Digest) -> FilePath { outgoing.appending(id.hex + ".tar") }
    /// The same bundle as it travels, encrypted once, so that what is sent again is the same file.
    func sealedPath(_ id: Digest) -> FilePath { outgoing.appending(id.hex + ".tar" + AgeFile.suffix) }

    /// Others on this machine have no business where models lie, or what was trained on pictures: weights say something about
    /// them. Desks, the boxes, trust and the audit are for people and programs of other accounts too.
    private var privateFolders: [FilePath] {
        let common = [sessions, quarantine, archive, state, spool, outgoing, held]
        return common + (role == .server ? [versions] : [models, cache, history])
    }

    /// Makes what is missing. What is there keeps its permissions: an administrator may have given them on purpose.
    private func makeFolders() throws(FileError) {
        for folder in privateFolders { try files.makeDirectories(folder, permissions: 0o700) }
        for folder in openFolders { try files.makeDirectories(folder) }
    }

    private var openFolders: [FilePath] {
        let common = [trust, inbox, outbox, audit]
        let own =
            switch role {
            case .server: [enrolments, requests].flatMap(Self.desk)
            case .client: Self.desk(plans) + ["pending", "accepted", "rejected"].map { updates.appending($0) }
            }
        return common + own
    }

    /// Where only this program makes files, besides people's moves: what a killed run left there may be cleared.
    var foldersOfOwnFiles: [FilePath] {
        let common = [identity, outbox, sessions, quarantine, archive, audit]
        switch role {
        case .server: return common + [enrolments, requests, versions]
        case .client: return common + [plans, updates, models, cache, history]
        }
    }

    /// The names of the folders in a home, a server's or a hospital's, that are its own. A share may lie in another one.
    static let folderNames: Set<String> = [
        "archive", "audit", "cache", "enrolments", "history", "identity", "inbox", "mailbox", "models", "outbox",
        "plans", "quarantine", "requests", "sessions", "trust", "updates", "versions",
    ]

    private static func desk(_ root: FilePath) -> [FilePath] {
        ["pending", "approved", "rejected"].map { root.appending($0) }
    }

    // MARK: making and opening

    private static let maximumRecordBytes = 64 << 10

    /// Whether somebody made a home there.
    package static func isHome(_ root: FilePath, files: any FileSystem) -> Bool {
        (try? hasRecord(root, files: files)) ?? false
    }

    /// - Throws: where the disk does not say; that is not "no".
    private static func hasRecord(_ root: FilePath, files: any FileSystem) throws(MailboxError) -> Bool {
        let path = root.appending("mailbox").appending("home.json")
        return try onDisk { () throws(FileError) in try files.status(path)?.kind == .regular }
    }

    /// Makes a home: folders, keys, trust, what `equip` adds, the configuration, and last the record that makes the folder a
    /// home. Whatever stops it, the same call goes on where it stopped; until then nothing else takes the folder for a home.
    ///
    /// - Parameters:
    ///   - record: who the home is. One that was begun keeps its federation, if it is a server's, and its time.
    ///   - equip: first entries in trust, first bundles; may be called again by a repeated `create`.
    package static func create(
        at root: FilePath, record: HomeRecord, configuration: String, files: any FileSystem,
        equip: (Home, Identity) throws -> Void = { _, _ in }
    ) throws -> Home {
        guard try !hasRecord(root, files: files) else {
            throw MailboxError(.exists, "\(root) is a home already", hint: "choose another folder, or use this one")
        }
        let home = Home(root: absolute(root), record: try begun(absolute(root), as: record, files: files), files: files)
        try onDisk { () throws(FileError) in
            try files.makeDirectories(home.root)
            try files.makeDirectories(home.identity, permissions: 0o700)
        }
        // Keys that were laid there before are looked at while nothing depends on them yet.
        let identity = try Identity.create(in: home)
        try onDisk { () throws(FileError) in
            try home.makeFolders()
            try files.writeFile(home.beginningPath, StrictJSON.serialize(home.record.json, pretty: true))
        }
        try TrustStore.create(in: home)
        try equip(home, identity)
        try onDisk { () throws(FileError) in
            if try !files.exists(home.configurationPath) {
                try files.writeFile(home.configurationPath, Array(configuration.utf8))
            }
            try files.move(from: home.beginningPath, to: home.recordPath)
        }
        return home
    }

    /// The record that an unfinished `create` of the same home left, else `record`.
    private static func begun(
        _ root: FilePath, as record: HomeRecord, files: any FileSystem
    ) throws(MailboxError) -> HomeRecord {
        let path = Home(root: root, record: record, files: files).beginningPath
        guard try onDisk({ () throws(FileError) in try files.exists(path) }) else { return record }
        let bytes = try onDisk { () throws(FileError) in try files.readFile(path, limit: maximumRecordBytes) }
        let begun: HomeRecord
        do {
            begun = try HomeRecord(json: try StrictJSON.parse(bytes, maximumBytes: maximumRecordBytes))
        } catch {
            throw MailboxError(.exists, "\(path): \(error)", hint: "remove the folder and run init again")
        }
        let isSame =
            begun.role == record.role && begun.name == record.name
            && (record.role == .server || (begun.federation == record.federation && begun.server == record.server))
        guard isSame else {
            throw MailboxError(
                .exists, "\(root) was begun as the \(begun.role.rawValue) \(begun.name) of another init",
                hint: "repeat that one, choose another folder, or remove this one")
        }
        return begun
    }

    /// - Parameter role: what the command needs; nil for either.
    package static func open(
        _ root: FilePath, role: HomeRole? = nil, files: any FileSystem
    ) throws(MailboxError) -> Home {
        let root = absolute(root)
        let path = root.appending("mailbox").appending("home.json")
        guard try hasRecord(root, files: files) else {
            throw MailboxError(
                .notAHome, "\(root) is not a home: \(path) is missing",
                hint: "name one with --home, or make one with 'consilium server init' or 'consilium client init'")
        }
        let bytes = try onDisk { () throws(FileError) in try files.readFile(path, limit: maximumRecordBytes) }
        let record: HomeRecord
        do {
            record = try HomeRecord(json: try StrictJSON.parse(bytes, maximumBytes: maximumRecordBytes))
        } catch {
            throw MailboxError(.notAHome, "\(path): \(error)", hint: "restore it from a backup")
        }
        if let role, role != record.role {
            throw MailboxError(
                .wrongRole, "\(root) is a \(record.role.rawValue)'s home",
                hint: "name a \(role.rawValue)'s home with --home")
        }
        return Home(root: root, record: record, files: files)
    }

    /// Puts back folders that were removed by hand; git and some backups drop empty ones.
    func restoreFolders() throws(MailboxError) {
        try onDisk { () throws(FileError) in try makeFolders() }
    }

    package func readConfiguration() throws(MailboxError) -> [UInt8] {
        guard try onDisk({ () throws(FileError) in try files.exists(configurationPath) }) else {
            throw MailboxError(
                .notAHome, "\(configurationPath) is missing", hint: "restore it, or write one with a name")
        }
        return try onDisk { () throws(FileError) in try files.readFile(configurationPath, limit: 1 << 20) }
    }
}
