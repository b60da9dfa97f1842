package import Bundles
import Files
import SystemPackage
package import Wire

/// The log of decisions, `audit/audit.jsonl`: JSON lines, each with the digest of the line before, so that a line that is
/// changed, taken out or put in breaks the chain from there on. `sed -n 3p audit.jsonl | sha256sum` is what line 4 must say.
///
/// 1. Lines are only ever added, and flushed before the run goes on.
/// 2. A line that a kill tore was never acted on; it is cut off before the next one is added.
/// 3. A tick that repeats itself says nothing twice: what the last line about a subject says already is not added again.
///    A person who does a thing twice did it twice. Whether a command was stopped before cannot be told apart from that, and
///    a line too many is better than one too few.
package struct AuditLog: Sendable {
    /// Of a line's texts: beyond it stands the digest of the whole. A session's events name up to a thousand hospitals.
    private static let detailBytes = 8 << 10
    private static let subjectBytes = 1 << 10
    /// How far back a subject's last line is looked for, in bytes.
    private static let window = 256 << 10

    /// Who uses the command line, as an actor.
    package static func person(_ user: UInt32) -> String { "\(personPrefix)\(user)" }
    private static let personPrefix = "uid "

    /// What is true of a log whose last line a kill tore.
    package static let torn = "half a line of a run that was stopped follows; the next run cuts it off"

    private let path: FilePath
    /// A copy of the last head that this home signed, outside of `audit/`: who takes that away takes not this.
    private let lastHeadPath: FilePath
    private let files: any FileSystem

    package init(_ home: Home) {
        path = home.audit.appending("audit.jsonl")
        lastHeadPath = home.auditHeadPath
        files = home.files
    }

    /// Adds a line.
    package func append(
        event: String, subject: String, detail: String, actor: String, now: Timestamp
    ) throws(MailboxError) {
        try append(event: event, subject: subject, details: [detail], actor: actor, now: now)
    }

    /// Adds a line for each detail, less those that a run before wrote already and then was stopped: the last lines about the
    /// subject, as far as they are the first of these.
    package func append(
        event: String, subject: String, details: [String], actor: String, now: Timestamp
    ) throws(MailboxError) {
        let (subject, actor) = (Self.bounded(subject, Self.subjectBytes), Self.bounded(actor, Self.subjectBytes))
        let details = details.map { Self.bounded($0, Self.detailBytes) }
        let tail = try readTail()
        var number: Int64 = 0
        var latest: [AuditEntry] = []
        for line in tail.lines.reversed() where latest.count < details.count {
            let entry = try AuditEntry(line: line, at: "\(path), one of the last lines")
            number = max(number, entry.number)
            if entry.subject == subject { latest.insert(entry, at: 0) }
        }
        if actor.hasPrefix(Self.personPrefix) { latest = [] }
        let known = (0...latest.count).last { count in
            zip(latest.suffix(count), details).allSatisfy {
                $0.event == event && $0.detail == $1 && $0.actor == actor
            }
        }
        var (last, bytes) = (tail.lines.last ?? [], [UInt8]())
        for detail in details.dropFirst(known ?? 0) {
            number += 1
            last =
                AuditEntry(
                    number: number, at: now, actor: actor, event: event, subject: subject, detail: detail,
                    previous: SHA256Hash.digest(of: last)
                ).line
            bytes += last
        }
        if tail.isTorn { return try mend(tail, adding: bytes) }
        guard !bytes.isEmpty else { return }
        try onDisk { () throws(FileError) in try files.appendFile(path, bytes) }
    }

    /// What the last lines say of a subject, oldest first.
    package func recent(_ event: String, subject: String) throws(MailboxError) -> [String] {
        var details: [String] = []
        for line in try readTail().lines {
            let entry = try AuditEntry(line: line, at: "\(path), one of the last lines")
            if entry.event == event, entry.subject == subject { details.append(entry.detail) }
        }
        return details
    }

    /// No text, whoever wrote it, makes a line that cannot be added.
    private static func bounded(_ text: String, _ limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        return "\(text.beginning(bytes: limit)) ... (of \(text.utf8.count) bytes with the SHA-256 "
            + "\(SHA256Hash.digest(of: Array(text.utf8)).hex))"
    }

    /// Cuts off what a kill left half written; nobody has acted on it.
    private func mend(_ tail: Tail, adding bytes: [UInt8] = []) throws(MailboxError) {
        try onDisk { () throws(FileError) in
            // In its place: the disk that tore the line may be full still.
            try files.truncateFile(path, to: Int64(tail.size))
            if !bytes.isEmpty { try files.appendFile(path, bytes) }
        }
    }

    /// Checks the whole chain, and that it grew out of what this home signed last.
    ///
    /// - Parameters:
    ///   - key: this home's own.
    ///   - formerKeys: what it signed with before: the last head stays one of theirs where a run that changed the key was stopped.
    ///   - kept: a head of this log that somebody else kept.
    ///   - newest: of how many lines the entries are wanted.
    package func verify(
        key: PublicKey, formerKeys: Set<PublicKey> = [], kept: AuditHead? = nil, newest: Int = 0
    ) throws(MailboxError) -> (chain: AuditChain, head: AuditHead?, newest: [AuditEntry]) {
        let found = try newestHead(key: nil)
        let isOwn = found.map { $0.signer == key || formerKeys.contains($0.signer) } ?? true
        // Another's is read once more for what it says of that.
        let head = try (isOwn ? found : newestHead(key: key))?.head
        let last = try requireLastHead(or: head)
        let heads = [last, head, kept].compactMap(\.self)
        let (chain, entries) = try AuditChain.check(
            path, files: files, noting: Set(heads.map(\.number)), newest: newest)
        for head in heads { try head.check(against: chain) }
        return (chain, head, entries)
    }

    /// The newest entries, oldest first.
    package func entries(limit: Int = .max) throws(MailboxError) -> [AuditEntry] {
        try AuditChain.check(path, files: files, newest: min(limit, .max - 1000)).newest
    }

    // MARK: heads

    /// Signs what was added since the last head, if anything was. A run does so at its end; what a kill leaves unsigned, the
    /// next one signs.
    ///
    /// - Parameter ownKeys: what this home signs with and ever signed with.
    /// - Throws: ``MailboxError`` where the log is not one that grew out of the last head, or the head is another's: that is not
    ///   signed over.
    func signHead(
        _ key: SigningKey, ownKeys: Set<PublicKey>, federation: RandomID, party: PartyName, now: Timestamp
    ) throws(MailboxError) {
        let tail = try readTail()
        if tail.isTorn { try mend(tail) }
        let newest = try newestHead(key: nil)
        let remembered = try requireLastHead(or: newest?.head)
        guard let line = tail.lines.last else {
            // Without a line there is nothing to sign; where a head says that there were some, its check says so.
            if let head = newest?.head { try check(head) }
            return
        }
        let last = try AuditEntry(line: line, at: "\(path), the last line")
        var at = now
        // Signed by an earlier key, perhaps: the present one may be new.
        if let (old, signer) = newest {
            // Where the key was lost, no key of this home's is known any more, but the head is.
            guard ownKeys.contains(signer) || remembered == old else {
                throw MailboxError(
                    .state,
                    "\(headPath(old.number)) is signed by \(signer.fingerprint), which is not known as this home's key",
                    hint:
                        "if this home lost that key, remove the head and its .sig; else keep audit/ as it is, and compare it "
                        + "with a copy that somebody else kept")
            }
            if old.number == last.number, old.line == SHA256Hash.digest(of: line) {
                if signer == key.publicKey {
                    // A kill after the head was signed.
                    if remembered != old { try remember(old) }
                    return
                }
                // A kill between the two files then leaves a good pair, with the old signature or the new one.
                at = old.at
            }
            // Most heads are near the end; the whole log is read only where one is not, or does not fit.
            let behind = tail.lines.count - 1 - Int(clamping: last.number - old.number)
            let isNear =
                old.number < last.number && tail.lines.indices.contains(behind)
                && SHA256Hash.digest(of: tail.lines[behind]) == old.line
            if !isNear { try check(old) }
        }
        let head = AuditHead(
            federation: federation, party: party, number: last.number, line: SHA256Hash.digest(of: line), at: at)
        let signature: [UInt8]
        do { signature = try key.sign(head.encoded, namespace: AuditHead.namespace) } catch {
            throw MailboxError(.identity, error)
        }
        try onDisk { () throws(FileError) in
            // The signature first: a head without one is no head yet.
            let path = headPath(head.number)
            try files.writeFile(FilePath(path.string + Self.signatureSuffix), signature)
            try files.writeFile(path, head.encoded)
            for number in try headNumbers() where number < head.number {
                let path = headPath(number)
                // In the other order than they were written in: no signature is left alone.
                try files.remove(FilePath(path.string + Self.signatureSuffix))
                try files.remove(path)
            }
        }
        // Last: behind what is signed it does no harm, ahead of it it would.
        try remember(head)
    }

    private func check(_ head: AuditHead) throws(MailboxError) {
        try head.check(against: AuditChain.check(path, files: files, noting: [head.number]).chain)
    }

    private func remember(_ head: AuditHead) throws(MailboxError) {
        try onDisk { () throws(FileError) in try files.writeFile(lastHeadPath, head.encoded, permissions: 0o600) }
    }

    /// To be asked before a run does anything: what it added to a log that lost its end would be lost with it.
    /// A log that is shorter than what was signed, or another one, is not added to either: what came then would be taken for
    /// the damage.
    func requireLastHead() throws(MailboxError) {
        let newest = try newestHead(key: nil)?.head
        try requireLastHead(or: newest)
        guard let newest else { return }
        let tail = try readTail()
        let last = try tail.lines.last.map { (line) throws(MailboxError) in
            try AuditEntry(line: line, at: "\(path), the last line").number
        }
        let behind = tail.lines.count - 1 - Int(clamping: (last ?? 0) - newest.number)
        let isThere = (last ?? 0) >= newest.number
        guard isThere, !tail.lines.indices.contains(behind) || SHA256Hash.digest(of: tail.lines[behind]) == newest.line
        else {
            throw MailboxError(
                .state,
                isThere
                    ? "line \(newest.number) of \(path) is not the one that this home signed on \(newest.at.rfc3339)"
                    : "\(path) ends at line \(last ?? 0), but this home signed line \(newest.number) on \(newest.at.rfc3339)",
                hint: "put audit/ back from the newest copy; if there is none, move audit/ away and remove "
                    + "\(lastHeadPath), and a new log begins")
        }
    }

    /// - Returns: the last head that this home remembers.
    /// - Throws: ``MailboxError`` where that is a later one than the newest one that is left.
    @discardableResult
    private func requireLastHead(or newest: AuditHead?) throws(MailboxError) -> AuditHead? {
        let bytes = try onDisk { () throws(FileError) in
            try files.exists(lastHeadPath) ? try files.readFile(lastHeadPath, limit: AuditHead.maximumBytes) : nil
        }
        guard let bytes else { return nil }
        let last = try AuditHead(parsing: bytes, at: "\(lastHeadPath)", hint: "remove it: the next run writes it anew")
        if let newest, newest.number > last.number || newest == last { return last }
        throw MailboxError(
            .state,
            "this home signed line \(last.number) of the audit on \(last.at.rfc3339), and "
                + (newest.map { "the newest head in audit/ is another one, of line \($0.number)" }
                    ?? "audit/ has no head"),
            hint:
                "put audit/ back from the newest copy; if that is older too, remove \(lastHeadPath), and the log goes on from there"
        )
    }

    private static let headPrefix = "head-"
    private static let headSuffix = ".json"
    private static let signatureSuffix = ".sig"

    private func headNumbers() throws(FileError) -> [Int64] {
        let folder = path.removingLastComponent()
        guard try files.exists(folder) else { return [] }
        return try files.list(folder).compactMap { entry in
            guard entry.name.hasPrefix(Self.headPrefix), entry.name.hasSuffix(Self.headSuffix) else { return nil }
            return Int64(entry.name.dropFirst(Self.headPrefix.count).dropLast(Self.headSuffix.count))
        }
    }

    private func headPath(_ number: Int64) -> FilePath {
        path.removingLastComponent().appending("\(Self.headPrefix)\(number)\(Self.headSuffix)")
    }

    /// Who signed the newest head that this home remembers as its own; nil where there is none.
    func signer() throws(MailboxError) -> PublicKey? {
        let newest = try newestHead(key: nil)
        guard let newest, try requireLastHead(or: newest.head) != nil else { return nil }
        return newest.signer
    }

    private func newestHead(key: PublicKey?) throws(MailboxError) -> (head: AuditHead, signer: PublicKey)? {
        guard let number = try onDisk({ () throws(FileError) in try headNumbers().max() }) else { return nil }
        let head = headPath(number)
        let found = try onDisk { () throws(FileError) in
            let signature = FilePath(head.string + Self.signatureSuffix)
            return (
                head: try files.readFile(head, limit: AuditHead.maximumBytes),
                signature: try files.exists(signature)
                    ? try files.readFile(signature, limit: AuditHead.maximumBytes) : nil
            )
        }
        guard let signature = found.signature else {
            throw MailboxError(
                .state, "\(head) has no signature beside it",
                hint: "put its .sig back from a copy; if this home never wrote it, remove it")
        }
        return try AuditHead.read(found.head, signature: signature, key: key, at: head.string)
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
            tail.lines = AuditChain.lines(of: bytes[..<end])
            return tail
        }
    }
}
