import Configuration
import Federation
import Files
package import Mailbox
import SystemPackage
package import Tensors
package import Wire

extension ClientRun {
    /// The cron tick of a hospital.
    ///
    /// - Parameter tell: gets the report of a tick that fails, before the error is thrown: what is marked as said in it is
    ///   not said again.
    /// - Returns: nil while another run holds the home.
    package static func tick(
        _ home: Home, now: Timestamp, watch: TrainingWatch = TrainingWatch(), instructionSet: InstructionSet? = nil,
        onFailure tell: (RunReport) -> Void = { _ in }
    ) throws -> RunReport? {
        guard let run = try ClientRun.open(home, now: now, instructionSet: instructionSet) else { return nil }
        do {
            try run.tick(watch)
        } catch {
            run.reportProblems()
            tell(run.report)
            throw error
        }
        return run.report
    }

    package func tick(_ watch: TrainingWatch) throws {
        try mailbox.requireSigning()
        try useExchange(configuration.exchange) { try mailbox.collect(from: $0) }
        try recoverSent()
        try readDesks()
        try takeIn()
        try mailbox.settleKeyFiles()
        try signAgainWhatOldKeysSigned()
        try signAgainWhatIsStillToCome()
        try tellEndings()
        try tellMissing()
        for session in state.sessions { try layOnDesks(session.id) }
        try catchUpWithPublished()
        try tellSilence()
        try writePending()
        // What was decided and received goes out before hours of training begin.
        try mailbox.publishPending()
        try useExchange(configuration.exchange) { try mailbox.deliver(to: $0) }
        try train(watch)
        try close()
        for line in mailbox.details { detail(line) }
        if report.attention.isEmpty, report.details.isEmpty { detail(idleness) }
    }

    /// What a hospital's command needs after its change.
    package func settle() throws {
        try readDesks()
        try writePending()
        try close()
    }

    private func close() throws {
        try mailbox.sendReceipts()
        try mailbox.publishPending()
        try useExchange(configuration.exchange) { try mailbox.deliver(to: $0) }
        try mailbox.cleanUp()
        try featureCache().clean(keeping: Set(state.sessions.filter { $0.ended == nil }.map(\.id.hex)))
        try saveState()
        reportProblems()
        try mailbox.finish()
    }

    /// A server that is silent past the deadline is told once a round.
    private func tellSilence() throws {
        for session in state.sessions
        where session.ended == nil && session.answeredRound >= session.global.round
            && Freshness.isSilent(lastGlobal: session.global.created, plan: session.plan, now: now)
        {
            let key = "silent-\(session.id)-\(session.global.round)"
            if state.announced.announce(key) {
                attention(
                    "session \(session.id.short): nothing from \(server) since round \(session.global.round); ask there"
                )
            }
        }
        try saveState()
    }

    /// Why there was nothing to do.
    private var idleness: String {
        if let obstacle { return "nothing to do: \(obstacle.text); \(obstacle.advice)" }
        var awaited = state.enrolled == nil ? ["the answer to the enrolment"] : []
        let unanswered = state.requests.count { $0.status == .sent }
        if unanswered > 0 { awaited.append(unanswered == 1 ? "the answer to a request" : "\(unanswered) answers") }
        for request in state.openRequests where request.status == .approved {
            guard let id = request.session, state.session(id) == nil else { continue }
            awaited.append("the first global of session \(id.short)")
        }
        for session in state.sessions where session.ended == nil {
            let name = "session \(session.id.short)"
            switch session.consent {
            case .asked: awaited.append("your decision about the plan of \(name)")
            case .refused: break
            case .granted where session.excluded != nil: awaited.append("\(server) to readmit this hospital to \(name)")
            case .granted where session.global.round < session.plan.rounds:
                awaited.append("round \(session.global.round + 1) of \(name)")
            case .granted: awaited.append("the finished model of \(name)")
            }
        }
        for offer in state.offers where offer.status == .pending {
            awaited.append("your decision about version \(offer.version)")
        }
        let bundles = mailbox.news(received: received)
        guard !awaited.isEmpty else { return "nothing to do: no session is open and no request under way, \(bundles)" }
        return "nothing to do: waiting for \(awaited.joined(separator: ", ")); \(bundles)"
    }
}
