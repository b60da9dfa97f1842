package import Federation
package import Wire

/// One session as a hospital sees it.
package struct ClientSession: Equatable, Sendable {
    package enum Consent: String, Sendable, CaseIterable {
        case granted
        /// On the desk `plans/pending/`.
        case asked
        case refused
    }

    /// The newest global that has arrived.
    package struct ReceivedGlobal: Equatable, Sendable {
        /// Bundle id; the bundle lies in `archive/`. A re-issue takes its place.
        package internal(set) var bundle: Digest
        package let round: Int
        /// SHA-256 of its `model.safetensors`: the base of an update.
        package let model: Digest
        package let isFinal: Bool
        package let received: Timestamp
        package let created: Timestamp
        /// Whose word it is that this is the session's newest one.
        var speaker: Speaker
    }

    /// A round of a restored server.
    package struct Reopening: Equatable, Sendable {
        package let round: Int
        var speaker: Speaker

        package var text: String { "the server was restored from a backup and has round \(round) of it open again" }
    }

    package let id: RandomID
    package internal(set) var plan: Plan
    package internal(set) var planDigest: Digest
    /// The own request that led here; nil if the server never named one.
    package internal(set) var request: Digest?
    package internal(set) var consent: Consent
    package internal(set) var global: ReceivedGlobal
    /// The bundle that carried `base.safetensors`; nil where everything trains.
    package internal(set) var baseBundle: Digest?
    /// SHA-256 of the `base.safetensors` that the newest global names; nil where everything trains, or it was not noted.
    package internal(set) var frozen: Digest?
    /// The last round whose update was published.
    package internal(set) var answeredRound: Int
    /// Why it is over for this hospital; nil while it goes on.
    package internal(set) var ended: String?
    var endedBy: Speaker = .here
    /// Whether a false global was taken, so that the number of a round does not tell which model an update is of.
    package internal(set) var hadFalseGlobal = false
    /// Why the server counts nothing of this hospital's until it readmits it; nil while it does.
    package internal(set) var excluded: String?
    /// That the server goes on with this session, which is finished here: only people can end it there.
    package internal(set) var reopened: Reopening?
    /// For which bundle the open round, which was answered, is trained once more: the re-issued global of a server that does
    /// not have the answer, or an own update that counts no more.
    package internal(set) var trainedAgainFor: Digest?

    /// The round that this hospital has to train now; nil while there is nothing to do.
    package var roundToTrain: Int? {
        guard ended == nil, consent == .granted, !global.isFinal, answeredRound < global.round else { return nil }
        return global.round
    }

    /// When the open round is over, as the plan says.
    package var deadline: Timestamp { global.created.adding(seconds: plan.deadline) }

    /// Whether a global is of the same round and model as the newest one.
    func isSame(_ report: RoundReport) -> Bool {
        report.round == global.round && report.model == global.model && (report.phase == .final) == global.isFinal
    }

    /// Whether other frozen tensors than those that are here belong to this session. It is the server's newest word about
    /// them that counts: rounds may have passed since they came.
    func hasOtherBase(than named: Digest?) -> Bool {
        guard let frozen, let named else { return false }
        return frozen != named
    }

    /// Whether what this hospital did with the newest global is of no use: it came with other frozen tensors or, where only a
    /// revoked key stands for it, another plan, or another global of a round that it had reached comes. One that came before
    /// a later round may have been true.
    func isContradicted(by report: RoundReport, plan: Plan, frozen: Digest?) -> Bool {
        if hasOtherBase(than: frozen) { return true }
        guard binding == nil else { return false }
        return plan != self.plan || !isSame(report) && (global.isFinal || report.round <= global.round)
    }

    /// The newest round is trained once more, by an update that counts as another one.
    mutating func forgetFalseAnswer() {
        hadFalseGlobal = true
        answeredRound = min(answeredRound, global.round - 1)
    }

    /// Another request than before takes part: the open round is trained once more, by an update that names it.
    mutating func takePart(with request: Digest, consent: Consent) {
        self.request = request
        self.consent = consent
        answeredRound = min(answeredRound, global.round - 1)
        (ended, endedBy) = (nil, .here)
        excluded = nil
    }

    /// The server does not have, or does not count, the update of the answered round.
    mutating func trainAgain(for bundle: Digest) {
        trainedAgainFor = bundle
        answeredRound = min(answeredRound, global.round - 1)
    }

    /// Whether it is over for everybody, and not only left by this hospital.
    var isClosed: Bool {
        global.isFinal && !global.speaker.isRevoked || ended.map { !ClientState.isDeparture($0) } ?? false
    }

    /// Whether only a key that is revoked by now says that it is over.
    package var isDisowned: Bool { ended != nil && endedBy.isRevoked }

    /// Round and model of what no other global of the round may contradict; nil where only a revoked key stands for it.
    package var binding: (round: Int, model: Digest)? {
        global.speaker.isRevoked ? nil : (global.round, global.model)
    }
}

