import Bundles
package import Federation
import Files
import Images
import Mailbox
import SystemPackage
import Wire

/// The hospital's commands.
extension ClientRun {
    /// Sends a request to train.
    ///
    /// - Parameters:
    ///   - wishes: only the fields that the hospital cares about.
    ///   - specification: of the model to be trained, from the invite; counts the pictures by class.
    package func request(
        wishes: PlanWishes, message: String, actor: String
    ) throws -> ClientState.OwnRequest {
        if let obstacle { throw ClientError(.notAllowed, obstacle.text, hint: obstacle.advice) }
        let invitation = try HomeInvitation.load(from: home)
        let scan = try Dataset.scan(try dataFolder(), classes: invitation.classes, files: files)
        // What is promised is what will be trained on.
        let usable = try scan.countUsable(files: files, context: context)
        let skipped = scan.items.count - usable.reduce(0, +)
        if skipped > 0 { attention(announceSkipped(skipped).line) }
        let counts = zip(invitation.classes, usable).map { ($0, $1) }
        let request = TrainingRequest(
            wishes: wishes, pictures: Dictionary(counts, uniquingKeysWith: { first, _ in first }), message: message)
        let known = Set(state.requests.map(\.id))
        try recoverSent()
        // A call that was stopped after it had sent this very wish: who repeats it has not been told, and does not wish twice.
        if let sent = state.requests.first(where: { !known.contains($0.id) && $0.request == request }) {
            try audit("request", subject: sent.id.hex, detail: "sent by a run that was stopped", actor: actor)
            return sent
        }
        var number = state.requests.count + 1
        while mailbox.sent(key: "request/\(number)") != nil { number += 1 }
        let key = "request/\(number)"
        let record = try mailbox.send(
            key: key, kind: .request, to: [server],
            payload: [.bytes(name: TrainingRequest.fileName, request.encoded)])
        try audit("request", subject: record.id.hex, detail: key, actor: actor)
        state.sent(request: request, id: record.id, created: now)
        try saveState()
        guard let own = state.request(record.id) else {
            throw ClientError(.damaged, "the request was sent but is not on record")
        }
        return own
    }

    /// A run that was killed between sending a request, or taking one back, and noting it: what was sent is what counts.
    func recoverSent() throws {
        for record in mailbox.outgoing where record.kind == .request && state.request(record.id) == nil {
            let path = mailbox.sentPath(record)
            guard try files.exists(path) else { continue }
            if let damage = try damage(of: record) {
                try giveUp(damagedRequest: record, damage)
                continue
            }
            let bundle = try BundleReader.open(path, files: files).verified()
            let bytes = try bundle.payload(TrainingRequest.fileName, limit: FederationLimits.messageBytes)
            try audit("request", subject: record.id.hex, detail: record.key)
            state.sent(request: try TrainingRequest(decoding: bytes), id: record.id, created: record.created)
        }
        for record in mailbox.outgoing where record.kind == .withdraw {
            guard let own = state.requests.first(where: { record.key == Self.withdrawalKey + $0.id.hex }),
                own.withdrawal == nil
            else { continue }
            state.withdrawing(request: own.id, bundle: record.id)
        }
        try saveState()
    }

    /// Takes back a request, or leaves a session.
    package func withdraw(request own: ClientState.OwnRequest, reason: String, actor: String) throws {
        guard own.status == .sent || own.status == .approved else {
            throw ClientError(.notAllowed, "the request is \(own.status.rawValue) already")
        }
        if let newer = state.replacement(of: own) {
            throw ClientError(
                .notAllowed, "the request cannot be withdrawn: \(newer.id.short) has taken its place in the session",
                hint: "withdraw that one")
        }
        if let ending = state.ending(of: own) {
            let why = ending.hasPrefix("finished") ? "its session has finished" : "its session is over: \(ending)"
            throw ClientError(.notAllowed, "the request cannot be withdrawn: \(why)")
        }
        try requireWay()
        try audit("withdraw", subject: own.id.hex, detail: reason, actor: actor)
        try sendWithdrawal(request: own.id, session: own.session, reason: reason)
    }

