import Configuration
import Federation
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
        try audit("approve", subject: record.id.hex, detail: "\(record.label) \(session ?? "")", actor: actor)
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
        let item = try item(of: record)
        try Desk.requests(home).target(of: item, .rejected)
        try audit("reject", subject: record.id.hex, detail: "\(record.label) \(reason)", actor: actor)
        let path = try Desk.requests(home).move(item, to: .rejected)
        if !reason.isEmpty, let name = path.lastComponent?.string {
            let file = path.removingLastComponent().appending(Self.reasonName(name))
            try files.writeFile(file, Array((reason + "\n").utf8))
        }
        detail("\(record.label) of \(record.client) lies in requests/rejected; the next 'server run' answers")
    }

    package func drop(_ client: PartyName, from session: String, reason: String, actor: String) throws {
        try administer(.drop(client, reason: reason), session, "drop \(client)", actor)
    }

    package func readmit(_ client: PartyName, to session: String, actor: String) throws {
        let found = try self.session(named: session)
        guard isBelieved(client) else {
            throw ServerError(
                .notAllowed, "no key of \(client) is believed here any more",
                hint: "approve a new enrolment of it first")
        }
        // A slip of the pen must not settle what another party did.
        guard try !effects(of: .readmit(client), on: found).isEmpty else {
            throw ServerError(.notAllowed, "\(client) is not excluded from session \(found.name)")
        }
        // The audit before what it tells of.
        try audit("command", subject: found.id.hex, detail: "readmit \(client)", actor: actor)
        try mailbox.forgetEquivocations(of: client, session: found.id)
        try administer(.readmit(client), session, "readmit \(client)", actor)
    }

    package func extend(_ session: String, days: Int64, actor: String) throws {
        try administer(.extend(days: days), session, "extend by \(days) days", actor)
    }

    package func abort(_ session: String, reason: String, actor: String) throws {
        try administer(.abort(reason: reason), session, "abort \(reason)", actor)
    }

    /// Sends the current global once more, whole, to a client that lost it.
    package func reissue(_ client: PartyName, in session: String, actor: String) throws {
        try administer(.reissue(client), session, "reissue to \(client)", actor)
    }

    private func administer(_ event: SessionEvent, _ name: String, _ what: String, _ actor: String) throws {
        let session = try session(named: name)
        _ = try effects(of: event, on: session)
        try audit("command", subject: session.id.hex, detail: what, actor: actor)
        try apply(event, to: session.id)
    }

    /// What would come of an event that nobody has taken in yet.
    private func effects(of event: SessionEvent, on session: Session) throws -> [SessionEffect] {
        var copy = session
        do { return try copy.apply(event, now: now) } catch { throw ServerError(.notAllowed, "\(error)") }
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
        guard record.status == .pending else {
            throw ServerError(.notAllowed, "\(record.label) is \(record.status.rawValue) already")
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
                .missing, "the file of \(record.label) is in none of the desk's folders",
                hint: "copy archive/\(record.id).tar to requests/pending/\(record.fileName)")
        }
        return item
    }
}
