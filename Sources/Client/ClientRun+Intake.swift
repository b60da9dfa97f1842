import Bundles
import Configuration
import Federation
import Files
import Mailbox
import NeuralNetworks
import SystemPackage
import Tensors
import Wire

/// What the server sent: verified by the mailbox, judged here, written down before it is committed.
extension ClientRun {
    /// How often one run looks again at what waited for a key: each introduction can bring another one.
    private static let looks = 8

    func takeIn() throws {
        for _ in 0..<Self.looks {
            guard try takeInOnce() else { break }
        }
        try tellCountedRefusals()
        try tellOwnRevocation()
        try tellUnknownKeys()
        try tellAlarms()
    }

    /// - Returns: whether a key was introduced, so that there may be more.
    private func takeInOnce() throws -> Bool {
        let received = try mailbox.receive(retryEarly: true) { (refusals) throws(MailboxError) in try tell(refusals) }
        self.received += received.deliveries.count
        if received.settling > 0 { detail(incomplete(received.settling)) }
        if received.remaining > 0 { detail(leftForNext(received.remaining)) }
        var isToBeRepeated = false
        // Whom to believe comes before all else. A decision explains the globals of its session, so decisions come next,
        // whatever their numbers.
        let first: [BundleKind] = [.trust, .decision]
        let inOrder =
            first.flatMap { kind in received.deliveries.filter { $0.manifest.kind == kind } }
            + received.deliveries.filter { !first.contains($0.manifest.kind) }
        for delivery in inOrder {
            // Revoked by what this very run brought: the next one refuses it.
            if mailbox.trust.isRevoked(delivery.signer) { continue }
            if try takeAlone(delivery) { isToBeRepeated = true }
        }
        return isToBeRepeated
    }

    private func tellAlarms() throws {
        for alarm in mailbox.equivocations {
            if state.announced.announce("equivocation-\(alarm.second.hex)") {
                attention(
                    "\(alarm.sender) sent two different bundles with the number \(alarm.seq): ask by telephone before you ask for "
                        + "another session")
            }
            try say(
                state.stop(session: alarm.session), event: "equivocation", bundle: alarm.second, of: alarm.sender)
            try saveState()
        }
    }

    /// Trouble with one bundle keeps no other back: it was not committed and comes again. What it changed here and was not
    /// saved is not kept, so that it is said then. What was saved stays: a commit can fail and be on the disk all the same,
    /// where only the folder could not be flushed, so that the bundle never comes again.
    private func takeAlone(_ delivery: VerifiedDelivery) throws -> Bool {
        let (before, saved) = (state, savedState)
        do {
            return try take(delivery)
        } catch {
            guard !isOwnTrouble(error) else { throw error }
            state = savedState == saved ? before : savedState
            attention("\(delivery.manifest.kind.rawValue) of \(delivery.sender) waits for the next run: \(error)")
            return false
        }
    }

    /// Trouble of our own disk, state or keys, which concerns every bundle.
    private func isOwnTrouble(_ error: any Error) -> Bool {
        switch error {
        case let error as FileError: error.isTransient
        case let error as MailboxError: [.temporary, .state, .trust, .identity, .missingKey].contains(error.kind)
        case let error as BundleError: error.cause?.isTransient ?? (error.reason == .agentUnavailable)
        case let error as ClientError: error.code == .temporary
        default: false
        }
    }

    /// - Returns: whether somebody else is believed now.
    private func take(_ delivery: VerifiedDelivery) throws -> Bool {
        do {
            if let objection = delivery.manifest.payloadObjection {
                try refuse(delivery, "\(objection)", record: objection.record)
                return false
            }
            try answerAgain(acknowledgedLateBy: delivery)
            switch delivery.manifest.kind {
            case .trust: return try takeTrust(delivery)
            case .decision: try takeDecision(delivery)
            case .global: try takeGlobal(delivery)
            case .abort: try takeAbort(delivery)
            case .receipt: try mailbox.commit(delivery, .ignored)
            case .invite, .enrol, .request, .update, .withdraw, .recovery:
                try refuse(delivery, "a client takes no bundle of that kind")
            }
        } catch let error as FederationError {
            try refuse(delivery, "\(error)")
        } catch let error as BundleError where error.cause == nil {
            try refuse(delivery, "\(error)")
        } catch let error as SafetensorsError where error.code != .inputOutput {
            try refuse(delivery, "\(error)")
        } catch let error as NetworkError {
            try refuse(delivery, "\(error)")
        } catch let error as ClientError where error.code == .badInput {
            try refuse(delivery, "\(error)")
        }
        return false
    }

