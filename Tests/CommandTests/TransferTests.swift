import Files
import SystemPackage
import Tensors
import Testing
import Wire

/// A session that trains the upper part of a network alone.
@Suite struct TransferTests {
    private static let plan = """
        rounds: 2
        train_from: layer3
        batch_norm: frozen
        feature_views: 2
        crop: head
        schedule: {name: cosine, warmup: 0.5}
        clip_norm: 5.0
        augmentation: {rotation: 0, zoom: 0, shift: 0, horizontal_flip: true, brightness: 0.1, contrast: 0.1}

        """

    private func running() throws -> World {
        let world = try World.enrolled()
        try world.request(rounds: 2)
        try world.shell("mkdir -p S/requests/approved/spring")
        try world.write(Self.plan, to: "S/requests/approved/spring/plan.yaml")
        try world.approveAll("spring")
        return world
    }

    private func features(_ world: World, _ home: String) -> [String] {
        world.names("\(home)/cache").filter { $0.hasSuffix(".features") }
    }

    @Test func frozenLayersAreComputedOnceKeptPrivateAndForgottenAtTheEnd() throws {
        let world = try running()
        try world.journey()
        #expect(features(world, "a").count == 2)
        for name in features(world, "a") {
            let status = try LocalFileSystem().status(FilePath(world.path("a/cache/\(name)")))
            #expect(status?.permissions == 0o600)
        }
        let first = try features(world, "a").map { try world.bytes("a/cache/\($0)") }
        try world.journey()
        #expect(try features(world, "a").map { try world.bytes("a/cache/\($0)") } == first)
        try world.journey()
        for home in World.everybody { #expect(features(world, home).isEmpty, "\(home)") }
        #expect(try world.session("spring")["state"].text == "finished")
    }

    @Test func frozenTensorsNeitherChangeNorTravelAndTheModelKnowsItsCrop() throws {
        let world = try running()
        try world.journey()
        let sent = try Safetensors.decode(try payload(world, "update.safetensors")).tensors
        #expect(sent.names.contains("layer3.conv1.weight") && sent.names.contains("fc.weight"))
        #expect(!sent.names.contains { $0.hasPrefix("conv1") || $0.hasPrefix("layer2") })
        try world.journey()
        let (old, new) = (try Safetensors.decode(world.model(0)), try Safetensors.decode(world.model(1)))
        for name in ["conv1.weight", "layer2.conv2.weight", "layer3.bn1.running_mean", "layer3.bn1.weight"] {
            let isSame = old.tensors[name] == new.tensors[name]
            #expect(isSame, "\(name)")
        }
        let hasChanged = old.tensors["layer4.conv1.weight"] != new.tensors["layer4.conv1.weight"]
        #expect(hasChanged)
        #expect(new.metadata["crop"] == "head" && old.metadata["crop"] == nil)
        for home in World.everybody { try world.visit(home) }
        try world.succeed("client", "accept", "--home", "a", "1")
        let installed = try Safetensors.decode(world.bytes("a/models/hospital-a_FinalGlobal_v1.safetensors"))
        #expect(installed.metadata["crop"] == "head")
        let plain = try world.json("evaluate", "--home", "a", try Material.pictures.get() + "/test")
        let mirrored = try world.json("evaluate", "--mirror", "--home", "a", try Material.pictures.get() + "/test")
        #expect(plain["calibration_error"] != .null)
        #expect(plain["loss"] != mirrored["loss"])
    }

    private func payload(_ world: World, _ name: String) throws -> [UInt8] {
        let bundle = try world.opened(try world.update("a"))
        try world.shell("mkdir -p open && tar xf '\(bundle)' -C open")
        return try world.bytes("open/\(name)")
    }

    /// Training on features is stopped and goes on as training on pictures does.
    @Test func aKilledTickEndsInTheSameBytes() throws {
        let world = try running()
        let undisturbed = try running()
        for step in 1...3 {
            try world.carry("S", to: "a")
            let program = try world.start("client", "run", "--home", "a")
            try world.shell("sleep 0.0\(step)")
            program.send(9)
            _ = try program.wait()
        }
        try world.journey(["a"])
        try undisturbed.journey(["a"])
        #expect(try payload(world, "update.safetensors") == payload(undisturbed, "update.safetensors"))
    }
}
