import Configuration
import Images
import Tensors
import Wire

/// Weights, pictures and tables.
extension FuzzTarget {
    /// The input as a file, and as the header of one with as many values as the seed has.
    static let safetensors = FuzzTarget(
        name: "safetensors", longest: 8 << 10,
        seeds: {
            let file = try Samples.model()
            return [file, Array(file[8..<(try SafetensorsHeader.size(first: file))])]
        }
    ) { bytes throws(Violation) in
        let length = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
        for file in [bytes, length + bytes + [UInt8](repeating: 1, count: Samples.modelBytes)] {
            let ours = try accepted { () throws(SafetensorsError) in try Safetensors.decode(file) }
            if let (tensors, metadata) = ours {
                let again = try? Safetensors.encode(tensors, metadata: metadata)
                try require(again == file, "another encoding of a bundle's tensors is taken")
            }
            let foreign = try accepted { () throws(SafetensorsError) in
                try Safetensors.decode(file, profile: .interchange)
            }
            if let (tensors, _) = foreign {
                for layout in tensors.layouts {
                    try require(
                        tensors[layout.name]?.tensor.values.count == layout.count
                            && layout.count <= file.count / 2, "\(layout.name) has not its shape's count of values")
                }
            }
        }
    }

    private static let pictureLimits = ImageLimits(
        maximumFileBytes: 1 << 20, maximumSide: 2000, maximumPixels: 1 << 18, maximumScans: 20)

    private static func picture(_ bytes: [UInt8]) throws(Violation) {
        for form in [ImageDecoder.Form.asStored, .luma] {
            let image = try accepted { () throws(ImageError) in
                try ImageDecoder.decode(bytes, as: form, limits: pictureLimits)
            }
            guard let image else { continue }
            let pixels = image.width * image.height
            try require(
                image.pixels.count == pixels * image.channels && (1...pictureLimits.maximumPixels).contains(pixels),
                "a picture has \(image.pixels.count) bytes for \(image.width) x \(image.height) x \(image.channels)")
            try require(form == .asStored || image.channels == 1, "a grey picture has \(image.channels) channels")
        }
    }

    static let jpeg = FuzzTarget(name: "jpeg", longest: 8 << 10, seeds: Samples.jpegs) { bytes throws(Violation) in
        try picture(bytes)
    }

    /// Raw, and once more with the chunks' checksums put right.
    static let png = FuzzTarget(name: "png", longest: 8 << 10, seeds: Samples.pngs) { bytes throws(Violation) in
        try picture(bytes)
        if bytes.count > 8 { try picture(PNGChunks.file(PNGChunks.parse(bytes))) }
    }

    static let configuration = FuzzTarget(
        name: "configuration", longest: 4 << 10, seeds: Samples.configurations
    ) { bytes throws(Violation) in
        func depth(_ value: JSONValue) -> Int {
            switch value {
            case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
            case .object(let fields): 1 + (fields.values.map(depth).max() ?? 0)
            default: 0
            }
        }
        let value = try accepted { () throws(ConfigurationError) in try StrictYAML.parse(bytes, name: "x.yaml") }
        if let value {
            try require(depth(value) <= StrictYAML.maximumDepth + 1, "nested \(depth(value)) deep")
        }
        _ = try accepted { () throws(ConfigurationError) in try ServerConfiguration(parsing: bytes) }
        _ = try accepted { () throws(ConfigurationError) in try ClientConfiguration(parsing: bytes) }
    }

    static let json = FuzzTarget(
        name: "json", longest: 4 << 10, seeds: { [Array(#"{"a":[1,-2.5e-3,"\u00e9\n",null],"b":{"c":true}}"#.utf8)] }
    ) { bytes throws(Violation) in
        let value = try accepted { () throws(JSONError) in try StrictJSON.parse(bytes, maximumBytes: 4 << 10) }
        guard let value else { return }
        let again = try? StrictJSON.parse(StrictJSON.serialize(value), maximumBytes: 64 << 10)
        try require(again == value, "what was read and written is another")
    }

    static let groups = FuzzTarget(
        name: "groups", longest: 4 << 10,
        seeds: { [Array("path,group\nglioma/1.jpg,p1\n\"a,b/\"\"2\"\".png\",p2\r\n".utf8)] }
    ) { bytes throws(Violation) in
        _ = try accepted { () throws(ImageError) in try GroupTable(csv: String(decoding: bytes, as: UTF8.self)) }
    }
}
