package import Files
package import SystemPackage
package import Wire

/// A folder on a share, an SFTP mount or a stick, through which a server and its clients reach each other.
///
/// The folders are named from the server's side, in every layout: `inbox` is on its way to the server, `outbox` comes from
/// it. The server empties its inbox; clients never delete from an outbox, and remember what they have seen. Each party
/// removes what it laid there itself once that is superseded or acknowledged.
package struct Exchange: Equatable, Sendable {
    package enum Layout: String, Sendable {
        /// `EXCHANGE/<client>/inbox` and `/outbox`: one account each, and no hospital sees another's bundles.
        case perClient
        /// `EXCHANGE/inbox` and `/outbox` for all; or, seen by a client, the one folder that its account shows.
        case flat
    }

    /// Absolute.
    package let root: FilePath
    package let layout: Layout
    /// Folders of clients on which something was mounted when they were last used, and is not now.
    package internal(set) var unmounted: Set<FilePath> = []
    /// That it shows the other layout too, for people.
    package internal(set) var oddity: String?
    /// Whether its layout shows, and is not only what it will have once folders are made.
    var isEvident = false

    package init(root: FilePath, layout: Layout) {
        self.root = absolute(root)
        self.layout = layout
    }

    /// A configured path; relative to the home if it does not begin with a slash.
    package static func path(_ root: FilePath, of home: Home) -> FilePath {
        absolute(root.isRelative ? home.root.appending(root.components) : root)
    }

    /// Where what `client` sends lies.
    func towardsServer(_ client: PartyName) -> FilePath { folder(of: client).appending("inbox") }
    /// Where what is sent to `client` lies.
    func fromServer(_ client: PartyName) -> FilePath { folder(of: client).appending("outbox") }

    /// The folders of this exchange that have to do with a home and are there, and whether it is the one that delivers into
    /// them.
    /// - Parameter only: on a server, this client's.
    package func folders(
        of home: Home, only: PartyName? = nil
    ) throws(FileError) -> [(path: FilePath, isDeliveredTo: Bool)] {
        let clients: [PartyName]
        if home.role == .client || layout == .flat {
            clients = [home.name]
        } else if let only {
            clients = [only]
        } else {
            clients = try home.files.list(root).filter { $0.kind == .directory }.compactMap { PartyName($0.name) }
        }
        var found: [(path: FilePath, isDeliveredTo: Bool)] = []
        for client in clients {
            let isServer = home.role == .server
            for folder in [(fromServer(client), isServer), (towardsServer(client), !isServer)]
            where try isFolder(folder.0, home.files) {
                found.append((path: folder.0, isDeliveredTo: folder.1))
            }
        }
        return found
    }

    /// Whether there is something here that has a client's name.
    func names(_ client: PartyName, _ files: any FileSystem) throws(FileError) -> Bool {
        guard layout == .perClient else { return false }
        return try files.status(root.appending(client.text)) != nil
    }

    private func folder(of client: PartyName) -> FilePath {
        layout == .flat ? root : root.appending(client.text)
    }

    /// The folder of a file in it, from the root on, for people.
    func place(of file: FilePath) -> String {
        FilePath(root: nil, file.removingLastComponent().components.dropFirst(root.components.count)).string
    }

    /// Whether an error is about a file of this exchange or about a folder above it, as where that becomes a link, or its own
    /// mount goes, while the file is copied.
    func isTrouble(_ error: FileError, with file: FilePath) -> Bool {
        error.path == file || file.starts(with: error.path) && error.path.starts(with: root)
    }

    /// Whether a folder of this exchange is there. Only the root may be a symbolic link: whoever may write below it could
    /// otherwise lead this program to files that are only its own, such as the archive.
    ///
    /// - Throws: if the folder, or one above it up to the root, is a link or a file.
    func isFolder(_ path: FilePath, _ files: any FileSystem) throws(FileError) -> Bool {
        var folder = root
        for component in path.components.dropFirst(root.components.count) {
            folder.append(component)
            if unmounted.contains(folder) {
                throw FileError(
                    "use", folder, .socketNotConnected,
                    hint: "a file system was mounted there; if that is over, remove mailbox/exchange.json of this home")
            }
            switch try files.status(folder)?.kind {
            case .directory: continue
            case nil: return false
            case .symlink:
                throw FileError(
                    "use", folder, .tooManySymbolicLinkLevels,
                    hint: "below the root of an exchange only plain folders are used; nothing was read or written there"
                )
            default: throw FileError("use", folder, .notDirectory, hint: "a folder belongs there")
            }
        }
        return true
    }
}

/// What one pass over an exchange did, by file names.
package struct ExchangeSummary: Equatable, Sendable {
    enum Way: String, CaseIterable { case collecting, delivering }

    let way: Way
    package internal(set) var copied: [String] = []
    package internal(set) var removed: [String] = []
    /// One line each: what could not be done. The rest was.
    package internal(set) var problems: [String] = []
    /// Those of the problems that will not be told again, whatever was told before.
    var news: Set<String> = []
    /// Those of the problems that are about what does not belong there: parts of a file, and what is no bundle.
    package internal(set) var remarks: Set<String> = []
    /// Whether something is among those that bears a bundle's name, so that one is damaged.
    package internal(set) var hasBadBundle = false
    /// Whether one of the problems may go away by itself.
    package internal(set) var mayRetry = false
    /// The problem, if there is one, that the share does not answer.
    package internal(set) var silence: String?

    init(_ way: Way) { self.way = way }

    /// Whether an error is about one file, and not about its folder or the share.
    func isOf(_ file: FilePath, _ error: FileError, of exchange: Exchange) -> Bool {
        !error.isUnreachable && error.aboutItsPlace(in: exchange.root).path == file
    }

    /// One folder that cannot be used is met once for each bundle, and a share that is full once for each folder.
    mutating func add(_ error: FileError, of exchange: Exchange) {
        let error = error.aboutItsPlace(in: exchange.root)
        if !problems.contains(error.description) { problems.append(error.description) }
        mayRetry = mayRetry || error.isTransient
        if error.isUnreachable { silence = error.description }
    }
}

extension FileError {
    /// What is true of a whole share is told of the share, what is true of a folder of the folder, and not of whichever file
    /// was tried: another one is tried each time, and the trouble is the same.
    func aboutItsPlace(in root: FilePath) -> FileError {
        guard path.starts(with: root), path != root else { return self }
        switch code {
        case .noSpace, .readOnlyFileSystem: return FileError("write to", root, code, hint: hint)
        case .diskQuotaExceeded, .permissionDenied, .notPermitted:
            // A folder that may not be listed or looked at is named by its own error.
            guard ["create", "write", "flush", "close", "rename", "remove"].contains(operation) else { return self }
            return FileError("write to", path.removingLastComponent(), code, hint: hint)
        default: return self
        }
    }
}
