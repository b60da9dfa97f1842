import Bundles
import Files
import Synchronization
import SystemPackage
import Testing

@Suite("Age files, written and read")
struct AgeRoundTripTests {
    private static let chunk = 65_536
    private static let header = 168

    /// Bytes of an age file for one recipient, from the specification's figures.
    private func encryptedSize(of size: Int) -> Int {
        let chunks = max(1, (size + AgeRoundTripTests.chunk - 1) / AgeRoundTripTests.chunk)
        return AgeRoundTripTests.header + 16 + size + 16 * chunks
    }

    @Test("every size comes back, in memory and through files, as long as the specification says")
    func sizes() throws {
        try withTemporaryFolder { folder in
            let identity = AgeProbe.identity
            let edges = [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 1 << 20]
            let random = (0..<12).map { _ in Int.random(in: 0...300_000) }
            for size in edges + random {
                let plain = AgeProbe.pattern(size)
                let encrypted = try AgeWriter.encrypt(plain, to: [identity.recipient])
                #expect(encrypted.count == encryptedSize(of: size))
                #expect(try AgeReader.decrypt(encrypted, with: [identity], limit: size) == plain)

                let (source, sealed, target) = (
                    folder.appending("plain"), folder.appending("sealed"), folder.appending("opened")
                )
                try files.writeFile(source, plain)
                try AgeWriter.encrypt(source, to: [identity.recipient], at: sealed, files: files)
                #expect(try files.status(sealed)?.size == Int64(encryptedSize(of: size)))
                let count = try AgeReader.decrypt(
                    sealed, with: [identity], to: target, limit: Int64(size), files: files)
                #expect(try count == Int64(size) && files.haveEqualContent(source, target))
                try files.remove(target)
            }
        }
    }

    @Test("pieces of any size make the same plaintext")
    func pieces() throws {
        let plain = AgeProbe.pattern(200_000)
        for piece in [1, 7, 65_535, 65_536, 65_537, 131_072, 200_000] {
            let output = Collector()
            var writer = try AgeWriter(to: [AgeProbe.identity.recipient], output: output)
            for start in stride(from: 0, to: plain.count, by: piece) {
                try writer.write(Array(plain[start..<min(start + piece, plain.count)]))
                try writer.write([])
            }
            try writer.finish()
            #expect(output.bytes.count == encryptedSize(of: plain.count))
            #expect(try AgeReader.decrypt(output.bytes, with: [AgeProbe.identity], limit: plain.count) == plain)
        }
    }

    @Test("without its last chunk a file is incomplete")
    func unfinished() throws {
        for size in [0, 1, 65_536, 65_537, 131_072] {
            let output = Collector()
            var writer = try AgeWriter(to: [AgeProbe.identity.recipient], output: output)
            try writer.write(AgeProbe.pattern(size))
            #expect(AgeProbe.refusal(output.bytes)?.reason == .incomplete)
        }
    }

    @Test("each of many recipients opens the file, and nobody else", arguments: [1, 2, 100, 1024])
    func recipients(count: Int) throws {
        let identities = (0..<count).map { _ in AgeIdentity.generate() }
        let plain = AgeProbe.pattern(1000)
        let encrypted = try AgeWriter.encrypt(plain, to: identities.map(\.recipient))
        for index in Set([0, count / 2, count - 1]) {
            #expect(try AgeReader.decrypt(encrypted, with: [identities[index]], limit: 1000) == plain)
        }
        #expect(try AgeReader.decrypt(encrypted, with: [.generate(), identities[count - 1]], limit: 1000) == plain)
        let error = AgeProbe.refusal(encrypted, [.generate()])
        #expect(error?.detail == "the encrypted file is not encrypted to this identity")
        #expect(AgeProbe.refusal(encrypted, [])?.reason == .notForThisIdentity)
    }

    @Test("no recipient, and one more than the limit, are refused")
    func recipientLimits() throws {
        func refusal(_ count: Int) -> BundleError.Reason? {
            let recipients = [AgeRecipient](repeating: AgeProbe.identity.recipient, count: count)
            do throws(BundleError) { _ = try AgeWriter.encrypt([], to: recipients) } catch { return error.reason }
            return nil
        }
        #expect(refusal(0) == .malformedKey && refusal(AgeLimits.stanzas + 1) == .tooLarge)
    }

