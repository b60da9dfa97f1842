import Bundles
import Configuration
import Federation
import Files
import Mailbox
import SystemPackage
import Tensors
import Wire

/// What came in: verified by the mailbox, judged here for what it means, and written down before it is committed.
extension ServerRun {
    func takeIn() throws {
        let received = try mailbox.receive(retryEarly: true) { (refusals) throws(MailboxError) in try tell(refusals) }
        self.received += received.deliveries.count
        if received.settling > 0 { detail(incomplete(received.settling)) }
        if received.remaining > 0 { detail(leftForNext(received.remaining)) }
        for delivery in received.deliveries {
            // What was not committed comes again with the next run.
            try isolated("\(delivery.manifest.kind.rawValue) of \(delivery.sender) waits for the next run") {
                try take(delivery)
            }
        }
        tellUnknownKeys(received.held)
        try tellCountedRefusals()
        try tellAlarms()
    }

    private func take(_ delivery: VerifiedDelivery) throws {
        do {
            // An update's files are its session's business: a round says which updates were rejected.
            if delivery.manifest.kind != .update { try requireFiles(of: delivery.manifest) }
            switch delivery.manifest.kind {
            case .enrol: try takeEnrolment(delivery)
            case .request: try takeRequest(delivery)
            case .update: try takeUpdate(delivery)
            case .withdraw: try takeWithdrawal(delivery)
            case .receipt: try mailbox.commit(delivery, .ignored)
            case .invite, .decision, .global, .abort, .trust, .recovery:
                try refuse(delivery, "a server takes no bundle of that kind")
            }
        } catch {
            guard isFaultOfContent(error) else { throw error }
            if delivery.manifest.kind == .request { try answerRefused(delivery, "\(error)") }
            try refuse(delivery, "\(error)", record: (error as? PayloadObjection)?.record)
        }
        try noteAcknowledgements(of: delivery)
    }

    private func requireFiles(of manifest: Manifest) throws {
        if let objection = manifest.payloadObjection { throw objection }
    }

    /// Whether the bundle's content is to blame, and not this home.
    private func isFaultOfContent(_ error: any Error) -> Bool {
        switch error {
        case is FederationError, is PayloadObjection: true
        case let error as BundleError: error.cause == nil
        case let error as SafetensorsError: error.code != .inputOutput
        default: false
        }
    }

    /// - Parameter record: what the audit says of the reason, where that is less than people are told.
    private func refuse(_ delivery: VerifiedDelivery, _ reason: String, record: String? = nil) throws {
        let reason = Reason(reason).reason
        // It comes again until the acknowledgement has found its way.
        let isNew = !mailbox.isRejectedAndAcknowledged(delivery.id)
        if !delivery.isSelfSigned || mailbox.tellsOfStranger(isNew: isNew) {
            let line = "\(delivery.manifest.kind.rawValue) of \(delivery.sender) refused: \(reason)"
            if isNew { attention(line) } else { detail(line) }
            try audit(
                "refused", subject: delivery.id.hex,
                detail: "\(delivery.manifest.kind.rawValue) of \(delivery.sender): \(record ?? reason)")
        }
        try mailbox.commit(delivery, .rejected(reason))
    }

    // MARK: enrolments and requests

