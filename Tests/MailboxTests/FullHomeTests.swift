import Bundles
import Files
import Mailbox
import SupportForTests
import SystemPackage
import Testing
import Wire

/// A home whose own disk is full is no trouble of the exchange: the run stops as for any other of its files.
@Suite struct FullHomeTests {
    @Test func aFullHomeIsItsOwnTrouble() throws {
        let world = try TestFederation()
        let root = world.root.appending("exchange")
        try QuickFileSystem().makeDirectories(root)
        let decision = try opened(world.server).send(
            key: "decision/a", kind: .decision, to: [name("hospital-a")],
            payload: [.bytes(name: "x.json", Array("{}\n".utf8))])
        let home = try Home.open(world.server.root, files: FullHome())
        for _ in 1...2 {
            let mailbox = try opened(home)
            #expect {
                _ = try mailbox.useExchange(at: root) { try mailbox.deliver(to: $0) }
            } throws: { error in
                let error = error as? MailboxError
                return error?.kind == .temporary && error?.message.contains("exchange.json") == true
            }
        }
        let mailbox = try opened(world.server)
        _ = try mailbox.useExchange(at: root) { try mailbox.deliver(to: $0) }
        #expect(try QuickFileSystem().exists(root.appending("hospital-a/outbox").appending(decision.name)))
    }
}

/// There is no room for what the home notes of its exchange.
private struct FullHome: ForwardingFileSystem {
    let base: any FileSystem = QuickFileSystem()

    func pass(_ operation: String, _ path: FilePath) throws(FileError) {
        let isNote = path.lastComponent?.string.contains("exchange.json") ?? false
        if operation == "create", isNote { throw FileError(operation, path, .noSpace) }
    }
}
