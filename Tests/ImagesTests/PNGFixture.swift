/// A second, independent PNG writer, for what the encoder of the project does not write: every colour type and depth,
/// transparency, interlacing. Deflate without compression (RFC 1950, 1951), filter 0 (PNG specification, third edition).
struct PNGFixture {
    enum Colour: UInt8 { case gray = 0, rgb = 2, palette = 3, grayAlpha = 4, rgba = 6 }

    var width: Int
    var height: Int
    var depth: Int
    var colour: Colour
    /// Samples in row order, `samplesPerPixel` a pixel, each below 2^depth.
    var samples: [Int]
    var palette: [[UInt8]] = []
    /// tRNS as it stands in the file.
    var transparency: [UInt8]?
    var interlaced = false
    var extraChunks: [(name: String, body: [UInt8])] = []

    var samplesPerPixel: Int {
        switch colour {
        case .gray, .palette: 1
        case .grayAlpha: 2
        case .rgb: 3
        case .rgba: 4
        }
    }

    var bytes: [UInt8] {
        var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
        let header = Self.big(width) + Self.big(height) + [UInt8(depth), colour.rawValue, 0, 0, interlaced ? 1 : 0]
        file += Self.chunk("IHDR", header)
        for extra in extraChunks { file += Self.chunk(extra.name, extra.body) }
        if !palette.isEmpty { file += Self.chunk("PLTE", palette.flatMap { $0 }) }
        if let transparency { file += Self.chunk("tRNS", transparency) }
        file += Self.chunk("IDAT", Self.zlib(interlaced ? passes : rows(x0: 0, y0: 0, dx: 1, dy: 1)))
        return file + Self.chunk("IEND", [])
    }

    /// Adam7: column and row of the first pixel, and the steps, of each pass.
    private var passes: [UInt8] {
        let adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        return adam7.flatMap { rows(x0: $0.0, y0: $0.1, dx: $0.2, dy: $0.3) }
    }

    private func rows(x0: Int, y0: Int, dx: Int, dy: Int) -> [UInt8] {
        guard x0 < width else { return [] }
        return stride(from: y0, to: height, by: dy).flatMap { y -> [UInt8] in
            var bits: [UInt8] = []
            for x in stride(from: x0, to: width, by: dx) {
                for part in 0..<samplesPerPixel {
                    let sample = samples[(y * width + x) * samplesPerPixel + part]
                    for bit in stride(from: depth - 1, through: 0, by: -1) { bits.append(UInt8(sample >> bit & 1)) }
                }
            }
            while !bits.count.isMultiple(of: 8) { bits.append(0) }
            return [0] + stride(from: 0, to: bits.count, by: 8).map { bits[$0..<($0 + 8)].reduce(0) { $0 << 1 | $1 } }
        }
    }

    static func big(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }

    static func chunk(_ name: String, _ body: [UInt8]) -> [UInt8] {
        let named = Array(name.utf8) + body
        var crc: UInt32 = .max
        for byte in named {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
        }
        return big(body.count) + named + big(Int(~crc))
    }

    static func zlib(_ data: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let end = min(start + 65_535, data.count)
            let size = end - start
            out += [
                end == data.count ? 1 : 0, UInt8(size & 255), UInt8(size >> 8), UInt8(~size & 255),
                UInt8(~size >> 8 & 255),
            ]
            out += data[start..<end]
            start = end
        } while start < data.count
        var (a, b) = (1, 0)
        for byte in data {
            a = (a + Int(byte)) % 65_521
            b = (b + a) % 65_521
        }
        return out + big(b << 16 | a)
    }
}
