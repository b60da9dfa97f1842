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