    @Test("two encryptions of one message share nothing after the version line")
    func freshness() throws {
        let plain = AgeProbe.pattern(100)
        let files = try (0..<20).map { _ in try AgeWriter.encrypt(plain, to: [AgeProbe.identity.recipient]) }
        #expect(Set(files.map { Array($0[32..<75]) }).count == 20)
        #expect(Set(files.map { Array($0[AgeRoundTripTests.header..<AgeRoundTripTests.header + 16]) }).count == 20)
        #expect(Set(files.map { Array($0.suffix(116)) }).count == 20)
    }

    @Test("a plaintext may have as many bytes as the limit, and not one more; reading stops there")
    func plaintextLimit() throws {
        for size in [1, 1000, 65_536, 65_537, 200_000] {
            let encrypted = try AgeWriter.encrypt(AgeProbe.pattern(size), to: [AgeProbe.identity.recipient])
            #expect(AgeProbe.refusal(encrypted, limit: size) == nil)
            #expect(AgeProbe.refusal(encrypted, limit: size - 1)?.reason == .tooLarge)
        }
        try withTemporaryFolder { folder in
            let sealed = folder.appending("sealed")
            let encrypted = try AgeWriter.encrypt(AgeProbe.pattern(4 << 20), to: [AgeProbe.identity.recipient])
            try files.writeFile(sealed, encrypted)
            let reads = Atomic<Int>(0)
            let counting = AgeFileSystem { operation, _ in
                if operation == "read" { reads.add(1, ordering: .relaxed) }
            }
            #expect(throws: BundleError.self) {
                try AgeReader.decrypt(
                    sealed, with: [AgeProbe.identity], to: folder.appending("opened"), limit: 100_000, files: counting)
            }
            // Each read of n bytes is cut into about log2 n; 64 chunks would take more than a thousand.
            #expect(reads.load(ordering: .relaxed) < 100)
            #expect(try files.list(folder).map(\.name) == ["sealed"])
        }
    }

    @Test("plaintext lies in files for their owner alone, also while they are being written")
    func permissions() throws {
        try withTemporaryFolder { folder in
            let (source, sealed, target) = (
                folder.appending("plain"), folder.appending("sealed"), folder.appending("opened")
            )
            try files.writeFile(source, AgeProbe.pattern(100_000))
            let seen = Mutex<[UInt32?]>([])
            let watching = AgeFileSystem { operation, path throws(FileError) in
                guard operation == "write" else { return }
                let permissions = try LocalFileSystem().status(path)?.permissions
                seen.withLock { $0.append(permissions) }
            }
            try AgeWriter.encrypt(source, to: [AgeProbe.identity.recipient], at: sealed, files: watching)
            try AgeReader.decrypt(sealed, with: [AgeProbe.identity], to: target, limit: 1 << 20, files: watching)
            #expect(try files.status(sealed)?.permissions == 0o600 && files.status(target)?.permissions == 0o600)
            #expect(seen.withLock { $0.count > 2 && $0.allSatisfy { $0 == 0o600 } })
            try AgeWriter.encrypt(
                source, to: [AgeProbe.identity.recipient], at: sealed, files: files, permissions: 0o640)
            #expect(try files.status(sealed)?.permissions == 0o640)
        }
    }

    @Test("what is at the target already is neither replaced nor removed")
    func occupiedTarget() throws {
        try withTemporaryFolder { folder in
            let (sealed, target) = (folder.appending("sealed"), folder.appending("opened"))
            try files.writeFile(sealed, try AgeWriter.encrypt([1], to: [AgeProbe.identity.recipient]))
            try files.writeFile(target, [2])
            do throws(BundleError) {
                try AgeReader.decrypt(sealed, with: [AgeProbe.identity], to: target, limit: 9, files: files)
                Issue.record("the target was replaced")
            } catch {
                #expect(error.cause?.code == .fileExists)
            }
            #expect(try files.readFile(target, limit: 9) == [2])
        }
    }
}

/// What a writer wrote.
private final class Collector: WritableFile {
    private(set) var bytes: [UInt8] = []

    func writeSome(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> Int {
        self.bytes += bytes
        return bytes.count
    }
    func synchronize() throws(FileError) {}
    func close() throws(FileError) {}
}
