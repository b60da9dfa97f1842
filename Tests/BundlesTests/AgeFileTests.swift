import Bundles
import Files
import SystemPackage
import Testing

/// What is encrypted and what is not, and how large it may be.
@Suite("Encrypted files")
struct AgeFileTests {
    @Test("No file is larger than the limit for its plaintext", arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
    func size(plaintext: Int) throws {
        let many = Array(repeating: AgeProbe.identity.recipient, count: AgeLimits.stanzas)
        let sealed = try AgeWriter.encrypt(AgeProbe.pattern(plaintext), to: many)
        #expect(Int64(sealed.count) <= AgeFile.largestSize(ofPlaintext: Int64(plaintext)))
        #expect(AgeFile.largestSize(ofPlaintext: Int64(plaintext)) < Int64(sealed.count) + 64 * 1024)
    }

    @Test("The content says whether a file is encrypted, and its name nothing")
    func recognition() throws {
        try withTemporaryFolder { folder in
            let (source, target) = (folder.appending("x.tar.age"), folder.appending("plain"))
            func archive(_ bytes: [UInt8]) throws -> FilePath {
                try files.writeFile(source, bytes)
                return try AgeFile.decryptIfNeeded(
                    source, with: [AgeProbe.identity], to: target, limit: 1000, files: files)
            }
            for text in ["", "manifest.json", "age-encryption", " age-encryption.org/v1\n"] {
                #expect(try archive(Array(text.utf8)) == source, "\(text)")
            }
            for text in ["age-encryption.org/v1\n", "age-encryption.org/v2\n", "-----BEGIN AGE ENCRYPTED FILE-----\n"] {
                #expect(throws: BundleError.self, "\(text)") { try archive(Array(text.utf8)) }
                #expect(try !files.exists(target))
            }
            let sealed = try AgeWriter.encrypt([1, 2, 3], to: [AgeProbe.identity.recipient])
            #expect(try archive(sealed) == target)
            #expect(try files.readFile(target, limit: 10) == [1, 2, 3])
            #expect(try files.status(target)?.permissions == 0o600)
        }
    }
}
