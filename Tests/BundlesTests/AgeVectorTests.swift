import Bundles
import Files
import Foundation
import SystemPackage
import Testing
import Wire

/// The test vectors that age's authors publish (C2SP, Community Cryptography Test Vectors, "age").
@Suite("Age test vectors")
struct AgeVectorTests {
    private static let path = "age/testdata"
    private static let areThere = SharedData.isThere(path)

    private struct Vector {
        let name: String
        /// success, header failure, HMAC failure, payload failure, no match, armor failure
        let expected: String
        /// SHA-256 of the plaintext.
        let payload: String?
        let identities: [String]
        /// Not ours to read: with a passphrase, armoured, or for a hybrid identity.
        let needsOtherFeature: Bool
        let file: [UInt8]

        init(name: String, _ bytes: [UInt8]) throws {
            self.name = name
            let text = try #require(bytes.firstRange(of: Array("\n\n".utf8)))
            var fields: [String: [String]] = [:]
            for line in String(decoding: bytes[..<text.lowerBound], as: UTF8.self).split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                fields[parts[0], default: []].append(parts[1])
            }
            expected = try #require(fields["expect"]?.first)
            payload = fields["payload"]?.first
            let all = fields["identity"] ?? []
            identities = all.filter { !$0.hasPrefix("AGE-SECRET-KEY-PQ-") }
            needsOtherFeature =
                fields["armored"] != nil || fields["passphrase"] != nil || (identities.isEmpty && !all.isEmpty)
            let content = Array(bytes[text.upperBound...])
            file = fields["compressed"] == nil ? content : try #require(AgeInflate.decompress(zlib: content))
        }
    }

    private static func load() throws -> [Vector] {
        let folder = SharedData.folder.appending(path)
        return try files.list(folder).map { entry in
            try Vector(
                name: entry.name, files.readFile(folder.appending(entry.component), limit: 1 << 22))
        }
    }

    /// The vector's classes in the terms of this program. A file that breaks off belongs to the part that it breaks off in.
    private func outcome(_ vector: Vector) throws -> (class: String, reason: BundleError.Reason?) {
        let identities = try vector.identities.map { try AgeIdentity($0) }
        do throws(BundleError) {
            let plain = try AgeReader.decrypt(
                vector.file, with: identities.isEmpty ? [AgeProbe.identity] : identities, limit: 1 << 26)
            #expect(SHA256Hash.digest(of: plain).description == vector.payload, "\(vector.name)")
            return ("success", nil)
        } catch {
            let isHeader = error.detail.contains("header") || error.detail.contains("before its payload")
            let name =
                switch error.reason {
                case .malformedEncryption: "header failure"
                case .badHeaderMAC: "HMAC failure"
                case .damagedPayload: "payload failure"
                case .incomplete: isHeader ? "header failure" : "payload failure"
                case .notForThisIdentity: "no match"
                case .unsupportedEncryption: "unsupported"
                default: "\(error.reason)"
                }
            return (name, error.reason)
        }
    }

    /// Vectors by class, in one line.
    private func state(_ counts: [String: Int], _ what: String) {
        let parts = counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        print("age vectors \(what): \(parts.joined(separator: ", "))")
    }

    @Test("every vector has the class that its authors expect", .enabled(if: areThere))
    func ours() throws {
        let vectors = try AgeVectorTests.load().filter { !$0.needsOtherFeature }
        var counts: [String: Int] = [:]
        for vector in vectors {
            let outcome = try outcome(vector)
            #expect(outcome.class == vector.expected, "\(vector.name)")
            counts[outcome.class, default: 0] += 1
        }
        state(counts, "with X25519")
        #expect(
            counts == [
                "success": 14, "header failure": 32, "HMAC failure": 1, "payload failure": 18, "no match": 3,
            ])
    }

    @Test("vectors with features that we have not are refused, by their names", .enabled(if: areThere))
    func others() throws {
        let vectors = try AgeVectorTests.load().filter(\.needsOtherFeature)
        var counts: [String: Int] = [:]
        for vector in vectors {
            let outcome = try outcome(vector)
            counts[outcome.class, default: 0] += 1
            // What is wrong already without the feature is refused for that; damaged armour is none.
            let isNoArmour = vector.expected == "armor failure" && outcome.reason == .malformedEncryption
            #expect(
                outcome.class == "unsupported" || outcome.class == vector.expected || isNoArmour, "\(vector.name)")
        }
        state(counts, "with armour, passphrase or hybrid key")
        #expect(counts == ["unsupported": 66, "header failure": 7, "no match": 2])
    }
}
