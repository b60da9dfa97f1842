package import Wire

/// `trust.json`: what the server says of one party's keys, as a whole. Of two about one subject, that with the higher
/// sequence number counts.
///
/// About itself it is how a rotation and a revocation reach its clients; about the client that gets it, it is the notice that
/// one of its keys is believed no more. It gives nobody a namespace: what a key may sign follows from whose it is.
package struct TrustStatement: Message {
    package static let fileName = "trust.json"
    package static let maximumBytes = 256 << 10
    private static let maximumKeys = 64

    package struct Key: Equatable, Sendable {
        /// One OpenSSH line.
        package let key: String
        package let validAfter: Timestamp?
        package let validBefore: Timestamp?

        package init(key: String, validAfter: Timestamp?, validBefore: Timestamp?) {
            self.key = key
            self.validAfter = validAfter
            self.validBefore = validBefore
        }

        fileprivate var json: JSONValue {
            JSONValue(fields: [
                "key": .string(key), "valid_after": validAfter.map { JSONValue($0) },
                "valid_before": validBefore.map { JSONValue($0) },
            ])
        }

        fileprivate init(reading object: inout ObjectReader) throws {
            key = try object.text("key", maximumLength: 512)
            validAfter = try object.optionalTimestamp("valid_after")
            validBefore = try object.optionalTimestamp("valid_before")
            if let validAfter, let validBefore, validBefore <= validAfter {
                throw object.problem("valid_before", "must be later than valid_after")
            }
        }
    }

    package var subject: PartyName
    /// Those that hold, in the order of their times.
    package var keys: [Key]
    /// One OpenSSH line each. They are believed no more from the moment of reading this.
    package var revoked: [String]
    /// Where to encrypt to from now on; nil for no change.
    package var ageRecipient: String?
    /// For people; may be empty.
    package var reason: String

    package init(subject: PartyName, keys: [Key], revoked: [String], ageRecipient: String?, reason: String) {
        self.subject = subject
        self.keys = keys
        self.revoked = revoked
        self.ageRecipient = ageRecipient
        self.reason = Reason(reason).reason
    }

    package var json: JSONValue {
        JSONValue(fields: [
            "subject": JSONValue(subject), "keys": .array(keys.map(\.json)), "revoked": JSONValue(revoked),
            "age_recipient": ageRecipient.map { .string($0) }, "reason": .string(reason),
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        subject = try object.partyName("subject")
        keys = try object.list("keys", maximumCount: Self.maximumKeys, Key.init(reading:))
        revoked = try object.strings("revoked")
        guard revoked.count <= Self.maximumKeys, revoked.allSatisfy({ $0.utf8.count <= 512 && isPrintable($0) }) else {
            throw object.problem("revoked", "must be at most \(Self.maximumKeys) public keys")
        }
        ageRecipient = try object.optionalText("age_recipient", maximumLength: 128)
        reason = try object.text("reason")
    }
}

extension ObjectReader {
    mutating func optionalTimestamp(_ key: String) throws(JSONError) -> Timestamp? {
        optionalValue(key) == nil ? nil : try timestamp(key)
    }
}
