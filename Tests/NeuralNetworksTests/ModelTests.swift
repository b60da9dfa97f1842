import NeuralNetworks
import Tensors
import Testing

@Suite struct ModelTests {
    let specification: ModelSpecification

    init() throws {
        specification = try ModelSpecification(architecture: .smallcnn, classes: ["a", "b", "c"], imageSize: 64)
    }

    @Test("smallcnn: every part has tensors; names, shapes and size are what files rely on")
    func tensors() throws {
        let expected = try specification.expectedTensors()
        #expect(Set(expected.map(\.part)) == Set(specification.parts))
        #expect(expected.first?.name == "conv1.weight" && expected.first?.shape == [32, 1, 3, 3])
        #expect(expected.last?.name == "fc.bias" && expected.last?.shape == [3])
        #expect(expected.count == 9 * 5 + 2)
        #expect(expected.reduce(0) { $0 + $1.count } < 500_000)
    }

    @Test("initial weights: the same for a seed, spread as the formula says")
    func initialization() throws {
        let model = try Model(initializing: specification, seed: 1)
        #expect(model == (try Model(initializing: specification, seed: 1)))
        #expect(model != (try Model(initializing: specification, seed: 2)))
        let weights = model.tensors["layer4.conv2.weight"]?.tensor.values ?? []
        let mean = weights.reduce(0) { $0 + Double($1) } / Double(weights.count)
        let variance = weights.reduce(0) { $0 + Double($1) * Double($1) } / Double(weights.count)
        #expect(abs(mean) < 1e-3)
        #expect(abs(variance / (2 / Double(128 * 9)) - 1) < 0.02)
    }

    @Test("tensors from a file: missing, extra, misshapen, infinite, negative variance: refused by name")
    func strictness() throws {
        let good = try Model(initializing: specification, seed: 1).tensors
        #expect(try Model(specification, tensors: good).tensors == good)
        func expectRefusal(_ name: String, _ change: (inout TensorDictionary) -> Void) {
            var tensors = good
            change(&tensors)
            do {
                _ = try Model(specification, tensors: tensors)
                Issue.record("accepted")
            } catch {
                #expect(error.reason == .invalidTensors && error.description.contains("'\(name)'"))
            }
        }
        expectRefusal("fc.bias") { $0["fc.bias"] = nil }
        expectRefusal("fc.extra") { $0["fc.extra"] = $0["fc.bias"] }
        expectRefusal("fc.weight") { $0["fc.weight"]?.tensor = Tensor(zeros: [128, 3]) }
        expectRefusal("bn1.weight") { $0["bn1.weight"]?.tensor.values[3] = .nan }
        expectRefusal("conv1.weight") { $0["conv1.weight"]?.tensor.values[3] = -.infinity }
        expectRefusal("bn1.running_var") { $0["bn1.running_var"]?.tensor.values[0] = -0.1 }
    }

    @Test("a specification out of range is refused")
    func specifications() {
        func expectRefusal(_ classes: [String], _ size: Int) {
            #expect(throws: NetworkError.self) {
                try ModelSpecification(architecture: .smallcnn, classes: classes, imageSize: size)
            }
        }
        expectRefusal(["a"], 64)
        expectRefusal(["a", "a"], 64)
        expectRefusal(["a", ""], 64)
        expectRefusal(["a", "b"], 31)
        expectRefusal(["a", "b"], 513)
        expectRefusal((0...1_000).map(String.init), 64)
    }

    @Test("what trains from a part on; an unknown part is refused with the names there are")
    func trainable() throws {
        let model = try Model(initializing: specification, seed: 1)
        #expect(try model.trainable(from: "all") == Set(model.tensors.names))
        #expect(try model.trainable(from: "stem") == Set(model.tensors.names))
        #expect(try model.trainable(from: "head") == ["fc.weight", "fc.bias"])
        #expect(try model.trainable(from: "layer4").count == 12)
        #expect(try model.trainable(from: "layer4", frozenBatchNorm: true).count == 4)
        #expect { try model.trainable(from: "layer5") } throws: { "\($0)".contains("layer4") }
    }
}

@Suite struct RandomSourceTests {
    @Test("the first numbers of a seed are fixed for ever")
    func known() {
        let random = RandomSource(seed: 1)
        // From the independent generator in Golden/make_golden.py.
        #expect(random.bits(0) == 6_791_897_765_849_424_158 && random.bits(1) == 17_405_687_883_870_564_846)
        #expect(RandomSource(seed: 7).derived("order").derived(0).permutation(5) == [3, 0, 4, 2, 1])
    }

    @Test("permutations are permutations, and every order of three comes up")
    func permutations() {
        var seen: Set<[Int]> = []
        for seed in 0..<100 as Range<UInt64> {
            let order = RandomSource(seed: seed).permutation(3)
            #expect(order.sorted() == [0, 1, 2])
            seen.insert(order)
        }
        #expect(seen.count == 6)
        #expect(RandomSource(seed: 0).permutation(0).isEmpty)
    }

    @Test("normal numbers have mean 0 and variance 1")
    func normals() {
        let random = RandomSource(seed: 3)
        let values = (0..<20_000 as Range<UInt64>).map(random.normal)
        let mean = values.reduce(0, +) / 20_000
        let variance = values.reduce(0) { $0 + $1 * $1 } / 20_000
        #expect(abs(mean) < 0.03 && abs(variance - 1) < 0.05)
    }
}
