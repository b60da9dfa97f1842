import Configuration
package import Federation
import Files
import Mailbox
import SystemPackage
package import Wire

/// The admin's commands. Those that have a twin on the desk do the very file move; the others change a session and are
/// audited with the user id.
extension ServerRun {
    /// Moves a pending request to `approved/` or `approved/SESSION/`.
    package func approve(_ label: String, session: String?, actor: String) throws {
        let record = try pending(label)
        let item = try item(of: record)
        try Desk.requests(home).target(of: item, .approved, group: session)
        try audit(
            "approve", subject: record.id.hex, detail: "\(record.label) of \(record.client) \(session ?? "")",
            actor: actor)
        try Desk.requests(home).move(item, to: .approved, group: session)
        let place = session.map { "approved/\($0)" } ?? "approved"
        detail("\(record.label) of \(record.client) lies in requests/\(place); the next 'server run' answers")
    }

    /// Moves a pending request, or an approved one of a running session, to `rejected/`, with the reason beside it.
    package func reject(_ label: String, reason: String, actor: String) throws {
        let record = try known(label)
        guard record.status == .pending || record.status == .approved else {
            throw ServerError(.notAllowed, "\(record.label) is \(record.status.rawValue) already")
        }
        if record.status == .approved, let session = record.session.flatMap({ self.session($0) }) {
            guard !session.isOver else {
                throw ServerError(
                    .notAllowed,
                    "\(record.label) belongs to session \(session.name), which is \(session.state.rawValue)")
            }
            if let departure = departure(of: record) {
                throw ServerError(.notAllowed, "\(record.label) of session \(session.name) was \(departure) already")
            }
        }
        let item = try item(of: record)
        try Desk.requests(home).target(of: item, .rejected)
        try audit(
            "reject", subject: record.id.hex, detail: "\(record.label) of \(record.client) \(reason)", actor: actor)
        let path = try Desk.requests(home).move(item, to: .rejected)
        if !reason.isEmpty, let name = path.lastComponent?.string {
            let file = path.removingLastComponent().appending(Self.reasonName(name))
            try files.writeFile(file, Array((reason + "\n").utf8))
        }
        detail("\(record.label) of \(record.client) lies in requests/rejected; the next 'server run' answers")
    }

    package func drop(_ client: PartyName, from session: String, reason: String, actor: String) throws {
        try administer(.drop(client, reason: reason), session, "drop \(client)", actor) {
            "\(client) has left session \($0.name) already: it was \($0[client]?.standing.rawValue ?? "dropped")"
        }
    }

    package func readmit(_ client: PartyName, to session: String, actor: String) throws {
        // Whoever is readmitted is sent the global again where it has no update in the round.
        try disownUpdates(in: try self.session(named: session))
        let found = try self.session(named: session)
        guard isBelieved(client) else {
            throw ServerError(
                .notAllowed, "no key of \(client) is believed here any more",
                hint: "approve a new enrolment of it first")
        }
        // A slip of the pen must not settle what another party did.
        try requireEffect(of: .readmit(client), on: found) { "\(client) is not excluded from session \($0.name)" }
        // The audit before what it tells of.
        let request = Self.cause(of: .readmit(client), in: found)
        try audit("command", subject: found.id.hex, detail: "readmit \(client)\(request)", actor: actor)
        try mailbox.forgetEquivocations(of: client, session: found.id)
        try apply(.readmit(client), to: found.id)
    }

    package func extend(_ session: String, days: Int64, actor: String) throws {
        try administer(.extend(days: days), session, "extend by \(days) days", actor)
    }

    package func abort(_ session: String, reason: String, actor: String) throws {
        try administer(.abort(reason: reason), session, "abort \(reason)", actor) {
            "session \($0.name) is aborted already"
        }
    }

    /// Sends the current global once more, whole, to a client that lost it.
    package func reissue(_ client: PartyName, in session: String, actor: String) throws {
        try administer(.reissue(client), session, "reissue to \(client)", actor)
    }

    /// - Parameter isIdle: what to say where the command would change nothing. It is not on record then either.
    private func administer(
        _ event: SessionEvent, _ name: String, _ what: String, _ actor: String,
        else isIdle: (Session) -> String = { "this changes nothing in session \($0.name)" }
    ) throws {
        let session = try session(named: name)
        try requireEffect(of: event, on: session, else: isIdle)
        try audit(
            "command", subject: session.id.hex, detail: what + Self.cause(of: event, in: session), actor: actor)
        try apply(event, to: session.id)
    }

