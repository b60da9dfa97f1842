import Bundles
import FaultRecords
import Files
import SystemPackage
import Testing
import Wire

@Suite("Bundles")
struct BundleTests {
    private func bytes(_ path: FilePath) throws -> [UInt8] { try files.readFile(path, limit: 1 << 24) }

    @Test("what was written is read, and found in place in the file")
    func roundTrip() throws {
        try withTemporaryFolder { folder in
            var sample = Sample()
            let big = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try files.writeFile(folder.appending("big"), big)
            sample.payload.append(.file(name: "model.safetensors", folder.appending("big")))
            let path = folder.appending("bundle.tar")
            let written = try sample.write(to: path)
            let bundle = try BundleReader.open(path, files: files).verified()
            #expect(bundle.manifest == written)
            #expect(bundle.id == SHA256Hash.digest(of: written.encoded) && bundle.id == written.id)
            #expect(bundle.signer == sample.key.publicKey)
            #expect(written.files.map(\.name) == ["metrics.json", "empty.bin", "model.safetensors"])
            #expect(try bundle.payload("metrics.json", limit: 100) == Array("{\"loss\":0.5}\n".utf8))
            #expect(try bundle.payload("empty.bin", limit: 0) == [])
            let range = try bundle.payloadRange("model.safetensors")
            #expect(range.size == 3_000_001 && range.offset.isMultiple(of: 512))
            #expect(try files.openForReading(path).bytes(at: range.offset, count: Int(range.size)) == big)
            try bundle.extract("model.safetensors", to: folder.appending("copy"))
            #expect(try files.haveEqualContent(folder.appending("big"), folder.appending("copy")))
            #expect(reason { _ = try bundle.payload("model.safetensors", limit: 100) } == .tooLarge)
            #expect(reason { _ = try bundle.payload("none", limit: 100) } == .fileSetMismatch)
        }
    }

