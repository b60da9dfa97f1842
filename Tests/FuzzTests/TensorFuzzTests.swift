import SeededNumbers
import Tensors
import Testing

/// Updates and globals come from other houses, models to import from anywhere.
@Suite struct TensorFuzzTests {
    private static let words = [
        "\"F32\"", "\"F16\"", "\"BF16\"", "\"F64\"", "\"I64\"", "\"shape\":[]", "\"shape\":[0]",
        "[9223372036854775807]",
        "[4611686018427387904,4]", "[1152921504606846976,0]", "-1", "1.0", "1e3", "\"data_offsets\":[0,0]",
        "\"data_offsets\":[0,9223372036854775807]", "\"__metadata__\":{}", "\"a\":{", "},", "null", "\"head/weight\"",
        "[[", "\\u0000", " ",
    ]

    private static func model() -> TensorDictionary {
        var tensors = TensorDictionary()
        tensors["conv1.weight"] = .init(
            tensor: Tensor(shape: [2, 3], values: [1, -2, 3.5, -0.0, .leastNonzeroMagnitude, 6]), part: "stem",
            role: .weight)
        tensors["bn1.running_var"] = .init(
            tensor: Tensor(shape: [2], values: [1, 4]), part: "stem", role: .bnStatistic)
        tensors["fc.bias"] = .init(tensor: Tensor(shape: [], values: [7]), part: "head", role: .bias)
        return tensors
    }

    /// The header's length is put right after the damage, or random damage would rarely come further.
    private static func file(_ header: [UInt8], _ data: [UInt8]) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + data
    }

    @Test func headers() throws {
        let good = try Safetensors.encode(Self.model(), metadata: ["note": "x"])
        let size = try SafetensorsHeader.size(first: good)
        let header = Array(good[8..<size])
        let data = Array(good[size...])
        #expect(Self.file(header, data) == good)
        var mutator = Mutator(seed: 21, words: Self.words)
        for round in Effort.rounds(8000) {
            let bytes = round.isMultiple(of: 4) ? mutator.damage(good) : Self.file(mutator.damage(header), data)
            do throws(SafetensorsError) {
                let (tensors, metadata) = try Safetensors.decode(bytes)
                #expect(try Safetensors.encode(tensors, metadata: metadata) == bytes)
            } catch {
                #expect(!error.description.contains("\n"))
            }
            do throws(SafetensorsError) {
                let (tensors, _) = try Safetensors.decode(bytes, profile: .interchange)
                for layout in tensors.layouts {
                    #expect(tensors[layout.name]?.tensor.values.count == layout.count)
                }
            } catch {
                #expect(!error.description.contains("\n"))
            }
        }
    }
}
