package import Wire

/// A payload file as its manifest states it.
package struct PayloadFile: Hashable, Sendable {
    package let name: String
    /// In bytes.
    package let size: Int64
    package let sha256: Digest

    package init(name: String, size: Int64, sha256: Digest) {
        self.name = name
        self.size = size
        self.sha256 = sha256
    }

    /// `[a-z0-9._-]{1,64}` that begins with a letter or digit, so that it is neither hidden, nor `..`, nor an option.
    package static func isAllowed(name: String, limits: BundleLimits = .standard) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) }
        let bytes = name.utf8
        return (1...limits.nameBytes).contains(bytes.count) && bytes.first.map(isAlphanumeric) == true
            && bytes.allSatisfy { isAlphanumeric($0) || [0x2d, 0x2e, 0x5f].contains($0) }
    }
}

/// The signed statement of what a bundle is: from whom, to whom, about what, with which files.
///
/// 1. One encoding: canonical JSON of strings, integers and arrays with exactly the twelve protocol keys, at most 256 KiB.
/// 2. The bundle's id is the SHA-256 of these bytes.
/// 3. Recipients are sorted and unique; there are none in an invite, and some in everything else.
/// 4. A session is named by those kinds that belong to one, and the round is 0 outside sessions.
/// 5. `expires` is after `created`, both between 1970 and 9999; `seq` counts from 1.
/// 6. Payload names are flat, allowed and unique.
package struct Manifest: Equatable, Sendable {
    package static let format = "consilium/1"
    /// Names of the archive's first two entries, which no payload file may bear.
    package static let fileName = "manifest.json"
    package static let signatureName = "manifest.json.sig"

    package var kind: BundleKind
    package var federation: RandomID
    package var session: RandomID
    package var round: Int
    package var seq: Int64
    package var sender: PartyName
    package var recipients: [PartyName]
    package var created: Timestamp
    package var expires: Timestamp
    /// Id of the approved request.
    package var request: Digest?
    /// Digest of the model that was trained from.
    package var base: Digest?
    /// Id of the sender's previous bundle in this session.
    package var prev: Digest?
    package var acks: [Digest]
    package var files: [PayloadFile]

    package init(
        kind: BundleKind, federation: RandomID, session: RandomID = .none, round: Int = 0, seq: Int64,
        sender: PartyName,
        recipients: [PartyName], created: Timestamp, expires: Timestamp, request: Digest? = nil, base: Digest? = nil,
        prev: Digest? = nil, acks: [Digest] = [], files: [PayloadFile] = []
    ) {
        self.kind = kind
        self.federation = federation
        self.session = session
        self.round = round
        self.seq = seq
        self.sender = sender
        self.recipients = recipients
        self.created = created
        self.expires = expires
        self.request = request
        self.base = base
        self.prev = prev
        self.acks = acks
        self.files = files
    }

    /// The bytes that are signed.
    package var encoded: [UInt8] {
        StrictJSON.serialize([
            "format": .string(Manifest.format),
            "kind": .string(kind.rawValue),
            "federation": .string(federation.hex),
            "session": .string(session.hex),
            "round": .integer(Int64(round)),
            "seq": .integer(seq),
            "sender": .string(sender.text),
            "recipients": .array(recipients.map { .string($0.text) }),
            "created": .integer(created.seconds),
            "expires": .integer(expires.seconds),
            "request": .string(request?.hex ?? ""),
            "base": .string(base?.hex ?? ""),
            "prev": .string(prev?.hex ?? ""),
            "acks": .array(acks.map { .string($0.hex) }),
            "files": .array(
                files.map {
                    ["name": .string($0.name), "size": .integer($0.size), "sha256": .string($0.sha256.hex)]
                }),
        ])
    }

    /// The bundle's id.
    package var id: Digest { SHA256Hash.digest(of: encoded) }
}