    @Test("a payload that changes on disk after verification is noticed")
    func changedLater() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("bundle.tar")
            try Sample().write(to: path)
            let bundle = try BundleReader.open(path, files: files).verified()
            var changed = try bytes(path)
            changed[Int(try bundle.payloadRange("metrics.json").offset)] ^= 1
            try files.writeFile(path, changed)
            #expect(reason { _ = try bundle.payload("metrics.json", limit: 100) } == .lengthOrHashMismatch)
            #expect(reason { try bundle.extract("metrics.json", to: folder.appending("out")) } == .lengthOrHashMismatch)
            #expect(try !files.exists(folder.appending("out")))
        }
    }

    @Test("cut at any byte it is incomplete, never accepted and never another fault")
    func truncation() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("bundle.tar")
            try Sample().write(to: path)
            let whole = try bytes(path)
            FaultRecords.record(points: whole.count, test: "truncation")
            for count in whole.indices {
                #expect(
                    try BundleError.Reason.ofRefusing(Array(whole[..<count]), in: folder) == .incomplete,
                    "\(count) bytes")
            }
            #expect(try BundleError.Reason.ofRefusing(whole, in: folder) == nil)
        }
    }

    @Test("with any byte changed, inserted or deleted it is refused")
    func changes() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("bundle.tar")
            try Sample().write(to: path)
            let whole = try bytes(path)
            for index in whole.indices {
                var changed = whole
                changed[index] ^= UInt8(1) << UInt8(index % 8)
                #expect(try BundleError.Reason.ofRefusing(changed, in: folder) != nil, "byte \(index) changed")
            }
            for index in stride(from: 0, to: whole.count, by: 7) {
                var longer = whole
                longer.insert(0x41, at: index)
                var shorter = whole
                shorter.remove(at: index)
                #expect(try BundleError.Reason.ofRefusing(longer, in: folder) != nil, "byte \(index) inserted")
                #expect(try BundleError.Reason.ofRefusing(shorter, in: folder) != nil, "byte \(index) deleted")
            }
        }
    }

    @Test("parts of two good bundles do not make a third")
    func mixAndMatch() throws {
        try withTemporaryFolder { folder in
            var sample = Sample()
            try sample.write(to: folder.appending("a.tar"))
            sample.payload[0] = .bytes(name: "metrics.json", Array("{\"loss\":0.1}\n".utf8))
            try sample.write(Sample.manifest(seq: 8), to: folder.appending("b.tar"))
            let a = try Parts(of: bytes(folder.appending("a.tar")))
            let b = try Parts(of: bytes(folder.appending("b.tar")))
            func refusal(_ manifest: [UInt8], _ signature: [UInt8], _ payload: [UInt8]) throws -> BundleError.Reason? {
                try BundleError.Reason.ofRefusing(manifest + signature + payload, in: folder)
            }
            #expect(try refusal(a.manifest, a.signature, a.payload) == nil)
            #expect(try refusal(a.manifest, b.signature, a.payload) == .badSignature)
            #expect(try refusal(a.manifest, a.signature, b.payload) == .lengthOrHashMismatch)
            #expect(try refusal(b.manifest, a.signature, a.payload) == .badSignature)
        }
    }

    @Test("a signature of another namespace is refused, also a right one of another kind")
    func namespaces() throws {
        try withTemporaryFolder { folder in
            let key = SigningKey.generate()
            let manifest = Sample.manifest()
            for (namespace, expected) in [
                ("update@consilium", nil), ("global@consilium", .wrongNamespace), ("file", .wrongNamespace),
                ("Update@consilium", .wrongNamespace),
            ] as [(String, BundleError.Reason?)] {
                let bytes =
                    Tar.entry("manifest.json", manifest.encoded)
                    + Tar.entry("manifest.json.sig", try key.sign(manifest.encoded, namespace: namespace)) + Tar.end
                #expect(try BundleError.Reason.ofRefusing(bytes, in: folder) == expected)
            }
        }
    }

    @Test("the writer refuses what the reader would, and leaves nothing")
    func writerRefuses() throws {
        try withTemporaryFolder { folder throws in
            let path = folder.appending("bundle.tar")
            var cases: [(Sample, Manifest)] = [
                (Sample(), Sample.manifest(seq: 0)), (Sample(), Sample.manifest(recipients: [])),
                (Sample(), Sample.manifest(recipients: ["b", "a"])), (Sample(), Sample.manifest(session: false)),
                (Sample(), Sample.manifest(kind: .request)),
            ]
            for name in ["A", "..", ".hidden", "-x", "a/b", "", "manifest.json", "manifest.json.sig", "metrics.json"] {
                var sample = Sample()
                sample.payload.append(.bytes(name: name, []))
                cases.append((sample, Sample.manifest()))
            }
            for (sample, manifest) in cases {
                #expect(reason { try sample.write(manifest, to: path) } == .malformedManifest)
            }
            var sample = Sample()
            sample.payload = [.file(name: "x", folder.appending("missing"))]
            let error = #expect(throws: BundleError.self) { try sample.write(to: path) }
            #expect(error?.reason == .fileTrouble && error?.cause?.isMissing == true)
            #expect(try files.list(folder).isEmpty)
        }
    }

    @Test("a file that is no regular file is trouble with the file, not a verdict")
    func notAFile() throws {
        try withTemporaryFolder { folder in
            #expect(reason { _ = try BundleReader.open(folder, files: files) } == .fileTrouble)
            #expect(reason { _ = try BundleReader.open(folder.appending("none"), files: files) } == .fileTrouble)
        }
    }

    private func reason(_ work: () throws -> Void) -> BundleError.Reason? {
        do { try work() } catch { return (error as? BundleError)?.reason }
        return nil
    }
}

/// The entries of a bundle as blocks.
private struct Parts {
    let manifest: [UInt8]
    let signature: [UInt8]
    /// With the end of the archive.
    let payload: [UInt8]

    init(of bytes: [UInt8]) throws {
        func end(of start: Int) -> Int {
            let size = Int(String(decoding: bytes[start + 124..<start + 135], as: UTF8.self), radix: 8) ?? 0
            return start + 512 + (size + 511) / 512 * 512
        }
        let first = end(of: 0)
        let second = end(of: first)
        manifest = Array(bytes[..<first])
        signature = Array(bytes[first..<second])
        payload = Array(bytes[second...])
    }
}
