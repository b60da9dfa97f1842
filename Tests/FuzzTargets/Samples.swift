import Bundles
import Configuration
import Crypto
import Images
import Tensors
import Wire

/// Good inputs, of keys that never change: what is committed as a corpus stays good.
enum Samples {
    /// Of the samples alone: a key that everybody knows.
    static let privateKey: [UInt8] = {
        let seed = [UInt8](repeating: 7, count: 32)
        // The conversion fails for other lengths than 32 only.
        let publicKey = (try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)).map {
            Array($0.publicKey.rawRepresentation)
        }
        func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        func string(_ bytes: [UInt8]) -> [UInt8] { number(bytes.count) + bytes }
        let raw = publicKey ?? []
        let name = string(Array("ssh-ed25519".utf8))
        var secret = number(1) + number(1) + name + string(raw) + string(seed + raw) + string(Array("sample".utf8))
        for padding in 1...8 where !secret.count.isMultiple(of: 8) { secret.append(UInt8(padding)) }
        let none = string(Array("none".utf8))
        let blob = Array("openssh-key-v1\0".utf8) + none + none + string([]) + number(1)
        return TextArmour.text(blob + string(name + string(raw)) + string(secret), "OPENSSH PRIVATE KEY")
    }()

    static let key: SigningKey = {
        guard let key = try? SigningKey(openSSHPrivateKey: privateKey) else {
            preconditionFailure("the sample key is not read")
        }
        return key
    }()

    static let identityLine = "AGE-SECRET-KEY-1WXEMY87VYR3PVF5VCT5JG2DP77SXHTFT82K8HXR697FM6JXF9JDSJNURY2"
    static func identity() throws(BundleError) -> AgeIdentity { try AgeIdentity(identityLine) }
    static func readers() throws -> [AgeRecipient] { [AgeIdentity.generate().recipient, try identity().recipient] }
    /// Whatever is encrypted is a beginning of this.
    static let plaintext = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    static let message = Array("message".utf8)
    static let signature = Result { try key.sign(message, namespace: "update@consilium") }

    static func manifest(_ kind: BundleKind) throws -> Manifest {
        guard let federation = RandomID(hex: String(repeating: "01", count: 16)), let client = PartyName("hospital-a"),
            let server = PartyName("ministry")
        else { throw Violation("the sample's names are not taken") }
        let now = Timestamp(seconds: 1_772_337_906)
        var manifest = Manifest(
            kind: kind, federation: federation, session: .none, round: 0, seq: 7, sender: client,
            recipients: kind == .invite ? [] : [server], created: now, expires: now.adding(days: 90),
            acks: [SHA256Hash.digest(of: [2])])
        manifest.files = [PayloadFile(name: "a.json", size: 3, sha256: SHA256Hash.digest(of: Array("{}\n".utf8)))]
        return manifest
    }

    static let bundle = Result { () throws -> [UInt8] in
        let manifest = try Samples.manifest(.request).encoded
        let contents = [
            ("manifest.json", manifest), ("manifest.json.sig", try key.sign(manifest, namespace: "request@consilium")),
            ("a.json", Array("{}\n".utf8)),
        ]
        return contents.flatMap { TarBlocks.entry($0.0, $0.1) } + [UInt8](repeating: 0, count: 1024)
    }

    static func signers() throws -> AllowedSigners {
        guard let client = PartyName("hospital-a"), let server = PartyName("ministry") else {
            throw Violation("the sample's names are not taken")
        }
        return AllowedSigners(entries: [
            .init(principal: server, kinds: BundleKind.ofServer, key: key.publicKey),
            .init(
                principal: client, kinds: BundleKind.ofClients, validAfter: Timestamp(seconds: 0),
                validBefore: Timestamp(seconds: 1_772_337_906), key: key.publicKey),
        ])
    }

    static let modelBytes = 36
    static func model() throws -> [UInt8] {
        var tensors = TensorDictionary()
        tensors["conv1.weight"] = .init(
            tensor: Tensor(shape: [2, 3], values: [1, -2, 3.5, -0.0, .leastNonzeroMagnitude, 6]), part: "stem",
            role: .weight)
        tensors["bn1.running_var"] = .init(
            tensor: Tensor(shape: [2], values: [1, 4]), part: "stem", role: .bnStatistic)
        tensors["fc.bias"] = .init(tensor: Tensor(shape: [], values: [7]), part: "head", role: .bias)
        return try Safetensors.encode(tensors, metadata: ["note": "x"])
    }

    private static func picture(channels: Int) -> DecodedImage {
        let pixels = (0..<(16 * 16 * channels)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 4) }
        return DecodedImage(width: 16, height: 16, channels: channels, pixels: pixels)
    }

    static func pngs() throws -> [[UInt8]] { try [1, 3].map { try ImageEncoder.png(picture(channels: $0)) } }

    static func jpegs() throws -> [[UInt8]] {
        var files: [[UInt8]] = []
        for channels in [1, 3] {
            for progressive in [false, true] {
                files.append(try ImageEncoder.jpeg(picture(channels: channels), quality: 60, progressive: progressive))
            }
        }
        let inks = (0..<(16 * 16 * 4)).map { UInt8(truncatingIfNeeded: $0 &* 5) }
        return files + [try ImageEncoder.jpegCMYK(inks, width: 16, height: 16, quality: 60)]
    }

    static func configurations() throws -> [[UInt8]] {
        guard let name = PartyName("hospital-a") else { throw Violation("the sample's name is not taken") }
        return [
            ServerConfiguration.template(name: name), ClientConfiguration.template(name: name, data: "/pictures"),
            "name: a\nrounds: 7\nstrategy: {name: fedprox, mu: 0.01}\naugmentation:\n  rotation: 15\n  zoom: 0.15\n",
            "a: [1, 2.5e-3, 'x y', \"z\\n\", {k: v}]\nb:\n- c\n- d: e\n  f: |\n    text\n",
        ].map { Array($0.utf8) }
    }
}
