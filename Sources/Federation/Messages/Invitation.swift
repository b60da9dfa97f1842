package import Wire

/// `invite.json`: what a hospital has to know to ask for admission. Trust comes from comparing `key`'s fingerprint by
/// telephone, not from this file.
package struct Invitation: Message {
    package static let fileName = "invite.json"

    package var federation: RandomID
    package var server: PartyName
    /// The server's public key as one OpenSSH line (`ssh-ed25519 AAAA...`); must be the key that signed the bundle.
    package var key: String
    /// `age1...`
    package var ageRecipient: String
    package var architecture: String
    package var classes: [String]
    /// Edge of the square input, in pixels.
    package var imageSize: Int

    package init(
        federation: RandomID, server: PartyName, key: String, ageRecipient: String, architecture: String,
        classes: [String], imageSize: Int
    ) {
        self.federation = federation
        self.server = server
        self.key = key
        self.ageRecipient = ageRecipient
        self.architecture = architecture
        self.classes = classes
        self.imageSize = imageSize
    }

    package var json: JSONValue {
        [
            "federation": .string(federation.hex), "server": JSONValue(server), "key": .string(key),
            "age_recipient": .string(ageRecipient), "architecture": .string(architecture),
            "classes": JSONValue(classes), "image_size": JSONValue(imageSize),
        ]
    }

    package init(reading object: inout ObjectReader) throws {
        federation = try object.randomID("federation")
        server = try object.partyName("server")
        key = try object.text("key", maximumLength: 512)
        ageRecipient = try object.text("age_recipient", maximumLength: 128)
        architecture = try object.text("architecture", maximumLength: 64)
        classes = try object.classes("classes")
        imageSize = Int(try object.integer("image_size", in: FederationLimits.imageSize))
    }
}

/// `enrol.json`: a hospital's wish to be admitted, under a key of its own.
///
/// Where the hospital changes its key, `enrol.json.sig` beside it is the old key's SSH signature of this file, in the
/// namespace `enrol@consilium`; then `federation` is required, so that it vouches in this one only.
package struct Enrolment: Message {
    package static let fileName = "enrol.json"
    package static let vouchName = "enrol.json.sig"

    package var name: PartyName
    /// One OpenSSH line; must be the key that signed the bundle.
    package var key: String
    package var ageRecipient: String
    /// Whom the admin can call to compare the fingerprint; may be empty.
    package var contact: String
    /// Fingerprint of the server's key that the hospital believes: the admin's program sees where that is not its own.
    package var serverKey: String?
    package var federation: RandomID?
    /// Whether `client init` made it, and no home that goes on under another key.
    package var isOfNewHome: Bool { federation == nil }
    /// When the key ends, as the hospital wishes; nil for never.
    package var validUntil: Timestamp?

    package init(
        name: PartyName, key: String, ageRecipient: String, contact: String, serverKey: String? = nil,
        federation: RandomID? = nil, validUntil: Timestamp? = nil
    ) {
        self.name = name
        self.key = key
        self.ageRecipient = ageRecipient
        self.contact = contact
        self.serverKey = serverKey
        self.federation = federation
        self.validUntil = validUntil
    }

    package var json: JSONValue {
        JSONValue(fields: [
            "name": JSONValue(name), "key": .string(key), "age_recipient": .string(ageRecipient),
            "contact": .string(contact), "server_key": serverKey.map { .string($0) },
            "federation": federation.map { .string($0.hex) }, "valid_until": validUntil.map { JSONValue($0) },
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        name = try object.partyName("name")
        key = try object.text("key", maximumLength: 512)
        ageRecipient = try object.text("age_recipient", maximumLength: 128)
        contact = try object.text("contact", maximumLength: 256)
        serverKey = try object.optionalText("server_key", maximumLength: 64)
        federation = try object.optionalRandomID("federation")
        validUntil = try object.optionalTimestamp("valid_until")
    }
}
