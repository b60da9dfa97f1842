import Bundles
import Glibc
import Testing
import Wire

/// Training through the tick: what stops it, what it must not depend on.
@Suite struct TrainingTests {
    /// A round that takes a few seconds, so that a signal can meet it.
    private static let longEpochs = 200

    private static func longRound(_ homes: [String] = ["a"]) throws -> World {
        let world = try World.enrolled()
        try world.request(homes, rounds: 1, ["--local-epochs", "\(longEpochs)"])
        if homes.count == 1 {
            try world.shell("mv S/requests/pending/*.tar S/requests/approved/")
            try world.serve()
        } else {
            try world.approveAll("spring")
        }
        for home in homes {
            try world.carry("S", to: home)
            try world.configure(home, "threads: 1")
        }
        return world
    }

    /// Starts a tick, and sends it a signal once it trains.
    private static func interrupt(_ world: World, _ home: String, with signal: Int32) throws -> Outcome {
        let running = try world.start("client", "run", "--home", home, "--verbose")
        for _ in 0..<1000 where sessionFolder(world, home) == nil { usleep(10_000) }
        usleep(150_000)
        running.send(signal)
        return try running.wait()
    }

    /// Made when training begins.
    private static func sessionFolder(_ world: World, _ home: String) -> String? {
        world.names("\(home)/sessions").first { $0.count == 32 }.map { "\(home)/sessions/\($0)" }
    }

    /// The weights of an undisturbed round.
    private static let undisturbed = Result { () throws -> [UInt8] in
        let world = try longRound()
        try world.succeed("client", "run", "--home", "a")
        return try weights(world, "a")
    }

    private static func weights(_ world: World, _ home: String) throws -> [UInt8] {
        let bundle = try world.opened(try world.update(home))
        try world.shell("mkdir -p out-\(home) && tar xf '\(bundle)' -C out-\(home)")
        return try world.bytes("out-\(home)/update.safetensors")
    }

    /// Ended politely, training saves its place and goes on there; ended rudely, it begins again or goes on from the last
    /// checkpoint. The update's bytes are those of an undisturbed round either way.
    @Test(arguments: [SIGTERM, SIGINT, SIGKILL])
    func aKilledTrainingGoesOnToTheSameBytes(signal: Int32) throws {
        let world = try Self.longRound()
        try world.shell("mkdir a/inbox/odd")
        let ended = try Self.interrupt(world, "a", with: signal)
        #expect(
            ended.output.split(separator: "\n").count { $0.contains("odd is a folder and was not opened") } == 1,
            "\(ended)")
        #expect(world.names("a/outbox", "update").isEmpty, "the round was over before the signal: \(ended)")
        let folder = try #require(Self.sessionFolder(world, "a"))
        if signal == SIGKILL {
            #expect(ended.status == 128 + SIGKILL)
        } else {
            #expect(ended.status == 0, "\(ended)")
            #expect(ended.output.contains("round 1: stopped in epoch "), "\(ended)")
            #expect(ended.output.contains("; the next run goes on from there"), "\(ended)")
            #expect(world.exists("\(folder)/checkpoint"))
        }
        world.advance(days: 1)
        let resumed = try world.succeed("client", "run", "--home", "a", "--verbose")
        #expect(resumed.output.contains("training continues") == (signal != SIGKILL), "\(resumed)")
        #expect(try Self.weights(world, "a") == Self.undisturbed.get())
        #expect(!world.exists("\(folder)/checkpoint"))
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    /// When the deadline is near, what is done by then is sent, and says so.
    @Test func aPartialUpdateIsSentBeforeTheDeadline() throws {
        let world = try Self.longRound(["a", "b"])
        world.advance(days: 13, seconds: 80_000)
        let ended = try Self.interrupt(world, "a", with: SIGTERM)
        #expect(ended.status == 0)
        #expect(ended.output.contains("update published (partial: "), "\(ended)")
        try world.succeed("client", "run", "--home", "b")
        for home in ["a", "b"] { try world.answer(home) }
        try world.serve()
        let lines = try #require(try world.history("spring").first)["participants"].items
        #expect(lines.map { $0["partial"] } == [true, false])
        let (part, whole) = (try #require(lines[0]["steps"].integer), try #require(lines[1]["steps"].integer))
        #expect(part > 0 && part < whole)
        #expect(try #require(lines[0]["examples"].integer) < #require(lines[1]["examples"].integer))
    }

    /// The number of cores and a budget that suffices are not in the bytes.
    @Test(arguments: ["threads: 1", "threads: 2", "time_budget: 1h", "memory: 1GB"])
    func theBytesDoNotDependOn(_ line: String) throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.shell("cp -a a reference")
        for home in ["a", "reference"] { try world.carry("S", to: home) }
        try world.configure("a", line)
        for home in ["a", "reference"] { try world.succeed("client", "run", "--home", home) }
        #expect(try Self.weights(world, "a") == Self.weights(world, "reference"))
    }

