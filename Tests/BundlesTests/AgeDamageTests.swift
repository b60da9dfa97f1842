import Bundles
import FaultRecords
import Files
import SystemPackage
import Testing

/// Whoever carries a file may cut, change, lengthen and reorder it.
@Suite("Damaged age files")
struct AgeDamageTests {
    private static let identity = AgeProbe.identity
    /// Where the first chunk begins: after a header for one recipient, and the nonce.
    private static let payloadOffset = 184

    private static func small() throws -> [UInt8] {
        try AgeWriter.encrypt(Array("forty-two bytes of text, more or less here".utf8), to: [identity.recipient])
    }

    /// A file of four chunks, the last of 1000 bytes, cut where the chunks begin.
    private static func chunks() throws -> (head: [UInt8], chunks: [[UInt8]]) {
        let bytes = try AgeWriter.encrypt(AgeProbe.pattern(3 * 65_536 + 1000), to: [identity.recipient])
        let starts = stride(from: payloadOffset, to: bytes.count, by: 65_552)
        return (Array(bytes[..<payloadOffset]), starts.map { Array(bytes[$0..<min($0 + 65_552, bytes.count)]) })
    }

    @Test("cut at any offset, a file is incomplete and leaves nothing")
    func truncation() throws {
        let bytes = try AgeDamageTests.small()
        FaultRecords.record(points: bytes.count)
        try withTemporaryFolder { folder in
            let (sealed, opened) = (folder.appending("sealed"), folder.appending("opened"))
            let quick = AgeFileSystem()
            for count in 0..<bytes.count {
                #expect(AgeProbe.refusal(Array(bytes[..<count]))?.reason == .incomplete, "\(count)")
                try quick.writeFile(sealed, Array(bytes[..<count]))
                #expect(throws: BundleError.self) {
                    try AgeReader.decrypt(
                        sealed, with: [AgeDamageTests.identity], to: opened, limit: 100, files: quick)
                }
                #expect(try files.list(folder).map(\.name) == ["sealed"])
            }
        }
    }

    @Test("cut at and around every boundary between chunks, a file is incomplete")
    func truncationAtChunks() throws {
        let (head, chunks) = try AgeDamageTests.chunks()
        let bytes = head + chunks.joined()
        #expect(AgeProbe.refusal(bytes) == nil)
        for boundary in 0...3 {
            for offset in -17...17 {
                let count = AgeDamageTests.payloadOffset + boundary * 65_552 + offset
                #expect(AgeProbe.refusal(Array(bytes[..<count]))?.reason == .incomplete, "\(boundary) \(offset)")
            }
        }
    }

    @Test("every bit that is flipped, in header and payload, is noticed")
    func flips() throws {
        let bytes = try AgeDamageTests.small()
        FaultRecords.record(points: 8 * bytes.count)
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                let error = try #require(AgeProbe.refusal(changed), "byte \(index), bit \(bit)")
                #expect(!error.detail.contains("\n") && error.cause == nil)
            }
        }
    }

    @Test("every byte that is inserted or left out is noticed")
    func insertions() throws {
        let bytes = try AgeDamageTests.small()
        for index in bytes.indices {
            var shorter = bytes
            shorter.remove(at: index)
            #expect(AgeProbe.refusal(shorter) != nil, "without byte \(index)")
            for byte: UInt8 in [0, 0x0a, 0x0d, 0x20, bytes[index]] {
                var longer = bytes
                longer.insert(byte, at: index)
                #expect(AgeProbe.refusal(longer) != nil, "\(byte) at \(index)")
            }
        }
    }

    @Test("bytes after the end are noticed", arguments: [1, 15, 16, 17, 65_535, 65_552, 70_000])
    func trailing(count: Int) throws {
        for plain in [0, 42, 65_536] {
            let bytes = try AgeWriter.encrypt(
                AgeProbe.pattern(plain), to: [AgeDamageTests.identity.recipient])
            for filler: UInt8 in [0, 0xff] {
                let error = AgeProbe.refusal(bytes + [UInt8](repeating: filler, count: count))
                #expect(error != nil)
                if plain == 65_536 { #expect(error?.reason == .damagedPayload) }
            }
            // A second whole file, or the payload once more.
            #expect(AgeProbe.refusal(bytes + bytes) != nil)
            #expect(AgeProbe.refusal(bytes + bytes[AgeDamageTests.payloadOffset...]) != nil)
        }
    }

    @Test("chunks in another order, doubled, or left out are noticed")
    func order() throws {
        let (head, chunks) = try AgeDamageTests.chunks()
        let orders = [
            [1, 0, 2, 3], [0, 2, 1, 3], [2, 1, 0, 3], [0, 1, 3], [0, 2, 3], [1, 2, 3], [0, 0, 1, 2, 3],
            [0, 1, 1, 2, 3],
            [0, 1, 2, 3, 3], [3, 0, 1, 2], [3], [0, 3], [0, 1, 2, 3, 0],
        ]
        for order in orders {
            #expect(AgeProbe.refusal(head + order.flatMap { chunks[$0] }) != nil, "\(order)")
        }
    }

    @Test("a payload under another file's header is noticed, and one header under another's MAC")
    func mixing() throws {
        let (first, second) = (try AgeDamageTests.small(), try AgeDamageTests.small())
        let offset = AgeDamageTests.payloadOffset
        #expect(AgeProbe.refusal(Array(first[..<(offset - 16)] + second[(offset - 16)...]))?.reason == .incomplete)
        #expect(AgeProbe.refusal(Array(first[..<120] + second[120...]))?.reason == .badHeaderMAC)
        #expect(AgeProbe.refusal(Array(first[..<offset] + second[offset...])) != nil)
    }

    @Test("which chunk is final is the chunk's own word")
    func finalFlag() throws {
        let forge = AgeForge()
        let head = try forge.header(forge.stanza(to: AgeDamageTests.identity.recipient)) + forge.nonce
        let full = AgeProbe.pattern(65_536)
        func chunk(_ plain: [UInt8], _ number: UInt8, _ isLast: Bool) throws -> [UInt8] {
            try forge.chunk(plain, number: number, isLast: isLast)
        }
        let good = try [
            head + chunk([], 0, true), head + chunk(full, 0, true), head + chunk(full, 0, false) + chunk([1], 1, true),
        ]
        for bytes in good { #expect(AgeProbe.refusal(bytes) == nil) }
        let bad = try [
            // Not final at the end, final before the end.
            (head + chunk(full, 0, false), BundleError.Reason.incomplete),
            (head + chunk([1], 0, false), .incomplete), (head + chunk([], 0, false), .incomplete),
            (head + chunk(full, 0, true) + chunk([1], 1, true), .damagedPayload),
            (head + chunk(full, 0, true) + chunk(full, 1, true), .damagedPayload),
            // An empty final chunk after a full one.
            (head + chunk(full, 0, false) + chunk([], 1, true), .damagedPayload),
            // A short chunk in the middle.
            (head + chunk([1, 2], 0, false) + chunk(full, 1, true), .damagedPayload),
            // A chunk of another length than 64 KiB, which no reader would find the end of.
            (head + chunk(full + [1], 0, true), .damagedPayload), (head + chunk(full, 1, true), .damagedPayload),
            (head, .incomplete),
        ]
        for (bytes, reason) in bad { #expect(AgeProbe.refusal(bytes)?.reason == reason) }
    }
}
