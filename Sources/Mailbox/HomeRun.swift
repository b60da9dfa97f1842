package import Logging
import SystemPackage
package import Wire

/// What a run has to say. Lines under `attention` are printed under cron too: a person has to act, or has to know.
package protocol RunReporting {
    var attention: [String] { get set }
    /// Printed where somebody asks for them.
    var details: [String] { get set }
}

/// One hold on a home, the cron tick's or a command's: what a server's and a hospital's have in common.
package protocol HomeRun: AnyObject {
    associatedtype Report: RunReporting
    var home: Home { get }
    var mailbox: Mailbox { get }
    var now: Timestamp { get }
    var report: Report { get set }
    /// For whoever looks for a fault (`CONSILIUM_LOG=debug`); what people have to know goes into ``report``.
    var log: Logger { get }
}

extension HomeRun {
    // MARK: saying

    package func attention(_ line: String) { report.attention.append(line) }

    package func detail(_ line: String) {
        report.details.append(line)
        log.debug("\(line)")
    }

    /// What the mailbox could not do, once, though a run that fails may end twice.
    package func reportProblems() {
        for line in mailbox.problems where !report.attention.contains(line) { attention(line) }
    }

    /// An entry of the audit log. Who did it is known only where a command was used.
    ///
    /// It comes before what it tells of is written down: whoever is killed between the two does that again, and the entry
    /// is not added twice. The other way round it would be missing.
    package func audit(_ event: String, subject: String, detail: String, actor: String? = nil) throws(MailboxError) {
        try audit(event, subject: subject, details: [detail], actor: actor)
    }

    package func audit(
        _ event: String, subject: String, details: [String], actor: String? = nil
    ) throws(MailboxError) {
        try AuditLog(home).append(event: event, subject: subject, details: details, actor: actor ?? "tick", now: now)
    }

    // MARK: refusals

    /// What was put into quarantine, in the audit and for a person.
    package func tell(_ refusals: [Refusal]) throws(MailboxError) {
        for refusal in refusals where refusal.trusted != .nobody || mailbox.tellsOfStranger(isNew: !refusal.isQuiet) {
            if refusal.isQuiet { detail(refusal.line) } else { attention(refusal.line) }
            try audit("refused", subject: refusal.subject.hex, detail: refusal.record)
        }
    }

    package func incomplete(_ count: Int) -> String {
        "\(counted(count, "file in the inbox is", "files in the inbox are")) incomplete so far"
    }

    package func leftForNext(_ count: Int) -> String {
        "\(counted(count, "file is", "files are")) left for the next run"
    }

    /// At the end of all refusals: those that were only counted.
    package func tellCountedRefusals() throws(MailboxError) {
        let (_, count, new) = mailbox.strangers
        guard count > 0 else { return }
        let line = "\(counted(count, "more file")) of unknown keys refused: see quarantine/"
        if new > 0 { attention(line) } else { detail(line) }
        try audit("refused", subject: "", detail: line)
    }

    // MARK: exchange

    /// - Parameter path: the configured one; without it nothing is done.
    package func useExchange(_ path: String?, _ work: (Exchange) throws -> ExchangeSummary) throws {
        guard let path else { return }
        report.attention += try mailbox.useExchange(at: FilePath(path), work)
    }
}
