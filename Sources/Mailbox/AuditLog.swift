import Bundles
import Files
import SystemPackage
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

/// The log of decisions, `audit/audit.jsonl`: JSON lines, each with the digest of the line before, so that a line that is
/// changed, taken out or put in breaks the chain from there on. `sed -n 3p audit.jsonl | sha256sum` is what line 4 must say.
///
/// 1. Lines are only ever added, and flushed before the run goes on.
/// 2. A line that a kill tore was never acted on; it is cut off before the next one is added.
/// 3. A run that repeats itself says nothing twice: what the last line about a subject says already is not added again.
package struct AuditLog: Sendable {
    private static let maximumBytes = 1 << 30
    private static let maximumLine = 64 << 10
    /// How far back a subject's last line is looked for, in bytes.
    private static let window = 256 << 10

    private let path: FilePath
    private let files: any FileSystem

    package init(_ home: Home) {
        path = home.audit.appending("audit.jsonl")
        files = home.files
    }

    /// Adds a line.
    package func append(
        event: String, subject: String, detail: String, actor: String, now: Timestamp
    ) throws(MailboxError) {
        let tail = try readTail()
        var number: Int64 = 0
        var latest: AuditEntry?
        for line in tail.lines.reversed() {
            let entry = try AuditEntry(line: line)
            number = max(number, entry.number)
            if entry.subject == subject {
                latest = entry
                break
            }
        }
        if let latest, latest.event == event, latest.detail == detail { return }
        let entry = AuditEntry(
            number: number + 1, at: now, actor: actor, event: event, subject: subject, detail: detail,
            previous: SHA256Hash.digest(of: tail.lines.last ?? []))
        guard entry.line.count <= Self.maximumLine else {
            throw MailboxError(.state, "an audit entry about \(subject.prefix(80)) is too long")
        }
        try onDisk { () throws(FileError) in
            if tail.isTorn {
                let bytes = try files.readFile(path, limit: Self.maximumBytes)
                try files.writeFile(path, bytes.prefix(tail.size) + entry.line)
            } else {
                try files.appendFile(path, entry.line)
            }
        }
    }

    /// Checks the whole chain.
    /// - Returns: the number of lines.
    package func verify() throws(MailboxError) -> Int64 {
        var previous = SHA256Hash.digest(of: [])
        var count: Int64 = 0
        let bytes = try content()
        guard bytes.isEmpty || bytes.last == UInt8(ascii: "\n") else {
            throw MailboxError(.state, "the last line of \(path) is torn", hint: "the next run mends it")
        }
        for line in Self.lines(of: bytes[...]) {
            let entry = try AuditEntry(line: line)
            count += 1
            guard entry.previous == previous, entry.number == count else {
                throw MailboxError(
                    .state, "\(path), line \(count): the chain is broken", hint: "somebody changed the lines before it")
            }
            previous = SHA256Hash.digest(of: line)
        }
        return count
    }

    /// The newest entries, oldest first.
    package func entries(limit: Int = .max) throws(MailboxError) -> [AuditEntry] {
        var entries: [AuditEntry] = []
        for line in Self.lines(of: try content()[...]).suffix(limit) { entries.append(try AuditEntry(line: line)) }
        return entries
    }

    // MARK: reading

    private struct Tail {
        /// With their newlines.
        var lines: [[UInt8]] = []
        /// Of the whole lines of the file, in bytes.
        var size = 0
        var isTorn = false
    }

    private func readTail() throws(MailboxError) -> Tail {
        try onDisk { () throws(FileError) in
            guard try files.exists(path) else { return Tail() }
            let file = try files.openForReading(path)
            let size = try file.status().size
            let start = max(0, size - Int64(Self.window))
            var bytes = try file.bytes(at: start, count: Int(size - start))[...]
            var tail = Tail()
            // What begins before the window is no whole line.
            if start > 0 { bytes = bytes.drop { $0 != UInt8(ascii: "\n") }.dropFirst() }
            let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.startIndex
            tail.isTorn = end < bytes.endIndex
            tail.size = Int(size) - (bytes.endIndex - end)
            tail.lines = Self.lines(of: bytes[..<end])
            return tail
        }
    }

    private func content() throws(MailboxError) -> [UInt8] {
        try onDisk { () throws(FileError) in
            try files.exists(path) ? try files.readFile(path, limit: Self.maximumBytes) : []
        }
    }

    private static func lines(of bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
    }
}

extension AuditEntry {
    fileprivate var line: [UInt8] {
        StrictJSON.serialize([
            "number": .integer(number), "at": .string(at.rfc3339), "actor": .string(actor), "event": .string(event),
            "subject": .string(subject), "detail": .string(detail), "previous": .string(previous.hex),
        ])
    }

    fileprivate init(line: [UInt8]) throws(MailboxError) {
        self = try readingState { () throws(JSONError) in
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
