import Bundles
import Files
import SystemPackage
import Testing
import Wire

/// What a lost key has signed goes out no more, and what is still needed is said again by the new one.
@Suite struct LostKeyLeftoversTests {
    /// The names of what lies in a home's outbox or an exchange's folder and the home's key of now did not sign.
    private func foreign(_ folder: String, to home: String, in world: World) throws -> [String] {
        let key = try world.fingerprint(home)
        return try world.names(folder).filter { name in
            let file = try world.opened("\(home)/outbox/\(name)")
            return try !world.succeed("bundle", "inspect", file).output.contains(key)
        }
    }

    /// What the bundles in a home's outbox acknowledge.
    private func acks(_ folder: String, in world: World) throws -> Set<Digest> {
        try world.names(folder).reduce(into: []) { acks, name in
            let file = FilePath(world.path(try world.opened("\(folder)/\(name)")))
            acks.formUnion(try BundleReader.open(file, files: LocalFileSystem()).verified().manifest.acks)
        }
    }

    @Test func receiptsOfALostKeyLeaveTheOutbox() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b", "c"], rounds: 2)
        try world.visit("b")
        try world.answer("b")
        try world.serve()
        // Acknowledges what the server said since; nobody has carried it.
        try world.shell("rm -f b/outbox/receipt-*")
        try world.succeed("server", "reissue", "spring", "hospital-b", "--home", "S")
        try world.visit("b")
        let acknowledged = try acks("b/outbox", in: world)
        #expect(!acknowledged.isEmpty && !world.names("b/outbox", "receipt").isEmpty)
        try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        try world.visit("b")
        try world.succeed("key", "rotate", "--lost", "--home", "b")
        #expect(try foreign("b/outbox", to: "b", in: world).isEmpty, "\(world.names("b/outbox"))")
        #expect(try acknowledged.isSubset(of: acks("b/outbox", in: world)), "the new key acknowledges the same")
        try world.answer("b")
        let served = try world.serve()
        #expect(!served.output.contains("quarantine"), "\(served)")
        try world.approveEnrolments()
        try world.visit("b")
        #expect(try foreign("b/outbox", to: "b", in: world).isEmpty)
    }

    /// Where nobody was told of the key that signs, all that it signs waits at the server: somebody has to know at the hospital.
    @Test(.enabled(if: Strace.isUsable, "strace is missing or may not trace"))
    func aKeyWhoseReplacementWasStoppedBeforeItsEnrolmentIsNamed() throws {
        let world = try World.enrolled()
        let before = try world.fingerprint("a")
        let command = ["key", "rotate", "--lost", "--home", "a"]
        let counts = try Strace.count(["rename"], of: command, home: "a", in: World.copy(of: world.root))
        let numbers = try #require(counts["rename"])
        var named = 0
        for number in numbers {
            let copy = try World.copy(of: world.root)
            _ = try Strace.run(
                command, injecting: Strace.Point(call: "rename", number: number, fault: .kill), in: copy)
            guard try copy.fingerprint("a") != before else { continue }
            let told = try copy.succeed("client", "run", "--home", "a")
            guard copy.names("a/outbox", "enrol").isEmpty else { continue }
            named += 1
            #expect(told.output.contains("repeat 'consilium key rotate --lost'"), "rename \(number): \(told)")
            #expect(try copy.run("client", "run", "--home", "a").isSilentSuccess, "it is told once")
            try copy.succeed("key", "rotate", "--lost", "--home", "a")
            #expect(copy.names("a/outbox", "enrol").count == 1)
            #expect(try copy.run("client", "run", "--home", "a").isSilentSuccess)
        }
        #expect(named > 0)
    }

    /// `key rotate --lost` is killed in every change of a name from the enrolment to its end. Nobody revokes the old key
    /// beforehand: the approval does, without a word to the hospital, so that its next run has to know by itself what is left.
    @Test(.enabled(if: Strace.isUsable, "strace is missing or may not trace"))
    func aReplacementThatWasStoppedIsFinishedWithoutAWordOfTheServer() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let old = Set(world.names("a/outbox"))
        var left = 0
        for call in ["rename", "unlink"] {
            for number in 1... {
                let copy = try World.copy(of: world.root)
                let point = Strace.Point(call: call, number: number, fault: .kill)
                let (_, isHit) = try Strace.run(
                    ["key", "rotate", "--lost", "--home", "a"], injecting: point, in: copy)
                guard isHit else { break }
                guard !copy.names("a/outbox", "enrol").isEmpty else { continue }
                left += copy.names("a/outbox").contains { old.contains($0) } ? 1 : 0
                try copy.succeed("client", "run", "--home", "a")
                #expect(old.isDisjoint(with: copy.names("a/outbox")), "\(point)")
                #expect(copy.names("a/outbox", "update").count == 1, "\(point)")
                #expect(try copy.run("client", "run", "--home", "a").isSilentSuccess, "\(point)")
                guard left == 1 else { continue }
                try copy.answer("a")
                try copy.serve()
                try copy.approveEnrolments()
                try copy.journey(["b"])
                #expect(try copy.history("spring").first?.fate(of: "hospital-a") == "counted")
            }
        }
        #expect(left > 2)
    }

    /// What an old key signed in its time stays good in the overlap of a rotation.
    @Test func whatAFollowedKeySignedIsNotSignedAnew() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b"])
        try world.visit("a")
        let update = try world.update("a")
        try world.succeed("key", "rotate", "--home", "a")
        try world.shell("cp a/outbox/enrol-* S/inbox/")
        try world.serve()
        try world.approveEnrolments()
        #expect(try !world.visit("a").output.contains("signed anew"))
        #expect(try world.update("a") == update)
    }

    /// The admin reads quarantine/ and removes what is there; the same file comes once more.
    @Test func aReceiptOfARevokedKeyIsToldOnce() throws {
        let world = try World.enrolled()
        try world.startSession("spring", ["a", "b", "c"], rounds: 2)
        try world.visit("b")
        try world.answer("b")
        try world.succeed("server", "revoke", "hospital-b", "--reason", "laptop stolen", "--home", "S")
        #expect(try world.serve().output.contains("put into quarantine"))
        try world.shell("rm -f S/quarantine/*")
        world.advance(days: 1)
        try world.answer("b")
        #expect(try world.run("server", "run", "--home", "S").isSilentSuccess)
    }
}
