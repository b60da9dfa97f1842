import Bundles
import Files
import SystemPackage
package import Wire

/// Bundles of a hospital's that were encrypted to an age identity which somebody else may have by now.
extension Mailbox {
    /// Lets what this party did not acknowledge be encrypted anew. Each stays the same signed bundle, under another name: what
    /// lies in an exchange under the old one is taken back, since a published file is never changed.
    ///
    /// To be called before the recipient changes in the trust: then nothing is left to be done whenever the run is killed, and
    /// the same call once more does it once more.
    package func encryptAnew(for party: PartyName) throws(MailboxError) {
        let records = ledger.outgoingInOrder.filter {
            !$0.isRetired && $0.isEncrypted && !$0.isAcknowledged && $0.recipients == [party]
        }
        guard !records.isEmpty else { return }
        // First of all: a kill leaves nothing that counts as published and is not there.
        try updateLedger { ledger in
            for record in records { ledger.outgoing[record.key]?.published = nil }
        }
        try onDisk { () throws(FileError) in
            for record in records {
                try files.remove(home.outbox.appending(record.name))
                try files.remove(home.sealedPath(record.id))
            }
        }
        try updateLedger { ledger in
            for record in records { ledger.outgoing[record.key]?.name = record.nextName }
        }
    }

    /// Encrypts what ``encryptAnew(for:)`` has left in the clear in the home, to whoever it is for now.
    func encryptIfMissing(_ record: OutgoingRecord) throws(MailboxError) {
        guard home.role == .client, record.isEncrypted else { return }
        let target = home.sealedPath(record.id)
        if try onDisk({ () throws(FileError) in try files.exists(target) }) { return }
        let recipients = try knownRecipients(of: record.recipients)
        do {
            try AgeWriter.encrypt(home.outgoingPath(record.id), to: recipients, at: target, files: files)
        } catch {
            throw MailboxError(.bundle, error)
        }
    }
}

extension OutgoingRecord {
    /// `x.tar.age` becomes `x-2.tar.age`, and that `x-3.tar.age`.
    fileprivate var nextName: String {
        let suffix = ".tar" + AgeFile.suffix
        let stem = name.dropLast(suffix.utf8.count)
        // What ends a name otherwise is eight digits of the bundle's id.
        guard let end = stem.lastIndex(of: "-"), stem[end...].utf8.count < 8, let turn = Int(stem[end...].dropFirst())
        else { return "\(stem)-2\(suffix)" }
        return "\(stem[..<end])-\(turn + 1)\(suffix)"
    }
}
