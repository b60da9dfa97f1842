import Bundles
import SystemPackage
import Wire

/// What is read first of all that a courier brings.
extension FuzzTarget {
    /// Raw, and once more with the headers' checksums put right, which chance would hardly meet. Under our key nothing
    /// verifies but our own bytes.
    static let tar = FuzzTarget(name: "tar", longest: 16 << 10, seeds: { [try Samples.bundle.get()] }) {
        bytes throws(Violation) in
        for archive in [bytes, TarBlocks.repaired(bytes)] {
            let bundle = try accepted { () throws(BundleError) in
                try BundleReader.open("bundle.tar", files: MemoryFileSystem(bytes: archive)).verified()
            }
            guard let bundle, bundle.signer == Samples.key.publicKey else { continue }
            try require(
                (try? Samples.bundle.get()) == archive, "an archive that we did not make verifies under our key")
        }
    }

    static let manifest = FuzzTarget(
        name: "manifest", longest: 8 << 10, seeds: { try BundleKind.allCases.map { try Samples.manifest($0).encoded } }
    ) { bytes throws(Violation) in
        let manifest = try accepted { () throws(BundleError) in try Manifest(parsing: bytes) }
        if let manifest { try require(manifest.encoded == bytes, "another encoding of a manifest is taken") }
    }

    /// Also as what the armour holds.
    static let sshSignature = FuzzTarget(name: "sshsig", longest: 4 << 10, seeds: { [try Samples.signature.get()] }) {
        bytes throws(Violation) in
        for text in [bytes, TextArmour.text(bytes, "SSH SIGNATURE")] {
            let read = try accepted { () throws(BundleError) in try SSHSignature(armoured: text) }
            guard let read else { continue }
            try require(read.armoured == text, "another encoding of a signature is taken")
            guard read.publicKey == Samples.key.publicKey else { continue }
            try require(
                !read.isValid(for: Samples.message) || (try? Samples.signature.get()) == text,
                "a signature that we did not make is valid")
        }
    }

    static let age = FuzzTarget(
        name: "age", longest: 8 << 10,
        seeds: {
            try [0, 1, 100].map { try AgeWriter.encrypt(Array(Samples.plaintext.prefix($0)), to: Samples.readers()) }
        }
    ) { bytes throws(Violation) in
        guard let identity = try? Samples.identity() else { throw Violation("the sample identity is not read") }
        let plaintext = try accepted { () throws(BundleError) in
            try AgeReader.decrypt(bytes, with: [identity], limit: Samples.plaintext.count)
        }
        if let plaintext {
            try require(Samples.plaintext.starts(with: plaintext), "what was changed on its way is decrypted")
        }
    }
}
