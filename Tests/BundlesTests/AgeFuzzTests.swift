import Bundles
import SeededNumbers
import Testing

/// Damage to whole age files and, behind a right MAC, to their headers.
enum AgeFuzz {
    /// Runs `rounds` changes that `damage` makes; the same seed in it makes the same run.
    /// - Parameter damage: changes bytes in any way, or not at all.
    /// - Returns: the reasons that were met. A change that is accepted has to leave the plaintext what it was.
    static func run(rounds: Range<Int>, damage: ([UInt8]) -> [UInt8]) throws -> Set<BundleError.Reason> {
        let plain = AgeProbe.pattern(300)
        let identity = AgeProbe.identity
        let forge = AgeForge()
        let stanzas = try "-> grease a\nAAAA\n" + forge.stanza(to: identity.recipient) + "-> b\n\n"
        let good = try forge.file(stanzas, plain)
        let payload = try forge.nonce + forge.chunk(plain, number: 0, isLast: true)
        var met: Set<BundleError.Reason> = []
        for round in rounds {
            // Every second time the header is damaged before its MAC is made.
            let bytes =
                round.isMultiple(of: 2)
                ? damage(good)
                : forge.header(String(decoding: damage(Array(stanzas.utf8)), as: UTF8.self)) + payload
            do throws(BundleError) {
                let opened = try AgeReader.decrypt(bytes, with: [identity], limit: 1 << 16)
                #expect(opened == plain)
                // Without the key nobody makes another file of this one.
                if round.isMultiple(of: 2) { #expect(bytes == good) }
            } catch {
                #expect(!error.detail.isEmpty && !error.detail.contains("\n") && error.cause == nil)
                met.insert(error.reason)
            }
        }
        return met
    }
}

@Suite("Damage at random to age files")
struct AgeFuzzTests {
    @Test("every damage is refused or without effect, and reaches every layer")
    func damage() throws {
        var mutator = Mutator(
            seed: 20,
            words: ["-> ", "X25519", "scrypt", "---", "\n", "\r\n", "=", "age-encryption.org/v1\n", "A", " "])
        let met = try AgeFuzz.run(rounds: 0..<6000) { mutator.damage($0) }
        #expect(
            met.isSuperset(of: [.incomplete, .malformedEncryption, .notForThisIdentity, .badHeaderMAC]), "\(met)")
    }
}
