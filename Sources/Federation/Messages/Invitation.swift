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
package struct Enrolment: Message {
    package static let fileName = "enrol.json"

    package var name: PartyName
    /// One OpenSSH line; must be the key that signed the bundle.
    package var key: String
    package var ageRecipient: String
    /// Whom the admin can call to compare the fingerprint; may be empty.
    package var contact: String

    package init(name: PartyName, key: String, ageRecipient: String, contact: String) {
        self.name = name
        self.key = key
        self.ageRecipient = ageRecipient
        self.contact = contact
    }

    package var json: JSONValue {
        [
            "name": JSONValue(name), "key": .string(key), "age_recipient": .string(ageRecipient),
            "contact": .string(contact),
        ]
    }

    package init(reading object: inout ObjectReader) throws {
        name = try object.partyName("name")
        key = try object.text("key", maximumLength: 512)
        ageRecipient = try object.text("age_recipient", maximumLength: 128)
        contact = try object.text("contact", maximumLength: 256)
    }
}