    private func takeEnrolment(_ delivery: VerifiedDelivery) throws {
        let enrolment = try Enrolment(
            decoding: try delivery.bundle.payload(Enrolment.fileName, limit: FederationLimits.askBytes))
        guard let announced = try? PublicKey(openSSHLine: enrolment.key), announced == delivery.signer else {
            throw FederationError(.malformed, "the key that it announces is not the key that signed it")
        }
        guard enrolment.name == delivery.sender else {
            throw FederationError(.malformed, "the name in it is not its sender's")
        }
        if let objection = enrolment.name.objection { throw FederationError(.notAllowed, objection) }
        _ = try AgeRecipient(enrolment.ageRecipient)
        if let end = enrolment.validUntil, end <= delivery.manifest.created {
            throw FederationError(.malformed, "its key would end before the enrolment was made")
        }
        if let key = try revokedVoucher(in: delivery.bundle, for: enrolment) {
            throw FederationError(
                .notAllowed,
                "it is signed by \(key.fingerprint), which is revoked; 'key rotate --lost' there enrols without that")
        }
        let waiting = records.enrolments.count { $0.status == .pending }
        guard records.enrolment(delivery.id) != nil || waiting < DeskLimits.pendingEnrolments else {
            // Anybody can fill the desk: what comes then is not judged, and has its turn once there is room.
            let reason = "\(waiting) enrolments wait already; decide about these first"
            let line = "an enrolment of \(enrolment.name) waits: \(reason)"
            if !delivery.wasHeld, mailbox.tellsOfStranger(isNew: true) { attention(line) } else { detail(line) }
            return try mailbox.commit(delivery, .held(reason), isAcknowledged: false)
        }
        records.add(
            enrolment: enrolment, id: delivery.id, fingerprint: delivery.signer.fingerprint, received: now)
        guard let record = records.enrolment(delivery.id) else { return }
        try saveRecords()
        if record.status == .pending { try layOnDesk(delivery, on: .enrolments(home), name: record.deskName) }
        try audit("enrolment", subject: delivery.id.hex, detail: "\(enrolment.name) \(delivery.signer.fingerprint)")
        try mailbox.commit(delivery, .accepted)
    }

    private func takeRequest(_ delivery: VerifiedDelivery) throws {
        let manifest = delivery.manifest
        // Its hospital asks anew, and goes by the answer that it has.
        guard mailbox.sent(key: Self.refusalKey(delivery)) == nil else {
            throw FederationError(.notAllowed, "it was refused before")
        }
        guard manifest.expires <= manifest.created.adding(days: DeskLimits.requestDays) else {
            throw FederationError(
                .malformed,
                "it expires on \(manifest.expires.rfc3339), more than \(DeskLimits.requestDays) days after it was made")
        }
        let request = try TrainingRequest(
            decoding: try delivery.bundle.payload(TrainingRequest.fileName, limit: FederationLimits.askBytes))
        guard request.pictureCount > 0 else {
            throw FederationError(.malformed, "request.json: contributes no picture")
        }
        if let head = try versions.head() {
            let known = Set(try versions.record(head).classes)
            guard request.pictures.keys.allSatisfy(known.contains) else {
                throw FederationError(
                    .malformed, "request.json: counts pictures of a class that the model does not have")
            }
        }
        let waiting = records.requests.count { $0.client == delivery.sender && $0.status == .pending }
        guard records.request(delivery.id) != nil || waiting < DeskLimits.pendingRequestsPerClient else {
            throw FederationError(.notAllowed, "\(waiting) requests of \(delivery.sender) wait already")
        }
        if records.request(delivery.id) == nil { try makeRoom(for: request, of: delivery.sender) }
        records.add(
            request: request, id: delivery.id, client: delivery.sender, received: now,
            expires: manifest.expires, signer: delivery.signer.fingerprint)
        guard let record = records.request(delivery.id) else { return }
        try saveRecords()
        if record.status == .pending { try layOnDesk(delivery, on: .requests(home), name: record.deskName) }
        try audit("request", subject: delivery.id.hex, detail: "\(record.label) of \(record.client)")
        try mailbox.commit(delivery, .accepted)
    }

    /// A hospital whose request is not even laid on the desk would wait for an answer for ever. So many are told: who floods
    /// the desk need not hear of each.
    private func answerRefused(_ delivery: VerifiedDelivery, _ reason: String) throws {
        let (key, client) = (Self.refusalKey(delivery), delivery.sender)
        let told = mailbox.outgoing.count { $0.key.hasPrefix(Self.refusals(of: client)) && !$0.isRetired }
        guard mailbox.sent(key: key) != nil || told < DeskLimits.refusalsTold else { return }
        try isolated("decision for \(client)") {
            try send(
                Decision(subject: .request, about: delivery.id, verdict: .rejected, reason: reason), key: key,
                to: client)
        }
    }