    /// - Throws: where nothing can be sent to the server now.
    func requireWay() throws {
        if let obstacle = mailbox.obstacle(to: server) { throw ClientError(.notAllowed, obstacle) }
    }

    func withdraw(session: ClientSession, reason: String) throws {
        guard let request = session.request else { return }
        try sendWithdrawal(request: request, session: session.id, reason: reason)
    }

    private static let withdrawalKey = "withdraw/"

    private func sendWithdrawal(request: Digest, session: RandomID?, reason: String) throws {
        let record = try mailbox.send(
            key: "\(Self.withdrawalKey)\(request)", kind: .withdraw, to: [server], session: session ?? .none,
            request: request,
            payload: [.bytes(name: Reason.fileName, Reason(reason).encoded)])
        state.withdrawing(request: request, bundle: record.id)
        try saveState()
    }

    // MARK: the desks' twins

    package func accept(version: Int, asSent: Bool = false, actor: String) throws {
        let offer = try offer(version, unless: .accepted)
        let item = try item(of: offer, to: .approved)
        let prepared = try prepare(offer, asSent: asSent)
        // In rejected/ it would be taken for a person's newer word, were this stopped.
        if let item, item.state == .rejected { try Desk.updates(home).move(item, to: .pending) }
        // What cannot be installed stays on the desk. It is moved last: a run that finds the file in approved/ and no more
        // than that would fit the model to this hospital.
        try install(prepared, actor: actor)
        let accepted = state.offer(version: version) ?? offer
        if let item = try self.item(of: accepted, to: .approved) { try Desk.updates(home).move(item, to: .approved) }
    }

    package func reject(version: Int, actor: String) throws {
        let offer = try offer(version, unless: .rejected)
        if let item = try item(of: offer, to: .rejected) { try Desk.updates(home).move(item, to: .rejected) }
        try refuse(offer, actor: actor)
    }

    /// - Parameter decided: where there is nothing to decide any more. The opposite can be undone.
    private func offer(_ version: Int, unless decided: Offer.Status) throws -> Offer {
        guard let offer = state.offer(version: version) else {
            let known = state.offers.map { "\($0.version)" }.joined(separator: ", ")
            throw ClientError(
                .missing, "version \(version) was not offered to this hospital",
                hint: known.isEmpty
                    ? "none was offered yet; 'consilium client run' fetches what came" : "there are \(known)")
        }
        guard offer.status != decided else {
            throw ClientError(.notAllowed, "version \(version) is \(offer.status.rawValue) already")
        }
        return offer
    }

    /// - Returns: nil where a person took the file away; what is decided counts all the same.
    /// - Throws: where it could not be moved.
    private func item(of offer: Offer, to decision: DeskState) throws -> DeskItem? {
        let desk = Desk.updates(home)
        let scan = try desk.scan(isDecided: { $0 != offer.bundle }, isAccepted: { _ in true })
        guard let item = scan.items.first(where: { state.offer(on: $0) == offer }) else {
            try scan.requireWhole()
            return nil
        }
        try desk.target(of: item, decision)
        return item
    }

    /// Approves or refuses the plan PLAN-N.
    package func decidePlan(number: Int, approve: Bool, actor: String) throws {
        guard state.sessions.indices.contains(number - 1) else {
            throw ClientError(.missing, "there is no plan PLAN-\(number)")
        }
        let session = state.sessions[number - 1]
        guard session.consent == .asked, session.ended == nil else {
            throw ClientError(.notAllowed, "PLAN-\(number) waits for no decision")
        }
        let desk = Desk.plans(home)
        let scan = try desk.scan { _ in true }
        if let item = scan.items.first(where: { $0.manifest.session == session.id }) {
            try desk.move(item, to: approve ? .approved : .rejected)
        } else {
            try scan.requireWhole()
        }
        try decide(session, consent: approve ? .granted : .refused, actor: actor)
        detail(
            "PLAN-\(number) is "
                + (approve
                    ? "approved: the next 'client run' trains by it"
                    : "refused: the withdrawal from session \(session.id.short) lies in the outbox"))
    }
}
