import Glibc
import Tensors
import Testing

/// A file of the format, spelt out by hand.
private func file(_ header: String, data: [UInt8] = []) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
}

private func model() -> TensorDictionary {
    var tensors = TensorDictionary()
    tensors["fc.weight"] = .init(
        tensor: Tensor(shape: [2, 3], values: [1, -2, 3.5, -0.0, .leastNonzeroMagnitude, 6]), part: "head",
        role: .weight)
    tensors["bn1.running_var"] = .init(tensor: Tensor(shape: [2], values: [1, 4]), part: "stem", role: .bnStatistic)
    tensors["fc.bias"] = .init(tensor: Tensor(shape: [], values: [7]), part: "head", role: .bias)
    return tensors
}

@Suite struct SafetensorsTests {
    @Test func encodingIsOneFormAndComesBackEqual() throws {
        let bytes = try Safetensors.encode(model(), metadata: ["note": "x"])
        let (tensors, metadata) = try Safetensors.decode(bytes)
        #expect(tensors == model())
        #expect(metadata == ["note": "x"])
        #expect(try Safetensors.encode(tensors, metadata: metadata) == bytes)
        #expect(try SafetensorsHeader.size(first: bytes).isMultiple(of: 8))
    }

    @Test func writerStreamsTheSameBytes() throws {
        let source = model()
        let writer = try SafetensorsWriter(source.layouts.reversed())
        var bytes: [UInt8] = []
        try writer.write(to: { bytes += $0 }) { layout, output in
            try source.withFloats(layout.name) { _ = output.update(fromContentsOf: $0) }
        }
        #expect(try bytes == Safetensors.encode(source))
        #expect(bytes.count == writer.fileSize)
    }

    @Test func everyTruncationAndExtensionIsRefused() throws {
        let bytes = try Safetensors.encode(model())
        for length in bytes.indices {
            #expect(throws: SafetensorsError.self) { try Safetensors.decode(Array(bytes[..<length])) }
        }
        #expect(throws: SafetensorsError.self) { try Safetensors.decode(bytes + [0]) }
    }

