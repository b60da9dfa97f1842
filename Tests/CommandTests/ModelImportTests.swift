import Foundation
import Tensors
import Testing
import Wire

/// Pretrained weights come in, and go out again as they are.
@Suite struct ModelImportTests {
    /// A small pretrained network of another program: no word of ours in its metadata.
    private func foreign(
        _ world: World, _ name: String = "foreign.safetensors", classes: String = "v,w,x,y,z",
        change: (inout TensorDictionary) -> Void = { _ in }
    ) throws {
        try world.shell("rm -f whole")
        try world.succeed(
            "model", "init", "--arch", "resnet18", "--classes", classes, "--size", "32", "--output", "whole")
        var tensors = try Safetensors.decode(world.bytes("whole")).tensors
        change(&tensors)
        try Data(Safetensors.encode(tensors)).write(to: URL(fileURLWithPath: world.path(name)))
    }

    private func take(_ world: World, _ more: String...) throws -> Outcome {
        try world.run(
            ["model", "import", "--arch", "resnet18", "--classes", "a,b", "--size", "32", "--output", "taken"] + more)
    }

    @Test func aBackboneIsTakenOverAndTheHeadMadeAnew() throws {
        let world = try World.empty()
        try foreign(world)
        let outcome = try take(world, "foreign.safetensors")
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("the head is new, with random weights of seed 1: the file's answers 5 classes"))
        let source = try Safetensors.decode(world.bytes("foreign.safetensors")).tensors
        let taken = try Safetensors.decode(world.bytes("taken")).tensors
        #expect(taken["fc.weight"]?.tensor.shape == [2, 512])
        for name in source.names where !name.hasPrefix("fc.") {
            let isSame = taken[name]?.tensor == source[name]?.tensor
            #expect(isSame, "\(name)")
        }
        #expect(try world.json("model", "info", "taken")["parameters"].integer == 11_177_538)
    }

    @Test func aBackboneWithoutAHeadWillDoAndAFittingHeadIsKept() throws {
        let world = try World.empty()
        try foreign(world) { for name in ["fc.weight", "fc.bias"] { $0[name] = nil } }
        #expect(try take(world, "foreign.safetensors").output.contains("the file has none"))
        try foreign(world, classes: "v,w")
        try world.shell("rm taken")
        let kept = try take(world, "foreign.safetensors")
        #expect(!kept.output.contains("head is new"))
        let (source, taken) = (try world.bytes("foreign.safetensors"), try world.bytes("taken"))
        let isKept = try Safetensors.decode(source).tensors == Safetensors.decode(taken).tensors
        #expect(isKept)
    }

    @Test func whatIsWrongWithABackboneIsNamedAndNothingKept() throws {
        let world = try World.empty()
        let wrongs: [(String, (inout TensorDictionary) -> Void)] = [
            ("lacks tensor 'layer3.0.conv1.weight'", { $0["layer3.0.conv1.weight"] = nil }),
            ("tensor 'layer5.weight' is none", { $0["layer5.weight"] = $0["bn1.weight"] }),
            (
                "tensor 'bn1.bias' has shape [5]",
                { $0["bn1.bias"]?.tensor = Tensor(shape: [5], values: [0, 0, 0, 0, 0]) }
            ),
            (
                "tensor 'bn1.bias' holds values that are not finite",
                { $0["bn1.bias"]?.tensor = Tensor(shape: [64], values: [Float](repeating: .nan, count: 64)) }
            ),
        ]
        for (words, change) in wrongs {
            try foreign(world, change: change)
            let outcome = try take(world, "foreign.safetensors")
            #expect(outcome.status == 65)
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
            #expect(!world.exists("taken"))
        }
    }

    @Test func ourOwnFilesKeepTheirHeadUnlessToldOtherwise() throws {
        let world = try World.empty()
        try foreign(world)
        let refused = try take(world, "whole")
        #expect(refused.status == 65)
        #expect(refused.errors.contains("--classes says a,b, but the file says v,w,x,y,z"))
        #expect(try take(world, "--new-head", "whole").output.contains("the head is new"))
    }

    // MARK: published weights

    private static let weights = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "shared/data/weights").path
    private static let hasWeights = FileManager.default.fileExists(atPath: weights)
    /// A Python with torch and safetensors.
    private static let python = ProcessInfo.processInfo.environment["CONSILIUM_PYTHON"]

    @Test(.enabled(if: hasWeights, "skipped: ../shared/data is not there"))
    func publishedWeightsGoOutAsTheyCameIn() throws {
        let world = try World.empty()
        let file = "\(Self.weights)/resnet50v1_imagenet_pruned.safetensors"
        let classes = (1...1000).map { "class\($0)" }.joined(separator: ",")
        try world.succeed(
            "model", "import", "--arch", "resnet50v1", "--classes", classes, "--output", "taken", file)
        try world.succeed("model", "export", "--model", "taken", "given")
        let source = try Safetensors.decode(
            Array(Data(contentsOf: URL(fileURLWithPath: file))), profile: .interchange
        ).tensors
        let given = try Safetensors.decode(world.bytes("given")).tensors
        #expect(given.names == source.names)
        for name in source.names {
            let isSame = given[name]?.tensor == source[name]?.tensor
            #expect(isSame, "\(name)")
        }
        #expect(try world.json("model", "info", "taken")["parameters"].integer == 25_557_032)
    }

    @Test(.enabled(if: hasWeights && python != nil, "skipped: needs ../shared/data, and CONSILIUM_PYTHON with torch"))
    func pyTorchLoadsAnExportAndAnswersAlike() throws {
        let world = try World.empty()
        try world.succeed(
            "model", "import", "--arch", "resnet50v1", "--classes",
            (1...1000).map { "class\($0)" }.joined(separator: ","),
            "--output", "taken", "\(Self.weights)/resnet50v1_imagenet_pruned.safetensors")
        try world.succeed("model", "export", "--model", "taken", "given")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "Support/check_export.py").path
        let check = "\(Self.weights)/resnet50v1_check.safetensors"
        let python = try #require(Self.python)
        let outcome = try world.shell("\(python) '\(script)' given '\(check)' v1")
        let logits = outcome.output.split(separator: "\n").compactMap { Float($0) }
        let expected =
            try Safetensors.decode(
                Array(Data(contentsOf: URL(fileURLWithPath: check))), profile: .interchange
            ).tensors["logits"]?.tensor.values ?? []
        #expect(logits.count == 1000 && expected.count == 1000)
        let difference = zip(logits, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(difference < 1e-4)
    }
}
