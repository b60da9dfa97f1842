import Bundles

/// What people paste: keys, and who may sign what.
extension FuzzTarget {
    /// Private keys, raw and as what the armour holds; public lines; age's identities.
    static let openSSHKey = FuzzTarget(
        name: "opensshkey", longest: 4 << 10,
        seeds: {
            [
                Samples.privateKey, TextArmour.blob(Samples.privateKey), Array(Samples.key.publicKey.openSSHLine.utf8),
                Array("# a comment\n\(Samples.identityLine)\n".utf8),
            ]
        }
    ) { bytes throws(Violation) in
        for text in [bytes, TextArmour.text(bytes, "OPENSSH PRIVATE KEY")] {
            let key = try accepted { () throws(BundleError) in try SigningKey(openSSHPrivateKey: text) }
            guard let key else { continue }
            let again = try? SigningKey(openSSHPrivateKey: key.openSSHPrivateKey(comment: "again"))
            try require(again?.publicKey == key.publicKey, "a key that was read and written is another")
        }
        let line = String(decoding: bytes, as: UTF8.self)
        if let key = try accepted({ () throws(BundleError) in try PublicKey(openSSHLine: line) }) {
            try require(line.hasPrefix(key.openSSHLine), "another encoding of a public key is taken")
        }
        _ = try accepted { () throws(BundleError) in try AgeIdentity(identityFile: bytes) }
        if let recipient = try accepted({ () throws(BundleError) in try AgeRecipient(line) }) {
            try require(recipient.description == line, "another encoding of a recipient is taken")
        }
    }

    static let allowedSigners = FuzzTarget(
        name: "allowedsigners", longest: 4 << 10, seeds: { [Array(try Samples.signers().text.utf8)] }
    ) { bytes throws(Violation) in
        let text = String(decoding: bytes, as: UTF8.self)
        if let read = try accepted({ () throws(BundleError) in try AllowedSigners(parsing: text) }) {
            try require((try? AllowedSigners(parsing: read.text)) == read, "what was read and written is another")
            let isExact = read.entries.allSatisfy { entry in
                !entry.namespaces.isEmpty && entry.namespaces.allSatisfy { BundleKind(namespace: $0) != nil }
            }
            try require(isExact, "a namespace that is none of ours is taken")
        }
        _ = try accepted { () throws(BundleError) in try RevokedKeys(parsing: text) }
    }
}