    @Test func everyFlippedHeaderBitIsRefusedOrNamesOtherContent() throws {
        let bytes = try Safetensors.encode(model())
        for index in 0..<(try SafetensorsHeader.size(first: bytes)) {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << bit
                guard let (tensors, metadata) = try? Safetensors.decode(flipped) else { continue }
                #expect(tensors.layouts != model().layouts)
                #expect(try Safetensors.encode(tensors, metadata: metadata) == flipped)
            }
        }
    }

    /// Header, data bytes, the class of the refusal in both profiles.
    static let broken: [(String, Int, SafetensorsError.Code)] = [
        (#"[]"#, 0, .badHeader),
        (#" {}"#, 0, .badHeader),
        (#"{"a":1}"#, 0, .badHeader),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}"#, 4, .badHeader),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#, 4, .badHeader),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, .badHeader
        ),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"a\nb":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"__metadata__":{"k":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, .badHeader),
        (#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, 8, .unsupportedType),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, .badOffsets),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, .badOffsets),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, .badOffsets),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, .badOffsets),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, .badOffsets),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4, .badOffsets
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12, .badOffsets
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, .badOffsets),
    ]

    @Test(arguments: broken) func brokenFilesAreRefused(header: String, data: Int, code: SafetensorsError.Code) {
        let bytes = file(header, data: [UInt8](repeating: 0, count: data))
        #expect { try Safetensors.decode(bytes, profile: .interchange) } throws: {
            ($0 as? SafetensorsError)?.code == code
        }
    }

    /// Legal elsewhere, but not the encoding of bundles.
    static let foreign: [(String, Int)] = [
        (#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#, 2),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4),
        (#"{"__metadata__":{"a":"head/weight"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4),
        (#"{"__metadata__":{"a":"head/weight"},"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}         "#, 4),
        (#"{"__metadata__":{"a":"head/gamma"},"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}"#, 4),
    ]

    @Test(arguments: foreign) func bundlesCarryOneEncodingOnly(header: String, data: Int) throws {
        let bytes = file(header, data: [UInt8](repeating: 0, count: data))
        _ = try Safetensors.decode(bytes, profile: .interchange)
        #expect(throws: SafetensorsError.self) { try Safetensors.decode(bytes) }
    }

    /// Every BatchNorm of torch has such a counter; no model of ours has.
    @Test func torchsCountersAreLeftOut() throws {
        let bytes = file(
            #"{"bn1.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"#
                + #""bn1.bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            data: [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f])
        let tensors = try Safetensors.decode(bytes, profile: .interchange).tensors
        #expect(tensors.names == ["bn1.bias"])
        #expect(tensors["bn1.bias"]?.tensor.values == [1])
        #expect(throws: SafetensorsError.self) { try Safetensors.decode(bytes) }
    }

    /// A million tensors are more than a header may have bytes for; as many as fit are refused by their number, soon.
    @Test(arguments: [1_000_000, 60_000]) func aFloodOfTensorsIsRefusedSoon(count: Int) {
        var header = "{"
        for number in 0..<count {
            header += "\(number == 0 ? "" : ",")\"t\(number)\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"
        }
        let bytes = file(header + "}")
        let clock = ContinuousClock()
        let took = clock.measure {
            for profile in [SafetensorsHeader.Profile.bundle, .interchange] {
                #expect(throws: SafetensorsError.self) { try Safetensors.decode(bytes, profile: profile) }
            }
        }
        #expect(took < .seconds(20), "\(took)")
    }

    @Test func aHugeHeaderLengthIsRefusedBeforeItIsRead() {
        let bytes = [UInt8](repeating: 0xff, count: 7) + [0x7f]
        #expect(throws: SafetensorsError.self) { try SafetensorsHeader.size(first: bytes) }
    }

    @Test func otherTypesAreConverted() throws {
        let half: [UInt16] = [0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x3555]
        let expected: [Float] = [1, -2, 0x1p-24, -0.0, 65504, .infinity, 0.333251953125]
        let bytes = file(
            #"{"a":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[14,16]},"#
                + #""c":{"dtype":"F64","shape":[1],"data_offsets":[16,24]}}"#,
            data: half.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } + [0xc0, 0x3f]
                + withUnsafeBytes(of: (-0.1).bitPattern.littleEndian) { Array($0) })
        let (tensors, _) = try Safetensors.decode(bytes, profile: .interchange)
        #expect(tensors["a"]?.tensor.values.map(\.bitPattern) == expected.map(\.bitPattern))
        #expect(tensors["b"]?.tensor.values == [1.5])
        #expect(tensors["c"]?.tensor.values == [-0.1])
    }

    @Test(arguments: [0, 1, 512, 4100]) func mappingReadsAPartOfAFile(offset: Int) throws {
        let path = "/tmp/consilium-\(getpid())-\(offset).bin"
        let bytes = try Safetensors.encode(model())
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { unlink(path) }
        let whole = [UInt8](repeating: 9, count: offset) + bytes + [1, 2, 3]
        #expect(write(descriptor, whole, whole.count) == whole.count)
        close(descriptor)
        let mapped = try MappedSafetensors(path: path, offset: Int64(offset), length: Int64(bytes.count))
        #expect(try mapped.loaded() == model())
        for layout in mapped.layouts {
            let half = layout.count / 2
            let values = try #require(model()[layout.name]).tensor.values
            for source in [mapped, model()] as [any TensorSource] {
                for part in [0..<half, half..<layout.count, half..<half] {
                    #expect(try source.withFloats(layout.name, in: part) { Array($0) } == Array(values[part]))
                }
                for part in [0..<layout.count + 1, -1..<1] {
                    #expect(throws: SafetensorsError.self) { try source.withFloats(layout.name, in: part) { $0.count } }
                }
            }
        }
        #expect(throws: SafetensorsError.self) { try mapped.withFloats("nobody") { $0.count } }
        #expect(throws: SafetensorsError.self) {
            try MappedSafetensors(path: path, offset: Int64(offset), length: Int64(bytes.count) + 4)
        }
    }

    @Test func mappingRefusesWhatIsNoFile() {
        for path in ["/nowhere", "/tmp", "/dev/null"] {
            #expect(throws: SafetensorsError.self) { try MappedSafetensors(path: path) }
        }
    }

    static let imported =
        #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
        + "/../shared/data/weights/resnet50v1_imagenet_pruned.safetensors"

    @Test(.enabled(if: access(imported, R_OK) == 0, "../shared/data is not here"))
    func aRealFileOfAnotherProgramIsRead() throws {
        let mapped = try MappedSafetensors(path: Self.imported, profile: .interchange)
        #expect(mapped.header["conv1.weight"]?.layout.shape == [64, 3, 7, 7])
        #expect(try mapped.withFloats("fc.bias") { $0.count } == 1000)
    }
}
