import Federation
import Glibc
import Tensors
import Testing

/// The tensor row of the fault matrix on the bytes of a file, read where it lies, as the server does it: what decides is
/// the bit pattern and never a text.
@Suite struct TensorBytesTests {
    private let base = model { Float($0 + 1) }

    /// Validates the update's file with four bytes changed.
    private func outcome(_ bytes: [UInt8], _ bits: UInt32, at offset: Int) throws -> FederationError.Code? {
        var bytes = bytes
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: bits >> (8 * UInt32(index))) }
        var template = Array("/tmp/consilium-tensors-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        do {
            _ = try UpdateValidation.check(try MappedSafetensors(path: path), base: base)
            return nil
        } catch let error as FederationError {
            return error.code
        }
    }

    /// First, middle and last value of each tensor, from the start of the file.
    private func offsets(_ bytes: [UInt8]) throws -> [Int] {
        let header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, profile: .bundle)
        return header.entries.flatMap { entry in
            [0, entry.layout.count / 2, entry.layout.count - 1].map { header.headerSize + entry.offset + 4 * $0 }
        }
    }

    /// Infinities, quiet and signalling NaN of both signs, with and without a message inside.
    @Test(
        arguments: [
            0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff,
            0x7fa0_dead,
        ] as [UInt32])
    func whatIsNoNumberIsRefusedWhereverItStands(bits: UInt32) throws {
        let bytes = try Safetensors.encode(base)
        for offset in try offsets(bytes) { #expect(try outcome(bytes, bits, at: offset) == .notFinite) }
    }

    /// -0, the smallest and the largest subnormal of both signs, the smallest normal number.
    @Test(arguments: [0x8000_0000, 1, 0x007f_ffff, 0x0080_0000, 0x8000_0001, 0x807f_ffff] as [UInt32])
    func smallNumbersPass(bits: UInt32) throws {
        let bytes = try Safetensors.encode(base)
        let header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, profile: .bundle)
        // A variance may be -0 but not below.
        for offset in try offsets(bytes) {
            let isNegativeVariance = Float(bitPattern: bits) < 0 && isIn("bn1.running_var", offset, header)
            #expect(try outcome(bytes, bits, at: offset) == (isNegativeVariance ? .notFinite : nil))
        }
    }

    private func isIn(_ name: String, _ offset: Int, _ header: SafetensorsHeader) -> Bool {
        guard let entry = header[name] else { return false }
        let start = header.headerSize + entry.offset
        return (start..<start + entry.byteCount).contains(offset)
    }

    /// The largest numbers are finite, and so far from any base that the norm tells.
    @Test(arguments: [0x7f7f_ffff, 0xff7f_ffff, 0x7149_f2ca] as [UInt32])
    func hugeNumbersAreAQuestionOfTheNorm(bits: UInt32) throws {
        let bytes = try Safetensors.encode(base)
        let header = try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, profile: .bundle)
        for offset in try offsets(bytes) where !isIn("bn1.running_var", offset, header) {
            #expect(try outcome(bytes, bits, at: offset) == .normBound)
        }
    }
}