    private func requireEffect(
        of event: SessionEvent, on session: Session, else isIdle: (Session) -> String
    ) throws {
        var copy = session
        let effects: [SessionEffect]
        do { effects = try copy.apply(event, now: now) } catch { throw ServerError(.notAllowed, "\(error)") }
        guard !effects.isEmpty else { throw ServerError(.notAllowed, isIdle(session)) }
    }

    /// Why a session that waits does not begin.
    package func obstacles(to session: Session) throws -> [SessionStarts.Obstacle] {
        try starts.obstacles(to: session)
    }

    // MARK: versions

    package func versionNumbers() throws -> [Int] { try versions.numbers() }
    /// `keep_versions` of the configuration.
    package var keepVersions: Int { configuration.keepVersions }

    /// Removes all but the newest versions. The newest is always kept.
    ///
    /// - Returns: the numbers removed.
    package func prune(keep: Int, actor: String) throws -> [Int] {
        let inUse = Set(sessions.filter { !$0.isOver }.compactMap { $0.start?.version })
        let all = try versions.numbers()
        let removed = all.dropLast(max(1, keep)).filter { !inUse.contains($0) }
        for number in removed {
            try audit("prune", subject: "version \(number)", detail: "", actor: actor)
            try versions.remove(number)
        }
        return Array(removed)
    }

    // MARK: helpers

    static func reasonName(_ fileName: String) -> String { fileName + Desk.reasonSuffix }

    private func known(_ label: String) throws -> DeskRecords.RequestRecord {
        guard let record = records.request(named: label) else {
            let open = records.requests.filter { $0.status == .pending }.map(\.label).joined(separator: ", ")
            throw ServerError(
                .missing, "there is no request '\(label)'",
                hint: open.isEmpty ? "none is pending" : "pending are \(open)")
        }
        return record
    }

    private func pending(_ label: String) throws -> DeskRecords.RequestRecord {
        let record = try known(label)
        if let departure = departure(of: record) {
            throw ServerError(
                .notAllowed, "\(record.label) was approved, and then \(departure)",
                hint: "ask the hospital for a new request")
        }
        guard record.status == .pending else {
            throw ServerError(.notAllowed, "\(record.label) is \(record.status.rawValue) already")
        }
        if let signer = revokedSigner(of: record) {
            throw ServerError(
                .notAllowed, "\(record.label) was signed by \(signer), which is revoked",
                hint: "ask the hospital for a new request")
        }
        guard now <= record.expires else {
            throw ServerError(
                .notAllowed, "\(record.label) expired on \(record.expires.rfc3339)", hint: "ask for a new one")
        }
        return record
    }

    /// The file may have been renamed by hand, so it is found by its content.
    private func item(of record: DeskRecords.RequestRecord) throws -> DeskItem {
        let scan = try Desk.requests(home).scan(isDecided: { $0 != record.id }, isAccepted: isKnown)
        guard let item = scan.item(id: record.id) else {
            try scan.requireWhole()
            throw ServerError(
                .missing, "the file of \(record.label) is in none of the desk's folders", hint: try wayBack(of: record))
        }
        return item
    }

    /// What to do where a request's file is not on the desk.
    private func wayBack(of record: DeskRecords.RequestRecord) throws -> String {
        if record.status == .approved {
            let name = record.session.flatMap { session($0) }?.name ?? "SESSION"
            return "take the hospital out with 'consilium server drop \(name) \(record.client)'"
        }
        guard try files.exists(home.archived(record.id)) else {
            return "put \(home.archived(record.id)) back from a backup, or ask the hospital for a new request"
        }
        return "the next 'consilium server run' lays it into pending/ again, or says what is in its way"
    }

    /// How a hospital's part in the session of its approved request ended; nil as long as it goes on.
    package func departure(of record: DeskRecords.RequestRecord) -> String? {
        guard record.status == .approved, let session = record.session.flatMap({ self.session($0) }),
            let participant = session[record.client]
        else { return nil }
        if participant.request != record.id { return "replaced by a newer request" }
        switch participant.standing {
        case .active, .excluded: return nil
        case .dropped, .withdrawn: return participant.standing.rawValue
        }
    }
}
