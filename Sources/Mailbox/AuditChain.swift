import Bundles
package import Wire

/// One line of the audit: what happened, to what, by whom.
package struct AuditEntry: Equatable, Sendable {
    /// Counted from 1.
    package let number: Int64
    package let at: Timestamp
    /// `moved in folder, mover unknown`, `uid 1000`, or the program itself.
    package let actor: String
    /// Such as `request-approved`.
    package let event: String
    /// What it happened to: a bundle's id, a session, a party.
    package let subject: String
    package let detail: String
    /// SHA-256 of the line before with its newline; of nothing for the first line.
    package let previous: Digest
}

/// A log whose every line names the digest of the line before it.
package struct AuditChain: Sendable {
    /// Of each line, in order.
    private let digests: [Digest]

    package var count: Int64 { Int64(digests.count) }

    /// - Parameter number: counted from 1.
    package func digest(ofLine number: Int64) -> Digest? {
        number >= 1 && number <= count ? digests[Int(number - 1)] : nil
    }

    /// - Parameter name: of the log, for errors.
    /// - Throws: ``MailboxError`` naming the first line that was changed, taken out or put in.
    package init(checking bytes: [UInt8], name: String) throws(MailboxError) {
        guard bytes.isEmpty || bytes.last == UInt8(ascii: "\n") else {
            throw MailboxError(.state, "the last line of \(name) is torn", hint: "the next run mends it")
        }
        var previous = SHA256Hash.digest(of: [])
        var digests: [Digest] = []
        for line in Self.lines(of: bytes[...]) {
            let entry = try AuditEntry(line: line, at: "\(name), line \(digests.count + 1)")
            guard entry.previous == previous, entry.number == Int64(digests.count) + 1 else {
                throw MailboxError(
                    .state, "\(name), line \(digests.count + 1): the chain is broken",
                    hint: "somebody changed the lines before it")
            }
            previous = SHA256Hash.digest(of: line)
            digests.append(previous)
        }
        self.digests = digests
    }

    /// The newest entries, oldest first.
    package static func entries(of log: [UInt8], limit: Int) throws(MailboxError) -> [AuditEntry] {
        var entries: [AuditEntry] = []
        for line in lines(of: log[...]).suffix(limit) {
            entries.append(try AuditEntry(line: line, at: "audit.jsonl, one of the last lines"))
        }
        return entries
    }

    /// With their newlines.
    static func lines(of bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
    }
}

extension AuditEntry {
    var line: [UInt8] {
        StrictJSON.serialize([
            "number": .integer(number), "at": .string(at.rfc3339), "actor": .string(actor), "event": .string(event),
            "subject": .string(subject), "detail": .string(detail), "previous": .string(previous.hex),
        ])
    }

    /// - Parameter place: the log, and which line of it, for errors.
    init(line: [UInt8], at place: String) throws(MailboxError) {
        self = try readingState("audit.jsonl", at: place) { () throws(JSONError) in
            var fields = try ObjectReader(try StrictJSON.parse(line, maximumBytes: 128 << 10), context: "audit.jsonl")
            guard let at = Timestamp(rfc3339: try fields.string("at")) else {
                throw fields.problem("at", "must be a UTC time")
            }
            let entry = AuditEntry(
                number: try fields.integer("number"), at: at, actor: try fields.string("actor", maximumLength: 1 << 16),
                event: try fields.string("event", maximumLength: 1 << 16),
                subject: try fields.string("subject", maximumLength: 1 << 16),
                detail: try fields.string("detail", maximumLength: 1 << 16), previous: try fields.digest("previous"))
            try fields.finish()
            return entry
        }
    }
}
