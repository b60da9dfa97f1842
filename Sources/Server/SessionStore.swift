import Bundles
package import Federation
import Files
package import Mailbox
package import SystemPackage
package import Wire

/// Sessions on disk: `sessions/ID/session.json`, and each round's model as `sessions/ID/rounds/NNNN/model.safetensors`
/// (round 0000 is what the session began with).
package struct SessionStore: Sendable {
    package let home: Home
    package init(home: Home) { self.home = home }

    private static let stateBytes = 256 << 20

    /// All sessions, oldest first.
    ///
    /// - Parameters:
    ///   - records: what the desk remembers; a session that it knows of is missed where it is not there.
    ///   - skip: is told of each session whose state cannot be read, so that the others go on. One that has begun and lost its
    ///     state is no other thing: who has a part in it would be told that it is unknown, and never send again.
    package func load(
        records: DeskRecords = DeskRecords(), skip: (RandomID, any Error) -> Void = { _, _ in }
    ) throws -> [Session] {
        var sessions: [Session] = []
        var found: Set<RandomID> = []
        for entry in try home.files.list(home.sessions) where entry.kind == .directory {
            guard let id = RandomID(hex: entry.name) else { continue }
            do {
                if try home.files.exists(statePath(id)) {
                    found.insert(id)
                    sessions.append(try load(id))
                } else if try home.files.exists(roundsPath(id)) {
                    // The state comes before anything else, so that an empty folder is what a killed start left behind: the
                    // next tick makes it again.
                    found.insert(id)
                    throw missing(id)
                }
            } catch {
                guard !isTransient(error) else { throw error }
                skip(id, error)
            }
        }
        for record in records.requests {
            guard record.status == .approved, let id = record.session, !found.contains(id), try isApproved(record)
            else { continue }
            found.insert(id)
            skip(id, missing(id))
        }
        return sessions.sorted { ($0.created, $0.id) < ($1.created, $1.id) }
    }

    private func missing(_ id: RandomID) -> ServerError {
        ServerError(
            .damaged, "\(statePath(id)) is missing",
            hint: "restore it from a backup; if there is none, move its folder away, and its requests to rejected/")
    }

    /// Whether a request's file still lies where it was approved.
    private func isApproved(_ record: DeskRecords.RequestRecord) throws -> Bool {
        let approved = home.requests.appending("approved")
        guard try home.files.exists(approved) else { return false }
        if try home.files.exists(approved.appending(record.fileName)) { return true }
        return try home.files.list(approved).contains { entry in
            guard entry.kind == .directory else { return false }
            return try home.files.exists(approved.appending(entry.component).appending(record.fileName))
        }
    }

    package func load(_ id: RandomID) throws -> Session {
        let path = statePath(id)
        let bytes = try home.files.readFile(path, limit: Self.stateBytes)
        do {
            let value = try StrictJSON.parse(bytes, maximumBytes: Self.stateBytes)
            return try Session(json: value, context: "session.json")
        } catch {
            throw ServerError(.damaged, "\(path): \(error)", hint: "restore it from a backup")
        }
    }

    /// Nothing is written that could not be read again: a session that cannot be loaded is lost to its hospitals.
    package func save(_ session: Session) throws {
        let bytes = StrictJSON.serialize(session.json)
        guard try Session(decoding: bytes) == session else {
            throw FederationError(
                .malformed, "session.json would not say again what it is made from; nothing was saved")
        }
        try home.files.makeDirectories(home.session(session.id))
        try home.files.writeFile(statePath(session.id), bytes)
    }

    private func statePath(_ id: RandomID) -> FilePath { home.session(id).appending("session.json") }

    private func roundsPath(_ id: RandomID) -> FilePath { home.session(id).appending("rounds") }

    /// The model that round `number` made; 0 is what the session began with.
    package func modelPath(_ id: RandomID, round number: Int) -> FilePath {
        let digits = "\(number)"
        let folder = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return roundsPath(id).appending(folder).appending("model.safetensors")
    }

    /// The frozen part, which no round changes.
    package func basePath(_ id: RandomID) -> FilePath { home.session(id).appending("base.safetensors") }

    /// Where the model with this digest lies, the newest round first.
    ///
    /// - Throws: ``ServerError`` `.damaged` where the session never had it or the file's content is another.
    package func path(of model: Digest, in session: Session) throws -> FilePath {
        let made = session.history.last { $0.model == model }?.number
        guard let number = made ?? (session.start?.model == model ? 0 : nil) else {
            throw ServerError(.damaged, "session \(session.name) knows no model \(model.short)")
        }
        let path = modelPath(session.id, round: number)
        guard try SHA256Hash.digest(of: path, files: home.files).digest == model else {
            throw ServerError(.damaged, "\(path) is not what the session wrote", hint: "restore it from a backup")
        }
        return path
    }

    /// - Throws: ``ServerError`` `.damaged` where the frozen part is not the one that the session began with.
    package func requireBase(_ base: Digest, in session: Session) throws {
        let path = basePath(session.id)
        guard try SHA256Hash.digest(of: path, files: home.files).digest == base else {
            throw ServerError(.damaged, "\(path) is not what the session wrote", hint: "restore it from a backup")
        }
    }
}
