import Bundles
import Configuration
import Federation
import Files
import Glibc
import Mailbox
import SystemPackage
import Wire

/// The desks: what people decided by moving files, and what waits for them.
extension ServerRun {
    func readDesks() throws {
        try readEnrolments()
        // An approval may have revoked a key. Before requests are approved, and what the new key signed is taken in.
        try takeBackWhatRevokedKeysSigned()
        try readRequests()
        try saveRecords()
    }

    func look(at desk: Desk, only: DeskState? = nil) throws -> DeskScan {
        let scan = try desk.scan(only: only, isDecided: records.isDecided, isAccepted: isKnown)
        for line in scan.refusals { announce("desk-\(line)", line) }
        return scan
    }

    /// Whether this home took the bundle in. The mailbox forgets that some time after the bundle's expiry, while its file may
    /// lie on the desk for years.
    func isKnown(_ id: Digest) -> Bool {
        mailbox.isAccepted(id) || records.request(id) != nil || records.enrolment(id) != nil
    }

    // MARK: enrolments

    /// Lays a bundle on its desk again that waits for a decision and is nowhere there: its file was edited or taken away, and
    /// the hospital cannot send it a second time.
    private func layAgain(_ id: Digest, _ name: DeskName, on desk: Desk, _ scan: DeskScan) throws {
        let archived = home.archived(id)
        guard scan.isWhole, scan.item(id: id) == nil else { return }
        let place = desk.folder(.pending).appending(name.text)
        guard try !files.exists(place) else {
            let line =
                "\(name.short) waits for a decision, but something else has the name of its file: remove \(place)"
            return announce("taken-\(id)", line)
        }
        guard try files.exists(archived) else {
            // One whose intake was stopped halfway comes to the desk and to the archive later in this run.
            guard mailbox.isAccepted(id) else { return }
            let line = "\(name.short) waits for a decision, but its file is neither on the desk nor in the archive: "
            return announce(
                "gone-\(id)", line + "put \(archived) back from a backup, or ask the hospital for a new one")
        }
        try desk.place(archived, as: name)
        attention(
            "\(name.short) waits for a decision and was not on its desk; it lies in \(desk.folder(.pending)) again")
    }

    private func readEnrolments() throws {
        let scan = try look(at: .enrolments(home))
        // Copied instead of moved, as a request may be.
        for item in scan.superseded where item.state == .pending && records.isDecided(item.id) {
            try Desk.enrolments(home).clear(item)
        }
        for record in records.enrolments where record.status == .pending {
            try layAgain(record.id, record.deskName, on: .enrolments(home), scan)
        }
        for item in scan.items {
            if records.enrolment(item.id) == nil { try restoreEnrolment(item) }
            guard let record = records.enrolment(item.id) else { continue }
            switch (record.status, item.state) {
            case (.pending, .approved), (.rejected, .approved):
                try isolated(item.name) { try enrol(record, item) }
            case (.pending, .rejected), (.approved, .rejected):
                try isolated(item.name) { try refuse(record, item) }
            case (.approved, .pending), (.rejected, .pending):
                try isolated(item.name) { try moveBack(record, item) }
            default: break
            }
        }
    }

    /// `pending/` holds what waits: an enrolment that is decided stays so, and its file is what another decision is made with.
    private func moveBack(_ record: DeskRecords.EnrolmentRecord, _ item: DeskItem) throws {
        let isApproved = record.status == .approved
        let (place, other) = isApproved ? ("approved/", "rejected/") : ("rejected/", "approved/")
        try Desk.enrolments(home).move(item, to: isApproved ? .approved : .rejected)
        attention(
            "\(record.deskName.short) was \(record.status.rawValue) before, so its file was moved out of pending/ to \(place) "
                + "again; \(isApproved ? "to take \(record.name) out" : "to enrol \(record.name)"), move it to \(other)"
        )
    }

