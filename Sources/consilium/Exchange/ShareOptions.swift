import ArgumentParser
import Bundles
import Mailbox
import SystemPackage
import Wire

/// A share, mount or stick, and whose bundles on it.
struct ShareOptions: ParsableArguments {
    @Option(help: "The share's, mount's or stick's folder.", completion: .directory) var share: String
    @Option(name: .customLong("for"), help: "On a server: only this client.") var client: String?

    /// Takes hold of a home and looks what lies at the share.
    func open(_ home: HomeOption) throws -> (mailbox: Mailbox, exchange: Exchange, only: PartyName?) {
        let root = Environment.path(share)
        guard let mailbox = try Mailbox.open(try home.open(watching: root), now: try Environment.now()) else {
            throw CommandFailure.busy
        }
        let only = try servedClient(client, mailbox.home)
        do {
            try Exchange.requireNoPictures(root, data: try mailbox.home.data(), of: mailbox.home)
            // The runs' own share may be away as well when a person carries to it.
            let known = mailbox.trust.parties.map(\.name)
            return (mailbox, try Exchange.detect(root, home: mailbox.home, known: known), only)
        } catch let error as MailboxError where error.kind == .configuration {
            // Here it is no configuration that names it.
            throw CommandFailure(.usage, error.message, hint: error.hint)
        }
    }
}