    /// Every path of the kernels trains, and the update says which one.
    @Test func theScalarPathTrainsAndIsNamed() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        world.environment["CONSILIUM_ISA"] = "scalar"
        try world.visit("a")
        let metrics = try world.shell("tar xOf '\(try world.opened(world.update("a")))' metrics.json").output
        let document = try StrictJSON.parse(Array(metrics.utf8), maximumBytes: 1 << 20)
        #expect(document["instruction_set"].text == "scalar")
        #expect(document["steps"].integer == 4)
        world.environment = [:]
        try world.answer("a")
        try world.journey(["b"])
        #expect(try world.history("spring").count == 1)
    }

    /// Eight pictures of 512 x 512 pixels take more than is allowed, unless layers are computed twice, which changes no byte;
    /// with batches of 64 that is not enough, and it is said before the memory is taken, not after.
    @Test func trainingMakesDoWithTheMemoryThatIsAllowedOrIsRefusedInOneLine() throws {
        for (batchSize, isEnough) in [(8, true), (64, false)] {
            let world = try World.empty()
            try world.makeHomes(size: 512, batchSize: batchSize)
            try world.enrol()
            try world.request(["a"])
            try world.shell("mv S/requests/pending/*.tar S/requests/approved/")
            try world.serve()
            try world.shell("cp -a a reference")
            try world.configure("a", "memory: 256MB")
            for home in ["a", "reference"] { try world.carry("S", to: home) }
            let told = try world.run("client", "run", "--home", "a")
            #expect(told.status == (isEnough ? 0 : 77), "\(told)")
            if isEnough {
                try world.succeed("client", "run", "--home", "reference")
                #expect(try Self.weights(world, "a") == Self.weights(world, "reference"))
            } else {
                #expect(told.output.contains("MiB, 'memory' in consilium.yaml allows 244 MiB"), "\(told)")
                #expect(told.output.split(separator: "\n").count == 1)
                #expect(world.names("a/outbox", "update").isEmpty)
                let again = try world.run("client", "run", "--home", "a")
                #expect(again.status == 77 && again.output.isEmpty && again.errors.isEmpty, "\(again)")
            }
        }
    }

    /// Pictures that went away are told once and again when they go again; the exit status tells it of every run that could
    /// not train for it, and the next one tries again.
    @Test func missingPicturesAreToldAndTriedAgain() throws {
        let world = try World.enrolled()
        try world.shell("cp -a '\(try Material.pictures.get())/client-1' pictures")
        try world.write(
            try world.text("a/consilium.yaml").split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.hasPrefix("data: ") ? "data: ../pictures" : String($0) }.joined(separator: "\n"),
            to: "a/consilium.yaml")
        try world.startSession("spring", ["a", "b"])
        try world.shell("mv pictures away")
        try world.carry("S", to: "a")
        let told = try world.run("client", "run", "--home", "a")
        #expect(told.status == 66 && told.output.split(separator: "\n").count == 1, "\(told)")
        #expect(told.output.contains("round 1: cannot be trained: data folder: cannot list"), "\(told)")
        let again = try world.run("client", "run", "--home", "a")
        #expect(again.status == 66 && again.output.isEmpty && again.errors.isEmpty, "\(again)")
        let asked = try world.run("client", "run", "--home", "a", "--verbose")
        #expect(asked.status == 66 && asked.output == told.output, "\(asked)")
        // Another reason is news.
        try world.shell("mkdir pictures")
        let other = try world.run("client", "run", "--home", "a")
        #expect(other.status == 65 && other.output.contains("cannot be trained: no class folders"), "\(other)")
        try world.shell("rmdir pictures")
        #expect(try world.run("client", "run", "--home", "a").output == told.output)
        try world.shell("mv away pictures; printf 'no picture' > pictures/glioma/broken.png")
        let trained = try world.succeed("client", "run", "--home", "a")
        #expect(trained.output == "1 picture cannot be read and is skipped; 'consilium data check' names them\n")
        #expect(world.names("a/outbox", "update").count == 1)
    }
}