extension ClientState {
    /// A verified global. The caller has checked the bundle, its digests and that the server sent it.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's id.
    ///   - signer: fingerprint of the server's key that signed it.
    ///   - hasBase: it carries `base.safetensors`.
    ///   - frozen: SHA-256 of the session's `base.safetensors`, as far as the bundle tells.
    ///   - asksConsent: the configuration says `consent: ask`.
    ///   - isWayBack: the server itself has gone back to this round.
    package mutating func apply(
        global report: RoundReport, plan: Plan, planDigest: Digest, session id: RandomID, bundle: Digest,
        signer: String, hasBase: Bool, frozen: Digest?, created: Timestamp, received: Timestamp, own: PartyName,
        asksConsent: Bool, isWayBack: Bool = false
    ) -> [ClientNotice] {
        impliesEnrolment()
        let global = ClientSession.ReceivedGlobal(
            bundle: bundle, round: report.round, model: report.model, isFinal: report.phase == .final,
            received: received, created: created, speaker: .server(signer))
        var notices = report.phase == .final ? [] : goesOn(id, asksConsent: asksConsent)
        if let index = sessions.firstIndex(where: { $0.id == id }) {
            let current = sessions[index].global
            let isCorrected = current.speaker.isRevoked
            let wasFalse = sessions[index].isContradicted(by: report, plan: plan, frozen: frozen)
            let hadOtherBase = sessions[index].hasOtherBase(than: frozen)
            if global.isFinal { sessions[index].reopened = nil }
            if hasBase { sessions[index].baseBundle = bundle }
            sessions[index].frozen = frozen ?? sessions[index].frozen
            if sessions[index].isSame(report), !isCorrected || sessions[index].plan == plan {
                // Issued again: the old bundle may be lost, and what is offered was in it.
                change(offer: current.bundle) { $0.bundle = bundle }
                (sessions[index].global.bundle, sessions[index].global.speaker) = (bundle, global.speaker)
                // What else a revoked key said of it is not so.
                if isCorrected { sessions[index].global = global }
                if hadOtherBase { sessions[index].forgetFalseAnswer() }
                if global.isFinal, sessions[index].isDisowned { sessions[index].endedBy = global.speaker }
                return notices
            }
            guard isCorrected || isWayBack || report.round > current.round || (global.isFinal && !current.isFinal)
            else {
                return notices
            }
            (sessions[index].global, sessions[index].trainedAgainFor) = (global, nil)
            if wasFalse { sessions[index].forgetFalseAnswer() }
            if isWayBack, !global.isFinal {
                sessions[index].goBack(for: bundle)
                return notices + [.wentBack(id, round: report.round, from: current.round)]
            }
            if isCorrected { notices += correct(id, from: current, plan, planDigest, asksConsent: asksConsent) }
        } else {
            let session = opened(
                id, plan: plan, planDigest: planDigest, global: global, baseBundle: hasBase ? bundle : nil,
                frozen: frozen, asksConsent: asksConsent)
            sessions.append(session)
            if session.ended == nil, session.consent == .asked, !global.isFinal { notices.append(.planWaits(session)) }
        }
        notices.append(.roundOpened(id, round: report.round))
        // Whoever has left waits for no account of the rounds since.
        if global.isFinal || session(id)?.ended == nil { notices += proof(in: report, session: id, own: own) }
        if global.isFinal {
            let reason = report.version.map { "finished with version \($0)" } ?? "finished"
            change(session: id) { session in
                if session.ended == nil || session.isDisowned {
                    (session.ended, session.endedBy) = (reason, global.speaker)
                }
            }
        }
        if let version = report.version, global.isFinal, offers.allSatisfy({ $0.bundle != bundle }) {
            let offer = Offer(version: version, session: id, bundle: bundle, status: .pending)
            offers.append(offer)
            notices.append(.versionOffered(offer))
        }
        return notices
    }

    /// A session that this hospital sees for the first time. Only a request of its own that still stands, and a plan that
    /// is what it asked for, are consent; or the configuration, where it says so for every plan.
    private mutating func opened(
        _ id: RandomID, plan: Plan, planDigest: Digest, global: ClientSession.ReceivedGlobal, baseBundle: Digest?,
        frozen: Digest?, asksConsent: Bool
    ) -> ClientSession {
        let own = newestRequest(in: id)
        let ending = over.removeValue(forKey: id.hex)
        return ClientSession(
            id: id, plan: plan, planDigest: planDigest, request: own?.id,
            consent: consent(to: plan, of: own, asksConsent: asksConsent), global: global, baseBundle: baseBundle,
            frozen: frozen, answeredRound: 0, ended: ending?.reason ?? own.flatMap(Self.departure),
            endedBy: ending?.speaker ?? own?.endedBy ?? .here)
    }

    /// After a global of which only a revoked key has said that it is the newest one, another one came: what the hospital did
    /// with the former is of no use for the rounds from there on.
    private mutating func correct(
        _ id: RandomID, from former: ClientSession.ReceivedGlobal, _ plan: Plan, _ digest: Digest, asksConsent: Bool
    ) -> [ClientNotice] {
        guard let session = session(id) else { return [] }
        let isSamePlan = session.plan == plan
        let own = session.request.flatMap(request)
        let consent = isSamePlan ? session.consent : consent(to: plan, of: own, asksConsent: asksConsent)
        change(session: id) { session in
            (session.plan, session.planDigest, session.consent) = (plan, digest, consent)
            session.answeredRound = min(session.answeredRound, session.global.round - 1)
        }
        change(offer: former.bundle) { if $0.status == .pending { $0.status = .rejected } }
        guard !isSamePlan, consent == .asked, let changed = self.session(id), changed.ended == nil else { return [] }
        return [.planWaits(changed)]
    }

    /// The hospital finds its own line in the account of the closed round.
    private func proof(in report: RoundReport, session id: RandomID, own: PartyName) -> [ClientNotice] {
        guard report.closed > 0, let line = report.line(of: own) else { return [] }
        let total = report.participants.reduce(0) { $0 + ($1.counted?.weight ?? 0) }
        switch line.fate {
        case .counted(let update):
            return [.counted(id, round: report.closed, weight: update.weight, of: total)]
        case .late: return [.notCounted(id, round: report.closed, reason: "it came after the deadline")]
        case .rejected(let reason): return [.notCounted(id, round: report.closed, reason: reason)]
        case .missing: return [.notCounted(id, round: report.closed, reason: "the server had none at the deadline")]
        }
    }
}
