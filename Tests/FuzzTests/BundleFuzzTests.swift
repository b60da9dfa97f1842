import Bundles
import FuzzTargets
import SeededNumbers
import SystemPackage
import Testing
import Wire

/// What a courier can lay before us. Every parser refuses damage with an error of its own type, and what it takes is in
/// the one encoding: nothing traps, nothing is taken for what it is not.
@Suite struct BundleFuzzTests {
    private static let key = SigningKey.generate()

    private static func manifest() throws -> Manifest {
        let now = Timestamp(seconds: 1_772_337_906)
        let digest = SHA256Hash.digest(of: [1])
        var manifest = Manifest(
            kind: .update, federation: try #require(RandomID(hex: String(repeating: "01", count: 16))),
            session: try #require(RandomID(hex: String(repeating: "02", count: 16))), round: 3, seq: 7,
            sender: try #require(PartyName("hospital-a")), recipients: [try #require(PartyName("ministry"))],
            created: now, expires: now.adding(days: 180), request: digest, base: digest,
            acks: [digest, SHA256Hash.digest(of: [2])])
        manifest.files = [
            PayloadFile(name: "metrics.json", size: 3, sha256: SHA256Hash.digest(of: Array("{}\n".utf8))),
            PayloadFile(name: "update.safetensors", size: 600, sha256: SHA256Hash.digest(of: payload)),
        ]
        return manifest
    }

    private static let payload = (0..<600).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    @Test func manifests() throws {
        let good = try Self.manifest().encoded
        var mutator = Mutator(
            seed: 1,
            words: [
                "\"seq\":7,", "\"extra\":1,", "null", "true", "1e2", "7.0", "-0", "9223372036854775808", "[[[[", "{}",
                "\"\\ud800\"", "\\u0041", ",]", ",}", "\u{feff}", "\u{e9}", "\"kind\":\"global\"", "[]", "\"\"",
                String(repeating: "[", count: 2000),
            ])
        for _ in Effort.rounds(8000) {
            let bytes = mutator.damage(good)
            do throws(BundleError) {
                #expect(try Manifest(parsing: bytes).encoded == bytes)
            } catch {
                #expect([.malformedManifest, .unknownFormat, .unknownKind, .tooLarge].contains(error.reason))
            }
        }
    }