    private func enrol(_ record: DeskRecords.EnrolmentRecord, _ item: DeskItem) throws {
        let enrolment = try Enrolment(
            decoding: try item.bundle.payload(Enrolment.fileName, limit: FederationLimits.messageBytes))
        if record.status == .pending, try rejectIfRevoked(record, item.bundle) { return }
        // The hospital keeps no key that it could not change to: it would neither hear of this nor sign with it, and the key
        // that it has would end.
        if record.status == .rejected, !mailbox.hasHeard(from: item.bundle.signer.fingerprint),
            try vouching(in: item.bundle, for: enrolment) != .none
        {
            announce(
                "enrol-\(record.id)-dropped",
                "\(item.name) cannot be approved: \(record.name) was told that this key is rejected, and goes on with the "
                    + "one that it has; ask \(record.name) for a new 'key rotate'")
            return
        }
        // Found out before it is made.
        let recipient = recipientChange(by: enrolment).map { "; age recipient \($0.new) in place of \($0.old)" } ?? ""
        do {
            try believe(enrolment, item, isAgain: record.status == .rejected && record.wasApproved)
        } catch let error as MailboxError where error.kind == .trust {
            announce("enrol-\(record.id)-\(error)", "\(item.name) cannot be approved: \(error)")
            return
        }
        try audit(
            "enrolment-approved", subject: record.id.hex, detail: "\(record.name) \(record.fingerprint)\(recipient)",
            actor: unknownMover)
        records.decide(enrolment: record.id, .approved, now: now)
        try saveRecords()
        detail("\(record.name) is enrolled with the key \(record.fingerprint)")
    }

    private func refuse(_ record: DeskRecords.EnrolmentRecord, _ item: DeskItem) throws {
        let reason = try reason(beside: item.path)
        if record.status == .approved {
            // Whoever is taken out is believed no more; the decision tells it. A newer key of the same name stays.
            try mailbox.updateTrust { (trust) throws(MailboxError) in
                trust.remove(key: item.bundle.signer, of: record.name)
            }
            attention(
                "the key \(record.fingerprint) of \(record.name) is enrolled no more: its enrolment was moved to rejected/"
            )
            if !isBelieved(record.name) { try exclude(record.name, reason: "its enrolment was rejected") }
        }
        try audit("enrolment-rejected", subject: record.id.hex, detail: "\(record.name) \(reason)", actor: unknownMover)
        records.decide(enrolment: record.id, .rejected, reason: reason, now: now)
        try saveRecords()
    }

    // MARK: requests

    private func readRequests() throws {
        let scan = try look(at: .requests(home))
        // Copied instead of moved, or moved while the desk was looked at.
        for item in scan.superseded where item.state == .pending && records.isDecided(item.id) {
            try Desk.requests(home).clear(item)
        }
        for item in scan.items where records.request(item.id) == nil { try restoreRequest(item) }
        for record in records.requests where record.status == .pending && now <= record.expires {
            try layAgain(record.id, record.deskName, on: .requests(home), scan)
        }
        let places = Dictionary(
            scan.items.map { item -> (Digest, RequestDesk.Place) in
                switch item.state {
                case .pending: (item.id, .pending)
                case .approved: (item.id, .approved(session: item.group))
                case .rejected: (item.id, .rejected)
                }
            }, uniquingKeysWith: { first, _ in first })
        for action in RequestDesk.actions(places: places, records: records, sessions: sessions, now: now) {
            do {
                try carryOut(action, scan)
            } catch {
                guard !isTransient(error) else { throw error }
                let subject = subject(of: action)
                announce("request-\(subject)-\(error)", "\(label(subject)): \(error)")
            }
        }
    }

