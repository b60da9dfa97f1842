import Files
import SystemPackage

extension Home {
    /// Whether `mailbox/ledger.json` is there that a home must have which has sent or taken something.
    ///
    /// - Throws: `state` where it is lost: numbers would be used twice, and what was taken would be taken again.
    package func requireLedger() throws(MailboxError) {
        let isLost = try onDisk { () throws(FileError) in
            guard try !files.exists(ledgerPath) else { return false }
            // A hospital has sent its enrolment; a server whose desk remembers something has taken that.
            if role == .client { return true }
            if try files.exists(requests.appending("records.json")) { return true }
            return try files.list(outgoing).contains { $0.name.hasSuffix(".tar") }
        }
        guard isLost else { return }
        throw MailboxError(
            .state, "\(ledgerPath) is missing",
            hint: "restore it from a backup: without it numbers are used twice, and what was taken is taken again")
    }
}