    private static func refusals(of client: PartyName) -> String { "request-refused/\(client)/" }
    private static func refusalKey(_ delivery: VerifiedDelivery) -> String {
        "\(refusals(of: delivery.sender))\(delivery.id)"
    }

    /// What a hospital asks for and takes back must not make the records grow without end. Those are forgotten of which
    /// nothing can come any more: decided and answered, or expired, or signed by a key that is revoked; their file away from
    /// the desk, their session over. That the bundle was taken the mailbox remembers until some time after its expiry.
    private func makeRoom(for request: TrainingRequest, of client: PartyName) throws {
        let own = records.requests.filter { $0.client == client }
        var count = own.count
        var bytes = own.reduce(0) { $0 + $1.request.recordedBytes }
        func isFull() -> Bool {
            count >= DeskLimits.requestsPerClient
                || bytes + request.recordedBytes > DeskLimits.requestBytesPerClient
        }
        guard isFull() else { return }
        let scan = try Desk.requests(home).scan(isDecided: records.isDecided, isAccepted: isKnown)
        // Of a file that cannot be looked at now nobody knows whose it is.
        try scan.requireWhole()
        let onDesk = Set(scan.items.map(\.id))
        let past = own.filter { record in
            record.status != .pending && !onDesk.contains(record.id)
                && record.session.flatMap { session($0) }?.isOver ?? true
                && (now > record.expires || isAnswered(record) || revokedSigner(of: record) != nil)
        }
        var forgotten: Set<Digest> = []
        // Half of it at once: not every request that comes then has to look at the whole desk.
        for record in past
        where count > DeskLimits.requestsPerClient / 2 || bytes > DeskLimits.requestBytesPerClient / 2 {
            forgotten.insert(record.id)
            count -= 1
            bytes -= record.request.recordedBytes
        }
        guard !isFull() else {
            throw FederationError(
                .notAllowed,
                "\(own.count) requests of \(client) are remembered, and too few of them are over and have left the desk"
            )
        }
        records.forget(requests: forgotten)
    }

    /// The signed bundle itself lies on the desk, under a name for people. One that somebody has moved on already, between
    /// a kill and this repetition, is not laid there again.
    private func layOnDesk(_ delivery: VerifiedDelivery, on desk: Desk, name: DeskName) throws {
        if deskContents[desk.root] == nil {
            let scan = try desk.scan(isDecided: { _ in true }, isAccepted: { _ in true })
            deskContents[desk.root] = Set(scan.items.map(\.id))
        }
        guard deskContents[desk.root]?.insert(delivery.id).inserted == true else { return }
        try desk.place(delivery.bundle.path, as: name)
    }

    // MARK: sessions

    private func takeUpdate(_ delivery: VerifiedDelivery) throws {
        let manifest = delivery.manifest
        guard !unreadable.contains(manifest.session) else {
            return try hold(delivery, "its session's state cannot be read now")
        }
        let session = session(manifest.session)
        switch Freshness.judge(update: Envelope(delivery), session: session) {
        case .accept: break
        case .hold(let reason): return try hold(delivery, reason.rawValue)
        case .reject(.sessionOver):
            detail("update of \(manifest.sender) came after its session had ended")
            return try mailbox.commit(delivery, .ignored)
        case .reject(let reason): return try refuse(delivery, reason.rawValue)
        }
        guard let session else { return }
        let before = session.round?.update(of: manifest.sender)?.bundle
        if isOfAnEarlierRequest(manifest, in: session) {
            let effect = SessionEffect.updateIgnored(manifest.sender, reason: "it answers a request that is over")
            try audit("session", subject: session.id.hex, detail: "\(effect); bundle \(delivery.id)")
            detail("session \(session.name): \(effect)")
            return try mailbox.commit(delivery, .ignored)
        }
        // After the rules of the session: what counts for nothing anyway gets no answer of its own.
        if isToComeEncrypted(delivery) { return try refuseInTheClear(delivery, session: session) }
        do {
            let update = try read(delivery, session: session)
            // The session refers to the archived bundle, so that has to be there first.
            try mailbox.archive(delivery)
            try apply(.update(update), to: session.id)
            try withdrawAnswersInTheClear(in: session.id, to: manifest.sender, upTo: manifest.round)
            try mailbox.commit(delivery, .accepted)
            try clearUnused([before, delivery.id], of: manifest)
        } catch {
            guard isFaultOfContent(error) else { throw error }
            // The session's words go into the audit, and with the round's report to every hospital.
            let reason = (error as? PayloadObjection)?.record ?? "\(error)"
            try apply(
                .refuse(client: manifest.sender, round: manifest.round, bundle: delivery.id, reason: reason),
                to: session.id)
            throw error
        }
    }

