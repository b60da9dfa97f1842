import Bundles
package import Files
package import SystemPackage
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

/// A log whose every line names the digest of the line before it. A log of any length is checked in the same memory.
package struct AuditChain: Sendable {
    /// Of the lines whose digests were asked for.
    private var digests: [Int64: Digest] = [:]
    private var previous = SHA256Hash.digest(of: [])
    package private(set) var count: Int64 = 0
    /// Whether half a line follows the last one: a run was stopped, and the next one cuts it off.
    package private(set) var isTorn = false

    /// - Parameter number: counted from 1; one of those that were to be noted.
    package func digest(ofLine number: Int64) -> Digest? { digests[number] }

    /// - Parameters:
    ///   - path: the log; where nothing is, it is empty.
    ///   - numbers: the lines whose digests will be asked for.
    ///   - newest: of how many lines the entries are wanted.
    /// - Throws: ``MailboxError`` naming the first line that was changed, taken out or put in.
    package static func check(
        _ path: FilePath, files: any FileSystem, noting numbers: Set<Int64> = [], newest: Int = 0
    ) throws(MailboxError) -> (chain: AuditChain, newest: [AuditEntry]) {
        var chain = AuditChain()
        var entries: [AuditEntry] = []
        guard try onDisk({ () throws(FileError) in try files.exists(path) }) else { return (chain, entries) }
        var lines = AuditLines(try onDisk { () throws(FileError) in try files.openForReading(path) }, path)
        while let line = try lines.next() {
            entries.append(try chain.add(line, of: path.string, isNoted: numbers.contains))
            // Now and then, so that it costs little.
            if entries.count >= newest + 1000 { entries.removeFirst(entries.count - newest) }
        }
        chain.isTorn = lines.isTorn
        return (chain, entries.suffix(newest))
    }

    private init() {}

    /// Of a log in memory; every line's digest can be asked for.
    /// - Parameter name: of the log, for errors.
    package init(checking bytes: [UInt8], name: String) throws(MailboxError) {
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        isTorn = end < bytes.count
        for line in Self.lines(of: bytes[..<end]) { try add(line, of: name) { _ in true } }
    }

    @discardableResult
    private mutating func add(
        _ line: [UInt8], of name: String, isNoted: (Int64) -> Bool
    ) throws(MailboxError) -> AuditEntry {
        let entry = try AuditEntry(line: line, at: "\(name), line \(count + 1)")
        guard entry.previous == previous, entry.number == count + 1 else {
            throw MailboxError(
                .state, "\(name), line \(count + 1): the chain is broken", hint: "somebody changed the lines before it")
        }
        previous = SHA256Hash.digest(of: line)
        count += 1
        if isNoted(count) { digests[count] = previous }
        return entry
    }

    /// With their newlines.
    static func lines(of bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
    }
}

/// The whole lines of a log, one after the other, with their newlines.
private struct AuditLines {
    private static let chunk = 1 << 20

    private let file: any ReadableFile
    private let path: FilePath
    private var offset: Int64 = 0
    private var buffer: ArraySlice<UInt8> = []
    /// Known once there is no further line.
    private(set) var isTorn = false

    init(_ file: any ReadableFile, _ path: FilePath) {
        self.file = file
        self.path = path
    }

    mutating func next() throws(MailboxError) -> [UInt8]? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[...end])
                buffer = buffer[(end + 1)...]
                return line
            }
            guard buffer.count <= AuditEntry.maximumLine else {
                throw MailboxError(
                    .state, "\(path) has a line of more than \(AuditEntry.maximumLine) bytes",
                    hint: "somebody changed the log; put audit/ back from the newest copy")
            }
            let at = offset
            let more = try onDisk { () throws(FileError) in try file.bytes(at: at, count: Self.chunk) }
            guard !more.isEmpty else {
                isTorn = !buffer.isEmpty
                return nil
            }
            offset += Int64(more.count)
            buffer = (Array(buffer) + more)[...]
        }
    }
}

extension AuditEntry {
    /// The longest line that is read, in bytes; what is written has less than half of it.
    static let maximumLine = 128 << 10

    var line: [UInt8] {
        StrictJSON.serialize([
            "number": .integer(number), "at": .string(at.rfc3339), "actor": .string(actor), "event": .string(event),
            "subject": .string(subject), "detail": .string(detail), "previous": .string(previous.hex),
        ])
    }

    /// - Parameter place: the log, and which line of it, for errors.
    init(line: [UInt8], at place: String) throws(MailboxError) {
        self = try readingState("audit.jsonl", at: place) { () throws(JSONError) in
            var fields = try ObjectReader(
                try StrictJSON.parse(line, maximumBytes: Self.maximumLine), context: "audit.jsonl")
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