    /// - Parameter record: what the audit says of the reason, where that is less than people are told.
    private func refuse(_ delivery: VerifiedDelivery, _ reason: String, record: String? = nil) throws {
        let reason = Reason(reason).reason
        let line = "\(delivery.manifest.kind.rawValue) of \(delivery.sender) refused: \(reason)"
        // An acknowledgement would say that the key in it is known here, and the server would go on to sign with it.
        if delivery.manifest.kind == .trust {
            return try refuseUnacknowledged(
                delivery, line, record: "trust of \(delivery.sender): \(record ?? reason)", reason)
        }
        // It comes again until the acknowledgement has found its way.
        if mailbox.isRejectedAndAcknowledged(delivery.id) { detail(line) } else { attention(line) }
        try audit(
            "refused", subject: delivery.id.hex,
            detail: "\(delivery.manifest.kind.rawValue) of \(delivery.sender): \(record ?? reason)")
        try mailbox.commit(delivery, .rejected(reason))
    }

    /// What comes again for as long as it holds: told and put on record once.
    private func refuseUnacknowledged(
        _ delivery: VerifiedDelivery, _ line: String, record: String, _ reason: String
    ) throws {
        if mailbox.isRejected(delivery.id) {
            detail(line)
        } else {
            attention(line)
            try audit("refused", subject: delivery.id.hex, detail: record)
        }
        try mailbox.commit(delivery, .rejected(reason), isAcknowledged: false)
    }

    private func takeDecision(_ delivery: VerifiedDelivery) throws {
        let decision = try Decision(
            decoding: try delivery.bundle.payload(Decision.fileName, limit: FederationLimits.messageBytes))
        try takeKeyDecision(decision, delivery)
        // Revoked by what this very run brought.
        forgetRevoked()
        try tellStrangeAnswer(decision, from: delivery.sender)
        let notices = state.apply(
            decision, sequence: delivery.manifest.seq, server: delivery.sender, signer: delivery.signer.fingerprint,
            enrolment: currentEnrolment, asksConsent: configuration.consent == .ask)
        for case .planWaits(let session) in notices { try clearPlans(of: session.id) }
        for case .updateDisowned(let session, _) in notices { trainAgain(session, after: decision.about) }
        try say(notices.map { named($0, by: decision) }, from: delivery)
        try saveState()
        try mailbox.commit(delivery, .accepted)
    }

    /// Which of several requests a rejection is about.
    private func named(_ notice: ClientNotice, by decision: Decision) -> ClientNotice {
        guard case .requestRejected(let reason) = notice, state.requests.count > 1,
            let own = state.request(decision.about)
        else { return notice }
        let session = own.session.map { ", session \($0.short)" } ?? ""
        let which = "request \(own.id.short) of \(own.created.rfc3339)\(session)"
        return .requestRejected(reason.isEmpty ? which : "\(reason) (\(which))")
    }

    private func takeAbort(_ delivery: VerifiedDelivery) throws {
        let reason = try Reason(
            decoding: try delivery.bundle.payload(Reason.fileName, limit: FederationLimits.messageBytes))
        // Revoked by what this very run brought.
        forgetRevoked()
        try say(
            state.apply(
                abort: reason, session: delivery.manifest.session, signer: delivery.signer.fingerprint), from: delivery)
        try saveState()
        try mailbox.commit(delivery, .accepted)
    }

    // MARK: globals

