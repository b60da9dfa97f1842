package import Bundles
package import Wire

/// What a party vouches for of its audit log: that it had so many lines, the last of which hashes so. Whoever keeps one can
/// tell later whether lines before it were changed, taken out or put in, or the log cut off before it.
///
/// In a home it is `audit/head-NUMBER.json`, and beside it `.json.sig`, an SSH signature in the namespace
/// `audit@consilium`, as `ssh-keygen -Y verify` reads it.
package struct AuditHead: Equatable, Sendable {
    package static let namespace = "audit@consilium"
    /// Of either file, in bytes.
    package static let maximumBytes = 4 << 10

    package let federation: RandomID
    package let party: PartyName
    /// How many lines the log has.
    package let number: Int64
    /// SHA-256 of the last line with its newline.
    package let line: Digest
    package let at: Timestamp

    package var encoded: [UInt8] {
        StrictJSON.serialize([
            "at": .string(at.rfc3339), "federation": .string(federation.hex), "line": .string(line.hex),
            "number": .integer(number), "party": .string(party.text),
        ])
    }

    package init(federation: RandomID, party: PartyName, number: Int64, line: Digest, at: Timestamp) {
        self.federation = federation
        self.party = party
        self.number = number
        self.line = line
        self.at = at
    }

    /// Reads a head that `key` signed; its bytes are parsed after the signature was found good, not before.
    ///
    /// - Parameters:
    ///   - key: whose signature it must be; nil for whoever's it is, which is returned.
    ///   - place: the file, for errors.
    /// - Throws: ``MailboxError`` where it is not signed so, or not written as a head is.
    package static func read(
        _ bytes: [UInt8], signature: [UInt8], key: PublicKey?, at place: String = "the audit's head"
    ) throws(MailboxError) -> (head: AuditHead, signer: PublicKey) {
        func problem(_ text: String) -> MailboxError {
            MailboxError(.state, "\(place) \(text)", hint: "compare it with a copy that somebody else kept")
        }
        let signed: SSHSignature
        do {
            signed = try SSHSignature(armoured: signature)
        } catch {
            throw problem("has no good signature: \(error)")
        }
        guard signed.namespace == namespace else { throw problem("is signed as '\(signed.namespace)'") }
        guard signed.isValid(for: bytes) else { throw problem("is not what was signed") }
        if let key, key != signed.publicKey {
            throw problem("is signed by \(signed.publicKey.fingerprint), not by \(key.fingerprint)")
        }
        return (try AuditHead(parsing: bytes, at: place), signed.publicKey)
    }

    /// Reads what ``encoded`` wrote, of which nothing says whose it is.
    /// - Parameter place: the file, for errors; `hint`: what to do then.
    init(
        parsing bytes: [UInt8], at place: String, hint: String = "compare it with a copy that somebody else kept"
    ) throws(MailboxError) {
        self = try readingState("the audit's head", at: place, hint: hint) { () throws(JSONError) in
            var fields = try ObjectReader(
                try StrictJSON.parse(bytes, maximumBytes: Self.maximumBytes), context: "the audit's head")
            guard let at = Timestamp(rfc3339: try fields.string("at")) else {
                throw fields.problem("at", "must be a UTC time")
            }
            let head = AuditHead(
                federation: try fields.randomID("federation"), party: try fields.partyName("party"),
                number: try fields.integer("number", in: 1...(.max)), line: try fields.digest("line"), at: at)
            try fields.finish()
            return head
        }
    }

    /// - Throws: ``MailboxError`` where the log is not one that grew out of the signed one.
    package func check(against chain: AuditChain) throws(MailboxError) {
        guard let found = chain.digest(ofLine: number) else {
            throw MailboxError(
                .state, "the audit ends at line \(chain.count), but \(party) signed line \(number) on \(at.rfc3339)",
                hint: "lines were cut off: keep both, and look for another copy of the log")
        }
        guard found == line else {
            throw MailboxError(
                .state, "line \(number) of the audit is not the one that \(party) signed on \(at.rfc3339)",
                hint: "the log was rewritten: keep both, and look for another copy of the log")
        }
    }
}