    /// An honest update may be under way while its hospital leaves the session and comes back with a new request.
    private func isOfAnEarlierRequest(_ manifest: Manifest, in session: Session) -> Bool {
        guard let participant = session[manifest.sender], participant.request != manifest.request else { return false }
        return participant.decisions.contains { $0.verdict == .approved && $0.about == manifest.request }
    }

    /// Checks an update's meaning: metrics against the plan, tensors against the base.
    private func read(_ delivery: VerifiedDelivery, session: Session) throws -> ReceivedUpdate {
        let bundle = delivery.bundle
        let manifest = delivery.manifest
        try requireFiles(of: manifest)
        let metrics = try UpdateMetrics(
            decoding: try bundle.payload(UpdateMetrics.fileName, limit: FederationLimits.messageBytes))
        guard let participant = session[manifest.sender], let plan = session.plan, let baseDigest = manifest.base else {
            throw FederationError(.malformed, "the sender takes no part in the session")
        }
        guard participant.request == manifest.request else {
            throw FederationError(.malformed, "it does not name the approved request")
        }
        let range = try bundle.payloadRange("update.safetensors")
        let tensors = try MappedSafetensors(path: bundle.path.string, offset: range.offset, length: range.size)
        let base = try ModelFiles.open(try store.path(of: baseDigest, in: session))
        _ = try UpdateValidation.check(tensors, base: base)
        try UpdateValidation.checkScores(of: metrics, plan: plan, pictures: participant.pictures)
        let weight = try UpdateValidation.weight(
            of: metrics, round: manifest.round, plan: plan, pictures: participant.pictures)
        guard let weights = manifest.files.first(where: { $0.name == "update.safetensors" })?.sha256 else {
            throw FederationError(.malformed, "update.safetensors is missing")
        }
        return ReceivedUpdate(
            client: manifest.sender, bundle: delivery.id, round: manifest.round, sequence: manifest.seq,
            weights: weights, weight: weight, metrics: metrics, signer: delivery.signer.fingerprint)
    }

    private func takeWithdrawal(_ delivery: VerifiedDelivery) throws {
        let reason = try Reason(
            decoding: try delivery.bundle.payload(Reason.fileName, limit: FederationLimits.messageBytes))
        let client = delivery.sender
        // Bundles overtake each other: a withdrawal that comes before its request must not be lost.
        if let id = delivery.manifest.request, records.request(id) == nil,
            session(delivery.manifest.session)?[client] == nil
        {
            return try mailbox.commit(delivery, .held("its request has not come yet"))
        }
        guard !unreadable.contains(delivery.manifest.session) else {
            return try mailbox.commit(delivery, .held("its session's state cannot be read now"))
        }
        let suffix = reason.reason.isEmpty ? "" : ": \(reason.reason)"
        if let id = delivery.manifest.request, let record = records.request(id), record.client == client,
            record.status == .pending
        {
            records.decide(request: id, .withdrawn, reason: reason.reason, now: now)
            try saveRecords()
            attention("\(record.label) of \(client) is withdrawn\(suffix)")
        }
        let sessionID =
            delivery.manifest.session.isNone
            ? delivery.manifest.request.flatMap { records.request($0)?.session } : delivery.manifest.session
        if let sessionID, let participant = session(sessionID)?[client] {
            if delivery.manifest.request == nil || delivery.manifest.request == participant.request {
                try apply(.withdraw(client, bundle: delivery.id), to: sessionID)
            } else {
                // A late one about a request that is over ends no newer participation, and is answered all the same.
                let decision = Decision(
                    subject: .withdrawal, about: delivery.id, verdict: .withdrawn, session: sessionID)
                try send(decision, key: "withdrawal/\(delivery.id)", to: client)
            }
        }
        try audit("withdrawal", subject: delivery.id.hex, detail: "\(client)\(suffix)")
        try mailbox.commit(delivery, .accepted)
    }

