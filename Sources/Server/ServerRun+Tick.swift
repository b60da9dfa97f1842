import Configuration
import Federation
package import Mailbox
import SystemPackage
package import Wire

extension ServerRun {
    /// The cron tick of a server.
    ///
    /// - Parameter tell: gets the report of a tick that fails, before the error is thrown: what is marked as said in it is
    ///   not said again.
    /// - Returns: nil while another run holds the home.
    package static func tick(
        _ home: Home, now: Timestamp, onFailure tell: (RunReport) -> Void = { _ in }
    ) throws -> RunReport? {
        guard let run = try ServerRun.open(home, now: now) else { return nil }
        do {
            try run.tick()
        } catch {
            run.reportProblems()
            tell(run.report)
            throw error
        }
        return run.report
    }

    package func tick() throws {
        isTick = true
        try mailbox.requireSigning()
        try useExchange(configuration.exchange) { try mailbox.collect(from: $0) }
        try readDesks()
        try takeIn()
        try advanceKeys()
        tellEndings()
        tellMissing()
        try stepSessions()
        try publish()
        try mailbox.sendReceipts()
        try mailbox.publishPending()
        try useExchange(configuration.exchange) { try mailbox.deliver(to: $0) }
        try mailbox.cleanUp()
        try close()
        for line in mailbox.details { detail(line) }
        if report.attention.isEmpty, report.details.isEmpty { detail(idleness) }
    }

    /// What an admin's command needs after its change: the answers go out at once, the inbox waits for the tick.
    package func settle() throws {
        try readDesks()
        try stepSessions()
        try publish()
        try mailbox.publishPending()
        try close()
    }

    /// What the twin of a file move needs after it. The next tick decides, as after a move by hand, so that several requests
    /// can be moved into one session before it starts.
    package func noteMove() throws { try close() }

    private func close() throws {
        try writePending()
        try saveRecords()
        reportProblems()
        try mailbox.finish()
    }

    /// Why there was nothing to do.
    private var idleness: String {
        var awaited: [String] = []
        let waiting =
            records.enrolments.filter { $0.status == .pending }.map(\.deskName.short)
            + records.requests.filter { $0.status == .pending }.map(\.label)
        if !waiting.isEmpty { awaited.append("your decision about \(waiting.joined(separator: ", "))") }
        for session in sessions where !session.isOver {
            let missing = session.missing.map(\.text).joined(separator: ", ")
            switch (session.state, session.round) {
            case (.paused, _): awaited.append("you: session \(session.name) is paused: \(session.pauseReason ?? "")")
            case (.running, let round?):
                awaited.append("round \(round.number) of session \(session.name) from \(missing)")
            default:
                let why = ((try? starts.obstacles(to: session)) ?? []).map(\.text).joined(separator: "; ")
                awaited.append("session \(session.name) to begin" + (why.isEmpty ? "" : " (\(why))"))
            }
        }
        let bundles = mailbox.news(received: received)
        guard !awaited.isEmpty else { return "nothing to do: no session is open and nothing asked for, \(bundles)" }
        return "nothing to do: waiting for \(awaited.joined(separator: "; for ")); \(bundles)"
    }
}
