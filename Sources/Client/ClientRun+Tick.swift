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
    /// - Returns: nil while another run holds the home.
    package static func tick(
        _ home: Home, now: Timestamp, watch: TrainingWatch = TrainingWatch(), instructionSet: InstructionSet? = nil
    ) throws -> RunReport? {
        guard let run = try ClientRun.open(home, now: now, instructionSet: instructionSet) else { return nil }
        try run.tick(watch)
        return run.report
    }

    package func tick(_ watch: TrainingWatch) throws {
        try mailbox.requireSigning()
        try exchange { try mailbox.collect(from: $0) }
        try recoverRequests()
        try readDesks()
        try takeIn()
        try mailbox.settleKeyFiles()
        try tellEndings()
        for session in state.sessions { try layOnDesks(session.id) }
        try catchUpWithPublished()
        try tellSilence()
        try writePending()
        // What was decided and received goes out before hours of training begin.
        try mailbox.publishPending()
        try exchange { try mailbox.deliver(to: $0) }
        try train(watch)
        try close()
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
        try exchange { try mailbox.deliver(to: $0) }
        try mailbox.cleanUp()
        try featureCache().clean(keeping: Set(state.sessions.filter { $0.ended == nil }.map(\.id.hex)))
        try saveState()
        report.attention += mailbox.problems
        try mailbox.finish()
    }

    /// A server that is silent past the deadline is told once a round.
    private func tellSilence() throws {
        for session in state.sessions
        where session.ended == nil && session.answeredRound >= session.global.round
            && Freshness.isSilent(lastGlobal: session.global.created, plan: session.plan, now: now)
        {
            let key = "silent-\(session.id)-\(session.global.round)"
            if state.announce(key) {
                attention(
                    "session \(session.id.short): nothing from \(server) since round \(session.global.round); ask there"
                )
            }
        }
        try saveState()
    }

    private func exchange(_ work: (Exchange) throws -> ExchangeSummary) throws {
        guard let path = configuration.exchange else { return }
        report.attention += try mailbox.useExchange(at: FilePath(path), work)
    }
}