    private func carryOut(_ action: RequestDesk.Action, _ scan: DeskScan) throws {
        switch action {
        case .approve(let id, let name): try approve(id, name)
        case .reject(let id):
            let reason = try scan.item(id: id).map { try self.reason(beside: $0.path) } ?? ""
            try audit("request-rejected", subject: id.hex, detail: "\(sentLabel(id)) \(reason)", actor: unknownMover)
            records.decide(request: id, .rejected, reason: reason, now: now)
            try saveRecords()
            detail("\(label(id)) is rejected" + (reason.isEmpty ? "" : ": \(reason)"))
        case .drop(let id, let session):
            guard let record = records.request(id) else { return }
            let reason = try scan.item(id: id).map { try self.reason(beside: $0.path) } ?? ""
            try apply(.drop(record.client, reason: reason), to: session)
            records.update(request: id) { $0.isDropped = true }
        case .expire(let id):
            try expire(id)
            attention("\(label(id)) has expired: nobody decided in time")
        case .clear(let id):
            if let item = scan.item(id: id) { try Desk.requests(home).clear(item) }
        case .tooLate(let id):
            if records.request(id)?.status == .pending { try expire(id) }
            announce("late-\(id)", "\(label(id)) was approved after it had expired; ask the hospital for a new request")
        case .undo, .overruled, .misplaced, .tooLateToDrop: try contradict(action, scan)
        }
    }

    private func expire(_ id: Digest) throws {
        try audit("request-expired", subject: id.hex, detail: sentLabel(id))
        records.decide(request: id, .expired, now: now)
        try saveRecords()
    }

    /// Says that a move changes nothing, and what does.
    private func contradict(_ action: RequestDesk.Action, _ scan: DeskScan) throws {
        let id = subject(of: action)
        guard let record = records.request(id) else { return }
        let session = record.session.flatMap { self.session($0) }
        let goesOn = session?.isOver == false && departure(of: record) == nil
        let name = session?.name ?? ""
        let ask = "ask the hospital for a new request"
        let drop = "run 'consilium server drop \(name) \(record.client)'"
        let before = "\(record.label) was \(record.isDropped ? "dropped" : record.status.rawValue) before"
        switch action {
        case .undo:
            if let item = scan.item(id: id) { try Desk.requests(home).clear(item) }
            let way = goesOn ? "to take \(record.client) out of session \(name), \(drop)" : ask
            attention("\(before), so its file was taken out of pending/ again; \(way)")
        case .misplaced(_, let group):
            func place(_ group: String?) -> String { "approved/\(group ?? "")" }
            let move = "move it to \(place(session?.folder)), and what is to train with it too"
            let way = goesOn ? "\(move); to let it train elsewhere, \(drop) and \(ask)" : ask
            announce(
                "misplaced-\(id)-\(group ?? "")",
                "\(record.label) belongs to session \(name), though its file lies in \(place(group)), which changes nothing: "
                    + way)
        case .tooLateToDrop:
            announce(
                "over-\(id)",
                "\(record.label): session \(name) is \(session?.state.rawValue ?? "over"), so nobody is dropped from it any more"
            )
        default: announce("overruled-\(id)", "\(before); \(ask)")
        }
    }

    private func approve(_ id: Digest, _ name: String?) throws {
        guard let record = records.request(id) else { return }
        guard isBelieved(record.client) else {
            announce(
                "revoked-\(id)",
                "\(record.label) waits: no key of \(record.client) is believed here any more; approve a new enrolment of it first"
            )
            return
        }
        let sessionName = name ?? "\(record.label)@\(record.client)"
        // A run that was killed here has made the session, but not the note of it.
        let begun = sessions.last { $0.participants.contains { $0.request == id } }
        let open = begun ?? sessions.last { $0.name == sessionName }
        if begun == nil, let open, open.isOver {
            announce(
                "over-\(id)-\(sessionName)",
                "\(record.label): session \(sessionName) is \(open.state.rawValue); move the file to a folder with a new name"
            )
            return
        }
        if open == nil, name != nil, !unreadable.isEmpty {
            announce(
                "unread-\(id)-\(sessionName)",
                "\(record.label) waits: \(sessionName) may be the session that cannot be read; restore that first")
            return
        }
        let session =
            if let open { open } else {
                try begin(sessionName, minimumClients: name == nil ? 1 : configuration.minimumClients)
            }
        try apply(.join(client: record.client, request: id, pictures: record.request.pictureCount), to: session.id)
        try audit(
            "request-approved", subject: id.hex, detail: "\(record.label) of \(record.client) in \(sessionName)",
            actor: unknownMover)
        records.decide(request: id, .approved, now: now)
        records.update(request: id) { $0.session = session.id }
        try saveRecords()
    }