    private func takeGlobal(_ delivery: VerifiedDelivery) throws {
        let manifest = delivery.manifest
        let bundle = delivery.bundle
        let planBytes = try bundle.payload(Plan.fileName, limit: FederationLimits.messageBytes)
        let plan = try Plan(decoding: planBytes)
        let report = try RoundReport(
            decoding: try bundle.payload(RoundReport.fileName, limit: FederationLimits.messageBytes))
        guard let model = manifest.files.first(where: { $0.name == "model.safetensors" })?.sha256,
            model == report.model, report.round == manifest.round
        else { throw FederationError(.malformed, "round.json is not about this bundle's model and round") }
        let carried = manifest.files.first { $0.name == "base.safetensors" }?.sha256
        guard carried == nil || report.frozen == nil || carried == report.frozen else {
            throw FederationError(.malformed, "round.json is not about this bundle's base.safetensors")
        }
        let frozen = report.frozen ?? carried
        // Revoked by what this very run brought.
        forgetRevoked()
        let known = state.session(manifest.session)
        // The decision says which request the session answers, and so whether its plan is what was asked for: a global that
        // overtakes it waits. A version that the server exports to a hospital which took no part comes without a request.
        let isExpected =
            known != nil || report.phase == .final || state.requests.contains { $0.session == manifest.session }
        if let known, isLost(delivery, report, of: known) {
            detail("a global of session \(manifest.session.short) that the server has lost was ignored")
            return try mailbox.commit(delivery, .ignored)
        }
        let isWayBack = known.map { goesBack($0, by: delivery, report) } ?? false
        switch Freshness.judge(
            global: Envelope(delivery), model: model, taken: isWayBack ? nil : known.flatMap(\.binding),
            isExpected: isExpected, isOver: try known.map { try isOver($0, for: report, in: delivery.id) } ?? false)
        {
        case .accept: break
        case .reject(.rollback), .reject(.sessionOver):
            // Sticks overtake each other: an old round's global is no attack, and of no use.
            try tellReopened(known, by: delivery, report)
            detail("an old global of session \(manifest.session.short) was ignored")
            return try mailbox.commit(delivery, .ignored)
        case .hold(let reason):
            if state.announced.announce("held-\(manifest.session)") {
                attention(
                    "session \(manifest.session.short): its global is here, the decision about the request is not; if it does not "
                        + "come, ask for 'server reissue'")
            }
            try saveState()
            return try mailbox.commit(delivery, .held(reason.rawValue))
        case .reject(let reason): return try refuse(delivery, reason.rawValue)
        }
        try check(plan, against: known)
        let carriesBase = carried != nil
        if let known, isWayBack || known.isContradicted(by: report, plan: plan, frozen: frozen) {
            try clearFalseGlobal(of: known, from: report.round, frozen: frozen, bringsBase: carriesBase)
            if known.hasOtherBase(than: frozen), !carriesBase {
                attention(
                    "session \(manifest.session.short): its frozen tensors here are not those that the server names; they are "
                        + "removed: ask the server's admin for 'server reissue'")
            }
        }
        // Nothing is kept of a model that the plan's network cannot take. One whose frozen part was lost here can only be
        // kept unseen: the re-issue that mends it comes behind it.
        if try carriesBase || !(known.map { try hasLostBase($0) } ?? false) {
            _ = try self.model(in: bundle, plan: plan, base: carriesBase ? bundle : nil, session: known)
        }
        let archived = try mailbox.archive(delivery)
        if carriesBase {
            try files.makeDirectories(home.session(manifest.session))
            try archived.extract("base.safetensors", to: basePath(manifest.session))
        }
        let counted = report.line(of: home.name)?.counted?.update
        let update =
            counted
            ?? mailbox.outgoing.last {
                $0.kind == .update && $0.session == manifest.session && $0.round == report.closed
            }?.id
        let notices = state.apply(
            global: report, plan: plan, planDigest: SHA256Hash.digest(of: planBytes), session: manifest.session,
            bundle: delivery.id, signer: delivery.signer.fingerprint, hasBase: carriesBase,
            frozen: frozen, created: manifest.created, received: now, own: home.name,
            asksConsent: configuration.consent == .ask, isWayBack: isWayBack)
        // A file that was decided about another plan decides nothing about this one.
        if known != nil { for case .planWaits(let session) in notices { try clearPlans(of: session.id) } }
        try say(notices, from: delivery, update: update)
        try answerAgain(delivery, issuedBefore: known)
        try saveState()
        if let counted {
            try mailbox.otherSideHas(
                counted, describing: "the update of round \(report.closed)", says: manifest.sender,
                isRemembered: known != nil || state.requests.contains { $0.session == manifest.session })
        }
        try layOnDesks(manifest.session)
        try mailbox.commit(delivery, .accepted)
    }

    /// Whether nothing of a session is taken any more. That of one that this hospital left is: it may overtake the decision
    /// that lets it come back. And of one that is over for all
    ///
    /// 1. its finished model, which is offered whoever left it; issued again, where the bundle that brought it is lost;
    /// 2. the very bundle that is on record: it comes again where a run was stopped before it could be committed.
    private func isOver(_ session: ClientSession, for report: RoundReport, in bundle: Digest) throws -> Bool {
        guard session.isClosed, !session.isDisowned, session.global.bundle != bundle else { return false }
        guard report.phase == .final else { return true }
        return try session.global.isFinal && files.exists(home.archived(session.global.bundle))
    }

    /// A session's plan never changes, unless only a revoked key has said what it is.
    private func check(_ plan: Plan, against known: ClientSession?) throws {
        if let known, known.binding != nil, known.plan != plan {
            throw FederationError(.badPlan, "plan.json is another one than the session began with")
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
