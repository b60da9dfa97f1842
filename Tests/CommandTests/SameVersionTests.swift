import Testing
import Wire

/// Two models under one version number: the server was restored from a backup and numbers anew, or a thief of its key chose a
/// number that exists. `predict` uses one of them, and what is told of the other one has to be true.
@Suite struct SameVersionTests {
    private let model = "a/models/hospital-a_FinalGlobal_v1.safetensors"

    /// hospital-a uses version 1 of session spring, and version 1 of session autumn waits for it.
    private func twice() throws -> (world: World, first: [UInt8]) {
        let world = try World.enrolled()
        try world.configure("S", "minimum_clients: 1")
        try world.shell("cp -a S backup")
        try world.startSession("spring", ["a"])
        try world.journey(["a"])
        try world.visit("a")
        try world.succeed("client", "accept", "1", "--home", "a")
        let first = try world.bytes(model)
        try world.shell("rm -rf S && mv backup S")
        world.advance(days: 1)
        try world.startSession("autumn", ["a"], ["--local-epochs", "2"])
        try world.journey(["a"])
        try world.visit("a")
        #expect(try statuses(world) == ["accepted", "pending"])
        return (world, first)
    }

    private func statuses(_ world: World) throws -> [String] {
        let offers = try world.json("client", "updates", "--home", "a")["updates"].items
        #expect(offers.allSatisfy { $0["version"].integer == 1 }, "\(offers)")
        return offers.compactMap { $0["status"].text }
    }

    /// The `mv` that PENDING.txt shows for installing.
    private func moveAsShown(_ world: World) throws {
        let lines = try world.text("a/updates/PENDING.txt").split(separator: "\n")
        let line = try #require(lines.first { $0.contains("mv ") && $0.hasSuffix("/accepted/") })
        try world.shell(String(line))
    }

    @Test(arguments: ["moved", "overwritten", "command"])
    func theSecondTakesTheFirstOnesPlace(way: String) throws {
        let (world, first) = try twice()
        let told: String
        switch way {
        case "command": told = try world.succeed("client", "accept", "1", "--home", "a").output
        case "moved":
            try moveAsShown(world)
            told = try world.succeed("client", "run", "--home", "a").output
        default:
            try world.shell("mv a/updates/pending/UPD-1-*.tar a/updates/accepted/UPD-1-ministry.tar")
            told = try world.succeed("client", "run", "--home", "a").output
        }
        #expect(told.contains("is out of use, its model lies in"), "\(told)")
        #expect(told.contains("takes its place under the same number"), "\(told)")
        #expect(try statuses(world) == ["rejected", "accepted"])
        let second = try world.bytes(model)
        #expect(second != first)
        #expect(world.names("a/updates/accepted").count == 1 && world.names("a/updates/rejected").count == 1)
        let aside = world.names("a/models/rejected")
        #expect(aside.count == 1)
        #expect(try world.bytes("a/models/rejected/" + (try #require(aside.first))) == first)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)

        // Rejected, it is out of use in truth, and neither model overwrites the other one.
        let rejected = try world.succeed("client", "reject", "1", "--home", "a").output
        #expect(rejected.contains("out of use, its model lies in"), "\(rejected)")
        #expect(rejected.contains("no accepted version is left"), "\(rejected)")
        #expect(!world.exists(model))
        #expect(world.names("a/models/rejected").count == 2)
        #expect(try world.run("predict", "x.png", "--home", "a").status == 66)
        #expect(try statuses(world) == ["rejected", "rejected"])
        #expect(world.names("a/updates/rejected").count == 2)
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
    }

    @Test func theFirstOneIsInstalledAgain() throws {
        let (world, first) = try twice()
        try world.succeed("client", "accept", "1", "--home", "a")
        try world.shell("mv a/updates/rejected/UPD-1-ministry.tar a/updates/accepted/")
        try world.succeed("client", "run", "--home", "a")
        #expect(try statuses(world) == ["accepted", "rejected"])
        #expect(try world.bytes(model) == first)
        // The rejection of what was not in use moves nothing.
        #expect(try world.run("client", "run", "--home", "a").isSilentSuccess)
        #expect(try world.bytes(model) == first)
    }

    @Test func theRejectionOfTheSecondLeavesTheFirstInUse() throws {
        let (world, first) = try twice()
        try world.succeed("client", "reject", "1", "--home", "a")
        #expect(try statuses(world) == ["accepted", "rejected"])
        #expect(try world.bytes(model) == first)
        #expect(!world.exists("a/models/rejected"))
    }

    @Test func eachHasANameOfItsOwnOnTheDesk() throws {
        let (world, _) = try twice()
        #expect(world.names("a/updates/accepted") == ["UPD-1-ministry.tar"])
        #expect(world.names("a/updates/pending", "UPD") == ["UPD-1-ministry-2.tar"])
    }

    /// A run after it, a rejection after that: whatever had been written, no rejected model is used.
    @Test(.enabled(if: Strace.isUsable, "strace cannot be used"))
    func aStoppedAcceptanceOfTheSecondLeavesNoRejectedModelInUse() throws {
        let (template, first) = try twice()
        let command = ["client", "accept", "1", "--home", "a"]
        let counts = try Strace.count(["rename"], of: command, home: "a", in: World.copy(of: template.root))
        let points = counts.flatMap { call, numbers in
            numbers.map { Strace.Point(call: call, number: $0, fault: .kill) }
        }
        #expect(points.count > 6)
        for point in points {
            let world = try World.copy(of: template.root)
            _ = try Strace.run(command, injecting: point, in: world)
            try world.succeed("client", "run", "--home", "a")
            if try statuses(world)[0] == "accepted" { #expect(try world.bytes(model) == first, "\(point)") }
            if try statuses(world)[1] != "rejected" {
                try world.succeed("client", "reject", "1", "--home", "a")
            }
            let isFirstInUse = try statuses(world)[0] == "accepted"
            #expect(world.exists(model) == isFirstInUse, "\(point)")
            if isFirstInUse { #expect(try world.bytes(model) == first, "\(point)") }
        }
    }
}