    /// A client that acknowledges a global that carried the frozen tensors need not be sent them again.
    private func noteAcknowledgements(of delivery: VerifiedDelivery) throws {
        for session in sessions where session.start?.base != nil && session[delivery.sender]?.hasBase == false {
            // Of several the newest: an earlier one may be what it had before its home was lost.
            let keys = session.wishes.compactMap { wish -> String? in
                guard case .global(let order) = wish, order.base != nil else { return nil }
                return order.recipients.contains(delivery.sender) ? order.key : nil
            }
            if let newest = keys.last, mailbox.isAcknowledged(key: newest, by: delivery.sender) {
                try apply(.baseAcknowledged(delivery.sender), to: session.id)
            }
        }
    }

    // MARK: alarms

    private func tellAlarms() throws {
        for alarm in mailbox.equivocations {
            announce(
                "equivocation-\(alarm.second.hex)",
                "\(alarm.sender) sent two different bundles with the number \(alarm.seq): its key is used twice, or its home was "
                    + "restored from a backup; ask by telephone")
            if let session = session(alarm.session), session[alarm.sender] != nil {
                try isolated("session \(session.name)") {
                    try apply(.equivocation(alarm.sender), to: session.id, about: [alarm.first, alarm.second])
                }
            }
        }
    }
}

extension Envelope {
    init(_ delivery: VerifiedDelivery) {
        let manifest = delivery.manifest
        self.init(
            session: manifest.session, round: manifest.round, sender: manifest.sender, base: manifest.base)
    }
}

extension ServerRun {
    /// The archive keeps the update of a hospital that counts in a round, and of the others the first few, for whoever wants
    /// to know what came: no hospital fills the disk with models that nobody averages. What contradicts another bundle stays.
    ///
    /// - Parameter updates: those that may count no more.
    private func clearUnused(_ updates: [Digest?], of manifest: Manifest) throws {
        let client = manifest.sender
        let used = session(manifest.session)?.round?.update(of: client)?.bundle
        let unused = updates.compactMap(\.self).filter { $0 != used }
        guard !unused.isEmpty,
            mailbox.acceptedUpdates(of: client, session: manifest.session, round: manifest.round).count
                > DeskLimits.updatesPerRound
        else { return }
        let evidence = Set(mailbox.equivocations.map(\.first))
        for id in unused where !evidence.contains(id) { try files.remove(home.archived(id)) }
    }
}

/// How much may wait for a person, so that nobody floods the desks.
private enum DeskLimits {
    static let pendingEnrolments = 200
    static let pendingRequestsPerClient = 20
    /// Decided ones too.
    static let requestsPerClient = 500
    /// From a request's making to its expiry: twice what it has usually.
    static let requestDays: Int64 = 180
    /// How many refused requests of one hospital are answered at a time.
    static let refusalsTold = 20
    /// How many updates of one hospital in one round the archive keeps, with the one that counts.
    static let updatesPerRound = 9
    /// As they are recorded. What all hospitals ask together must be read again.
    static let requestBytesPerClient = 1 << 20
}

extension TrainingRequest {
    /// What it takes in `requests/records.json`, about.
    fileprivate var recordedBytes: Int { StrictJSON.serialize(json, pretty: true).count + 512 }
}