    private func begin(_ name: String, minimumClients: Int) throws -> Session {
        var generator = SystemRandomNumberGenerator()
        let session = try Session(
            id: RandomID(using: &generator), name: name, created: now, minimumClients: minimumClients)
        try store.save(session)
        sessions.append(session)
        return session
    }

    // MARK: what waits

    /// `PENDING.txt` on both desks; what is new is said once.
    func writePending() throws {
        let enrolments = try look(at: .enrolments(home), only: .pending).items.compactMap { item -> PendingItem? in
            guard let record = records.enrolment(item.id), record.status == .pending else { return nil }
            return PendingItem(
                item, lines: try lines(of: item, record),
                moves: [.init("approve", to: .approved), .init("reject", to: .rejected)])
        }
        try show(enrolments, on: .enrolments(home))
        let requests = try look(at: .requests(home), only: .pending).items.compactMap { item -> PendingItem? in
            guard let record = records.request(item.id), record.status == .pending else { return nil }
            return PendingItem(
                item, lines: record.lines,
                moves: [
                    .init("train alone", to: .approved),
                    .init("train together in session NAME", to: .approved, group: "NAME"),
                    .init("reject", to: .rejected),
                ])
        }
        try show(requests, on: .requests(home))
    }

    private func show(_ items: [PendingItem], on desk: Desk) throws {
        try desk.writePending(items)
        for item in items { announce("pending-\(item.item.id)", "waits for you\n" + desk.text(for: item)) }
    }

    // MARK: helpers

    /// A file that a person moved tells nothing about who that was.
    private var unknownMover: String { "moved in folder, mover unknown" }

    private func label(_ id: Digest) -> String { records.request(id)?.label ?? id.short }

    private func sentLabel(_ id: Digest) -> String {
        label(id) + (records.request(id).map { " of \($0.client)" } ?? "")
    }

    private func subject(of action: RequestDesk.Action) -> Digest {
        switch action {
        case .approve(let id, _), .reject(let id), .drop(let id, _), .expire(let id), .clear(let id), .undo(let id),
            .tooLate(let id), .overruled(let id), .misplaced(let id, _), .tooLateToDrop(let id):
            id
        }
    }

    /// `FILE.reason.txt` beside a rejected file: what the command wrote, or the admin by hand. Its first line counts.
    private func reason(beside path: FilePath) throws -> String {
        guard let name = path.lastComponent?.string else { return "" }
        let file = path.removingLastComponent().appending(Self.reasonName(name))
        guard try files.exists(file) else { return "" }
        let text = String(decoding: try files.readFile(file, limit: 64 << 10), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        return String(line.filter { isPrintable(String($0)) }.prefix(500))
    }
}

extension DeskRecords.RequestRecord {
    /// What is asked, for `PENDING.txt` and `server requests`.
    package var lines: [String] {
        var lines: [String] = []
        if case .object(let wishes) = request.wishes.json, !wishes.isEmpty {
            let text = wishes.keys.sorted().compactMap { key in
                wishes[key].map { "\(key) \(String(decoding: StrictJSON.serialize($0).dropLast(), as: UTF8.self))" }
            }
            lines.append("wishes: " + text.joined(separator: ", "))
        }
        let classes = request.pictures.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        lines.append("contributes \(counted(request.pictureCount, "picture")): " + classes.joined(separator: ", "))
        if !request.message.isEmpty { lines.append("message: \(request.message)") }
        return lines
    }
}
