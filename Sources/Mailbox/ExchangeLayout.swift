import Files
package import SystemPackage
import Wire

/// Which layout an exchange has.
///
/// Whoever may make a folder in its root could otherwise turn it into another one, and bundles would go where nobody looks.
/// So what it was used as is remembered, as long as anything of that is there:
///
/// 1. What was never used has the layout that its folders show.
/// 2. What was used keeps its layout while folders of it are there. If it shows the other one too, that is told once.
/// 3. Where only the other one shows, or a flat one's folders are gone, it is not used.
extension Exchange {
    /// Finds out which layout a folder has: for a client, its own folder if there is one; else flat where both `inbox` and
    /// `outbox` are there; else one folder for each client, which are made as needed. What a home has used keeps its layout.
    package static func detect(_ root: FilePath, home: Home) throws(MailboxError) -> Exchange {
        let path = self.path(root, of: home)
        return try detect(path, home: home, usedAs: ExchangeCache.load(from: home).usedAs(path))
    }

    static func detect(_ root: FilePath, home: Home, usedAs used: Layout?) throws(MailboxError) -> Exchange {
        let path = try requireRoot(root, of: home)
        let (hasFlat, own) = try onShare { () throws(FileError) in
            let hasInbox = try isFolder(path.appending("inbox"), home)
            let hasOutbox = try isFolder(path.appending("outbox"), home)
            return (hasInbox && hasOutbox, try clientsFolder(in: path, of: home))
        }
        let layout: Layout
        switch used {
        case .flat?:
            guard hasFlat else {
                let other = own?.lastComponent.map { ", but \($0.string)" } ?? ""
                throw changed(path, "flat, and has not both inbox and outbox now" + other)
            }
            layout = .flat
        case .perClient?:
            guard own != nil || !hasFlat else {
                throw changed(path, "with a folder for each client, and has none now, but inbox and outbox")
            }
            layout = .perClient
        case nil:
            layout = hasFlat && (home.role == .server || own == nil) ? .flat : .perClient
        }
        var exchange = Exchange(root: path, layout: layout)
        exchange.isEvident = layout == .flat || own != nil
        if hasFlat, let own { exchange.oddity = oddity(path, layout, own) }
        // After a share that does not answer has said so.
        try requireNoHome(path, of: home)
        return exchange
    }

    /// - Returns: the folder's absolute path.
    /// - Throws: `exchange` or `temporary` where no folder is there.
    static func requireRoot(_ root: FilePath, of home: Home) throws(MailboxError) -> FilePath {
        let path = self.path(root, of: home)
        return try onShare { () throws(FileError) in
            guard try isFolder(path, home) else {
                throw FileError("use the exchange", path, .noSuchFileOrDirectory, hint: "is the share mounted?")
            }
            return path
        }
    }

    /// A share that is away is no trouble of the home's: a tick goes on without it.
    private static func onShare<Value>(
        _ work: () throws(FileError) -> Value
    ) throws(MailboxError) -> Value {
        do throws(FileError) {
            return try work()
        } catch {
            throw MailboxError(error.isTransient ? .temporary : .exchange, error.description)
        }
    }

    private static func isFolder(_ path: FilePath, _ home: Home) throws(FileError) -> Bool {
        let kind = try home.files.status(path)?.kind
        return kind == .directory || kind == .symlink
    }

    /// A folder in the root that is a client's of whom this home knows: its own, or on a server that of a party.
    private static func clientsFolder(in root: FilePath, of home: Home) throws(FileError) -> FilePath? {
        guard home.role == .server else {
            let own = root.appending(home.name.text)
            return try isFolder(own, home) ? own : nil
        }
        let parties = (try? TrustStore.load(from: home).parties.map(\.name)) ?? []
        return parties.filter { $0 != home.name }.sorted().map { root.appending($0.text) }.first {
            // One hospital's mount that is sick is there.
            (try? isFolder($0, home)) ?? true
        }
    }

    private static func changed(_ root: FilePath, _ how: String) -> MailboxError {
        MailboxError(
            .exchange, "\(root) was used \(how)",
            hint: "put back what is missing and remove what does not belong there; if the change is meant, remove "
                + "mailbox/exchange.json of this home")
    }

    private static func oddity(_ root: FilePath, _ layout: Layout, _ own: FilePath) -> String {
        let name = own.lastComponent?.string ?? ""
        let (used, other) =
            layout == .flat
            ? ("flat, through its inbox and outbox", "\(name), as with a folder for each client")
            : ("with a folder for each client, such as \(name)", "inbox and outbox, as a flat one")
        return
            "\(root) is used \(used), and also has \(other): what is laid there reaches nobody here; remove what does not "
            + "belong there"
    }
}