    /// The archive's headers are damaged behind a checksum that fits, which random damage alone would hardly ever meet.
    @Test func archives() throws {
        let manifest = try Self.manifest().encoded
        let contents: [(String, [UInt8])] = [
            ("manifest.json", manifest),
            ("manifest.json.sig", try Self.key.sign(manifest, namespace: "update@consilium")),
            ("metrics.json", Array("{}\n".utf8)), ("update.safetensors", Self.payload),
        ]
        var good: [UInt8] = []
        var headers: [Int] = []
        for (name, content) in contents {
            headers.append(good.count)
            good += TarBlocks.entry(name, content)
        }
        good += [UInt8](repeating: 0, count: 1024)
        #expect(Self.refusal(of: good) == nil)
        var met: Set<BundleError.Reason> = []
        var mutator = Mutator(
            seed: 2,
            words: ["../", "/etc/passwd", "ustar  \u{0}", "00000000000", "77777777777", "-0000000001", "manifest.json"])
        for _ in Effort.rounds(4000) {
            var bytes = good
            if mutator.below(2) == 0 {
                bytes = mutator.damage(bytes)
            } else {
                for _ in 0...mutator.below(2) {
                    let start = headers[mutator.below(headers.count)]
                    var block = Array(mutator.damage(Array(bytes[start..<start + 512])).prefix(512))
                    block += [UInt8](repeating: 0, count: 512 - block.count)
                    bytes.replaceSubrange(start..<start + 512, with: TarBlocks.checksummed(block))
                }
            }
            let reason = Self.refusal(of: bytes)
            #expect((reason == nil) == (bytes == good))
            if let reason { met.insert(reason) }
        }
        // The damage reached every layer.
        #expect(
            met.isSuperset(of: [
                .incomplete, .notCanonical, .tooLarge, .malformedSignature, .badSignature, .fileSetMismatch,
                .lengthOrHashMismatch,
            ]))
    }

    private static func refusal(of bytes: [UInt8]) -> BundleError.Reason? {
        do throws(BundleError) {
            _ = try BundleReader.open("bundle.tar", files: MemoryFileSystem(bytes: bytes)).verified()
            return nil
        } catch {
            #expect(!error.detail.isEmpty && !error.detail.contains("\n") && error.cause == nil)
            return error.reason
        }
    }

    @Test func signatures() throws {
        let message = Array("message".utf8)
        let good = try Self.key.sign(message, namespace: "update@consilium")
        let blob = TextArmour.blob(good)
        #expect(TextArmour.text(blob, "SSH SIGNATURE") == good)
        var mutator = Mutator(seed: 3, words: ["SSHSIG", "ssh-ed25519", "sha512", "\u{0}\u{0}\u{0}\u{40}", "-----"])
        for round in Effort.rounds(6000) {
            let isInside = round.isMultiple(of: 2)
            let bytes = isInside ? TextArmour.text(mutator.damage(blob), "SSH SIGNATURE") : mutator.damage(good)
            do throws(BundleError) {
                let signature = try SSHSignature(armoured: bytes)
                #expect(signature.armoured == bytes)
                #expect(signature.isValid(for: message) == (bytes == good))
            } catch {
                #expect([.malformedSignature, .malformedKey].contains(error.reason))
            }
        }
    }

    @Test func privateKeys() throws {
        let good = Self.key.openSSHPrivateKey(comment: "hospital-a")
        let blob = TextArmour.blob(good)
        #expect(TextArmour.text(blob, "OPENSSH PRIVATE KEY") == good)
        var mutator = Mutator(
            seed: 4,
            words: ["openssh-key-v1\u{0}", "none", "aes256-ctr", "ssh-ed25519", "\u{0}\u{0}\u{0}\u{1}", "ssh-rsa"])
        for round in Effort.rounds(6000) {
            let isInside = round.isMultiple(of: 2)
            let bytes = isInside ? TextArmour.text(mutator.damage(blob), "OPENSSH PRIVATE KEY") : mutator.damage(good)
            do throws(BundleError) {
                // Comment and check numbers may change, the key may not.
                #expect(try SigningKey(openSSHPrivateKey: bytes).publicKey == Self.key.publicKey)
            } catch {
                #expect([.malformedKey, .passphraseProtected].contains(error.reason))
            }
        }
    }

    @Test func publicKeysAndAgeRecipients() throws {
        let line = Array((Self.key.publicKey.openSSHLine + " a comment").utf8)
        let identity = AgeIdentity.generate()
        let file = Array(identity.identityFile(created: Timestamp(seconds: 0)).utf8)
        var mutator = Mutator(seed: 5, words: ["ssh-ed25519 ", "AAAA", "=", "age1", "AGE-SECRET-KEY-1", "\n", "\r\n"])
        for _ in Effort.rounds(4000) {
            let text = String(decoding: mutator.damage(line), as: UTF8.self)
            if let key = try? PublicKey(openSSHLine: text) { #expect(text.hasPrefix(key.openSSHLine)) }
            let other = String(decoding: mutator.damage(file), as: UTF8.self)
            if let read = try? AgeIdentity(identityFile: other) { #expect(read.recipient == identity.recipient) }
        }
    }

    @Test func allowedSigners() throws {
        let signers = AllowedSigners(entries: [
            .init(
                principal: try #require(PartyName("ministry")), kinds: BundleKind.ofServer, key: Self.key.publicKey),
            .init(
                principal: try #require(PartyName("hospital-a")), kinds: BundleKind.ofClients,
                validAfter: Timestamp(seconds: 0), validBefore: Timestamp(seconds: 1_772_337_906),
                key: SigningKey.generate().publicKey),
        ])
        var mutator = Mutator(
            seed: 6,
            words: [
                "*", "!", "cert-authority,", "namespaces=\"*\"", "\"", ",", "valid-after=\"20260101\"", "\r\n", "\t",
                "#",
                "global@consilium,", "ssh-rsa ", "Z", "99991231235959Z", "00000000000000Z",
            ])
        let good = Array(signers.text.utf8)
        for _ in Effort.rounds(4000) {
            let text = String(decoding: mutator.damage(good), as: UTF8.self)
            do throws(BundleError) {
                let read = try AllowedSigners(parsing: text)
                #expect(try AllowedSigners(parsing: read.text) == read)
                // No other name, and nothing that stands for many: a key's letters may be any.
                #expect(
                    read.entries.allSatisfy { !$0.namespaces.isEmpty && !$0.namespaces.contains { $0.contains("*") } })
            } catch {
                #expect(error.reason == .malformedTrust && error.detail.hasPrefix("allowed_signers"))
            }
        }
    }
}
